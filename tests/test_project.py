"""The project's files agree with each other: packages, pins, addresses, lesson table."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from importlib import metadata

import nbformat
import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tools import rules, site

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("requirements.txt", "requirements-test.txt", "requirements-marking.txt")
LOCKS += ("requirements-site.txt",)
GROUPS = {
    name: [it for it in group if isinstance(it, str)]
    for name, group in PROJECT["dependency-groups"].items()
}


PAGES = [ROOT / "README.md", ROOT / "exercises" / "README.md", ROOT / "data" / "README.md"]
PAGES += [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("lrsweep/**/*.md"))]

FORMS = ROOT / ".github" / "ISSUE_TEMPLATE"
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

# Where things were before there were three packages, and before tests mirrored them.
MOVED = (
    "sweep|finder|widgets|quiz|exercises|environment|worlds|clothing|garments|download|xception"
    r"|landscapes|optimizers|noisy_descent|discriminative(?!_lr)|cell_order"
)
STAYED = "|".join(path.stem.removeprefix("test_") for path in ROOT.glob("tests/test_*.py"))
OLD_PLACES = re.compile(
    rf"(?<!\.)\butils[./](?:{MOVED})\b"
    rf"|from utils import (?:\((?:[\w,\s]*,)?\s*|(?:[\w, ]*, )?)(?:{MOVED})\b"
    rf"|tests[./]test_(?!(?:{STAYED})\b)\w+"
)
TEXTS = {".py", ".md", ".ipynb", ".toml", ".json", ".sh", ".yml", ".yaml", ".cff", ".css", ".js"}


def ranges(lines):
    return {Requirement(line).name: Requirement(line).specifier for line in lines}


def pins(name):
    """Return {package: set of pinned versions}; a version may differ between Pythons."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            pin = Requirement(line)
            (only,) = pin.specifier
            assert only.operator == "=="
            found.setdefault(pin.name, set()).add(only.version)
    return found


def test_conda_lists_what_pyproject_lists():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, packages = conda["dependencies"]
    assert python == "python" + PROJECT["project"]["requires-python"]
    assert pip == "pip"
    assert ranges(packages["pip"]) == ranges(PROJECT["project"]["dependencies"])


def test_the_library_has_the_ranges_of_the_course():
    text = (ROOT / "lrsweep" / "pyproject.toml").read_text(encoding="utf-8")
    library = tomllib.loads(text)["project"]
    extras = [it for extra in library["optional-dependencies"].values() for it in extra]
    course = ranges([*PROJECT["project"]["dependencies"], *GROUPS["test"]])
    wanted = ranges([*library["dependencies"], *extras])
    assert wanted == {name: course[name] for name in wanted}


def conda_problems(environment):
    """Yield what conda would refuse in an environment file, by the rules of its own schema."""
    if set(environment) != {"name", "channels", "dependencies"}:
        yield f"keys {sorted(environment)}"
    if not re.fullmatch(r"[^\s/:#]+", environment["name"]):
        yield f"name {environment['name']!r}"
    if not all(re.fullmatch(r"[a-z][\w/.-]*", channel) for channel in environment["channels"]):
        yield f"channels {environment['channels']}"
    specs = [it for it in environment["dependencies"] if isinstance(it, str)]
    for spec in specs:
        if not re.fullmatch(r"[a-z][\w.-]*([<>=!]=?[\d.*]+(,[<>=!]=?[\d.*]+)*)?", spec):
            yield f"match specification {spec!r}"
    for rest in (it for it in environment["dependencies"] if not isinstance(it, str)):
        if list(rest) != ["pip"] or not all(isinstance(line, str) for line in rest["pip"]):
            yield f"dependency {rest}"
        if "pip" not in specs:
            yield "packages for pip, but no pip"


