"""The course's address and revision: the same everywhere, and moved everywhere at once."""

import os
import re
import shutil
import subprocess

import nbformat
import pytest
from conftest import ROOT

from tools import address, marked, rules

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
    assert f"git clone -qb {revision} https://github.com/{repo} " in set_up_cell(path)
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
    move("--repo", address.NOWHERE, "--revision", "main")
    old, before = address.NOWHERE, contents(copy)
    move("--repo", f"{old}-2", "--revision", "v1.0")
    assert rules.address() == f"https://github.com/{old}-2"
    assert rules.revision() == "v1.0"
    for path in contents(copy):
        text = path.read_text(encoding="utf-8")
        assert not re.search(re.escape(old) + "(?!-2)", text), path
        assert not re.search(re.escape(old.replace("/", "%2F")) + "(?!-2)", text), path
        assert not re.search(r"blob/main|tree/main|-2/main|branch=main|-qb\W+main", text), path
        assert "isn't published" not in text, path
    for path in sorted(copy.glob("notebooks/*.ipynb")):
        kept = ROOT / path.relative_to(copy)  # its links lead to files beside it
        assert rules.problems(nbformat.read(path, as_version=4), kept) == []
    move("--repo", old, "--revision", "main")
    assert contents(copy) == before


def test_files_say_what_the_address_calls_for(copy):
    before, repo = contents(copy), rules.address().removeprefix("https://github.com/")
    move("--repo", repo)
    stale = [
        str(path.relative_to(copy)) for path, it in contents(copy).items() if it != before[path]
    ]
    assert stale == [], f"run .venv/bin/python -m tools.address --repo {repo}"


def test_an_unpublished_copy_says_what_to_do_where_a_badge_leads_nowhere(copy):
    move("--repo", address.NOWHERE)
    for path in copy.rglob("*.ipynb"):
        first = nbformat.read(path, as_version=4).cells[0].source
        assert f"\n\n[![Open in Colab]{first.partition('[![Open in Colab]')[2]}" in first
        badge = address.BADGE.search(first)[0]
        assert f"{badge}\n\n{address.IN_A_NOTEBOOK}\n\n" in first, path
        assert first.count("isn't published") == 1, path
    readme = (copy / "README.md").read_text(encoding="utf-8")
    assert marked.get(readme, "unpublished") == address.IN_THE_README
    assert marked.get(readme, "get") == address.NO_ADDRESS
    assert "git clone" not in readme
    ways = (copy / "docs" / "other_ways_to_start.md").read_text(encoding="utf-8")
    assert marked.get(ways, "unpublished hub") == address.FOR_A_HUB


@pytest.mark.parametrize("sentence", [*address.parts(address.NOWHERE, "main").values(),
                                      address.IN_A_NOTEBOOK])  # fmt: skip
def test_what_an_unpublished_copy_says_is_one_sentence_with_a_command(sentence):
    assert re.fullmatch(r"This copy of the course isn't published yet[^.]*`make address`[^.]*\.",
                        sentence)  # fmt: skip


def test_a_published_copy_says_how_to_get_it(copy):
    move("--repo", "someone/learning", "--revision", "v1.0")
    readme = (copy / "README.md").read_text(encoding="utf-8")
    command = "git clone -b v1.0 https://github.com/someone/learning\ncd learning\n"
    assert command in marked.get(readme, "get") + "\n"
    assert marked.get(readme, "unpublished") == ""
    assert readme.index("make lab") < readme.index("git clone")


def test_a_student_s_notebook_has_the_note_of_its_source(copy):
    for repo in (address.NOWHERE, "someone/learning"):
        move("--repo", repo)
        for source in copy.glob("exercises/source/*/*.ipynb"):
            release = copy / "exercises" / "release" / source.relative_to(source.parents[1])
            texts = [
                nbformat.read(path, as_version=4).cells[0].source for path in (source, release)
            ]
            assert texts[0] == texts[1]


def test_a_stamp_stays_true(copy):
    fresh = {
        path.name: list(rules.fresh(nbformat.read(path, as_version=4), path)) == []
        for path in rules.lessons()
    }
    move("--repo", "someone/learning", "--revision", "v1.0")
    for path in rules.lessons():
        said = list(rules.fresh(nbformat.read(path, as_version=4), path))
        assert (said == []) == fresh[path.name], path


def test_a_note_is_written_once_and_taken_away():
    cell = "# 1 · A title\n\n[![Open in Colab](a.svg)](there)\n\nA promise."
    noted = address.with_note(cell, address.NOWHERE)
    assert noted == cell.replace("(there)", f"(there)\n\n{address.IN_A_NOTEBOOK}")
    assert address.with_note(noted, address.NOWHERE) == noted
    assert address.with_note(noted, "someone/learning") == cell


