"""Data sets of the clinic's patients, made anew for each seed, and a look at their labels."""

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split


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


def agreement_of_neighbours(x, y):
    """Return how often an example's nearest other has its label."""
    squares = (x**2).sum(axis=1)
    apart = squares[:, np.newaxis] + squares - 2 * x @ x.T
    np.fill_diagonal(apart, np.inf)
    return float(np.mean(y[apart.argmin(axis=1)] == y))
