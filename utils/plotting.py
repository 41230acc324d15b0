"""Every kind of still figure in the course, in one style.

The functions take arrays and draw them; they compute nothing that they show. Importing this
module sets the course's style. Colours are told apart by colour-blind readers (Okabe & Ito,
"Color Universal Design", 2008), and line style and marker differ wherever colour does.
"""

import base64
import io
import itertools

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, PURPLE, SKY, GREY = "#E69F00", "#CC79A7", "#56B4E9", "#767676"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

matplotlib.rcParams.update(
    {
        "figure.dpi": 100,
        "savefig.dpi": 100,
        "font.size": 11,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.8,
        "lines.linewidth": 2,
        "lines.markersize": 5,
        "legend.frameon": False,
        "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    }
)


def new_figure(rows=1, columns=1, width=7.5, height=3.6, **options):
    """Return a figure in the course's style and its axes.

    Parameters
    ----------
    rows, columns : int
        Panels.
    width, height : float
        Inches; at 100 dots an inch, 7.5 inches fill the column of a small laptop.
    **options
        For `Figure.subplots`.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def show(figure, alt):
    """Display a figure with a sentence that says what it shows, for those who can't see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    picture = base64.b64encode(buffer.getvalue()).decode()
    spoken = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    display(
        {
            "image/png": picture,
            "text/plain": f"Figure: {alt}",
            # JupyterLab shows this one: it alone carries the sentence to a screen reader.
            "text/html": f'<img alt="{spoken}" src="data:image/png;base64,{picture}">',
        },
        metadata={"image/png": {"alt": alt}},
        raw=True,
    )


def plot_descents(landscape, paths, columns=3, steps=10):
    """Draw paths on the loss they descend, one panel each.

    Parameters
    ----------
    landscape : landscapes.Landscape
        The loss.
    paths : dict of str to array of shape (steps + 1,)
        Titles and the points visited.
    columns : int
        Panels in a row.
    steps : int
        Draw this many updates of each.
    """
    rows = -(-len(paths) // columns)
    figure, axes = new_figure(
        rows, columns, height=2.5 * rows, sharex=True, sharey=True, squeeze=False
    )
    low, high = landscape.domain
    grid = np.linspace(low, high, 400)
    for panel, (title, path) in zip(axes.flat, paths.items()):
        path = path[: steps + 1]
        panel.plot(grid, landscape.loss(grid), color=GREY, linewidth=1.5)
        panel.set(title=title, xlim=(low, high), ylim=panel.get_ylim())
        panel.plot(path, landscape.loss(path), "o-", color=BLUE, linewidth=1, markersize=4)
        panel.plot(path[0], landscape.loss(path[0]), "s", color=VERMILLION, markersize=7)
    for panel in axes[-1]:
        panel.set_xlabel("weight x")
    for panel in axes[:, 0]:
        panel.set_ylabel("loss f(x)")
    return figure


def plot_lines(lines, xlabel, ylabel, x=None, xscale="linear", yscale="linear", limits=None):
    """Draw named lines, each labelled at its end.

    Parameters
    ----------
    lines : dict of str to array of shape (n,)
        Labels and heights.
    xlabel, ylabel : str
        With units.
    x : array of shape (n,), optional
        Positions; 0, 1, 2, ... by default.
    xscale, yscale : str
        "linear" or "log".
    limits : tuple of two floats, optional
        Bottom and top of the picture.
    """
    figure, axes = new_figure()
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    ends = []
    for number, (label, heights) in enumerate(lines.items()):
        positions = np.arange(len(heights)) if x is None else np.asarray(x)
        look = {"color": COLOURS[number], "linestyle": LINES[number], "marker": MARKERS[number]}
        axes.plot(positions, heights, markevery=max(1, len(heights) // 12), **look)
        ends.append((label, np.asarray(heights, dtype=float), COLOURS[number]))
    if limits is not None:
        axes.set_ylim(limits)
    _label_ends(axes, ends)
    return figure


def _label_ends(axes, ends):
    """Write each line's label to the right of its last visible point, none over another."""
    low, high = axes.get_ylim()
    scale = np.log if axes.get_yscale() == "log" else np.asarray
    span = scale(high) - scale(low)
    places = []
    for label, heights, colour in ends:
        seen = np.flatnonzero(np.isfinite(heights) & (heights >= low) & (heights <= high))
        if len(seen):
            height = (scale(heights[seen[-1]]) - scale(low)) / span
            places.append([height, label, colour])
    places.sort()
    for lower, upper in itertools.pairwise(places):
        upper[0] = max(upper[0], lower[0] + 0.085)
    for height, label, colour in places:
        axes.annotate(
            label, (1.01, height), xycoords="axes fraction", color=colour, va="center", fontsize=10
        )


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
        middle = np.sqrt(low * high)
        axes.annotate(
            label, (middle, 1.02 + 0.09 * number), xycoords=("data", "axes fraction"), ha="center"
        )
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


def plot_ravine(paths, loss, extent=(-3.2, 3.2)):
    """Draw paths over the level lines of a loss of two weights, one panel each.

    Parameters
    ----------
    paths : dict of str to array of shape (steps + 1, 2)
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


def plot_endings(learning_rates, endings, landscape, thresholds):
    """Draw where descent ends up, for many learning rates, beside the loss itself.

    Parameters
    ----------
    learning_rates : array of shape (n,)
    endings : array of shape (visits, n)
        The last points visited at each learning rate.
    landscape : landscapes.Landscape
        The loss, drawn upright on the left with the same vertical axis.
    thresholds : dict of str to float
        Learning rates to mark.
    """
    figure, (left, right) = new_figure(1, 2, sharey=True, width_ratios=(1, 2.6))
    grid = np.linspace(*landscape.domain, 500)
    left.plot(landscape.loss(grid), grid, color=GREY)
    for minimum in landscape.minima:
        left.plot(landscape.loss(minimum), minimum, "*", color=GREEN, markersize=12)
    left.set(xlabel="loss f(x)", ylabel="weight x", ylim=landscape.domain)
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
