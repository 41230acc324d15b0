"""Does a reader's own model come through: check-up, sweep and choice, without a change?

    python -m benchmarks.guides                # five models, some minutes each
    python -m benchmarks.guides LSTM           # those whose name has one of these words
    python -m benchmarks.guides --write        # also puts each row into lrsweep/README.md

The models are those of five of Keras's own examples, rebuilt from their descriptions: kinds of
layers, optimizer, rate and loss are theirs; widths and data are small, so that two cores suffice.
Each goes through `check_up`, a sweep that finds its rates, and `choose_learning_rate`, with a
sweep's usual five seeds. Then a sweep of 25 rates and the chosen one, with twenty seeds that the
choice has not seen, judges it: how far is the chosen rate behind the best of all? The best is the
best of 26 means, so luck is on its side. Five seeds don't judge: at 0.0056, the small Xception had
a mean accuracy of 0.82 with five in one such sweep, of 0.95 with the same five in another, whose
rate differed in the fourth digit.
"""

import argparse
import os
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

from lrsweep import check_up, choose_learning_rate, sweep_learning_rates
from tools import marked

README = Path(__file__).parent.parent / "lrsweep/README.md"
FINE = np.geomspace(1e-5, 1e-1, 25)  # six rates to a power of ten
SEEDS, JUDGES = (0, 1, 2, 3, 4), tuple(range(100, 120))
NEAR = {"val_accuracy": 0.02, "val_loss": 0.1}  # how far behind a choice may be; of the loss, parts
SECONDS = 60  # for a check-up: what it says should not depend on what else the computer does


class Guide(NamedTuple):
    """A model of Keras's examples: its page, how it is built, its data, and what judges a rate."""

    page: str
    build: callable
    data: tuple
    metric: str
    epochs: int
    batch_size: int = 64


def halves(x, y, train):
    """Return the first `train` examples and the rest; x may be a dict of arrays."""
    if isinstance(x, dict):
        first = {name: values[:train] for name, values in x.items()}
        return (first, y[:train]), ({name: values[train:] for name, values in x.items()}, y[train:])
    return (x[:train], y[:train]), (x[train:], y[train:])


# --- vision/mnist_convnet: two convolutions, Dropout, digits as one-hot vectors ---


def digits():
    """Return 1000 of scikit-learn's digits: images of shape (8, 8, 1) from 0 to 16, labels."""
    x, y = load_digits(return_X_y=True)
    place = np.random.default_rng(0).permutation(len(x))[:1000]
    return x[place].reshape(-1, 8, 8, 1), y[place]


def convnet():
    convolutions = [
        *(layers.Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D()),
        *(layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D()),
    ]
    head = layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, "softmax")
    model = keras.Sequential([keras.Input((8, 8, 1)), *convolutions, *head])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def convnet_data():
    x, y = digits()
    return halves(x / 16, np.eye(10)[y], 600)


# --- vision/image_classification_from_scratch: a small Xception of two classes ---


def normalised(x, layer):
    return layers.BatchNormalization()(layer(x))


def small_xception():
    inputs = keras.Input((8, 8, 1))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(16, 3, strides=2, padding="same")(x)
    x = aside = layers.ReLU()(layers.BatchNormalization()(x))
    for _ in range(2):
        x = normalised(layers.ReLU()(x), layers.SeparableConv2D(24, 3, padding="same"))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = layers.add([x, layers.Conv2D(24, 1, strides=2, padding="same")(aside)])
    x = layers.ReLU()(normalised(x, layers.SeparableConv2D(32, 3, padding="same")))
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Dense(1, "sigmoid")(x))
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy", metrics=["accuracy"])
    return model


def small_xception_data():
    """Is a digit below five? As bytes, as pictures come from a disk."""
    x, y = digits()
    return halves(x * 255 / 16, (y < 5).astype(float), 600)


# --- timeseries/timeseries_weather_forecasting: an LSTM says how warm it will be ---

HOURS, EVERY, AHEAD = 24, 2, 6


def lstm():
    inputs = keras.Input((HOURS // EVERY, 4))
    model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(32)(inputs)))
    model.compile(keras.optimizers.Adam(0.001), "mse")
    return model