def test_an_address_is_not_found_in_a_longer_one(tmp_path, monkeypatch):
    monkeypatch.setattr(address, "ROOT", tmp_path)
    page = tmp_path / "README.md"
    page.write_text("https://github.com/a/b, https://github.com/a/b-2, data/a/b, github.com/a/bc")
    address.change(
        page, dict(zip(address.forms("a/b", "v"), address.forms("c/d", "v"))), "c/d", "v"
    )
    assert page.read_text() == (
        "https://github.com/c/d, https://github.com/a/b-2, data/a/b, github.com/a/bc"
    )


def test_a_revision_moves_alone(copy):
    old = rules.address()
    move("--revision", "v2")
    assert (rules.address(), rules.revision()) == (old, "v2")


def test_pages_lead_to_binder_and_through_nbgitpuller(copy):
    move("--repo", "someone/learning", "--revision", "v1.0")
    text = (copy / "README.md").read_text(encoding="utf-8")
    lesson = f"notebooks/{LESSON.name}"
    assert f"mybinder.org/v2/gh/someone/learning/v1.0?urlpath=lab/tree/{lesson})" in text
    quoted = lesson.replace("/", "%2F")
    assert (
        "https://HUB/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fsomeone%2Flearning"
        f"&branch=v1.0&urlpath=lab%2Ftree%2Flearning%2F{quoted}\n"
    ) in (copy / "docs" / "other_ways_to_start.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- git's origin


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty repository; call it with the address of its origin."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    monkeypatch.setattr(address, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)

    def add(url):
        subprocess.run(["git", "-C", tmp_path, "remote", "add", "origin", url], check=True)

    return add


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/someone/learning.rates",
        "https://github.com/someone/learning.rates.git",
        "https://github.com/someone/learning.rates/",
        "https://someone:secret@github.com/someone/learning.rates.git",
        "https://www.github.com/someone/learning.rates",
        "git@github.com:someone/learning.rates.git",
        "git@github.com:someone/learning.rates",
        "ssh://git@github.com/someone/learning.rates.git",
        "ssh://git@ssh.github.com:443/someone/learning.rates.git",
    ],
)
def test_origin_is_read_in_every_form(url, repository):
    repository(url)
    assert address.origin() == "someone/learning.rates"


@pytest.mark.parametrize(
    "url",
    [
        "https://gitlab.com/someone/learning",
        "https://github.com/someone",
        "https://github.com.example.org/someone/learning",
        "https://github.com/someone/learning/tree/main",
        "/srv/git/learning.git",
    ],
)
def test_origin_elsewhere_is_refused(url, repository):
    repository(url)
    with pytest.raises(SystemExit, match=f"not an address on GitHub: {re.escape(url)}; say REPO="):
        address.main([])


def test_a_password_is_not_shown(repository):
    repository("https://someone:secret@example.org/someone/learning")
    with pytest.raises(SystemExit) as told:
        address.origin()
    assert "https://example.org/" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_folder_without_an_origin_says_so(repository):
    with pytest.raises(SystemExit, match="git has no remote called origin here: say REPO="):
        address.main(["--repo", "", "--revision", ""])


def test_the_origin_of_a_repository_around_it_is_not_taken(repository, tmp_path, monkeypatch):
    repository("https://github.com/someone/another")
    (tmp_path / "course").mkdir()
    monkeypatch.setattr(address, "ROOT", tmp_path / "course")
    with pytest.raises(SystemExit, match="no remote called origin"):
        address.main([])


def test_a_machine_without_git_says_so(nowhere, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="git isn't installed"):
        address.main([])


def test_without_arguments_the_origin_is_written_everywhere(copy, repository):
    repository("git@github.com:someone/learning.git")
    move()
    assert rules.address() == "https://github.com/someone/learning"
    move("--revision", "v2")
    assert rules.address() == "https://github.com/someone/learning"


# ---------------------------------------------------------------- arguments


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_hands_address_and_revision_on():
    command = ["make", "--no-print-directory", "-n", "address", "REVISION=v1.0"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert plan.splitlines()[-1].endswith('tools.address --repo "" --revision "v1.0"')


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty folder, where a wrong address does no harm."""
    monkeypatch.setattr(address, "ROOT", tmp_path)


@pytest.mark.parametrize(
    "wrong", ["only-a-name", "https://github.com/a/b", "a/b c", "a/b.git", "a/..", "a/b/c", "ä/b"]
)
def test_address_refuses_what_is_none(wrong, nowhere):
    with pytest.raises(SystemExit, match="REPO must be owner/name"):
        address.main(["--repo", wrong])


@pytest.mark.parametrize("wrong", ["a branch", "feature/x", "--upload-pack=x"])
def test_revision_refuses_what_is_none(wrong, nowhere):
    with pytest.raises(SystemExit, match="REVISION must be a branch or tag"):
        address.main([f"--revision={wrong}"])
