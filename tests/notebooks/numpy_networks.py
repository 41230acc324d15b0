"""ReLU networks in NumPy, many seeds at once: for claims that one seed can't settle.

Every array has a first axis for the seed. A test compares one update with Keras's.
"""

from itertools import pairwise

import numpy as np


def start(sizes, seeds):
    """Return the weights of Keras's usual start (Glorot uniform), one network for each seed."""
    rng = np.random.default_rng(0)
    return [
        (
            np.sqrt(6 / (n + m)) * rng.uniform(-1, 1, (seeds, n, m)),
            np.zeros((seeds, 1, m)),
        )
        for n, m in pairwise(sizes)
    ]


def forward(weights, x):
    """Return the inputs of all layers, and the scores of the last."""
    layers = [x]
    with np.errstate(all="ignore"):
        for kernel, bias in weights[:-1]:
            layers.append(np.maximum(layers[-1] @ kernel + bias, 0))
    kernel, bias = weights[-1]
    return layers, layers[-1] @ kernel + bias


def log_softmax(scores):
    """Return the logarithms of the probabilities."""
    scores = scores - scores.max(axis=-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def gradients(weights, x, one_hot):
    """Return the slopes of the mean cross-entropy, of the same form as the weights."""
    layers, scores = forward(weights, x)
    error, found = (np.exp(log_softmax(scores)) - one_hot) / x.shape[-2], []
    for (kernel, _), layer in zip(weights[::-1], layers[::-1]):
        found.append((layer.mT @ error, error.sum(axis=-2, keepdims=True)))
        error = error @ kernel.mT * (layer > 0)
    return found[::-1]


def losses(weights, x, y):
    """Return the mean cross-entropy of each network, shape (seeds,)."""
    logs = log_softmax(forward(weights, x)[1])
    return -logs[..., np.arange(len(y)), y].mean(axis=-1)


def train(weights, rates, x, y, batch=32, momentum=0.0):
    """Train with SGD for len(rates) updates; return the weights and the loss of each epoch.

    Every network has its own order of batches. An epoch's loss is Keras's: the mean over its
    batches, each taken before its update; shape (epochs, seeds).
    """
    rng, seeds = np.random.default_rng(1), len(weights[0][0])
    one_hot, per_epoch = np.eye(y.max() + 1)[y], -(-len(x) // batch)
    velocities = [(0 * kernel, 0 * bias) for kernel, bias in weights]
    seen = []
    with np.errstate(all="ignore"):
        for t, rate in enumerate(rates):
            if t % per_epoch == 0:
                order = rng.permuted(np.tile(np.arange(len(x)), (seeds, 1)), axis=1)
                seen.append([])
            rows = order[:, t % per_epoch * batch :][:, :batch]
            logs = log_softmax(forward(weights, x[rows])[1])
            seen[-1].append(-np.sum(logs * one_hot[rows], axis=-1).mean(axis=-1))
            slopes = gradients(weights, x[rows], one_hot[rows])
            velocities = [
                tuple(momentum * v - rate * g for v, g in zip(*pair))
                for pair in zip(velocities, slopes)
            ]
            weights = [tuple(w + v for w, v in zip(*pair)) for pair in zip(weights, velocities)]
    return weights, np.array([np.mean(epoch, axis=0) for epoch in seen])
