"""Every question's marks, and how far they can be relied on."""

import re
from functools import lru_cache
from itertools import count

import nbformat
from nbgrader.api import Gradebook, MissingEntry

from . import attempts, clean, keep, lateness, roster, tables
from .files import as_csv, locked, problems, write_whole

TABLE, WRITTEN = "marks.csv", ".marks_written.csv"  # for a person, and what it was
NOTHING = "nothing handed in"
FAILED, SUSPICIOUS, WAITING, DONE = "failed", "suspicious", "needs marking", "done"


def write(classroom, path=None, gradebook=None):
    """Write the class's table and return its rows.

    A row a student; each assigned lesson has columns of its own, which begin with its number:
    status, marks of each question, total, maximum and notes. `total` sums the lessons.
    """
    tables = table_of(classroom, gradebook)
    people, wrong = roster.load(classroom), _wrong_files(classroom)
    columns, table = ["student", "name", "group"], {}
    for lesson, lines in tables.items():
        names = ["status", *questions(classroom, lesson), "penalty", "total", "max", "notes"]
        columns += [f"{lesson.number} {name}" for name in names]
        for line in lines:
            own = {f"{lesson.number} {name}": line.get(name) for name in names}
            table.setdefault(line["student"], {}).update(own)
    for student in {*table, *people}:
        line, person = table.get(student, {}), people.get(student, roster.Student(student))
        totals = [line.get(f"{lesson.number} total") or 0 for lesson in tables]
        own = {"student": student, "name": person.name, "group": person.group}
        lacking = _lacking(tables, student, wrong) if student in people else {}
        table[student] = {**lacking, **line, **own, "total": sum(totals)}
    result = [table[it] for it in sorted(table)]
    text = as_csv([*columns, "total"], result)
    path = path or classroom.folder / TABLE
    if path == classroom.folder / TABLE:
        write_whole(classroom, classroom.folder / WRITTEN, text)
    write_whole(classroom, path, text)
    return result


def changed_by_hand(classroom):
    """Keep a table that a person has changed since it was written; return where, or None.

    A spreadsheet that saves the same values in its own way has changed nothing.
    """
    path, written = classroom.folder / TABLE, classroom.folder / WRITTEN
    if not path.exists() or not written.exists():
        return None
    if _values(path) == _values(written):
        return None
    names = (classroom.folder / f"marks_changed_by_hand_{n}.csv" for n in count(1))
    kept = next(it for it in names if not it.exists())
    write_whole(classroom, kept, path.read_bytes())
    return kept


def _values(path):
    """Return the cells of a table without zeros, points and blanks that mean nothing."""
    try:
        rows = tables.read(path.read_bytes(), path)
    except SystemExit:
        return path.read_bytes()
    return [[_value(it) for it in row] for row in rows]


def _value(cell):
    try:
        return f"{float(cell.replace(',', '.')):.9g}"
    except ValueError:
        return cell.strip()


def _lacking(lessons, student, wrong):
    """Return the cells of somebody of the roster who has nothing that can be marked."""
    cells = {}
    for lesson in lessons:
        cells[f"{lesson.number} status"] = NOTHING
        cells[f"{lesson.number} notes"] = wrong.get((lesson.assignment, student))
    return cells


def _wrong_files(classroom):
    """Return why what was handed in could not be taken, by assignment and student."""
    found = [it for it in problems(classroom) if it["step"] == "collect"]
    return {(it["lesson"], it["student"]): it["reason"] for it in found}


def table_of(classroom, gradebook=None):
    """Return the rows of all lessons of the class, by lesson."""
    with Gradebook(classroom.gradebook) as own:
        return {it: rows(classroom, it, gradebook or own) for it in classroom.lessons()}


def rows(classroom, lesson, gradebook=None):
    """Return the rows of a lesson: one for each student who handed it in."""
    late = _lateness(classroom, lesson)
    with Gradebook(classroom.gradebook) as own:
        book = gradebook or own
        found = [_row_of(classroom, lesson, it, book) for it in classroom.students(lesson)]
    return [_after(row, late(row["student"])) for row in found]


def _lateness(classroom, lesson):
    """Return a function from a student to the `Late` of the file that was taken."""
    own = lateness.settings(classroom).get(lesson.number, {})
    people, taken = roster.load(classroom), attempts.by_student(classroom, lesson)
    downloaded = lateness.are_downloads(own, taken.values())
    return lambda it: lateness.penalty(own, taken.get(it, {}), people.get(it), downloaded)


def _after(row, late):
    """Return a row after what lateness costs."""
    notes = "; ".join(filter(None, (row.get("notes", ""), late.words, late.problem)))
    row = {**row, "notes": notes, "late": late.words, "late problem": late.problem}
    if "total" not in row:
        return row
    lost = round(late.share * row["total"], 2)
    return {**row, "penalty": lost or None, "total": round(row["total"] - lost, 2)}


