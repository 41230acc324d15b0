"""Which checks a submission failed: what the report counts, to see which mistake is abroad."""

import re

from nbgrader.utils import is_grade

BEGIN, END = "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"
COLOUR = re.compile(r"\x1b\[[\d;]*m")
PLACE = re.compile(r"(?:Cell In\[\d+\]|<ipython-input[^>\n]{0,80}>), line (\d+)")
TIMED_OUT = "CellTimeoutError:"  # how the marker's own error begins
SENTENCE = 160  # characters of what a check said


def failed(nb):
    """Return what each failed test said, by its cell: (hidden or visible, the sentence).

    Parameters
    ----------
    nb : NotebookNode
        A marked notebook.

    Returns
    -------
    dict of str to list of str
    """
    found = {}
    for cell in nb.cells:
        if cell.cell_type == "code" and is_grade(cell):
            for out in cell.outputs:
                if out.output_type == "error":
                    found[cell.metadata.nbgrader.grade_id] = list(_said(out, cell.source))
                    break
    return found


def _said(out, source):
    words = str(out.evalue).strip().split("\n")[0]
    words = words if out.ename == "AssertionError" else f"{out.ename}: {words}"
    if out.ename == "KeyboardInterrupt":
        words = "it took more time than a cell may"
    if re.match(r".* should be .*, yours is ", words):
        words = words.partition(" should be ")[0] + ": another value"
    traceback = COLOUR.sub("", "\n".join(out.traceback))
    kind = "hidden" if in_hidden_part(traceback, source) else "visible"
    return kind, words[:SENTENCE] or "no words"


def in_hidden_part(traceback, source):
    """Tell whether the line of a test at which an error arose is a hidden one."""
    if BEGIN not in source or traceback.startswith(TIMED_OUT):
        return False
    place = PLACE.search(traceback)
    first = source[: source.index(BEGIN)].count("\n") + 1
    return place is None or int(place.group(1)) >= first
