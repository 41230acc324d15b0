"""The examples of the docstrings and of the package's README run, and print what they say."""

import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

import lrsweep
from benchmarks import models

FOLDER = ROOT / "lrsweep"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def examples():
    """Return each Python block of the README with the text that it prints, if that follows."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    following = [*blocks[1:], ("", "")]
    return [
        (code, output if kind == "text" else "")
        for (language, code), (kind, output) in zip(blocks, following)
        if language == "python"
    ]


SWEEP, RANGE_TEST, CHECK_UP, POOL, CLUSTER = examples()


def assert_prints(printed, wanted):
    """Compare words exactly, and numbers but for what another machine rounds differently."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", wanted)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (printed, wanted)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.05)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Work in an empty folder, with figures that open no window."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.chdir(tmp_path)
    yield
    pyplot.close("all")


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("_*.py")))
def test_examples_of_the_docstrings(name, tmp_path):
    module = importlib.import_module(f"lrsweep.{name}".removesuffix(".__init__"))
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def public_objects():
    """Yield everything that a user may call, with its name."""
    for name in lrsweep.__all__:
        thing = getattr(lrsweep, name)
        yield name, thing
        if inspect.isclass(thing):
            for part, value in vars(thing).items():
                if not part.startswith("_") and (callable(value) or isinstance(value, property)):
                    yield f"{name}.{part}", value


@pytest.mark.parametrize("name", [name for name, _ in public_objects()])
def test_everything_public_has_an_example(name):
    thing = dict(public_objects())[name]
    assert len(inspect.getdoc(thing).split("Examples\n--------")) == 2
    assert ">>> " in inspect.getdoc(thing)


def test_the_readme_s_first_examples(capsys, tmp_path):
    namespace = {"__name__": "__main__"}
    for code, wanted in (SWEEP, RANGE_TEST):
        capsys.readouterr()
        exec(compile(code, "README.md", "exec"), namespace)
        assert_prints(capsys.readouterr().out, wanted)
    exec(compile(CHECK_UP[0], "README.md", "exec"), namespace)
    assert "Nothing alarming was found." in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.png", "range.png"}
    assert b"Validation loss after epoch 20" in (tmp_path / "sweep.png").read_bytes()


@pytest.mark.long
def test_the_readme_s_pool(tmp_path):
    code, wanted = POOL
    (tmp_path / "pool.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "pool.py"], env=environment, capture_output=True, text=True, check=True
    )
    assert_prints(run.stdout, wanted)


@pytest.mark.long
def test_the_readme_s_cluster(monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    namespace = {"__name__": "readme"}  # not run as a script, so without the pool
    exec(compile(POOL[0], "README.md", "exec"), namespace)
    with distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
        code = CLUSTER[0].replace("tcp://scheduler:8786", cluster.scheduler_address)
        assert code != CLUSTER[0]
        exec(compile(code, "README.md", "exec"), namespace)
        namespace["client"].close()
    assert namespace["result"].engine == "sequential"
    assert not namespace["result"].diverged.any()


def test_the_readme_counts_all_rows_of_its_table_of_models():
    """It once counted the first 45 of 80, and didn't say why."""
    table = README.partition("<!-- models -->")[2].partition("<!-- end of models -->")[0]
    rows = [line.split(" | ") for line in table.strip().splitlines() if line.startswith("| ")][2:]
    assert models.summary([[row[0], row[1]] for row in rows]) in table
