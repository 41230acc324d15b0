"""Looks at a reader's own examples before lesson 8 splits them, and says what to mend."""

from pathlib import Path

import numpy as np
import pandas as pd

from course.own_table import check_table, listed, without_numbers

__all__ = ["check_parts", "check_table", "checked", "upload_on_colab"]

TARGETS = ("classes", "numbers", "labels")
PARTS = 3  # to train on, to choose with, to test with: a class needs an example for each
AS_COLUMNS = (
    "from sklearn.preprocessing import MultiLabelBinarizer, y = "
    "MultiLabelBinarizer().fit_transform(y), and TARGETS = 'labels'"
)
RENUMBER = "names, y = np.unique(y, return_inverse=True)"


def upload_on_colab(path):
    """Ask for a file on Colab and keep it as `path`; elsewhere, do nothing.

    Parameters
    ----------
    path : str
        The name under which the file is read. Colab keeps an older file of that name, and gives
        the new one another; so a single file is kept as `path`, whatever it was called.
    """
    try:
        from google.colab import files
    except ImportError:
        return
    given = files.upload()
    if len(given) == 1:
        Path(path).write_bytes(*given.values())


def checked(arrays, targets):
    """Return inputs and targets as arrays, once they suit the template.

    Parameters
    ----------
    arrays : tuple (x, y)
        As `my_arrays` returns them: x, array-like of shape (examples, ...), and y, array-like of
        shape (examples,) or (examples, 1), one-hot of shape (examples, classes), or 0 and 1 for
        each of several labels, of shape (examples, labels).
    targets : str
        "classes", "numbers" or "labels".

    Returns
    -------
    x, y : array
        A `y` of shape (examples, 1) comes back as (examples,), True and False as numbers.

    Raises
    ------
    ValueError
        Says what does not fit, and what to do.
    """
    if targets not in TARGETS:
        raise ValueError(f"TARGETS must be 'classes', 'numbers' or 'labels', got {targets!r}")
    x, y = _pair(arrays)
    _check_masks(x, y)
    if isinstance(x, pd.DataFrame):
        if words := without_numbers(x):
            _check_objects(x, words)
            raise ValueError(
                f"x has columns without numbers: {listed(words)}. Drop them, or turn words into "
                f"numbers with pd.get_dummies(x, columns={words[:3]}), dates with "
                f"pd.to_datetime(x[{words[0]!r}]).dt.day_of_year"
            )
        x = x.to_numpy(float) if x.to_numpy().dtype == object else x  # with True and False, too
    y = _targets(y, getattr(x, "shape", ()))
    x = _one_array(x, len(y) if y.ndim else 0)
    _check_no_words(x)
    if x.ndim < 2 or not x.size:
        column = ". If it's one number for each example, use np.reshape(x, (-1, 1))"
        hint = ": are x and y swapped?" if y.size > x.size else column
        hint = hint if x.ndim == 1 and x.size else ""
        raise ValueError(
            f"x must have a row for each example, got an array of shape {x.shape}{hint}"
        )
    if not y.ndim or len(x) != len(y):
        length = len(y) if y.ndim else f"the single value {y}"
        raise ValueError(f"x and y must be as long as each other, got {len(x)} and {length}")
    y = y.reshape(-1) if y.size == len(y) else y
    for name, values in (("x", x), ("y", y)):
        if _has_gaps(values):
            raise ValueError(f"{name} has gaps or infinite numbers: drop or fill them first")
    _check_targets_are_numbers(y, targets)
    if x.dtype.kind not in "biuf":
        hint = ". If all are numbers, use .to_numpy(float)" if x.dtype == object else ""
        raise ValueError(f"x must hold numbers, got {x.dtype}{hint}")
    x = x.astype(float) if x.dtype == bool else x
    y = y.astype(int) if y.dtype == bool else y
    if targets == "classes":
        _check_classes(y)
    elif targets == "labels":
        _check_labels(y)
    elif y.ndim > 1:
        raise ValueError(
            f"y must have one number for each example, got shape {y.shape}: keep one column, such "
            "as y[:, 0]. To learn all at once, as an autoencoder does, go without this template: "
            "check_up and sweep_learning_rates take targets of any shape"
        )
    if (y == y[0]).all():
        raise ValueError("all examples have the same target: there is nothing to learn")
    return x, y


