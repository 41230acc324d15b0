"""What of a student's code may mean something: not comments, docstrings and the given imports."""

import ast
import io
import itertools
import re
import tokenize

EMPTY = tokenize.NL, tokenize.COMMENT
BEGINS = tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT  # after these begins a statement
TEXT = r"(?i)[rbu]*['\"]"  # an f-string computes
IMPORT = r"(?:from|import) .*"


def without_comments(code):
    """Return a cell without its comments and docstrings; one that is no Python stays as it is.

    Examples
    --------
    >>> without_comments("x = 1  # inspect it\\nprint('# inspect')")
    "x = 1  \\nprint('# inspect')"
    """
    try:
        ast.parse(code)
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    lines = list(io.StringIO(code))
    for token in reversed(list(_idle(tokens))):
        (first, start), (last, end) = token.start, token.end
        lines[first - 1 : last] = [lines[first - 1][:start] + lines[last - 1][end:]]
    return "".join(lines)


def _idle(tokens):
    """Yield the comments, and the strings that are statements of their own."""
    before = tokenize.NEWLINE
    for token, after in itertools.pairwise(tokens):
        alone = before in BEGINS and after.type in (tokenize.NEWLINE, tokenize.COMMENT)
        is_text = token.type == tokenize.STRING and re.match(TEXT, token.string)
        if token.type == tokenize.COMMENT or (is_text and alone):
            yield token
        before = before if token.type in EMPTY else token.type


def without_given_imports(code, course):
    """Return code without the lines that import just what the notebook's own code imports."""
    given = {it.strip() for it in course.split("\n") if re.fullmatch(IMPORT, it.strip())}
    return "\n".join(line for line in code.split("\n") if line.strip() not in given)
