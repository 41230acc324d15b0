"""Execute the notebooks from top to bottom and store them in a form that changes only with them.

python -m tools.notebooks [notebooks/01_....ipynb ...]      (all lessons by default)
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tools import imports

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LESSONS += sorted((ROOT / "notebooks" / "appendix").glob("*.ipynb"))

# Of one output's many forms, the loud ones are dropped: a stored notebook is read on pages that
# run no script and know no widget, and shows the picture or the text that follows.
LOUD = ("application/vnd.jupyter.widget-view+json", "text/html")


def execute(path):
    """Run a notebook in a fresh kernel and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        store_widget_state=False,
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute()
    normalise(notebook)
    notebook.metadata["course"] = {
        **notebook.metadata.get("course", {}),
        "stamp": stamp(notebook),
    }
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def normalise(notebook):
    """Drop what differs from run to run or from machine to machine."""
    kept = {key: notebook.metadata[key] for key in ("course",) if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(
        {
            **kept,
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            cell.outputs = [quiet for quiet in map(_quieten, cell.outputs) if quiet]


def _quieten(output):
    data = output.get("data", {})
    progress_bar = LOUD[0] in data and "%|" in data.get("text/plain", "")
    if "application/javascript" in data or progress_bar:
        return None
    for kind in LOUD:
        data.pop(kind, None)
    return output


def stamp(notebook):
    """Return what ties the stored outputs to the code that made them.

    Three hashes: of the code cells, of their outputs, and of the course's files that the cells
    import, directly or not. If one of them no longer fits, the notebook was edited by hand or its
    outputs are stale.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {
        "source": _hash([cell.source for cell in code]),
        "outputs": _hash([cell.outputs for cell in code]),
        "imports": _hash([path.read_text(encoding="utf-8") for path in imported_files(code)]),
    }


def imported_files(cells):
    """Return the files of the course that code cells import, directly or not, in a fixed order."""
    return imports.needed("\n".join(cell.source for cell in cells))


def _hash(thing):
    return hashlib.sha256(json.dumps(thing, sort_keys=True).encode()).hexdigest()[:16]


def main(arguments):
    if sys.platform == "win32":  # Jupyter's sockets need the older event loop there
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    for path in [Path(argument).resolve() for argument in arguments] or LESSONS:
        print(f"executing {path.relative_to(ROOT)}", flush=True)
        execute(path)


if __name__ == "__main__":
    main(sys.argv[1:])
