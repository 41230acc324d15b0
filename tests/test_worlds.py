"""Lesson 6's two worlds: what they hold, and the lesson run from end to end in the full one."""

import contextlib
import csv
from dataclasses import replace

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf
import test_clothing
from conftest import ROOT
from IPython.core.interactiveshell import InteractiveShell
from server import serving

from utils import clothing, worlds
from utils.download import DownloadError
from utils.sweep.result import Choice
from utils.worlds import load_recorded_sweep, load_world

PARTS = ("train", "validation", "test")
LESSON = ROOT / "notebooks" / "06_transfer_learning_with_xception.ipynb"


@pytest.fixture(scope="module")
def pocket():
    return load_world("pocket")


def all_of(stream):
    pictures, labels = zip(*stream)
    return np.concatenate(pictures), np.concatenate(labels)


def test_the_pocket_world_has_three_parts_of_ten_classes(pocket):
    for part, count in zip(PARTS, (400, 500, 500)):
        pictures, labels = all_of(getattr(pocket, part))
        assert pictures.shape == (count, 64, 64, 3)
        assert pictures.dtype == np.float32
        assert pictures.min() >= -1
        assert 0.9 < pictures.max() <= 1
        np.testing.assert_array_equal(labels, pocket.labels[part])
        assert np.bincount(labels).tolist() == [count // 10] * 10
    assert pocket.classes == clothing.CLASSES
    assert pocket.backbone.output_shape == (None, 4, 4, 256)


def test_no_picture_is_in_two_parts(pocket):
    seen = [row.tobytes() for part in PARTS for row in all_of(getattr(pocket, part))[0]]
    assert len(set(seen)) == len(seen)


def test_the_shuffled_stream_has_another_order_each_epoch_and_the_same_for_each_run(pocket):
    fixed, fixed_labels = all_of(pocket.train)
    stream = pocket.shuffled()
    (first, labels), (second, _) = all_of(stream), all_of(stream)
    assert not np.array_equal(first, second)
    assert not np.array_equal(labels, fixed_labels)
    key = {row.tobytes(): label for row, label in zip(fixed, fixed_labels)}
    assert [key[row.tobytes()] for row in first] == labels.tolist()
    np.testing.assert_array_equal(all_of(pocket.train)[0], fixed)
    again = pocket.shuffled()
    np.testing.assert_array_equal(all_of(again)[1], labels)
    np.testing.assert_array_equal(all_of(again)[0], second)


def test_another_seed_draws_other_garments(pocket, monkeypatch):
    monkeypatch.setattr(worlds, "PER_CLASS", dict.fromkeys(PARTS, 2))
    other = load_world("pocket", seed=1)
    seen = {row.tobytes() for part in PARTS for row in all_of(getattr(pocket, part))[0]}
    new = {row.tobytes() for part in PARTS for row in all_of(getattr(other, part))[0]}
    assert len(new) == 60
    assert not new & seen


def test_an_unknown_world():
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        load_world("pocket", seed=-1)
    with pytest.raises(ValueError, match="WORLD must be one of full, pocket, got 'wide'"):
        load_world("wide")


def test_the_full_world_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    with serving(b"") as sender:
        pass  # nobody answers there any more
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(worlds, "build_xception", lambda weights: None)
    monkeypatch.setattr(clothing, "ADDRESS", sender.address)
    monkeypatch.delenv("CLOTHING_ARCHIVE", raising=False)
    with pytest.raises(DownloadError, match=r'(?s)With WORLD = "pocket" .* run this again when'):
        load_world("full")


def test_photographs_are_fetched_once_though_features_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(clothing, "CONTENT", test_clothing.CONTENT)
    monkeypatch.setattr(worlds, "build_xception", lambda weights: None)
    with serving(test_clothing.DATA) as sender:
        monkeypatch.setenv("CLOTHING_ARCHIVE", sender.address)
        kept = load_world("full").cache / "features_of_some_pictures.npy"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
        load_world("full").shuffled()
        assert sender.asked == [None]
    assert kept.exists()


def test_the_recorded_sweep_is_the_file_in_data():
    result = load_recorded_sweep()
    with open(ROOT / "data" / "zoomcamp_xception_sweep.csv", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["cell"] == "32"]
    assert result.metrics["val_loss"].shape == (4, 1, 10)
    for row in rows:
        i = result.learning_rates.tolist().index(float(row["learning_rate"]))
        for name, values in result.metrics.items():
            assert values[i, 0, int(row["epoch"]) - 1] == float(row[name])
    right = result.metrics["val_accuracy"][:, 0, -1] * 341
    assert np.round(right).tolist() == [269, 281, 269, 269]


# The lesson in the full world: the real archive where there is one, a small stand-in elsewhere


def calibrated_xception(path):
    """Write weights of a random Xception whose features are not all zero."""
    keras.utils.set_random_seed(0)
    model = keras.applications.Xception(weights=None, include_top=False, input_shape=(150, 150, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).uniform(-1, 1, (8, 150, 150, 3)), training=True)
    model.save_weights(path)


def a_few_of(world):
    """Return a world with every fiftieth picture, so that a processor trains it in a minute."""
    step = 50 if len(world.labels["train"]) > 1000 else 1
    labels = {part: numbers[::step] for part, numbers in world.labels.items()}

    def few(stream, part):
        batches = tf.data.experimental.assert_cardinality(-(-len(labels[part]) // 32))
        return stream.unbatch().shard(step, 0).batch(32).apply(batches)

    parts = {part: few(getattr(world, part), part) for part in PARTS}
    return replace(world, **parts, shuffled=lambda: few(world.shuffled(), "train"), labels=labels)


@pytest.mark.long
def test_the_lesson_runs_in_the_full_world(monkeypatch, tmp_path, capsys):
    real = test_clothing.REAL.exists()
    data = test_clothing.REAL.read_bytes() if real else test_clothing.DATA
    if not real:
        monkeypatch.setattr(clothing, "CONTENT", test_clothing.CONTENT)
    calibrated_xception(tmp_path / "some.weights.h5")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("XCEPTION_WEIGHTS", str(tmp_path / "some.weights.h5"))
    lesson = nbformat.read(LESSON, as_version=4)
    cells = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    assert sum('WORLD = "pocket"' in cell for cell in cells) == 1
    shell = InteractiveShell.instance()
    names = shell.user_ns
    with serving(data) as sender, contextlib.chdir(ROOT / "notebooks"):
        monkeypatch.setenv("CLOTHING_ARCHIVE", sender.address)
        monkeypatch.setattr(worlds, "load_world", lambda name: a_few_of(load_world(name)))
        for cell in cells:
            code = cell.replace('WORLD = "pocket"', 'WORLD = "full"')
            shell.run_cell(code).raise_error()
            if "choose_learning_rate" in names:  # random weights may be no better than chance
                names["choose_learning_rate"] = choose_or_take_the_middle
    InteractiveShell.clear_instance()
    assert names["features"]["train"].shape[1] == 2048
    assert names["trained"] == 20_490
    assert sender.asked == [None]
    printed = capsys.readouterr().out
    assert "stability limit 2/L: predicted" in printed
    assert list(names["world"].cache.glob("features_*.npy"))


def choose_or_take_the_middle(result):
    from utils.sweep import choose_learning_rate

    try:
        return choose_learning_rate(result)
    except ValueError as refusal:
        middle = float(result.learning_rates[len(result.learning_rates) // 2])
        return Choice(middle, middle, np.nan, np.nan, (middle, middle), str(refusal))
