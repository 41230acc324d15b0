"""The exercises: fresh releases, sources that keep the contract, tests that reject mistakes."""

import ast
import functools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from conftest import ROOT

from course.answer_checks import NotAnswered, check, expect
from exercises.mutants import Mutant, changed
from tools import exercises, rules
from tools.exercises import release, strength
from tools.exercises.__main__ import main

LESSONS = exercises.lesson_numbers()
ANSWERS = [(lesson, it) for lesson in LESSONS for it in exercises.answers(exercises.source(lesson))]


def _is_fast(lesson):
    return "keras" not in "".join(cell.source for cell in exercises.source(lesson).cells)


@functools.cache
def _bench(lesson):
    """Return a lesson's bench; each try has its own copy of it, so that one is enough."""
    return exercises.Bench(lesson)


def _released(lesson):
    path = release.RELEASES / exercises.lesson_path(lesson).relative_to(release.SOURCES)
    return nbformat.read(path, as_version=4), path


def _graded(notebook):
    return {
        cell.id: cell.metadata["nbgrader"] for cell in notebook.cells if "nbgrader" in cell.metadata
    }


# ---------------------------------------------------------------- the sources


@pytest.mark.parametrize("lesson", LESSONS)
def test_source_is_named_like_its_lesson(lesson):
    folder = exercises.lesson_path(lesson).parent.name
    assert folder in [path.stem for path in rules.lessons()]
    notebook = exercises.source(lesson)
    colab = rules.address().replace(
        "https://github.com", "https://colab.research.google.com/github"
    )
    place = f"exercises/release/{folder}/exercises_{lesson:02d}.ipynb"
    assert notebook.cells[0].source.startswith(f"# Exercises {lesson} · ")
    assert f"({colab}/blob/{rules.revision()}/{place})" in notebook.cells[0].source


@pytest.mark.parametrize("lesson", LESSONS)
def test_source_starts_with_the_lessons_set_up(lesson):
    setup = exercises.cells(exercises.source(lesson))["setup"]
    for path in rules.lessons():
        assert setup.source == rules.code_cells(nbformat.read(path, as_version=4))[0].source
    assert setup.metadata == {"tags": ["setup"]}


@pytest.mark.parametrize("lesson", LESSONS)
def test_source_metadata(lesson):
    notebook = exercises.source(lesson)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for name, graded in _graded(notebook).items():
        kind = (graded["grade"], graded["solution"], graded["locked"])
        assert graded["grade_id"] == name
        assert kind == {
            "given": (False, False, True),
            "answer": (False, True, False),
            "test": (True, False, True),
            "free": (True, True, False),
        }.get(name.partition("_")[0]), name
        assert (graded["schema_version"], graded["task"]) == (3, False)
        assert graded["grade"] == ("points" in graded)
        assert graded.get("points", 1) in (1, 2, 3)
    expected = re.compile(r"given(_\d)?|answer_\d|test_\d[a-z]|free_text")
    assert {name for name in exercises.cells(notebook) if expected.fullmatch(name)} == set(
        _graded(notebook)
    )


@pytest.mark.parametrize("lesson", LESSONS)
def test_source_stores_no_outputs(lesson):
    for cell in rules.code_cells(exercises.source(lesson)):
        assert (cell.outputs, cell.execution_count) == ([], None), cell.id


@pytest.mark.parametrize("lesson", LESSONS)
def test_source_is_readable(lesson):
    notebook = exercises.source(lesson)
    for cell in rules.code_cells(notebook):
        assert len(cell.source.splitlines()) <= 25, cell.id
    for text in rules.texts(notebook):
        for paragraph in re.split(r"\n\s*\n|\n> |\n[*-] |\n\d\. |\n\|", text):
            assert len(paragraph.split()) <= 90 or "BEGIN SOLUTION" in text, paragraph[:50]


