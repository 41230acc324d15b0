"""What a student gets back: marks and comments, no hidden test, and nothing that runs."""

import contextlib
import html
import re
from collections import defaultdict
from functools import cache
from typing import NamedTuple

import nbformat
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor
from nbgrader.utils import is_grade
from tqdm import tqdm

from . import marks, platforms, pool, roster
from .checks import BEGIN, COLOUR, END, TIMED_OUT, in_hidden_part
from .files import Problem, locked, note_problems, printable, write_whole

POLICY = (
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'\">"
)
SCRIPT = re.compile(r"(?i)<script\b|</script\s{0,9}>")
HIDDEN = "A hidden check failed: the same question with other numbers or an edge case."
CUT = "(cut: it shows a hidden test)"
WRONG = "This check failed. Run your notebook to see what it says."
LATER = "(output after the first hidden check is not shown here; your own notebook has it)\n"
SECONDS = 60  # for one page
SHOWN = 20  # students of one line; `problems.csv` has all
UNREADABLE = "the page has the marks alone; send the student what the formgrader shows"


class ShowWaiting(NbGraderPreprocessor):
    """Lets a question that nobody has marked wait, where nbgrader would show 0.0."""

    def preprocess(self, nb, resources):
        """Give these questions a score that is not a number; the page has words for it."""
        names = resources["nbgrader"]
        with Gradebook(names["db_url"]) as gradebook:
            entry = gradebook.find_submission_notebook(
                names["notebook"], names["assignment"], names["student"]
            )
            waiting = {it.name for it in entry.grades if marks.score(it) is None}
        for cell in nb.cells:
            if is_grade(cell) and cell.metadata.nbgrader.grade_id in waiting:
                cell.metadata.nbgrader["score"] = float("nan")
        return nb, resources


class HideTests(NbGraderPreprocessor):
    """Shows of each test what the student's file shows, and of an error one sentence.

    From the first hidden test on, the student's code may know it, and print it in whatever form.
    So nothing that was printed later is shown, nor a cell's number, and of an error only sentences
    that stand in the student's file.
    """

    def preprocess(self, nb, resources):
        """Cut the hidden lines from the tests, the errors and everything that was printed."""
        lines, entered = hidden_lines(nb), False
        visible = {cell.id: cell.source for cell in resources["released"].cells}
        for cell in nb.cells:
            if cell.cell_type == "code":
                entered = entered or (is_grade(cell) and BEGIN in cell.source)
                cell.execution_count = None if entered else cell.execution_count
                told = [_told(out, cell, lines) for out in cell.outputs]
                if entered and is_grade(cell):
                    known = (_known(out, visible.get(cell.id, "")) for out in told)
                    told = [out for out in known if out]
                elif entered and told:
                    told = [nbformat.v4.new_output("stream", text=LATER)]
                cell.outputs = told
                if not _shows(cell.source, lines) or cell.id in visible:
                    cell.source = visible[cell.id] if is_grade(cell) else cell.source
                else:
                    cell.source = CUT
        nb.metadata = nbformat.from_dict({"language_info": {"name": "python"}})
        return nb, resources


def _known(out, released):
    """Return a test's output if the student's file has its words, else a general one or None."""
    if out.output_type == "error":
        sentence = out.traceback[0]
        said = sentence.partition(": ")[2].strip()
        known = sentence in (HIDDEN, CUT, TIMED_OUT)
        if not known and not (len(said) > 3 and f'"{said}"' in released):
            out.traceback = [WRONG]
        return out
    labels = re.findall(r"check\([\"'](.+?)[\"']\)", released)
    if out.get("text", "").strip() in {f"{label}: right." for label in labels}:
        return out
    return None


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
        sentence = f"{out.ename}: {out.evalue}".strip()
        if is_grade(cell) and in_hidden_part(plain, cell.source):
            sentence = HIDDEN
        elif _shows(sentence, lines):
            sentence = CUT
        return nbformat.v4.new_output("error", ename="", evalue="", traceback=[sentence])
    for holder, key in ((out, "text"), (out.get("data", {}), "text/plain")):
        if _shows(COLOUR.sub("", str(holder.get(key, ""))), lines):
            holder[key] = CUT
    return out


class PageTask(NamedTuple):
    """One page to make, in another process."""

    student: str
    folder: str
    lesson: tuple
    row: dict


