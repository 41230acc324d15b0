"""Named lines, in one picture or in a panel each.

Lessons 1 to 4.
"""

from typing import NamedTuple

import numpy as np

from utils.plotting.style import BLUE, SKY, course_style, line_look, new_figure


@course_style()
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
        look = line_look(number)
        axes.plot(positions, heights, label=label, markevery=max(1, len(heights) // 12), **look)
        ends.append(End(label, positions, np.asarray(heights, dtype=float), look))
    if limits is not None:
        axes.set_ylim(limits)
    if legend:
        axes.legend()
    else:
        _label_ends(axes, ends)
    return figure


class End(NamedTuple):
    """A line that is to be named where it ends."""

    label: str
    positions: np.ndarray
    heights: np.ndarray
    look: dict


def _label_ends(axes, ends):
    """Write each label, after a piece of its line, at the right; a shorter line's at its end."""
    low, high = axes.get_ylim()
    scale = np.log if axes.get_yscale() == "log" else np.asarray
    longest, at_the_right = max(len(end.heights) for end in ends), []
    for end in ends:
        inside = np.isfinite(end.heights) & (end.heights >= low) & (end.heights <= high)
        if not inside.any():
            continue
        last = np.flatnonzero(inside)[-1]
        if len(end.heights) < longest:
            place = end.positions[last], end.heights[last]
            beside = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
            axes.annotate(end.label, place, **beside, color=end.look["color"], fontsize=10)
        else:
            share = (scale(end.heights[last]) - scale(low)) / (scale(high) - scale(low))
            at_the_right.append((share, end))
    _stack_labels(axes, sorted(at_the_right, key=lambda pair: pair[0]))


def _stack_labels(axes, labels, gap=0.085):
    """Write labels beside the axes, from below, each at its share of the height or just above."""
    height = -np.inf
    for share, end in labels:
        height = max(share, height + gap)
        sample = {"transform": axes.transAxes, "clip_on": False, "scalex": False, "scaley": False}
        axes.plot([1.01, 1.035, 1.06], [height] * 3, **end.look, **sample, markevery=[1])
        axes.annotate(
            end.label, (1.07, height), xycoords="axes fraction", color=end.look["color"],
            va="center", fontsize=10,
        )  # fmt: skip


@course_style()
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
