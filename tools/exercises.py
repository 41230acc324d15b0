"""Make the students' notebooks from the sources, and try how good the exercises' tests are.

python -m tools.exercises                              every release anew
python -m tools.exercises LESSON --seed 7 --out DIR    one lesson's release with other numbers
python -m tools.exercises mutants LESSON --seeds 0-19  what the tests say of wrong and right answers
python -m tools.exercises strength LESSON              which checks could be deleted unnoticed
"""

import argparse
import ast
import contextlib
import copy
import importlib
import io
import re
import signal
import sys
import types
import warnings
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np

from utils import exercises

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "exercises" / "source"
RELEASES = ROOT / "exercises" / "release"
PLAIN = (np.ndarray, np.random.Generator, list, dict, tuple, set)  # what each try gets afresh
SECONDS = 60  # what one cell may take before it counts as an endless loop

STUBS = {
    "ClearSolutions": {
        "code_stub": {"python": "...  # your code"},
        "text_stub": "*Write your answer here, over this line.*",
    }
}
PREPROCESSORS = (  # nbgrader's own order for an assignment, less what belongs to its database
    "LockCells", "ClearSolutions", "ClearOutput", "CheckCellMetadata", "ClearHiddenTests",
    "ClearMarkScheme", "ComputeChecksums", "CheckCellMetadata",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A wrong answer that the tests must reject.

    Attributes
    ----------
    misconception : str
        What whoever writes this believes, with its number in the curriculum if it has one.
    code : str
        The whole answer cell.
    says : str, optional
        A part of the sentence with which it must be rejected.
    crashes : bool
        It may be rejected by an error or an endless loop, not only by a check.
    """

    misconception: str
    code: str
    says: str | None = None
    crashes: bool = False


def changed(answer, *changes):
    """Return an answer with pieces of text replaced, (old, new) each; each must be there."""
    for old, new in changes:
        if old not in answer:
            raise ValueError(f"{old!r} is not in the answer")
        answer = answer.replace(old, new)
    return answer


@dataclass(frozen=True)
class Verdict:
    """What the tests of one answer said: sentences of checks that failed, and other errors."""

    sentences: tuple = ()
    errors: tuple = ()

    @property
    def accepted(self):
        return not self.sentences and not self.errors

    def __add__(self, other):
        return Verdict(self.sentences + other.sentences, self.errors + other.errors)

    def rejects(self, mutant):
        """Tell whether the mutant was rejected as it should be."""
        if mutant.says is not None:
            return any(mutant.says in sentence for sentence in self.sentences)
        return bool(self.sentences or (mutant.crashes and self.errors))


# ---------------------------------------------------------------- notebooks


def lesson_path(lesson):
    """Return the source of a lesson given by number, such as 1 or "01"."""
    found = sorted(SOURCES.glob(f"{int(lesson):02d}_*/exercises_{int(lesson):02d}.ipynb"))
    if len(found) != 1:
        raise FileNotFoundError(f"lesson {lesson} has {len(found)} exercise notebooks")
    return found[0]


def lesson_numbers():
    """Return the numbers of the lessons that have exercises."""
    return sorted(int(path.stem[-2:]) for path in SOURCES.glob("*_*/exercises_*.ipynb"))


def source(lesson):
    """Read the notebook with solutions and hidden tests of a lesson given by number."""
    return nbformat.read(lesson_path(lesson), as_version=4)


def variant(notebook, seed):
    """Return the notebook with the class's numbers drawn from another seed."""
    notebook = copy.deepcopy(notebook)
    given = cells(notebook)["given"]
    given.source, count = re.subn(
        r"^CLASS_SEED = \d+$", f"CLASS_SEED = {int(seed)}", given.source, flags=re.MULTILINE
    )
    if count != 1:
        raise ValueError(f"the cell `given` has {count} lines `CLASS_SEED = ...`, wanted one")
    return notebook


def release(notebook, seed=0):
    """Return the student's notebook: no solution, no hidden test, the same bytes every time."""
    from nbgrader import preprocessors
    from traitlets.config import Config

    notebook = variant(notebook, seed)
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in ("nbgrader", "tags") if key in cell.metadata}
        cell.metadata = nbformat.from_dict(kept)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for name in PREPROCESSORS:
        step = getattr(preprocessors, name)(config=Config(STUBS))
        notebook, _ = step.preprocess(notebook, {})
    nbformat.validate(notebook)
    return notebook


