"""Files that are there whole or not at all, and one command at a time in a class's folder."""

import contextlib
import csv
import hashlib
import io
import json
import os
import shutil
import uuid
from typing import NamedTuple

from filelock import FileLock, Timeout

from . import tables

COLUMNS = ("step", "lesson", "student", "reason", "what to do")  # of problems.csv
NOT_PUBLIC = "# names, marks and answers: git leaves this folder alone, wherever it lies\n*\n"
ASIDE = ".aside"  # what is being written lies here, on the same disk as what is in place


class Problem(NamedTuple):
    """What went wrong with one student: a row of `problems.csv`."""

    student: str
    reason: str
    advice: str


def write_whole(classroom, path, content):
    """Write a file aside and move it into place; nobody ever sees a half of it.

    Parameters
    ----------
    classroom : Classroom
    path : Path
        Where it belongs, in the class's folder; folders on the way are made.
    content : str or bytes
        Of a text, half a letter (a lone surrogate) becomes a question mark.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    aside = classroom.folder / ASIDE / uuid.uuid4().hex
    for folder in (aside.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    aside.write_bytes(data)
    os.replace(aside, path)


def make_private(folder):
    """Make a class's folder, if there is none, and tell git to leave it alone."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text(NOT_PUBLIC, encoding="utf-8")


@contextlib.contextmanager
def locked(classroom):
    """Let one command at a time change a class; clear away what a killed one left half done."""
    make_private(classroom.folder)
    lock = FileLock(classroom.folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        words = f"Another command is at work in {classroom.folder}: wait for it, or stop it."
        raise SystemExit(words) from None
    aside = classroom.folder / ASIDE
    try:
        shutil.rmtree(aside, ignore_errors=True)
        yield
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        lock.release()


def read_json(path, otherwise):
    """Return what a file of the class's folder holds, or something else if there is none.

    Raises
    ------
    SystemExit
        If it is damaged; the message says what a person can do.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else otherwise
    except ValueError as error:
        raise SystemExit(
            f"{path} is damaged ({error}): put back a copy of it, or remove it, which loses what "
            "it holds"
        ) from None


def digest(*parts):
    """Return a short text that says whether some bytes are still the same.

    Examples
    --------
    >>> digest(b"ab", b"c") == digest(b"a", b"bc")
    False
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()[:32]


def note_problems(classroom, step, lesson, found):
    """Replace a step's rows of a lesson in the class's `problems.csv`, and return the path."""
    path = classroom.folder / "problems.csv"
    own = {"step": step, "lesson": lesson.assignment}
    kept = [it for it in problems(classroom) if any(it[k] != own[k] for k in own)]
    new = [dict(zip(COLUMNS, (step, lesson.assignment, *it))) for it in found]
    if new or kept or path.exists():
        write_whole(classroom, path, as_csv(COLUMNS, kept + new))
    return path


def problems(classroom):
    """Return the rows of the class's `problems.csv`."""
    path = classroom.folder / "problems.csv"
    if not path.exists():
        return []
    return tables.rows(path, COLUMNS, COLUMNS)


def settle(classroom, step, lesson, is_settled):
    """Take a step's rows of a lesson out of `problems.csv` that a person has settled."""
    rows, own = problems(classroom), {"step": step, "lesson": lesson.assignment}
    kept = [it for it in rows if any(it[k] != own[k] for k in own) or not is_settled(it)]
    if kept != rows:
        write_whole(classroom, classroom.folder / "problems.csv", as_csv(COLUMNS, kept))


def as_csv(columns, rows):
    """Return a table as the text of a CSV file; no cell of it is a formula to a spreadsheet."""
    file = io.StringIO(newline="")
    table = csv.DictWriter(file, columns)
    table.writeheader()
    table.writerows({it: tables.no_formula(row.get(it)) for it in columns} for row in rows)
    return file.getvalue()


def printable(words):
    """Return a text without characters that would command a terminal.

    Examples
    --------
    >>> printable("anna\\x1b[2J\\nbert")
    'anna?[2J?bert'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in str(words))
