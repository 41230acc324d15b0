"""Answers are tried here: a lesson's tests run over them, and say right or wrong."""

import contextlib
import copy
import importlib
import io
import os
import re
import signal
import sys
import types
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from course import answer_checks

from .release import answers, cells, source, variant

PLAIN = (np.ndarray, np.random.Generator, list, dict, tuple, set)  # what each try gets afresh
SECONDS = 60  # what one cell may take before it counts as an endless loop


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
    before = os.environ.pop(answer_checks.VARIABLE, None)
    if on:
        os.environ[answer_checks.VARIABLE] = "1"
    try:
        yield
    finally:
        os.environ.pop(answer_checks.VARIABLE, None)
        if before is not None:
            os.environ[answer_checks.VARIABLE] = before


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


class Bench:
    """One lesson with one class seed, on which answers are tried.

    What stands before an answer (set-up, given, the right answers to the earlier exercises) runs
    once; each try gets its own copy, so that no answer can spoil the next one's.

    Parameters
    ----------
    lesson : int or str
        Its number.
    seed : int
        The class's.
    seconds : float
        What one cell of a try may take.
    """

    def __init__(self, lesson, seed=0, seconds=SECONDS):
        self.lesson, self.notebook = lesson, variant(source(lesson), seed)
        self.seconds = seconds
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
                verdict += self._said(text, scope, name)
                if mutant and verdict.rejects(mutant):
                    break
        return verdict

    def _said(self, text, scope, name):
        """Run an answer or a test cell; return what its checks and its errors said."""
        try:
            run(text, scope, name, self.seconds)
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


def mutants(lesson):
    """Return the module of a lesson's wrong and right answers."""
    return importlib.import_module(f"exercises.mutants.lesson_{int(lesson):02d}")


class Judged(NamedTuple):
    """One wrong or right answer of a lesson, and what is wrong with its verdict: "" if nothing."""

    answer: str
    name: str
    complaint: str


def judge(bench):
    """Yield a `Judged` for each mutant and each alternative of a lesson."""
    module = mutants(bench.lesson)
    for answer in answers(bench.notebook):
        for name, mutant in module.MUTANTS[answer].items():
            verdict = bench.verdict(answer, mutant.code, mutant=mutant)
            yield Judged(answer, name, _complaint(mutant, verdict))
        for name, code in module.ALTERNATIVES[answer].items():
            verdict = bench.verdict(answer, code)
            complaint = "" if verdict.accepted else f"right, but refused: {verdict}"
            yield Judged(answer, name, complaint)


def _complaint(mutant, verdict):
    if verdict.rejects(mutant):
        return ""
    if verdict.accepted:
        return "wrong, but accepted"
    if verdict.sentences:
        return f"rejected without saying {mutant.says!r}: {verdict.sentences}"
    return f"stopped by an error, not by a check: {verdict.errors}"