@pytest.mark.parametrize("lesson", LESSONS)
def test_points_are_told(lesson):
    notebook = exercises.source(lesson)
    told = int(re.search(r"\*\*Points\*\* \| (\d+)", notebook.cells[0].source).group(1))
    assert told == sum(graded.get("points", 0) for graded in _graded(notebook).values())


@pytest.mark.parametrize("lesson", LESSONS)
def test_one_question_in_words_with_a_rubric(lesson):
    questions = [
        cell
        for cell in exercises.source(lesson).cells
        if cell.metadata.get("nbgrader", {}).get("grade") and cell.cell_type == "markdown"
    ]
    assert [cell.id for cell in questions] == ["free_text"]
    assert questions[0].source.startswith("**Your answer:**\n\n### BEGIN SOLUTION")
    hidden = "\n".join(_between(questions[0].source, "SOLUTION"))
    assert "*Rubric, one point each:*" in hidden


@pytest.mark.parametrize("lesson", LESSONS)
def test_all_end_alike(lesson):
    first = exercises.cells(exercises.source(LESSONS[0]))["outro"].source
    done, _, pairs = exercises.cells(exercises.source(lesson))["outro"].source.partition("\n\n")
    assert done == first.partition("\n\n")[0]
    assert pairs.startswith("For pairs: ")


@pytest.mark.parametrize(("lesson", "answer"), ANSWERS)
def test_exercise_is_complete(lesson, answer):
    bench, module = _bench(lesson), exercises.mutants(lesson)
    assert _between(bench.reference(answer), "SOLUTION")
    assert 3 <= len(exercises.answers(bench.notebook)) <= 5
    assert len(module.MUTANTS[answer]) >= 6
    assert len(module.ALTERNATIVES[answer]) >= 3
    assert any("BEGIN HIDDEN" in text for text in bench.tests(answer).values())
    for name, text in bench.tests(answer).items():
        assert text.startswith(f'with check("{name.removeprefix("test_")}"):'), name
        alone = bench.verdict(answer, bench.reference(answer), {name: text})
        assert alone.accepted, f"{name} does not stand alone: {alone}"


@pytest.mark.parametrize("lesson", LESSONS)
def test_mutants_belong_to_answers(lesson):
    module, names = exercises.mutants(lesson), exercises.answers(exercises.source(lesson))
    assert list(module.MUTANTS) == list(module.ALTERNATIVES) == names


@pytest.mark.parametrize("lesson", LESSONS)
def test_mutants_are_made_by_changes_that_cannot_miss(lesson):
    code = Path(exercises.mutants(lesson).__file__).read_text(encoding="utf-8")
    calls = [it.func for it in ast.walk(ast.parse(code)) if isinstance(it, ast.Call)]
    assert "replace" not in [it.attr for it in calls if isinstance(it, ast.Attribute)]


