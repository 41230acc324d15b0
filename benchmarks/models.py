"""What does a sweep do with the models that people bring, and at what cost?

    python -m benchmarks.models                 # all of them, some minutes
    python -m benchmarks.models Dropout LSTM    # those whose name has one of these words
    python -m benchmarks.models --write         # all of them, and the table into lrsweep/README.md

Each is swept at 8 rates with 2 seeds and compared with `model.fit`, of which two models are timed:
built, compiled and trained on the same batches. The time of a sweep holds building and tracing.
"""

import argparse
import os
import re
import statistics
import time
import types
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from lrsweep import sweep_learning_rates
from tools import marked

README = Path(__file__).parent.parent / "lrsweep" / "README.md"
RATES = np.geomspace(1e-4, 3e-2, 8)
SEEDS = 2
EPOCHS, BATCH_SIZE = 3, 32
random = np.random.default_rng(0)
CLASSES = "sparse_categorical_crossentropy"


def split(x, y):
    """Return three quarters to train on and one quarter held out; x and y may be structures."""
    first, rest = (
        tf.nest.map_structure(lambda array, part=part: array[part], (x, y))
        for part in (slice(0, 192), slice(192, 256))
    )
    return first, rest


LABELS = random.integers(3, size=256)
CENTRES = random.normal(size=(3, 8))
ROWS = (CENTRES[LABELS] + random.normal(size=(256, 8))).astype("float32")
SERIES = (ROWS[:, :, None] * random.normal(size=(1, 8, 4))).astype("float32")
IMAGES = random.normal(size=(256, 8, 8, 3)).astype("float32") + LABELS[:, None, None, None] / 2
WORDS = (LABELS[:, None] * 20 + random.integers(30, size=(256, 10))).astype("int32")
TABLE, SEQUENCES, PICTURES, TEXTS = (split(x, LABELS) for x in (ROWS, SERIES, IMAGES, WORDS))
YES_NO = split(ROWS, (LABELS > 0).astype("float32"))
NUMBERS = split(ROWS, ROWS @ random.normal(size=(8, 1)).astype("float32"))
BYTES = split((IMAGES * 30 + 100).clip(0, 255).astype("uint8"), LABELS)


class Model(NamedTuple):
    """A configuration: its name, how it is built, what it is trained on, and `sweep`'s options."""

    name: str
    build: callable
    data: tuple = TABLE
    options: dict = types.MappingProxyType({})


def sequential(*parts, optimizer="sgd", loss=CLASSES, metrics=("accuracy",), data=TABLE, **named):
    """Return a function that builds a model; each part is a function that makes a layer."""
    shape, dtype = data[0][0].shape[1:], str(data[0][0].dtype)

    def build():
        model = keras.Sequential([keras.Input(shape, dtype=dtype), *(part() for part in parts)])
        made = optimizer() if callable(optimizer) else optimizer
        model.compile(made, loss, metrics=list(metrics), **named)
        return model

    return build


def dense(width=16, activation="relu", **named):
    return lambda: layers.Dense(width, activation, **named)


OUT = dense(3, "softmax")


def table(name, *parts, **named):
    return Model(name, sequential(dense(), *parts, OUT, **named))


def pictures(name, *parts, data=PICTURES, **named):
    return Model(name, sequential(*parts, layers.Flatten, OUT, data=data, **named), data)


def series(name, *parts, **named):
    return Model(name, sequential(*parts, OUT, data=SEQUENCES, **named), SEQUENCES)


def texts(name, optimizer, size=8):
    embedding = lambda: layers.Embedding(100, size)  # noqa: E731
    parts = embedding, layers.GlobalAveragePooling1D, OUT
    return Model(name, sequential(*parts, optimizer=optimizer, data=TEXTS), TEXTS)


def of_class(name, **named):
    return lambda: getattr(keras.optimizers, name)(**named)


def scaled():
    return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())


def focal(y_true, y_pred):
    y_true = keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 3)
    p = keras.ops.clip(keras.ops.sum(y_true * y_pred, -1), 1e-7, 1.0)
    return -((1 - p) ** 2) * keras.ops.log(p)