def hand_back(classroom, lesson, tell=print, workers=1):
    """Write every student's page and the tables of marks; return the rows of the lesson.

    A page that cannot be made, or takes minutes, is a row in `problems.csv`, and the student gets
    the marks alone.
    """
    with locked(classroom):
        rows, problems = marks.rows(classroom, lesson), []
        folder = str(classroom.folder)
        tasks = [PageTask(row["student"], folder, lesson, row) for row in rows]
        work = pool.in_processes(make_page, tasks, workers, SECONDS)
        with contextlib.closing(work):
            for task, made in tqdm(work, total=len(tasks), unit="page", disable=None, leave=False):
                if isinstance(made, str):
                    problems.append(Problem(task.student, made, UNREADABLE))
                    made = (_marks_alone(classroom, lesson, task.row),)
                path = classroom.file("feedback", lesson, task.student)
                write_whole(classroom, path, harmless(made[0]))
        problems += _to_look_at(rows) + roster.strangers(classroom, lesson)
        problems += platforms.unplaced(classroom, lesson)
        kept = marks.changed_by_hand(classroom)
        marks.write(classroom)
        path = platforms.marks_file(classroom, lesson, rows)
        platforms.pages_file(classroom, lesson)
        note_problems(classroom, "handback", lesson, problems)
    if kept:
        tell(
            f"marks.csv had been changed by hand, and is written anew: the old one is {kept}. "
            "Give points with make points, or in the formgrader (make look)"
        )
    for words in _told_once(problems):
        tell(printable(words))
    out = sum(not row.get("complete") for row in rows)
    if path and out:
        tell(f"{out} of {len(rows)} are not marked in full and not in {path.name}")
    late = [row["penalty"] for row in rows if row.get("penalty")]
    if late:
        path = classroom.folder / "collected.csv"
        tell(f"{len(late)} of {len(rows)} lose {sum(late):g} points for being late: look at {path}")
    return rows


def _told_once(problems):
    """Return a line for each problem; those of many students with the same words share one."""
    students = defaultdict(list)
    for it in problems:
        students[f"{it.reason}; {it.advice}"].append(it.student)
    for words, who in students.items():
        more = f" and {len(who) - SHOWN} more" if len(who) > SHOWN else ""
        yield f"{', '.join(who[:SHOWN])}{more}: {words}"


def _to_look_at(rows):
    """Return the problems of those whose marks a person should look at before they go out."""
    late = [
        Problem(row["student"], row["late problem"], "then hand back again")
        for row in rows
        if row.get("late problem")
    ]
    much = [
        Problem(row["student"], row["too much"], "change it in the formgrader if it is a slip")
        for row in rows
        if row.get("too much")
    ]
    doubt = [
        Problem(row["student"], row["notes"], "read it: its points go out like any other's")
        for row in rows
        if row["status"] == marks.SUSPICIOUS
    ]
    unmarked = [
        Problem(row["student"], row["notes"], "then hand back again")
        for row in rows
        if row["status"] == marks.WAITING and "total" not in row
    ]
    return late + much + doubt + unmarked


def make_page(task):
    """Return the page of one student, as the only member of a tuple."""
    from .classroom import Classroom

    classroom = Classroom(task.folder)
    released = nbformat.read(classroom.file("release", task.lesson), as_version=4)
    return (_page_of(classroom, task.lesson, task.row, released, _exporter()),)


def _page_of(classroom, lesson, row, released, exporter):
    if "total" not in row:
        return _page_without_marks(lesson, row["status"])
    if row.get("by hand"):
        return _marks_alone(classroom, lesson, row)
    page = _page(classroom, lesson, row["student"], released, exporter)
    page = page.replace("Score: nan /", "waiting for your instructor: /")
    if any(row[name] is None for name in marks.questions(classroom, lesson)):
        page = page.replace("(Score: ", "(Score so far: ", 1)
    if row.get("penalty"):
        words = html.escape(f"{row['late']}: {row['penalty']} points; {row['total']} points stay")
        page = page.replace("</h4>", f"</h4><p>{words}</p>", 1)
    return page


@cache
def _exporter():
    """Return nbgrader's own page, to which nothing is added from the network."""
    from nbgrader.converters import GenerateFeedback

    settings = GenerateFeedback().config
    exporter = HTMLExporter(config=settings)
    for step in (GetGrades, ShowWaiting, HideTests):
        exporter.register_preprocessor(step, enabled=True)
    return exporter


def _page_without_marks(lesson, status):
    title = lesson.notebook
    words = f"{title} has no marks yet ({status}). Ask your instructor."
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><p>{words}</html>"


def _marks_alone(classroom, lesson, row):
    """Return a page with the marks and nothing of the notebook, nor notes for the instructor."""
    title = html.escape(lesson.notebook)
    names = ["student", *marks.questions(classroom, lesson), "total", "max", "late"]
    own = {it: "" if row.get(it) is None else row[it] for it in names}
    cells = [f"<tr><td>{html.escape(str(k))}<td>{html.escape(str(v))}" for k, v in own.items()]
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title></head><h1>{title}</h1>"
        f"<p>Your notebook could not be shown here; your marks stand.<table>{''.join(cells)}"
        "</table></html>"
    )


def _page(classroom, lesson, student, released, exporter):
    names = {"student": student, "assignment": lesson.assignment, "notebook": lesson.notebook}
    names["db_url"] = classroom.gradebook
    resources = {"nbgrader": names, "released": released, "unique_key": lesson.notebook}
    path = classroom.file("autograded", lesson, student)
    return exporter.from_filename(str(path), resources=resources)[0]


def harmless(page):
    """Return a page without scripts, that also tells the browser to run none and load nothing."""
    kept, place, depth = [], 0, 0
    for found in SCRIPT.finditer(page):
        if depth == 0:
            kept.append(page[place : found.start()])
        depth = 0 if found[0].startswith("</") else 1
        place = found.end()
    kept.append(page[place:] if depth == 0 else "")
    return "".join(kept).replace("<head>", "<head>" + POLICY, 1)
