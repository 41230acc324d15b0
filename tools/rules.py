"""What a stored lesson must be: each rule looks at one notebook and yields what is wrong."""

import base64
import json
import re
import statistics
import tomllib
from functools import cache
from pathlib import Path

from course import quiz
from tools import notebooks

ROOT = notebooks.ROOT
NOISE = re.compile(
    r"oneDNN|absl::|cpu_feature_guard|Traceback|Warning\b|Epoch \d+/\d+"
    r"|/root/|/home/|/tmp/|/Users/|[A-Z]:\\\\"
)
SECTIONS = ("Prediction and measurement", "Myths on trial", "Check yourself", "What you can do now")
NUMBER = re.compile(r"(?<![\w.,])[−-]?\d[\d ]*(?:\.\d+)?(?:e[−+-]?\d+)?(?![\w])", re.IGNORECASE)


@cache
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def address():
    """Return where the course is published, from pyproject.toml."""
    return pyproject()["project"]["urls"]["repository"]


def revision():
    """Return the branch or tag that badges open and set-up cells fetch, from pyproject.toml."""
    return pyproject()["tool"]["course"]["revision"]


def code_cells(notebook):
    """Return the code cells in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook):
    """Return the text of the Markdown cells in order."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def quizzes(source):
    """Return the names of the quizzes that a cell asks."""
    return re.findall(r'^quiz\.ask\("(\w+)"\)', source, flags=re.MULTILINE)