def check_parts(train, validation, test, in_time):
    """Refuse a part in which all targets are the same: there, nothing beats a constant answer.

    Parameters
    ----------
    train, validation, test : array
        The targets of each part.
    in_time : bool
        Whether the parts follow each other, as the examples do.

    Raises
    ------
    ValueError
        Names the part, and says how to get others.
    """
    parts = {"train on": train, "choose with": validation, "test with": test}
    alike = [purpose for purpose, part in parts.items() if (part == part[0]).all()]
    if not alike:
        return
    mend = "draw others with another random_state in split, or find more examples that differ"
    if in_time:
        y = np.concatenate([train, validation, test])
        changes = 1 + np.flatnonzero((y[1:] != y[:-1]).reshape(len(y) - 1, -1).any(axis=1))
        mend = (
            f"in time, they change first at example {changes[0]}, last at {changes[-1]}, of "
            f"{len(y)}. If your examples don't follow each other in time, set IN_TIME = False. "
            "Otherwise let my_arrays leave out some at the beginning or the end, or change the "
            "shares to test and to choose with, 0.2 and 0.25 in this cell, until each part has "
            "targets that differ; if none do, find more examples"
        )
    raise ValueError(
        f"all targets to {alike[0]} are the same, {parts[alike[0]][0]}, and each part "
        f"needs some that differ: {mend}"
    )


def _pair(arrays):
    """Return inputs and targets, or say how my_arrays must return them."""
    if any(hasattr(it, "element_spec") for it in (arrays, *_several(arrays))):
        raise ValueError(
            "my_arrays must return arrays, got a tf.data.Dataset: use x, y = map(np.concatenate, "
            "zip(*dataset.as_numpy_iterator())), with dataset.batch(32) if it comes without batches"
        )
    if len(_several(arrays)) != 2:
        got = f"{len(arrays)} values" if isinstance(arrays, tuple) else type(arrays).__name__
        raise ValueError(f"my_arrays must end with return x, y: inputs and targets, got {got}")
    x, y = arrays
    if _are_two_pairs(x, y):
        raise ValueError(
            "my_arrays must return all examples, the template splits them itself: x = "
            "np.concatenate([x_train, x_test]), and y likewise"
        )
    return x, y


def _check_masks(x, y):
    """Refuse masked values, which NumPy would take for the numbers below the mask."""
    for name, values in (("x", x), ("y", y)):
        if np.ma.is_masked(values):
            fill = ", or fill them first, as in x.filled(x.mean())" if name == "x" else ""
            raise ValueError(f"{name} has masked values: drop those examples{fill}")


def _are_two_pairs(x, y):
    """Whether x is training examples and their targets, and y those to test with."""
    if not len(_several(x)) == len(_several(y)) == 2:
        return False
    lengths = [it.shape[0] for it in (*x, *y) if getattr(it, "shape", ())]
    return len(lengths) == 4 and lengths[0] == lengths[1] != lengths[2] == lengths[3]


def _several(values):
    return values if isinstance(values, (tuple, list)) else ()


def _targets(y, shape):
    """Return y as an array, or say what it must be; `shape` is that of x, if it has one."""
    parts = {getattr(it, "shape", ())[:1] for it in _several(y)}
    if isinstance(y, dict) or (shape and parts == {shape[:1]} != {(len(y),)}):
        raise ValueError(
            f"y must be one array, got a {type(y).__name__}: the template takes one target for "
            "each example, so keep one. If each is 0 or 1, set TARGETS = 'labels' and use "
            f"np.column_stack({'list(y.values())' if isinstance(y, dict) else 'y'})"
        )
    try:
        return np.asarray(y)
    except ValueError:
        raise ValueError(
            "y must be one array, and its rows differ in length: give each example as many "
            f"numbers. Lists of labels become columns by {AS_COLUMNS}"
        ) from None


def _one_array(x, length):
    """Return x as an array, or say how several, or rows that differ in length, become one."""
    parts = {it.shape[0] for it in _several(x) if getattr(it, "shape", ())}
    if len(_several(x)) and all(hasattr(it, "toarray") for it in x):
        raise ValueError(
            "x must be one array, got a list of sparse matrices: use "
            "np.concatenate([it.toarray().reshape(1, -1) for it in x])"
        )
    if isinstance(x, dict) or (parts == {length} and len(x) != length):
        raise ValueError(
            f"x must be one array, got a {type(x).__name__}: put several inputs side by side with "
            "np.column_stack([a, b]), and cut them apart in build_model, such as whole[:, :6] of "
            "whole = keras.Input(x.shape[1:])"
        )
    if hasattr(x, "toarray"):
        raise ValueError("x must not be a sparse matrix: use x.toarray()")
    try:
        return np.asarray(x)
    except ValueError:
        raise ValueError(
            "x must be one array, and its rows differ in length: bring series and texts to one "
            "length with keras.utils.pad_sequences, pictures to one size"
        ) from None


def _check_objects(x, names):
    """Refuse columns of a table that hold numbers all the same, as objects or as text."""
    names = [name for name in names if _become_numbers(x[name])]
    if names:
        raise ValueError(
            f"x has columns of numbers kept as {x[names].dtypes.iloc[0]}: {listed(names)}. Use "
            f"x[{names}] = x[{names}].astype(float)"
        )


def _become_numbers(column):
    try:
        column.astype(float)
    except (ValueError, TypeError):  # words or dates
        return False
    return True