def test_conda_accepts_the_file():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert list(conda_problems(conda)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: ", "title: x\nname: "),
        ("name: learning-rate", "name: learning rate"),
        ("- conda-forge", "- 'two words'"),
        ("python>=", "python >> "),
        ("  - pip\n", ""),
        ("- pip:", "- conda:"),
        ("- keras>=", "- keras: "),
    ],
)
def test_conda_s_rules_notice(old, new):
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert old in text
    spoilt = yaml.safe_load(text.replace(old, new))
    assert list(conda_problems(spoilt)) != []


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.txt", PROJECT["project"]["dependencies"]),
        ("requirements-test.txt", PROJECT["project"]["dependencies"]),
        ("requirements-test.txt", GROUPS["test"]),
        ("requirements-test.txt", GROUPS["marking"]),
        ("requirements-marking.txt", PROJECT["project"]["dependencies"]),
        ("requirements-marking.txt", GROUPS["marking"]),
        ("requirements-site.txt", PROJECT["project"]["dependencies"]),
        ("requirements-site.txt", GROUPS["site"]),
    ],
)
def test_pins_lie_in_the_ranges(lock, wanted):
    pinned = pins(lock)
    for name, allowed in ranges(wanted).items():
        assert pinned.get(name), f"{name} is not pinned in {lock}; run make lock"
        for version in pinned[name]:
            assert SpecifierSet(str(allowed)).contains(version), (name, version, lock)


def test_all_locks_pin_the_same_versions():
    learner, contributor, instructor, publisher = map(pins, LOCKS)
    assert {name: contributor[name] for name in learner} == learner
    assert {name: instructor[name] for name in learner} == learner
    assert {name: contributor[name] for name in instructor} == instructor
    assert {name: publisher[name] for name in learner} == learner
    both = set(publisher) & set(contributor)
    assert {it: publisher[it] for it in both} == {it: contributor[it] for it in both}


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_index(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^--|^-[a-z] ", text, flags=re.MULTILINE)


def test_every_dependency_says_why():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r'    "[a-z]', line) and ">=" in line]
    groups = sum(map(len, GROUPS.values()))
    assert len(lines) == len(PROJECT["project"]["dependencies"]) + groups
    for line in lines:
        assert len(line.partition("#")[2]) > 20, line


def test_readme_lists_every_lesson_as_it_is():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in rules.lessons():
        first = nbformat.read(path, as_version=4).cells[0].source
        title = first.splitlines()[0].removeprefix("# ")
        minutes = re.search(r"\*\*Minutes\*\* \| ([^|]+?) \|", first).group(1)
        badge = re.search(r"\[!\[Open in Colab\].*", first).group(0)
        row = rf"| [{title}](notebooks/{path.name}) | {minutes} | EXERCISES | {badge} |"
        pattern = re.escape(row).replace("EXERCISES", r"[^|]+")
        assert re.search(pattern, text), title


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        found = page.parent / target if target else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


def anchors(page):
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_readme_leads_to_every_page_of_docs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{path.name})" in text, path.name


