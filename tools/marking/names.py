"""Names in code: what only the tests define, and what a student wrote into a given cell."""

import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
NAMED = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler
KEPT = (ast.Import, ast.ImportFrom, *NAMED[:3])
CLOSED = (*FUNCTIONS, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def peeked(own, given, tests):
    """Return the names that functions of a student's read, and that only the tests define.

    Parameters
    ----------
    own, given, tests : list of str
        The student's code, the notebook's own, and the tests': a text for each cell.

    Returns
    -------
    list of str

    Examples
    --------
    >>> peeked(["def f(x):\\n    return wanted"], ["x = 1"], ["wanted = 2 * x"])
    ['wanted']
    >>> peeked(["wanted = 3\\ndef f(x):\\n    return wanted"], [], ["wanted = 6"])
    []
    """
    own, given, tests = (list(map(tree_of, cells)) for cells in (own, given, tests))
    defined = set().union(*map(_bound, own + given))
    by_tests = set().union(*map(left_behind, tests)) - defined
    inside = [it for tree in own for it in ast.walk(tree) if isinstance(it, FUNCTIONS)]
    read = {
        name.id
        for function in inside
        for name in ast.walk(function)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)
    }
    return sorted(read & by_tests)


def added(code, given, known):
    """Return the imports and definitions that a student wrote into a given cell.

    Parameters
    ----------
    code, given : str
        The cell as it was handed in, and as it was given out.
    known : collection of str
        Names that stay what the given cells make of them.

    Returns
    -------
    str
        Code for a cell of the student's own; empty if there is nothing to keep.

    Examples
    --------
    >>> added("import math\\nrate = 9\\ndef check(): pass", "rate = 1", {"rate", "check"})
    'import math'
    """
    before = {ast.dump(it) for it in tree_of(given).body}
    kept = [
        ast.unparse(it)
        for it in tree_of(code).body
        if isinstance(it, KEPT) and ast.dump(it) not in before and not _defines(it) & known
    ]
    return "\n".join(kept)


def defined(cells):
    """Return the names that cells define anywhere."""
    return set().union(*map(_bound, map(tree_of, cells)))


def _defines(statement):
    if isinstance(statement, NAMED):
        return {statement.name}
    return _bound(statement)


def tree_of(code):
    """Return the syntax tree of a cell; one that is no Python has none."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in code.split("\n")]
    try:
        return ast.parse("\n".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _bound(tree):
    """Return the names that a cell defines anywhere."""
    found = set()
    for it in ast.walk(tree):
        if isinstance(it, ast.Name) and not isinstance(it.ctx, ast.Load):
            found.add(it.id)
        elif isinstance(it, ast.arg):
            found.add(it.arg)
        elif isinstance(it, ast.alias):
            found.add((it.asname or it.name).partition(".")[0])
        elif isinstance(it, NAMED) and it.name:
            found.add(it.name)
    return found


def left_behind(tree):
    """Return the names that a cell assigns where later cells see them; imports are no answers."""
    found, waiting = set(), [tree]
    while waiting:
        it = waiting.pop()
        if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store):
            found.add(it.id)
        if not isinstance(it, CLOSED):
            waiting += ast.iter_child_nodes(it)
    return found
