"""The values that a notebook gives to its tests: are they still the same there?

A hint of the code (`names.overwritten`) sees who changes one openly. Here the kernel is asked,
which also finds a change by way of a file, of IPython or of a name that is put together.
"""

import ast
import itertools
import random
import re
from pathlib import Path

import nbformat
from nbgrader.utils import is_grade, is_solution

from . import canaries, modules, names, shown

# An answer may have given print, repr or float another meaning in the notebook: what shows the
# values (the text of shown.py) runs in a namespace of its own, with Python's own functions.
CELL = """import builtins as {b}
{b}_own = {b}.dict(__builtins__={b})
{b}.exec({text!r}, {b}_own)
{lines}
del {b}, {b}_own"""
TEXT = Path(shown.__file__).read_text(encoding="utf-8")
CHECKS = "what_compares_answers"
LINE = '{b}.print("\\n{name} is " + {b}_own["{how}"]({value}) + "\\n", end="")'


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
    lines = [LINE.format(b=own, name=CHECKS, how="checks", value="")]
    lines += [LINE.format(b=own, name=it, how="shown", value=_value(it, own)) for it in compared]
    cell = nbformat.v4.new_code_cell(CELL.format(b=own, text=TEXT, lines="\n".join(lines)))
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
    printed = {name: _printed(by_id[name]) for name, _ in planted}
    found = {
        f"an answer changes {name}, which the notebook gives to its tests"
        for cell, compared in planted
        for name, first in compared.items()
        if first and printed[first].get(name) and name in printed[cell]
        if printed[cell][name] != printed[first][name]
    }
    seen = [it[CHECKS] for it in printed.values() if CHECKS in it]
    if len({*itertools.dropwhile(lambda it: not it, seen)}) > 1:  # none until they are imported
        found.add("an answer changes what compares the answers")
    if any(
        replies.get(cell, {}).get("status") == "ok" and not {*compared} <= {*printed[cell]}
        for cell, compared in planted
    ):
        found.add(canaries.SILENT)
    return sorted(found)


def _printed(cell):
    text = "".join(out.text for out in cell.outputs if out.get("name") == "stdout")
    return dict(re.findall(r"(?m)^([\w.]+) is (.*)$", text))
