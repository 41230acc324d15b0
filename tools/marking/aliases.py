"""Other names of modules, by which nothing is changed: in a loop that prints versions, or ax = plt.

Whatever else is done by such a name, `modules.handed_on` names the module.
"""

import ast
import re

from .names import FUNCTIONS, locals_of

SHOWS = ("dir", "hasattr", "help", "id", "print", "repr", "str", "type")  # ask of a whole module
TOLD = ("__file__", "__name__", "__version__")
DRAWS = ("matplotlib.pyplot", "numpy")  # whose functions may be called by the other name
BINDS = ast.Assign, ast.For, ast.AsyncFor
OPEN = ast.Global, ast.Nonlocal
ROUNDS = 9  # a name of a name of a name
HOLDERS = {ast.Tuple: "elts", ast.List: "elts", ast.Dict: "values", ast.BoolOp: "values"}


def harmless(trees, modules):
    """Return the ids of the names that get another name by which nothing is changed.

    Parameters
    ----------
    trees : list of ast.AST
        The student's code.
    modules : dict of str to str
        What each imported name is.

    Examples
    --------
    >>> def count(code):
    ...     return len(harmless([ast.parse(code)], {"q": "numpy", "os": "os"}))
    >>> count("for m in (q, os): print(m.__version__)"), count("m = q; m.sin(1)")
    (2, 1)
    >>> count("for m in [q]: m.all = print"), count("m = os; m.kill(1, 9)")
    (0, 0)
    """
    functions = [it for tree in trees for it in ast.walk(tree) if isinstance(it, FUNCTIONS)]
    functions = [it for it in functions if not any(isinstance(p, OPEN) for p in ast.walk(it))]
    inside = {id(part) for it in functions for part in _own(it)}
    return set().union(
        _harmless([it for tree in trees for it in ast.walk(tree) if id(it) not in inside], modules),
        *(_harmless(list(ast.walk(it)), modules) for it in functions),
    )


def _own(function):
    """Yield what means nothing outside of a function: what it binds, and how it reads that."""
    names = locals_of(function)
    body = function.body if isinstance(function.body, list) else [function.body]
    yield function.args
    for it in (it for part in body for it in ast.walk(part)):
        if isinstance(it, (*BINDS, ast.arguments)) or getattr(it, "id", "") in names:
            yield it


def asked(parts):
    """Return the ids of what is only shown, or asked for its name or version."""
    found = {id(it.value) for it in parts if isinstance(it, ast.FormattedValue)}
    for it in parts:
        name = getattr(getattr(it, "func", None), "id", "")
        if isinstance(it, ast.Attribute) and it.attr in TOLD and isinstance(it.ctx, ast.Load):
            found.add(id(it.value))
        elif name in SHOWS:
            found |= set(map(id, it.args))
        elif name == "getattr" and len(it.args) > 1 and getattr(it.args[1], "value", "") in TOLD:
            found.add(id(it.args[0]))
        elif isinstance(it, ast.Compare) and isinstance(it.ops[0], (ast.Is, ast.IsNot)):
            found.add(id(it.left))
    return found


def _harmless(parts, modules):
    """Return such ids in one namespace: drop each other name that is used in any other way."""
    of_classes = _in_classes(parts)
    bound = [pair for it in parts if id(it) not in of_classes for pair in _bound(it)]
    known = set().union(*(names for names, _ in bound)) - _in_magics(parts)
    idle = asked(parts) | _calls(parts, known - _to_others(bound, modules))
    reads = [it for it in parts if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Load)]
    reads = [it for it in reads if id(it) not in idle]
    for _ in range(ROUNDS):
        held = {id(it) for names, values in bound if names <= known for it in values}
        wild = {it.id for it in reads if id(it) not in held} & known
        if not wild:
            return held
        known -= wild
    return set()


def _bound(node):
    """Yield the names that a statement binds, and the names that they may then mean."""
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        pairs = [(node.target, node.iter)]
    elif isinstance(node, ast.arguments):
        places = [*node.posonlyargs, *node.args]
        pairs = [*zip(places[::-1], node.defaults[::-1]), *zip(node.kwonlyargs, node.kw_defaults)]
    else:
        pairs = []
    for target, value in pairs:
        parts = [target, *_elements(target)]
        if all(isinstance(it, (ast.Name, ast.arg, ast.Tuple, ast.List)) for it in parts):
            names = {getattr(it, "id", getattr(it, "arg", None)) for it in parts} - {None}
            yield names, list(_values(value))


def _elements(target):
    """Return the parts of a target such as `name, it`."""
    elements = getattr(target, "elts", [])
    return [part for it in elements for part in (it, *_elements(it))]


def _values(node):
    """Yield the names that stand as they are in a value, such as in `[np, pd]` or `ax or plt`."""
    waiting = [node]
    while waiting:
        it = waiting.pop()
        if isinstance(it, ast.Name):
            yield it
        elif isinstance(it, ast.IfExp):
            waiting += [it.body, it.orelse]
        elif isinstance(it, ast.Call) and getattr(it.func, "attr", "") == "items":
            waiting.append(it.func.value)
        else:
            waiting += getattr(it, HOLDERS.get(type(it), ""), [])


def _to_others(bound, modules):
    """Return the names that may mean another module than those that draw, or another new name."""
    new = set().union(*(names for names, _ in bound))
    return {
        name for names, values in bound for it in values for name in names
        if modules.get(it.id, "numpy") not in DRAWS or (it.id in new and it.id not in names)
    }  # fmt: skip


def _calls(parts, names):
    """Return the ids of the names of which just a function is called, as in `ax.plot(x)`."""
    functions = [it.func for it in parts if isinstance(it, ast.Call)]
    roots = [it.value for it in functions if isinstance(it, ast.Attribute) and it.attr[0] != "_"]
    return {id(it) for it in roots if isinstance(it, ast.Name) and it.id in names}


def _in_classes(parts):
    """Return the ids of what binds a class's own names: they are read in other ways."""
    classes = [it for it in parts if isinstance(it, ast.ClassDef)]
    return {id(part) for it in classes for part in ast.walk(it) if isinstance(part, BINDS)}


def _in_magics(parts):
    """Return the words in IPython's own commands, which may run them as code."""
    calls = [it for it in parts if isinstance(it, ast.Call) and _is_of_ipython(it.func)]
    texts = [it.value for call in calls for it in call.args if isinstance(it, ast.Constant)]
    return {word for text in texts for word in re.findall(r"\w+", str(text))}


def _is_of_ipython(function):
    """Tell whether it is a function of what `get_ipython()` returns."""
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call)