def weather():
    """Twelve moments of a day, four measurements each; the temperature six hours after it.

    Temperature has a day, a year, and fronts that come and go in two days; pressure falls before a
    front, the air is damp within it, and the wind follows the pressure.
    """
    random = np.random.default_rng(0)
    time = np.arange(12000)
    front = np.zeros(len(time))
    for hour in time[1:]:
        front[hour] = 0.98 * front[hour - 1] + 0.6 * random.normal()
    year, day = np.sin(2 * np.pi * time / 8766), np.sin(2 * np.pi * time / 24)
    temperature = 9 + 8 * year + (3 + 2 * year) * day + front
    pressure = 1013 - 3 * np.roll(front, -AHEAD) + random.normal(size=len(time))
    damp = 1 / (1 + np.exp(0.3 * (front + 4 * day) + 0.3 * random.normal(size=len(time))))
    wind = np.abs(np.gradient(pressure)) + 0.3 * np.abs(random.normal(size=len(time)))
    rows = np.stack([temperature, pressure, damp, wind], 1)[: -2 * AHEAD]
    rows = (rows - rows[:8000].mean(0)) / rows[:8000].std(0)
    starts = np.arange(0, len(rows) - HOURS - AHEAD, 8)
    x = np.stack([rows[start : start + HOURS : EVERY] for start in starts])
    return halves(x, rows[starts + HOURS + AHEAD - 1, :1], 900)


# --- timeseries/timeseries_classification_transformer ---


def encoder(inputs):
    """Return attention, then two dense layers for each moment, each with a way around it."""
    x = layers.MultiHeadAttention(2, 8, dropout=0.25)(inputs, inputs)
    x = inputs + layers.LayerNormalization(epsilon=1e-6)(layers.Dropout(0.25)(x))
    y = layers.Dropout(0.25)(layers.Conv1D(8, 1, activation="relu")(x))
    return x + layers.LayerNormalization(epsilon=1e-6)(layers.Conv1D(inputs.shape[-1], 1)(y))


