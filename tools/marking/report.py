"""A page of the class: points per question, which checks failed, when, and who is alike."""

import html
import json
import statistics
from collections import Counter

import nbformat
from nbgrader.utils import is_solution

from . import alike, attempts, keep, marks
from .feedback import POLICY
from .files import locked, write_whole

STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.2em .6em;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #ccc}.bar{background:#0072b2;height:.9em}.box{width:14em;"
    "background:#e5e5e5}pre{white-space:pre-wrap;border:1px solid #ccc;padding:.5em}"
    ".two{display:grid;grid-template-columns:1fr 1fr;gap:1em}@media print{h2{break-before:page}}"
)
SHOWN = 20  # pairs, and checks of a test, that are shown


def report(classroom, lesson):
    """Write the class's page and the answer key of a lesson, and return their paths."""
    with locked(classroom):
        rows = marks.rows(classroom, lesson)
        parts = [
            f"<h1>{_text(lesson.notebook)}: {len(rows)} submissions</h1>",
            _table(["status", "submissions"], Counter(row["status"] for row in rows).items()),
            _questions(classroom, lesson, rows),
            _checks(classroom, lesson, rows),
            _times(classroom, lesson),
            _alike(classroom, lesson, rows),
        ]
        page = classroom.folder / f"report_{lesson.notebook}.html"
        write_whole(classroom, page, _page(f"Report {lesson.notebook}", parts))
        key = classroom.folder / f"key_{lesson.notebook}.html"
        write_whole(classroom, key, _page(f"Key {lesson.notebook}", _key(classroom, lesson)))
    return page, key


def _page(title, parts):
    head = f"<meta charset='utf-8'>{POLICY}<title>{_text(title)}</title><style>{STYLE}</style>"
    return f"<!DOCTYPE html><html><head>{head}</head><body>{''.join(parts)}</body></html>"


def _text(words):
    return html.escape(str(words))


def _table(head, rows):
    """Return a table; cells that begin with "<div" are markup of ours."""
    cell = lambda it: it if str(it).startswith("<div") else _text(it)  # noqa: E731
    first = "".join(f"<th>{_text(it)}" for it in head)
    return f"<table><tr>{first}{''.join(_line(row, cell) for row in rows)}</table>"


def _line(row, cell):
    return "<tr>" + "".join(f"<td>{cell(it)}" for it in row)


def _bar(share):
    return f"<div class=box><div class=bar style='width:{100 * share:.0f}%'></div></div>"


def _questions(classroom, lesson, rows):
    lines = []
    for name, most in marks.questions(classroom, lesson).items():
        points = [row[name] for row in rows if row.get(name) is not None]
        if points:
            mean = statistics.mean(points)
            full = sum(it == most for it in points)
            told = f"{mean:.2f} of {most:g}", f"{full} of {len(points)}"
            lines.append((name, _bar(mean / most if most else 0), *told))
        else:
            lines.append((name, _bar(0), "nobody has points yet", ""))
    head = "question", "mean share of the points", "mean", "all points"
    return "<h2>Points</h2>" + _table(head, lines)


def _checks(classroom, lesson, rows):
    """Count what the failed checks said: the mistakes that are abroad."""
    counted = Counter()
    for row in rows:
        failed = keep.record(classroom, lesson, row["student"]).get("failed", {})
        counted.update((name, *said) for name, said in failed.items())
    lines = [
        (name, kind, words, number) for (name, kind, words), number in sorted(
            counted.items(), key=lambda it: (it[0][0], -it[1])
        )
    ]  # fmt: skip
    kept, seen = [], Counter()
    for line in lines:
        seen[line[0]] += 1
        if seen[line[0]] <= SHOWN:
            kept.append(line)
    note = "<p>Of each test only its first failed check is known: the others did not run.</p>"
    head = "test", "check", "what it said", "submissions"
    return "<h2>Failed checks</h2>" + (note + _table(head, kept) if kept else "<p>None.</p>")


def _times(classroom, lesson):
    days = Counter(
        row["handed in"][:10]
        for row in attempts.taken(classroom)
        if row["lesson"] == lesson.number and row["taken"]
    )
    most = max(days.values(), default=1)
    lines = [(day, _bar(number / most), number) for day, number in sorted(days.items())]
    return "<h2>Handed in</h2>" + _table(("day", "", "submissions"), lines)


def _alike(classroom, lesson, rows):
    """Show the pairs that are alike beyond the given code."""
    given = set()
    for cell in nbformat.read(classroom.file("release", lesson), as_version=4).cells:
        given |= {line.strip() for line in cell.source.splitlines()}
    own = {row["student"]: _own(classroom, lesson, row["student"], given) for row in rows}
    found = alike.pairs({name: alike.pieces(*texts) for name, texts in own.items()})
    parts = [
        "<h2>Alike</h2><p>Pairs that share much which few others have, beyond the given code. "
        "This is a hint and no verdict: read both, and ask.</p>"
    ]
    for pair in found[:SHOWN]:
        names = f"{pair.one} and {pair.other}: {100 * pair.share:.0f}% of the smaller one's pieces"
        sides = ["\n".join(own[name])[:5000] for name in (pair.one, pair.other)]
        shown = "".join(f"<pre>{_text(it)}</pre>" for it in sides)
        parts.append(f"<h3>{_text(names)}</h3><div class=two>{shown}</div>")
    if not found:
        parts.append("<p>None.</p>")
    return "".join(parts)


def _own(classroom, lesson, student, given):
    """Return (code, free text) that a student wrote, without lines of the given notebook."""
    try:
        path = classroom.file("autograded", lesson, student)
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return "", ""
    texts = {"code": [], "markdown": []}
    for cell in cells:
        data = cell["metadata"].get("nbgrader", {})
        if data.get("solution") or cell["id"].startswith("extra-"):
            lines = "".join(cell["source"]).splitlines()
            texts[cell["cell_type"]] += [it for it in lines if it.strip() not in given]
    return "\n".join(texts["code"]), "\n".join(texts["markdown"])


def _key(classroom, lesson):
    """Return the answer key: what was asked, the model answer, and the rubric."""
    parts = [f"<h1>{_text(lesson.notebook)}: answers and rubric</h1>"]
    points = marks.questions(classroom, lesson)
    for cell in nbformat.read(classroom.file("source", lesson), as_version=4).cells:
        if cell.cell_type == "markdown" and not is_solution(cell):
            parts.append(f"<pre>{_text(cell.source)}</pre>")
        elif is_solution(cell):
            name = cell.metadata.nbgrader.grade_id
            worth = f" ({points[name]:g} points)" if name in points else ""
            parts.append(f"<h3>{_text(name)}{worth}</h3><pre>{_text(cell.source)}</pre>")
    return parts