def pseudo_huber(y_true, y_pred):
    return keras.ops.mean(keras.ops.sqrt(1 + keras.ops.square(y_true - y_pred)) - 1, axis=-1)


def smoothed(y_true, y_pred):
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    return loss(keras.ops.one_hot(keras.ops.cast(y_true, "int32"), 3), y_pred)


def adapted():
    layer = layers.Normalization()
    layer.adapt(TABLE[0][0])
    return layer


def attention(rate=0.0, optimizer="adam"):
    """Return a builder of one block of a transformer on series of numbers."""

    def build():
        x = inputs = keras.Input((8, 4))
        x = layers.Dense(16)(x)
        a = layers.MultiHeadAttention(2, 8, dropout=rate)(x, x)
        x = layers.LayerNormalization()(x + a)
        a = layers.Dense(16)(layers.Dropout(rate)(layers.Dense(32, "gelu")(x)))
        x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + a))
        model = keras.Model(inputs, layers.Dense(3, "softmax")(x))
        model.compile(optimizer, CLASSES, metrics=["accuracy"])
        return model

    return build


def frozen_base():
    parts = layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten()
    base = keras.Sequential([keras.Input((8, 8, 3)), *parts])
    base.trainable = False
    model = keras.Sequential([keras.Input((8, 8, 3)), base, layers.Dense(3, "softmax")])
    model.compile("adam", CLASSES, metrics=["accuracy"])
    return model


def residual():
    x = inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same")(x)
    for _ in range(2):
        y = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(8, 3, padding="same", use_bias=False)(y) + x
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(3, "softmax")(x))
    model.compile("adam", CLASSES, metrics=["accuracy"])
    return model


class OwnStep(keras.Model):
    """A model with a `train_step` of its own, as in Keras's guide."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, "softmax")

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        self._loss_tracker.update_state(loss)
        return {"loss": self._loss_tracker.result()}


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = layers.Dense(16, "relu"), layers.Dense(3, "softmax")

    def call(self, x, training=False):
        return self.out(self.hidden(x))


class OwnLoss(Subclassed):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.01 * keras.ops.mean(keras.ops.square(y_pred))


class Counting(layers.Layer):
    """A layer that counts its calls in training and adds a loss."""

    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.calls.assign_add(1.0)
        self.add_loss(1e-3 * keras.ops.mean(keras.ops.square(x)))
        return x


class Noise(layers.Layer):
    """A layer with a generator of random numbers of its own."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(3)

    def call(self, x, training=False):
        if training:
            x = x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.generator)
        return x


