"""The stored notebooks keep the house's rules, and each rule can fail."""

import ast
import copy
import re
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf

import utils
from lrsweep import hessian_product
from tools import notebooks, rules
from utils import descent, models, noisy_quadratic

LESSONS = rules.lessons()
SHOWN = utils.SHOWN | {"lrsweep.hessian_product": 7}
QUIZZES = sorted((rules.ROOT / "notebooks" / "quiz").glob("*.json"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_keeps_the_rules(path):
    found = rules.problems(nbformat.read(path, as_version=4), path)
    assert not found, "\n".join(["", *found])


OF_AN_APPENDIX = (rules.normalised, rules.executed_in_order, rules.fresh, rules.quiet, rules.set_up)
OF_AN_APPENDIX += (rules.figures, rules.numbers_shown)


@pytest.mark.parametrize("path", rules.appendices(), ids=lambda path: path.stem)
def test_appendix_keeps_the_rules_that_are_not_only_for_lessons(path):
    notebook = nbformat.read(path, as_version=4)
    assert [problem for rule in OF_AN_APPENDIX for problem in rule(notebook, path)] == []


@pytest.mark.parametrize("path", QUIZZES, ids=lambda path: path.stem)
def test_quiz_explains_every_answer(path):
    assert rules.quiz_problems(path) == []


def test_lessons_are_numbered_without_gaps():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(1, len(LESSONS) + 1))


def _figure(notebook):
    return next(
        output
        for cell in rules.code_cells(notebook)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    )


def _spoil_count(nb):
    rules.code_cells(nb)[3].execution_count = 77


def _spoil_output(nb):
    cell = next(cell for cell in rules.code_cells(nb) if "gradient 20.0" in rules.printed(cell))
    cell.outputs[0].text = cell.outputs[0].text.replace("20.0", "21.0")


def _spoil_question(nb):
    for cell in rules.code_cells(nb):
        if rules.quizzes(cell.source):
            cell.outputs[-1].data["text/plain"] = "1. Another question?"


def _spoil_source(nb):
    rules.code_cells(nb)[1].source += "\nx = 3"


def _spoil_badge(nb):
    nb.cells[0].source = nb.cells[0].source.replace("/01_", "/02_")


def _spoil_title(nb):
    nb.cells[3].source = "# Another title"


def _spoil_quiet(nb):
    rules.code_cells(nb)[2].outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="oneDNN custom operations are on")
    ]


def _spoil_error(nb):
    rules.code_cells(nb)[2].outputs = [
        nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])
    ]


def _spoil_setup(nb):
    cell = rules.code_cells(nb)[0]
    cell.source = cell.source.replace("https://github.com", "https://example.org")


def _spoil_length(nb):
    rules.code_cells(nb)[4].source = "\n".join(["x = 1"] * 21)


def _spoil_paragraph(nb):
    nb.cells[4].source = "word " * 91


def _spoil_section(nb):
    for cell in nb.cells:
        cell.source = cell.source.replace("## Myths on trial", "## Myths")


def _spoil_link(nb):
    nb.cells[3].source += " [there](nowhere.ipynb)"


def _spoil_exercises(nb):
    nb.cells[-1].source = nb.cells[-1].source.replace("(../", "(https://example.org/")


def _spoil_next(nb):
    nb.cells[-1].source = nb.cells[-1].source.replace("[lesson 2]", "[another]")


def _spoil_alt(nb):
    _figure(nb).metadata = {}


def _spoil_size(nb):
    _figure(nb).data["image/png"] = "A" * 140_000


def _spoil_quiz(nb):
    for cell in rules.code_cells(nb):
        cell.source = cell.source.replace("quiz.ask", "quiz.skip")


def _spoil_prose(nb):
    nb.cells[6].source += "\n\nAfter ten updates we are at 3.4877."


def _spoil_metadata(nb):
    nb.metadata["widgets"] = {}


SPOILERS = {
    _spoil_count: "executed_in_order", _spoil_output: "fresh", _spoil_source: "fresh",
    _spoil_question: "fresh",
    _spoil_badge: "headed", _spoil_title: "headed", _spoil_quiet: "quiet", _spoil_error: "quiet",
    _spoil_setup: "set_up", _spoil_length: "readable", _spoil_paragraph: "readable",
    _spoil_section: "readable", _spoil_link: "linked", _spoil_exercises: "linked",
    _spoil_next: "linked", _spoil_alt: "figures", _spoil_size: "figures",
    _spoil_quiz: "quizzed", _spoil_prose: "numbers_shown", _spoil_metadata: "normalised",
}  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "rule"), SPOILERS.items(), ids=lambda it: getattr(it, "__name__", it)
)
def test_each_rule_notices_its_breach(spoil, rule):
    notebook = copy.deepcopy(nbformat.read(LESSONS[0], as_version=4))
    spoil(notebook)
    assert any(problem.startswith(rule) for problem in rules.problems(notebook, LESSONS[0]))


