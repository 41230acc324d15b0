"""The page of symptoms: it has the rows of every lesson's table, and lesson 8 shows it as it is."""

import re

import nbformat
import pytest

from course.clinic import show
from tools import rules

PAGE = show.TABLE.read_text(encoding="utf-8")
SECTIONS = re.findall(r"^## (.+)$", PAGE, re.M)
ROW = re.compile(r"^\| (.+) \|$", re.M)
HEAD = "what you see | how to check | what to do"

ALONE = {  # what a row says beside its neighbours, and on a page of its own
    "fits the loss (next section)": "fits the loss",
    "see *Yesterday's code*, and the next section": "see *Yesterday's code* in lesson 3",
}


def rows_of(text):
    """Return the rows below a table's head, without the head."""
    return [row for row in ROW.findall(text) if not row.startswith(HEAD)]


def of_lessons():
    """Return the pairs (number of a lesson, row of its table)."""
    pairs = []
    for path in rules.lessons()[:7]:
        for text in rules.texts(nbformat.read(path, as_version=4)):
            if f"| {HEAD} |" in text:
                table = text[text.index(HEAD) - 2 :]
                pairs += [(int(path.name[:2]), row) for row in rows_of(table)]
    return pairs


def test_every_row_of_a_lesson_is_on_the_page():
    assert len(of_lessons()) == 18
    on_the_page = rows_of(PAGE)
    for number, row in of_lessons():
        for beside, alone in ALONE.items():
            row = row.replace(beside, alone)
        assert f"{row} | {number}" in on_the_page


def test_no_row_comes_twice_and_each_has_four_parts():
    rows = rows_of(PAGE)
    assert len(rows) == len(set(rows))
    for row in rows:
        assert row.count(" | ") == 3, row


def test_lesson_8_shows_the_page_and_its_sections():
    notebook = nbformat.read(rules.lessons()[7], as_version=4)
    outputs = [out for cell in rules.code_cells(notebook) for out in cell.outputs]
    shown = {out.get("data", {}).get("text/markdown") for out in outputs}
    assert PAGE in shown
    assert {show.section_of(PAGE, title) for title in SECTIONS[:4]} <= shown


def test_a_section_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"title must be one of It doesn't learn, .*got 'x'"):
        show.section_of(PAGE, "x")
