"""Small models, made anew for each seed: what patients and benchmarks share."""

from typing import NamedTuple

import keras
from keras import layers, optimizers

from course.clinic.examples import data

CROSSENTROPY = "sparse_categorical_crossentropy"
SGD, ADAM = optimizers.SGD, optimizers.Adam
CLASSES = {"iris": 3, "wine": 3, "digits": 10, "breast_cancer": 2}


class Case(NamedTuple):
    """A model, or a function that builds one, with its examples and what `fit` would be given."""

    model: object
    train: object
    validation: object
    arguments: dict


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
