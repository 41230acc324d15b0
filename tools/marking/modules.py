"""What a student's code does with imported modules: it changes one, or uses what the tests use."""

import ast
import re

from .aliases import asked, harmless
from .names import FUNCTIONS, defined_in, dumped, left_behind, private, tree_of, unparsed

COURSE = ("utils", "lrsweep", "course")
CHECKS = "course.answer_checks"  # whose functions everybody may use
SETS = ("setattr", "delattr")
SETTINGS = "pandas.options.display."  # how many rows of a table are shown


def changed(own, given):
    """Return what a student's code changes of modules, or of names that the notebook imports.

    Parameters
    ----------
    own, given : list of str
        The student's code and the notebook's own: a text for each cell.

    Returns
    -------
    list of str

    Examples
    --------
    >>> changed(["import numpy as q\\nq.all = print"], [])
    ['q.all']
    >>> changed(["for expect in [print]: pass"], ["from course.answer_checks import expect"])
    ['expect']
    """
    own, given = (list(map(tree_of, cells)) for cells in (own, given))
    before, mine = imported(given), imported(own)
    found = {name for name, what in mine.items() if before.get(name, what) != what}
    known = {**mine, **before}
    for tree in own:
        found |= (left_behind(tree) | defined_in(tree)) & set(before)
        parts = [it for it in ast.walk(tree) if _root(it) in known]
        found |= {_changes(it) for it in parts if not _is_setting(it, known)}
    return sorted(found - {""})


def handed_on(own, given):
    """Return the imported modules, and Python's own setters, that code uses as values.

    Under another name, `changed` would not know them.

    Parameters
    ----------
    own, given : list of str
        The student's code and the notebook's own: a text for each cell.

    Returns
    -------
    list of str

    Examples
    --------
    >>> handed_on(["import numpy as q\\nm, n = q, q.all\\nprint(q)\\nf = setattr"], [])
    ['q', 'setattr']
    >>> handed_on(["np = 3\\nf(np)"], [])
    []
    """
    own, given = (list(map(tree_of, cells)) for cells in (own, given))
    whole = {a for tree in own + given for it in ast.walk(tree) for a in _modules(it)}
    found, named = set(), harmless(own, imported(given + own))
    for tree in own:
        parts = list(ast.walk(tree))
        called = {id(it.func) for it in parts if isinstance(it, ast.Call)}  # no module can be
        others = private(tree)
        openly = {id(it.args[0]) for it in parts if _asks_openly(it)}
        found |= _whole(parts, others | openly | called | named) & whole
        found |= {
            it.id for it in parts
            if isinstance(it, ast.Name) and it.id in SETS and id(it) not in called | others
        }  # fmt: skip
    return sorted(found)


def _asks_openly(node):
    """Tell whether it is a getattr whose name is no text put together, nor one of Python's own."""
    if not (isinstance(node, ast.Call) and unparsed(node.func) == "getattr" and len(node.args) > 1):
        return False
    name = node.args[1]
    is_own = isinstance(name, ast.Constant) and str(name.value).startswith("_")
    return isinstance(name, (ast.Constant, ast.Name)) and not is_own


def _modules(node):
    """Return the names that a statement binds to modules."""
    if not isinstance(node, ast.Import):
        return []
    return [it.asname or _top(it.name) for it in node.names]