def targets():
    """Return {target: its line of help, or None} of the Makefile, without its files."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z][a-z-]*):(?!=)[^#\n]*(?:## (.+))?$", text, flags=re.MULTILINE)
    return {name: said or None for name, said in found}


def test_every_pattern_of_the_site_finds_a_page():
    patterns = [pattern for each in site.CAPTIONS.values() for pattern in each]
    assert [pattern for pattern in patterns if not list(ROOT.glob(pattern))] == []


def test_every_command_of_make_has_a_line_of_help_and_is_no_file():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = " ".join(re.findall(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)).split()
    assert sorted(phony) == sorted(targets())
    assert [name for name, said in targets().items() if not said] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_make_command_of_a_page_exists(page):
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, flags=re.MULTILINE)
    assert set(named) <= set(targets())


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_test_and_trials_are_together_what_pytest_runs_and_a_change_must_pass_both():
    """No test is lost between the two commands: they part what `pytest` alone runs by one mark."""
    command = ["make", "--no-print-directory", "-n", "test", "test-trials"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    marks = re.findall(r'-m pytest -m "(.+)"', plan)
    alone = re.search(r"-m '(.+)'", PROJECT["tool"]["pytest"]["ini_options"]["addopts"])[1]
    assert marks == [f"{alone} and not trial", f"{alone} and trial"]
    must_pass = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"make test", "make test-trials"} <= set(must_pass)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_lab_opens_lesson_1_and_hands_arguments_on():
    command = ["make", "--no-print-directory", "-n", "lab", "LAB_ARGS=--no-browser --port 8890"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert plan.splitlines()[-1].endswith("--no-browser --port 8890")
    assert f"/lab/tree/notebooks/{rules.lessons()[0].name} " in plan
    assert f'JUPYTER_CONFIG_PATH="{ROOT / "course" / "jupyter"}' in plan
    assert (ROOT / "course" / "jupyter" / "jupyter_server_config.py").is_file()


def test_the_first_lessons_import_what_is_installed_first():
    """JupyterLab opens before TensorFlow is there, so lessons 1 and 2 must do without it."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    early = re.search(r"^EARLY := (.+)$", text, flags=re.MULTILINE)[1].split()
    project = ranges(PROJECT["project"]["dependencies"])
    assert set(early) < set(project)
    missing = set(project) - set().union(*map(with_what_it_needs, early))
    assert {"tensorflow", "keras"} <= missing
    code = AS_IF_NOT_INSTALLED.format(missing=missing) + (
        "from course import quiz; from course.views import descent\n"
        "from utils import data, losses, plotting; data.load_split('iris', 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def with_what_it_needs(package):
    """Return the names of a package and of all that pip installs with it."""
    found, new = set(), {package}
    while new:
        found |= new
        needs = [Requirement(it) for name in new for it in metadata.requires(name) or ()]
        wanted = {it.name for it in needs if not it.marker or it.marker.evaluate({"extra": ""})}
        new = wanted - found
    return found


AS_IF_NOT_INSTALLED = """
import sys
class Missing:
    def find_spec(name, path=None, target=None):
        if name in {missing}:
            raise ModuleNotFoundError("No module named " + name)
sys.meta_path.insert(0, Missing)
"""


def kept_files():
    """Return the files that git keeps or would keep, as far as they are there."""
    command = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git repository")
    said = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in said.split("\0") if name and (ROOT / name).is_file()]


def test_no_text_names_an_old_place():
    named = {}
    for path in kept_files():
        if path.suffix in TEXTS or path.name in ("Makefile", "run"):
            found = OLD_PLACES.findall(path.read_text(encoding="utf-8"))
            if found:
                named[path.relative_to(ROOT).as_posix()] = sorted(set(found))
    assert named == {}


@pytest.mark.parametrize(
    "text",
    [
        "from utils." "sweep import x", "utils/" "garments/", "`utils." "discriminative`",
        "from utils " "import checks, worlds", "from utils " "import (\n    quiz,\n    data,\n)",
        "tests/" "test_sweep.py", "import tests." "test_clothing",
    ],
)  # fmt: skip
def test_an_old_place_is_noticed(text):
    assert OLD_PLACES.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "utils.discriminative_lr", "keras.utils." "download", "utils/numpy_optimizers.py",
        "tests/test_project.py", "from utils import plotting\n\nquiz.ask()",
        "from utils import numpy_optimizers as optimizers", "tests/lrsweep/test_sweep.py",
    ],
)  # fmt: skip
def test_a_place_of_today_is_left_alone(text):
    assert not OLD_PLACES.search(text)


def test_readme_says_what_every_folder_is_for():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.partition("| folder | what is in it |")[2].partition("\n\n")[0]
    folders = {path.relative_to(ROOT).parts[0] for path in kept_files() if path.parent != ROOT}
    assert set(re.findall(r"`(\w+)/`", table)) == {it for it in folders if not it.startswith(".")}


def test_every_shipped_file_has_its_provenance():
    table = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for path in (ROOT / "data").iterdir():
        if path.name == "README.md":
            continue
        rows = [row for row in table.splitlines() if row.startswith(f"| `{path.name}`")]
        assert len(rows) == 1, path.name
        what, source, licence, checksum = (part.strip() for part in rows[0].split("|")[2:6])
        assert min(len(what), len(source), len(licence)) > 5
        if "changes" not in checksum:
            assert checksum.strip("`") == hashlib.sha256(path.read_bytes()).hexdigest(), path.name


