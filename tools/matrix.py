"""Execute every notebook in every environment and write the table into docs/environments.md.

python -m tools.matrix [--only WORD] [notebooks/01_....ipynb ...]      (everything by default)

Environments are built with uv in `.matrix/`, where the logs of failures are kept too. A run of
some environments or notebooks changes only their cells.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import yaml

from tools import marked, published, rules

ROOT = rules.ROOT
WORK = ROOT / ".matrix"
PAGE, PART = "docs/environments.md", "matrix"  # where the table stands
UV = (sys.executable, "-m", "uv")
SHOWN = ("tensorflow", "keras", "numpy", "pandas", "matplotlib", "ipywidgets", "ipython")
CONTROLS = {"7": "1.5.0", "8": "2.0.0"}  # the widgets' protocol that each ipywidgets speaks
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"

# Says all that a set-up cell could change: packages, files, and the running Python.
PROBE = """
import importlib.metadata as _metadata, os as _os, pathlib as _pathlib, sys as _sys
print(sorted((it.name, it.version) for it in _metadata.distributions()))
print(sorted((str(it), it.stat().st_mtime_ns) for it in _pathlib.Path(".").rglob("*")))
print(_sys.path, list(map(str, _sys.meta_path)), sorted(_os.environ.items()))
"""


class Broken(Exception):
    """Says in a few words why a cell of the table is not green."""


@dataclass(frozen=True)
class Environment:
    """One column: a Python, and the requirements that uv resolves or takes as they are."""

    python: str
    source: str
    resolve: tuple = None  # uv's further options, or None where the source holds pins

    @property
    def colab(self):
        return self.source == "tools/colab.txt"


ENVIRONMENTS = {
    "tested pins, 3.11": Environment("3.11", "requirements.txt"),
    "tested pins, 3.12": Environment("3.12", "requirements.txt"),
    "tested pins, 3.13": Environment("3.13", "requirements.txt"),
    "lowest, 3.11": Environment("3.11", "pyproject.toml", ("--resolution", "lowest-direct")),
    "newest, 3.13": Environment("3.13", "environment.yml", ()),
    "Colab, 3.13": Environment("3.13", "tools/colab.txt"),
}


def notebooks():
    """Return all lessons and all exercises as students get them."""
    return [
        *rules.lessons(),
        *rules.appendices(),
        *sorted(ROOT.glob("exercises/release/*/*.ipynb")),
    ]


def label(path):
    """Return what the table calls a notebook: a link, from the page's folder."""
    kind = {"notebooks": "lesson", "appendix": "appendix"}.get(path.parent.name, "exercises")
    which = re.match(r"exercises_(\d+)|(\d+)|(\w+)", path.stem)
    name = which[3].replace("_", " ") if which[3] else int(which[1] or which[2])
    return f"[{kind} {name}](../{path.relative_to(ROOT).as_posix()})"


def slug(name):
    """Return a name as a folder may have it."""
    return re.sub(r"\W+", "-", name).lower()


def call(command, problem, **options):
    """Run a program and return what it printed; if it fails, say so."""
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", **options)
    if result.returncode:
        colourless = re.sub(r"\x1b\[[\d;]*m", "", f"{result.stdout}\n{result.stderr}")
        raise Broken(f"{problem}\n{colourless}")
    return result.stdout


@cache
def find_python(version):
    """Return the path of a Python, pyenv's among them, which need not be switched on."""
    homes = Path.home().glob(f".pyenv/versions/{version}.*/bin")
    path = os.pathsep.join([*map(str, homes), os.environ["PATH"]])
    command = [*UV, "python", "find", "--no-python-downloads", version]
    return call(command, f"no Python {version} here", env={**os.environ, "PATH": path}).strip()


def build(name):
    """Make an environment, or bring it up to date, and return the path of its Python."""
    environment = ENVIRONMENTS[name]
    folder = WORK / slug(name)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    base = find_python(environment.python)
    if not python.exists():
        call([*UV, "venv", "--clear", "--python", base, folder], "no environment made")
    pins = ROOT / environment.source
    if environment.resolve is not None:
        pins = resolve(environment, base, folder.with_suffix(".txt"))
    call([*UV, "pip", "sync", "--python", python, pins], "not installed", cwd=ROOT)
    return python


@cache
def resolve(environment, base, pins):
    """Write which versions the ranges lead to; of environment.yml, what it gives to pip."""
    source = ROOT / environment.source
    if source.suffix == ".yml":
        conda = yaml.safe_load(source.read_text(encoding="utf-8"))["dependencies"]
        source = pins.with_suffix(".in")
        source.write_text("\n".join(conda[-1]["pip"]) + "\n", encoding="utf-8")
    options = ["--python", base, "--no-header", *environment.resolve, "-o", pins]
    call([*UV, "pip", "compile", "--upgrade", source, *options], "nothing resolves", cwd=ROOT)
    return pins


@cache
def versions(python):
    """Return {package: version} of an environment."""
    lines = call([*UV, "pip", "freeze", "--python", python], "no versions").split()
    return dict(line.split("==") for line in lines if "==" in line)


def execute(path, environment, python, folder):
    """Run a copy of a notebook, in a fresh copy of the repository or alone as on Colab."""
    home, content = folder / "home", folder / "content"
    home.mkdir()
    address = published.publish(folder)
    settings = surroundings(home, python, address)
    if environment.colab:
        content.mkdir()
        copy = content / path.name
        nbformat.write(twice_set_up(nbformat.read(path, as_version=4)), copy)
        (folder / "fake" / "google" / "colab").mkdir(parents=True)
        (folder / "fake" / "google" / "colab" / "__init__.py").touch()
        settings["PYTHONPATH"] = str(folder / "fake")
    else:
        call(["git", "clone", "-q", address, content], "not cloned")
        copy = content / path.relative_to(ROOT)
    command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", copy]
    options = {"env": settings, "cwd": copy.parent, "timeout": 3600}
    call([*command, "--ExecutePreprocessor.timeout=1200"], "nbconvert failed", **options)
    return nbformat.read(copy, as_version=4)