def test_a_change_that_misses_is_refused():
    assert changed("a + b", ("a", "c"), ("+", "-")) == "c - b"
    with pytest.raises(ValueError, match="is not in the answer"):
        changed("a + b", ("-", "+"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_source_executes_and_passes(lesson):
    exercises.run_notebook(exercises.source(lesson), on=True)


# ---------------------------------------------------------------- the releases


@pytest.mark.parametrize("lesson", LESSONS)
def test_release_is_fresh_and_reproducible(lesson):
    pytest.importorskip("nbgrader", reason="nbgrader builds the releases")
    notebook, path = exercises.source(lesson), _released(lesson)[1]
    once = exercises.written(exercises.student_version(notebook))
    assert once == exercises.written(exercises.student_version(notebook))
    assert once.encode() == path.read_bytes(), "run python -m tools.exercises"


@pytest.mark.parametrize("lesson", LESSONS)
def test_release_follows_the_seed(lesson):
    pytest.importorskip("nbgrader", reason="nbgrader builds the releases")
    notebook = exercises.source(lesson)
    first = exercises.student_version(notebook)
    other = exercises.student_version(notebook, seed=7)
    different = [a.id for a, b in zip(first.cells, other.cells) if a != b]
    assert different == ["given"]
    assert "CLASS_SEED = 7\n" in exercises.cells(other)["given"].source


def _between(text, name):
    """Return the lines between BEGIN and END of solutions or hidden tests."""
    found = re.findall(rf"### BEGIN {name}\n(.*?)### END {name}", text, flags=re.DOTALL)
    return [line.strip() for part in found for line in part.splitlines() if line.strip()]


@pytest.mark.parametrize("lesson", LESSONS)
def test_release_gives_nothing_away(lesson):
    source, released = exercises.cells(exercises.source(lesson)), _released(lesson)[0]
    for cell in released.cells:
        text = source[cell.id].source
        secret = {*_between(text, "SOLUTION"), *_between(text, "HIDDEN TESTS")}
        shown = re.sub(r"### BEGIN .*?### END", "", text, flags=re.DOTALL)
        secret -= {line.strip() for line in shown.splitlines()}
        assert not secret & {line.strip() for line in cell.source.splitlines()}, cell.id
    whole = nbformat.writes(released)
    assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN)|[Rr]ubric", whole)


@pytest.mark.parametrize("lesson", LESSONS)
def test_release_has_the_cells_of_its_source(lesson):
    source, released = exercises.source(lesson), _released(lesson)[0]
    assert list(exercises.cells(released)) == list(exercises.cells(source))
    for name, graded in _graded(released).items():
        assert graded.pop("checksum")
        assert graded.pop("cell_type") == exercises.cells(source)[name].cell_type
        assert graded == _graded(source)[name]


@pytest.mark.parametrize("lesson", LESSONS)
def test_release_executes_unsolved(lesson):
    printed = exercises.run_notebook(_released(lesson)[0])
    for name, text in printed.items():
        if name.startswith("test_"):
            assert f"{name.removeprefix('test_')}: not answered yet." in text


@pytest.mark.parametrize(("lesson", "answer"), ANSWERS)
def test_unsolved_earns_nothing(lesson, answer):
    bench, stub = _bench(lesson), exercises.cells(_released(lesson)[0])[answer].source
    for name, text in bench.tests(answer).items():
        assert bench.verdict(answer, stub, {name: text}).sentences, name


# ---------------------------------------------------------------- the tests of the exercises


@pytest.mark.parametrize("lesson", LESSONS)
def test_mutants_are_rejected_and_alternatives_accepted(lesson):
    assert [it for it in exercises.judge(_bench(lesson)) if it.complaint] == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 20))
@pytest.mark.parametrize("lesson", LESSONS)
def test_they_are_for_every_seed(lesson, seed):
    bench = exercises.Bench(lesson, seed)
    assert [it for it in exercises.judge(bench) if it.complaint] == []
    exercises.run_notebook(exercises.variant(exercises.source(lesson), seed), on=True)


@pytest.mark.parametrize(
    "lesson",
    [pytest.param(it, marks=[] if _is_fast(it) else pytest.mark.long) for it in LESSONS],
)
def test_every_check_is_needed(lesson):
    assert list(exercises.idle_checks(lesson)) == []


# ---------------------------------------------------------------- the tool

