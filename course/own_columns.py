"""Says of a table's columns how to turn what they hold into numbers, for a reader of lesson 8."""

import re

import pandas as pd

MANY = 10  # words in a column that differ: more, and a tenth of the rows, are too many for dummies
TEXT = 4  # words in a row: more, in most rows, are a text, neither a name nor a date
WRITTEN = re.compile(r"[-+]?(\d{1,3}([., ']\d{3})+([.,]\d+)?|\d*,\d+)")  # 1.000,50 or 1,5
PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")
CURRENCY = r"[$€£¥]|(?:USD|EUR|GBP|CHF|Fr\.) ?"  # before a number; after one, any unit may stand
WITH_UNIT = re.compile(rf"(?P<before>{CURRENCY})?\s*(?P<number>[-+]?\d[\d.,' ]*)(?P<after>(\D.*)?)")
MULTIPLES = {"k": "e3", "K": "e3", "M": "e6", "B": "e9"}  # where plain numbers stand among them
ODD_MARKS = {"\u00a0": "", "\u202f": "", "\u2212": "-"}  # spaces that don't break, and a long minus
DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ].*)?")


def check_text(name, column):
    """Refuse a column whose text is numbers, at least in part.

    Parameters
    ----------
    name : str
    column : pandas.Series
        Without its gaps.

    Raises
    ------
    ValueError
        Says how pandas reads the numbers.
    """
    odd = column[pd.to_numeric(column, errors="coerce").isna()]
    if not len(odd) and column.dtype.kind == "O":  # not a date
        raise ValueError(
            f"the column {name} holds numbers as text: table[{name!r}] = "
            f"pd.to_numeric(table[{name!r}])"
        )
    if len(odd) and all(isinstance(it, str) and WRITTEN.fullmatch(it.strip()) for it in odd):
        mark = next((it for it in "' " if it in odd.iloc[0].strip()), ",")
        point, comma = "'.', ''", "',', '.'"  # the file's other columns stay as they are
        raise ValueError(
            f"the column {name} holds numbers that pandas takes for words, such as "
            f"{odd.iloc[0]!r}. For numbers like 1{mark}000 use pd.read_csv(CSV, "
            f"thousands={mark!r}), for numbers like 1,5 decimal=','; for numbers like 1.000,50 "
            f"table[{name!r}] = table[{name!r}].str.replace({point}).str.replace({comma})"
            ".astype(float)"
        )
    with_digits = odd[odd.astype(str).str.contains(r"\d")]
    marks, signs = _marks(with_digits), odd.drop(with_digits.index)
    if marks and marks[0][0] in MULTIPLES and len(odd) < len(column):
        marks = [(" ", ""), (marks[0][0], MULTIPLES[marks[0][0]]), *marks[1:]]
    if marks and not len(signs):
        _refuse_unit(name, odd.iloc[0], marks)
    if not marks:
        _refuse_odd_marks(name, odd)
    signs = signs if marks else odd
    few = signs.nunique() == 1 or len(odd) < len(column) / 2  # or numbers stand among words
    if len(signs) and (marks or len(odd) < len(column)) and few:
        raise ValueError(
            f"the column {name} holds numbers and something else, such as {signs.iloc[0]!r}. "
            f"If that means a gap, say so: pd.read_csv(CSV, na_values=[{signs.iloc[0]!r}]). A row "
            f"of totals must go: table = table[table[{name!r}] != {signs.iloc[0]!r}]"
        )


def _refuse_odd_marks(name, texts):
    """Raise with the replacement if numbers hold a mark that looks like a usual one, and isn't."""
    for mark, plain in ODD_MARKS.items():
        found = [it for it in texts if mark in str(it)]
        if found and all(WITH_UNIT.fullmatch(it.replace(mark, plain).strip()) for it in found):
            raise ValueError(
                f"the column {name} holds numbers with the mark {mark!r} in them, such as "
                f"{found[0]!r}: table[{name!r}] = table[{name!r}].replace({mark!r}, {plain!r}, "
                "regex=True)"
            )


