"""What marking costs beside the bare kernel, and how long a class of 300 takes.

    python -m benchmarks.marking             # one submission, 20 times; lesson 1
    python -m benchmarks.marking 3           # the same for lesson 3
    python -m benchmarks.marking 1 300       # and 300 submissions with two workers
    python -m benchmarks.marking 1 --dask --students 2000 --both 100

The last one starts a Dask scheduler and two workers as the guide does. It marks 100 submissions
with `WORKERS=2` and with the cluster, in turns, and then 2,000 with the cluster. One in four is the
notebook as it was given, so whoever gets another's marks is found out.

Bare: an ordinary kernel starts, runs the set-up cell and the imports of the cell `given`, and is
killed. Marked: one solved submission goes through everything that `make mark` does to it, with the
sandbox, the tests and the gradebook. Both sides take turns, so that neither has the quieter
computer; the medians are compared.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from subprocess import DEVNULL

from jupyter_client.manager import start_new_kernel
from nbgrader.api import Gradebook

from tools import exercises
from tools.marking import cluster, keep, marks, run, sandbox
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
        path = room.file("submitted", name, f"student{number:05d}")
        path.parent.mkdir(parents=True)
        path.write_bytes(solved)
    return room, name


def some_unsolved(room, name):
    """Let every fourth student hand in the notebook as it was given; return who."""
    unsolved = room.students(name)[3::4]
    for student in unsolved:
        path = room.file("submitted", name, student)
        path.write_bytes(room.file("release", name).read_bytes())
    return set(unsolved)


def beside(lesson, rounds=ROUNDS):
    """Print the time of a marked submission beside that of a bare kernel."""
    with tempfile.TemporaryDirectory() as folder:
        room, name = room_with(folder, lesson, rounds + 1)
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


@contextlib.contextmanager
def local_cluster(workers=2):
    """Start a scheduler and its workers as the guide does, and give the scheduler's address."""
    line = [sys.executable, "-m"]
    quiet = {"stdout": DEVNULL, "stderr": DEVNULL, "cwd": exercises.ROOT}
    with tempfile.TemporaryDirectory() as folder:
        note = Path(folder, "scheduler.json")
        own = ["--port", "0", "--no-dashboard", "--scheduler-file", note]
        own += ["--host", "127.0.0.1"]
        started = [subprocess.Popen([*line, "distributed.cli.dask_scheduler", *own], **quiet)]
        try:
            while not (note.exists() and note.read_text().strip()):
                time.sleep(0.2)
            address = json.loads(note.read_text())["address"]
            own = [address, "--nworkers", str(workers), "--nthreads", "1", "--no-dashboard"]
            own += ["--local-directory", folder]
            started.append(subprocess.Popen([*line, "distributed.cli.dask_worker", *own], **quiet))
            yield address
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(30)


def timed(room, lesson, only, address="", workers=2):
    """Mark some students; return the seconds, and those of this process's processor time."""
    start, own, told = time.perf_counter(), time.process_time(), []
    options = {"force": True, "only": set(only), "tell": told.append}
    if address:
        with cluster.connected(address) as executor:
            results = run.mark(room, lesson, "sandboxed", executor=executor, **options)
    else:
        results = run.mark(room, lesson, "sandboxed", workers, **options)
    seconds, own = time.perf_counter() - start, time.process_time() - own
    assert len(told) == len(results) == len(only), (len(told), len(results), len(only))
    assert not any(results.values()), {it: why for it, why in results.items() if why}
    return seconds, own


def check(room, lesson, only, unsolved):
    """Check that everybody has their own marks, once."""
    rows = {row["student"]: row for row in marks.rows(room, lesson) if row["student"] in only}
    solved = {row["total"] for it, row in rows.items() if it not in unsolved}
    assert len(rows) == len(only), (len(rows), len(only))
    assert len(solved) == 1, solved
    assert solved != {0}
    assert {row["total"] for it, row in rows.items() if it in unsolved} <= {0}
    with Gradebook(room.gradebook) as gradebook:
        known = [it.student.id for it in gradebook.assignment_submissions(lesson.assignment)]
    assert sorted(it for it in known if it in only) == sorted(only)


def by_dask(lesson, students, both):
    """Print what a cluster of two takes beside `WORKERS=2`, and what a whole class takes."""
    with tempfile.TemporaryDirectory() as folder, local_cluster() as address:
        room, name = room_with(folder, lesson, max(students, both))
        unsolved, everyone = some_unsolved(room, name), room.students(name)
        sums = {"WORKERS=2": [0, 0], "the cluster": [0, 0]}
        halves = everyone[: both // 2], everyone[both // 2 : both]
        turns = [("WORKERS=2", 0), ("the cluster", 0), ("the cluster", 1), ("WORKERS=2", 1)]
        for way, half in turns if both else ():
            took = timed(room, name, halves[half], address if way == "the cluster" else "")
            sums[way] = [a + b for a, b in zip(sums[way], took)]
            check(room, name, halves[half], unsolved)
        for way, (seconds, own) in sums.items() if both else ():
            print(f"{both} by {way}: {seconds / both:.2f} s a submission, head {own / both:.3f} s")
        if both:
            print(f"ratio {sums['the cluster'][0] / sums['WORKERS=2'][0]:.2f}", flush=True)
        if students:
            seconds, own = timed(room, name, everyone[:students], address)
            check(room, name, everyone[:students], unsolved)
            each = f"{seconds / students:.2f} s a submission, head {own / students:.3f} s"
            print(f"{students} by the cluster: {seconds:.0f} s, {each}; none lost, none doubled")


def main(words):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lesson", nargs="?", default="1")
    parser.add_argument("crowd", nargs="?", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often one is marked")
    parser.add_argument("--dask", action="store_true", help="a local cluster of two workers")
    parser.add_argument("--students", type=int, default=0, help="how many the cluster marks")
    parser.add_argument("--both", type=int, default=0, help="how many are marked both ways first")
    chosen = parser.parse_args(words)
    sandbox.prepare()
    print(f"sandbox: {sandbox.obstacle() or 'works'}")
    if chosen.dask:
        by_dask(chosen.lesson, chosen.students, chosen.both)
        return
    beside(chosen.lesson, chosen.rounds)
    if chosen.crowd:
        crowd(chosen.lesson, chosen.crowd)


if __name__ == "__main__":
    main(sys.argv[1:])
