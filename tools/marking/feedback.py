"""What a student gets back: marks and comments, no hidden test, and nothing that runs."""

import re

import nbformat
from nbconvert.exporters import HTMLExporter
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor
from nbgrader.utils import is_grade

from . import marks

POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'\">"
)
SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
HIDDEN = "A hidden check failed: the same question with other numbers or an edge case."
CUT = "(cut: it shows a hidden test)"
COLOUR = re.compile(r"\x1b\[[\d;]*m")
BEGIN, END = "BEGIN HIDDEN TESTS", "END HIDDEN TESTS"


class HideTests(NbGraderPreprocessor):
    """Shows of each test what the student's file shows, and of an error one sentence."""

    def preprocess(self, nb, resources):
        """Cut the hidden lines from the tests, the errors and everything that was printed."""
        lines = hidden_lines(nb)
        visible = {cell.id: cell.source for cell in resources["released"].cells}
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs = [_told(out, cell, lines) for out in cell.outputs]
                if not _shows(cell.source, lines) or cell.id in visible:
                    cell.source = visible[cell.id] if is_grade(cell) else cell.source
                else:
                    cell.source = CUT
        nb.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
        return nb, resources


def hidden_lines(nb):
    """Return the stripped lines of all hidden tests that are long enough to be recognised."""
    found = set()
    for cell in nb.cells:
        if is_grade(cell) and BEGIN in cell.source:
            region = cell.source.partition(BEGIN)[2].partition(END)[0]
            found |= {line.strip() for line in region.splitlines() if len(line.strip()) > 12}
    return found


def _shows(text, lines):
    return any(line in text for line in lines) or BEGIN in text


def _told(out, cell, lines):
    if out.output_type == "error":
        plain = COLOUR.sub("", "\n".join(out.traceback))
        sentence = f"{out.ename}: {out.evalue}"
        if is_grade(cell) and _in_hidden_part(plain, cell.source):
            sentence = HIDDEN
        elif _shows(sentence, lines):
            sentence = CUT
        return nbformat.v4.new_output("error", ename="", evalue="", traceback=[sentence])
    for holder, key in ((out, "text"), (out.get("data", {}), "text/plain")):
        if _shows(COLOUR.sub("", str(holder.get(key, ""))), lines):
            holder[key] = CUT
    return out


def _in_hidden_part(traceback, source):
    """Tell whether the line of the test at which an error arose is a hidden one."""
    if BEGIN not in source or "CellTimeoutError" in traceback:
        return False
    place = re.search(r"(?:Cell In\[\d+\]|<ipython-input[^>]*>), line (\d+)", traceback)
    first = source[: source.index(BEGIN)].count("\n") + 1
    return place is None or int(place.group(1)) >= first


def hand_back(classroom, lesson):
    """Write every student's page and the table of marks; return the table's rows."""
    released = nbformat.read(classroom.file("release", lesson), as_version=4)
    rows = marks.write(classroom, lesson, classroom.folder / "marks.csv")
    exporter = _exporter()
    for row in rows:
        path = classroom.file("feedback", lesson, row["student"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if "total" in row:
            page = _page(classroom, lesson, row["student"], released, exporter)
        else:
            page = _page_without_marks(lesson, row["status"])
        path.write_text(harmless(page), encoding="utf-8")
    return rows


def _exporter():
    """Return nbgrader's own page, to which nothing is added from the network."""
    from nbgrader.converters import GenerateFeedback

    settings = GenerateFeedback().config
    exporter = HTMLExporter(config=settings)
    for step in (GetGrades, HideTests):
        exporter.register_preprocessor(step, enabled=True)
    return exporter


def _page_without_marks(lesson, status):
    title = lesson.notebook
    words = f"{title} has no marks yet ({status}). Ask your instructor."
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><p>{words}</html>"


def _page(classroom, lesson, student, released, exporter):
    names = {"student": student, "assignment": lesson.assignment, "notebook": lesson.notebook}
    names["db_url"] = classroom.gradebook
    resources = {"nbgrader": names, "released": released, "unique_key": lesson.notebook}
    path = classroom.file("autograded", lesson, student)
    return exporter.from_filename(str(path), resources=resources)[0]


def harmless(page):
    """Return a page without scripts, that also tells the browser to run none and load nothing."""
    return SCRIPT.sub("", page).replace("<head>", "<head>" + POLICY, 1)
