"""Who is in the class, read from a platform's own export."""

import json
import re
from collections import Counter
from typing import NamedTuple

from . import persons, tables, zeros
from .files import Problem, as_csv, locked, read_json, write_whole
from .persons import safe

WHAT = "the roster"
KEPT = ("group", "extension")  # what a person may write into roster.csv, and keeps
HEAD = (  # a cell of a table's head, where a list of ids has none
    r"(?:(?:student|full|first|last|family|given|user)[ _-]?)?(?:names?|ids?|number)"
    r"|e-?mail(?:[ -]?adresse|[ -]?address)?|students?|vorname|nachname|matrikel\w*"
)
STRANGER = "handed in, but is not in the roster, so the platform's file of marks lacks them"
SPOILT = r"\d+([.,_]\d+)?[Ee][_+]\d+"  # such as 1.23457E+11
PLATFORMS = {  # the columns of its export; of several, the first that is filled counts
    "canvas": {
        "known by": [("Student", "ID", "Section"), ("LastName", "FirstName", "ID"),
                     ("Student", "ID", "SIS Login ID"), ("Student", "ID", "SIS User ID")],
        "id": ("SIS Login ID", "SIS User ID", "ID"), "name": ("Student",), "number": ("ID",),
        "last": ("LastName",), "first": ("FirstName",),
        "login": ("SIS Login ID",), "sis": ("SIS User ID",), "section": ("Section",),
        "group": ("Group",),
    },
    "blackboard": {
        "known by": [("Last Name", "First Name", "Username")],
        "id": ("Username",), "last": ("Last Name",), "first": ("First Name",),
        "login": ("Username",), "sis": ("Student ID",),
    },
    "moodle": {
        "known by": [("Email address",), ("Identifier", "Status"), ("ID number", "First name")],
        "id": ("Username", "ID number", "Email address", "Identifier"), "name": ("Full name",),
        "last": ("Last name", "Surname"), "first": ("First name",), "login": ("Username",),
        "email": ("Email address",), "sis": ("ID number",), "number": ("Identifier",),
        "group": ("Groups", "Group"),
    },
}  # fmt: skip


class Student(NamedTuple):
    """A row of the roster.

    `id` names the student in the class's folder; `number` and `sis` are the platform's.
    `extension` is in days.
    """

    id: str
    name: str = ""
    login: str = ""
    email: str = ""
    number: str = ""
    sis: str = ""
    section: str = ""
    group: str = ""
    extension: str = ""
    platform: str = ""


def read_export(content):
    """Return the students of a platform's export, or of a table with the columns id and name.

    Parameters
    ----------
    content : bytes
        See `tables.read`.

    Raises
    ------
    SystemExit
        If there is nobody in it, an id is missing or spoilt, or an id comes twice.
    """
    rows = tables.read(content, WHAT)
    if not rows:
        raise SystemExit(f"{WHAT} is empty")
    head = [cell.strip() for cell in rows[0]]
    for platform, columns in PLATFORMS.items():
        if any(set(names) <= set(head) for names in columns["known by"]):
            lines = [dict(zip(head, map(str.strip, row))) for row in rows[1:]]
            students = [_student(it, columns, platform) for it in lines if not _is_no_one(it)]
            students = _shorter(students) if platform == "moodle" else students
            break
    else:
        students = _plain(head, rows)
    _refuse_decimals(students)
    students = [
        it._replace(id=safe(it.id) if any(map(str.isalnum, it.id)) else "") for it in students
    ]
    if not students:
        raise SystemExit(f"{WHAT} has a head, and nobody below it")
    return checked(students, WHAT)


def _refuse_decimals(students):
    """Refuse numbers that a program has made decimals: no file's name has them so."""
    for it in students:
        for field in ("id", "number", "sis"):
            if re.fullmatch(r"\d+[.,]0+", getattr(it, field)):
                raise SystemExit(
                    f"{WHAT} has the number {getattr(it, field)!r} of {it.name or 'somebody'}, "
                    "which a program has made a decimal: take the platform's own export"
                )


def _is_no_one(line):
    """Tell Canvas's rows that are no students: the points possible, and its test student."""
    name = line.get("Student", line.get("LastName", "x")).strip()
    is_test = (name, line.get("FirstName")) == ("Student", "Test")
    return is_test or name in ("Points Possible", "Student, Test", "")


