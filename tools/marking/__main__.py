"""The instructor's commands; the Makefile has one line for each.

python -m tools.marking assignment 1 --seed 7     a class's own numbers: what students get
python -m tools.marking roster --from class.csv   who is in the class
python -m tools.marking collect 1 --from FOLDER   or a learning platform's zip file
python -m tools.marking assign-to 1 --student ID --file FILE    whose a file is, by hand
python -m tools.marking remove 1 --student ID     a submission that is nobody's
python -m tools.marking mark 1                    run the tests, each submission in a sandbox
python -m tools.marking points 1 --student ID --question test_1a --points 2    by hand
python -m tools.marking look                      JupyterLab with formgrader, for the free text
python -m tools.marking report 1                  a page of the class, and the answer key
python -m tools.marking handback 1                a page for every student, and marks.csv
"""

import signal

if __name__ == "__main__":  # while the modules load, there is nothing to clear away
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import errno
import os
import re
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from nbgrader.api import InvalidEntry
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tools import exercises

from . import cluster, decisions, lateness, marks, platforms, pool, roster, sandbox
from .classroom import DATABASE, Classroom
from .collect import collect, given
from .feedback import hand_back
from .files import locked, printable
from .report import report
from .run import mark

FOLDER = "the class's folder"
BROKEN = "malformed|not a database|disk I/O error|no such (table|column)"
DAMAGED = (
    "{folder}/gradebook.db is damaged. Put back a copy of it. Without one: move it away, make "
    "assignment with the class's own SEED, and make mark with FORCE=yes; points and comments that "
    "you gave by hand are lost then."
)
CLOSED = "unable to open database file|readonly database"
FULL = "The disk is full: make room, and give the same command again. What is done is kept."


def main(arguments=None):
    """Run one command."""
    parser = _parser()
    chosen, others = parser.parse_known_args(arguments)
    if others and chosen.command != "look":
        parser.error(f"unknown: {' '.join(others)}")
    chosen.lab = others
    try:
        with pool.stoppable():
            chosen.do(Classroom(chosen.folder), chosen)
    except pool.Stopped as signal:
        print(f"\nStopped ({signal}). What is done is kept; the same command goes on from there.")
        sys.exit(130)
    except (OSError, SQLAlchemyError, InvalidEntry, ModuleNotFoundError) as error:
        words = _sentence(error, chosen.folder)
        if not words:
            raise
        raise SystemExit(words) from error


def _sentence(error, folder):
    """Return what a person can do about an error of the disk or the gradebook, if anything."""
    said = str(error)
    if getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT) or "disk is full" in said:
        return FULL
    if getattr(error, "errno", 0) in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{error.filename}: {error.strerror}. The class's folder must be yours to write."
    if re.search(BROKEN, said):
        return DAMAGED.format(folder=folder)
    return _without_gradebook(error, Path(folder))


