"""The data sets of the course, all shipped with scikit-learn: no download.

Lessons 1 to 5, 7, 8.
"""

from dataclasses import dataclass

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

from utils import checks

_LOADERS = {
    "diabetes": datasets.load_diabetes,  # 442 patients, 10 measurements -> disease progression
    "digits": datasets.load_digits,  # 1,797 images of 8×8 pixels -> 10 classes
    "iris": datasets.load_iris,  # 150 flowers, 4 measurements -> 3 species
    "wine": datasets.load_wine,  # 178 wines, 13 measurements -> 3 growers
}


@dataclass(frozen=True)
class Split:
    """Inputs of shape (examples, features) and targets of shape (examples,) in three parts."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_dataset(name, standardised=False):
    """Return all inputs and targets of a data set.

    Parameters
    ----------
    name : str
        "diabetes", "digits", "iris" or "wine".
    standardised : bool
        Whether to give each input column mean 0 and standard deviation 1.

    Returns
    -------
    x : float array of shape (examples, features)
    y : array of shape (examples,)
        Whole class numbers; for diabetes a float.
    """
    x, y = _LOADERS[checks.one_of("name", name, _LOADERS)](return_X_y=True)
    return (standardise(x, x) if standardised else x), y


def standardise(x, reference):
    """Shift and scale the columns of `x` by the mean and standard deviation of `reference`.

    Columns that are constant in `reference` are only shifted.
    """
    x = checks.array("x", x, dimensions=2)
    reference = checks.array("reference", reference, dimensions=2)
    if x.shape[1] != reference.shape[1]:
        raise ValueError(
            f"x must have as many columns as reference, got {x.shape[1]} and {reference.shape[1]}"
        )
    spread = reference.std(axis=0)
    varies = (spread > 0) & (reference != reference[:1]).any(axis=0)  # that of 0.1s alone is 1e-17
    return (x - reference.mean(axis=0)) / np.where(varies, spread, 1)


def load_split(name, standardised=False, validation=0.2, test=0.2, seed=0):
    """Return a data set split into training, validation and test examples.

    Classes keep their shares in each part. The training part alone sets the
    standardisation, so that nothing of the other two leaks into it.

    Parameters
    ----------
    name : str
        As for `load_dataset`.
    standardised : bool
        Whether to standardise the inputs.
    validation, test : float
        Shares of the whole; together below 1.
    seed : int
        Which of the possible splits.

    Returns
    -------
    Split
    """
    validation = checks.fraction("validation", validation)
    test = checks.fraction("test", test)
    seed = checks.whole_number("seed", seed, minimum=0)
    if validation + test >= 1:
        raise ValueError(
            f"validation + test must leave examples to train on, got {validation} + {test}"
        )
    x, y = load_dataset(name)
    classes = None if name == "diabetes" else y
    held = train_test_split(np.arange(len(y)), test_size=test, random_state=seed, stratify=classes)
    rest, last = held
    share = validation / (1 - test)
    classes = None if classes is None else y[rest]
    first, middle = train_test_split(rest, test_size=share, random_state=seed, stratify=classes)
    if standardised:
        x = standardise(x, x[first])
    return Split(x[first], y[first], x[middle], y[middle], x[last], y[last])
