"""Looks at a reader's own examples before lesson 8 splits them, and says what to mend."""

import numpy as np

PARTS = 3  # to train on, to choose with, to test with: a class needs an example for each


def check_table(table):
    """Refuse a table whose inputs, all columns but the last, are not numbers without gaps.

    Parameters
    ----------
    table : pandas.DataFrame

    Raises
    ------
    ValueError
        Names the columns, and says how pandas mends them.
    """
    inputs, last = table.iloc[:, :-1], table.columns[-1]
    words = [name for name in inputs if inputs[name].dtype.kind not in "biuf"]
    if words:
        raise ValueError(
            f"these columns hold words or dates, not numbers: {_listed(words)}. Drop them, or turn "
            f"them into numbers first: table = pd.get_dummies(table, columns={words[:3]}), and "
            f"put the target last again: table[{last!r}] = table.pop({last!r})"
        )
    gaps = [name for name in inputs if inputs[name].isna().any()]
    if gaps:
        raise ValueError(
            f"these columns have gaps: {_listed(gaps)}. Drop those rows, table = table.dropna(), "
            "or fill the gaps first: table = table.fillna(table.median(numeric_only=True))"
        )


def checked(x, y, targets):
    """Return inputs and targets as arrays, once they suit the template.

    Parameters
    ----------
    x : array-like of shape (examples, ...)
    y : array-like of shape (examples,) or (examples, 1), or one-hot of shape (examples, classes)
    targets : str
        "classes" or "numbers".

    Returns
    -------
    x, y : array
        A `y` of shape (examples, 1) comes back as (examples,).

    Raises
    ------
    ValueError
        Says what does not fit, and what to do.
    """
    if targets not in ("classes", "numbers"):
        raise ValueError(f"TARGETS must be 'classes' or 'numbers', got {targets!r}")
    x, y = np.asarray(x), np.asarray(y)
    if len(x) != len(y):
        raise ValueError(f"x and y must be as long as each other, got {len(x)} and {len(y)}")
    if x.ndim < 2:
        raise ValueError(f"x must have a row for each example, got an array of shape {x.shape}")
    y = y.reshape(-1) if y.size == len(y) else y
    if targets == "classes" and y.dtype.kind in "OUS":
        raise ValueError(
            f"y holds names of classes, such as {y[0]!r}: number them first, "
            "names, y = np.unique(y, return_inverse=True)"
        )
    for name, values in (("x", x), ("y", y)):
        if values.dtype.kind not in "biuf":
            raise ValueError(f"{name} must hold numbers, got {values.dtype}")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} has gaps or infinite numbers: drop or fill them first")
    if targets == "classes":
        _check_classes(y)
    elif y.ndim > 1:
        raise ValueError(f"y must have one target for each example, got shape {y.shape}")
    return x.astype(float) if x.dtype == bool else x, y


def _check_classes(y):
    """Refuse targets that are no classes, and classes with too few examples."""
    if y.ndim > 1:
        if not (np.isin(y, (0, 1)).all() and (y.sum(axis=-1) == 1).all()):
            raise ValueError(f"y must have one target for each example, got shape {y.shape}")
        return
    hint = "If y counts or measures something, set TARGETS = 'numbers'"
    if (y != np.round(y)).any():
        raise ValueError(f"classes are whole numbers, y has {y[y != np.round(y)][0]:.4g}. {hint}")
    values, counts = np.unique(y, return_counts=True)
    if counts.min() < PARTS:
        raise ValueError(
            f"class {values[counts.argmin()]:g} has too few examples, {counts.min()}: each of "
            f"the three parts needs one. {hint}"
        )


def _listed(names):
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if names[5:] else "")
