"""Train lesson 7's network at many rates and warm-ups, and write its curvature for the view.

python -m tools.curvature_runs        writes data/curvature_runs.npz; takes some minutes
"""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / "data" / "curvature_runs.npz"
RATES = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.6, 0.8, 1.0, 1.2, 1.6, 2.0)
WARM_UPS = (0, 30, 100, 300, 1000)  # updates
UPDATES, EVERY = 1500, 25


def build_network():
    """Return the network of lesson 7 and its 500 digits, with targets of zeros and a one."""
    import keras

    from utils.data import load_split

    def half_square(truth, guess):
        return keras.ops.sum((truth - guess) ** 2, axis=-1) / 2

    split = load_split("digits", standardised=True)
    x, y = split.x_train[:500].astype("float32"), np.eye(10, dtype="float32")[split.y_train[:500]]
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(64, activation="tanh") for _ in range(2)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(10)])
    model.compile(keras.optimizers.SGD(0.1), loss=half_square)
    model.optimizer.build(model.trainable_variables)
    return model, x, y


def make_run(model, x, y):
    """Return a function from rates, one for each update, to losses and curvatures."""
    import tensorflow as tf

    from lrsweep import CurvatureMeter

    weights, start = model.trainable_variables, model.get_weights()
    meter = CurvatureMeter(model, x, y)
    x, y = tf.constant(x), tf.constant(y)

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def train(rates):
        for rate in rates:
            model.optimizer.learning_rate.assign(rate)
            with tf.GradientTape() as tape:
                loss = model.compute_loss(x=x, y=y, y_pred=model(x))
            model.optimizer.apply(tape.gradient(loss, weights), weights)

    def run(rates, every=EVERY):
        model.set_weights(start)
        losses, curvatures = np.full((2, len(rates) // every + 1), np.nan, dtype="float32")
        for reading in range(len(losses)):
            if reading:
                train(np.float32(rates[(reading - 1) * every : reading * every]))
            losses[reading] = model.compute_loss(x=x, y=y, y_pred=model(x))
            if not np.isfinite(losses[reading]):
                break
            curvatures[reading] = meter.largest(tolerance=0.003)
        return losses, curvatures

    return run


def warmed_up(rate, warm_up, updates=UPDATES):
    """Return the rates of a linear warm-up that reaches `rate` with its last update."""
    t = np.arange(updates)
    return rate * np.minimum((t + 1) / max(warm_up, 1), 1)


def main():
    run = make_run(*build_network())
    grid = [[run(warmed_up(rate, warm_up)) for warm_up in WARM_UPS] for rate in RATES]
    losses, curvatures = np.moveaxis(np.array(grid), 2, 0)
    updates = np.arange(0, UPDATES + 1, EVERY)
    names = {"rates": RATES, "warm_ups": WARM_UPS, "updates": updates}
    np.savez_compressed(PATH, losses=losses, curvatures=curvatures, **names)
    lost = int(np.isnan(losses[..., -1]).sum())
    print(f"{losses[..., 0].size} runs, {lost} of them lost, in {PATH.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