def written(notebook):
    """Return a notebook as the text of its file."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def write_release(lesson, seed=0, folder=RELEASES):
    """Write one student's notebook below a folder and return its path."""
    path = Path(folder) / lesson_path(lesson).relative_to(SOURCES)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written(release(source(lesson), seed)), encoding="utf-8", newline="\n")
    return path


def cells(notebook):
    """Return the cells by id, in order."""
    return {cell.id: cell for cell in notebook.cells}


def answers(notebook):
    """Return the names of the answer cells, in order."""
    return [name for name in cells(notebook) if name.startswith("answer_")]


def mutants(lesson):
    """Return the module of a lesson's wrong and right answers."""
    return importlib.import_module(f"exercises.mutants.lesson_{int(lesson):02d}")


# ---------------------------------------------------------------- running


class TimeUp(BaseException):
    """A cell ran too long; not an Exception, so that an answer does not catch it by accident."""


@contextlib.contextmanager
def _limited(seconds):
    """Stop an endless loop, where the system has an alarm (not on Windows)."""

    def stop(number, frame):
        raise TimeUp(f"still running after {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)  # again and again: a loop may catch one
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def marking(on=True):
    """Let failed checks raise, as where marks are given, or print, as for a learner."""
    before, exercises.MARKING = exercises.MARKING, on
    try:
        yield
    finally:
        exercises.MARKING = before


def run(code, scope, label="cell", seconds=SECONDS):
    """Execute the text or the syntax tree of a cell in a namespace; return what it printed."""
    printed, quiet = io.StringIO(), contextlib.redirect_stderr(io.StringIO())
    with contextlib.redirect_stdout(printed), quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with _limited(seconds):
            exec(compile(code, f"<{label}>", "exec"), scope)
    return printed.getvalue()


def run_notebook(notebook, on=False):
    """Run all code cells in one namespace; return what each printed, by cell id."""
    scope = {"__name__": "__main__"}
    with marking(on):
        return {
            cell.id: run(cell.source, scope, cell.id)
            for cell in notebook.cells
            if cell.cell_type == "code"
        }


class Bench:
    """One lesson with one class seed, on which answers are tried.

    What stands before an answer (set-up, given, the right answers to the earlier exercises) runs
    once; each try gets its own copy, so that no answer can spoil the next one's.
    """

    def __init__(self, lesson, seed=0):
        self.lesson, self.notebook = lesson, variant(source(lesson), seed)
        self._before = {}
        scope = {"__name__": "__main__"}
        with marking():
            for cell in self.notebook.cells:
                if cell.cell_type != "code":
                    continue
                if cell.id.startswith("answer_"):
                    self._before[cell.id] = _own_copy(scope)
                if not cell.id.startswith("test_"):
                    run(cell.source, scope, cell.id)

    def tests(self, answer):
        """Return the sources of an answer's test cells, by cell id."""
        number = answer.removeprefix("answer_")
        wanted = re.compile(rf"test_{number}[a-z]*$")
        return {
            name: cell.source for name, cell in cells(self.notebook).items() if wanted.match(name)
        }

    def reference(self, answer):
        """Return the right answer that the source holds."""
        return cells(self.notebook)[answer].source

    def verdict(self, answer, code, tests=None, mutant=None):
        """Try the code of an answer cell against its tests; a mutant, until it is rejected."""
        verdict = Verdict()
        scope = _own_copy(self._before[answer])
        _fix_random_numbers()
        with marking():
            for name, text in {answer: code, **(tests or self.tests(answer))}.items():
                verdict += _said(text, scope, name)
                if mutant and verdict.rejects(mutant):
                    break
        return verdict


def _said(text, scope, name):
    """Run an answer or a test cell; return what its checks and its errors said."""
    try:
        run(text, scope, name)
    except AssertionError as error:
        if name.startswith("test_"):
            return Verdict(sentences=(str(error),))
        return Verdict(errors=(str(error),))
    except (Exception, SystemExit, TimeUp) as error:
        return Verdict(errors=(f"{type(error).__name__}: {error}",))
    return Verdict()


def _own_copy(scope):
    """Copy a namespace: plain data deeply, and functions so that they see the copy's names."""
    memo, own = {}, {}
    for name, value in scope.items():
        if isinstance(value, PLAIN) and name != "__builtins__":
            with contextlib.suppress(Exception):  # what cannot be copied is shared
                value = copy.deepcopy(value, memo)
        elif isinstance(value, types.FunctionType) and value.__globals__ is scope:
            value = _rebound(value, own)
        own[name] = value
    return own


def _rebound(function, scope):
    twin = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    twin.__doc__ = function.__doc__
    return twin


def _fix_random_numbers():
    """Start each try with the same random numbers, whatever ran before it."""
    np.random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)


