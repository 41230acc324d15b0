"""What marking costs beside the bare kernel, and how long a class of 300 takes.

    python -m benchmarks.marking             # one submission, 20 times; lesson 1
    python -m benchmarks.marking 3           # the same for lesson 3
    python -m benchmarks.marking 1 300       # and 300 submissions with two workers

Bare: an ordinary kernel starts, runs the set-up cell and the imports of the cell `given`, and is
killed. Marked: one solved submission goes through everything that `make mark` does to it, with the
sandbox, the tests and the gradebook. Both sides take turns, so that neither has the quieter
computer; the medians are compared.
"""

import statistics
import sys
import tempfile
import time
from subprocess import DEVNULL

from jupyter_client.manager import start_new_kernel
from nbgrader.api import Gradebook

from tools import exercises
from tools.marking import keep, run, sandbox
from tools.marking.classroom import Classroom
from tools.marking.one import mark_one

ROUNDS = 20


def bare(cells):
    """Return the seconds of a kernel's start and the cells' execution."""
    start = time.perf_counter()
    quiet = {"stdout": DEVNULL, "stderr": DEVNULL}
    manager, client = start_new_kernel(cwd=str(exercises.ROOT), **quiet)
    for code in cells:
        reply = client.execute_interactive(code, output_hook=lambda message: None, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return time.perf_counter() - start


def imports(notebook):
    """Return the code of the set-up cell and of the imports in `given`."""
    cells = exercises.cells(notebook)
    lines = cells["given"].source.splitlines()
    kept = [line for line in lines if line.startswith(("import ", "from "))]
    return [cells["setup"].source, "\n".join(kept)]


def room_with(folder, lesson, students):
    """Return a class in which everyone has handed in the solved notebook."""
    room = Classroom(folder)
    room.assign(exercises.lesson_path(lesson), 1)
    name = room.lesson(lesson)
    solved = room.file("source", name).read_bytes()
    for number in range(students):
        path = room.file("submitted", name, f"student{number:03d}")
        path.parent.mkdir(parents=True)
        path.write_bytes(solved)
    return room, name


def beside(lesson):
    """Print the time of a marked submission beside that of a bare kernel."""
    with tempfile.TemporaryDirectory() as folder:
        room, name = room_with(folder, lesson, ROUNDS + 1)
        first, *students = room.students(name)
        code = imports(exercises.source(lesson))
        marked(room, name, first)  # nbgrader's own imports
        bare(code)
        times = []
        for student in students:
            plain = bare(code)
            start = time.perf_counter()
            marked(room, name, student)
            times.append((plain, time.perf_counter() - start))
    plain, whole = (statistics.median(side) for side in zip(*times))
    ratio = statistics.median(whole / alone for alone, whole in times)
    print(f"bare kernel and imports  {plain:6.2f} s  (median of {len(times)})")
    print(f"one submission, marked   {whole:6.2f} s  {ratio:.2f} times as long")


def marked(room, name, student):
    """Mark a submission and keep its marks, as `make mark` does."""
    with Gradebook(room.gradebook) as gradebook:
        result = mark_one(run.task_of(room, name, student, "sandboxed"))
        keep.keep(room, name, gradebook, result)
    assert not result.why, result.why


def crowd(lesson, students, workers=2):
    """Print how long a whole class takes."""
    with tempfile.TemporaryDirectory() as folder:
        room, name = room_with(folder, lesson, students)
        start = time.perf_counter()
        results = run.mark(room, name, "sandboxed", workers, tell=lambda line: None)
        seconds = time.perf_counter() - start
        failed = sum(bool(why) for why in results.values())
    print(f"{students} submissions, {workers} workers  {seconds:.0f} s, {failed} failed")


def main(words):
    sandbox.prepare()
    print(f"sandbox: {sandbox.obstacle() or 'works'}")
    lesson = words[0] if words else "1"
    beside(lesson)
    if len(words) > 1:
        crowd(lesson, int(words[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
