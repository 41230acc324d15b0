"""A sweep and a range test draw themselves: what is drawn, where, and in whose style."""

import warnings

import numpy as np
import pytest

from lrsweep import RangeTest, SweepResult

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")
pyplot = pytest.importorskip("matplotlib.pyplot")

LOSSES = np.array([[0.9, 0.7], [0.2, 0.4], [0.5, 0.8], [np.nan, 0.5], [np.nan, np.nan]])
RATES = np.array([0.01, 0.1, 1.0, 10.0, 100.0])
TEST = RangeTest(np.geomspace(1e-3, 10, 5), [2.0, 1.5, 0.5, 1.0, 90.0], "loss exploded", 0.5)


def sweep(last=LOSSES, rates=RATES, metric="val_loss"):
    """Return a sweep of two epochs, with 0.5 everywhere after the first."""
    values = np.stack([np.full(last.shape, 0.5), last], axis=2)
    return SweepResult(rates, np.arange(last.shape[1]), {metric: values}, np.isnan(last))


@pytest.fixture
def axes():
    yield pyplot.figure().subplots()
    pyplot.close("all")


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_a_sweep_is_drawn_on_the_given_axes(axes):
    before = pyplot.get_fignums()
    assert sweep().plot(axes=axes, label="SGD") is axes
    assert pyplot.get_fignums() == before
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "learning rate"
    assert axes.get_ylabel() == "validation loss"
    assert axes.get_legend() is None
    assert axes.get_legend_handles_labels()[1] == ["SGD", "a seed", "a seed diverged"]


def test_the_line_is_the_mean_and_the_band_its_standard_error(axes):
    sweep().plot(axes=axes)
    mean = axes.lines[0]
    np.testing.assert_array_equal(mean.get_xdata(), RATES)
    np.testing.assert_allclose(mean.get_ydata(), [0.8, 0.3, 0.65, np.nan, np.nan])
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(0.3 - 0.1)  # two seeds: half their distance
    assert heights.max() == pytest.approx(0.8 + 0.1)


def test_seeds_are_dots_and_diverged_rates_are_crosses(axes):
    sweep().plot(axes=axes)
    (dots,) = lines(axes, "seeds")
    np.testing.assert_array_equal(dots.get_xdata(), np.repeat(RATES, 2))
    np.testing.assert_array_equal(dots.get_ydata(), LOSSES.ravel())
    (crosses,) = lines(axes, "diverged")
    np.testing.assert_array_equal(crosses.get_xdata(), [10.0, 100.0])
    assert axes.get_xlim()[1] > 100  # seen, although nothing else is drawn there
    assert axes.get_ylim()[0] > 0.1  # and near the bottom, wherever that is
    assert crosses.get_marker() == "x"
    early = pyplot.figure().subplots()
    sweep().plot(axes=early, epoch=0, show_seeds=False)
    assert lines(early, "seeds") == lines(early, "diverged") == []


