"""Run a lesson's code cells in a kernel of its own, in whatever surroundings this process has.

python run_lesson.py LESSON.ipynb FOLDER NUMBER_OF_CELLS [code before them [code after them]]

Prints one line of JSON: what the cells wrote, by stream, and the error that ended them, if any.
The kernel is reached over the computer's own loopback, which needs no network.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

os.environ["JUPYTER_RUNTIME_DIR"] = tempfile.mkdtemp()  # the home may be read-only


def run(lesson, folder, count=None, before="", after=""):
    """Return {"stdout": ..., "stderr": ..., "error": None or [name, message]}."""
    sys.modules["rfc3987_syntax"] = None  # jsonschema does without it, and a second is saved
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.reads(Path(lesson).read_text(encoding="utf-8"), as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"][:count]
    sources = [source for source in (before, *cells, after) if source]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=600, startup_timeout=120, resources=where)
    client.shutdown_kernel = "immediate"  # nothing is left to save
    error = None
    try:
        client.execute()
    except CellExecutionError as failure:
        error = [failure.ename, failure.evalue]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    written = {
        name: "".join(output["text"] for output in outputs if output.get("name") == name)
        for name in ("stdout", "stderr")
    }
    return {**written, "error": error}


if __name__ == "__main__":
    lesson, folder, count, *around = sys.argv[1:]
    print(json.dumps(run(lesson, folder, int(count) or None, *around)))
