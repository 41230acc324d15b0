"""The values that a notebook gives to its tests: are they still the same there?

A hint of the code (`names.overwritten`) sees who changes one openly. Here the kernel is asked,
which also finds a change by way of a file, of IPython or of a name that is put together.
"""

import ast
import itertools
import random
import re

import nbformat
from nbgrader.utils import is_grade, is_solution

from . import canaries, modules, names

# An answer may have given print, repr or float another meaning in the notebook. What is too long to
# print is shown by its hash, a function by its number; so is all that the checks call.
SHOW = """import builtins as {b}
def {b}_shown(value):
    kind = {b}.type(value).__name__
    if kind in ("list", "tuple", "dict"):
        return {b}.repr({b}.hash({b}.repr(value)))
    if kind == "ndarray":
        return {b}.repr((value.shape, {b}.hash(value.tobytes())))
    calls = "function", "builtin_function_or_method", "type", "ufunc", "_ArrayFunctionDispatcher"
    if kind in calls:
        return {b}.repr({b}.id(value))
    return {b}.repr(value) if {b}.isinstance(value, ({b}.int, {b}.float, {b}.str)) else ""
def {b}_checks():
    checks = {b}.__import__("sys").modules.get("course.answer_checks")
    for name, it in {b}.sorted({b}.vars(checks).items() if checks else ()):
        if {b}.type(it).__name__ == "function":
            code = {b}.getattr(it, "__wrapped__", it).__code__
            yield {b}.id(it), {b}.id(code)
            for name in code.co_names:
                its = {b}.getattr(checks, name, {b}.getattr({b}, name, None))
                yield {b}.id(its), {b}.id({b}.vars(checks.np).get(name))
{b}.print("\\n{checks} is " + {b}_shown({b}.list({b}_checks()) or None) + "\\n", end="")
{lines}
del {b}, {b}_shown, {b}_checks"""
CHECKS = "what_compares_answers"
LINE = '{b}.print("\\n{name} is " + {b}_shown({value}) + "\\n", end="")'


def plant(nb):
    """Put a cell that prints such values behind each given cell, and one before each test.

    Returns
    -------
    list of (str, dict)
        The id of each cell, and of each name that it prints the id of the cell to compare with;
        None for those that are the first.
    """
    read, latest, planted = _read(nb), {}, []
    for cell in list(nb.cells):
        if cell.cell_type != "code":
            continue
        here = nb.cells.index(cell)
        if is_grade(cell) and latest:
            planted.append(_printing(nb, here, dict(latest)))
        elif not (is_grade(cell) or is_solution(cell) or cell.id.startswith("extra-")):
            own = _gives(cell.source, read)
            if own:
                planted.append(_printing(nb, here + 1, dict.fromkeys(own)))
                latest |= dict.fromkeys(own, planted[-1][0])
    return planted


def _read(nb):
    """Return the names that the tests read, and do not assign."""
    tests = [it for it in nb.cells if it.cell_type == "code" and is_grade(it)]
    trees = [names.tree_of(it.source) for it in tests]
    read = set().union(*map(names.loaded, trees)) - set().union(*map(names.left_behind, trees))
    dotted = {modules.dotted(it) for tree in trees for it in ast.walk(tree)}
    return read | {it for it in dotted if it.split(".")[0] in read}


def _gives(source, read):
    """Return which of the names that the tests read a given cell makes, such as np.outer."""
    tree = names.tree_of(source)
    own = names.left_behind(tree) | names.defined_in(tree)
    imported = set(modules.imported([tree]))
    return sorted(it for it in read if it in own or it.split(".")[0] in imported)


def _printing(nb, place, compared):
    own = f"builtins_{random.getrandbits(32):08x}"
    lines = "\n".join(LINE.format(name=name, value=_value(name, own), b=own) for name in compared)
    cell = nbformat.v4.new_code_cell(SHOW.format(lines=lines, b=own, checks=CHECKS))
    nb.cells.insert(place, cell)
    return cell.id, compared


def _value(name, own):
    first, _, rest = name.partition(".")
    return f'{own}.getattr({first}, "{rest}", None)' if rest else name


def judge(nb, planted, replies):
    """Return which values had changed when a test began, as sentences.

    A cell that an interrupt ended, or an error, may be silent.
    """
    by_id = {cell.id: cell for cell in nb.cells}
    shown = {name: _shown(by_id[name]) for name, _ in planted}
    found = {
        f"an answer changes {name}, which the notebook gives to its tests"
        for cell, compared in planted
        for name, first in compared.items()
        if first and shown[first].get(name) and name in shown[cell]
        if shown[cell][name] != shown[first][name]
    }
    seen = [it[CHECKS] for it in shown.values() if CHECKS in it]
    if len({*itertools.dropwhile(lambda it: not it, seen)}) > 1:  # none until they are imported
        found.add("an answer changes what compares the answers")
    if any(
        replies.get(cell, {}).get("status") == "ok" and not {*compared} <= {*shown[cell]}
        for cell, compared in planted
    ):
        found.add(canaries.SILENT)
    return sorted(found)


def _shown(cell):
    text = "".join(out.text for out in cell.outputs if out.get("name") == "stdout")
    return dict(re.findall(r"(?m)^([\w.]+) is (.*)$", text))
