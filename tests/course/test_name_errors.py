"""Cells run out of order say which cell comes first; cells run twice do the same again."""

import logging
import re

import nbformat
import pytest
from nbclient import NotebookClient

from course import name_errors, setup_cell
from tools import rules

LESSONS = rules.lessons()
CELL = {
    path: [cell.source for cell in rules.code_cells(nbformat.read(path, 4))] for path in LESSONS
}


def run(cells, path):
    """Execute cells in one kernel, whatever fails, and return what each wrote."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in cells])
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, allow_errors=True, resources=where).execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_cell_that_comes_too_early_says_what_comes_first():
    path = LESSONS[1]
    late = next(source for source in CELL[path] if source.startswith("start = np.array"))
    *_, (error, hint) = run([CELL[path][0], late], path)
    assert error.ename == "NameError"
    assert hint.text.startswith("np is made by the cell that begins “import numpy as np”, in the")
    assert "Do you remember?" in hint.text


def test_an_ordinary_slip_is_left_alone():
    *_, slip, fine = run([CELL[LESSONS[1]][0], "no_such_name", "print(3)"], LESSONS[1])
    assert [output.output_type for output in slip] == ["error"]
    assert fine[0].text == "3\n"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_notebook_is_told_by_what_was_run(path):
    first, *_, last = CELL[path][1:]
    name = sorted(name_errors.names_made(first))[0]
    assert first.splitlines()[0] in name_errors.which_comes_first(name, [last])


def test_of_several_cells_that_make_a_name_the_nearest_above_counts():
    """Lesson 8 makes `rate` in ward 1, and again in the template that a reader begins with."""
    path = next(path for path in LESSONS if path.stem.startswith("08"))
    tests_once = next(source for source in CELL[path] if source.startswith("assert rate is not"))
    assert "begins “LEARNING_RATES = " in name_errors.which_comes_first("rate", [tests_once])
    changed = [CELL[path][1], "a cell of the reader's own: rate"]
    assert "ward" not in name_errors.which_comes_first("rate", changed)
    assert "A: thousands" in name_errors.which_comes_first("rate", changed)


def test_the_set_up_cell_alone_tells_no_notebook():
    assert name_errors.which_comes_first("np", [CELL[LESSONS[0]][0], "np.ones(3)"]) is None


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import numpy as np\nfrom utils import data", {"np", "data"}),
        ("a, (b, *c) = 1, (2, 3)\nprint(d)", {"a", "b", "c"}),
        ("for k in range(3):\n    with open(k) as f:\n        e += 1", {"k", "f", "e"}),
        ("def g(x):\n    y = x\nclass H: pass", {"g", "H"}),
        ("%pip install something", set()),
    ],
)
def test_names_made_by_a_cell(source, names):
    assert name_errors.names_made(source) == names


def test_models_in_a_loop_bring_no_warning_but_others_stay(caplog):
    setup_cell._calm_loggers()
    logger = logging.getLogger("tensorflow")
    logger.warning("%d out of the last %d calls triggered tf.function retracing.", 5, 5)
    logger.warning("something else")
    assert [record.message for record in caplog.records] == ["something else"]


def test_the_first_figure_on_a_computer_brings_no_warning_but_others_stay(caplog):
    setup_cell._calm_loggers()
    logger = logging.getLogger("matplotlib.font_manager")
    logger.warning("Matplotlib is building the font cache; this may take a moment.")
    logger.warning("something else")
    assert [record.message for record in caplog.records] == ["something else"]


def words(outputs):
    """Return what a cell said, but for the numbers that count models and name objects."""
    said = []
    for output in outputs:
        data = output.get("data", {})
        said.append(output.get("text") or output.get("evalue") or data.get("text/plain", ""))
    return re.sub(r"0x\w+|[0-9a-f]{32}|sequential_\d+", "", "".join(said))


@pytest.mark.long
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_cell_run_twice_says_the_same_twice(path):
    said = [words(outputs) for outputs in run([it for it in CELL[path] for _ in range(2)], path)]
    assert said[::2] == said[1::2]
