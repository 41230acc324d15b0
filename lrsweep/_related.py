"""Whether targets belong to their inputs, asked of the examples alone, without a model."""

import numpy as np
import tensorflow as tf

CLASSES = 100  # whole numbers with at most so many values are classes
ROWS, COLUMNS, SHUFFLES = 1000, 2000, 199
FEW = 10  # targets; with more, fewer inputs are looked at, so that it takes no longer


def target_columns(y):
    """Return targets as floats of shape (examples, columns), a column for each class."""
    classes = np.unique(y) if y.dtype.kind in "iub" else ()
    y = y.reshape(len(y), -1).astype(float)
    if y.shape[1] == 1 and 0 < len(classes) <= CLASSES:
        y = (y == classes).astype(float)
    return y


def largest_correlation(examples, seed):
    """Return the largest correlation of an input with a target, and that of shuffled targets.

    Parameters
    ----------
    examples : Examples
        With a single target. At most 1000 of them are looked at, with 100 of their targets and
        2000 of their inputs, fewer with more than 10 targets.
    seed : int

    Returns
    -------
    found, by_luck : float
        `by_luck` is the largest of 199 shuffles. Where targets have nothing to do with inputs,
        the one they come with is above it once in 200 times (a permutation test: R. A. Fisher,
        "The design of experiments", 1935).
    """
    random = np.random.default_rng(seed)
    x, y = examples.rows(np.sort(random.permutation(len(examples))[:ROWS]))[:2]
    x = np.concatenate([it.reshape(len(it), -1) for it in tf.nest.flatten(x)], axis=1)
    y = target_columns(y)
    y = _some(y, CLASSES, random)
    x = _some(x, COLUMNS // -(-y.shape[1] // FEW), random)
    x, y = _standardised(x), _standardised(y)
    if not x.size or not y.size:
        return 0.0, 0.0
    found = np.abs(x.T @ y).max()
    orders = (random.permutation(len(y)) for _ in range(SHUFFLES))
    by_luck = max(np.abs(x.T @ y[order]).max() for order in orders)
    return float(found), float(by_luck)


def _some(columns, most, random):
    """Return all columns, or so many of them, drawn by chance."""
    if columns.shape[1] <= most:
        return columns
    return columns[:, random.choice(columns.shape[1], most, replace=False)]


def _standardised(columns):
    """Return the finite columns that aren't constant, with mean 0 and length 1."""
    columns = columns.astype(float)
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    columns = columns - columns.mean(axis=0)
    lengths = np.sqrt((columns**2).sum(axis=0))
    varied = lengths > 1e-12 * np.sqrt(len(columns))
    return columns[:, varied] / lengths[varied]