def _without_gradebook(error, folder):
    """Return why the gradebook cannot be reached, or an empty text if that is not the reason."""
    said, note = str(error).split("\n")[0], folder / DATABASE
    if isinstance(error, ModuleNotFoundError):
        is_driver = (error.name or "").startswith("psycopg")
        return f'{said}: .venv/bin/pip install "psycopg[binary]"' if is_driver else ""
    if "database is locked" in said:
        return (
            f"Another program writes to {folder}/gradebook.db: close it, or wait, and give the "
            "same command again. What is done is kept."
        )
    if re.search(CLOSED, said):
        return f"{folder}/gradebook.db cannot be opened or changed: it must be yours to write."
    if isinstance(error, DBAPIError) and note.exists():
        return f"The gradebook's database, which {note} names, does not answer ({said[:200]})"
    return ""


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tools.marking")
    parser.add_argument("--class", dest="folder", default="class", help=FOLDER)
    commands = parser.add_subparsers(dest="command", required=True)
    _command(commands, "look", do_look, epilog="What else you say is handed on to JupyterLab.")
    part = _of_a_lesson(commands, "assignment", do_assignment)
    part.add_argument("--seed", type=_seed, default=0, help="the class's numbers")
    part.add_argument("--db", default="", help="a PostgreSQL database for the gradebook")
    part.add_argument("--source", type=Path, help="a notebook of your own")
    _add_force(part)
    part = _of_a_lesson(commands, "collect", do_collect)
    part.add_argument("--from", dest="origin", required=True)
    part = _of_a_lesson(commands, "assign-to", do_assign_to)
    part.add_argument("--student", required=True)
    part.add_argument("--file", required=True)
    part = _of_a_lesson(commands, "remove", do_remove)
    part.add_argument("--student", default="")
    part.add_argument("--file", default="")
    part = _command(commands, "roster", do_roster)
    part.add_argument("--from", dest="origin", required=True)
    part = _of_a_lesson(commands, "mark", do_mark)
    part.add_argument("--workers", type=_workers, default=1)
    part.add_argument("--student", default="", help="only this one, and anew")
    part.add_argument("--executor", default="", help="a Dask scheduler, such as tcp://node1:8786")
    part.add_argument("--seconds", type=int, default=60, help="for one cell")
    part.add_argument("--total", type=int, default=600, help="for one submission")
    part.add_argument("--trust", default="", help="mark without a sandbox")
    _add_force(part)
    part = _of_a_lesson(commands, "points", do_points)
    for name in ("student", "question", "points"):
        part.add_argument(f"--{name}", required=True)
    _of_a_lesson(commands, "report", do_report)
    part = _of_a_lesson(commands, "handback", do_handback)
    part.add_argument("--workers", type=_workers, default=1)
    part.add_argument("--due", default="", help="the deadline, such as '2026-11-20 18:00'")
    part.add_argument("--late", default="", help=f"such as {lateness.EXAMPLE}")
    return parser


def _command(commands, name, do, **words):
    part = commands.add_parser(name, **words)
    part.set_defaults(do=do)
    part.add_argument("--class", dest="folder", default=argparse.SUPPRESS, help=FOLDER)
    return part


def _of_a_lesson(commands, name, do):
    part = _command(commands, name, do)
    part.add_argument("lesson", type=_lesson, help="the lesson's number")
    return part


def _lesson(words):
    if not words.isdigit():
        raise SystemExit(f"LESSON={words}: say the number of a lesson, such as LESSON=1")
    return int(words)


def _workers(words):
    if not words.isdigit() or int(words) < 1:
        raise SystemExit(f"WORKERS={words}: how many submissions at a time, at least 1")
    return int(words)


def _seed(words):
    if not words.isdigit() or int(words) >= 2**32:
        raise SystemExit(f"SEED={words}: a whole number from 0 to {2**32 - 1}, please")
    return int(words)


def _add_force(part):
    part.add_argument("--force", default="", help="yes: even what is done already")


def do_assignment(room, chosen):
    """Write the class's own version of a lesson's exercises."""
    known = exercises.lesson_numbers()
    if not chosen.source and chosen.lesson not in known:
        numbers = ", ".join(map(str, known))
        raise SystemExit(f"LESSON={chosen.lesson} has no exercises; there are {numbers}")
    if chosen.db:
        room.connect(chosen.db)
    source = chosen.source or exercises.lesson_path(chosen.lesson)
    with locked(room):
        path = room.assign(source, chosen.seed, force=chosen.force == "yes")
    print(f"Give this to your students: {path}")


def do_roster(room, chosen):
    """Take a list of the class."""
    path = given(chosen.origin, room)
    if path.is_dir():
        raise SystemExit(f"FROM={path} is a folder: give the file of the class's list")
    content, before = path.read_bytes(), set(roster.load(room))
    students = roster.take(room, content)
    ids = {it.id for it in students}
    for word, found in {"NEW": ids - before, "GONE": before - ids}.items():
        if before and found:
            print(printable(f"{word}: {', '.join(sorted(found))}"))
    platform = students[0].platform or "a table of our own"
    print(f"{len(students)} students ({platform}): {room.folder / 'roster.csv'}")


