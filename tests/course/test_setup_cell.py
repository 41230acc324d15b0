"""The set-up cell and what stands behind it."""

import json
import os
import re
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from packaging.specifiers import SpecifierSet

from course import setup_cell
from tools import rules

LESSON = rules.lessons()[0]
CELL = rules.code_cells(nbformat.read(LESSON, as_version=4))[0].source


def run_cell(folder, env=None, before="", after=""):
    """Run the set-up cell in a Python of its own and return what it said."""
    code = f"{before}\n{CELL}\n{after}"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True
    )


def test_importing_utils_is_quick_and_light():
    code = (
        "import time, sys; start = time.perf_counter(); import utils; "
        "took = time.perf_counter() - start; "
        "import utils.checks, utils.descent, utils.losses; "
        "print(took, [n for n in ('tensorflow', 'keras', 'matplotlib') if n in sys.modules])"
    )
    took, loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split(" ", 1)
    assert loaded.strip() == "[]"
    assert float(took) < 0.3  # measured at about 0.001


def test_the_first_lessons_do_not_wait_for_tensorflow():
    code = "import sys; from course import quiz; from course.views import descent; "
    code += "from utils import data, descent, losses, plotting; "
    code += "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_cell_is_the_same_in_every_lesson_and_short():
    cells = {
        rules.code_cells(nbformat.read(path, as_version=4))[0].source for path in rules.lessons()
    }
    assert cells == {CELL}
    assert len(CELL.splitlines()) <= 10


@pytest.mark.parametrize("folder", [".", "notebooks", "notebooks/quiz"])
def test_cell_finds_the_repository(folder):
    result = run_cell(ROOT / folder, after="import utils; print(utils.__file__)")
    ready, where = result.stdout.splitlines()
    assert ready.startswith("Ready: Python ")
    assert "Keras" in ready
    assert where == str(ROOT / "utils" / "__init__.py")


def test_cell_fetches_the_course_once(tmp_path, published):
    folder = tmp_path / "empty"
    folder.mkdir()
    result = run_cell(folder, published, after=f"{CELL}\nimport utils; print(utils.__file__)")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1].startswith(str(folder / "learning-rate-course"))
    gone = {**published, "GIT_CONFIG_KEY_0": "url.file:///nowhere.insteadOf"}
    again = run_cell(folder, gone)
    assert again.returncode == 0, "the second run must not fetch again"


def test_cell_says_what_to_do_without_a_network(tmp_path):
    nowhere = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "url.file:///nowhere/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
    }
    result = run_cell(tmp_path, nowhere)
    said = result.stderr.partition("ConnectionError: ")[2]
    assert "'/nowhere/" in said  # git's own words
    assert "check network and learning-rate-course/, or open this in the course folder" in said
    assert not list(tmp_path.iterdir())


def test_cell_says_what_to_do_without_git(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run_cell(tmp_path, {**os.environ, "PATH": str(tmp_path / "empty")})
    assert re.search(r"ConnectionError: .*git.*not found.*: check network", result.stderr)


def test_cell_says_what_to_do_with_a_half_made_copy(tmp_path, published):
    (tmp_path / "empty" / "learning-rate-course" / ".git").mkdir(parents=True)
    result = run_cell(tmp_path / "empty", published)
    assert (
        "ConnectionError: fatal: destination path 'learning-rate-course' already" in result.stderr
    )


@pytest.mark.parametrize("name", setup_cell.PACKAGES)
def test_another_package_of_this_name_does_not_stand_in_the_way(name, tmp_path, published):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / f"{name}.py").write_text("print('the wrong one')")
    after = "from utils import descent; from lrsweep import RangeTest; from course import quiz"
    result = run_cell(tmp_path / "empty", published, before=f"import {name}", after=after)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("the wrong one\nReady")


def test_a_lesson_runs_from_an_empty_folder(tmp_path, published, monkeypatch):
    for name in ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"):
        monkeypatch.setenv(name, published[name])
    folder = tmp_path / "content"
    folder.mkdir()
    notebook = nbformat.read(LESSON, as_version=4)
    client = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert sorted(path.name for path in folder.iterdir()) == ["learning-rate-course"]
    assert rules.code_cells(notebook)[0].outputs[0].text.startswith("Ready")