def transformer():
    inputs = keras.Input((16, 6))
    x = layers.GlobalAveragePooling1D()(encoder(inputs))
    x = layers.Dropout(0.4)(layers.Dense(32, "relu")(x))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(x))
    model.compile(
        keras.optimizers.Adam(1e-4), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def engines():
    """Six sensors of an engine, 16 moments: nothing, or one of two faults for a short while."""
    random = np.random.default_rng(0)
    y = random.integers(3, size=1000)
    x = random.normal(size=(1000, 16, 6))
    patterns = np.array([[0] * 6, [1, 1, -1, -1, 0, 0], [1, -1, 0, 0, 1, -1]])
    begin = random.integers(0, 9, size=1000)
    for row, (kind, start) in enumerate(zip(y, begin)):
        x[row, start : start + 8] += 0.9 * patterns[kind]
    return halves(x, y, 600)


# --- structured_data/wide_deep_cross_networks: Wide & Deep, with a number of inputs ---

SOILS, KINDS = 12, 4


def wide_and_deep():
    inputs = {"numbers": keras.Input((8,)), "soil": keras.Input((), dtype="int32")}
    one_hot = layers.CategoryEncoding(SOILS, output_mode="one_hot")(inputs["soil"])
    wide = layers.BatchNormalization()(layers.concatenate([inputs["numbers"], one_hot]))
    embedded = layers.Dense(3, use_bias=False)(one_hot)  # as an Embedding, trained all at once
    deep = layers.concatenate([inputs["numbers"], embedded])
    for _ in range(2):
        deep = layers.Dropout(0.1)(layers.ReLU()(normalised(deep, layers.Dense(32))))
    outputs = layers.Dense(KINDS, "softmax")(layers.concatenate([wide, deep]))
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(0.001), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def forests():
    """Eight measurements of a place and its soil; which trees grow follows height and soil."""
    random = np.random.default_rng(0)
    numbers, soil = random.normal(size=(1500, 8)), random.integers(SOILS, size=1500)
    shift, slope = random.normal(size=(2, SOILS))
    height = numbers[:, 0] + shift[soil] + 0.5 * slope[soil] * numbers[:, 1]
    height += 0.5 * numbers[:, 2] * numbers[:, 3] + 0.3 * random.normal(size=1500)
    kind = np.digitize(height, np.quantile(height, [0.25, 0.5, 0.75]))
    return halves({"numbers": numbers, "soil": soil.astype("int32")}, kind, 1000)


ACCURACY, LOSS = NEAR
GUIDES = {
    "convolutions, Dropout": Guide(
        "vision/mnist_convnet", convnet, convnet_data(), ACCURACY, 10, 32
    ),
    "a small Xception: BatchNormalization, Dropout": Guide(
        "vision/image_classification_from_scratch",
        *(small_xception, small_xception_data(), ACCURACY, 12, 16),
    ),
    "LSTM": Guide("timeseries/timeseries_weather_forecasting", lstm, weather(), LOSS, 10),
    "a transformer with Dropout": Guide(
        "timeseries/timeseries_classification_transformer", transformer, engines(), ACCURACY, 12
    ),
    "Wide & Deep: two inputs, BatchNormalization, Dropout": Guide(
        "structured_data/wide_deep_cross_networks", wide_and_deep, forests(), ACCURACY, 10
    ),
}


class Outcome(NamedTuple):
    """What became of a model: what was said of it, and how the fine sweep judges the choice."""

    guide: Guide
    report: object
    engine: str
    rate: float
    value: float
    best_rate: float
    best: float

    @property
    def behind(self):
        """How far the chosen rate is behind the best one, as `NEAR` measures it."""
        if self.guide.metric == LOSS:
            return self.value / self.best - 1
        return self.best - self.value

    @property
    def is_near(self):
        return self.behind <= NEAR[self.guide.metric]


def treated(guide, fine=FINE):
    """Examine a model, choose its rate, judge the choice by the rates `fine`; the `Outcome`."""
    named = {"epochs": guide.epochs, "batch_size": guide.batch_size}
    report = check_up(guide.build, *guide.data, seconds=SECONDS, **named)
    named["progress"] = False
    found = sweep_learning_rates(guide.build, None, *guide.data, seeds=SEEDS, **named)
    rate = choose_learning_rate(found).learning_rate
    rates = np.sort(np.append(fine[~np.isclose(fine, rate)], rate))
    judged = sweep_learning_rates(guide.build, rates, *guide.data, seeds=JUDGES, **named)
    means = judged.final(guide.metric).mean(axis=1)
    best = np.nanargmin(means) if guide.metric == LOSS else np.nanargmax(means)
    value = float(means[rates == rate][0])
    engine = found.engine
    keras.backend.clear_session()
    return Outcome(guide, report, engine, rate, value, float(rates[best]), float(means[best]))


HEAD = (
    "| model | Keras's example | check-up | engine | chosen rate | with it | best | behind |\n"
    "|---|---|---|---|---:|---:|---:|---:|"
)


def row(name, outcome):
    """Return a model's line of the table."""
    guide, said = outcome.guide, ", ".join(outcome.report.causes) or "no alarm"
    loss = guide.metric == LOSS
    behind = f"{100 * outcome.behind:.0f} %" if loss else f"{outcome.behind:.3f}"
    kind = "loss" if loss else "accuracy"
    cells = [
        *(name, f"`{guide.page}`", said, outcome.engine, f"{outcome.rate:.3g}"),
        f"{kind} {outcome.value:.3g}",
        f"{outcome.best:.3g} at {outcome.best_rate:.2g}",
        behind if outcome.is_near else f"{behind} ✗",
    ]
    return f"| {' | '.join(cells)} |"


def put(name, line):
    """Put a model's line into the table of the library's README; the others stay."""
    text = README.read_text("utf-8")
    lines = {it.split(" | ")[0].strip("| "): it for it in marked.get(text, "guides").splitlines()}
    lines[name] = line
    table = [HEAD, *(lines[it] for it in GUIDES if it in lines)]
    README.write_text(marked.put(text, "guides", "\n".join(table)), "utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--write", action="store_true", help="the rows into lrsweep/README.md")
    arguments = parser.parse_args()
    print(HEAD, flush=True)
    for name, guide in GUIDES.items():
        if arguments.words and not any(word.lower() in name.lower() for word in arguments.words):
            continue
        start = time.perf_counter()
        line = row(name, treated(guide))
        print(f"{line} {time.perf_counter() - start:.0f} s", flush=True)
        if arguments.write:
            put(name, line)


if __name__ == "__main__":
    main()
