"""The matrix of environments: its table in docs/, and how it finds what is wrong."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course import setup_cell
from tools import matrix, published, rules

TABLE = matrix.read_table()
COLAB = matrix.ENVIRONMENTS["Colab, 3.13"]
PINS = matrix.ENVIRONMENTS["tested pins, 3.11"]


@pytest.mark.parametrize("name", matrix.ENVIRONMENTS)
@pytest.mark.parametrize("path", matrix.notebooks(), ids=lambda path: path.stem)
def test_page_shows_a_green_cell(path, name):
    assert re.fullmatch(r"\d+ s", TABLE.get((matrix.label(path), name), "no such cell"))


def test_page_shows_no_other_rows_and_columns():
    rows = {*map(matrix.label, matrix.notebooks()), *matrix.SHOWN}
    assert {row for row, _ in TABLE} == rows
    assert {column for _, column in TABLE} == set(matrix.ENVIRONMENTS)


def test_page_shows_the_versions_of_the_pins():
    for name in ("keras", "tensorflow", "ipywidgets"):
        assert f"{name}=={TABLE[name, 'tested pins, 3.11']}" in (
            ROOT / "requirements.txt"
        ).read_text(encoding="utf-8")


def colab_pins():
    lines = (ROOT / "tools" / "colab.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin.specifier for pin in pins}


def test_colab_has_what_lessons_need_but_the_quizzes():
    pins, wanted = colab_pins(), setup_cell.lesson_requirements()
    assert {name for name in wanted if name not in pins} == {"jupyterquiz"}
    for name in wanted.keys() & pins.keys():
        (pin,) = pins[name]
        assert pin.operator == "=="
        assert wanted[name].contains(pin.version), f"{name} {pin.version} is out of range"
        assert TABLE.get((name, "Colab, 3.13"), pin.version) == pin.version


def test_environments_cover_every_python_and_both_ends():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'requires-python = ">=3.11,<3.14"' in project
    pythons = {it.python for it in matrix.ENVIRONMENTS.values() if it.source == "requirements.txt"}
    assert pythons == {"3.11", "3.12", "3.13"}
    assert {it.source for it in matrix.ENVIRONMENTS.values()} == {
        "requirements.txt", "pyproject.toml", "environment.yml", "tools/colab.txt",
    }  # fmt: skip


def executed():
    """A lesson as an environment might hand it back: two set-ups, a slider with its view."""
    code = [
        ("Ready: Python 3. Installed jupyterquiz.\n", {}),
        ("as it was\n", {}),
        ("Ready: Python 3.\n", {}),
        ("as it was\n", {}),
        ("", {matrix.WIDGET_VIEW: {"model_id": "a"}, "text/plain": ""}),
    ]
    cells = []
    for text, data in code:
        outputs = [nbformat.v4.new_output("stream", text=text)] if text else []
        outputs += [nbformat.v4.new_output("display_data", data=data)] if data else []
        cells.append(nbformat.v4.new_code_cell("views.explore_it()" * bool(data), outputs=outputs))
    model = {"model_module": "@jupyter-widgets/controls", "model_module_version": "1.5.0"}
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = nbformat.from_dict(
        {"widgets": {matrix.WIDGET_STATE: {"state": {"a": model}}}}
    )
    return notebook


def test_a_good_notebook_has_no_complaints():
    assert list(matrix.complaints(executed(), COLAB, "1.5.0")) == []


def _spoil_stderr(nb):
    nb.cells[4].outputs.append(
        nbformat.v4.new_output("stream", name="stderr", text="FutureWarning: soon\n")
    )


def _spoil_error(nb):
    nb.cells[4].outputs.append(nbformat.v4.new_output("error", ename="NameError", evalue="x"))


def _spoil_view(nb):
    nb.cells[4].outputs = []


def _spoil_state(nb):
    nb.cells[4].outputs[0].data[matrix.WIDGET_VIEW]["model_id"] = "b"


def _spoil_protocol(nb):
    state = nb.metadata["widgets"][matrix.WIDGET_STATE]["state"]
    state["a"]["model_module_version"] = "2.0.0"


def _spoil_first(nb):
    nb.cells[0].outputs[0].text = nb.cells[2].outputs[0].text


def _spoil_second(nb):
    nb.cells[2].outputs[0].text = nb.cells[0].outputs[0].text


def _spoil_probe(nb):
    nb.cells[3].outputs[0].text = "one file more\n"


SPOILERS = {
    _spoil_stderr: "stderr: FutureWarning: soon", _spoil_error: "NameError: x",
    _spoil_view: "no widget", _spoil_state: "a widget without its state",
    _spoil_protocol: "widgets do not speak 1.5.0", _spoil_first: "the set-up cell says",
    _spoil_second: "the second set-up changes", _spoil_probe: "the second set-up changes",
}  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "wanted"), SPOILERS.items(), ids=lambda it: getattr(it, "__name__", " ")
)
def test_complaints_notice(spoil, wanted):
    notebook = copy.deepcopy(executed())
    spoil(notebook)
    assert any(found.startswith(wanted) for found in matrix.complaints(notebook, COLAB, "1.5.0"))


def test_only_colab_is_asked_for_two_set_ups():
    notebook = executed()
    _spoil_second(notebook)
    assert list(matrix.complaints(notebook, PINS, "1.5.0")) == []


def test_set_up_runs_twice_with_a_look_around_after_each():
    lesson = nbformat.read(rules.lessons()[0], as_version=4)
    once = [cell.source for cell in rules.code_cells(lesson)]
    twice = [cell.source for cell in rules.code_cells(matrix.twice_set_up(lesson))]
    assert twice == [once[0], matrix.PROBE, once[0], matrix.PROBE, *once[1:]]


def test_what_is_published_answers_the_course_s_address(tmp_path):
    address = published.publish(tmp_path)
    settings = matrix.surroundings(tmp_path, Path(sys.executable), address)
    command = ["git", "ls-remote", "--heads", rules.address()]
    heads = subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout
    assert heads.split("\t")[1:] == [f"refs/heads/{rules.revision()}\n"]


def test_surroundings_are_somebody_else_s(tmp_path, monkeypatch):
    for name in ("PYTHONPATH", "KERAS_BACKEND", "JUPYTER_PATH", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.setenv(name, "mine")
    settings = matrix.surroundings(tmp_path, Path(sys.executable), "file:///nowhere")
    assert "mine" not in settings.values()
    assert settings["HOME"] == str(tmp_path)


def test_a_missing_python_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "WORK", tmp_path)
    monkeypatch.setitem(matrix.ENVIRONMENTS, "none", matrix.Environment("3.99", "requirements.txt"))
    cell = matrix.try_one(rules.lessons()[0], "none")
    assert cell == "broken: no Python 3.99 here"
    assert "3.99" in (tmp_path / "logs" / f"none_{rules.lessons()[0].stem}.log").read_text()


def test_a_notebook_that_fails_is_named_and_its_log_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "WORK", tmp_path)
    monkeypatch.setattr(matrix, "build", lambda name: Path(sys.executable))
    path = tmp_path / "failing.ipynb"
    lesson = nbformat.read(rules.lessons()[0], as_version=4)
    cells = [rules.code_cells(lesson)[0], nbformat.v4.new_code_cell("1 / 0")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=lesson.metadata), path)
    assert matrix.try_one(path, "Colab, 3.13") == "broken: ZeroDivisionError: division by zero"
    (log,) = (tmp_path / "logs").iterdir()
    assert "1 / 0" in log.read_text(encoding="utf-8")


def test_table_goes_between_the_marks_and_keeps_other_cells(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    monkeypatch.setattr(matrix, "notebooks", lambda: [tmp_path / "notebooks" / "07_x.ipynb"])
    page = tmp_path / matrix.PAGE
    page.parent.mkdir()
    page.write_text("before\n\n<!-- matrix -->\n<!-- end of matrix -->\n\nafter\n")
    row = "[lesson 7](../notebooks/07_x.ipynb)"
    for name, cell in (("lowest, 3.11", "broken: no"), ("Colab, 3.13", "3 s")):
        matrix.write_table(matrix.read_table() | {(row, name): cell})
    found = matrix.read_table()
    assert found[row, "lowest, 3.11"] == "broken: no"
    assert found[row, "Colab, 3.13"] == "3 s"
    assert found[row, "newest, 3.13"] == "not tried"
    assert page.read_text().startswith("before\n\n<!--")
    assert page.read_text().endswith("-->\n\nafter\n")