def surroundings(home, python, address):
    """Return the environment variables of somebody else's computer."""
    foreign = re.compile("PYTHON|JUPYTER|IPYTHON|KERAS|TF_|COURSE|MPL|VIRTUAL_ENV|XDG")
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    config = home / "gitconfig"
    config.write_text(f'[url "{address}"]\n\tinsteadOf = {rules.address()}\n', encoding="utf-8")
    return {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PATH": os.pathsep.join([str(python.parent), os.environ["PATH"]]),
        "GIT_CONFIG_GLOBAL": str(config),
    }


def twice_set_up(notebook):
    """Return a notebook that runs its set-up cell twice and looks around after each."""
    cells = notebook.cells
    at = cells.index(rules.code_cells(notebook)[0])
    new = [nbformat.v4.new_code_cell(text) for text in (PROBE, cells[at].source, PROBE)]
    cells[at + 1 : at + 1] = new
    return notebook


def complaints(notebook, environment, protocol):
    """Yield what is wrong with an executed notebook.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    environment : Environment
    protocol : str
        The version of the widgets' models that the environment's ipywidgets should speak.
    """
    for cell in rules.code_cells(notebook):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                said = re.search(r"\w+Warning:.*", output.text)
                yield f"stderr: {said[0] if said else output.text.strip()}"
            if output.output_type == "error":
                yield f"{output.ename}: {output.evalue}"
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    outputs = [output for cell in rules.code_cells(notebook) for output in cell.outputs]
    views = [o.data[WIDGET_VIEW]["model_id"] for o in outputs if WIDGET_VIEW in o.get("data", {})]
    if any("views.explore_" in cell.source for cell in rules.code_cells(notebook)) and not views:
        yield "no widget"
    if not set(views) <= set(state):
        yield "a widget without its state"
    models = [model for model in state.values() if "controls" in model["model_module"]]
    if views and {model["model_module_version"] for model in models} != {protocol}:
        yield f"widgets do not speak {protocol}"
    if environment.colab:
        yield from second_set_up(notebook)


def second_set_up(notebook):
    """Yield what is wrong with the two runs of the set-up cell."""
    first, before, second, after = map(rules.printed, rules.code_cells(notebook)[:4])
    if not first.startswith("Ready") or " Installed jupyterquiz." not in first:
        yield f"the set-up cell says {first.strip()!r}"
    if second != first.replace(" Installed jupyterquiz.", "") or before != after:
        yield "the second set-up changes something"


def try_one(path, name):
    """Return a cell of the table, and keep the log if it is not green."""
    log = WORK / "logs" / f"{slug(name)}_{path.stem}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            python = build(name)  # which also takes away what a set-up cell has installed
            protocol = CONTROLS[versions(python)["ipywidgets"].partition(".")[0]]
            start = time.perf_counter()
            done = execute(path, ENVIRONMENTS[name], python, Path(folder))
            seconds = time.perf_counter() - start
        found = list(complaints(done, ENVIRONMENTS[name], protocol))
        if found:
            raise Broken("\n".join([found[0], *found]))
    except (Broken, subprocess.TimeoutExpired) as problem:
        log.write_text(str(problem), encoding="utf-8")
        return f"broken: {in_short(str(problem))}"
    return f"{seconds:.0f} s"


def in_short(problem):
    """Return the few words of a problem that fit into a table."""
    lines = [line for line in problem.splitlines() if line.strip()]
    said = lines[-1] if lines[0] == "nbconvert failed" else lines[0]
    return said.replace("|", "/")[:70]


def table(cells):
    """Return the table as Markdown."""
    lines = ["| | " + " | ".join(ENVIRONMENTS) + " |", "|---|" + "---|" * len(ENVIRONMENTS)]
    for row in [*map(label, notebooks()), *SHOWN]:
        columns = [cells.get((row, name), "not tried") for name in ENVIRONMENTS]
        lines.append(f"| {row} | " + " | ".join(columns) + " |")
    return "\n".join(lines)


def read_table():
    """Return {(row, column): cell} of the table as the page has it."""
    inside = marked.get((ROOT / PAGE).read_text(encoding="utf-8"), PART)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in inside.splitlines()]
    return {(row[0], name): cell for row in rows[2:] for name, cell in zip(rows[0][1:], row[1:])}


def write_table(cells):
    """Put the table between the page's two marks."""
    page = ROOT / PAGE
    text = marked.put(page.read_text(encoding="utf-8"), PART, table(cells))
    page.write_text(text, encoding="utf-8")


def main(arguments):
    """Run what is asked for, one notebook at a time, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="environments whose name has this in it")
    parser.add_argument("notebooks", nargs="*", type=lambda path: Path(path).resolve())
    wanted = parser.parse_args(arguments)
    cells, broken = read_table(), 0
    for name in [name for name in ENVIRONMENTS if wanted.only.lower() in name.lower()]:
        for path in wanted.notebooks or notebooks():
            cell = cells[label(path), name] = try_one(path, name)
            broken += cell.startswith("broken")
            print(f"{name}: {label(path)} {cell}", flush=True)
            write_table(cells)
        cells |= {(package, name): found for package, found in shown_versions(name).items()}
    write_table(cells)
    print(table(cells))
    return broken > 0


def shown_versions(name):
    """Return the versions that the table's last rows show."""
    try:
        found = versions(build(name))
    except Broken:
        return {}
    return {package: found[package] for package in SHOWN}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