def test_one_seed_has_no_band_and_no_warning(axes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sweep(LOSSES[:, :1]).plot(axes=axes)
        own = sweep(LOSSES[:, :1]).plot()
        own.figure.canvas.draw()
    assert list(axes.collections) == []
    assert "the one seed is lowest, 0.2, at 0.1" in axes.alt_text


def test_its_look_is_the_line_s_and_its_colour_everyone_s(axes):
    sweep().plot(axes=axes, color="#aa5500", linestyle="--", marker="s", markevery=6)
    mean = axes.lines[0]
    assert (mean.get_linestyle(), mean.get_marker(), mean.get_markevery()) == ("--", "s", 6)
    others = [*lines(axes, "seeds"), *lines(axes, "diverged")]
    assert {line.get_color() for line in axes.lines} == {"#aa5500"}
    assert {line.get_linestyle() for line in others} == {"None"}
    band = matplotlib.colors.to_hex(axes.collections[0].get_facecolor()[0])
    assert band == "#aa5500"


def test_sweeps_on_the_same_axes_take_the_next_colour_and_the_next_row(axes):
    sweep().plot(axes=axes, label="SGD")
    sweep().plot(axes=axes, label="Adam")
    cycle = pyplot.rcParams["axes.prop_cycle"].by_key()["color"]
    first, second = (line for line in axes.lines if line.get_gid() is None)
    assert [first.get_color(), second.get_color()] == cycle[:2]
    heights = [line.get_ydata()[0] for line in lines(axes, "diverged")]
    assert heights == pytest.approx([0.04, 0.09])
    names = axes.get_legend_handles_labels()[1]
    assert names == ["SGD", "a seed", "a seed diverged", "Adam"]
    assert axes.alt_text.startswith("SGD: validation loss after epoch 2")
    assert "Adam: validation loss" in axes.alt_text
    axes.clear()
    sweep().plot(axes=axes)
    assert "SGD" not in axes.alt_text


def test_a_figure_of_its_own_has_a_legend_and_a_fitting_height():
    axes = sweep(metric="loss").plot("loss")
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["mean of 2 seeds ± standard error", "a seed", "a seed diverged"]
    assert axes.get_ylabel() == "training loss"
    assert axes.get_yscale() == "linear"
    assert sweep(LOSSES * np.logspace(0, 4, 5)[:, np.newaxis]).plot().get_yscale() == "log"
    assert sweep(LOSSES - 100).plot().get_yscale() == "linear"
    pyplot.close("all")


def test_the_sweep_s_sentence_says_what_is_seen(axes):
    assert sweep().plot(axes=axes).alt_text == (
        "Validation loss after epoch 2 against the learning rate, from 0.01 to 100 on a "
        "logarithmic axis: the mean of 2 seeds is lowest, 0.3, at 0.1, and highest, 0.8, at "
        "0.01. At 2 of 5 learning rates, from 10 to 100, a seed diverged."
    )
    lost = sweep(np.full((5, 2), np.nan), metric="val_accuracy").plot("val_accuracy", axes)
    assert "no learning rate has a value for every seed" in lost.alt_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "speed"}, "metric must be one of val_loss, got 'speed'"),
        ({"epoch": 2}, "epoch must be from -2 to 1, got 2"),
        ({"epoch": 0.5}, "epoch must be from -2 to 1, got 0.5"),
    ],
)
def test_what_a_sweep_has_not_got_is_refused(arguments, message, axes):
    with pytest.raises(ValueError, match=message):
        sweep().plot(axes=axes, **arguments)


def test_a_range_test_is_drawn_on_the_given_axes(axes):
    marks = {"minimum": 0.1, "tenth": 0.01}
    assert TEST.plot(axes=axes, marks=marks, band=(0.02, 0.3), linewidth=3) is axes
    line, dots, minimum, tenth = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), TEST.smoothed)
    np.testing.assert_array_equal(dots.get_ydata(), TEST.losses)
    assert (line.get_linewidth(), dots.get_linestyle()) == (3, "None")
    assert line.get_color() == dots.get_color() != minimum.get_color() != tenth.get_color()
    assert minimum.get_linestyle() != tenth.get_linestyle()
    assert [list(mark.get_xdata()) for mark in (minimum, tenth)] == [[0.1, 0.1], [0.01, 0.01]]
    assert axes.get_xscale() == "log"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("learning rate", "training loss")
    assert axes.get_legend() is None
    assert axes.get_legend_handles_labels()[1] == [
        "smoothed", "one mini-batch", "0.02 to 0.3", "minimum: 0.1", "tenth: 0.01",
    ]  # fmt: skip
    bottom, top = axes.get_ylim()
    assert bottom < 0.5 < 2 < top < 4  # and not up to 90


def test_the_range_test_s_sentence_says_what_is_seen():
    axes = TEST.plot(marks={"minimum": 0.1})
    assert axes.get_legend() is not None
    assert axes.alt_text == (
        "Training loss of 5 mini-batches while the learning rate rises from 0.001 to 10, on a "
        "logarithmic axis: the smoothed loss is 2 at first, lowest, 1, at 0.1, and 46.9 at the "
        "end. Marked: minimum at 0.1."
    )
    rising = RangeTest([0.1, 1.0, 10.0], [1.0, 2.0, 3.0]).plot()
    assert rising.get_ylim()[1] > 3
    pyplot.close("all")


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_the_style_is_the_active_one_and_stays_as_it_is(style):
    with pyplot.style.context(style):
        before = dict(pyplot.rcParams)
        axes = [sweep().plot(), TEST.plot(marks={"minimum": 1.0}, band=(0.1, 1.0))]
        assert dict(pyplot.rcParams) == before
        cycle = before["axes.prop_cycle"].by_key()["color"]
        assert [it.lines[0].get_color() for it in axes] == [cycle[0]] * 2
        text = matplotlib.colors.to_rgb(before["axes.labelcolor"])
        assert axes[1].patches[0].get_facecolor()[:3] == text
    pyplot.close("all")
