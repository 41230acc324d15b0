"""Forty passes through Xception, or one? Both sides are timed here, on the real photographs.

    CLOTHING_ARCHIVE=path/of/the.zip python -m benchmarks.transfer        # everything
    CLOTHING_ARCHIVE=path/of/the.zip python -m benchmarks.transfer a c    # some of it
    CLOTHING_ARCHIVE=path/of/the.zip python -m benchmarks.transfer 8      # an eighth of them

(a) the ML Zoomcamp loop, 4 learning rates × 10 epochs with the frozen Xception inside the model,
    of which one epoch is timed and taken 40 times, against the features once and one sweep
(b) whether the histories are the same: the loop's epoch, a Keras head on the same batches
(c) the FLOP/s of the feature pass beside those of plain matrix products
(d) peak memory of both sides, each in a process of its own
(e) the same in bfloat16, and what it changes

Xception has random weights: the arithmetic is the same. Both sides work in turns, eight
batches each. Neither time includes the tracing of the large model; that of the sweep is included.
"""

import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from course.clothing._download import DownloadError
from course.clothing._xception import build_xception
from course.clothing.features import make_extractor, see_batches
from course.clothing.photographs import CLASSES, load_photographs
from lrsweep import sweep_learning_rates
from lrsweep._sequential import Experiment, train_one

RATES = [0.0001, 0.001, 0.01, 0.1]
EPOCHS = 10
SIZE = 150  # pixels
BATCH = 32  # as in the tutorial; larger ones cost as much time and more memory
TURN = 8  # batches or products until another side works
MATRIX = 2048
TRAIN, VALIDATION = 3068, 341  # photographs


def compile_head(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.001), loss, metrics=["accuracy"])
    return model


def transfer_model(base):
    """Return the tutorial's model: the frozen base, pooling, and a new last layer."""
    base.trainable = False
    inputs = keras.Input((SIZE, SIZE, 3))
    vectors = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    outputs = keras.layers.Dense(len(CLASSES), dtype="float32")(vectors)
    return compile_head(keras.Model(inputs, outputs))


def head():
    return compile_head(keras.Sequential([keras.Input((2048,)), keras.layers.Dense(len(CLASSES))]))


def calibrated_xception():
    """Return a random Xception whose averages are those of a few photographs.

    Without, its features are almost zero: nothing to train a head on.
    """
    keras.utils.set_random_seed(0)
    base = build_xception(None, SIZE)
    norms = [it for it in base.layers if isinstance(it, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    images, _ = next(iter(load_photographs(SIZE, 32, shuffle=True).train))
    base(images, training=True)
    base.trainable = False
    return base


def flops(base):
    """Return the multiplications and additions of all convolutions for one image."""
    total = 0
    for layer in base.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.SeparableConv2D)):
            _, height, width, _ = layer.output.shape
            kernels = [w for w in layer.get_weights() if w.ndim == 4]
            total += 2 * height * width * sum(kernel.size for kernel in kernels)
    return total


def clock():
    """Return the seconds on the wall, and those of all processors for this process.

    The second hardly depends on what else the machine does.
    """
    return np.array([time.perf_counter(), time.process_time()])


class Side:
    """One of the sides that are timed: a generator that works a little each time it is asked."""

    def __init__(self, steps):
        self.steps, self.seconds, self.turns = steps, np.zeros(2), 0

    def turn(self):
        start = clock()
        if next(self.steps, self) is not self:
            self.turns += 1
        self.seconds += clock() - start


class TakeTurns(keras.callbacks.Callback):
    """Lets other sides work between the batches of a fit, so that all have the same machine."""

    def __init__(self, sides, every):
        super().__init__()
        self.sides, self.every, self.batches, self.away = sides, every, 0, np.zeros(2)

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches % self.every == 0:
            start = clock()
            for side in self.sides:
                side.turn()
            self.away += clock() - start

    on_test_batch_end = on_train_batch_end


def extracting(see, batches, found):
    """Append the features and labels of some batches to `found`, each time it is asked."""
    batches = iter(batches)
    while some := [(x.numpy(), y.numpy()) for x, y in islice(batches, TURN)]:
        pictures, labels = zip(*some)
        found.extend(zip(see_batches(see, pictures), labels))
        yield


def multiplying(dtype="float32"):
    """Multiply two square matrices again and again."""
    a, b = (tf.cast(tf.random.normal((MATRIX, MATRIX)), dtype) for _ in range(2))
    product = tf.function(tf.matmul)
    while True:
        for _ in range(TURN):
            product(a, b).numpy()
        yield


