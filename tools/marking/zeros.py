"""The zeros at the beginning of numbers, which a spreadsheet takes away when it saves a roster."""

import json
from collections import Counter

from .files import read_json, write_whole

FILE = "roster_taken.json"


def note(classroom, students):
    """Keep a roster as it was taken, beside the one that a person may edit."""
    text = json.dumps([it._asdict() for it in students], indent=0)
    write_whole(classroom, classroom.folder / FILE, text)


def restored(classroom, students):
    """Return the students of an edited roster, with the zeros that they had when it was taken.

    Where two ids differ in their zeros alone, nothing is guessed.
    """
    known = read_json(classroom.folder / FILE, [])
    both = [it["id"] for it in known], [it.id for it in students]
    twice = {bare for ids in both for bare, n in Counter(map(_bare, ids)).items() if n > 1}
    taken = {_bare(it["id"]): it for it in known if _bare(it["id"]) not in twice}
    return [_with_zeros(it, taken.get(_bare(it.id), {})) for it in students]


def _bare(text):
    return text.lstrip("0") if text.isdigit() else text


def _with_zeros(student, taken):
    own = student._asdict()
    lost = {name: it for name, it in taken.items() if own.get(name) == _bare(it) != it}
    return student._replace(**lost)
