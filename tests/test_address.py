"""The course's address and revision: the same everywhere, and moved everywhere at once."""

import re
import shutil
import subprocess

import nbformat
import pytest
from conftest import ROOT

from tools import address, rules

NOTEBOOKS = [
    path for place in address.PLACES if "ipynb" in place for path in sorted(ROOT.glob(place))
]
BADGE = re.compile(r"colab\.research\.google\.com/github/([^/]+/[^/]+)/blob/([^/]+)/([^)]+)\)")
LESSON = rules.lessons()[0]


def set_up_cell(path):
    return rules.code_cells(nbformat.read(path, as_version=4))[0].source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parents[1].name}-{path.stem}")
def test_badge_and_set_up_cell_name_one_address_and_revision(path):
    repo, revision, target = BADGE.search(
        nbformat.read(path, as_version=4).cells[0].source
    ).groups()
    cell = set_up_cell(path)
    assert f'"https://github.com/{repo}"' in cell
    assert re.search(r'"clone", "-qb", "([^"]+)", ADDRESS', cell)[1] == revision
    assert (f"https://github.com/{repo}", revision) == (rules.address(), rules.revision())
    assert target == path.relative_to(ROOT).as_posix().replace(
        "exercises/source", "exercises/release"
    )


def test_set_up_cell_is_the_same_in_every_notebook_and_short():
    assert {set_up_cell(path) for path in NOTEBOOKS} == {set_up_cell(LESSON)}
    assert len(set_up_cell(LESSON).splitlines()) <= 10


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of all files that hold the address, to move about."""
    for place in address.PLACES:
        for path in ROOT.glob(place):
            (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, tmp_path / path.relative_to(ROOT))
    monkeypatch.setattr(address, "ROOT", tmp_path)
    monkeypatch.setattr(rules, "ROOT", tmp_path)
    rules.pyproject.cache_clear()
    yield tmp_path
    rules.pyproject.cache_clear()


def move(*arguments):
    address.main(list(arguments))
    rules.pyproject.cache_clear()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_address_and_revision_move_everywhere_at_once(copy):
    old, before = rules.address().removeprefix("https://github.com/"), contents(copy)
    move("--repo", f"{old}-2", "--revision", "v1.0")
    assert rules.address() == f"https://github.com/{old}-2"
    assert rules.revision() == "v1.0"
    for path in contents(copy):
        text = path.read_text(encoding="utf-8")
        assert not re.search(re.escape(old) + "(?!-2)", text), path
        assert not re.search(re.escape(old.replace("/", "%2F")) + "(?!-2)", text), path
        assert not re.search(r"blob/main|tree/main|-2/main|branch=main|-qb\W+main", text), path
    for path in sorted(copy.glob("notebooks/*.ipynb")):
        kept = ROOT / path.relative_to(copy)  # its links lead to files beside it
        assert rules.problems(nbformat.read(path, as_version=4), kept) == []
    move("--repo", old, "--revision", "main")
    assert contents(copy) == before


def test_a_revision_moves_alone(copy):
    old = rules.address()
    move("--revision", "v2")
    assert (rules.address(), rules.revision()) == (old, "v2")


def test_readme_leads_to_binder_and_through_nbgitpuller(copy):
    move("--repo", "someone/learning", "--revision", "v1.0")
    text = (copy / "README.md").read_text(encoding="utf-8")
    lesson = f"notebooks/{LESSON.name}"
    assert f"mybinder.org/v2/gh/someone/learning/v1.0?urlpath=lab/tree/{lesson})" in text
    quoted = lesson.replace("/", "%2F")
    assert (
        "https://HUB/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fsomeone%2Flearning"
        f"&branch=v1.0&urlpath=lab%2Ftree%2Flearning%2F{quoted}\n"
    ) in text


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_hands_address_and_revision_on():
    command = ["make", "--no-print-directory", "-n", "address", "REVISION=v1.0"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert plan.splitlines()[-1].endswith('tools.address --repo "" --revision "v1.0"')


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty folder, where a wrong address does no harm."""
    monkeypatch.setattr(address, "ROOT", tmp_path)


@pytest.mark.parametrize("wrong", ["only-a-name", "https://github.com/a/b", "a/b c"])
def test_address_refuses_what_is_none(wrong, nowhere):
    with pytest.raises(SystemExit, match="REPO must be owner/name"):
        address.main(["--repo", wrong])


@pytest.mark.parametrize("wrong", ["a branch", "feature/x", "--upload-pack=x"])
def test_revision_refuses_what_is_none(wrong, nowhere):
    with pytest.raises(SystemExit, match="REVISION must be a branch or tag"):
        address.main([f"--revision={wrong}"])


def test_address_refuses_nothing(nowhere):
    with pytest.raises(SystemExit, match="got neither"):
        address.main(["--repo", "", "--revision", ""])
