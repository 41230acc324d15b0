"""The figures: many lines, few seeds, and a style that stays among the course's figures."""

import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from lrsweep import RangeTest, SweepResult
from utils import checks, plotting
from utils.plotting.style import line_look


def a_sweep(seeds):
    rates = np.geomspace(0.001, 1, 7)
    losses = np.random.default_rng(0).uniform(1, 2, (7, seeds, 1))
    return SweepResult(rates, np.arange(seeds), {"val_loss": losses}, np.zeros((7, seeds), bool))


def test_fourteen_lines_are_all_told_apart():
    looks = [tuple(line_look(number).items()) for number in range(14)]
    assert len(set(looks)) == 14
    for one, other in zip(looks, looks[7:]):  # the colour comes back, the rest does not
        assert dict(one)["color"] == dict(other)["color"]
        assert dict(one)["linestyle"] != dict(other)["linestyle"]
        assert dict(one)["marker"] != dict(other)["marker"]


@pytest.mark.parametrize("count", [1, 8, 12])
def test_any_number_of_lines_is_drawn(count):
    lines = {f"line {number}": np.arange(5) + number for number in range(count)}
    figure = plotting.plot_lines(lines, "update", "loss")
    labels = {text.get_text() for text in figure.axes[0].texts}
    assert set(lines) <= labels
    results = {f"sweep {number}": a_sweep(2) for number in range(count)}
    assert isinstance(plotting.plot_sweeps(results, "val_loss", "loss"), Figure)


def test_a_single_seed_is_drawn_without_a_warning():
    with warnings.catch_warnings(action="error"):
        figure = plotting.plot_sweeps({"SGD": a_sweep(1)}, "val_loss", "validation loss")
    assert figure.axes[0].get_ylabel() == "validation loss"
    assert figure.axes[0].get_xscale() == "log"


def test_drawing_and_showing_leave_matplotlibs_settings_alone():
    before = dict(matplotlib.rcParams)
    test = RangeTest(np.geomspace(0.001, 10, 30), np.linspace(2, 1, 30))
    figure = plotting.plot_range_test(test, {"a rate": 0.1}, band=(0.05, 0.5))
    plotting.show(figure, alt="A range test whose loss falls all the way.")
    assert dict(matplotlib.rcParams) == before
    assert figure.axes[0].spines["top"].get_visible() is False  # and the figure has the style


def test_a_check_of_any_number_of_axes_says_what_it_wants():
    with pytest.raises(ValueError, match=r"x must be a 3-D array, got one of shape \(2,\)"):
        checks.array("x", [1, 2], dimensions=3)