# ---------------------------------------------------------------- how good the tests are


def judge(bench):
    """Yield (answer, name, what is wrong) for all mutants and alternatives; "" if nothing is."""
    module = mutants(bench.lesson)
    for answer in answers(bench.notebook):
        for name, mutant in module.MUTANTS[answer].items():
            verdict = bench.verdict(answer, mutant.code, mutant=mutant)
            yield answer, name, "" if verdict.rejects(mutant) else _complaint(mutant, verdict)
        for name, code in module.ALTERNATIVES[answer].items():
            verdict = bench.verdict(answer, code)
            yield answer, name, "" if verdict.accepted else f"right, but refused: {verdict}"


def _complaint(mutant, verdict):
    if verdict.accepted:
        return "wrong, but accepted"
    if verdict.sentences:
        return f"rejected without saying {mutant.says!r}: {verdict.sentences}"
    return f"stopped by an error, not by a check: {verdict.errors}"


def idle_checks(lesson, seed=0):
    """Yield (test cell, line of code) for the checks of a lesson that no mutant needs.

    A check is one `expect(...)` or `assert` of a test cell. It is needed if, without it alone, a
    mutant would no longer be rejected as it should be. `# kept: reason` on its line, or on the
    line above, excuses it.
    """
    bench, module = Bench(lesson, seed), mutants(lesson)
    for answer in answers(bench.notebook):
        tests = bench.tests(answer)
        alone = {
            name: {cell: bench.verdict(answer, it.code, {cell: tests[cell]}) for cell in tests}
            for name, it in module.MUTANTS[answer].items()
        }
        for cell, text in tests.items():
            slipping = [  # rejected by this test cell only
                mutant
                for name, mutant in module.MUTANTS[answer].items()
                if not sum((alone[name][it] for it in tests if it != cell), Verdict()).rejects(
                    mutant
                )
            ]
            for line, tree in without_each_check(text):
                if all(bench.verdict(answer, it.code, {cell: tree}).rejects(it) for it in slipping):
                    yield cell, line


def without_each_check(text):
    """Yield (its first line, the tree without it) for every check that is not excused."""
    lines = text.splitlines()
    for number in range(len(_checks(ast.parse(text)))):
        tree = ast.parse(text)
        body, place = _checks(tree)[number]
        node = body[place]
        start = max(node.lineno - 2, 0)
        if any("# kept:" in line for line in lines[start : node.end_lineno]):
            continue
        body[place] = ast.copy_location(ast.Pass(), node)
        yield lines[node.lineno - 1].strip(), ast.fix_missing_locations(tree)


def _checks(tree):
    """Return (body, place in it) of every `expect(...)` and `assert` of a syntax tree."""
    return [
        (body, place)
        for node in ast.walk(tree)
        for field in ("body", "orelse", "finalbody")
        if isinstance(body := getattr(node, field, None), list)
        for place, statement in enumerate(body)
        if _is_check(statement)
    ]


def _is_check(statement):
    if isinstance(statement, ast.Assert):
        return True
    call = getattr(statement, "value", None) if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and getattr(call.func, "id", None) == "expect"


# ---------------------------------------------------------------- commands


def main(arguments=None):
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in ("mutants", "strength"):
        return {"mutants": _tell_mutants, "strength": _tell_strength}[words[0]](words[1:])
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
        results = list(judge(Bench(chosen.lesson, seed)))
        wrong = [result for result in results if result[2]]
        bad += len(wrong)
        print(f"seed {seed}: {len(results) - len(wrong)} of {len(results)} as they should be")
        for answer, name, complaint in wrong:
            print(f"  {answer} {name}: {complaint}")
    return 1 if bad else 0


def _tell_strength(words):
    parser = argparse.ArgumentParser(prog="python -m tools.exercises strength")
    parser.add_argument("lesson")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(words)
    idle = list(idle_checks(chosen.lesson, chosen.seed))
    for name, line in idle:
        print(f"{name}: no mutant needs `{line}`")
    print(f"{len(idle)} checks that no mutant needs")
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
