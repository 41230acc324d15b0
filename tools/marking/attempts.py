"""Every file that was found to be a student's, with its time: `collected.csv`."""

import json
import re
from collections import defaultdict

from . import tables
from .files import as_csv, read_json, write_whole

BY_HAND = "time by hand"  # a person may write here when a file was handed in
TIMES = "collected_times.json"
OWN = ("folder", "file", "common")  # layouts of a person's own making, and of no platform
COLUMNS = (
    "lesson", "student", "taken", "file", "handed in", "late", "layout", BY_HAND, "digest",
)  # fmt: skip


def taken(classroom):
    """Return the rows of `collected.csv`: every file that was found to be a student's.

    A person may have saved it in a spreadsheet, which drops zeros and writes dates in its own way.
    """
    path = classroom.folder / "collected.csv"
    if not path.exists():
        return []
    rows = [_as_written(it) for it in tables.rows(path, COLUMNS, ("lesson", "student", "file"))]
    known = read_json(classroom.folder / TIMES, {})
    rows = _with_their_students(rows, known)
    if all(re.match(r"\d{4}-|$", it["handed in"]) for it in rows):
        return rows
    return [{**it, "handed in": known.get(_key(it), it["handed in"])} for it in rows]


def _with_their_students(rows, known):
    """Return rows with the students that they were written with, such as 007 or mar12.

    A spreadsheet makes 7 and 12-Mar of these. Where one file is several students', nothing is
    guessed.
    """
    students = defaultdict(list)
    for key in known:
        number, student, file = key.split("/", 2)
        students[number, file].append(student)

    def student(row):
        written = students[row["lesson"], f"{row['digest']}/{row['file']}"]
        return written[0] if len(written) == 1 else row["student"]

    return [{**row, "student": student(row)} for row in rows]


def _key(row):
    return "/".join(row[name] for name in ("lesson", "student", "digest", "file"))


def _write(classroom, rows):
    """Write the table, and the times once more where no spreadsheet changes how they look."""
    write_whole(classroom, classroom.folder / "collected.csv", as_csv(COLUMNS, rows))
    times = json.dumps({_key(it): it["handed in"] for it in rows}, indent=0)
    write_whole(classroom, classroom.folder / TIMES, times)


def _as_written(row):
    times = {name: _with_the_year_first(row[name]) for name in ("handed in", BY_HAND)}
    return {**row, **times, "lesson": row["lesson"].strip().zfill(2)}


def _with_the_year_first(words):
    """Return a time as the course writes it, if it is written with points.

    Examples
    --------
    >>> _with_the_year_first("20.11.2026 18:30"), _with_the_year_first("soon")
    ('2026-11-20 18:30', 'soon')
    """
    return re.sub(r"^\s*(\d\d?)\.(\d\d?)\.(\d{4})(?= |$)", _turned, words)


def _turned(found):
    day, month, year = found.groups()
    return f"{year}-{month:0>2}-{day:0>2}"


def of(classroom, lesson, student):
    """Return a student's rows of a lesson."""
    rows = taken(classroom)
    return [it for it in rows if (it["lesson"], it["student"]) == (lesson.number, student)]


def by_student(classroom, lesson):
    """Return the row of the file that counts, by student, see `originals`."""
    rows = originals([it for it in taken(classroom) if it["lesson"] == lesson.number])
    return {it["student"]: it for it in rows if it["taken"]}


def row_of(lesson, student, found, chosen):
    """Return the row of a file; `found` has `file`, `whose` and `digest`."""
    return {
        "lesson": lesson.number,
        "student": student,
        "taken": "yes" if chosen else "",
        "file": found.file.place,
        "handed in": found.whose.time or found.file.handed_in,
        "late": "yes" if found.whose.late else "",
        "layout": found.whose.platform,
        BY_HAND: "",
        "digest": found.digest,
    }


def note(classroom, lesson, rows):
    """Put students' new rows in the place of their old ones, and keep their other attempts.

    The same file, downloaded once more, was handed in when it was first seen. Of two of one name
    the earlier stays only if others have copies of it, for their time is in its row.
    """
    fresh, names = {row["student"] for row in rows}, {_name(row) for row in rows}
    settled = {row["student"] for row in rows if row["taken"]}
    mine, others = [], []
    for row in taken(classroom):
        same = row["lesson"] == lesson.number and row["student"] in fresh
        (mine if same else others).append(row)
    new, known = [], defaultdict(list)
    for row in mine:
        known[row["student"]].append(row)
    for row in rows:
        before = [it for it in known[row["student"]] if _is_same(it, row)]
        was = "".join(it["taken"] for it in before)[:3] if row["student"] not in settled else ""
        new.append(_as_first_seen({**row, "taken": row["taken"] or was}, before))
    same = {(row["student"], row["digest"]) for row in rows if row["digest"]}
    copies = {it["digest"] for it in (*others, *mine) if it["layout"] in OWN and it["digest"]}
    kept = [
        {**row, "taken": "" if row["student"] in settled else row["taken"]}
        for row in mine
        if _name(row) not in names or (row["layout"] not in OWN and row["digest"] in copies)
        if (row["student"], row["digest"]) not in same
    ]
    _write(classroom, others + kept + new)


def drop(classroom, lesson, student):
    """Note that none of a student's files counts any more."""
    rows = [
        {**it, "taken": ""} if (it["lesson"], it["student"]) == (lesson.number, student) else it
        for it in taken(classroom)
    ]
    _write(classroom, rows)


def _name(row):
    return row["student"], row["file"]


def _is_same(one, other):
    same = one["student"] == other["student"] and one["digest"] == other["digest"]
    return same and bool(one["digest"])


def _as_first_seen(row, before):
    times = [it["handed in"] for it in (*before, row) if it["handed in"]]
    by_hand = [it[BY_HAND] for it in before if it[BY_HAND]]
    row = {**row, "handed in": min(times, default=""), BY_HAND: "".join(by_hand[:1])}
    platforms = [it for it in before if it["layout"] not in OWN]
    if row["layout"] in OWN and platforms:  # its copy for a group; the page goes to the platform
        row |= {name: platforms[0][name] for name in ("file", "late", "layout")}
    return row


def originals(rows):
    """Return rows where a copy of another student's file has the time and layout of that file.

    An instructor copies a group's file into folders for its members, and the copies have dates of
    their own. A time that a person wrote stays. If several handed in that file, the first counts.
    """
    others = [it for it in rows if it["layout"] not in OWN and it["digest"]]
    others.sort(key=lambda it: it[BY_HAND] or it["handed in"], reverse=True)
    first = {it["digest"]: it for it in others}
    names = ("handed in", "late", "layout")

    def original(row):
        of = first.get(row["digest"]) if row["layout"] in OWN else None
        if not of:
            return row
        return row | {it: of[it] for it in names} | {BY_HAND: row[BY_HAND] or of[BY_HAND]}

    return [original(row) for row in rows]