def joined(found):
    x, y = (np.concatenate(column) for column in zip(*found))
    return x, y


def row(what, *cells):
    print(f"{what:<60}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def some(share):
    """Return the training and the validation photographs, or the first batches of them."""
    loaded, counts = load_photographs(SIZE, BATCH), (TRAIN, VALIDATION)
    parts = zip((loaded.train, loaded.validation), counts)
    return [batches.take(-(-n // share // BATCH)) for batches, n in parts]


def part_a(share):
    """Time the loop and the features in turns; return the features and the loop's history."""
    base = calibrated_xception()
    train, validation = some(share)
    model, start = transfer_model(base), Experiment(head, *[np.zeros((1, 2048))] * 4, 1, 32, False)
    model.optimizer.build(model.trainable_variables)
    kept = [v.numpy() for v in model.optimizer.variables]
    quietly = {"verbose": 0, "shuffle": False}  # the photographs keep their order
    model.fit(train.take(3), validation_data=validation.take(1), **quietly)  # warm-up
    for variable, value in zip(model.optimizer.variables, kept):
        variable.assign(value)
    model.layers[-1].set_weights(start.build(0).get_weights())

    see, found, held_out = make_extractor(base), [], []
    see(tf.zeros((BATCH, SIZE, SIZE, 3)))
    parts = (train, found), (validation, held_out)
    once = Side(step for part in parts for step in extracting(see, *part))
    matrices = Side(multiplying())
    matrices.turn()
    matrices.seconds, matrices.turns = np.zeros(2), 0
    turns = TakeTurns([once, matrices], every=TURN)
    begin = clock()
    history = model.fit(train, validation_data=validation, callbacks=[turns], **quietly).history
    epoch = clock() - begin - turns.away
    for _ in range(5):
        once.turn()  # what is left
    train, held_out = joined(found), joined(held_out)
    images, passes = len(train[0]) + len(held_out[0]), len(RATES) * EPOCHS
    epoch *= (TRAIN + VALIDATION) / images
    once.seconds *= (TRAIN + VALIDATION) / images
    matrices.seconds *= (TRAIN + VALIDATION) / images
    matrices.turns *= (TRAIN + VALIDATION) / images
    scaled = "" if share == 1 else f", times scaled up from {images}"
    images = TRAIN + VALIDATION
    full = [[np.resize(a, (n, *a.shape[1:])) for a in part]
            for part, n in ((train, TRAIN), (held_out, VALIDATION))]  # fmt: skip
    begin = clock()
    sweep_learning_rates(head, RATES, *full, EPOCHS, seeds=1, progress=False)
    swept = clock() - begin
    begin = clock()
    many = np.geomspace(1e-4, 1, 25)
    sweep_learning_rates(head, many, *full, EPOCHS, seeds=5, progress=False)
    many = clock() - begin

    def both(what, numbers, form):
        row(what, *(form.format(number) for number in numbers))

    row(f"(a) {images} photographs at {SIZE}×{SIZE}{scaled}", "seconds", "CPU seconds")
    both("    one epoch of the loop", epoch, "{:.1f}")
    both("    features once", once.seconds, "{:.1f}")
    both("    sweep of 4 rates × 10 epochs on the features", swept, "{:.1f}")
    both("    sweep of 25 rates × 5 seeds × 10 epochs", many, "{:.1f}")
    ratio = passes * epoch / (once.seconds + swept)
    both("    loop, 40 epochs / features once and sweep of 4 rates", ratio, "{:.1f} ×")
    row("(c) in the same turns", "GFLOP/s", "per CPU s")
    product = matrices.turns * TURN * 2 * MATRIX**3 / matrices.seconds / 1e9
    both(f"    matrix products, {MATRIX}×{MATRIX}", product, "{:.0f}")
    for what, spent in (("one epoch of the loop", epoch), ("features once", once.seconds)):
        fast = images * flops(base) / spent / 1e9
        both(f"    {what}, reading the photographs included", fast, "{:.0f}")
        both("        share of the matrix products'", 100 * fast / product, "{:.0f} %")
    return train, held_out, history


def part_b(train, held_out, history):
    """Compare histories: largest differences of a loss."""
    row("(b) largest difference of a loss", "1 epoch", "10 epochs")
    one = Experiment(head, *train, *held_out, 1, 32, False)
    ours, _ = train_one(one, 0.001, 0)
    worst = max(abs(history[name][0] - ours[name][0]) for name in ("loss", "val_loss"))
    row("    the loop's epoch, a Keras head on its features", f"{worst:.1e}")
    result = sweep_learning_rates(head, RATES, train, held_out, EPOCHS, seeds=1, progress=False)
    ten = Experiment(head, *train, *held_out, EPOCHS, 32, True)
    for i, rate in enumerate(RATES):
        theirs, _ = train_one(ten, rate, 0)
        names = "loss", "val_loss"
        apart = [np.abs(result.metrics[name][i, 0] - theirs[name]) for name in names]
        cells = f"{max(a[0] for a in apart):.1e}", f"{np.max(apart):.1e}"
        ends = f"val_loss ends at {theirs['val_loss'][-1]:.3g}"
        row(f"    rate {rate}: the sweep, a Keras head ({ends})", *cells)


def part_d():
    row("(d) peak memory of a process", "MB")
    for side in ("imports alone", "loop", "features and sweep"):
        command = [sys.executable, "-m", "benchmarks.transfer", "memory", side]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row(f"    {side}", f"{int(done.stdout) / 1024:.0f}")


def memory(side):
    if side == "loop":
        part = load_photographs(SIZE, 32).train.take(30)
        transfer_model(build_xception(None, SIZE)).fit(
            part, validation_data=part.take(3), verbose=0, shuffle=False
        )
    elif side != "imports alone":
        found, see = [], make_extractor(build_xception(None, SIZE))
        for _ in extracting(see, load_photographs(SIZE, BATCH).train.take(15), found):
            pass
        x = np.resize(joined(found)[0], (3409, 2048))
        y = np.arange(3409) % len(CLASSES)
        rates = np.geomspace(1e-4, 1, 25)
        sweep_learning_rates(head, rates, (x[:3068], y[:3068]), (x[3068:], y[3068:]), EPOCHS,
                             progress=False)  # fmt: skip
    status = Path("/proc/self/status").read_text()  # Linux; ru_maxrss would count the parent too
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


def part_e():
    """Time both precisions in turns on the validation photographs."""
    exact = calibrated_xception()
    keras.config.set_dtype_policy("bfloat16")
    rough = build_xception(None, SIZE)
    keras.config.set_dtype_policy("float32")
    rough.set_weights(exact.get_weights())
    photographs, sides = load_photographs(SIZE, BATCH), {}
    for name, base in (("float32", exact), ("bfloat16", rough)):
        see, found = make_extractor(base), []
        see(tf.zeros((BATCH, SIZE, SIZE, 3)))
        once, product = Side(extracting(see, photographs.validation, found)), multiplying(name)
        next(product)
        sides[name] = once, Side(product), found
    for _ in range(-(-341 // (TURN * BATCH)) + 1):
        for once, product, _ in sides.values():
            once.turn()
            product.turn()
    row("(e) the validation photographs", "ms/image", "GFLOP/s", "matrices", "share")
    for name, (once, product, _) in sides.items():
        fast = 341 * flops(exact) / once.seconds[0]
        best = product.turns * TURN * 2 * MATRIX**3 / product.seconds[0]
        row(f"    {name}", f"{1000 * once.seconds[0] / 341:.1f}", f"{fast / 1e9:.0f}",
            f"{best / 1e9:.0f}", f"{100 * fast / best:.0f} %")  # fmt: skip
    (x, y), (x_rough, _) = (joined(found) for *_, found in sides.values())
    keras.utils.set_random_seed(0)
    model = head()
    model.fit(x, y, 32, 20, verbose=0)
    exactly, roughly = (model.predict(v, verbose=0) for v in (x, x_rough))
    changed = np.mean(exactly.argmax(axis=1) != roughly.argmax(axis=1))
    row("    largest change of a feature (their deviation)", f"{np.abs(x - x_rough).max():.2g}",
        f"{x.std(axis=0).mean():.2g}")  # fmt: skip
    row("    predictions that change, of a head trained in float32", f"{100 * changed:.1f} %")


def main(letters, share):
    try:
        load_photographs()
    except DownloadError as error:
        sys.exit(f"This benchmark needs the real photographs. {error}")
    if set(letters) & set("abc"):
        examples = part_a(share)
        if "b" in letters:
            part_b(*examples)
    for letter, part in (("d", part_d), ("e", part_e)):
        if letter in letters:
            part()


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"]:
        memory(sys.argv[2])
    else:
        shares = [int(word) for word in sys.argv[1:] if word.isdigit()]
        letters = "".join(word for word in sys.argv[1:] if word.isalpha())
        main(letters or "abcde", *(shares or [1]))
