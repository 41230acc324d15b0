"""Names in code: what only the tests define, and what a student wrote into a given cell."""

import ast
import re
from functools import lru_cache

from IPython.core.inputtransformer2 import TransformerManager

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
NAMED = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler
KEPT = (ast.Import, ast.ImportFrom, *NAMED[:3])
SET = ast.Assign, ast.AnnAssign
CLOSED = (*FUNCTIONS, ast.ClassDef)
HALF_CLOSED = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BINDS = {ast.MatchAs: "name", ast.MatchStar: "name", ast.MatchMapping: "rest"}
MAGICS, READ = 200, 500_000  # what is read: IPython's own commands, and these times letters
RUNS_CODE = r"(?m)^([ \t]*)%(?:time|prun)\b[ \t]*"  # magics whose line is Python


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


def history(own):
    """Tell whether a student's code reads `In`, IPython's list of all that was run.

    Parameters
    ----------
    own : list of str

    Examples
    --------
    >>> history(["print('In step', 3)"]), history(["list(In)"]), history(["In = 3", "list(In)"])
    (False, True, False)
    """
    parts = [it for cell in own for it in ast.walk(tree_of(cell)) if isinstance(it, ast.Name)]
    return any(it.id == "In" for it in parts) and "In" not in defined(own)


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
    before = {dumped(it) for it in tree_of(given).body}
    kept = [
        unparsed(it)
        for it in tree_of(code).body
        if isinstance(it, KEPT) and dumped(it) not in before and not _defines(it) & known
    ]
    return "\n".join(kept)


def variables_added(code, given, known):
    """Return the assignments to names of the student's own in a given cell, as code.

    An answer that is a table may have been merged with the cell above.

    Examples
    --------
    >>> code = "rate = 9\\nMINE = {}\\nMINE['a'] = rate\\nrate[0] = 1\\nsys.path[0] = ''"
    >>> variables_added(code, "rate = 1", {"rate"})
    "MINE = {}\\nMINE['a'] = rate"
    """
    before = {dumped(it) for it in tree_of(given).body}
    own = [it for it in tree_of(code).body if isinstance(it, SET) and dumped(it) not in before]
    mine = set().union(*map(_bound, own)) - known
    kept = [it for it in own if not _bound(it) & known and _in_place(it) <= mine]
    return "\n".join(map(unparsed, kept))


def added_to_test(code, given, known):
    """Return what a student wrote into a test: (before its first own statement, after it).

    Examples
    --------
    >>> added_to_test("def f(): pass\\nassert f()\\nx = 1", "assert f()", set())
    ('def f():\\n    pass', 'x = 1')
    """
    body = tree_of(code).body
    own = [isinstance(it, (*KEPT, *SET)) and not _defines(it) & known for it in body]
    first = own.index(False) if False in own else len(body)
    parts = body[:first], [it for it, kept in zip(body, own) if kept][first:]
    given = {dumped(it) for it in tree_of(given).body}
    return tuple(
        "\n".join(unparsed(it) for it in some if dumped(it) not in given) for some in parts
    )


def dumped(node):
    """Return a part of a syntax tree as a text; one that is too deep is like no other."""
    try:
        return ast.dump(node)
    except RecursionError:
        return str(id(node))


def unparsed(node):
    """Return a part of a syntax tree as code; nothing of one that is too deep."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def defined(cells):
    """Return the names that cells define anywhere."""
    return set().union(*map(_bound, map(tree_of, cells)))


def _defines(statement):
    if isinstance(statement, NAMED):
        return {statement.name}
    return _bound(statement)


@lru_cache(1024)
def tree_of(code):
    """Return the syntax tree of a cell as IPython runs it; one that is no Python has none.

    Examples
    --------
    >>> [ast.unparse(it) for it in tree_of("%%time\\nfiles = !ls\\nx = (7\\n  % 2)").body][1]
    'x = 7 % 2'
    """
    while code.lstrip().startswith("%%"):
        code = code.lstrip().partition("\n")[2]
    number = magics(code)
    try:
        if number and number <= MAGICS and number * len(code) <= READ:
            code = TransformerManager().transform_cell(re.sub(RUNS_CODE, r"\1", code))
        return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def magics(code):
    """Return how many lines may be IPython's and no Python; each costs a look at the whole cell."""
    return len(re.findall(r"(?m)^[ \t]*[%!?,;/]|=[ \t]*[%!]|\?[ \t]*$", code))


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
    """Return the names that a cell binds where later cells see them; imports are no answers.

    Functions and classes are not among them, see `defined_in`.

    Examples
    --------
    >>> sorted(left_behind(tree_of("def f(x):\\n    global a\\n    b = 1\\n[c := d for d in 'x']")))
    ['a', 'c']
    """
    found = {name for it in ast.walk(tree) if isinstance(it, ast.Global) for name in it.names}
    for it, inside in _open_to_all(tree):
        if isinstance(it, ast.NamedExpr):
            found.add(it.target.id)
        elif isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store) and not inside:
            found.add(it.id)
        elif type(it) in BINDS:
            found.add(getattr(it, BINDS[type(it)]))
    return found - {None}