def test_report_names_what_lessons_use():
    report = setup_cell.environment_report()
    assert report["cores"] >= 1
    assert report["colab"] is False
    assert {"keras", "tensorflow", "numpy", "ipywidgets", "jupyterquiz"} <= set(report)
    assert not {"jupyterlab", "nbval"} & set(report)
    json.dumps(report)


def test_too_old_and_missing_packages_are_named(monkeypatch):
    versions = {name: setup_cell._version(name) for name in setup_cell.lesson_requirements()}
    monkeypatch.setattr(setup_cell, "_version", lambda name: versions[name])
    versions["keras"] = "3.9.1"
    with pytest.raises(ImportError, match=r"needs keras 3\.13\.1 or newer, found 3\.9\.1"):
        setup_cell.set_up()
    versions["keras"], versions["jupyterquiz"] = "3.15.1", None
    with pytest.raises(ImportError, match=r"needs jupyterquiz.*which is not installed"):
        setup_cell.set_up()


def test_lessons_may_begin_while_tensorflow_is_being_installed(monkeypatch, tmp_path, capsys):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".early").touch()
    monkeypatch.setattr(setup_cell, "ROOT", tmp_path)
    monkeypatch.setattr(setup_cell.sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.setattr(setup_cell, "_put_first", lambda root: None)
    setup_cell.set_up()
    said = capsys.readouterr().out
    assert said.startswith("Ready for lessons 1 and 2, with NumPy 2.")
    (tmp_path / ".venv" / ".lab").touch()
    assert not setup_cell._is_being_installed()


def test_colab_gets_what_it_lacks_and_nothing_else(monkeypatch, capsys):
    installed, versions = [], dict.fromkeys(setup_cell.lesson_requirements(), "99")
    versions |= {"jupyterquiz": None, "keras": None}

    def fake_run(command, check):
        installed.extend(command[5:])
        versions.update(jupyterquiz="99", keras="99")

    monkeypatch.setattr(setup_cell, "_on_colab", lambda: True)
    monkeypatch.setattr(setup_cell, "_version", lambda name: versions[name])
    monkeypatch.setattr(setup_cell.subprocess, "run", fake_run)
    setup_cell.set_up()
    setup_cell.set_up()
    assert [name for name in installed if not name.startswith("jupyterquiz")] == []
    assert len(installed) == 1
    assert capsys.readouterr().out.count("Installed jupyterquiz.") == 1


def test_tensorflow_starts_without_a_word():
    after = "import keras, tensorflow; print(keras.backend.backend(), keras.ops.sum([1.0, 2.0]))"
    result = run_cell(ROOT, {**os.environ, "KERAS_BACKEND": "torch"}, after=after)
    assert "tensorflow tf.Tensor(3.0" in result.stdout
    assert result.stderr == ""


def test_errors_of_a_quiet_import_are_still_seen(tmp_path):
    (tmp_path / "tensorflow.py").write_text("raise RuntimeError('broken install')")
    code = "import sys, pathlib; sys.path.insert(0, str(pathlib.Path.cwd())); import tensorflow"
    result = run_cell(ROOT, after=code.replace("pathlib.Path.cwd()", repr(str(tmp_path))))
    assert "RuntimeError: broken install" in result.stderr


def test_a_second_run_of_the_cell_adds_no_filter():
    code = "import logging; print(len(logging.getLogger('tensorflow').filters))"
    result = run_cell(ROOT, after=f"{code}\n{CELL}\n{code}")
    assert [line for line in result.stdout.splitlines() if line.isdigit()] == ["1", "1"]


def test_a_dependency_without_a_floor_is_accepted(monkeypatch):
    wanted = {"numpy": SpecifierSet("<99"), "pandas": SpecifierSet("")}
    monkeypatch.setattr(setup_cell, "lesson_requirements", lambda: wanted)
    setup_cell._check_versions()
    wanted["pandas"] = SpecifierSet(">=99")
    with pytest.raises(ImportError, match="needs pandas 99 or newer"):
        setup_cell._check_versions()