SMALL = {
    "setup": "import numpy as np\n\nfrom course.answer_checks import check, expect",
    "given": "CLASS_SEED = 0\nnumbers = np.array([1.0 + CLASS_SEED, 2.0])\n"
    "def total():\n    return float(numbers.sum())",
    "answer_1": "def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
    "test_1a": 'with check("1a"):\n'
    '    expect("one", double(1), 2, mistakes={"Do not square.": 1})\n'
    "    ### BEGIN HIDDEN TESTS\n"
    '    expect("the sum", double(total()), 6 + 2 * CLASS_SEED)\n'
    "    ### END HIDDEN TESTS",
}
WRONG = {
    "squares": Mutant("doubling is squaring", "def double(x):\n    return x * x", "square"),
    "always_two": Mutant("one example is enough", "def double(x):\n    return 2"),
}


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A lesson of one exercise; returns its mutants and alternatives, to be changed."""
    notebook = nbformat.v4.new_notebook()
    for name, text in SMALL.items():
        cell = nbformat.v4.new_code_cell(text)
        cell.id = name
        graded = {"grade_id": name, "schema_version": 3, "task": False}
        kind = {"grade": False, "solution": False, "locked": name == "given"}
        if name == "answer_1":
            kind["solution"] = True
        if name == "test_1a":
            kind = {"grade": True, "solution": False, "locked": True, "points": 1}
        cell.metadata = nbformat.from_dict({"nbgrader": graded | kind} if name != "setup" else {})
        notebook.cells.append(cell)
    path = tmp_path / "09_small" / "exercises_09.ipynb"
    path.parent.mkdir()
    nbformat.write(notebook, path)
    monkeypatch.setattr(release, "SOURCES", tmp_path)

    class Module:
        MUTANTS = {"answer_1": dict(WRONG)}  # noqa: RUF012
        ALTERNATIVES = {"answer_1": {}}  # noqa: RUF012

    monkeypatch.setitem(sys.modules, "exercises.mutants.lesson_09", Module)
    return Module


def _complaints(lesson=9):
    judged = exercises.judge(exercises.Bench(lesson))
    return {it.name: it.complaint for it in judged if it.complaint}


def test_good_mutants_need_no_complaint(small):
    assert _complaints() == {}


def test_accepted_mutant_is_reported(small):
    small.MUTANTS["answer_1"]["adds"] = Mutant("adds", "def double(x):\n    return x + x")
    assert _complaints() == {"adds": "wrong, but accepted"}


def test_mutant_without_its_sentence_is_reported(small):
    small.MUTANTS["answer_1"]["squares"] = Mutant(
        "squares", "def double(x):\n    return x * x", says="Do not cube"
    )
    assert "without saying 'Do not cube'" in _complaints()["squares"]


def test_refused_alternative_is_reported(small):
    small.ALTERNATIVES["answer_1"]["odd"] = "def double(x):\n    return 2 * x + 1"
    assert "right, but refused" in _complaints()["odd"]


@pytest.mark.parametrize(
    "code", ["1 / 0", "def double(x):\n    raise ValueError", "def double(x:", "raise SystemExit"]
)
def test_a_crash_is_no_rejection_unless_declared(small, code):
    small.MUTANTS["answer_1"]["crash"] = Mutant("crash", code)
    assert "stopped by an error" in _complaints()["crash"]
    small.MUTANTS["answer_1"]["crash"] = Mutant("crash", code, crashes=True)
    assert _complaints() == {}


def test_an_endless_loop_is_stopped(small):
    loop = (
        "def double(x):\n    while True:\n        try:\n            x = 1\n"
        "        except Exception:\n            pass"
    )
    verdict = exercises.Bench(9, seconds=0.3).verdict("answer_1", loop)
    assert "TimeUp" in verdict.errors[0]


def test_a_mutant_does_not_spoil_the_next(small):
    bench = exercises.Bench(9)
    spoil = "numbers[:] = 0\nnumbers = None\ncheck = None\ndef double(x):\n    return 7"
    assert not bench.verdict("answer_1", spoil).accepted
    assert bench.verdict("answer_1", bench.reference("answer_1")).accepted


def test_each_try_draws_the_same_numbers(small):
    bench = exercises.Bench(9)
    bench._before["answer_1"]["rng"] = np.random.default_rng(0)
    draw = "number = rng.random() + np.random.random()\ndef double(x):\n    return number"
    assert bench.verdict("answer_1", draw) == bench.verdict("answer_1", draw)


def test_given_functions_see_what_the_answer_changed(small):
    verdict = exercises.Bench(9).verdict(
        "answer_1", "numbers = np.zeros(2)\ndef double(x):\n    return 2 * x"
    )
    assert "the sum should be 6" in verdict.sentences[0]


def test_seed_reaches_given_answers_and_tests(small):
    bench = exercises.Bench(9, seed=5)
    assert bench.verdict("answer_1", bench.reference("answer_1")).accepted
    assert "16" in bench.verdict("answer_1", "def double(x):\n    return 2").sentences[0]


def test_strength_finds_an_idle_check(small):
    assert list(exercises.idle_checks(9)) == []
    del small.MUTANTS["answer_1"]["always_two"]
    (idle,) = exercises.idle_checks(9)
    assert idle == ("test_1a", 'expect("the sum", double(total()), 6 + 2 * CLASS_SEED)')


def test_strength_counts_a_lost_sentence(small):
    small.MUTANTS["answer_1"]["squares"] = Mutant("squares", "def double(x):\n    return x * x")
    (idle,) = exercises.idle_checks(9)
    assert idle.line.startswith('expect("one"')


@pytest.mark.parametrize("where", ["line", "above"])
def test_strength_accepts_a_reason(where):
    reason = "# kept: it is shown"
    text = f"assert x  {reason}" if where == "line" else f"{reason}\nassert x"
    assert list(strength.without_each_check(text)) == []
    assert len(list(strength.without_each_check("for i in y:\n    assert i\nassert x"))) == 2


def test_variant_needs_the_line_of_the_seed(small):
    notebook = exercises.source(9)
    exercises.cells(notebook)["given"].source = "seed = 0"
    with pytest.raises(ValueError, match="0 lines"):
        exercises.variant(notebook, 3)


def test_commands(small, tmp_path, capsys):
    assert main(["mutants", "9", "--seeds", "0-2"]) == 0
    assert "seed 2: 2 of 2 as they should be" in capsys.readouterr().out
    assert main(["strength", "9"]) == 0
    small.MUTANTS["answer_1"].clear()
    assert main(["strength", "9"]) == 1
    assert "2 checks that no mutant needs" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["9", "--seed", "4"])


def test_command_writes_a_variant(small, tmp_path):
    pytest.importorskip("nbgrader", reason="nbgrader builds the releases")
    assert main(["9", "--seed", "4", "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "09_small" / "exercises_09.ipynb").read_text()
    assert "CLASS_SEED = 4" in text
    assert "2 * x" not in text


# ---------------------------------------------------------------- course.answer_checks


class AlwaysEqual:
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = None


class AlwaysEqualArray(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def __sub__(self, other):
        return np.zeros(self.shape)

    __hash__ = None


class AlwaysEqualText(str):
    def __eq__(self, other):
        return True

    def strip(self):
        return "diverges"

    __hash__ = None


RIGHT = [
    (2, 2.0), (2.0, 2), (np.float32(2), 2), (np.array(2.0), 2), (True, 1), (2 + 1e-10, 2),
    ([1, 2], [1.0, 2.0]), ((1, 2), np.array([1, 2])), (math.inf, np.inf), (math.nan, np.nan),
    ([1, np.nan], [1, np.nan]), ([], []), (" Diverges\n", "diverges"), (0.0, 0),
    (1e-7 * (1 + 1e-10), 1e-7),
]  # fmt: skip
NOT_RIGHT = [
    (3, 2), (2 + 1e-8, 2), ([2], 2), (2, [2]), ([1, 2, 3], [1, 2]), ([[1, 2]], [1, 2]),
    (math.nan, 2), (2, math.nan), (math.inf, 2), (-math.inf, math.inf), (math.inf, math.nan),
    ([1, math.nan], [1, 2]), ("two", 2), ("converges", "diverges"), (2, "diverges"),
    ({"a": 2}, 2), ([[1], [1, 2]], [1, 2]), (2j, 2), (1e-7 * (1 + 1e-8), 1e-7), (1e-8, 0),
    (AlwaysEqual(), 2), (AlwaysEqual(), "diverges"), ([AlwaysEqual()], [2]),
    ("2", 2), (["1", "2"], [1, 2]), ([None, 2], [math.nan, 2]),
    (np.zeros(2).view(AlwaysEqualArray), [1, 2]), (AlwaysEqualText("x"), "diverges"),
]  # fmt: skip


@pytest.mark.parametrize(("got", "wanted"), RIGHT, ids=str)
def test_expect_accepts(got, wanted):
    expect("it", got, wanted)


@pytest.mark.parametrize(("got", "wanted"), NOT_RIGHT, ids=lambda it: type(it).__name__)
def test_expect_rejects(got, wanted):
    with pytest.raises(AssertionError, match="it should be"):
        expect("it", got, wanted)


@pytest.mark.parametrize("got", [None, ...])
def test_expect_knows_what_is_not_answered(got):
    with pytest.raises(NotAnswered):
        expect("it", got, 2)


def test_expect_takes_the_tolerance_given():
    expect("it", 2.01, 2, tolerance=0.01)
    with pytest.raises(AssertionError):
        expect("it", 2.03, 2, tolerance=0.01)


def test_expect_names_the_mistake():
    mistakes = {"You added.": [3, 4], "Infinity is not a number.": math.inf, "Not this.": "word"}
    for sentence, wrong in mistakes.items():
        with pytest.raises(AssertionError, match=sentence):
            expect("it", wrong, [1, 2], mistakes=mistakes)
    with pytest.raises(AssertionError, match="it should be"):
        expect("it", [9, 9], [1, 2], mistakes=mistakes)


def test_expect_says_so_where_both_look_the_same():
    with pytest.raises(AssertionError, match=r"yours is 0.1\. They differ where no digit is shown"):
        expect("it", np.float32(0.1), 0.1)
    with pytest.raises(AssertionError, match=r"yours is 0.2\.$"):
        expect("it", 0.2, 0.1)


def test_expect_shortens_what_is_long():
    with pytest.raises(AssertionError) as caught:
        expect("it", np.arange(1000), 2)
    assert "shape (1000,)" in str(caught.value)


def test_check_prints_for_a_learner(capsys):
    for label, wrong in {"a": None, "b": 3, "c": 2}.items():
        with check(label):
            expect("it", wrong, 2)
    with check("d"):
        1 / 0  # noqa: B018
    assert capsys.readouterr().out.splitlines() == [
        "a: not answered yet.",
        "b: not yet. it should be 2, yours is 3.",
        "c: right.",
        "d: your code stopped with ZeroDivisionError: division by zero",
    ]


def test_the_bench_leaves_the_variable_as_it_was(monkeypatch):
    for before in (None, "1"):
        monkeypatch.delenv("COURSE_MARKING", raising=False)
        if before:
            monkeypatch.setenv("COURSE_MARKING", before)
        with exercises.marking(), exercises.marking(False):
            assert "COURSE_MARKING" not in os.environ
        assert os.environ.get("COURSE_MARKING") == before


def test_a_kernel_that_was_started_to_mark_goes_on_when_the_variable_is_deleted():
    code = (
        "import os\nfrom course.answer_checks import check\ndel os.environ['COURSE_MARKING']\n"
        "with check('a'):\n    assert 1 > 2\nprint('passed')"
    )
    environment = {**os.environ, "COURSE_MARKING": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "AssertionError" in done.stderr
    assert "passed" not in done.stdout


def test_check_raises_where_marks_are_given():
    with exercises.marking(), pytest.raises(AssertionError), check("a"):
        expect("it", 3, 2)
    with exercises.marking(), pytest.raises(ZeroDivisionError), check("a"):
        1 / 0  # noqa: B018