def loaded(tree):
    """Return the names that a cell reads anywhere."""
    parts = [it for it in ast.walk(tree) if isinstance(it, ast.Name)]
    return {it.id for it in parts if isinstance(it.ctx, ast.Load)}


def defined_in(tree):
    """Return the functions, classes and caught errors that later cells see."""
    return {it.name for it, _ in _open_to_all(tree) if isinstance(it, NAMED)} - {None}


def _open_to_all(tree):
    """Yield what is in no function or class, and whether it is in a comprehension."""
    waiting = [(tree, False)]
    while waiting:
        it, inside = waiting.pop()
        yield it, inside
        inside = inside or isinstance(it, HALF_CLOSED)
        closed = isinstance(it, CLOSED)  # its defaults, bases and decorators are outside
        for name, value in ast.iter_fields(it):
            if not (closed and name == "body"):
                some = value if isinstance(value, list) else [value]
                waiting += [(part, inside) for part in some if isinstance(part, ast.AST)]


def overwritten(own, given, tests):
    """Return the names that the notebook gives to its tests, and a student's code changes.

    Parameters
    ----------
    own, given, tests : list of str
        The student's code, the notebook's own, and the tests': a text for each cell.

    Returns
    -------
    list of str

    Examples
    --------
    >>> overwritten(["rate = 0\\nstart = 5"], ["rate = 3\\nstart = 4"], ["assert f(rate) == rate"])
    ['rate']
    """
    own, given, tests = (list(map(tree_of, cells)) for cells in (own, given, tests))
    read = set().union(*map(loaded, tests))
    read -= set().union(*map(left_behind, tests))
    gives = set().union(*(left_behind(it) | defined_in(it) for it in given))
    changes = set().union(*(left_behind(it) | defined_in(it) | _in_place(it) for it in own))
    return sorted(gives & read & changes)


def _in_place(tree):
    """Return the names of which a part is assigned, unless they are a function's own."""
    found, waiting = set(), [(tree, frozenset())]
    while waiting:
        it, local = waiting.pop()
        if isinstance(it, FUNCTIONS):
            local |= locals_of(it)
        if isinstance(it, (ast.Subscript, ast.Attribute)) and not isinstance(it.ctx, ast.Load):
            found |= {_first(it)} - local
        waiting += [(part, local) for part in ast.iter_child_nodes(it)]
    return found - {""}


def locals_of(function):
    """Return a function's arguments, and the names that it assigns for itself."""
    arguments = {it.arg for it in ast.iter_child_nodes(function.args) if isinstance(it, ast.arg)}
    body = ast.Module(function.body if isinstance(function.body, list) else [], [])
    given = {name for it in ast.walk(body) if isinstance(it, ast.Global) for name in it.names}
    return arguments | (left_behind(body) - given)


def private(tree):
    """Return the ids of the names that are a function's, or a comprehension's, own.

    Examples
    --------
    >>> code = tree_of("def f(a, b=c):\\n    d = a\\n    return [e for e in d], g\\nd = 1")
    >>> ids = private(code)
    >>> sorted({it.id for it in ast.walk(code) if id(it) in ids})
    ['a', 'd', 'e']
    """
    found, waiting = set(), [(tree, frozenset())]
    while waiting:
        it, local = waiting.pop()
        if isinstance(it, ast.Name) and it.id in local:
            found.add(id(it))
        inside, names = [], set()
        if isinstance(it, FUNCTIONS):
            inside, names = it.body if isinstance(it.body, list) else [it.body], locals_of(it)
        elif isinstance(it, HALF_CLOSED):
            first, *rest = it.generators
            targets = [part for each in it.generators for part in ast.walk(each.target)]
            names = {part.id for part in targets if isinstance(part, ast.Name)}
            parts = [getattr(it, name, None) for name in ("elt", "key", "value")]
            inside = [first.target, *first.ifs, *rest, *filter(None, parts)]
            waiting.append((first.iter, local))  # which is looked up outside
        known = {id(part) for part in inside}
        waiting += [(part, local | names) for part in inside]
        if not isinstance(it, HALF_CLOSED):
            outside = [part for part in ast.iter_child_nodes(it) if id(part) not in known]
            waiting += [(part, local) for part in outside]
    return found


def _first(node):
    """Return the name with which an expression such as a.b[c] begins."""
    while isinstance(node, (ast.Subscript, ast.Attribute)):
        node = node.value
    return getattr(node, "id", "")
