"""Keep what marking found: in the gradebook, and as a notebook; and tell what is done."""

import contextlib
import json

from nbgrader.api import MissingEntry

from .files import digest, write_whole


def expected(classroom, lesson, student):
    """Return what a student's marks must belong to: this submission and this assignment."""
    parts = ("submitted", student), ("source", ".")
    return digest(*(classroom.file(step, lesson, who).read_bytes() for step, who in parts))


def record(classroom, lesson, student):
    """Return what marking noted in the marked notebook, or an empty dict."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        text = classroom.file("autograded", lesson, student).read_text(encoding="utf-8")
        return json.loads(text)["metadata"].get("marking", {})
    return {}


def failure(classroom, lesson, student):
    """Return (what failed, why) of a submission that could not be marked, or ("", "")."""
    with contextlib.suppress(OSError):
        words = classroom.reason(lesson, student).read_text(encoding="utf-8")
        why, _, of = words.rpartition("\nsubmission ")
        return of.strip(), why
    return "", ""


def is_due(classroom, lesson, student):
    """Tell whether a submission is not marked, or was changed since, or failed."""
    of = expected(classroom, lesson, student)
    failed = failure(classroom, lesson, student)[0] == of
    return failed or record(classroom, lesson, student).get("of") != of


def keep(classroom, lesson, gradebook, marked):
    """Keep a `Marked`; the marked notebook moves into place last, and says that all is done."""
    reason = classroom.reason(lesson, marked.student)
    path = classroom.file("autograded", lesson, marked.student)
    if marked.why:
        take_back(lesson, gradebook, marked.student)
        write_whole(classroom, reason, f"{marked.why}\nsubmission {marked.of}\n")
        path.unlink(missing_ok=True)
        return
    before = record(classroom, lesson, marked.student).get("answers", {})
    save(lesson, gradebook, marked, before)
    reason.unlink(missing_ok=True)
    write_whole(classroom, path, marked.notebook)


def save(lesson, gradebook, marked, before):
    """Write the points of the tests; points that a person gave stay.

    They wait for the person again only if the answer is another one now.
    """
    gradebook.update_or_create_student(marked.student)
    gradebook.update_or_create_submission(lesson.assignment, marked.student)
    entry = _entry(lesson, gradebook, marked.student)
    for grade in entry.grades:
        grade.auto_score = marked.scores[grade.name]
        same = before.get(grade.name) == marked.answers[grade.name]
        if grade.manual_score is None:
            grade.needs_manual_grade = grade.auto_score is None
        elif not same:
            grade.needs_manual_grade = True
    for comment in entry.comments:
        comment.auto_comment = "No response." if comment.name in marked.silent else None
    gradebook.db.commit()


def take_back(lesson, gradebook, student):
    """Take back the points of the tests of a submission that could not be marked."""
    try:
        entry = _entry(lesson, gradebook, student)
    except MissingEntry:
        return
    for grade in entry.grades:
        grade.auto_score = None
        grade.needs_manual_grade = True
    gradebook.db.commit()


def _entry(lesson, gradebook, student):
    return gradebook.find_submission_notebook(lesson.notebook, lesson.assignment, student)
