"""Small models and data sets, made anew for each seed: what patients and benchmarks share."""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers, optimizers
from sklearn import datasets
from sklearn.model_selection import train_test_split

CROSSENTROPY = "sparse_categorical_crossentropy"
SGD, ADAM = optimizers.SGD, optimizers.Adam
CLASSES = {"iris": 3, "wine": 3, "digits": 10, "breast_cancer": 2}


class Case(NamedTuple):
    """A model, or a function that builds one, with its examples and what `fit` would be given."""

    model: object
    train: object
    validation: object
    arguments: dict


def data(name, seed, scaled=True):
    """Return a data set of scikit-learn, (train, validation), with a seed's own split."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = np.asarray(x, float)
    if name == "diabetes":
        x, y = 100 * x, (y - y.mean()) / y.std() if scaled else y
    x, x_out, y, y_out = train_test_split(x, y, test_size=0.25, random_state=seed)
    if scaled:
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        deviation[deviation == 0] = 1
        x, x_out = (x - mean) / deviation, (x_out - mean) / deviation
    return (x, y), (x_out, y_out)


def least_squares(seed):
    """Return made-up examples of a linear law with noise of variance 0.25, (train, validation)."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(1200, 20))
    y = x @ random.normal(size=20) + 0.5 * random.normal(size=1200)
    return (x[:900], y[:900]), (x[900:], y[900:])


def with_shuffled_labels(pair, seed):
    """Return (train, validation) with labels that belong to other examples."""
    random = np.random.default_rng(seed)
    (x, y), (x_out, y_out) = pair
    held_out = x_out, random.permutation(y_out)
    return (x, random.permutation(y)), held_out


def dense(units, activation="relu", **more):
    """Return a function that makes a layer."""
    return lambda: layers.Dense(units, activation, **more)


def softmax(classes):
    """Return a function that makes a last layer for so many classes."""
    return dense(classes, "softmax")


def built(optimizer, *parts, shape=None, loss=CROSSENTROPY, metrics=None):
    """Return a function that builds a sequential model of what the functions `parts` make."""

    def build():
        model = keras.Sequential([keras.Input(shape), *(part() for part in parts)])
        model.compile(optimizer(), loss, metrics=metrics)
        return model

    return build


def network(name, optimizer, *hidden, seed=0, scaled=True, metrics=None, **arguments):
    """Return a case: a network on a data set, one hidden layer of 32 if none is given."""
    train, validation = data(name, seed, scaled)
    last = [softmax(CLASSES[name])] if name in CLASSES else [dense(1, None)]
    build = built(
        optimizer, *(hidden or [dense(32)]), *last, shape=train[0].shape[1:],
        loss=CROSSENTROPY if name in CLASSES else "mse", metrics=metrics,
    )  # fmt: skip
    return Case(build, train, validation, arguments)
