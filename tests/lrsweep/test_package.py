"""The package as others get it: what it shows, what it imports, what it asks to be installed."""

import ast
import re
import subprocess
import sys
import tomllib

import numpy as np
import pytest
from conftest import ROOT
from packaging.requirements import Requirement

import lrsweep

FOLDER = ROOT / "lrsweep"
MODULES = {path.stem: path for path in FOLDER.glob("*.py")}
PROJECT = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
NEEDED = [*PROJECT["dependencies"], *EXTRAS]
HEAVY = "tensorflow", "keras", "matplotlib", "pandas", "cloudpickle"


def imports(path):
    """Return the dotted names of all modules that a file imports, in its functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            names.add(node.module)
    return names


@pytest.mark.parametrize(
    "statement", ["import lrsweep", "from lrsweep import sweep_learning_rates, range_test"]
)
def test_importing_it_starts_nothing_heavy(statement):
    code = f"{statement}; import sys; print([it for it in {HEAVY} if it in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_nothing_else_is_public():
    wanted = {
        "CheckUp",
        "CurvatureMeter",
        "RangeTest",
        "SweepResult",
        "check_up",
        "choose_learning_rate",
        "hessian_product",
        "range_test",
        "sweep_learning_rates",
    }
    assert set(lrsweep.__all__) == wanted
    assert {name for name in dir(lrsweep) if not name.startswith("_")} == wanted
    assert [name for name in MODULES if not name.startswith("_")] == []


@pytest.mark.parametrize("name", MODULES)
def test_it_imports_nothing_of_the_course_and_nothing_undeclared(name):
    declared = {Requirement(line).name for line in NEEDED}
    used = {module.partition(".")[0] for module in imports(MODULES[name])}
    assert used <= declared | {"lrsweep"} | sys.stdlib_module_names


def test_every_dependency_says_why_and_both_versions_agree():
    text = (FOLDER / "pyproject.toml").read_text(encoding="utf-8")
    lines = re.findall(r'^    "([a-z].*)",? *# (.{15,})$', text, flags=re.MULTILINE)
    assert len(lines) == len(NEEDED)
    assert PROJECT["version"] == lrsweep.__version__


@pytest.mark.parametrize("missing", ["matplotlib.pyplot", "pandas", "cloudpickle"])
def test_what_is_missing_is_named_with_its_extra(missing, monkeypatch):
    test = lrsweep.RangeTest([0.1, 1.0, 10.0], [3.0, 1.0, 2.0])
    result = lrsweep.SweepResult(
        test.learning_rates, [0], {"loss": np.ones((3, 1, 1))}, [[False]] * 3
    )
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "lrsweep._executors", raising=False)
    need, extra = {
        "matplotlib.pyplot": (test.plot, "plot"),
        "pandas": (result.to_frame, "frame"),
        "cloudpickle": (lambda: __import__("lrsweep._executors"), "cluster"),
    }[missing]
    with pytest.raises(ImportError, match=rf'pip install \w+, or "lrsweep\[{extra}\]"'):
        need()
