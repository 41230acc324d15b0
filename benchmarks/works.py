"""The works that `benchmarks.sweep` measures, in Keras alone: they run on any backend.

A  Iris, 50-12-3, 64 rates × 5 seeds × 20 epochs
B  digits, 64-64-10, 31 rates × 5 seeds × 5 epochs
C  digits as images, two convolutions, 16 rates × 3 seeds × 5 epochs
D  A with Dropout and BatchNormalization
E  texts: an Embedding, its mean, two dense layers; 32 rates × 3 seeds × 5 epochs
F  series: a block of a transformer, Adam; 16 rates × 3 seeds × 5 epochs
"""

from typing import NamedTuple

import keras
import numpy as np
from keras import layers

BATCH_SIZE = 32
LOSS = "sparse_categorical_crossentropy"


class Work(NamedTuple):
    """A sweep: how a model is built, on what it is trained, and how much of it."""

    build: callable
    data: str
    rates: int
    seeds: int
    epochs: int

    @property
    def learning_rates(self):
        return np.geomspace(1e-3, 1, self.rates)


def sequential(shape, *parts, optimizer="sgd"):
    """Return a function that builds a classifier; each part is a function that makes a layer."""

    def build():
        model = keras.Sequential([keras.Input(shape), *(part() for part in parts)])
        model.compile(optimizer, LOSS, metrics=["accuracy"])
        return model

    return build


def dense(width, activation="relu"):
    return lambda: layers.Dense(width, activation)


def transformer():
    x = inputs = keras.Input((8, 6))
    x = layers.Dense(16)(x)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    y = layers.Dense(16)(layers.Dense(32, "relu")(x))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + y))
    model = keras.Model(inputs, layers.Dense(3, "softmax")(x))
    model.compile("adam", LOSS, metrics=["accuracy"])
    return model


HIDDEN = dense(50), dense(12), dense(3, "softmax")
NOISY = dense(50), layers.BatchNormalization, lambda: layers.Dropout(0.3), *HIDDEN[1:]
IMAGES = (
    lambda: layers.Reshape((8, 8, 1)),
    lambda: layers.Conv2D(8, 3, activation="relu"),
    layers.MaxPooling2D,
    lambda: layers.Conv2D(16, 3, padding="same", activation="relu"),
    layers.Flatten,
    dense(10, "softmax"),
)
TEXTS = (
    lambda: layers.Embedding(1000, 16),
    layers.GlobalAveragePooling1D,
    dense(16),
    dense(3, "softmax"),
)
WORKS = {
    "A": Work(sequential((4,), *HIDDEN), "iris", 64, 5, 20),
    "B": Work(sequential((64,), dense(64), dense(10, "softmax")), "digits", 31, 5, 5),
    "C": Work(sequential((64,), *IMAGES), "digits", 16, 3, 5),
    "D": Work(sequential((4,), *NOISY), "iris", 64, 5, 20),
    "E": Work(sequential((20,), *TEXTS), "texts", 32, 3, 5),
    "F": Work(transformer, "series", 16, 3, 5),
}


def made_up(name):
    """Return made-up texts or series of three kinds: (x, y) to train on, and held out."""
    random = np.random.default_rng(0)
    y = random.integers(3, size=640)
    if name == "texts":
        x = (y[:, None] * 200 + random.integers(500, size=(640, 20))).astype("int32")
    else:
        x = random.normal(size=(3, 8, 6))[y] + random.normal(size=(640, 8, 6))
    return (x[:512], y[:512]), (x[512:], y[512:])
