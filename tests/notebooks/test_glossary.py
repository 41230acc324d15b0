"""The glossary: its words occur where it says, not before, in order, and its links lead there."""

import re
from functools import cache

import nbformat
import pytest
from conftest import ROOT

from tools import rules

FOLDER = ROOT / "notebooks"
TEXT = (FOLDER / "glossary.md").read_text(encoding="utf-8")
ENTRY = re.compile(r"^\* \*\*(.+?)\*\*(?: \((\w+)\))?: (.+)$", flags=re.MULTILINE)
ENTRIES = ENTRY.findall(TEXT)
LINK = re.compile(r"\[([Ll])esson (\d)\]\(([^)]+)\)")


@cache
def prose(path):
    """Return a lesson's Markdown without stars and the addresses of its links."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"\]\([^)]*\)", "]", text).replace("*", "")  # *validation* data is a word, too


def lessons_with(word, name):
    """Return the numbers of the lessons whose prose has a word, or a symbol in either spelling."""
    if len(word) == 1:
        pattern = rf"(?<![\w\\]){word}(?!\w)" + (rf"|\\(var)?{name}(?![a-z])" if name else "")
        found = re.compile(pattern)
    else:
        found = re.compile(rf"(?<!\w){re.escape(word).removesuffix('ing')}", re.IGNORECASE)
    return [int(path.name[:2]) for path in rules.lessons() if found.search(prose(path))]


def named(meaning):
    """Return the number of the lesson that explains, and of one that mentions (or None)."""
    links = LINK.findall(meaning)
    (explains,) = (int(number) for capital, number, _ in links if capital == "L")
    mentions = [int(number) for capital, number, _ in links if capital == "l"]
    return explains, mentions[0] if mentions else None


@pytest.mark.parametrize(("word", "name", "meaning"), ENTRIES, ids=[it[0] for it in ENTRIES])
def test_word_first_occurs_where_the_glossary_says(word, name, meaning):
    explains, mentions = named(meaning)
    found = lessons_with(word, name)
    assert explains in found
    assert found[0] == (explains if mentions is None else mentions)
    assert found[0] <= explains


@pytest.mark.parametrize(("word", "name", "meaning"), ENTRIES, ids=[it[0] for it in ENTRIES])
def test_meaning_is_short(word, name, meaning):
    sentences = re.findall(r"[.!](?:\s|$)", LINK.sub("", meaning).partition(" Mentioned")[0])
    assert 1 <= len(sentences) <= 4, "at most three sentences, and the lesson"
    assert 4 <= len(LINK.sub("", meaning).split()) <= 45


def test_every_line_of_a_list_is_an_entry():
    assert TEXT.count("\n* ") == len(ENTRIES)


def test_words_stand_in_alphabetical_order_and_once():
    symbols, words = (ENTRY.findall(part) for part in TEXT.split("\n## ")[1:])
    for part in (symbols, words):
        keys = [(name or word).lower() for word, name, _ in part]
        assert keys == sorted(set(keys))


def test_links_lead_to_the_lesson_they_name():
    for _, number, target in LINK.findall(TEXT):
        assert (FOLDER / target).exists()
        assert target.startswith(f"{int(number):02d}_")


def test_no_other_links():
    assert len(LINK.findall(TEXT)) == TEXT.count("](")
