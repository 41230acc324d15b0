"""Wrong answers to the exercises, which the tests must reject, and right ones of other kinds.

Each module has two dictionaries: ``MUTANTS`` and ``ALTERNATIVES``, by answer cell and name.
``python -m tools.exercises mutants LESSON`` says what the tests make of them.
"""

from dataclasses import dataclass


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