def printed(cell):
    """Return all text that a code cell shows."""
    return "".join(
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def normalised(notebook, path):
    """Only the course's own metadata, and ids that stay."""
    if set(notebook.metadata) != {"course", "kernelspec", "language_info"}:
        yield f"metadata holds {sorted(notebook.metadata)}"
    if len({cell.id for cell in notebook.cells}) != len(notebook.cells):
        yield "two cells share an id"
    for number, cell in enumerate(notebook.cells):
        if set(cell.metadata) - {"tags"}:
            yield f"cell {number} holds metadata {sorted(cell.metadata)}"


def executed_in_order(notebook, path):
    """Executed once, from top to bottom."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}"


def fresh(notebook, path):
    """The stored outputs are those of this code, with what it imports as it is now."""
    stored, now = notebook.metadata.get("course", {}).get("stamp"), notebooks.stamp(notebook)
    for part in now:
        if not stored or stored.get(part) != now[part]:
            yield f"stale: its {part} changed since it was executed; run make notebooks"
    for cell in code_cells(notebook):
        for name in quizzes(cell.source):
            if quiz.printed_form(quiz.load_questions(name)) not in printed(cell):
                yield f"stale: the quiz {name} changed since it was executed; run make notebooks"


def quiet(notebook, path):
    """No error, nothing on stderr, no log lines, no path of a machine."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"code cell {number} stores an error, {output.ename}"
            if output.get("name") == "stderr":
                yield f"code cell {number} stores stderr: {output.text[:60]!r}"
        noise = NOISE.search(printed(cell))
        if noise:
            yield f"code cell {number} shows {noise.group(0)!r}"


def headed(notebook, path):
    """One H1 with the lesson's number, its own badge, and the table of what to expect."""
    titles = [line for text in texts(notebook) for line in text.splitlines() if line[:2] == "# "]
    number = int(path.name[:2])
    if len(titles) != 1 or not titles[0].startswith(f"# {number} · "):
        yield f"titles are {titles}, wanted one that starts with '# {number} · '"
    first = notebook.cells[0].source
    colab = address().replace("https://github.com", "https://colab.research.google.com/github")
    if f"({colab}/blob/{revision()}/notebooks/{path.name})" not in first:
        yield "the Colab badge does not lead to this notebook"
    for row in (r"\*\*Minutes\*\* \| \d+ to read, \d+ to do", "You need", "Afterwards you can"):
        if not re.search(row, first):
            yield f"the first cell has no row {row!r}"
    if not 3 <= first.partition("Afterwards you can")[2].count("·") + 1 <= 6:
        yield "the first cell lists fewer than 3 or more than 6 objectives"


def set_up(notebook, path):
    """The set-up cell comes first, fetches from the one address, and has at most 10 lines."""
    cell = code_cells(notebook)[0]
    if "setup" not in cell.metadata.get("tags", []):
        yield "the first code cell is not the set-up"
    if f" {address()} " not in cell.source:
        yield "the set-up cell fetches from another address than pyproject.toml's"
    if f"git clone -qb {revision()} " not in cell.source:
        yield "the set-up cell fetches another revision than pyproject.toml's"
    if len(cell.source.splitlines()) > 10:
        yield f"the set-up cell has {len(cell.source.splitlines())} lines"


def readable(notebook, path):
    """Short cells, short paragraphs, the house's sections."""
    lengths = [len(cell.source.strip().splitlines()) for cell in code_cells(notebook)]
    if max(lengths) > 20 or statistics.median(lengths) > 10:
        yield f"code cells are too long: up to {max(lengths)} lines"
    for text in texts(notebook):
        for paragraph in re.split(r"\n\s*\n|\n> |\n\* |\n\d\. |\n\|", text):
            words = len(paragraph.split())
            if words > 90 and not paragraph.startswith("|"):
                yield f"a paragraph of {words} words: {paragraph[:50]!r}"
    headings = "\n".join(texts(notebook))
    for section in SECTIONS:
        if f"## {section}" not in headings:
            yield f"the section {section!r} is missing"


def linked(notebook, path):
    """Relative links lead to files that exist; the last cell, to exercises and the next lesson."""
    for text in texts(notebook):
        for target in re.findall(r"\]\(([^)#]+)", text):
            if "://" not in target and not (path.parent / target).exists():
                yield f"the link to {target} leads nowhere"
    number, last = int(path.name[:2]), notebook.cells[-1].source
    if f"](../exercises/release/{path.stem}/exercises_{number:02d}.ipynb)" not in last:
        yield "the last cell does not lead to the lesson's exercises"
    if number < len(lessons()) and f"[lesson {number + 1}](" not in last:
        yield "the last cell does not lead to the next lesson"


def figures(notebook, path):
    """Figures are small, carry a sentence for those who can't see them, and are read out."""
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if "image/png" not in output.get("data", {}):
                continue
            if len(base64.b64decode(output.data["image/png"])) > 100_000:
                yield f"the figure of cell {number} is larger than 100 kB"
            if len(output.metadata.get("image/png", {}).get("alt", "")) < 40:
                yield f"the figure of cell {number} has no alternative text"
            following = notebook.cells[number + 1 : number + 2]
            if not following or following[0].cell_type != "markdown":
                yield f"no prose reads the figure of cell {number}"


def quizzed(notebook, path):
    """Each quiz it asks exists; lessons after the first begin with a recall."""
    asked = [name for cell in code_cells(notebook) for name in quizzes(cell.source)]
    wanted = [path.stem] if path.name.startswith("01") else [f"{path.name[:2]}_recall", path.stem]
    if asked != wanted:
        yield f"it asks the quizzes {asked}, wanted {wanted}"


def numbers_shown(notebook, path):
    """Every number in the prose was printed by a cell, or was put into one."""
    cells = code_cells(notebook)
    evidence = "\n".join([cell.source for cell in cells] + [printed(cell) for cell in cells])
    shown = [abs(_value(found)) for found in NUMBER.findall(evidence)]
    for text in texts(notebook)[1:]:
        for found in _prose_numbers(text):
            mantissa, _, exponent = found.lower().partition("e")
            decimals = len(mantissa.partition(".")[2])
            rounding = 0.51 * 10.0 ** (int(_value(exponent or "0")) - decimals)
            if not any(abs(number - abs(_value(found))) <= rounding for number in shown):
                yield f"the prose says {found}, which no cell shows"


def _prose_numbers(text):
    """Return the numbers of a text that claim something: decimals, and whole ones from 12 up."""
    text = re.sub(r"\]\([^)]*\)|`[^`]*`|\blessons? \d+|\(\d{4}\)", " ", text)
    text = re.sub(r"\\tfrac|\\frac\S*|\^\{?\\?\w+\}?|_\{?\w+\}?", " ", text)
    for found in NUMBER.findall(text):
        found = found.replace(" ", "")
        if "." in found or "e" in found.lower() or abs(_value(found)) >= 12:
            yield found


def _value(text):
    return float(text.replace("−", "-").replace(" ", ""))


RULES = (
    normalised, executed_in_order, fresh, quiet, headed, set_up, readable, linked, figures,
    quizzed, numbers_shown,
)  # fmt: skip


def problems(notebook, path):
    """Return all that is wrong with a notebook, as sentences."""
    return [f"{rule.__name__}: {problem}" for rule in RULES for problem in rule(notebook, path)]


def quiz_problems(path):
    """Return what is wrong with a file of questions."""
    found = []
    for question in json.loads(path.read_text(encoding="utf-8")):
        right = [answer for answer in question["answers"] if answer["correct"]]
        if len(right) != 1:
            found.append(f"{question['question'][:40]!r} has {len(right)} right answers")
        for answer in question["answers"]:
            if len(answer.get("feedback", "")) < 20 or "$" in answer.get("feedback", ""):
                found.append(f"{answer['answer'][:40]!r} is not explained in plain characters")
            if not answer["correct"] and not answer.get("misconception"):
                found.append(f"{answer['answer'][:40]!r} names no misconception")
    return found


def lessons():
    """Return the paths of all lessons."""
    return sorted(Path(ROOT / "notebooks").glob("*.ipynb"))


def appendices():
    """Return the paths of the notebooks that lessons refer to for looking things up."""
    return sorted(Path(ROOT / "notebooks" / "appendix").glob("*.ipynb"))