@keras.saving.register_keras_serializable()
class Largest(keras.metrics.Metric):
    """The largest probability seen, as users write a metric."""

    def __init__(self, name="largest"):
        super().__init__(name=name)
        self.largest = self.add_weight(shape=(), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.largest.assign(keras.ops.maximum(self.largest, keras.ops.max(y_pred)))

    def result(self):
        return self.largest


def compiled(make, metrics=("accuracy",)):
    def build():
        model = make()
        model.compile("sgd", CLASSES, metrics=metrics and [*metrics])
        return model

    return build


def two_inputs(names=False):
    def build():
        inputs = [keras.Input((4,), name="left"), keras.Input((4,), name="right")]
        x = layers.Concatenate()([layers.Dense(8, "relu")(it) for it in inputs])
        named = {"left": inputs[0], "right": inputs[1]} if names else inputs
        model = keras.Model(named, layers.Dense(3, "softmax")(x))
        model.compile("sgd", CLASSES, metrics=["accuracy"])
        return model

    return build


def two_outputs():
    inputs = keras.Input((8,))
    x = layers.Dense(16, "relu")(inputs)
    named = {"kind": layers.Dense(3, "softmax", name="kind")(x), "size": layers.Dense(1)(x)}
    named["size"] = layers.Identity(name="size")(named["size"])
    model = keras.Model(inputs, named)
    losses = {"kind": CLASSES, "size": "mse"}
    model.compile(
        "sgd", losses, metrics={"kind": ["accuracy"]}, loss_weights={"kind": 1.0, "size": 0.3}
    )
    return model


LEFT_RIGHT = split([ROWS[:, :4], ROWS[:, 4:]], LABELS)
BY_NAME = split({"left": ROWS[:, :4], "right": ROWS[:, 4:]}, LABELS)
KIND_SIZE = split(ROWS, {"kind": LABELS, "size": ROWS[:, :1] ** 2})
WEIGHTS = random.uniform(0.2, 2, size=256).astype("float32")
WEIGHTED = tuple((*part, w) for part, w in zip(TABLE, (WEIGHTS[:192], WEIGHTS[192:])))
STREAMS = tuple(tf.data.Dataset.from_tensor_slices(part).batch(BATCH_SIZE) for part in TABLE)
STEPS = EPOCHS * 6
SCHEDULES = keras.optimizers.schedules
L2 = keras.regularizers.L2(0.01)

KNOWN = [  # those of the list that the engine was built against
    table("SGD"),
    table("SGD with momentum", optimizer=of_class("SGD", momentum=0.9)),
    table("SGD with Nesterov momentum", optimizer=of_class("SGD", momentum=0.9, nesterov=True)),
    table("Adam", optimizer="adam"),
    table("AdamW", optimizer=of_class("AdamW", weight_decay=0.1)),
    table("Adamax", optimizer="adamax"),
    table("Nadam", optimizer="nadam"),
    table("RMSprop", optimizer="rmsprop"),
    table("Adagrad", optimizer="adagrad"),
    table("Adadelta", optimizer="adadelta"),
    table("Lion", optimizer="lion"),
    table("Ftrl", optimizer="ftrl"),
    table("L2", dense(kernel_regularizer=L2)),
    table("LayerNormalization", layers.LayerNormalization),
    Model("adapted Normalization", sequential(adapted, dense(), OUT)),
    series("Conv1D", lambda: layers.Conv1D(8, 3, activation="relu"), layers.Flatten),
    pictures("Conv2D", lambda: layers.Conv2D(8, 3, activation="relu")),
    pictures("SeparableConv2D", lambda: layers.SeparableConv2D(8, 3, activation="relu")),
    series("LSTM", lambda: layers.LSTM(8)),
    series("GRU", lambda: layers.GRU(8)),
    Model("a transformer on numbers", attention(), SEQUENCES),
    Model("a frozen base with BatchNormalization", frozen_base, PICTURES),
    table("focal loss", loss=focal),
    Model(
        "another loss of one's own",
        sequential(dense(), dense(1, None), loss=pseudo_huber, metrics=["mae"]),
        NUMBERS,
    ),
    Model(
        "AUC, precision and recall",
        sequential(
            *(dense(), dense(1, "sigmoid")),
            loss="binary_crossentropy",
            metrics=["AUC", "Precision", "Recall"],
        ),
        YES_NO,
    ),
    table("a schedule", optimizer=lambda: keras.optimizers.Adam(SCHEDULES.CosineDecay(1.0, STEPS))),
    table("clipvalue", optimizer=of_class("SGD", clipvalue=0.02)),
    table("EMA", optimizer=of_class("Adam", use_ema=True, ema_overwrite_frequency=4)),
    Model("bfloat16", sequential(dense(dtype="mixed_bfloat16"), OUT)),
    table("Dropout", lambda: layers.Dropout(0.3)),
    table("BatchNormalization", layers.BatchNormalization),
    pictures(
        "augmentation (flip, translation)",
        lambda: layers.RandomFlip("horizontal"),
        lambda: layers.RandomTranslation(0.1, 0.1),
        lambda: layers.Conv2D(4, 3),
    ),
    texts("Embedding with Adam", "adam"),
    table("clipnorm", optimizer=of_class("SGD", clipnorm=0.1)),
    table("global_clipnorm", optimizer=of_class("SGD", global_clipnorm=0.1)),
    Model("float16", sequential(dense(dtype="mixed_float16"), OUT, auto_scale_loss=True)),
    table("Adafactor", optimizer="adafactor"),
    table("Muon", optimizer="muon"),
    table("Lamb", optimizer=of_class("Lamb")),
    Model("a train_step of one's own", compiled(OwnStep, metrics=None)),
    Model("several inputs", two_inputs(), LEFT_RIGHT),
    Model("several outputs", two_outputs, KIND_SIZE),
    Model("sample weights", sequential(dense(), OUT), WEIGHTED),
    Model("class weights", sequential(dense(), OUT), TABLE, {"class_weight": {0: 3.0, 2: 0.5}}),
    Model("tf.data", sequential(dense(), OUT), STREAMS),
]
MORE = [
    table("Adam with AMSGrad", optimizer=of_class("Adam", amsgrad=True)),
    table("ScheduleFreeAdamW", optimizer=of_class("ScheduleFreeAdamW")),
    table("gradient accumulation", optimizer=of_class("Adam", gradient_accumulation_steps=3)),
    table("a loss scale", optimizer=scaled),
    table("a constraint", dense(kernel_constraint="max_norm")),
    table("GaussianNoise", lambda: layers.GaussianNoise(0.2)),
    table("GroupNormalization", lambda: layers.GroupNormalization(4)),
    table("SpectralNormalization", lambda: layers.SpectralNormalization(layers.Dense(8))),
    table(
        "Dropout, BatchNormalization, Adam",
        layers.BatchNormalization,
        lambda: layers.Dropout(0.3),
        optimizer="adam",
    ),
    pictures("SpatialDropout2D", lambda: layers.Conv2D(4, 3), lambda: layers.SpatialDropout2D(0.3)),
    pictures("Conv2D with strides", lambda: layers.Conv2D(8, 3, strides=2)),
    pictures("dilated Conv2D", lambda: layers.Conv2D(8, 3, dilation_rate=2)),
    pictures("Conv2DTranspose", lambda: layers.Conv2DTranspose(4, 3)),
    pictures("DepthwiseConv2D", lambda: layers.DepthwiseConv2D(3)),
    pictures("MaxPooling2D", lambda: layers.Conv2D(4, 3), layers.MaxPooling2D),
    pictures(
        "bytes, Rescaling, Conv2D",
        lambda: layers.Rescaling(1 / 255),
        lambda: layers.Conv2D(4, 3),
        data=BYTES,
    ),
    pictures(
        "more augmentation",
        *(lambda: layers.RandomRotation(0.1), lambda: layers.RandomZoom(0.1)),
        *(lambda: layers.RandomContrast(0.2), lambda: layers.Conv2D(4, 3)),
    ),
    Model("a small ResNet", residual, PICTURES),
    series("LSTM with dropout of its own", lambda: layers.LSTM(8, dropout=0.3)),
    series("two directions", lambda: layers.Bidirectional(layers.GRU(6))),
    Model("a transformer with Dropout", attention(0.2), SEQUENCES),
    texts("Embedding with SGD", "sgd"),
    texts("Embedding with momentum", of_class("SGD", momentum=0.9)),
    texts("Embedding with Lion", "lion"),
    Model("a subclassed model", compiled(Subclassed)),
    Model("a compute_loss of one's own", compiled(OwnLoss)),
    table("a layer that counts and adds a loss", Counting),
    table("a layer with noise of its own", Noise),
    table("a metric of one's own", metrics=[Largest]),
    table("label smoothing", loss=smoothed),
    table("run_eagerly", run_eagerly=True),
    Model("inputs by name", two_inputs(True), BY_NAME),
    Model(
        "class weights and two outputs",
        two_outputs,
        KIND_SIZE,
        {"class_weight": {0: 3.0}},
    ),
    Model(
        "early stopping",
        sequential(dense(), OUT),
        TABLE,
        {"early_stopping": keras.callbacks.EarlyStopping(patience=1)},
    ),
    Model(
        "reduce on plateau",
        sequential(dense(), OUT),
        TABLE,
        {"reduce_on_plateau": keras.callbacks.ReduceLROnPlateau(patience=0)},
    ),
]


def sweep(model):
    """Return a result, or the error with which the call refuses; and the seconds per training."""
    arguments = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "seeds": SEEDS, "shuffle": False}
    start = time.perf_counter()
    try:
        result = sweep_learning_rates(
            model.build, RATES, *model.data, progress=False, **arguments, **model.options
        )
    except ValueError as error:
        result = error
    return result, (time.perf_counter() - start) / (len(RATES) * SEEDS)