def test_every_rule_is_tried():
    assert set(SPOILERS.values()) == {rule.__name__ for rule in rules.RULES}


def test_a_change_of_what_a_lesson_imports_is_noticed(monkeypatch):
    notebook = nbformat.read(LESSONS[0], as_version=4)
    fewer = notebooks.imported_files(rules.code_cells(notebook))[:-1]
    monkeypatch.setattr(notebooks, "imported_files", lambda cells: fewer)
    assert any("imports changed" in problem for problem in rules.fresh(notebook, LESSONS[0]))


def test_a_lesson_depends_on_what_it_imports_and_on_nothing_else():
    first = rules.code_cells(nbformat.read(LESSONS[0], as_version=4))
    names = {path.relative_to(rules.ROOT).as_posix() for path in notebooks.imported_files(first)}
    assert {"utils/__init__.py", "utils/descent.py", "utils/checks.py"} <= names
    assert {"course/views/descent.py", "course/views/_view.py", "course/quiz.py"} <= names
    assert not {name for name in names if name.startswith(("lrsweep", "course/clothing"))}
    assert "utils/schedules.py" not in names


def _taught(name):
    """Return a function as the lesson that shows it defines it."""
    lesson, short = LESSONS[SHOWN[name] - 1], name.rpartition(".")[2]
    for cell in rules.code_cells(nbformat.read(lesson, as_version=4)):
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef) and node.name == short:
                scope = {"np": np, "keras": keras, "tf": tf}
                exec(ast.unparse(node), scope)
                return scope[short]
    raise AssertionError(f"{lesson.name} does not define {short}")


def test_every_function_that_is_said_to_be_shown_is_compared():
    compared = re.findall(r'^    taught = _taught\("([\w.]+)"\)', Path(__file__).read_text(), re.M)
    assert sorted(compared) == sorted(SHOWN)


def test_taught_gradient_descent_is_the_imported_one():
    taught = _taught("descent.gradient_descent")
    for rate in (0.05, 0.2, 0.5, 0.9, 1.0, 1.1):
        np.testing.assert_array_equal(
            taught(lambda x: 2 * x, 10.0, rate, 30),
            descent.gradient_descent(lambda x: 2 * x, 10.0, rate, 30),
        )


def test_taught_power_iteration_is_the_imported_one():
    taught = _taught("descent.largest_curvature")
    matrix = np.diag([5.0, 2.0, 0.1])
    mine, theirs = (find(lambda v: matrix @ v, 3) for find in (taught, descent.largest_curvature))
    assert mine == pytest.approx(theirs, rel=1e-9)


def test_taught_expected_loss_is_the_imported_one():
    taught = _taught("noisy_quadratic.expected_loss")
    for rates in (np.full(300, 0.125), np.linspace(1.9, 0, 300), np.full(50, 2.5)):
        for curvatures, noise, start in (((1.0, 0.1, 0.01), 0.1, 1.0), ((1.0,), 1.0, 10.0)):
            np.testing.assert_allclose(
                taught(rates, curvatures, noise, start),
                noisy_quadratic.expected_loss(rates, curvatures, noise, start),
                rtol=1e-12,
            )


def test_taught_transfer_model_is_the_imported_one():
    taught = _taught("models.build_transfer_model")
    inputs = keras.Input((8, 8, 3))
    backbone = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))
    pictures = np.random.default_rng(0).normal(size=(5, 8, 8, 3))
    built = []
    for build in (taught, models.build_transfer_model):
        keras.utils.set_random_seed(0)
        built.append(build(backbone, 3, 0.02))
    mine, theirs = built
    np.testing.assert_array_equal(mine.predict(pictures, verbose=0), theirs(pictures))
    assert mine.loss.get_config() == theirs.loss.get_config()
    configs = [dict(model.optimizer.get_config(), name="") for model in built]
    assert configs[0] == configs[1]
    assert len(mine.trainable_variables) == len(theirs.trainable_variables) == 2


def test_taught_hessian_product_is_the_imported_one():
    taught = _taught("lrsweep.hessian_product")
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(3, activation="tanh", kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2)])
    model.compile("sgd", loss="mse")
    random = np.random.default_rng(0)
    x, y = random.normal(size=(7, 4)).astype("float32"), random.normal(size=(7, 2))
    direction = [random.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
    products = taught(model, x, y, direction), hessian_product(model, x, y, direction)
    for mine, theirs in zip(*products):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
