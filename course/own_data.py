"""Looks at a reader's own examples before lesson 8 splits them, and says what to mend."""

import re

import numpy as np
import pandas as pd

NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?(\.\d+)?", re.IGNORECASE)  # pandas adds .1 to a double
PARTS = 3  # to train on, to choose with, to test with: a class needs an example for each
MANY = 10  # words in a column that differ: more, and a tenth of the rows, are too many for dummies
RENUMBER = "names, y = np.unique(y, return_inverse=True)"
SEPARATORS = (";", "\t", "|", " ")
WRITTEN = re.compile(r"[-+]?(\d{1,3}([., ']\d{3})+([.,]\d+)?|\d*,\d+)")  # 1.000,50 or 1,5


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
    _check_layout(table)
    inputs, last = table.iloc[:, :-1], table.columns[-1]
    for name in _without_numbers(table):
        _check_text(name, table[name].dropna())
    words = _without_numbers(inputs)
    for name in words:
        _check_variety(name, table[name])
    if words:
        raise ValueError(
            f"these columns hold words, not numbers: {_listed(words)}. Drop them, or turn "
            f"them into numbers first: table = pd.get_dummies(table, columns={words}), and "
            f"put the target last again: table[{last!r}] = table.pop({last!r})"
        )
    if table[last].isna().any():
        raise ValueError(
            f"the target {last} has gaps: drop those rows, table = table.dropna(subset=[{last!r}])"
        )
    _check_target(table)
    gaps = [name for name in inputs if inputs[name].isna().any()]
    if gaps:
        raise ValueError(
            f"these columns have gaps: {_listed(gaps)}. Drop those rows, table = table.dropna(), "
            "or fill the gaps first: table = table.fillna(table.median(numeric_only=True))"
        )


def _check_text(name, column):
    """Refuse a column without gaps whose text is numbers, at least in part."""
    odd = column[pd.to_numeric(column, errors="coerce").isna()]
    if not len(odd) and column.dtype.kind == "O":  # not a date
        raise ValueError(
            f"the column {name} holds numbers as text: table[{name!r}] = "
            f"pd.to_numeric(table[{name!r}])"
        )
    if len(odd) and all(isinstance(it, str) and WRITTEN.fullmatch(it.strip()) for it in odd):
        point, comma = "'.', ''", "',', '.'"  # the file's other columns stay as they are
        raise ValueError(
            f"the column {name} holds numbers that pandas takes for words, such as "
            f"{odd.iloc[0]!r}. For numbers like 1,000 use pd.read_csv(CSV, thousands=','), for "
            f"numbers like 1,5 decimal=','; for numbers like 1.000,50 table[{name!r}] = "
            f"table[{name!r}].str.replace({point}).str.replace({comma}).astype(float)"
        )
    if 0 < len(odd) < len(column):
        raise ValueError(
            f"the column {name} holds numbers and something else, such as {odd.iloc[0]!r}. "
            f"If that means a gap, say so: pd.read_csv(CSV, na_values=[{odd.iloc[0]!r}])"
        )


def _check_variety(name, column):
    """Refuse a column of dates, or of words that hardly repeat, before a reader makes dummies."""
    kinds, date = column.nunique(), column.dtype.kind == "M"
    if date or kinds > max(MANY, len(column) / 10):
        raise ValueError(
            f"the column {name} holds {kinds} different words or dates, such as "
            f"{str(column.dropna().iloc[0])!r}, too many to give a column each. Drop it, table = "
            f"table.drop(columns=[{name!r}]), or take a number from it; for dates table[{name!r}] "
            f"= pd.to_datetime(table[{name!r}]).dt.year, with dayfirst=True where the day is first"
        )


def _check_target(table):
    """Refuse a target of words, and one that is a dummy, which the other dummies give away."""
    last = table.columns[-1]
    if last in _without_numbers(table):
        raise ValueError(
            f"the target {last} holds words, such as {table[last].iloc[0]!r}: number its classes, "
            f"names, table[{last!r}] = np.unique(table[{last!r}], return_inverse=True)"
        )
    stem = str(last).rpartition("_")[0] + "_"
    dummies = [name for name in table if str(name).startswith(stem) and table[name].dtype == bool]
    set_in_row = table[dummies].sum(axis=1)  # 0 where the word was a gap
    if last in dummies[1:] and set_in_row.max() == 1 and set_in_row.mean() > 0.9:
        raise ValueError(
            f"the last column, {last}, is one of several that get_dummies made of one: "
            f"{_listed(dummies)}. Put the target last again, table['...'] = table.pop('...'); if "
            "it was the target, number its words instead"
        )


