"""Mark one submission: from bytes to a marked notebook, without a gradebook or a class's folder."""

import hashlib
import json
from typing import NamedTuple

import nbformat
from nbgrader.utils import compute_checksum, determine_grade, is_grade, is_solution

from . import restore
from .files import digest
from .runner import RunInSandbox


class Task(NamedTuple):
    """One submission and what it is marked with; all that another computer needs.

    `content` is the file that was handed in, `source` and `release` are the texts of the
    assignment's notebooks, `place` is a folder for what lives as long as the run ("" for none).
    """

    student: str
    content: bytes
    source: str
    release: str
    kernel: str = "sandboxed"
    seconds: int = 60
    total: int = 600
    place: str = ""

    @property
    def of(self):
        """What the marks belong to: this submission, marked with this assignment."""
        return digest(self.content, self.source.encode("utf-8"))


class Marked(NamedTuple):
    """A marked submission, or `why` there is none.

    `scores` has the points of each graded cell, None where a person must give them; `silent`
    names the answers that were left as they were handed out.
    """

    student: str
    of: str
    why: str = ""
    notebook: str = ""
    scores: dict | None = None
    silent: tuple = ()
    answers: dict | None = None


def mark_one(task):
    """Mark one submission; whatever goes wrong is an answer, too, and not an error."""
    try:
        return _marked(task)
    except Exception as error:
        return Marked(task.student, task.of, _words(error))


def _marked(task):
    submitted = restore.read(task.content)
    nb = restore.restored(submitted, *restore.structure(task.source, task.release))
    nb.metadata.marking["of"] = task.of
    limits = {"timeout": task.seconds, "total": task.total}
    runner = RunInSandbox(kernel_name=task.kernel, **limits, record_timing=False)
    runner.shutdown_kernel, runner.place = "immediate", task.place
    nb, _ = runner.preprocess(nb, {"metadata": {}})
    scores = {it.metadata.nbgrader.grade_id: _score(it) for it in nb.cells if is_grade(it)}
    silent = tuple(it.metadata.nbgrader.grade_id for it in nb.cells if _is_silent(it))
    answers = _answers(nb)
    nb.metadata.marking["answers"] = answers
    return Marked(task.student, task.of, "", nbformat.writes(nb), scores, silent, answers)


def _score(cell):
    return determine_grade(cell)[0]


def _is_silent(cell):
    if not is_solution(cell):
        return False
    return cell.metadata.nbgrader.get("checksum") == compute_checksum(cell)


def _answers(nb):
    """Return what each graded cell judges, as a short text: its own answer, or all the code."""
    own = [it for it in nb.cells if is_solution(it) or it.id.startswith("extra-")]
    code = _short("\n".join(it.source for it in own if it.cell_type == "code"))
    return {
        it.metadata.nbgrader.grade_id: _short(_with_pictures(it)) if is_solution(it) else code
        for it in nb.cells
        if is_grade(it)
    }


def _with_pictures(cell):
    return cell.source + (json.dumps(cell.attachments) if cell.get("attachments") else "")


def _short(text):
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _words(error):
    """Return what went wrong in a sentence without a traceback."""
    words = str(error).strip().split("\n")[0][:300]
    return words if type(error) is RuntimeError and words else f"{type(error).__name__}: {words}"
