"""Make the students' notebooks from the sources, and try how good the exercises' tests are.

``release``    reads the sources, and makes the students' notebooks of them
``bench``      tries answers against their tests
``strength``   finds the checks that could be deleted unnoticed

The commands stand in `tools.exercises.__main__`.
"""

from .bench import Bench, judge, marking, mutants, run_notebook
from .release import (
    RELEASES,
    ROOT,
    SOURCES,
    STUBS,
    answers,
    cells,
    lesson_numbers,
    lesson_path,
    preprocessed,
    source,
    student_version,
    variant,
    without_badge,
    written,
)
from .strength import idle_checks

__all__ = [
    "RELEASES",
    "ROOT",
    "SOURCES",
    "STUBS",
    "Bench",
    "answers",
    "cells",
    "idle_checks",
    "judge",
    "lesson_numbers",
    "lesson_path",
    "marking",
    "mutants",
    "preprocessed",
    "run_notebook",
    "source",
    "student_version",
    "variant",
    "without_badge",
    "written",
]
