"""The front page repeats the notebooks truly, and the course can be cited."""

import re
import tomllib

import nbformat
import pytest
import yaml
from conftest import ROOT

from tools import front, rules

README = (ROOT / "README.md").read_text(encoding="utf-8")
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_readme_repeats_the_notebooks_as_they_are():
    assert front.fill(README) == README, "run make front"


def test_picture_is_the_notebook_s_byte_for_byte():
    assert (ROOT / front.PICTURE).read_bytes() == front.picture()[0], "run make front"


def test_a_readme_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="lessons"):
        front.fill(README.replace("<!-- end of lessons -->", ""))


def test_fill_replaces_what_is_stale():
    stale = README.replace("20 to read", "5 to read").replace("[40 minutes", "[4 minutes")
    assert stale != README
    assert front.fill(stale) == README


def test_instructors_see_the_five_commands_and_the_guide():
    part = README.partition("## For instructors")[2].partition("\n## ")[0]
    for command in ("assignment", "collect", "mark", "look", "handback"):
        assert f"`make {command}`" in part
    assert "(exercises/README.md)" in part


def test_the_table_adds_the_minutes_of_the_exercises():
    for path in rules.lessons():
        exercises = f"exercises/release/{path.stem}/exercises_{path.name[:2]}.ipynb"
        first = nbformat.read(ROOT / exercises, as_version=4).cells[0].source
        assert f"**Minutes** | about {minutes_of(exercises)} " in first


def minutes_of(exercises):
    """Return what the README says of an exercise notebook."""
    return re.search(rf"\[(\d+) minutes more\]\({exercises}\)", README)[1]


def test_the_commands_are_typed_as_they_stand_before_any_address():
    shown = re.findall(r"^```\n(.*?)```", README, flags=re.MULTILINE | re.DOTALL)
    assert shown[0] == "make lab\n"
    assert "make test\n" in shown


def test_citation_has_what_its_schema_requires():
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] in ("software", "dataset")
    assert all(isinstance(CITATION[key], str) for key in ("message", "title", "version"))
    assert CITATION["authors"] == [{"name": "The contributors of the learning-rate course"}]


def test_citation_agrees_with_pyproject():
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["title"].startswith(README.partition("\n")[0].removeprefix("# ") + ": ")
    assert CITATION["repository-code"] == PROJECT["urls"]["repository"]
