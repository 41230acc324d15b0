"""Every question's marks, and how far they can be relied on."""

import csv

import nbformat
from nbgrader.api import Gradebook, MissingEntry

FAILED, SUSPICIOUS, WAITING, DONE = "failed", "suspicious", "needs marking", "done"


def write(classroom, lesson, path, gradebook=None):
    """Write a lesson's table and return its rows.

    A row a submission: status, marks of each question, total, maximum, notes.
    """
    with Gradebook(classroom.gradebook) as own:
        rows = [row(classroom, lesson, it, gradebook or own) for it in classroom.students(lesson)]
    columns = ["student", "status", *questions(classroom, lesson), "total", "max", "notes"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
    return rows


def questions(classroom, lesson):
    """Return the names of the questions and their points, in the notebook's order."""
    source = nbformat.read(classroom.file("source", lesson), as_version=4)
    data = [cell.metadata.get("nbgrader", {}) for cell in source.cells]
    return {it["grade_id"]: float(it["points"]) for it in data if it.get("grade")}


def row(classroom, lesson, student, gradebook):
    """Return the row of one student; a submission that could not be marked has no marks."""
    points = questions(classroom, lesson)
    line = {"student": student, "max": sum(points.values())}
    marked = classroom.file("autograded", lesson, student)
    submitted = classroom.file("submitted", lesson, student)
    reason = classroom.reason(lesson, student)
    result = reason if reason.exists() else marked
    if not result.exists() or result.stat().st_mtime_ns < submitted.stat().st_mtime_ns:
        return {**line, "status": WAITING, "notes": "handed in, and not marked yet: make mark"}
    if result == reason:
        return {**line, "status": FAILED, "notes": reason.read_text(encoding="utf-8")}
    try:
        entry = gradebook.find_submission_notebook(lesson.notebook, lesson.assignment, student)
    except MissingEntry:
        return {**line, "status": FAILED, "notes": "not in the gradebook: mark it again"}
    grades = {grade.name: grade for grade in entry.grades}
    waiting = [name for name in points if grades[name].needs_manual_grade]
    data = nbformat.read(marked, as_version=4).metadata.get("marking", {})
    suspicious, notes = data.get("suspicious", []), data.get("notes", [])
    status = SUSPICIOUS if suspicious else WAITING if waiting else DONE
    notes = [*suspicious, *(f"{name} needs marking" for name in waiting), *notes]
    scores = {name: None if name in waiting else grades[name].score for name in points}
    total = sum(score or 0 for score in scores.values())
    return {**line, "status": status, **scores, "total": total, "notes": "; ".join(notes)}