def do_collect(room, chosen):
    """Copy what the students handed in into the class's folder."""
    lesson = room.lesson(chosen.lesson)
    result = collect(chosen.origin, room, lesson)
    for it in result.nothing:
        print(printable(f"NOTHING from {it.id} ({it.name})"))
    if result.earlier:
        print(printable(f"FROM BEFORE, not in these files: {', '.join(result.earlier)}"))
    for student, what in result.done.items():
        print(printable(f"{student}: {what}"))
    for what in result.left:
        print(printable(f"LEFT OUT {what}"))
    words = {"STILL OPEN": result.still, "LOOK": result.told, "WHOSE?": result.unclear}
    for word, problems in words.items():
        for it in problems:
            print(printable(f"{word} {it.student}: {it.reason}"))
            print(printable(f"    {it.advice}"))
    print(
        f"{len(result.done)} students, {len(result.left)} files left out, "
        f"{len(result.unclear)} to be decided by you, {len(result.nothing)} handed in nothing"
    )
    if any(words.values()):
        print(f"Who, why, and what to do: {room.folder / 'problems.csv'}")


def do_assign_to(room, chosen):
    """Give a file to a student by hand."""
    lesson = room.lesson(chosen.lesson)
    for it in decisions.assign_to(room, lesson, chosen.student, chosen.file):
        print(f"{it} has it no more, nor marks for it")
    print(f"{chosen.student} has this file now: {room.command('mark', lesson)}")


def do_remove(room, chosen):
    """Take a misplaced submission out, or say that a file is nobody's."""
    if bool(chosen.student) == bool(chosen.file):
        raise SystemExit("Say whose submission to remove, STUDENT=..., or which file, FILE=...")
    if chosen.file:
        decisions.nobodys(room, room.lesson(chosen.lesson), chosen.file)
        print("It is nobody's now")
        return
    decisions.remove(room, room.lesson(chosen.lesson), chosen.student)
    print(f"{chosen.student} has handed in nothing of lesson {chosen.lesson} now")


def do_mark(room, chosen):
    """Run the tests over everything that is new."""
    try:
        kernel = "sandboxed" if chosen.executor else sandbox.kernel_name(chosen.trust)
    except sandbox.Refused as why:
        raise SystemExit(str(why)) from None
    limits = {"seconds": chosen.seconds, "total": chosen.total}
    lesson, force = room.lesson(chosen.lesson), chosen.force == "yes"
    only = {chosen.student} - {""}
    if only and not only & set(room.students(lesson)):
        raise SystemExit(
            f"STUDENT={chosen.student} has handed in nothing of lesson {chosen.lesson}"
        )
    force = force or bool(only)
    with cluster.connected(chosen.executor) if chosen.executor else nullcontext() as executor:
        results = mark(
            room, lesson, kernel, chosen.workers, force, **limits, only=only, executor=executor
        )
    failed = sum(bool(why) for why in results.values())
    print(f"{len(results)} marked anew, {failed} of them failed")
    if failed:
        print(f"Who, why, and what to do: {room.folder / 'problems.csv'}")


def do_points(room, chosen):
    """Give points by hand."""
    lesson = room.lesson(chosen.lesson)
    marks.give(room, lesson, chosen.student, chosen.question, chosen.points)
    print(f"{chosen.student} has {chosen.points} points in {chosen.question}")


def do_look(room, chosen):
    """Open JupyterLab in the class's folder; its menu Nbgrader has the formgrader."""
    if not room.lessons():
        raise SystemExit(f"{room.folder} has no lesson yet: make assignment LESSON=...")
    sandbox.prepare()
    rest = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([str(sandbox.ROOT), *rest])
    os.chdir(room.folder)
    command = [sys.executable, "-m", "jupyterlab", "--LabApp.default_url=/formgrader/gradebook"]
    os.execv(sys.executable, [*command, *sandbox.LOOK, *chosen.lab])


def do_report(room, chosen):
    """Write the class's page and the answer key."""
    for path in report(room, room.lesson(chosen.lesson)):
        print(path)


def do_handback(room, chosen):
    """Write the students' pages and the table."""
    lesson = room.lesson(chosen.lesson)
    lateness.set_rule(room, lesson, chosen.due, chosen.late)
    rows = hand_back(room, lesson, workers=chosen.workers)
    for status, number in Counter(row["status"] for row in rows).items():
        print(f"{number} {status}")
    title = platforms.column(lesson, roster.head(room))
    new = "" if title in roster.head(room) else ", a new one"
    print(f"On the platform the marks go into the column {title!r}{new}")
    for path in [room.folder / "marks.csv", *sorted(room.folder.glob("marks_for_*.csv"))]:
        print(path)
    print(room.folder / f"feedback_{lesson.notebook}.zip")


if __name__ == "__main__":
    sandbox.prepare()
    main()
