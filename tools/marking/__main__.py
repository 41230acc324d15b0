"""The instructor's commands; the Makefile has one line for each.

python -m tools.marking assignment 1 --seed 7     a class's own numbers: what students get
python -m tools.marking collect 1 --from FOLDER   or a learning platform's zip file
python -m tools.marking mark 1                    run the tests, each submission in a sandbox
python -m tools.marking look                      JupyterLab with formgrader, for the free text
python -m tools.marking handback 1                a page for every student, and marks.csv
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

from tools import exercises

from . import sandbox
from .classroom import Classroom
from .collect import collect
from .feedback import hand_back
from .run import mark


def main(arguments=None):
    """Run one command; return 0 if all went well."""
    parser = _parser()
    chosen, others = parser.parse_known_args(arguments)
    chosen.lab = others
    if chosen.lab and chosen.command != "look":
        parser.error(f"unknown: {' '.join(chosen.lab)}")
    chosen.room = Classroom(chosen.folder)
    return globals()[f"do_{chosen.command}"](chosen) or 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tools.marking")
    parser.add_argument("--class", dest="folder", default="class", help="the class's folder")
    commands = parser.add_subparsers(dest="command", required=True)
    parts = {it: commands.add_parser(it) for it in ("assignment", "collect", "mark", "handback")}
    commands.add_parser("look", epilog="Whatever else you say is handed on to JupyterLab.")
    for part in parts.values():
        part.add_argument("lesson", type=int, help="the lesson's number")
    parts["assignment"].add_argument("--seed", type=int, default=0, help="the class's numbers")
    parts["assignment"].add_argument("--source", type=Path, help="a notebook of your own")
    parts["collect"].add_argument("--from", dest="origin", type=Path, required=True)
    parts["mark"].add_argument("--workers", type=int, default=1)
    parts["mark"].add_argument("--seconds", type=int, default=60, help="for one cell")
    parts["mark"].add_argument("--total", type=int, default=600, help="for one submission")
    parts["mark"].add_argument("--trust", default="", help="mark without a sandbox")
    for name in ("assignment", "mark"):
        parts[name].add_argument("--force", default="", help="yes: even what is done already")
    return parser


def do_assignment(chosen):
    """Write the class's own version of a lesson's exercises."""
    source = chosen.source or exercises.lesson_path(chosen.lesson)
    path = chosen.room.assign(source, chosen.seed, force=chosen.force == "yes")
    print(f"Give this to your students: {path}")


def do_collect(chosen):
    """Copy what the students handed in into the class's folder."""
    done, left = collect(chosen.origin, chosen.room, chosen.room.lesson(chosen.lesson))
    for student, what in done.items():
        print(f"{student}: {what}")
    for what in left:
        print(f"LEFT OUT {what}")
    print(f"{len(done)} students, {len(left)} files left out")


def do_mark(chosen):
    """Run the tests over everything that is new."""
    try:
        kernel = sandbox.kernel_name(chosen.trust)
    except sandbox.Refused as why:
        raise SystemExit(str(why)) from None
    limits = {"seconds": chosen.seconds, "total": chosen.total}
    lesson, force = chosen.room.lesson(chosen.lesson), chosen.force == "yes"
    results = mark(chosen.room, lesson, kernel, chosen.workers, force, **limits)
    failed = sum(bool(why) for why in results.values())
    print(f"{len(results)} marked anew, {failed} of them failed: read those yourself")


def do_look(chosen):
    """Open JupyterLab in the class's folder; its menu Nbgrader has the formgrader."""
    sandbox.prepare()
    os.chdir(chosen.room.folder)
    command = [sys.executable, "-m", "jupyterlab", "--LabApp.default_url=/formgrader/gradebook"]
    os.execv(sys.executable, [*command, *chosen.lab])


def do_handback(chosen):
    """Write the students' pages and the table."""
    lesson = chosen.room.lesson(chosen.lesson)
    rows = hand_back(chosen.room, lesson)
    for status, number in Counter(row["status"] for row in rows).items():
        print(f"{number} {status}")
    print(f"{chosen.room.folder / 'marks.csv'} and {chosen.room.folder / 'feedback'}/*/{lesson[0]}")


if __name__ == "__main__":
    sandbox.prepare()
    sys.exit(main())
