"""The house's rules for its packages: who may import whom, how large they are, how they load."""

import ast
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT

import utils
from tools import imports, rules

ALLOWED = {  # what a package may import of the others
    "utils": set(),
    "lrsweep": set(),
    "course": {"utils", "lrsweep"},
}
SIZE = 2400  # lines of `utils`, at most: a learner may open any of it


def between_packages(arrows):
    """Return {(package, package it imports)} for the arrows that leave a package."""
    pairs = {
        (name.partition(".")[0], other.partition(".")[0])
        for name, others in arrows.items()
        for other in others
    }
    return {(one, other) for one, other in pairs if one != other}


def test_each_package_imports_only_what_it_may():
    arrows = between_packages(imports.graph((*imports.PACKAGES, "tools", "tests")))
    ours = {(one, other) for one, other in arrows if one in ALLOWED}
    assert {(one, other) for one, other in ours if other not in ALLOWED[one]} == set()
    assert ours, "no arrow was found at all"


@pytest.mark.parametrize("package", ALLOWED)
def test_no_modules_import_each_other_in_a_circle(package):
    assert imports.circle(imports.graph((package,))) == []


def test_a_circle_and_a_forbidden_arrow_are_noticed():
    assert imports.circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]
    assert imports.circle({"a": {"b"}, "b": set(), "c": {"a", "b"}}) == []
    assert between_packages({"utils.x": {"lrsweep", "utils.y"}}) == {("utils", "lrsweep")}
    inside = "def f():\n    from course.views import descent"
    assert imports.imported(inside, imports.modules()) == {"course.views", "course.views.descent"}
    relative = imports.imported("from ._sweep import x", {"lrsweep._sweep"}, "lrsweep")
    assert relative == {"lrsweep._sweep"}


def test_utils_is_small():
    lines = {path: len(path.read_text().splitlines()) for path in (ROOT / "utils").rglob("*.py")}
    assert sum(lines.values()) <= SIZE
    assert max(lines.values()) <= 250, max(lines, key=lines.get)


def table_of_utils():
    """Return {module: its lessons, such as "1 to 5"} from the package's docstring."""
    rows = [line for line in utils.__doc__.splitlines() if line.startswith("``")]
    return {row.split("``")[1]: re.split(r"\s{2,}", row)[1] for row in rows}


def test_the_table_of_utils_lists_its_modules_and_each_names_its_lessons():
    there = {path.stem for path in (ROOT / "utils").iterdir() if path.name[0] != "_"}
    assert sorted(table_of_utils()) == sorted(there)
    for name, lessons in table_of_utils().items():
        path = imports.modules()[f"utils.{name}"]
        said = "All lessons." if lessons == "all" else rf"Lessons? {lessons}\."
        assert re.search(rf"^{said}$", ast.get_docstring(ast.parse(path.read_text())), re.M), name


def test_a_lesson_imports_modules_that_the_table_gives_it():
    for path in rules.lessons():
        number, cells = int(path.name[:2]), rules.code_cells(nbformat.read(path, as_version=4))
        known = imports.modules(("utils",))
        for name in imports.imported("\n".join(cell.source for cell in cells), known):
            lessons = table_of_utils().get(name.partition(".")[2], "all")
            ends = [int(end) for end in re.findall(r"\d+", lessons)] or [1, 99]
            assert ends[0] <= number <= ends[-1], f"{path.name} imports {name}"


LIGHT = {
    "utils": "import utils, utils.checks, utils.descent, utils.losses, utils.schedules",
    "lrsweep": "import lrsweep",
    "names of lrsweep": "from lrsweep import sweep_learning_rates, range_test",
    "course": "import course, course.quiz, course.answer_checks, course.views, course.clothing",
}


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT)
def test_importing_brings_neither_tensorflow_nor_matplotlib(code):
    heavy = "('tensorflow', 'keras', 'matplotlib', 'sklearn', 'pandas')"
    code += f"; import sys; print([name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_importing_the_figures_leaves_matplotlibs_settings_alone():
    code = "import matplotlib; before = dict(matplotlib.rcParams); import utils.plotting; "
    code += "from course.views import descent; from utils import plotting; "
    code += "plotting.plot_lines({'a': [1, 2]}, 'x', 'y'); descent.parabola_figure(0.9, 2.0); "
    code += "print(before == dict(matplotlib.rcParams))"
    command = [sys.executable, "-c", code]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "True"