def _check_layout(table):
    """Refuse a table that was read with another separator, or whose columns lack their names."""
    names = list(map(str, table.columns))
    if table.shape[1] < 2 or not len(table):
        raise ValueError(
            f"the table needs rows, and inputs and a target, got {table.shape} with these names: "
            f"{_listed(names)}. {_separator(names[0] if names else '')}"
        )
    twice = table.columns[table.columns.duplicated()].unique()
    if len(twice):
        raise ValueError(f"columns must differ in name, got several of: {_listed(list(twice))}")
    numbers = all(isinstance(name, str) and NUMBER.fullmatch(name) for name in table.columns)
    if numbers and names != list(map(str, range(len(names)))):
        raise ValueError(
            f"the first line holds numbers, not names: {_listed(names)}. If it is an example, "
            "read the file without names: pd.read_csv(CSV, header=None)"
        )
    empty = [name for name in table if table[name].isna().all()]
    if empty:
        raise ValueError(
            f"these columns are empty: {_listed(empty)}. Drop them: table = "
            "table.dropna(axis=1, how='all')"
        )
    nameless = [name for name in names if name.startswith("Unnamed: ")]
    if nameless:
        raise ValueError(
            f"these columns have no name in the file: {_listed(nameless)}. A column that only "
            f"numbers the rows must go: table = table.drop(columns={nameless[:3]})"
        )


def _separator(line):
    """Return how to read a file whose first `line` was taken for a single name."""
    found = next((it for it in SEPARATORS if it in line.strip(" ")), None)
    if found is None:
        return "The last column is the target"
    read = "\\s+" if found == " " else found
    more = "; if numbers look like 1,5, add decimal=','" if found == ";" else ""
    return f"If {found!r} separates them, use pd.read_csv(CSV, sep={read!r}){more}"


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
        A `y` of shape (examples, 1) comes back as (examples,), True and False as numbers.

    Raises
    ------
    ValueError
        Says what does not fit, and what to do.
    """
    if targets not in ("classes", "numbers"):
        raise ValueError(f"TARGETS must be 'classes' or 'numbers', got {targets!r}")
    if isinstance(x, pd.DataFrame):
        if words := _without_numbers(x):
            raise ValueError(f"x has columns without numbers: {_listed(words)}")
        x = x.to_numpy(float) if x.to_numpy().dtype == object else x  # with True and False, too
    y = np.asarray(y)
    x = _one_array(x, len(y) if y.ndim else 0)
    if x.dtype.kind in "US" or (x.dtype == object and x.size and isinstance(x.flat[0], str)):
        raise ValueError(
            f"x holds words, such as {str(x.flat[0])[:20]!r}: number them in my_arrays, such as by "
            "keras.layers.TextVectorization with an output_sequence_length"
        )
    if x.ndim < 2 or not x.size:
        raise ValueError(f"x must have a row for each example, got an array of shape {x.shape}")
    if not y.ndim or len(x) != len(y):
        length = len(y) if y.ndim else f"the single value {y}"
        raise ValueError(f"x and y must be as long as each other, got {len(x)} and {length}")
    y = y.reshape(-1) if y.size == len(y) else y
    for name, values in (("x", x), ("y", y)):
        if _has_gaps(values):
            raise ValueError(f"{name} has gaps or infinite numbers: drop or fill them first")
    if targets == "classes" and y.dtype.kind in "OUS":
        raise ValueError(
            f"y holds names of classes, such as '{y.flat[0]}': number them in my_arrays, {RENUMBER}"
        )
    for name, values in (("x", x), ("y", y)):
        if values.dtype.kind not in "biuf":
            hint = ". If all are numbers, use .to_numpy(float)" if values.dtype == object else ""
            raise ValueError(f"{name} must hold numbers, got {values.dtype}{hint}")
    x = x.astype(float) if x.dtype == bool else x
    y = y.astype(int) if y.dtype == bool else y
    if targets == "classes":
        _check_classes(y)
    elif y.ndim > 1:
        raise ValueError(f"y must have one target for each example, got shape {y.shape}")
    if (y == y[0]).all():
        raise ValueError("all examples have the same target: there is nothing to learn")
    return x, y


def _one_array(x, length):
    """Return x as an array, or say how several, or rows that differ in length, become one."""
    parts = isinstance(x, (list, tuple)) and {len(it) for it in x if getattr(it, "shape", ())}
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


def _check_classes(y):
    """Refuse targets that are not classes 0, 1, 2, ..., and classes with too few examples."""
    hint = "If y counts or measures something, set TARGETS = 'numbers'"
    if y.ndim > 1:
        if not (np.isin(y, (0, 1)).all() and (y.sum(axis=-1) == 1).all()):
            raise ValueError(f"y must have one target for each example, got shape {y.shape}")
        y = y.argmax(axis=-1)
    elif (y != np.round(y)).any():
        raise ValueError(f"classes are whole numbers, y has {y[y != np.round(y)][0]:.4g}. {hint}")
    values, counts = np.unique(y, return_counts=True)
    if counts.min() < PARTS:
        raise ValueError(
            f"class {values[counts.argmin()]:g} has too few examples, {counts.min()}: each of "
            f"the three parts needs one. {hint}"
        )
    if not np.array_equal(values, np.arange(len(values))):
        raise ValueError(
            f"classes must be numbered 0, 1, 2, ..., y has {_listed(values.tolist())}: "
            f"renumber them in my_arrays, {RENUMBER}"
        )


def _has_gaps(values):
    if values.dtype == object:
        return pd.isna(values).any()
    return values.dtype.kind == "f" and not np.isfinite(values).all()


def _without_numbers(table):
    """Return the names of the columns that hold neither numbers nor True and False."""
    kinds = zip(table.columns, table.dtypes, strict=True)
    return [name for name, kind in kinds if kind.kind not in "biuf"]


def _listed(names):
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if names[5:] else "")
