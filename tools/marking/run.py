"""Mark a class: each submission on its own, by several workers, and none stops the others."""

import contextlib
import time
import warnings

from nbgrader.api import Gradebook, MissingEntry
from tqdm import tqdm

from . import cluster, keep, pool
from .files import Problem, locked, note_problems, printable, problems
from .one import Marked, Task, mark_one

warnings.filterwarnings("ignore", module=r"nbgrader\.")  # SQLAlchemy's, of how nbgrader uses it
READ_IT = "read {path} and give points ({command}), or ask for another file"


def mark(
    classroom,
    lesson,
    kernel,
    workers=1,
    force=False,
    seconds=60,
    total=600,
    tell=None,
    only=(),
    executor=None,
):
    """Mark what is new, changed or failed before.

    A submission's marks are kept when all of them are there, so a run that is killed goes on where
    it was; this process alone writes the gradebook.

    Parameters
    ----------
    classroom : Classroom
    lesson : Lesson
    kernel : str
        `sandbox.kernel_name()`.
    workers : int
        How many submissions are marked at a time.
    force : bool
        Mark also what is done.
    seconds, total : int
        What a cell, and a submission, may take.
    tell : callable, optional
        Gets a line of text for each submission; they are printed without it.
    only : collection of str
        Mark these students and no others.
    executor : (Executor, callable), optional
        Where to mark instead of here, see `cluster.connected`.

    Returns
    -------
    dict of str to str
        Why a submission could not be marked, or "", by student.
    """
    with locked(classroom), pool.scratch() as place:
        students = [it for it in classroom.students(lesson) if not only or it in only]
        due = [it for it in students if force or _is_due(classroom, lesson, it)]
        results = {}
        tasks = _tasks(classroom, lesson, due, results, (kernel, seconds, total, place))
        with Gradebook(classroom.gradebook) as gradebook, _Status(len(due), tell) as status:
            _must_know(gradebook, classroom, lesson)
            if executor:
                work = cluster.through(*executor, tasks, status.started)
            else:
                most = total + pool.BESIDE
                work = pool.in_processes(mark_one, tasks, workers, most, status.started)
            with contextlib.closing(work):
                try:
                    for task, marked in work:
                        if isinstance(marked, str):
                            marked = Marked(task.student, task.of, marked)
                        why = _kept(classroom, lesson, gradebook, marked)
                        results[task.student] = why
                        status.done(task, why)
                finally:
                    _note(classroom, lesson, results)
        return results


def _must_know(gradebook, classroom, lesson):
    """Refuse before any work to mark what the gradebook has no place for."""
    try:
        gradebook.find_assignment(lesson.assignment)
    except MissingEntry:
        command = classroom.command("assignment", lesson, SEED="...")
        raise SystemExit(
            f"The gradebook does not know {lesson.assignment}: {command} (with the class's own "
            "number), and mark again"
        ) from None


def _note(classroom, lesson, results):
    """Note who failed now, or earlier and was not marked anew."""
    before = {
        it["student"]: it["reason"]
        for it in problems(classroom)
        if (it["step"], it["lesson"]) == ("mark", lesson.assignment)
    }
    found = before | results
    here = set(classroom.students(lesson))
    note_problems(
        classroom,
        "mark",
        lesson,
        [
            Problem(it, why, _advice(classroom, lesson, it))
            for it, why in found.items()
            if why and it in here
        ],
    )


def _advice(classroom, lesson, student):
    path = classroom.file("submitted", lesson, student)
    dots = {"QUESTION": "...", "POINTS": "..."}
    return READ_IT.format(
        path=path, command=classroom.command("points", lesson, STUDENT=student, **dots)
    )


def _is_due(classroom, lesson, student):
    try:
        return keep.is_due(classroom, lesson, student)
    except OSError:
        return True  # why it cannot be read is told when it is tried


def _tasks(classroom, lesson, due, results, options):
    """Yield the tasks of those whose files can be read; note in the results who else there is."""
    for student in due:
        try:
            yield task_of(classroom, lesson, student, *options)
        except OSError as error:
            results[student] = f"the file cannot be read ({error.strerror})"


def task_of(classroom, lesson, student, kernel, seconds=60, total=600, place=""):
    """Return the `Task` of marking a student's submission."""
    texts = [
        classroom.file(step, lesson).read_text(encoding="utf-8") for step in ("source", "release")
    ]
    content = classroom.file("submitted", lesson, student).read_bytes()
    return Task(student, content, *texts, kernel, seconds, total, place)


def _kept(classroom, lesson, gradebook, marked):
    """Keep a result; what stands in the way of one student's is that student's problem."""
    try:
        keep.keep(classroom, lesson, gradebook, marked)
        return marked.why
    except Exception as error:
        gradebook.db.rollback()
        return f"its marks could not be kept ({type(error).__name__}: {str(error)[:200]})"


class _Status:
    """Says who is being marked, how many are done, and how long it takes still."""

    def __init__(self, number, tell):
        self.number, self.tell = number, tell or tqdm.write
        self.finished, self.now, self.begin = 0, [], time.monotonic()

    def __enter__(self):
        self.bar = tqdm(total=self.number, unit="submission", disable=None, leave=False)
        return self

    def __exit__(self, *error):
        self.bar.close()

    def started(self, task):
        self.now.append(task.student)
        self.bar.set_postfix_str(printable(", ".join(self.now)))

    def done(self, task, why):
        self.finished += 1
        if task.student in self.now:
            self.now.remove(task.student)
        self.bar.set_postfix_str(printable(", ".join(self.now)), refresh=False)
        self.bar.update()
        left = (time.monotonic() - self.begin) / self.finished * (self.number - self.finished)
        still = f"  ({duration(left)} still)" if self.finished < self.number else ""
        who = printable(f"{task.student}  {why or 'marked'}")
        self.tell(f"{self.finished:4} of {self.number}  {who}{still}")


def duration(seconds):
    """Return a time in words that a person waits by.

    Examples
    --------
    >>> duration(42), duration(200), duration(9000)
    ('42 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
