"""The values that a notebook gives to its tests: are they still the same there?

A hint of the code (`names.overwritten`) sees who changes one openly. Here the kernel is asked,
which also finds a change by way of a file, of IPython or of a name that is put together.
"""

import random
import re

import nbformat
from nbgrader.utils import is_grade, is_solution

from . import canaries, names

# An answer may have given print, repr or float another meaning in the notebook. What is too long to
# print is shown by its hash.
SHOW = """import builtins as {b}
def {b}_shown(value):
    kind = {b}.type(value).__name__
    if kind in ("list", "tuple", "dict"):
        return {b}.repr({b}.hash({b}.repr(value)))
    if kind == "ndarray":
        return {b}.repr((value.shape, {b}.hash(value.tobytes())))
    return {b}.repr(value) if {b}.isinstance(value, ({b}.int, {b}.float, {b}.str)) else ""
{lines}
del {b}, {b}_shown"""
LINE = '{b}.print("\\n{name} is " + {b}_shown({name}) + "\\n", end="")'


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
            own = sorted(names.left_behind(names.tree_of(cell.source)) & read)
            if own:
                planted.append(_printing(nb, here + 1, dict.fromkeys(own)))
                latest |= dict.fromkeys(own, planted[-1][0])
    return planted


def _read(nb):
    """Return the names that the tests read, and do not assign."""
    tests = [it for it in nb.cells if it.cell_type == "code" and is_grade(it)]
    trees = [names.tree_of(it.source) for it in tests]
    return set().union(*map(names.loaded, trees)) - set().union(*map(names.left_behind, trees))


def _printing(nb, place, compared):
    own = f"builtins_{random.getrandbits(32):08x}"
    lines = "\n".join(LINE.format(name=name, b=own) for name in compared)
    cell = nbformat.v4.new_code_cell(SHOW.format(lines=lines, b=own))
    nb.cells.insert(place, cell)
    return cell.id, compared


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
    if any(
        replies.get(cell, {}).get("status") == "ok" and not {*compared} <= {*shown[cell]}
        for cell, compared in planted
    ):
        found.add(canaries.SILENT)
    return sorted(found)


def _shown(cell):
    text = "".join(out.text for out in cell.outputs if out.get("name") == "stdout")
    return dict(re.findall(r"(?m)^(\w+) is (.*)$", text))
