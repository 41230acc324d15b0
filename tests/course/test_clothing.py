"""Lesson 6's two sources of clothing, and the lesson run from end to end on the photographs."""

import contextlib
import csv
from dataclasses import replace

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf
import test_photographs
from conftest import ROOT
from IPython.core.interactiveshell import InteractiveShell
from server import serving

from course import clothing
from course.clothing import _xception, load_clothing, load_recorded_sweep, photographs
from course.clothing._download import DownloadError
from lrsweep._result import Choice

PARTS = ("train", "validation", "test")
LESSON = ROOT / "notebooks" / "06_transfer_learning_with_xception.ipynb"


@pytest.fixture(scope="module")
def drawn():
    return load_clothing("drawn")


def all_of(stream):
    pictures, labels = zip(*stream)
    return np.concatenate(pictures), np.concatenate(labels)


def test_the_drawn_garments_have_three_parts_of_ten_classes(drawn):
    for part, count in zip(PARTS, (400, 500, 500)):
        pictures, labels = all_of(getattr(drawn, part))
        assert pictures.shape == (count, 64, 64, 3)
        assert pictures.dtype == np.float32
        assert pictures.min() >= -1
        assert 0.9 < pictures.max() <= 1
        np.testing.assert_array_equal(labels, drawn.labels[part])
        assert np.bincount(labels).tolist() == [count // 10] * 10
    assert drawn.classes == photographs.CLASSES
    assert drawn.backbone.output_shape == (None, 4, 4, 256)


def test_no_picture_is_in_two_parts(drawn):
    seen = [row.tobytes() for part in PARTS for row in all_of(getattr(drawn, part))[0]]
    assert len(set(seen)) == len(seen)


def test_the_shuffled_stream_has_another_order_each_epoch_and_the_same_for_each_run(drawn):
    fixed, fixed_labels = all_of(drawn.train)
    stream = drawn.shuffled()
    (first, labels), (second, _) = all_of(stream), all_of(stream)
    assert not np.array_equal(first, second)
    assert not np.array_equal(labels, fixed_labels)
    key = {row.tobytes(): label for row, label in zip(fixed, fixed_labels)}
    assert [key[row.tobytes()] for row in first] == labels.tolist()
    np.testing.assert_array_equal(all_of(drawn.train)[0], fixed)
    again = drawn.shuffled()
    np.testing.assert_array_equal(all_of(again)[1], labels)
    np.testing.assert_array_equal(all_of(again)[0], second)


def test_another_seed_draws_other_garments(drawn, monkeypatch):
    monkeypatch.setattr(clothing, "PER_CLASS", dict.fromkeys(PARTS, 2))
    other = load_clothing("drawn", seed=1)
    seen = {row.tobytes() for part in PARTS for row in all_of(getattr(drawn, part))[0]}
    new = {row.tobytes() for part in PARTS for row in all_of(getattr(other, part))[0]}
    assert len(new) == 60
    assert not new & seen


def test_an_unknown_source_or_a_bad_seed():
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
        load_clothing("drawn", seed=-1)
    with pytest.raises(ValueError, match="source must be one of drawn, photographs, got 'wide'"):
        load_clothing("wide")
    with pytest.raises(ValueError, match=r"seed must be left out with source=.*, got 3"):
        load_clothing("photographs", seed=3)


def test_the_photographs_without_a_network_says_what_to_do(monkeypatch, tmp_path):
    with serving(b"") as sender:
        pass  # nobody answers there any more
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(_xception, "build_xception", lambda weights: None)
    monkeypatch.setattr(photographs, "ADDRESS", sender.address)
    monkeypatch.delenv("CLOTHING_ARCHIVE", raising=False)
    with pytest.raises(DownloadError, match=r'(?s)With SOURCE = "drawn" .* run this again when'):
        load_clothing("photographs")


def test_photographs_are_fetched_once_though_features_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(photographs, "CONTENT", test_photographs.CONTENT)
    monkeypatch.setattr(_xception, "build_xception", lambda weights: None)
    with serving(test_photographs.DATA) as sender:
        monkeypatch.setenv("CLOTHING_ARCHIVE", sender.address)
        kept = load_clothing("photographs").cache / "features_of_some_pictures.npy"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch()
        load_clothing("photographs").shuffled()
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


# The lesson on the photographs: the real archive where there is one, a small stand-in elsewhere


def calibrated_xception(path):
    """Write weights of a random Xception whose features are not all zero."""
    keras.utils.set_random_seed(0)
    model = keras.applications.Xception(weights=None, include_top=False, input_shape=(150, 150, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.random.default_rng(0).uniform(-1, 1, (8, 150, 150, 3)), training=True)
    model.save_weights(path)


def a_few_of(loaded):
    """Return a source with every fiftieth picture, so that a processor trains it in a minute."""
    step = 50 if len(loaded.labels["train"]) > 1000 else 1
    labels = {part: numbers[::step] for part, numbers in loaded.labels.items()}

    def few(stream, part):
        batches = tf.data.experimental.assert_cardinality(-(-len(labels[part]) // 32))
        return stream.unbatch().shard(step, 0).batch(32).apply(batches)

    parts = {part: few(getattr(loaded, part), part) for part in PARTS}
    return replace(loaded, **parts, shuffled=lambda: few(loaded.shuffled(), "train"), labels=labels)


@pytest.mark.long
def test_the_lesson_runs_on_the_photographs(monkeypatch, tmp_path, capsys):
    real = test_photographs.REAL.exists()
    data = test_photographs.REAL.read_bytes() if real else test_photographs.DATA
    if not real:
        monkeypatch.setattr(photographs, "CONTENT", test_photographs.CONTENT)
    calibrated_xception(tmp_path / "some.weights.h5")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("XCEPTION_WEIGHTS", str(tmp_path / "some.weights.h5"))
    lesson = nbformat.read(LESSON, as_version=4)
    cells = [cell.source for cell in lesson.cells if cell.cell_type == "code"]
    assert sum('SOURCE = "drawn"' in cell for cell in cells) == 1
    shell = InteractiveShell.instance()
    names = shell.user_ns
    with serving(data) as sender, contextlib.chdir(ROOT / "notebooks"):
        monkeypatch.setenv("CLOTHING_ARCHIVE", sender.address)
        monkeypatch.setattr(
            clothing, "load_clothing", lambda source: a_few_of(load_clothing(source))
        )
        for cell in cells:
            code = cell.replace('SOURCE = "drawn"', 'SOURCE = "photographs"')
            shell.run_cell(code).raise_error()
            if "choose_learning_rate" in names:  # random weights may be no better than chance
                names["choose_learning_rate"] = choose_or_take_the_middle
    InteractiveShell.clear_instance()
    assert names["features"]["train"].shape[1] == 2048
    assert names["trained"] == 20_490
    assert sender.asked == [None]
    printed = capsys.readouterr().out
    assert "stability limit 2/L: predicted" in printed
    assert list(names["clothing"].cache.glob("features_*.npy"))


def choose_or_take_the_middle(result):
    from lrsweep import choose_learning_rate

    try:
        return choose_learning_rate(result)
    except ValueError as refusal:
        middle = float(result.learning_rates[len(result.learning_rates) // 2])
        return Choice(middle, middle, np.nan, np.nan, (middle, middle), str(refusal))
