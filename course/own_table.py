"""Looks at a reader's own table before lesson 8 takes arrays from it, and says what to mend."""

import re

import pandas as pd

from course.own_columns import check_text, check_variety, check_words

NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?(\.\d+)?", re.IGNORECASE)  # pandas adds .1 to a double
SEPARATORS = (";", "\t", "|", " ")
MAPPED = "if .map(...) made them, its keys lack words that the file has, so add those"


def check_table(table):
    """Refuse a table whose inputs, all columns but the last, are not numbers without gaps.

    Otherwise print which column is the target: the last one may not be the one that was meant.

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
    for name in without_numbers(table):
        check_text(name, table[name].dropna())
    words = without_numbers(inputs)
    for name in words:
        check_variety(name, table[name])
    if words:
        raise ValueError(
            f"these columns hold words, not numbers: {listed(words)}. Drop them, or turn "
            f"them into numbers first: table = pd.get_dummies(table, columns={words}), and "
            f"put the target last again: table[{last!r}] = table.pop({last!r})"
        )
    if table[last].isna().any():
        raise ValueError(
            f"the target {last} has gaps: {MAPPED}. Otherwise drop those rows, "
            f"table = table.dropna(subset=[{last!r}])"
        )
    _check_target(table)
    gaps = [name for name in inputs if inputs[name].isna().any()]
    if gaps:
        raise ValueError(
            f"these columns have gaps: {listed(gaps)}. {MAPPED[0].upper()}{MAPPED[1:]}. Otherwise "
            "drop those rows, table = table.dropna(), or fill the gaps first: table = "
            "table.fillna(table.median(numeric_only=True))"
        )
    print(f"inputs: {listed(list(inputs))}; target, the last column: {last}")


def _check_target(table):
    """Refuse a target of words, and one that is a dummy, which the other dummies give away."""
    last = table.columns[-1]
    if last in without_numbers(table):
        check_words(last, table[last])
    stem = str(last).rpartition("_")[0] + "_"
    dummies = [name for name in table if str(name).startswith(stem) and _is_yes_or_no(table[name])]
    set_in_row = table[dummies].sum(axis=1)  # 0 where the word was a gap
    if last in dummies[1:] and set_in_row.max() == 1 and set_in_row.mean() > 0.9:
        raise ValueError(
            f"the last column, {last}, is one of several that get_dummies made of one: "
            f"{listed(dummies)}. Put the target last again, table['...'] = table.pop('...'); if "
            "it was the target, number its words instead"
        )


def _is_yes_or_no(column):
    """Whether a column holds only True and False, or 1 and 0, as get_dummies may write them."""
    return column.isin([0, 1]).all()


def _check_layout(table):
    """Refuse a table that was read with another separator, or whose columns lack their names."""
    names = list(map(str, table.columns))
    nameless = [name for name in names if name.startswith("Unnamed: ")]
    if _has_title(table, names, nameless):
        raise ValueError(
            f"the first line, {names[0]!r}, isn't the line of names. If they're in the next one, "
            "skip it: pd.read_csv(CSV, skiprows=1)"
        )
    if table.shape[1] < 2 or not len(table):
        raise ValueError(
            f"the table needs rows, and inputs and a target, got {table.shape} with these names: "
            f"{listed(names)}. {_separator(names[0] if names else '')}"
        )
    twice = table.columns[table.columns.duplicated()].unique()
    if len(twice):
        raise ValueError(f"columns must differ in name, got several of: {listed(list(twice))}")
    numbers = all(isinstance(name, str) and NUMBER.fullmatch(name) for name in table.columns)
    if numbers and names != list(map(str, range(len(names)))):
        raise ValueError(
            f"the first line holds numbers, not names: {listed(names)}. If it is an example, "
            "read the file without names: pd.read_csv(CSV, header=None)"
        )
    empty = [name for name in table if table[name].isna().all()]
    if empty:
        raise ValueError(
            f"these columns are empty: {listed(empty)}. {_unless_mapped(empty)}: table = "
            "table.dropna(axis=1, how='all')" + _after_shift(table, empty)
        )
    if nameless:
        raise ValueError(
            f"these columns have no name in the file: {listed(nameless)}. A column that only "
            f"numbers the rows must go: table = table.drop(columns={nameless[:3]})"
        )


def _has_title(table, names, nameless):
    """Whether the first line is a title, or tells a spreadsheet the separator."""
    if not names or nameless[:1] == names[:1]:
        return False
    if names[0].startswith("sep="):
        return True
    shifted = len(names) == 1 and not _is_counted(table)
    shifted = shifted and not any(it in names[0] for it in SEPARATORS[:3])  # a title has spaces
    return (shifted or len(nameless) == len(names) - 1 > 0) and _has_names_below(table)


def _has_names_below(table):
    """Whether the first row holds nothing but words, as a line of names does."""
    if not len(table) or any(name is not None for name in table.index.names):
        return False
    before = table.index[0] if isinstance(table.index[0], tuple) else (table.index[0],)
    row = [*(() if _is_counted(table) else before), *table.iloc[0]]
    return all(isinstance(it, str) and re.search(r"[^\W\d]", it) for it in row)


def _is_counted(table):
    """Whether the rows are numbered 0, 1, 2, ..., not named by a first column."""
    return table.index.equals(pd.RangeIndex(len(table)))


def _unless_mapped(empty):
    """Return whether to drop empty columns: not those that a reader's own `map` has emptied."""
    named = any(not str(name).startswith("Unnamed: ") for name in empty)
    return f"{MAPPED[0].upper()}{MAPPED[1:]}. Otherwise drop them" if named else "Drop them"


def _after_shift(table, empty):
    """Return what else to do if pandas took the first column for names of the rows."""
    if table.columns[-1] not in empty or _is_counted(table):
        return ""
    return (
        ". But if each line below the first ends with a separator, pandas has moved the columns: "
        "pd.read_csv(CSV, index_col=False)"
    )


def _separator(line):
    """Return how to read a file whose first `line` was taken for a single name."""
    found = next((it for it in SEPARATORS if it in line.strip(" ")), None)
    if found is None:
        return "The last column is the target"
    read = "\\s+" if found == " " else found
    more = "; if numbers look like 1,5, add decimal=','" if found == ";" else ""
    return f"If {found!r} separates them, use pd.read_csv(CSV, sep={read!r}){more}"


def without_numbers(table):
    """Return the names of the columns that hold neither numbers nor True and False."""
    kinds = zip(table.columns, table.dtypes, strict=True)
    return [name for name, kind in kinds if kind.kind not in "biuf"]


def listed(names):
    """Return the first names in words."""
    return ", ".join(map(str, names[:5])) + (f" and {len(names) - 5} more" if names[5:] else "")
