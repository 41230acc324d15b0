"""A small network in NumPy, which trains in hundredths of a second: for exercises 8.

Weights are a list of (kernel, bias). With whole numbers as targets, the last layer's outputs are
scores and the loss is cross-entropy; with floats, the loss is the mean squared error.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Run(NamedTuple):
    """A training: where it ended, its curves, and the rate of each update."""

    weights: list
    velocities: list
    history: dict
    rates: np.ndarray


def start(sizes, rng):
    """Return weights as Keras starts them: kernels Glorot uniform, biases zero."""
    return [
        (np.sqrt(6 / (n + m)) * rng.uniform(-1, 1, (n, m)), np.zeros(m)) for n, m in pairwise(sizes)
    ]


def layers(weights, x):
    """Return what enters each layer, and what leaves the last."""
    inputs = [x]
    for kernel, bias in weights[:-1]:
        inputs.append(np.maximum(inputs[-1] @ kernel + bias, 0))
    kernel, bias = weights[-1]
    return inputs, inputs[-1] @ kernel + bias


def _judged(outputs, y):
    """Return the loss of each example, and its slopes with respect to the outputs."""
    if y.dtype.kind == "f":
        error = outputs[:, 0] - y
        return error**2, 2 * error[:, np.newaxis]
    logs = outputs - outputs.max(axis=1, keepdims=True)
    logs = logs - np.log(np.exp(logs).sum(axis=1, keepdims=True))
    rows = np.arange(len(y))
    slopes = np.exp(logs)
    slopes[rows, y] -= 1
    return -logs[rows, y], slopes


def loss(weights, x, y):
    """Return the mean loss, infinite if it is no finite number."""
    with np.errstate(all="ignore"):
        value = float(_judged(layers(weights, x)[1], y)[0].mean())
    return value if np.isfinite(value) else np.inf


def gradients(weights, x, y):
    """Return the mean loss and its slopes, of the form of the weights."""
    inputs, outputs = layers(weights, x)
    losses, error = _judged(outputs, y)
    error, slopes = error / len(x), []
    for (kernel, _), entering in zip(weights[::-1], inputs[::-1]):
        slopes.append((entering.T @ error, error.sum(axis=0)))
        error = (error @ kernel.T) * (entering > 0)
    return float(losses.mean()), slopes[::-1]


def train(weights, data, held_out, rate, rng, epochs=10, batch=32, momentum=0.0, shuffle=True,
          first=0, velocities=None):  # fmt: skip
    """Train with SGD; an epoch's loss is the mean over its batches, each before its update.

    Parameters
    ----------
    weights : list of (kernel, bias)
    data, held_out : tuple of two arrays
    rate : callable
        Of the number of the update.
    rng : numpy.random.Generator
    epochs, batch : int
    momentum : float
    shuffle : bool
    first : int
        The number of the first update.
    velocities : list of (kernel, bias), optional
        Of an earlier training.

    Returns
    -------
    Run
    """
    x, y = data
    velocities = velocities or [(0 * kernel, 0 * bias) for kernel, bias in weights]
    history, rates = {"loss": [], "val_loss": []}, []
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            order, losses = rng.permutation(len(x)) if shuffle else np.arange(len(x)), []
            for rows in np.split(order, range(batch, len(x), batch)):
                rates.append(rate(first + len(rates)))
                value, slopes = gradients(weights, x[rows], y[rows])
                losses.append(value)
                velocities = _paired(lambda v, g: momentum * v - rates[-1] * g, velocities, slopes)
                weights = _paired(np.add, weights, velocities)
            history["loss"].append(float(np.mean(losses)))
            history["val_loss"].append(loss(weights, *held_out))
    return Run(weights, velocities, history, np.array(rates))


def _paired(combine, some, others):
    return [tuple(map(combine, *pair)) for pair in zip(some, others)]


def flat(pieces):
    """Return all numbers of some weights or slopes as one row."""
    return np.concatenate([np.ravel(part) for pair in pieces for part in pair])


def largest_curvature(weights, x, y, steps=30, move=1e-4):
    """Return the largest curvature of the mean loss, by power iteration with differences."""
    rng = np.random.default_rng(0)
    direction = [(rng.normal(size=k.shape), rng.normal(size=b.shape)) for k, b in weights]
    for _ in range(steps):
        step = move / np.linalg.norm(flat(direction))
        ahead = _paired(lambda w, d, step=step: w + step * d, weights, direction)
        behind = _paired(lambda w, d, step=step: w - step * d, weights, direction)
        ahead, behind = (gradients(place, x, y)[1] for place in (ahead, behind))
        direction = _paired(lambda a, b: (a - b) / (2 * move), ahead, behind)
    return float(np.linalg.norm(flat(direction)))
