"""The data sets: sizes, splits, classes kept, nothing leaking into the scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import data

SHAPES = {"diabetes": (442, 10), "digits": (1797, 64), "iris": (150, 4), "wine": (178, 13)}


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_shapes_and_standardising(name, shape):
    x, y = data.load_dataset(name, standardised=True)
    assert x.shape == shape
    assert y.shape == shape[:1]
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-10)
    spread = x.std(axis=0)
    assert np.all(np.isclose(spread, 1) | (spread == 0))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 1000))
def test_split_is_a_partition_that_keeps_classes(name, seed):
    split = data.load_split(name, seed=seed)
    x, y = data.load_dataset(name)
    parts = np.concatenate([split.x_train, split.x_validation, split.x_test])
    order, rows = np.lexsort(parts.T), np.lexsort(x.T)
    np.testing.assert_array_equal(parts[order], x[rows])
    if name != "diabetes":
        for part in (split.y_train, split.y_validation, split.y_test):
            shares = np.bincount(part) / len(part) - np.bincount(y) / len(y)
            assert np.abs(shares).max() < 0.05
    again = data.load_split(name, seed=seed)
    np.testing.assert_array_equal(split.x_test, again.x_test)


def test_other_seeds_give_other_splits():
    first, second = (data.load_split("iris", seed=seed).x_test for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_scaling_is_learnt_from_the_training_part_alone():
    split = data.load_split("wine", standardised=True)
    np.testing.assert_allclose(split.x_train.mean(axis=0), 0, atol=1e-10)
    assert np.abs(split.x_test.mean(axis=0)).max() > 1e-3
    raw = data.load_split("wine")
    expected = (raw.x_test - raw.x_train.mean(axis=0)) / raw.x_train.std(axis=0)
    np.testing.assert_allclose(split.x_test, expected)


def test_a_column_that_is_constant_in_the_reference_is_only_shifted():
    """The mean of a hundred 0.1s is rounded: their spread is 1e-17, and 0.2 became 4e15."""
    np.testing.assert_allclose(data.standardise([[0.2]], np.full((100, 1), 0.1)), [[0.1]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.load_dataset("mnist"), "name must be one of diabetes, digits, iris, wine"),
        (lambda: data.load_dataset(["iris"]), "name must be one of"),
        (lambda: data.load_split("iris", validation=0), "validation must be a number between 0"),
        (lambda: data.load_split("iris", test=1.0), "test must be a number between 0 and 1"),
        (lambda: data.load_split("iris", validation=0.5, test=0.5), "must leave examples"),
        (lambda: data.load_split("iris", seed=-1), "seed must be a whole number of at least 0"),
        (lambda: data.load_split("iris", seed=0.5), "seed must be a whole number"),
        (lambda: data.standardise([1, 2], [[1]]), "x must be a 2-D array"),
        (lambda: data.standardise([[1, 2]], [[1]]), "as many columns as reference"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