def _check_no_words(x):
    """Refuse inputs of text: numbers in disguise, whole texts, or words among numbers."""
    text = x.dtype.kind in "US"
    found = x.flat if text or x.dtype == object else ()
    word = next((it for it in found if isinstance(it, (str, bytes))), None)
    if word is None:
        return
    such = f"such as {str(word)[:20]!r}"
    try:
        x.astype(float)
    except (ValueError, TypeError):
        mend = "number them in my_arrays, such as by keras.layers.TextVectorization with an "
        mend += "output_sequence_length"
        if x.ndim > 1 and x.shape[1] > 1 and not text:
            mend = "drop that column, or turn its words into numbers, such as by pd.get_dummies"
        raise ValueError(f"x holds words, {such}: {mend}") from None
    raise ValueError(f"x holds numbers as text, {such}: use x.astype(float)")


def _check_targets_are_numbers(y, targets):
    first = y.flat[0] if y.size else None
    words = isinstance(first, str) and targets == "labels"
    if words and y.ndim == 2:
        _check_more_than_two_words(y)
    if words or isinstance(first, (list, tuple, set)):
        apart = "y = pd.Series(y).str.split(', *'), " * (words and y.ndim == 1)
        one = ". If they are classes, one for each example, set TARGETS = 'classes'" * words
        raise ValueError(
            f"y holds {'words' if words else 'lists'}, such as {str(first)!r}: if they are "
            f"labels, use {apart}{AS_COLUMNS}{one}"
        )
    if targets != "numbers" and y.dtype.kind in "OUS":
        raise ValueError(
            f"y holds names of classes, such as '{y.flat[0]}': number them in my_arrays, {RENUMBER}"
        )
    if y.dtype.kind in "Mm":
        raise ValueError(
            f"y must hold numbers, got {y.dtype}: to count days from the first, use "
            "y = (y - y.min()) / np.timedelta64(1, 'D')"
        )
    if y.dtype.kind not in "biuf":
        hint = ": if all are numbers, use y.astype(float)" if y.dtype.kind in "OUS" else ""
        raise ValueError(f"y must hold numbers, got {y.dtype}{hint}")


def _check_more_than_two_words(y):
    """Refuse columns of two words, such as no and yes, which stand for 0 and 1, not for labels."""
    kinds = sorted(set(y.flat), key=str)
    if len(kinds) == 2:
        first, last = map(str, kinds)
        raise ValueError(
            f"y holds two words, {first!r} and {last!r}: if there's a column for each label, and "
            f"{last!r} stands for 1, use y = (np.asarray(y) == {last!r}) * 1"
        )


def _check_labels(y):
    """Refuse targets other than 0 or 1 for each of several labels, and labels too rare to split."""
    if y.ndim != 2 or not np.isin(y, (0, 1)).all():
        raise ValueError(
            "labels are 0 and 1 in a column for each, as "
            f"sklearn.preprocessing.MultiLabelBinarizer makes them, got y of shape {y.shape}. For "
            "one class for each example, set TARGETS = 'classes'"
        )
    rare = np.minimum(y.sum(axis=0), (1 - y).sum(axis=0))
    if rare.min() < PARTS:
        raise ValueError(
            f"column {rare.argmin()} of y has too few examples of either 0 or 1, "
            f"{rare.min():g}: each of the three parts needs one"
        )


def _check_classes(y):
    """Refuse targets that are not classes 0, 1, 2, ..., and classes with too few examples."""
    hint = "If y counts or measures something, set TARGETS = 'numbers'"
    if y.ndim > 1:
        zeros_and_ones = y.ndim == 2 and np.isin(y, (0, 1)).all()
        if not (zeros_and_ones and (y.sum(axis=-1) == 1).all()):
            several = ". If each example has several labels, set TARGETS = 'labels'"
            raise ValueError(
                f"y must have one target for each example, got shape {y.shape}"
                + several * bool(zeros_and_ones)
            )
        y = y.argmax(axis=-1)
    elif (y != np.round(y)).any():
        raise ValueError(f"classes are whole numbers, y has {y[y != np.round(y)][0]:.4g}. {hint}")
    values, counts = np.unique(y, return_counts=True)
    if counts.min() < PARTS:
        raise ValueError(
            f"class {values[counts.argmin()]:g} has too few examples, {counts.min()}: each of "
            f"the three parts needs one. {hint}"
        )
    rest = len(y) - -(-len(y) // 5)  # as `split` rounds a fifth, and a quarter of the others
    if -(-rest // 4) < len(values):
        raise ValueError(
            f"y has {len(values)} classes in {len(y)} examples, and each of the two parts held "
            f"out, a fifth, needs room for all of them: {5 * len(values)} examples. {hint}"
        )
    if not np.array_equal(values, np.arange(len(values))):
        raise ValueError(
            f"classes must be numbered 0, 1, 2, ..., y has {listed(values.tolist())}: "
            f"renumber them in my_arrays, {RENUMBER}"
        )


def _has_gaps(values):
    if values.dtype == object:
        return pd.isna(values).any()
    return values.dtype.kind == "f" and not np.isfinite(values).all()
