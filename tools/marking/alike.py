"""Submissions that are alike beyond the given code: a hint for a person, and no verdict."""

import io
import re
import tokenize
from collections import Counter, defaultdict
from itertools import combinations
from typing import NamedTuple

LENGTH = 6  # tokens, or words, in a piece that is compared
COMMON = 0.1  # a piece that more of the class than this share has is nobody's own
FEWEST = 25  # rare pieces that two submissions must share
SHARE = 0.6  # of the smaller one's pieces


class Pair(NamedTuple):
    """Two students, the share of the smaller one's own pieces that both have, and how many."""

    one: str
    other: str
    share: float
    pieces: int


def pieces(code, text=""):
    """Return the pieces of an answer: what stays when names of variables and layout change.

    Parameters
    ----------
    code : str
        The student's own code, without what was given.
    text : str
        The free text.

    Returns
    -------
    set of tuple
    """
    tokens = _tokens(code)
    words = re.findall(r"\w+", text.lower())
    own = {tuple(tokens[k : k + LENGTH]) for k in range(len(tokens) - LENGTH + 1)}
    return own | {tuple(words[k : k + LENGTH]) for k in range(len(words) - LENGTH + 1)}


def _tokens(code):
    """Return the tokens of Python code without comments; words, if it is none."""
    found = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type in (tokenize.NAME, tokenize.NUMBER, tokenize.STRING, tokenize.OP):
                found.append(token.string)
    except (tokenize.TokenError, SyntaxError, ValueError):
        return re.findall(r"\w+|[^\w\s]", code)
    return found


def pairs(students):
    """Return the pairs that share much that few others have, the most alike first.

    Parameters
    ----------
    students : dict of str to set of tuple
        The `pieces` of each.

    Returns
    -------
    list of Pair
    """
    most = max(2, round(COMMON * len(students)))
    number = Counter(piece for own in students.values() for piece in own)
    rare = {name: {it for it in own if number[it] <= most} for name, own in students.items()}
    owners = defaultdict(list)
    for name, own in rare.items():
        for piece in own:
            owners[piece].append(name)
    shared = Counter(
        pair
        for names in owners.values()
        if len(names) > 1
        for pair in combinations(sorted(names), 2)
    )
    found = []
    for (one, other), both in shared.items():
        share = both / max(1, min(len(rare[one]), len(rare[other])))
        if both >= FEWEST and share >= SHARE:
            found.append(Pair(one, other, round(share, 2), both))
    return sorted(found, key=lambda it: (-it.share, -it.pieces, it.one))
