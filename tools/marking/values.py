"""The numbers and words that a notebook gives to its tests: are they still the same there?

A hint of the code (`names.overwritten`) sees who changes one openly. Here the kernel is asked,
which also finds a change by way of a file, of IPython or of a name that is put together.
"""

import re

import nbformat
from nbgrader.utils import is_grade, is_solution

from . import names

SHOW = 'print("{name} is", repr({name}) if isinstance({name}, (int, float, str)) else "")'


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
    source = "\n".join(SHOW.format(name=name) for name in compared)
    cell = nbformat.v4.new_code_cell(source)
    nb.cells.insert(place, cell)
    return cell.id, compared


def judge(nb, planted):
    """Return which values had changed when a test began, as sentences; a cell may be silent."""
    by_id = {cell.id: cell for cell in nb.cells}
    shown = {name: _shown(by_id[name]) for name, _ in planted}
    return sorted(
        {
            f"an answer changes {name}, which the notebook gives to its tests"
            for cell, compared in planted
            for name, first in compared.items()
            if first and shown[first].get(name) and name in shown[cell]
            if shown[cell][name] != shown[first][name]
        }
    )


def _shown(cell):
    text = "".join(out.text for out in cell.outputs if out.get("name") == "stdout")
    return dict(re.findall(r"(\w+) is ([^\n]*)", text))