def fit(model, rate, seed):
    """Train one model as anybody would; return its history and the seconds."""
    start = time.perf_counter()
    keras.utils.set_random_seed(seed)
    built = model.build()
    set_rate(built.optimizer, rate)
    train, held_out = model.data
    options = dict(model.options)
    callbacks = [options.pop(it) for it in list(options) if it in CALLBACKS]
    arguments = {"epochs": EPOCHS, "shuffle": False, "verbose": 0, "callbacks": callbacks}
    if isinstance(train, tf.data.Dataset):
        history = built.fit(train, validation_data=held_out, **arguments)
    else:
        x, y, *weights = train
        arguments |= {"sample_weight": weights[0]} if weights else {}
        history = built.fit(x, y, BATCH_SIZE, validation_data=held_out, **arguments, **options)
    return history.history, time.perf_counter() - start


CALLBACKS = "early_stopping", "reduce_on_plateau"


def set_rate(optimizer, rate):
    """Give a model's optimizer a rate; a schedule, whose largest is 1 here, is multiplied."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(inner._learning_rate, SCHEDULES.LearningRateSchedule):
        own = inner._learning_rate.get_config() | {"initial_learning_rate": rate}
        inner.learning_rate = SCHEDULES.CosineDecay(**own)
    else:
        inner.learning_rate = rate


def largest_difference(result, row, column, history):
    """Compare a training of a sweep with what `fit` reported: relative for losses above 1."""
    worst = 0.0
    for name, values in zip(result.metrics, history.values()):  # Keras numbers some names on
        ours, theirs = result.metrics[name][row, column], np.array(history.get(name, values))
        ours = ours[: len(theirs)]
        ok = np.isfinite(theirs)
        off = np.abs(ours[ok] - theirs[ok]) / np.maximum(1, np.abs(theirs[ok]))
        worst = max(worst, off.max(initial=0))
    return worst


def measure(model):
    """Return the cells of a model's row, and what became of it."""
    result, seconds = sweep(model)
    try:
        runs = [fit(model, RATES[row], 0) for row in (2, 4)]
    except (ValueError, NotImplementedError):
        runs = None
    if isinstance(result, ValueError):
        by_keras = " (Keras refuses it too)" if runs is None else ""
        return "refused" + by_keras, str(result).splitlines()[0], "", "", ""
    if runs is None:
        return result.engine, "Keras refuses it, the sweep does not", "", "", ""
    alone = statistics.median(spent for _, spent in runs)
    worst = max(largest_difference(result, row, 0, it) for row, (it, _) in zip((2, 4), runs))
    why = "" if result.engine == "vectorized" else result.reason
    return result.engine, why, f"{1000 * alone:.0f}", f"{1000 * seconds:.0f}", f"{worst:.0e}"


