"""Which lesson a notebook belongs to: the notebook knows it, whatever its file is called."""

import json
import re
from functools import lru_cache

import nbformat

from tools import exercises

CLEAR = 0.25  # the share of a lesson's text that tells that a notebook is of this lesson
CELLS = 2_000  # what is read of a notebook to find out


class NoNotebook(ValueError):
    """A file is no notebook, or is damaged."""


@lru_cache(64)
def _texts(path, changed):
    """Return what does not change between answers: ids and texts of a release's cells."""
    cells = nbformat.read(path, as_version=4).cells
    fixed = [it for it in cells if not it.metadata.get("nbgrader", {}).get("solution")]
    texts = frozenset(_bare(it.source) for it in fixed if len(it.source) > 20)
    names = frozenset(it.id for it in cells)
    return texts, names


def _bare(text):
    """Return a text without what the class's seed changes, and without the ends of lines."""
    return (
        re.sub(r"CLASS_SEED = \d+", "CLASS_SEED", text)
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .strip()
    )


def known(classroom):
    """Return the releases by the lesson's two digits: the class's own, and the public ones."""
    public = sorted(exercises.RELEASES.glob("[0-9][0-9]_*/*.ipynb"))
    own = [classroom.file("release", it) for it in classroom.lessons()]
    return {path.parent.name[:2]: path for path in (*public, *own) if path.exists()}


def lesson_of(classroom, content):
    """Return the two digits of a notebook's lesson, or "" if it looks like none of them.

    Parameters
    ----------
    classroom : Classroom
    content : bytes

    Raises
    ------
    NoNotebook
        If the file is none.
    """
    texts, names = _read(content)
    scores = {}
    for number, path in known(classroom).items():
        wanted, ids = _texts(path, path.stat().st_mtime_ns)
        by_text = len(wanted & texts) / max(1, len(wanted))
        by_name = len(ids & names) / max(1, len(ids))
        scores[number] = by_text, by_name
    best = max(scores, key=scores.get, default="")
    if not best:
        return ""
    by_text, by_name = scores[best]
    others = [score[0] for number, score in scores.items() if number != best]
    clear = by_text >= CLEAR and by_text > 2 * max(others, default=0)
    return best if clear or (by_text > max(others, default=0) and by_name > 0.5) else ""


def is_blank(classroom, lesson, content):
    """Tell whether a notebook holds nothing but what its lesson's release holds."""
    path = classroom.file("release", lesson)
    return _read(content)[0] - {""} <= _all_texts(path, path.stat().st_mtime_ns)


@lru_cache(64)
def _all_texts(path, changed):
    return {_bare(it.source) for it in nbformat.read(path, as_version=4).cells}


def _read(content):
    """Return the texts of a file's cells, and the names that they have or had."""
    try:
        cells = cells_of(text_of(content))
        texts, names = set(), set()
        for cell in cells[:CELLS]:
            source = cell.get("source", "")
            text = source if isinstance(source, str) else "".join(source)
            texts.add(_bare(text[:100_000]))
            names |= {it for it in called(cell, metadata_of(cell)) if isinstance(it, str)}
    except Exception as error:
        raise NoNotebook(why_not(error)) from None
    return frozenset(texts), frozenset(names)


def why_not(error):
    """Return in words why a file could not be read as a notebook.

    Examples
    --------
    >>> why_not(json.JSONDecodeError("Expecting value", "{\\n?", 2))
    'it is no JSON from line 2 on'
    """
    if isinstance(error, NoNotebook):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON from line {error.lineno} on"
    return "what it holds is not as Jupyter writes it: open it in JupyterLab and save it anew"


def text_of(content):
    """Return the text of a notebook's file, which an editor may have stored as UTF-16.

    Raises
    ------
    NoNotebook
        If it is stored in another way.

    Examples
    --------
    >>> text_of("{}".encode("utf-16")), text_of("{}".encode("utf-8-sig"))
    ('{}', '{}')
    """
    try:
        return content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        why = "its letters are stored neither as UTF-8 nor as UTF-16"
        raise NoNotebook(f"{why}: an editor has changed them") from None


def cells_of(text):
    """Return the cells of a notebook, as its file has them.

    Raises
    ------
    NoNotebook
        If it has none that can be read; other errors if it is no JSON.
    """
    data = json.loads(text)
    if isinstance(data, dict) and "worksheets" in data:
        raise NoNotebook("it has a form of before 2015: open it in JupyterLab and save it anew")
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise NoNotebook("it has no cells")
    return data["cells"]


def metadata_of(part):
    """Return the metadata of a notebook or a cell, which a tool may have taken away."""
    data = part.get("metadata")
    return data if isinstance(data, dict) else {}


def called(cell, metadata):
    """Return what may be a cell's name: its grade id, its id, the id that Colab keeps.

    Examples
    --------
    >>> called({"id": "a"}, {"nbgrader": None, "id": "b"})
    (None, 'a', 'b')
    """
    own = metadata.get("nbgrader")
    grade_id = own.get("grade_id") if isinstance(own, dict) else None
    return grade_id, cell.get("id"), metadata.get("id")
