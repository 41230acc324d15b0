"""Says which cell comes first, when a cell is run before the one that it needs."""

import json
import os
import symtable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ("notebooks/*.ipynb", "notebooks/appendix/*.ipynb", "exercises/release/*/*.ipynb")


def say_which_comes_first():
    """From now on, follow a NameError with where the missing name is made, if a cell makes it.

    Does nothing outside Jupyter.
    """
    try:
        shell = get_ipython()
    except NameError:
        return
    if shell is not None and "COURSE_MARKING" not in os.environ:
        shell.set_custom_exc((NameError,), _explain)


def _explain(shell, kind, error, trace, tb_offset=None):
    """Show the error as Jupyter does, then the hint (the form that `set_custom_exc` asks for)."""
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    ran = shell.history_manager.input_hist_raw
    hint = which_comes_first(error.name, ran) if error.name else None
    if hint:
        print(hint)


def which_comes_first(name, ran):
    """Return a sentence about the cell of the course that makes a name.

    Parameters
    ----------
    name : str
        A variable, function or module that is missing.
    ran : list of str
        What was run until now: it tells which of the course's notebooks this is. Of several cells
        that make the name, the nearest before the last one run counts.

    Returns
    -------
    str, or None if no cell of the notebook makes it
    """
    sources = {source.strip() for source in ran}
    paths = [path for pattern in NOTEBOOKS for path in sorted(ROOT.glob(pattern))]
    notebooks = [_code_cells(path) for path in paths]
    found = max(notebooks, key=lambda cells: _shared(cells, sources), default=[])
    if not _shared(found, sources):
        return None
    makers = [place for place, (_, source) in enumerate(found) if name in names_made(source)]
    if not makers:
        return None
    failed = [place for place, (_, source) in enumerate(found) if source == ran[-1].strip()]
    above = [place for place in makers if failed and place < failed[0]]
    section, source = found[above[-1] if above else makers[0]]
    return (
        f"{name} is made by the cell that begins “{source.splitlines()[0]}”, in the section "
        f"“{section}”. Run that one first, or all: Run ▸ Run All Above Selected Cell."
    )


def names_made(source):
    """Return the names that a cell gives a value, imports or defines; none if it isn't Python."""
    try:
        symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    except SyntaxError:
        return set()
    return {it.get_name() for it in symbols if it.is_assigned() or it.is_imported()}


def _shared(cells, sources):
    return sum(source in sources for _, source in cells)


def _code_cells(path):
    """Return (heading of its section, source) of each code cell but the set-up cell."""
    heading, found = "", []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            headings = [line for line in source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ") if headings else heading
        elif "setup" not in cell["metadata"].get("tags", []):
            found.append((heading, source))
    return found