HEAD = "model", "engine", "why", "`fit`, ms", "sweep, ms", "difference"


def markdown(rows):
    cut = [
        [*row[:2], re.sub(r"\s+", " ", row[2])[:100].replace("|", "/"), *row[3:]] for row in rows
    ]
    lines = [HEAD, ["---"] * 3 + ["---:"] * 3, *cut]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary(rows):
    counts = {kind: sum(row[1] == kind for row in rows) for kind in ("vectorized", "sequential")}
    refused = sum(row[1].startswith("refused") for row in rows)
    return (
        f"Of these {len(rows)}, {counts['vectorized']} are vectorized, "
        f"{counts['sequential']} sequential, {refused} refused."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--write", action="store_true", help="the table into lrsweep/README.md")
    arguments = parser.parse_args()
    words = [word.lower() for word in arguments.words]
    chosen = [m for m in KNOWN + MORE if not words or any(w in m.name.lower() for w in words)]
    fit(KNOWN[0], 0.01, 0)  # TensorFlow's own start-up
    sweep(KNOWN[0])
    rows = []
    for model in chosen:
        rows.append([model.name, *measure(model)])
        print("| " + " | ".join(rows[-1]) + " |", flush=True)
    if not words:
        print(summary(rows))
    if arguments.write and not words:
        text = README.read_text(encoding="utf-8")
        text = marked.put(text, "models", f"{markdown(rows)}\n\n{summary(rows)}")
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
