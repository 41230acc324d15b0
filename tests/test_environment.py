"""The set-up cell and what stands behind it."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

from tools import rules
from utils import environment

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
        "import utils.checks, utils.descent, utils.landscapes; "
        "print(took, [n for n in ('tensorflow', 'keras', 'matplotlib') if n in sys.modules])"
    )
    took, loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split(" ", 1)
    assert loaded.strip() == "[]"
    assert float(took) < 0.3  # measured at about 0.001


def test_the_first_lessons_do_not_wait_for_tensorflow():
    code = "import sys; from utils import descent, landscapes, plotting, quiz, widgets, data; "
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
    assert "ConnectionError: No course at" in result.stderr
    assert "check the network and run this cell again" in result.stderr
    assert not list(tmp_path.iterdir())


def test_another_utils_does_not_stand_in_the_way(tmp_path, published):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "utils.py").write_text("print('the wrong one')")
    result = run_cell(
        tmp_path / "empty", published, before="import utils", after="from utils import descent"
    )
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
    report = environment.environment_report()
    assert report["cores"] >= 1
    assert report["colab"] is False
    assert {"keras", "tensorflow", "numpy", "ipywidgets", "jupyterquiz"} <= set(report)
    assert not {"jupyterlab", "nbval"} & set(report)
    json.dumps(report)


def test_too_old_and_missing_packages_are_named(monkeypatch):
    versions = {name: environment._version(name) for name in environment.lesson_requirements()}
    monkeypatch.setattr(environment, "_version", lambda name: versions[name])
    versions["keras"] = "3.9.1"
    with pytest.raises(ImportError, match=r"needs keras 3\.13\.1 or newer, found 3\.9\.1"):
        environment.set_up()
    versions["keras"], versions["jupyterquiz"] = "3.15.1", None
    with pytest.raises(ImportError, match=r"needs jupyterquiz.*which is not installed"):
        environment.set_up()


def test_colab_gets_what_it_lacks_and_nothing_else(monkeypatch, capsys):
    installed, versions = [], dict.fromkeys(environment.lesson_requirements(), "99")
    versions |= {"jupyterquiz": None, "keras": None}

    def fake_run(command, check):
        installed.extend(command[5:])
        versions.update(jupyterquiz="99", keras="99")

    monkeypatch.setattr(environment, "_on_colab", lambda: True)
    monkeypatch.setattr(environment, "_version", lambda name: versions[name])
    monkeypatch.setattr(environment.subprocess, "run", fake_run)
    environment.set_up()
    environment.set_up()
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
