"""Named lines, in one picture or in a panel each."""

import itertools

import numpy as np

from utils.plotting.style import BLUE, COLOURS, LINES, MARKERS, SKY, new_figure


def plot_lines(
    lines, xlabel, ylabel, x=None, xscale="linear", yscale="linear", limits=None, legend=False
):
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
    legend : bool
        Name the lines in a box instead, for those that end in one place.
    """
    figure, axes = new_figure()
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    ends = []
    for number, (label, heights) in enumerate(lines.items()):
        positions = np.arange(len(heights)) if x is None else np.asarray(x)
        look = {"color": COLOURS[number], "linestyle": LINES[number], "marker": MARKERS[number]}
        axes.plot(positions, heights, label=label, markevery=max(1, len(heights) // 12), **look)
        ends.append((label, positions, np.asarray(heights, dtype=float), look))
    if limits is not None:
        axes.set_ylim(limits)
    if legend:
        axes.legend()
    else:
        _label_ends(axes, ends)
    return figure


def _label_ends(axes, ends):
    """Write each label, after a piece of its line, at the right; a shorter line's at its end."""
    low, high = axes.get_ylim()
    scale = np.log if axes.get_yscale() == "log" else np.asarray
    span = scale(high) - scale(low)
    longest, places = max(len(heights) for *_, heights, _ in ends), []
    for label, positions, heights, look in ends:
        seen = np.flatnonzero(np.isfinite(heights) & (heights >= low) & (heights <= high))
        if len(seen) and len(heights) < longest:
            end = positions[seen[-1]], heights[seen[-1]]
            beside = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(label, end, **beside, color=look["color"], fontsize=10)
        elif len(seen):
            height = (scale(heights[seen[-1]]) - scale(low)) / span
            places.append([height, label, look])
    places.sort(key=lambda place: place[0])
    for lower, upper in itertools.pairwise(places):
        upper[0] = max(upper[0], lower[0] + 0.085)
    for height, label, look in places:
        sample = {"transform": axes.transAxes, "clip_on": False, "scalex": False, "scaley": False}
        axes.plot([1.01, 1.035, 1.06], [height] * 3, **look, **sample, markevery=[1])
        axes.annotate(
            label, (1.07, height), xycoords="axes fraction", color=look["color"], va="center",
            fontsize=10,
        )  # fmt: skip


def plot_panels(lines, xlabel, ylabel, columns=4):
    """Draw named lines in small panels of their own with common axes, filled to the bottom.

    Parameters
    ----------
    lines : dict of str to array of shape (n,)
        Titles and heights.
    xlabel, ylabel : str
        With units.
    columns : int
        Panels in a row.
    """
    rows = -(-len(lines) // columns)
    figure, axes = new_figure(
        rows, columns, height=1.55 * rows + 0.3, sharex=True, sharey=True, squeeze=False
    )
    for panel, (title, heights) in zip(axes.flat, lines.items()):
        panel.plot(heights, color=BLUE, linewidth=1.5)
        panel.fill_between(np.arange(len(heights)), heights, color=SKY, alpha=0.35, linewidth=0)
        panel.set_title(title, fontsize=9)
        panel.set_ylim(bottom=0)
    for panel in axes[-1]:
        panel.set_xlabel(xlabel)
    for panel in axes[:, 0]:
        panel.set_ylabel(ylabel)
    return figure