def _refuse_unit(name, text, marks):
    """Raise with the replacements, in pandas, that leave a number of each text of a column."""
    mend, number = "", text
    for old, new in marks:
        mend += f".str.replace({old!r}, {new!r})"
        number = number.replace(old, new)
    raise ValueError(
        f"the column {name} holds numbers with a unit, such as {text!r}. To read it as "
        f"{float(number):g}: table[{name!r}] = table[{name!r}].astype(str){mend}.astype(float)"
    )


def _marks(texts):
    """Return the replacements that leave a plain number of each text with one and the same unit.

    Parameters
    ----------
    texts : pandas.Series

    Returns
    -------
    list of (str, str)
        Empty if the texts are something else, or metres stand among kilometres.
    """
    if not all(isinstance(it, str) for it in texts) or all(map(DATE.fullmatch, texts)):
        return []
    found = [WITH_UNIT.fullmatch(it.strip()) for it in texts]
    if not found or not all(found):
        return []
    units = {(it["before"] or "", it["after"]) for it in found}
    numbers = [it["number"].strip() for it in found]
    if any(re.match(r"[\u00a0\u202f]\d", after) for _, after in units):
        return []  # thousands, no unit
    if len(units) > 1 or units == {("", "")} or (read := _read_as(numbers)) is None:
        return []
    return [(unit, "") for unit in units.pop() if unit] + read


def _read_as(numbers):
    """Return the replacements that make plain numbers of written ones, or None."""
    if all(PLAIN.fullmatch(it) for it in numbers):
        return []
    for thousands, point in ((",", "."), (".", ","), ("'", "."), (" ", "."), (" ", ",")):
        whole = rf"[-+]?(\d{{1,3}}({re.escape(thousands)}\d{{3}})+|\d+)"
        shape = re.compile(rf"{whole}({re.escape(point)}\d+)?")
        if all(shape.fullmatch(it) for it in numbers):
            return [(thousands, "")] + ([(",", ".")] if point == "," else [])
    return None


def check_variety(name, column):
    """Refuse a column of dates, or of words that hardly repeat, before a reader makes dummies.

    Parameters
    ----------
    name : str
    column : pandas.Series

    Raises
    ------
    ValueError
        Says what else to do with it.
    """
    kinds, date = column.nunique(), column.dtype.kind == "M"
    if not date and kinds <= max(MANY, len(column) / 10):  # few answers, however long each
        return
    if not date and column.dropna().astype(str).str.count(r"\S*[^\W\d]\S*").median() > TEXT:
        raise ValueError(
            f"the column {name} holds texts, such as {str(column.dropna().iloc[0])[:30]!r}. To "
            f"learn from them, end my_arrays without check_table: texts = table[{name!r}].fillna"
            "(''), vectorize = keras.layers.TextVectorization(2000, output_sequence_length=50), "
            "vectorize.adapt(texts) and return vectorize(texts), table.iloc[:, -1]; and begin the "
            "model with an Embedding of 2000 words. Otherwise, or if they are names, drop them: "
            f"table = table.drop(columns=[{name!r}])"
        )
    raise ValueError(
        f"the column {name} holds {kinds} different words or dates, such as "
        f"{str(column.dropna().iloc[0])!r}, too many to give a column each. Drop it, table = "
        f"table.drop(columns=[{name!r}]), or take a number from it; for dates table[{name!r}] "
        f"= pd.to_datetime(table[{name!r}]).dt.year, or .dt.day_of_year, with dayfirst=True "
        "where the day is first"
    )


def check_words(name, column):
    """Refuse a target that holds words or dates.

    Parameters
    ----------
    name : str
    column : pandas.Series
        Without gaps.

    Raises
    ------
    ValueError
        Says how it becomes classes, or numbers.
    """
    if column.dtype.kind in "Mm" or all(DATE.fullmatch(str(it)) for it in column):
        raise ValueError(
            f"the target {name} holds dates, such as {str(column.iloc[0])!r}: count the days from "
            f"the first one, days = pd.to_datetime(table[{name!r}]), with dayfirst=True where the "
            f"day is first, and table[{name!r}] = (days - days.min()).dt.days"
        )
    raise ValueError(
        f"the target {name} holds words, such as {column.iloc[0]!r}: number its classes, "
        f"names, table[{name!r}] = np.unique(table[{name!r}], return_inverse=True)"
    )
