"""The numbers of lesson 7's views; pictures and controls are tried in `test_views`."""

import inspect
import time

import numpy as np
import pytest

from course.views import curvature

VIEWS = {
    curvature.explore_edge: curvature.edge_numbers,
    curvature.explore_batch: curvature.batch_numbers,
}
names = pytest.mark.parametrize("explore", VIEWS, ids=lambda explore: explore.__name__)


@names
def test_every_argument_has_a_control(explore):
    assert set(explore().controls) == set(inspect.signature(VIEWS[explore]).parameters)


@names
def test_numbers_come_at_once(explore):
    view, numbers = explore(), VIEWS[explore]
    values = {name: control.value for name, control in view.controls.items()}
    numbers(**values)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        numbers(**values)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.02  # of the 0.1 that a view may take; the rest is for drawing


def test_kept_runs_are_those_of_the_lesson():
    runs = curvature.load_runs()
    shape = len(runs.rates), len(runs.warm_ups), len(runs.updates)
    assert runs.losses.shape == runs.curvatures.shape == shape
    assert runs.updates[[0, -1]].tolist() == [0, 1500]
    np.testing.assert_allclose(runs.curvatures[:, :, 0], 13.25, rtol=1e-2)
    lost = np.isnan(runs.losses[:, :, -1])
    np.testing.assert_array_equal(lost, np.isnan(runs.curvatures[:, :, -1]))
    fates = {(rate, warm_up): lost[i, j] for i, rate in enumerate(runs.rates.tolist())
             for j, warm_up in enumerate(runs.warm_ups.tolist())}  # fmt: skip
    assert not fates[0.4, 0]
    assert fates[0.6, 0]
    assert fates[1.2, 0]
    assert not fates[0.6, 100]
    assert not fates[1.2, 1000]
    settled = runs.curvatures[:, :, -8:].mean(axis=2) * runs.rates[:, np.newaxis] / 2
    for i, rate in enumerate(runs.rates):
        if 0.15 <= rate <= 0.6:
            found = settled[i][~lost[i]]
            np.testing.assert_allclose(found, 1, atol=0.05, err_msg=f"η = {rate}")


def test_edge_numbers_say_what_became_of_the_run():
    good = curvature.edge_numbers(0.2, 0)
    assert "from the first update on, where 2/η = 10" in good["summary"]
    assert "<b>trained</b>" in good["summary"]
    np.testing.assert_allclose(good["limits"], 10)
    lost = curvature.edge_numbers(1.2, 0)
    assert "<b>lost</b> after update 0" in lost["summary"]
    assert np.isnan(lost["losses"][-1])
    warm = curvature.edge_numbers(1.2, 300)
    assert "after a warm-up of 300 updates" in warm["summary"]
    np.testing.assert_allclose(warm["limits"][[0, -1]], [2 * 300 / 1.2, 2 / 1.2])


def test_a_large_batch_is_written_in_full():
    words = curvature.batch_numbers("Adam", 0.3, 32, 64, 2.4)["summary"]
    assert words.endswith("The rule meets the cap 2.4 at a batch of 2,048.")


def test_large_factors_and_rates_are_written_in_full():
    words = curvature.batch_numbers("SGD", 3.0, 1, 1024, 1.2)["summary"]
    assert "3 times 1,024 is 3,072." in words
    smaller = curvature.batch_numbers("SGD", 3.0, 1024, 1, 1.2)["summary"]
    assert "3 times 0.000977 is 0.00293." in smaller


def test_batch_numbers_know_both_rules_and_their_end():
    capped = curvature.batch_numbers("SGD", 0.3, 32, 256, 1.2)
    assert capped["star"] == (256, 1.2)
    assert "0.3 times 8 is 2.4" in capped["summary"]
    assert "the rule ended at a batch of 128" in capped["summary"]
    assert "above the cap" in capped["summary"]  # which is not the largest rate that trains
    adam = curvature.batch_numbers("Adam", 0.01, 32, 512, 1.2)
    assert adam["star"] == (512, pytest.approx(0.04))
    assert "Start from <b>0.04</b>" in adam["summary"]
    smaller = curvature.batch_numbers("SGD", 0.3, 32, 8, 1.2)
    assert smaller["star"] == (8, pytest.approx(0.075))
    ends = [
        float(
            curvature.batch_numbers("Adam", 0.3, 32, 32, cap)["summary"]
            .split()[-1]
            .rstrip(".")
            .replace(",", "")
        )
        for cap in (1.2, 2.4)
    ]
    assert ends == [512, 2048]


def test_batch_picture_stops_its_rule_at_the_cap():
    picture = curvature.BatchPicture()
    numbers = curvature.batch_numbers("SGD", 0.3, 32, 256, 1.2)
    picture.draw(**numbers)
    assert np.nanmax(picture.rule.get_ydata()) <= 1.2
    assert np.nanmin(picture.beyond.get_ydata()) >= 1.2
    measured = np.log(np.array([curvature.MEASURED["SGD"], curvature.MEASURED["Adam"]]))
    slopes = np.polyfit(np.log(curvature.MEASURED_BATCHES[:6]), measured[:, :6].T, 1)[0]
    np.testing.assert_allclose(slopes, [1, 0.5], atol=0.15)
