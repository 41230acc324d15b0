"""Mark a class: each submission on its own, by several workers, and none stops the others."""

import multiprocessing
import re
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from typing import NamedTuple

from nbgrader.api import Gradebook, MissingEntry

from .classroom import Classroom, Lesson

warnings.filterwarnings("ignore", module=r"nbgrader\.")  # SQLAlchemy's, of how nbgrader uses it
SPAWN = multiprocessing.get_context("spawn")


class Job(NamedTuple):
    """One submission to mark: the arguments of `mark_one`."""

    folder: str
    lesson: Lesson
    student: str
    kernel: str
    seconds: int
    total: int


def mark(classroom, lesson, kernel, workers=1, force=False, seconds=60, total=600, tell=print):
    """Mark what is new, changed or failed before.

    Returns
    -------
    dict of str to str
        Why a submission could not be marked, or "", by student.
    """
    waiting = [it for it in classroom.students(lesson) if force or _due(classroom, lesson, it)]
    jobs = [Job(str(classroom.folder), lesson, it, kernel, seconds, total) for it in waiting]
    results = {}
    for student, why in _results(jobs, workers):
        results[student] = why
        tell(f"{len(results):4} of {len(jobs)}  {student}  {why or 'marked'}")
    return results


def _results(jobs, workers):
    """Yield (student, why it failed); a job that takes its worker down is tried once more alone."""
    left = list(jobs)
    for crowd in (True, False):
        groups = [left] if crowd else [[job] for job in left]
        left = []
        for group in groups:
            with ProcessPoolExecutor(workers if crowd else 1, mp_context=SPAWN) as pool:
                futures = {pool.submit(mark_one, *job): job for job in group}
                for future in as_completed(futures):
                    job = futures[future]
                    try:
                        yield future.result()
                    except BrokenProcessPool:
                        if crowd:
                            left.append(job)
                        else:
                            why = "it ended the marking process"
                            yield given_up(job.folder, job.lesson, job.student, why)


def _due(classroom, lesson, student):
    marked = classroom.file("autograded", lesson, student)
    if not marked.exists():
        return True
    when = marked.stat().st_mtime
    steps = ("submitted", student), ("source", ".")
    return any(classroom.file(step, lesson, who).stat().st_mtime > when for step, who in steps)


def mark_one(folder, lesson, student, kernel, seconds, total):
    """Mark one submission and return (student, why it could not be marked or "")."""
    classroom = Classroom(folder)
    classroom.reason(lesson, student).unlink(missing_ok=True)
    for _ in range(3):
        result = _nbgrader(folder, kernel, seconds, total).autograde(lesson.assignment, student)
        if result["success"]:
            return student, ""
        if "database is locked" not in result["error"] + result.get("log", ""):
            break
    return given_up(folder, lesson, student, _last_words(result))


@cache
def _nbgrader(folder, kernel, seconds, total):
    return Classroom(folder).nbgrader(kernel, seconds=seconds, total=total)


def _last_words(result):
    """Return the last line of the last traceback, without what nbgrader adds to it."""
    text = result["error"] + result.get("log", "")
    errors = re.findall(r"^\s*((?:\w+\.)*\w+(?:Error|Exception)\w*: .+)$", text, flags=re.MULTILINE)
    return errors[-1].removeprefix("RuntimeError: ").strip()[:300] if errors else "it failed"


def given_up(folder, lesson, student, why):
    """Note why a submission has no marks, and take earlier marks of the tests back."""
    classroom = Classroom(folder)
    path = classroom.reason(lesson, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(why, encoding="utf-8")
    with Gradebook(classroom.gradebook) as gradebook:
        try:
            entry = gradebook.find_submission_notebook(lesson.notebook, lesson.assignment, student)
        except MissingEntry:
            return student, why
        for grade in entry.grades:
            grade.auto_score = None
            grade.needs_manual_grade = True
        gradebook.db.commit()
    return student, why
