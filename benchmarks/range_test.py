"""Which rule reads the best learning rate off a range test?

    python -m benchmarks.range_test            # some minutes
    python -m benchmarks.range_test iris wine  # some of the data sets
    python -m benchmarks.range_test --write    # all of them, and the table into lrsweep/README.md

For each data set, optimizer and seed, one range test with its default settings. Each rule's rate
is then used for a short training with three seeds, and its mean validation loss is divided by the
best one that a sweep found for this data set and optimizer. The diabetes targets are left as they
are, so that losses are in the thousands there: a rule must not depend on the loss's unit.

A rate with which a training diverged counts as infinitely bad, and so does no suggestion.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from lrsweep import range_test, sweep_learning_rates
from tools import marked
from utils.data import load_dataset

README = Path(__file__).parent.parent / "lrsweep" / "README.md"
RULES = ("slide", "steep", "minimum", "valley")
EPOCHS = {"iris": 20, "wine": 20, "digits": 5, "diabetes": 20}
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(0.01),
    "momentum": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(),
}
SEEDS = 3
GRID = np.geomspace(1e-4, 10, 41)


def data(name):
    """Return three quarters to train on and one quarter held out, inputs standardised."""
    x, y = load_dataset(name, standardised=True)
    x, x_held_out, y, y_held_out = train_test_split(x, y, test_size=0.25, random_state=0)
    return (x, y), (x_held_out, y_held_out)


def builder(train, optimizer):
    """Return a function that makes a network with one hidden layer for these examples."""
    classes = len(np.unique(train[1])) if train[1].dtype.kind == "i" else 0

    def build():
        layers = [keras.layers.Dense(32, "relu"), keras.layers.Dense(classes or 1)]
        model = keras.Sequential([keras.Input(train[0].shape[1:]), *layers])
        crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(OPTIMIZERS[optimizer](), crossentropy if classes else "mse")
        return model

    return build


def suggestions(build, train, seed):
    """Return what each rule suggests after one range test; nan where it suggests nothing."""
    keras.utils.set_random_seed(seed)
    test = range_test(build(), train, seed=seed)
    rates = []
    for rule in RULES:
        try:
            rates.append(test.suggest(rule))
        except ValueError:
            rates.append(np.nan)
    return rates, test.stopped


def mean_losses(build, rates, parts, epochs):
    """Return the mean validation loss of each rate, infinite where a training diverged."""
    named = {"epochs": epochs, "seeds": SEEDS, "progress": False}
    result = sweep_learning_rates(build, rates, *parts, **named)
    means = result.metrics["val_loss"][:, :, -1].mean(axis=1)
    return np.where(np.isfinite(means), means, np.inf)


def ratios(name, optimizer):
    """Return each rule's loss, as a multiple of the best one, of shape (seeds, rules)."""
    train, held_out = data(name)
    build = builder(train, optimizer)
    found = [suggestions(build, train, seed) for seed in range(SEEDS)]
    rates = np.array([rates for rates, _ in found])
    different = np.unique(rates[np.isfinite(rates)])
    losses = mean_losses(build, different, (train, held_out), EPOCHS[name])
    best = mean_losses(build, GRID, (train, held_out), EPOCHS[name]).min()
    best = min(best, losses.min())
    by_rate = dict(zip(different, losses / best))
    table = np.array([[by_rate.get(rate, np.inf) for rate in row] for row in rates])
    for row, (_, stopped), those in zip(table, found, rates):
        cells = "".join(f"{rate:>10.2g} {ratio:>6.2f}" for rate, ratio in zip(those, row))
        print(f"{name:<10}{optimizer:<10}{cells}   {stopped}", flush=True)
    return table


def markdown(table):
    """Return a row for each rule, those most often within twice the best first."""
    lines = [
        "| rule | median loss ÷ best | within twice the best | worst |",
        "|---|---:|---:|---:|",
    ]
    for rule, column in sorted(zip(RULES, table.T), key=lambda pair: -np.mean(pair[1] <= 2)):
        cells = f"{np.median(column):.2f} | {100 * np.mean(column <= 2):.0f} % | {column.max():.2g}"
        lines.append(f"| {rule} | {cells} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(EPOCHS)}; all without")
    parser.add_argument("--write", action="store_true", help="the table into lrsweep/README.md")
    arguments = parser.parse_args()
    print(f"{'':<20}" + "".join(f"{rule:>17}" for rule in RULES) + "   (rate, loss ÷ best)")
    names = arguments.names or EPOCHS
    table = np.concatenate([ratios(name, it) for name in names for it in OPTIMIZERS])
    print(f"\n{len(table)} curves\n\n{markdown(table)}")
    if arguments.write and not arguments.names:
        text = marked.put(README.read_text(encoding="utf-8"), "range test", markdown(table))
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
