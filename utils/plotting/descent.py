"""Figures of descents: paths, ends of paths, and limits.

Lessons 1 and 2.
"""

import numpy as np
from matplotlib.ticker import LogLocator

from utils.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    SKY,
    VERMILLION,
    course_style,
    new_figure,
)


@course_style()
def plot_descents(loss, paths, columns=3, updates=10):
    """Draw paths on the loss they descend, one panel each.

    Parameters
    ----------
    loss : losses.ScalarLoss
    paths : dict of str to array of shape (updates + 1,)
        Titles and the points visited.
    columns : int
        Panels in a row.
    updates : int
        Draw this many updates of each.
    """
    rows = -(-len(paths) // columns)
    figure, axes = new_figure(
        rows, columns, height=2.5 * rows, sharex=True, sharey=True, squeeze=False
    )
    low, high = loss.domain
    grid = np.linspace(low, high, 400)
    for panel, (title, path) in zip(axes.flat, paths.items()):
        path = path[: updates + 1]
        panel.plot(grid, loss.value(grid), color=GREY, linewidth=1.5)
        panel.set(title=title, xlim=(low, high), ylim=panel.get_ylim())
        panel.plot(path, loss.value(path), "o-", color=BLUE, linewidth=1, markersize=4)
        panel.plot(path[0], loss.value(path[0]), "s", color=VERMILLION, markersize=7)
    for panel in axes[-1]:
        panel.set_xlabel("weight x")
    for panel in axes[:, 0]:
        panel.set_ylabel("loss f(x)")
    return figure


@course_style()
def plot_limits(limits, bands):
    """Draw the largest stable learning rates of many problems on one logarithmic axis.

    Parameters
    ----------
    limits : dict of str to float
        Problems and their limits 2/L.
    bands : dict of str to tuple of two floats
        Ranges to compare with, drawn behind.
    """
    figure, axes = new_figure(height=0.42 * len(limits) + 1.6)
    for number, (label, (low, high)) in enumerate(bands.items()):
        look = {"color": (ORANGE, SKY)[number], "hatch": ("//", "..")[number]}
        axes.axvspan(low, high, alpha=0.25, linewidth=0, **look)
        height = 1.04 + 0.1 * number
        where = {"xycoords": ("data", "axes fraction"), "textcoords": ("data", "axes fraction")}
        axes.annotate("", (low, height), (high, height), arrowprops={"arrowstyle": "<->"}, **where)
        axes.annotate(f" {label}", (high, height), xycoords=where["xycoords"], va="center")
    heights = np.arange(len(limits))[::-1]
    axes.plot(list(limits.values()), heights, "o", color=BLUE, markersize=9)
    for height, limit in zip(heights, limits.values()):
        axes.annotate(
            f"{limit:.3g}", (limit, height), xytext=(8, 0), textcoords="offset points", va="center"
        )
    axes.set(
        xscale="log", xlabel="largest stable learning rate 2/L", ylim=(-0.6, len(limits) - 0.4)
    )
    axes.set_yticks(heights, list(limits))
    axes.margins(x=0.12)
    return figure


@course_style()
def plot_ravine(paths, loss, extent=(-3.2, 3.2)):
    """Draw paths over the level lines of a loss of two weights, one panel each.

    Parameters
    ----------
    paths : dict of str to array of shape (updates + 1, 2)
        Titles and the points visited.
    loss : callable
        Takes points of shape (..., 2), returns the loss of each.
    extent : tuple of two floats
        Both axes run from the first to the second.
    """
    figure, axes = new_figure(1, len(paths), height=3.0, sharey=True, squeeze=False)
    grid = np.linspace(*extent, 121)
    heights = loss(np.stack(np.meshgrid(grid, grid), axis=-1))
    levels = np.geomspace(heights.max() / 300, heights.max(), 8)
    for panel, (title, path) in zip(axes[0], paths.items()):
        panel.contour(grid, grid, heights, levels=levels, colors="#c4c4c4", linewidths=1)
        panel.plot(*path.T, "o-", color=BLUE, linewidth=1, markersize=3.5)
        panel.plot(*path[0], "s", color=VERMILLION, markersize=7)
        panel.plot(0, 0, "*", color=GREEN, markersize=12)
        panel.set(title=title, xlabel="weight x₁ (steep)", xlim=extent, ylim=extent)
    axes[0, 0].set_ylabel("weight x₂ (flat)")
    return figure


@course_style()
def plot_endings(learning_rates, endings, loss, thresholds):
    """Draw a bifurcation diagram, where descent ends up at each learning rate, beside the loss.

    Parameters
    ----------
    learning_rates : array of shape (n,)
    endings : array of shape (visits, n)
        The last points visited at each learning rate.
    loss : losses.ScalarLoss
        Drawn upright on the left with the same vertical axis.
    thresholds : dict of str to float
        Learning rates to mark.
    """
    figure, (left, right) = new_figure(1, 2, sharey=True, width_ratios=(1, 2.6))
    grid = np.linspace(*loss.domain, 500)
    left.plot(loss.value(grid), grid, color=GREY)
    for minimum in loss.minima:
        left.plot(loss.value(minimum), minimum, "*", color=GREEN, markersize=12)
    left.set(xlabel="loss f(x)", ylabel="weight x", ylim=loss.domain)
    for points in endings:
        right.plot(learning_rates, points, ".", color=BLUE, markersize=2)
    for number, (label, threshold) in enumerate(thresholds.items()):
        right.axvline(threshold, color=VERMILLION, linestyle=LINES[number + 1], linewidth=1.5)
        right.annotate(
            label, (threshold, 1.02), xycoords=("data", "axes fraction"), ha="center", fontsize=9
        )
    right.set(xscale="log", xlabel="learning rate η")
    right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.xaxis.set_major_formatter("{x:g}")
    right.xaxis.set_minor_formatter("")
    return figure
