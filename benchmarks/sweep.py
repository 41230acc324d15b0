"""How much faster is a sweep than a loop of fits? Both sides are timed here, in turns.

    python -m benchmarks.sweep           # everything, some minutes
    python -m benchmarks.sweep a b       # some of it

(a) the four-rate loop of the Iris tutorial against one call of sweep_learning_rates
(b) 64 rates × 5 seeds against the same loop, of which 8 models are timed and scaled up
(c) peak memory of both, each in a process of its own
(d) how time and memory grow with the number of copies
(e) a digits network and a small convolutional network beside Iris
(f) what the sweep explorer of lesson 5 does at a change of its controls

All times include building the models and tracing. Times of one side are medians of several.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from lrsweep import sweep_learning_rates
from lrsweep._experiment import Experiment
from lrsweep._sequential import train_one
from utils.data import load_dataset

RATES = [0.2, 0.1, 0.03, 0.01]
GRID = np.geomspace(1e-3, 1, 64)


def data(name, standardised=False):
    """Return the tutorial's split: three quarters to train on, one quarter held out."""
    x, y = load_dataset(name, standardised)
    x, x_held_out, y, y_held_out = train_test_split(x, y, test_size=0.25, random_state=42)
    return (x, y), (x_held_out, y_held_out)


def network(layers, shape, optimizer=keras.optimizers.SGD):
    def build():
        model = keras.Sequential([keras.Input(shape), *layers()])
        model.compile(optimizer(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return build


def dense(*widths):
    hidden = [keras.layers.Dense(width, "relu") for width in widths[:-1]]
    return [*hidden, keras.layers.Dense(widths[-1], "softmax")]


def convolutional():
    return [
        keras.layers.Reshape((8, 8, 1)),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.MaxPooling2D(),
        keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(10, "softmax"),
    ]


iris = network(lambda: dense(50, 12, 3), (4,))
digits = network(lambda: dense(64, 10), (64,))
images = network(convolutional, (64,))


def loop_of_fits(build, rates, train, held_out, epochs=20):
    for rate in rates:
        model = build()
        model.optimizer.learning_rate = rate
        model.fit(*train, 32, epochs, validation_data=held_out, verbose=0)


def seconds(function, *args, **named):
    start = time.perf_counter()
    function(*args, **named)
    return time.perf_counter() - start


def sweep(build, rates, train, held_out, seeds, epochs=20):
    named = {"seeds": seeds, "epochs": epochs, "progress": False}
    return sweep_learning_rates(build, rates, train, held_out, **named)


def compare_in_turns(build, train, held_out, rates, seeds, loop_rates, epochs=20, turns=3):
    """Return the median seconds for each model of the loop and of the sweep."""
    loop, swept = [], []
    for _ in range(turns):
        loop.append(seconds(loop_of_fits, build, loop_rates, train, held_out, epochs))
        swept.append(seconds(sweep, build, rates, train, held_out, seeds, epochs))
    models = len(rates) * seeds
    return statistics.median(loop) / len(loop_rates), statistics.median(swept) / models


def row(what, *cells):
    print(f"{what:<44}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


def largest_difference(build, train, held_out, epochs=20):
    """Compare the sweep with Keras's own steps fed the same batches, one model at a time."""
    result = sweep(build, RATES, train, held_out, 1, epochs)
    arrays = [a.astype("float32") if a.dtype == float else a for a in (*train, *held_out)]
    experiment = Experiment(build, *arrays, epochs, 32, True)
    worst = 0
    for i, rate in enumerate(RATES):
        history, _ = train_one(experiment, rate, 0)
        for name in ("loss", "val_loss"):
            worst = max(worst, np.abs(result.metrics[name][i, 0] - history[name]).max())
    return worst


def part_a():
    row("(a) four rates, one seed", "loop s", "sweep s", "ratio")
    loop, swept = compare_in_turns(iris, *data("iris"), RATES, 1, RATES, turns=5)
    row("    Iris 50-12-3, 20 epochs", f"{4 * loop:.2f}", f"{4 * swept:.2f}", f"{loop / swept:.1f}")
    row("    largest difference of a loss", f"{largest_difference(iris, *data('iris')):.1e}")


def part_b():
    row("(b) 64 rates × 5 seeds", "loop s/model", "sweep s/model", "ratio", "sweep s")
    loop, swept = compare_in_turns(iris, *data("iris"), GRID, 5, RATES * 2)
    cells = f"{loop:.3f}", f"{swept:.5f}", f"{loop / swept:.0f}", f"{320 * swept:.2f}"
    row("    Iris; 8 models of the loop timed, × 40", *cells)


def part_c():
    row("(c) peak memory over that of the imports", "MB")
    for side in ("nothing", "loop of 8", "sweep of 4", "sweep of 320", "sweep of 4096"):
        command = [sys.executable, "-m", "benchmarks.sweep", "memory", side]
        peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        if side == "nothing":
            base = peak
        else:
            row(f"    {side}", f"{(peak - base) / 1024:.0f}")


def memory(side):
    examples = data("iris")
    if side == "loop of 8":
        loop_of_fits(iris, RATES * 2, *examples)
    elif side.startswith("sweep"):
        copies = int(side.split()[-1])
        sweep(iris, np.geomspace(1e-3, 1, copies), *examples, 1)
    status = Path("/proc/self/status").read_text()  # Linux; ru_maxrss would count the parent too
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def part_d():
    row("(d) copies, Iris", "sweep s", "ms/model")
    for copies in (1, 4, 16, 64, 256, 1024, 4096):
        rates = np.geomspace(1e-3, 1, copies) if copies > 1 else [0.1]
        spent = statistics.median(seconds(sweep, iris, rates, *data("iris"), 1) for _ in range(3))
        row(f"    {copies}", f"{spent:.2f}", f"{1000 * spent / copies:.2f}")


def part_e():
    row("(e) 16 rates × 2 seeds, 5 epochs", "loop s/model", "sweep s/model", "ratio")
    for name, build in (("digits 64-64-10", digits), ("digits, two convolutions", images)):
        examples = data("digits", standardised=True)
        loop, swept = compare_in_turns(build, *examples, GRID[::4], 2, [0.1, 0.01], epochs=5)
        row(f"    {name}", f"{loop:.3f}", f"{swept:.4f}", f"{loop / swept:.0f}")
        row("    largest difference", f"{largest_difference(build, *examples, epochs=5):.1e}")


def part_f():
    row("(f) a change in the explorer, 25 rates × 5 seeds", "s")
    for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.RMSprop):
        for batch_size, epochs in ((32, 20), (8, 20), (32, 100), (112, 200)):
            build = network(lambda: dense(50, 12, 3), (4,), optimizer)
            named = {"batch_size": batch_size, "epochs": epochs, "progress": False}
            rates = np.geomspace(1e-3, 10, 25)
            spent = statistics.median(
                seconds(sweep_learning_rates, build, rates, *data("iris", True), **named)
                for _ in range(3)
            )
            row(f"    {optimizer.__name__}, batch {batch_size}, {epochs} epochs", f"{spent:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        memory(sys.argv[2])
    else:
        loop_of_fits(iris, RATES[:1], *data("iris"), epochs=2)  # TensorFlow's own start-up
        sweep(iris, RATES, *data("iris"), 1, epochs=2)
        for letter in sys.argv[1:] or "abcdef":
            {"a": part_a, "b": part_b, "c": part_c, "d": part_d, "e": part_e, "f": part_f}[letter]()
