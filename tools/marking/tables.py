"""Tables as platforms export them and spreadsheets save them."""

import csv
import io
import re

FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet computes, or is marked already


def read(content, what):
    """Return the rows of a table that are not empty, each a list of texts.

    Parameters
    ----------
    content : bytes
        Comma, semicolon or tab between columns; UTF-8, UTF-16 or what Windows wrote once.
    what : str or path
        What an error calls it.

    Raises
    ------
    SystemExit
        If it is no table, or a quotation mark in it is not closed.

    Examples
    --------
    >>> read(b"sep=;\\nid;name\\n\\n7;Zoe, M\\n", "the roster")
    [['id', 'name'], ['7', 'Zoe, M']]
    """
    text = _text(content, what).lstrip("\r\n")
    said = re.match(r"(?i)sep=(.)\r?\n", text)  # Excel's word to itself
    text = text[said.end() :] if said else text
    first = re.split("[\r\n]", text, maxsplit=1)[0]
    delimiter = said[1] if said else max("\t;,", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found, begin = [], 1
    try:
        for row in lines:
            begin = lines.line_num + 1
            found += [row] if any(cell.strip() for cell in row) else []
    except csv.Error as error:
        raise SystemExit(f"{what} cannot be read from line {begin} on ({error})") from None
    return found


def _text(content, what):
    if re.match(rb"(?i)\s*<(!doctype|html|table|\?xml)\b", content):
        raise SystemExit(f"{what} is a page, whatever its name says: open it and save it as CSV")
    if content.startswith(b"PK"):
        raise SystemExit(f"{what} is an Excel file (or a zip file): save it as CSV")
    codes = "utf-8-sig", "cp1252"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        codes = ("utf-16",)
    elif b"\0" in content[:2]:
        codes = ("utf-16-be" if content[:1] == b"\0" else "utf-16-le",)
    for code in codes:
        try:
            return content.decode(code)
        except UnicodeDecodeError:
            continue
    raise SystemExit(f"{what} is no text: save it as CSV in UTF-8")


def rows(path, columns, needed=()):
    """Return the rows of a table of the class's folder, each a dict; what is lacking is empty.

    Parameters
    ----------
    path : path
    columns : sequence of str
    needed : collection of str
        Columns without which the table means nothing.
    """
    head, *lines = read(path.read_bytes(), path) or [[]]
    head = [it.strip() for it in head]
    lacking = [it for it in needed if head and it not in head]
    if lacking:
        raise SystemExit(f"{path} has no column {lacking[0]} (it has {', '.join(head[:8])})")
    lines = [map(as_it_was, line) for line in lines]
    return [dict.fromkeys(columns, "") | dict(zip(head, line)) for line in lines]


def no_formula(cell):
    """Return what to write for a cell, so that a spreadsheet computes nothing of a student's.

    Examples
    --------
    >>> no_formula("=1+1"), no_formula("Zoe"), no_formula(-1.5), as_it_was("'=1+1")
    ("'=1+1", 'Zoe', -1.5, '=1+1')
    """
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def as_it_was(cell):
    """Return what `no_formula` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
