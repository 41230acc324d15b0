"""What an exercise notebook says of an answer: not answered yet, right, or why it is wrong.

While you learn, a wrong answer prints a sentence and the notebook goes on. Where marks are given
(the environment variable COURSE_MARKING is set), the same checks raise an error, which costs the
points.
"""

import contextlib
import os

import numpy as np

VARIABLE = "COURSE_MARKING"
# What a kernel that marks was started with stays: an answer that deletes the variable would turn
# each failed check into a printed sentence, and a test that only prints earns its points.
STARTED_TO_MARK = bool(os.environ.get(VARIABLE))


class NotAnswered(AssertionError):
    """There is no answer yet: None or `...` stands in its place."""


def marks_are_given():
    """Tell whether a failed check costs points; each check asks anew."""
    return STARTED_TO_MARK or bool(os.environ.get(VARIABLE))


@contextlib.contextmanager
def check(label):
    """Say in one line how an exercise went; a block of checks stands within.

    Parameters
    ----------
    label : str
        Which exercise, for example "1a".
    """
    try:
        yield
    except Exception as error:
        if marks_are_given():
            raise
        if isinstance(error, NotAnswered):
            print(f"{label}: not answered yet.")
        elif isinstance(error, AssertionError):
            print(f"{label}: not yet. {error}")
        else:
            print(f"{label}: your code stopped with {type(error).__name__}: {error}")
    else:
        print(f"{label}: right.")


def expect(name, got, wanted, tolerance=1e-9, mistakes=None):
    """Check one answer, and name the mistake where it is a known one.

    Parameters
    ----------
    name : str
        What the answer is.
    got : number, array-like, str or bool
        The learner's answer. Numbers are converted to plain ones first.
    wanted : number, array, str or bool
    tolerance : float
        Largest difference that is accepted, relative to the largest number wanted.
    mistakes : dict of str to (number, array or str), optional
        Sentences that teach, and the wrong answers that they belong to.

    Raises
    ------
    NotAnswered
        If `got` is None or `...`.
    AssertionError
        If `got` is another answer than `wanted`: with the sentence of the mistake, or with both.
    """
    if got is None or got is Ellipsis:
        raise NotAnswered(f"{name}: no answer yet")
    if _same(got, wanted, tolerance):
        return
    for sentence, wrong in (mistakes or {}).items():
        if _same(got, wrong, tolerance):
            raise AssertionError(sentence)
    hint = " They differ where no digit is shown." if _words(got) == _words(wanted) else ""
    raise AssertionError(f"{name} should be {_words(wanted)}, yours is {_words(got)}.{hint}")


def _same(got, wanted, tolerance):
    if isinstance(wanted, str):
        return type(got) is str and got.strip().lower() == wanted.lower()
    got, wanted = _plain(got), _plain(wanted)
    if got is None or got.shape != wanted.shape:
        return False
    finite = np.isfinite(wanted)
    if not np.array_equal(got[~finite], wanted[~finite], equal_nan=True):
        return False
    size = float(np.max(np.abs(wanted[finite]), initial=0.0)) or 1.0
    return bool(np.all(np.abs(got[finite] - wanted[finite]) <= tolerance * size))


def _plain(value):
    """Return a plain float array of the same numbers, or None if they are not numbers."""
    try:
        plain = np.asarray(value)
        return plain.astype(float) if plain.dtype.kind in "biuf" else None
    except (TypeError, ValueError):
        return None


def _words(value):
    numbers = None if isinstance(value, str) else _plain(value)
    if numbers is None:
        return repr(value)[:80]
    if numbers.ndim == 0:
        return f"{numbers:.7g}"
    if numbers.size > 6:
        return f"an array of shape {numbers.shape} that starts with {numbers.ravel()[:3]}"
    return np.array2string(numbers, precision=6)
