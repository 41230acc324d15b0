"""How often does the first sweep of `utils.first_sweep` hold the best rate of a fine one?

    python -m benchmarks.where_to_start             # nine data sets, two optimizers
    python -m benchmarks.where_to_start --write     # also writes data/where_to_start.csv

A network with one hidden layer is trained on each data set at eight rates from the rule, and at 41
from 1e-5 to 100. The first sweep *holds* the best of the fine one if its own best rate is no worse
in validation loss, seed by seed: by at most two standard errors of the paired differences, or by
2 % of the loss.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

from lrsweep import sweep_learning_rates
from utils.first_sweep import first_sweep

RECORD = Path(__file__).parent.parent / "data/where_to_start.csv"
FINE = np.geomspace(1e-5, 100, 41)
SEEDS, BATCH, UPDATES, MOST = 4, 32, 300, 600
MARGIN = 0.02  # of the loss
LOADED = ("iris", "wine", "breast_cancer", "digits", "diabetes")
MADE = {
    "moons": lambda: datasets.make_moons(500, noise=0.25, random_state=0),
    "classification": lambda: datasets.make_classification(
        600, 20, n_informative=6, n_classes=3, random_state=0
    ),
    "friedman": lambda: datasets.make_friedman1(500, noise=1.0, random_state=0),
}
NAMES = (*LOADED, *MADE, "garments")


def garments():
    """Return features of the course's drawn garments and their kinds."""
    from course.clothing.features import extract_features
    from course.clothing.garments import load_garments
    from utils.models import build_pocket_xception

    images, kinds = load_garments(60, seed=0)
    return extract_features(build_pocket_xception(), images, progress=False), kinds


def examples(name):
    """Return ((x, y), (x_validation, y_validation)), standardised by the training part."""
    if name in LOADED:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    else:
        x, y = MADE[name]() if name in MADE else garments()
    x, x_out, y, y_out = train_test_split(np.asarray(x, float), y, test_size=0.3, random_state=0)
    x, y = x[:MOST], y[:MOST]
    spread = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    if y.dtype.kind == "f":
        y, y_out = (y - y.mean()) / y.std(), (y_out - y.mean()) / y.std()
    return ((x - x.mean(axis=0)) / spread, y), ((x_out - x.mean(axis=0)) / spread, y_out)


def builder(train, optimizer):
    """Return a function that builds a network with 64 relu units."""
    x, y = train
    kind = {"SGD": keras.optimizers.SGD, "Adam": keras.optimizers.Adam}[optimizer]

    def build():
        hidden = keras.layers.Dense(64, "relu")
        if y.dtype.kind == "f":
            last, loss = keras.layers.Dense(1), "mse"
        else:
            last = keras.layers.Dense(int(y.max()) + 1, "softmax")
            loss = "sparse_categorical_crossentropy"
        model = keras.Sequential([keras.Input((x.shape[1],)), hidden, last])
        model.compile(kind(0.01), loss=loss)
        return model

    return build


def compared(name, optimizer, fine=FINE, seeds=SEEDS):
    """Sweep a data set by the rule and finely; return a row of the record."""
    train, validation = examples(name)
    epochs = max(1, round(UPDATES / -(-len(train[0]) // BATCH)))
    rule = first_sweep(optimizer, batch_size=BATCH, width=64, updates=UPDATES)
    rates = np.unique(np.concatenate([rule.learning_rates, fine]))
    result = sweep_learning_rates(
        builder(train, optimizer), rates, train, validation,
        epochs=epochs, batch_size=BATCH, seeds=seeds, progress=False,
    )  # fmt: skip
    loss = result.metrics["val_loss"][:, :, -1]
    loss = np.where(np.isfinite(loss), loss, 1e30)  # lost: worse than any other
    mean = loss.mean(axis=1)
    of_eight, of_fine = (_best(mean, rates, grid) for grid in (rule.learning_rates, fine))
    apart = loss[of_eight] - loss[of_fine]
    error = apart.std(ddof=1) / np.sqrt(seeds)
    low, high = rule.learning_rates[[0, -1]]
    return {
        "data": name, "optimizer": optimizer, "low": low, "high": high,
        "best_of_eight": rates[of_eight], "best_of_fine": rates[of_fine],
        "loss_of_eight": mean[of_eight], "loss_of_fine": mean[of_fine], "error": error,
        "holds": bool(apart.mean() <= max(2 * error, MARGIN * mean[of_fine])),
    }  # fmt: skip


def _best(mean, rates, grid):
    """Return which of all rates has the lowest mean loss among those of a grid."""
    return int(np.argmin(np.where(np.isin(rates, grid), mean, np.inf)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("names", nargs="*", default=NAMES)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names:
        for optimizer in ("SGD", "Adam"):
            rows.append(compared(name, optimizer))
            print(rows[-1], flush=True)
            keras.backend.clear_session()
    table = pd.DataFrame(rows)
    print(f"{table['holds'].sum()} of {len(table)} first sweeps hold the best of the fine one")
    if arguments.write:
        table.to_csv(RECORD, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