def borrowed(own, given, tests):
    """Return what of the course's packages a student's code and the tests use, and nothing given.

    Parameters
    ----------
    own, given, tests : list of str
        The student's code, all that was given (text, too), and the tests.

    Returns
    -------
    list of str

    Examples
    --------
    >>> given = ["from utils import descent", "Look at `descent.path`."]
    >>> borrowed(["descent.count(2)"], given, ["descent.count(1)"])
    ['descent.count']
    >>> borrowed(["descent.path(2)"], given, ["descent.path(1)"])
    []
    >>> borrowed(["descent.count(1)"], given, ["with check():\\n    descent.count(1)"])
    []
    >>> borrowed(["d = descent"], given, ["descent.count(1)"])
    ['descent']
    """
    trees = [list(map(tree_of, cells)) for cells in (own, given, tests)]
    known = imported(trees[1] + trees[2])
    course = {
        name for name, what in known.items()
        if what.split(".")[0] in COURSE and not what.startswith(CHECKS)
    }  # fmt: skip
    theirs = {dotted(it) for tree in trees[2] for it in ast.walk(tree)}
    copied = {dumped(it) for tree in trees[2] for it in ast.walk(tree) if _is_simple(it)}
    parts = [it for tree in trees[0] for it in _not_copied(tree, copied)]
    mine = set(map(dotted, parts))
    lines = [line for text in given for line in text.split("\n") if "import " not in line]
    parents = {it.split(".")[0] for it in theirs if "." in it}
    hidden = {
        it for it in theirs - parents
        if it.split(".")[0] in course and not any(it in line for line in lines)
    }  # fmt: skip
    whole = {it.split(".")[0] for it in hidden if "." in it} & _whole(
        parts, set().union(*map(private, trees[0]))
    )
    return sorted(mine & hidden | whole)


def _whole(parts, others):
    """Return the names that are used as they are, such as in `d = descent`, and not only shown.

    `others` are the ids of names that mean something else in their function.
    """
    begun = {id(it.value) for it in parts if isinstance(it, ast.Attribute)}
    names = [it for it in parts if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Load)]
    known = begun | asked(parts) | others
    return {it.id for it in names if id(it) not in known}


def _is_simple(node):
    return isinstance(node, ast.stmt) and not hasattr(node, "body")


def _not_copied(tree, copied):
    """Yield the parts of a cell without what it repeats of the tests outside functions.

    A test may have been merged with an answer, or copied to look at it.
    """
    waiting = [(tree, False)]
    while waiting:
        it, inside = waiting.pop()
        if inside or not _is_simple(it) or dumped(it) not in copied:
            yield it
            inside = inside or isinstance(it, (*FUNCTIONS, ast.ClassDef))
            waiting += [(part, inside) for part in ast.iter_child_nodes(it)]


def imported(trees):
    """Return what each imported name is; TensorFlow's keras is Keras."""
    found = {}
    for it in (it for tree in trees for it in ast.walk(tree)):
        if isinstance(it, ast.Import):
            found |= {
                a.asname or _top(a.name): a.name if a.asname else _top(a.name) for a in it.names
            }
        elif isinstance(it, ast.ImportFrom):
            found |= {a.asname or a.name: f"{it.module}.{a.name}" for a in it.names}
    return {name: re.sub(r"^tensorflow\.keras\b", "keras", it) for name, it in found.items()}


def _top(name):
    """Return what `import a.b.c` binds: it gives no new meaning to `a`."""
    return name.split(".")[0]


def _is_setting(node, known):
    """Tell whether an expression is an option that changes what is shown, and no result.

    The name before may mean another module elsewhere, which has no `.display`.
    """
    first, *rest = unparsed(node).split(".")
    return "display" in rest and ".".join([known.get(first, ""), *rest]).startswith(SETTINGS)


def _root(node):
    """Return the name that an expression such as a.b.c, vars(a) or setattr(a, ...) begins with."""
    while isinstance(node, (ast.Attribute, ast.Call)):
        if isinstance(node, ast.Attribute):
            node = node.value
        elif getattr(node.func, "id", "") in ("vars", "setattr", "delattr") and node.args:
            node = node.args[0]
        else:
            return ""
    return node.id if isinstance(node, ast.Name) else ""


def _changes(node):
    """Return what an expression changes, as a text, or an empty one."""
    if isinstance(node, ast.Attribute):
        writes = not isinstance(node.ctx, ast.Load) or node.attr == "__dict__"
    else:
        writes = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return (unparsed(node) or "a module")[:60] if writes else ""


def dotted(node):
    """Return a name, or a name and what follows its first point, that is read."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
