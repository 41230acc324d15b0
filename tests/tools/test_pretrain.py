"""The source world and the log of the pretraining: what can be checked without training."""

import csv

import numpy as np
import pytest

from course.clothing.garments._scene import TEXTURES
from tools import pretrain
from tools.invented import FAMILIES, PLAIN, Family, draw_things


def test_things_are_the_same_for_the_same_seed():
    images, kinds, textures = draw_things([3, FAMILIES + 2], 4, seed=1)
    again = draw_things([3, FAMILIES + 2], 4, seed=1)[0]
    np.testing.assert_array_equal(images, again)
    assert images.shape == (8, 64, 64, 3)
    assert images.dtype == np.uint8
    assert kinds.tolist() == [3] * 4 + [FAMILIES + 2] * 4
    assert set(textures) <= set(range(len(TEXTURES)))
    assert not np.array_equal(images, draw_things([3, FAMILIES + 2], 4, seed=2)[0])


def test_every_kind_can_be_drawn():
    images, _, _ = draw_things(range(FAMILIES + len(PLAIN)), 1, seed=0)
    assert len(images) == FAMILIES + len(PLAIN)
    assert images.std(axis=(1, 2, 3)).min() > 3


def test_families_differ_and_stay():
    widths = {tuple(Family(number).widths) for number in range(FAMILIES)}
    assert len(widths) == FAMILIES
    np.testing.assert_array_equal(Family(5).widths, Family(5).widths)


def test_sources_ask_with_numbers_from_zero():
    for source, kinds in pretrain.SOURCES.items():
        images, things, _ = pretrain.draw_source(source, 2 * len(kinds), seed=0)
        assert len(images) == 2 * len(kinds)
        assert np.unique(things).tolist() == list(range(len(kinds)))


def test_augmented_pictures_keep_their_shape_and_range():
    images, *_ = draw_things([0, 1], 8, seed=0)
    augmented, labels = pretrain.augment(images, "labels")
    assert augmented.shape == images.shape
    assert labels == "labels"
    assert -1 <= augmented.numpy().min() < augmented.numpy().max() <= 1


def rows(seed, loss):
    row = dict.fromkeys(pretrain.COLUMNS, "")
    return [row | {"source": "rich", "seed": seed, "updates": "8", "loss": loss}]


def test_the_log_replaces_a_training_that_is_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "LOG", tmp_path / "log.csv")
    for seed, loss in (("0", "3"), ("1", "2"), ("0", "1")):
        pretrain.write_log(rows(seed, loss))
    with pretrain.LOG.open(encoding="utf-8", newline="") as file:
        found = [(row["seed"], row["loss"]) for row in csv.DictReader(file)]
    assert found == [("1", "2"), ("0", "1")]


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_log_ends_with_things_told_apart(seed):
    with pretrain.LOG.open(encoding="utf-8", newline="") as file:
        last = [row for row in csv.DictReader(file) if row["seed"] == seed][-1]
    assert float(last["val_thing_accuracy"]) > 0.5


def test_the_folder_to_keep_weights_in_is_made_before_the_training(tmp_path, monkeypatch):
    def train(source, seed, updates):
        assert (tmp_path / "new" / "folder").is_dir()
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain, "train", train)
    monkeypatch.setattr("sys.argv", ["pretrain", "--keep", str(tmp_path / "new" / "folder")])
    with pytest.raises(KeyboardInterrupt):
        pretrain.main()
