"""Which checks a submission failed: what the report counts, to see which mistake is abroad."""

import re
from itertools import takewhile

from nbgrader.utils import is_grade, is_solution

from .files import printable

BEGIN, END = "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"
COLOUR = re.compile(r"\x1b\[[\d;]*m")
PLACE = re.compile(r"(?:Cell In\[\d+\]|<ipython-input[^>\n]{0,80}>), line (\d+)")
TIMED_OUT = "CellTimeoutError:"  # how the marker's own error begins
LACKING = (  # what runs on a student's computer and cannot run in the sandbox ends with these
    "ModuleNotFoundError", "ImportError", "FileNotFoundError", "StdinNotImplementedError",
    "URLError", "ConnectionError", "gaierror",
)  # fmt: skip
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


def stopped(nb, seconds):
    """Return a sentence for each cell that did not come to its end and is needed by others.

    These are cells that took too long, and, with an error: given ones before all answers, answers,
    and the student's own where something may be missing only here, such as a package.

    Parameters
    ----------
    nb : NotebookNode
        A notebook that was run.
    seconds : int
        What a cell may take.

    Returns
    -------
    list of str
    """
    code = [it for it in nb.cells if it.cell_type == "code"]
    begin = list(takewhile(lambda it: not is_solution(it), code))
    found = [f"{_name(it)} was stopped after {seconds} seconds" for it in code if _late(it)]
    for it in begin:
        if _is_given(it) and not _late(it):
            found += [f"{it.id} ended with {out.ename[:40]}" for out in _errors(it)[:1]]
    for it in code:
        if not _late(it):
            found += [_ended(it, out) for out in _errors(it)[:1] if _says_more(it, out)]
    return found


def _says_more(cell, out):
    is_own = cell.id.startswith("extra-")
    return is_solution(cell) or (is_own and out.ename in LACKING)


def _ended(cell, out):
    words = str(out.evalue).strip().split("\n")[0][:80]
    return printable(f"{_name(cell)} ended with {out.ename[:40]}: {words}")


def _name(cell):
    return "a cell of the student's own" if cell.id.startswith("extra-") else cell.id


def _is_given(cell):
    return not (is_grade(cell) or cell.id.startswith("extra-"))


def _errors(cell):
    return [out for out in cell.outputs if out.output_type == "error"]


def _late(cell):
    return any("".join(out.traceback[:1]).startswith(TIMED_OUT) for out in _errors(cell))


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
