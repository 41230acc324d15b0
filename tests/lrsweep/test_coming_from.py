"""The page for those who come from other tools: its examples run, where the tools are there."""

import contextlib
import re

import pytest
from conftest import ROOT

PAGE = (ROOT / "lrsweep" / "COMING_FROM.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
TOOLS = {"keras_tuner", "optuna", "mlflow"}


def needed(block):
    """Return the tools that a block, or one before it in its section, imports."""
    section = next(it for it in PAGE.split("\n## ") if block in it)
    before = section[: section.index(block)] + block
    named = re.findall(r"^import (\w+)", before, flags=re.MULTILINE)
    used = re.findall(r"\b(\w+)\.", block)
    return TOOLS & set(named) & set(used)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Sweep as the page does, once for all examples; return the names it made, and the folder."""
    folder, names = tmp_path_factory.mktemp("page"), {"__name__": "page"}
    with contextlib.chdir(folder):
        for block in (BLOCKS[0], next(block for block in BLOCKS if "keep=" in block)):
            exec(compile(block, "COMING_FROM.md", "exec"), names)
    return names, folder


@pytest.fixture
def namespace(swept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return dict(swept[0])


@pytest.mark.parametrize("block", [block for block in BLOCKS[1:] if "keep=" not in block])
def test_an_example_runs(block, namespace, tmp_path):
    for tool in needed(block):
        pytest.importorskip(tool)
    if "tf.summary.scalar" in block:
        pytest.importorskip("tensorboard")
    if "optuna" in block:
        exec("import optuna", namespace)
    exec(compile(block, "COMING_FROM.md", "exec"), namespace)
    if "write_for_tensorboard" in block:
        result = namespace["result"]
        runs = {path.parent.name for path in tmp_path.glob("logs/*/events*")}
        wanted = {f"rate_{r:.3g}_seed_{s}" for r in result.learning_rates for s in result.seeds}
        assert runs == wanted


def test_the_sweep_that_replaces_a_search_has_an_answer(swept):
    names, folder = swept
    assert names["result"].engine == "vectorized"
    assert (folder / "sweep" / "experiment.json").exists()
    frame = pytest.importorskip("pandas").DataFrame
    assert isinstance(names["result"].to_frame(), frame)


def test_what_is_named_exists():
    import inspect

    import lrsweep

    arguments = set(inspect.signature(lrsweep.sweep_learning_rates).parameters)
    table = PAGE[PAGE.index("| KerasTuner | here |") : PAGE.index("KerasTuner trains one model")]
    theirs_and_ours = [line.split("|")[2] for line in table.splitlines()[2:] if "|" in line]
    named = set(re.findall(r"`(\w+)[`=]", " ".join(theirs_and_ours))) - {"build_model"}
    assert named
    assert named <= arguments
