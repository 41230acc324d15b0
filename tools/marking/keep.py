"""Keep what marking found: in the gradebook, and as a notebook; and tell what is done."""

import contextlib
import json

from nbgrader.api import MissingEntry

from .files import digest, read_json, write_whole


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
    """Keep a `Marked`; the marked notebook moves into place last, and says that all is done.

    If the same file fails again, the points that a person gave for it stay.
    """
    reason = classroom.reason(lesson, marked.student)
    path = classroom.file("autograded", lesson, marked.student)
    before, settled = record(classroom, lesson, marked.student).get("answers", {}), {}
    if reason.exists():
        settled = read_json(reason.with_suffix(".json"), {})
    if marked.why:
        if failure(classroom, lesson, marked.student)[0] != marked.of:
            settled |= take_back(lesson, gradebook, marked.student, before)
            write_whole(classroom, reason.with_suffix(".json"), json.dumps(settled))
        write_whole(classroom, reason, f"{marked.why}\nsubmission {marked.of}\n")
        path.unlink(missing_ok=True)
        return
    save(lesson, gradebook, marked, before, settled)
    for file in (reason, reason.with_suffix(".json")):
        file.unlink(missing_ok=True)
    write_whole(classroom, path, marked.notebook)


def save(lesson, gradebook, marked, before, settled):
    """Write the points of the tests; points that a person gave stay.

    They wait for the person again only if the answer is another one now. `before` has the answers
    that were marked last, and `settled` those that had points when marking failed in between.
    """
    gradebook.update_or_create_student(marked.student)
    gradebook.update_or_create_submission(lesson.assignment, marked.student)
    entry = _entry(lesson, gradebook, marked.student)
    for grade in entry.grades:
        grade.auto_score = marked.scores[grade.name]
        answer = marked.answers[grade.name]
        if grade.manual_score is None:
            grade.needs_manual_grade = grade.auto_score is None
        elif grade.needs_manual_grade and settled.get(grade.name) == answer:
            grade.needs_manual_grade = False
        elif before.get(grade.name) != answer:
            grade.needs_manual_grade = True
    for comment in entry.comments:
        comment.auto_comment = "No response." if comment.name in marked.silent else None
    gradebook.db.commit()


def take_back(lesson, gradebook, student, answers):
    """Take back the points of a submission that could not be marked.

    Returns
    -------
    dict
        The answers that a person had given points for.
    """
    try:
        entry = _entry(lesson, gradebook, student)
    except MissingEntry:
        return {}
    given = [it for it in entry.grades if it.manual_score is not None]
    settled = {it.name: answers.get(it.name) for it in given if not it.needs_manual_grade}
    for grade in entry.grades:
        grade.auto_score = None
        grade.needs_manual_grade = True
    gradebook.db.commit()
    return settled


def _entry(lesson, gradebook, student):
    return gradebook.find_submission_notebook(lesson.notebook, lesson.assignment, student)
