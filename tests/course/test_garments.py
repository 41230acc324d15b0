"""The drawn garments: the same for the same seed, balanced, and the renderer's own rules."""

import hashlib
import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from course.clothing import garments
from course.clothing.garments import GARMENTS, LEVELS, draw_garment, load_garments
from course.clothing.garments import _scene as scene


def test_classes_are_those_of_the_photographs():
    assert GARMENTS == (
        "dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt",
        "t-shirt",
    )  # fmt: skip


@pytest.mark.parametrize("level", LEVELS)
def test_shapes_types_and_balance(level):
    images, labels = load_garments(3, level, seed=1)
    assert images.shape == (30, 64, 64, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(np.bincount(labels), [3] * 10)
    assert np.any(np.diff(labels) < 0), "the classes come in order"
    assert images.std(axis=(1, 2, 3)).min() > 3, "a picture is empty"


def test_same_seed_same_pictures_also_in_another_process():
    images, labels = load_garments(2, seed=5)
    again, labels_again = load_garments(2, seed=5)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(labels, labels_again)
    code = (
        "import hashlib; from course.clothing.garments import load_garments; "
        "print(hashlib.sha256(load_garments(2, seed=5)[0].tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert other.strip() == hashlib.sha256(images.tobytes()).hexdigest()


def test_other_seeds_give_other_pictures():
    pictures = {image.tobytes() for seed in range(3) for image in load_garments(2, seed=seed)[0]}
    assert len(pictures) == 60


def test_the_first_of_a_class_stay_when_more_follow():
    few, labels_of_few = load_garments(2, seed=3)
    many, labels_of_many = load_garments(4, seed=3)
    for label in range(10):
        first = {image.tobytes() for image in few[labels_of_few == label]}
        assert first < {image.tobytes() for image in many[labels_of_many == label]}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(GARMENTS),
    st.sampled_from(sorted(LEVELS)),
    st.integers(0, 2**32),
    st.sampled_from([16, 33, 64, 100]),
)
def test_every_garment_can_be_drawn(garment, level, seed, size):
    image = draw_garment(garment, LEVELS[level], seed, size)
    assert image.shape == (size, size, 3)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(GARMENTS), st.integers(0, 2**32))
def test_a_garment_fills_a_good_part_of_the_picture_and_stays_in_it(garment, seed):
    random = np.random.default_rng(seed)
    sketch = scene.Sketch(scene.Pose(random, LEVELS["standard"].disorder), 64)
    garments._DRAW[garment](sketch, random)
    inside = np.asarray(sketch.image)[..., 0] > 0
    assert 0.05 < inside.mean() < 0.75
    border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    assert border.mean() < 0.25


def test_harder_levels_are_noisier_and_show_less_contrast():
    ordered = [LEVELS[name] for name in ("easy", "mid", "standard", "hard")]
    for easier, harder in itertools.pairwise(ordered):
        assert easier.contrast > harder.contrast
        for name in ("disorder", "clutter", "occlusion", "noise"):
            assert getattr(easier, name) < getattr(harder, name)


def test_a_pose_can_be_undone():
    pose = scene.Pose(np.random.default_rng(0), disorder=1)
    pose.wave = 0
    points = np.random.default_rng(1).uniform(-1, 1, (20, 2))
    np.testing.assert_allclose(pose.undo(pose.place(points)), points, atol=1e-12)


def test_outlines():
    square = scene.mirrored((1.0, -1.0), (1.0, 1.0))
    np.testing.assert_array_equal(square, [(1, -1), (1, 1), (-1, 1), (-1, -1)])
    assert scene.rounded(square, 2).shape == (16, 2)
    assert np.abs(scene.rounded(square, 1)).max() <= 1
    upright = scene.band([(0, 0), (0, 1)], 0.4, 0.2)
    np.testing.assert_allclose(sorted(np.abs(upright[:, 0])), [0.1, 0.1, 0.2, 0.2])


@pytest.mark.parametrize("name", scene.TEXTURES)
def test_textures_mix_between_none_and_all_of_the_second_colour(name):
    where = np.linspace(-1, 1, 32)
    grid = np.stack(np.meshgrid(where, where), axis=-1)
    mix = np.asarray(scene.TEXTURES[name](grid, np.random.default_rng(0)), dtype=float)
    assert mix.shape == (32, 32)
    assert mix.min() >= 0
    assert mix.max() <= 1
    assert (mix.max() == 0) == (name == "plain")


def test_a_hundred_take_a_fraction_of_a_second():
    start = time.process_time()
    load_garments(10)
    assert time.process_time() - start < 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_garments(0), "examples_per_class must be a whole number of at least 1"),
        (lambda: load_garments(2.5), "examples_per_class must be a whole number"),
        (lambda: load_garments(1, "medium"), "level must be one of easy, hard, mid, standard"),
        (lambda: load_garments(1, seed=-1), "seed must be a whole number of at least 0, got -1"),
        (lambda: load_garments(1, image_size=8), "image_size must be a whole number of at least"),
        (lambda: draw_garment("sock", LEVELS["easy"], 0), "garment must be one of dress, hat"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