def test_make_installs_nothing_again_for_a_new_date(tmp_path):
    for path in (ROOT / "Makefile", *ROOT.glob("requirements*.txt")):
        shutil.copy(path, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran $*"\n')
    python.chmod(0o755)

    def installed():
        line = ["make", "--no-print-directory", "report", "LESSON=1"]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.count("ran -m pip")

    assert installed() == 3  # for the first lessons, for all lessons, and for marking
    later = time.time() + 60
    for path in tmp_path.glob("requirements*.txt"):
        os.utime(path, (later, later))  # as after git pull
    assert installed() == 0
    path = tmp_path / "requirements-marking.txt"
    path.write_text(path.read_text() + "# new\n")
    os.utime(path, (later + 60, later + 60))
    assert installed() == 1


def titles():
    """Return the headings of all lessons."""
    firsts = [nbformat.read(path, as_version=4).cells[0].source for path in rules.lessons()]
    return [first.splitlines()[0].removeprefix("# ") for first in firsts]


@pytest.mark.parametrize("path", sorted(FORMS.glob("*.yml")), ids=lambda path: path.stem)
def test_issue_forms_are_as_github_wants_them(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.stem == "config":
        assert form == {"blank_issues_enabled": True}
        return
    assert set(form) == {"name", "description", "labels", "body"}
    ids = [part["id"] for part in form["body"]]
    assert len(set(ids)) == len(ids)
    for part in form["body"]:
        assert part["type"] in ("dropdown", "input", "textarea")
        assert part["attributes"]["label"].strip()
        assert bool(part["attributes"].get("options")) == (part["type"] == "dropdown")


@pytest.mark.parametrize("name", ["lesson", "marking"])
def test_issue_forms_list_the_lessons(name):
    form = yaml.safe_load((FORMS / f"{name}.yml").read_text(encoding="utf-8"))
    (which,) = (part for part in form["body"] if part["id"] == "notebook")
    assert which["attributes"]["options"][: len(titles())] == titles()


def test_a_form_asks_for_lesson_and_cell():
    form = yaml.safe_load((FORMS / "lesson.yml").read_text(encoding="utf-8"))
    wanted = {part["id"] for part in form["body"] if part.get("validations", {}).get("required")}
    assert {"notebook", "cell", "happened"} <= wanted


def test_each_rule_of_the_house_names_a_test_that_exists():
    rows = re.findall(r"^\| .+ \| \[(\S+)\]\(\S+\) \| `(\w+)` \|$", GUIDE, flags=re.MULTILINE)
    assert len(rows) > 15
    for path, name in rows:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_one_version_everywhere():
    version = PROJECT["project"]["version"]
    library = tomllib.loads((ROOT / "lrsweep" / "pyproject.toml").read_text(encoding="utf-8"))
    assert library["project"]["version"] == version
    code = (ROOT / "lrsweep" / "_version.py").read_text(encoding="utf-8")
    assert f'__version__ = "{version}"' in code
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(version)}\b", changes, flags=re.MULTILINE)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_a_second_make_lab_leaves_the_first_one_s_pip_alone(tmp_path):
    for path in (ROOT / "Makefile", ROOT / "requirements.txt"):
        shutil.copy(path, tmp_path)
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "python").write_text('#!/bin/sh\necho "$*" >> pip.log\nsleep 2\n')
    (folder / "jupyter").write_text("#!/bin/sh\n")
    for path in folder.iterdir():
        path.chmod(0o755)
    shutil.copy(ROOT / "requirements.txt", tmp_path / ".venv" / ".early")  # as when it was read
    for _ in range(2):
        subprocess.run(["make", "lab"], cwd=tmp_path, capture_output=True, check=True)
    time.sleep(3)
    assert (tmp_path / "pip.log").read_text().count("install") == 1
    assert (tmp_path / ".venv" / ".lab").is_file()
    (tmp_path / ".venv" / ".lab").unlink()  # as if that pip had failed
    subprocess.run(["make", "lab"], cwd=tmp_path, capture_output=True, check=True)
    time.sleep(1)
    assert (tmp_path / "pip.log").read_text().count("install") == 2