def _row_of(classroom, lesson, student, gradebook):
    """Return a student's row; an error in it is that student's alone."""
    try:
        return row(classroom, lesson, student, gradebook)
    except Exception as error:
        notes = f"the marks cannot be read ({type(error).__name__}: {error}): mark it again"
        return {"student": student, "status": FAILED, "notes": notes}


def questions(classroom, lesson):
    """Return the names of the questions and their points, in the notebook's order."""
    path = classroom.file("source", lesson)
    return dict(_questions(path, path.stat().st_mtime_ns))


@lru_cache(64)
def _questions(path, changed):
    source = nbformat.read(path, as_version=4)
    data = [cell.metadata.get("nbgrader", {}) for cell in source.cells]
    return {it["grade_id"]: float(it["points"]) for it in data if it.get("grade")}


def row(classroom, lesson, student, gradebook):
    """Return the row of one student; a submission that could not be marked has no marks."""
    points = questions(classroom, lesson)
    line = {"student": student, "max": sum(points.values())}
    of = keep.expected(classroom, lesson, student)
    failed, why = keep.failure(classroom, lesson, student)
    if failed == of:
        return {**line, **_by_hand(lesson, student, gradebook, points, why)}
    data = keep.record(classroom, lesson, student)
    if data.get("of") != of:
        return {**line, "status": WAITING, "notes": "handed in, and not marked yet: make mark"}
    try:
        entry = gradebook.find_submission_notebook(lesson.notebook, lesson.assignment, student)
    except MissingEntry:
        return {**line, "status": FAILED, "notes": "not in the gradebook: mark it again"}
    grades = {grade.name: grade for grade in entry.grades}
    waiting = [name for name in points if grades[name].needs_manual_grade]
    suspicious, notes = data.get("suspicious", []), data.get("notes", [])
    status = SUSPICIOUS if suspicious else WAITING if waiting else DONE
    notes = [*suspicious, *(_asks(grades[name]) for name in waiting), *notes]
    scores = {name: score(grades[name]) for name in points}
    total = sum(score or 0 for score in scores.values())
    much = [f"{it} has {scores[it]:g} of {points[it]:g}" for it in points if scores[it] is not None
            and scores[it] > points[it]]  # fmt: skip
    return {
        **line, "status": status, **scores, "total": total,
        "notes": clean.shortened("; ".join(notes + much)),  # a table with more cannot be read
        "complete": not waiting, "too much": "; ".join(much),
    }  # fmt: skip


def _by_hand(lesson, student, gradebook, points, why):
    """Return the cells of a submission that could not be run: points only where a person gave."""
    try:
        entry = gradebook.find_submission_notebook(lesson.notebook, lesson.assignment, student)
    except MissingEntry:
        return {"status": FAILED, "notes": why}
    scores = {
        it.name: None if it.needs_manual_grade else it.manual_score for it in entry.grades
    }  # what was given for another file waits
    lacking = [name for name in points if scores[name] is None]
    if len(lacking) == len(points):
        return {"status": FAILED, "notes": why}
    notes = [f"{name} needs points" for name in lacking] or ["its points were given by hand"]
    total = sum(it or 0 for it in scores.values())
    return {
        "status": WAITING if lacking else DONE, **scores, "total": total, "complete": not lacking,
        "notes": "; ".join([*notes, why]), "by hand": True,
    }  # fmt: skip


def give(classroom, lesson, student, question, words):
    """Give a student points for a question by hand, also where the notebook could not be run."""
    most = questions(classroom, lesson)
    if student not in classroom.students(lesson):
        raise SystemExit(f"STUDENT={student} has handed in nothing of {lesson.assignment}")
    if question not in most:
        raise SystemExit(f"QUESTION={question} is none; there are {', '.join(most)}")
    if not re.fullmatch(r"\d+(\.\d+)?", words) or float(words) > most[question]:
        raise SystemExit(f"POINTS={words}: a number from 0 to {most[question]:g}, please")
    with locked(classroom), Gradebook(classroom.gradebook) as gradebook:
        gradebook.update_or_create_student(student)
        gradebook.update_or_create_submission(lesson.assignment, student)
        names = lesson.notebook, lesson.assignment, student
        grade = gradebook.find_grade(question, *names)
        grade.manual_score, grade.needs_manual_grade = float(words), False
        gradebook.db.commit()


def score(grade):
    """Return the points of a question, or None if nobody has given any yet."""
    given = grade.manual_score is not None or not grade.needs_manual_grade
    return grade.score if given else None


def _asks(grade):
    if grade.manual_score is None:
        return f"{grade.name} needs marking"
    return f"{grade.name} needs marking (another answer than the one that has its points)"