def _student(line, columns, platform):
    def first(field):
        return next((line[it] for it in columns.get(field, ()) if line.get(it)), "")

    own = {field: first(field) for field in Student._fields if field in columns}
    own["name"] = own.get("name") or f"{first('last')}, {first('first')}".strip(", ")
    return Student(**{**own, "platform": platform})


def _shorter(students):
    """Call students by what stands before the @ of their addresses, if that tells them apart."""
    short = [it.id.split("@")[0] for it in students]
    twice = len({it.lower() for it in short}) < len(short)
    return students if twice else [it._replace(id=name) for it, name in zip(students, short)]


def _plain(head, rows):
    """Read a table of our own: named columns, or the id first and the name second."""
    names = [it.lower() for it in head]
    if set(Student._fields) <= set(names):  # a roster.csv of ours
        rows = [list(map(tables.as_it_was, row)) for row in rows]
    long = [row for row in rows if any(cell.strip() for cell in row[len(head) :])]
    if long:
        raise SystemExit(
            f"{WHAT} has more cells than columns in the row {', '.join(long[0])!r}: a name with a "
            "comma stands in quotation marks"
        )
    if "id" in names:
        known = [it for it in names if it in Student._fields]
        lines = [dict(zip(names, map(str.strip, row))) for row in rows[1:]]
        return [Student(**{it: line.get(it, "") for it in known}) for line in lines]
    if len(head) > 2 or any(re.fullmatch(HEAD, it) for it in names):
        raise SystemExit(
            f"{WHAT}'s columns are not understood: {', '.join(head[:8])}. Take the export of "
            "Canvas, Moodle or Blackboard in English, or make a table with the columns id and name"
        )
    return [Student(*[cell.strip() for cell in row[:2]]) for row in rows]


def checked(students, what):
    """Return students if each has an id of their own that can name a folder.

    Parameters
    ----------
    students : list of Student
    what : str or path
        What an error calls the table that they are from.

    Raises
    ------
    SystemExit
        If an id is missing, spoilt by a spreadsheet, or comes twice (case counts for nothing).
    """
    missing = [it.name or "a row without a name" for it in students if not it.id]
    if missing:
        raise SystemExit(f"{what} has no id for {', '.join(missing[:5])}")
    spoilt = [it.id for it in students if re.fullmatch(SPOILT, it.id) or it.id != safe(it.id)]
    if spoilt:
        raise SystemExit(
            f"{what} has an id that is none, {spoilt[0]!r}: letters, digits and . _ @ - inside, "
            "and no number that a spreadsheet has shortened"
        )
    ids = Counter(it.id.lower() for it in students)
    twice = sorted(it for it in ids if ids[it] > 1)
    if twice:
        raise SystemExit(f"{what} has an id more than once: {', '.join(twice[:5])}")
    return students


def load(classroom):
    """Return the class's roster, by id; empty if there is none."""
    path = classroom.folder / "roster.csv"
    if not path.exists():
        return {}
    lines = tables.rows(path, Student._fields, ("id",))
    students = [Student(*(line[it].strip() for it in Student._fields)) for line in lines]
    students = zeros.restored(classroom, checked(students, path))
    return {it.id: it for it in students}


def take(classroom, content):
    """Make an export the class's roster; groups and extensions written by a person stay."""
    students = read_export(content)
    with locked(classroom):
        before = load(classroom)
        students = checked(persons.as_before(students, before, WHAT), WHAT)
        for place, student in enumerate(students):
            old = before.get(student.id, student)
            kept = {it: getattr(student, it) or getattr(old, it) for it in KEPT}
            students[place] = student._replace(**kept)
        text = as_csv(Student._fields, [it._asdict() for it in students])
        write_whole(classroom, classroom.folder / "roster.csv", text)
        columns = json.dumps([cell.strip() for cell in tables.read(content, WHAT)[0]])
        write_whole(classroom, classroom.folder / "roster_columns.json", columns)
        zeros.note(classroom, students)
    return students


def strangers(classroom, lesson):
    """Return a `Problem` for each who handed in, but is not in the roster (if there is one)."""
    known = load(classroom)
    others = [it for it in classroom.students(lesson) if known and it not in known]
    return [
        Problem(
            it,
            STRANGER,
            f"{classroom.command('roster', FROM='...')} if it has a new list; then collect again; "
            f"if it is nobody's, or somebody's of another name: "
            f"{classroom.command('remove', lesson, STUDENT=it)}",
        )
        for it in others
    ]


def head(classroom):
    """Return the columns of the export that the roster was taken from."""
    return read_json(classroom.folder / "roster_columns.json", [])
