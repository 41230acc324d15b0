"""The commands.

python -m tools.exercises                              every release anew
python -m tools.exercises LESSON --seed 7 --out DIR    one lesson's release with other numbers
python -m tools.exercises mutants LESSON --seeds 0-19  what the tests say of wrong and right answers
python -m tools.exercises strength LESSON              which checks could be deleted unnoticed
"""

import argparse
import sys
from pathlib import Path

from .bench import Bench, judge
from .release import RELEASES, lesson_numbers, write_release
from .strength import idle_checks


def main(arguments=None):
    """Run one command; return 0 if all is well."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["mutants"]:
        return _tell_mutants(words[1:])
    if words[:1] == ["strength"]:
        return _tell_strength(words[1:])
    return _write_releases(words)


def _write_releases(words):
    parser = argparse.ArgumentParser(prog="python -m tools.exercises")
    parser.add_argument("lesson", nargs="?", help="its number; all lessons without it")
    parser.add_argument("--seed", type=int, default=0, help="the class's numbers")
    parser.add_argument("--out", type=Path, default=RELEASES, help="the folder to write below")
    chosen = parser.parse_args(words)
    if chosen.seed and chosen.out == RELEASES:
        parser.error("a class's own numbers need a folder of their own: --out DIR")
    for lesson in [chosen.lesson] if chosen.lesson else lesson_numbers():
        print(write_release(lesson, chosen.seed, chosen.out))
    return 0


def _tell_mutants(words):
    parser = argparse.ArgumentParser(prog="python -m tools.exercises mutants")
    parser.add_argument("lesson")
    parser.add_argument("--seeds", default="0", help="such as 0-19")
    chosen = parser.parse_args(words)
    first, _, last = chosen.seeds.partition("-")
    bad = 0
    for seed in range(int(first), int(last or first) + 1):
        judged = list(judge(Bench(chosen.lesson, seed)))
        wrong = [it for it in judged if it.complaint]
        bad += len(wrong)
        print(f"seed {seed}: {len(judged) - len(wrong)} of {len(judged)} as they should be")
        for it in wrong:
            print(f"  {it.answer} {it.name}: {it.complaint}")
    return 1 if bad else 0


def _tell_strength(words):
    parser = argparse.ArgumentParser(prog="python -m tools.exercises strength")
    parser.add_argument("lesson")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(words)
    idle = list(idle_checks(chosen.lesson, chosen.seed))
    for check in idle:
        print(f"{check.cell}: no mutant needs `{check.line}`")
    print(f"{len(idle)} checks that no mutant needs")
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
