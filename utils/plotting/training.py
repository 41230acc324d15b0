"""Figures of trainings: loss curves, sweeps, and range tests.

Lessons 5 and 6.
"""

import numpy as np
from matplotlib.ticker import LogLocator

from utils.plotting.style import COLOURS, GREY, course_style, line_look, new_figure


@course_style()
def plot_histories(histories, ylabel="loss", columns=2):
    """Draw training and validation curves, one panel for each training, all to one scale.

    Parameters
    ----------
    histories : dict of str to dict
        Titles, and Keras's histories: "loss" and "val_loss", each of shape (epochs,).
    ylabel : str
        With its unit.
    columns : int
        Panels in a row.
    """
    rows = -(-len(histories) // columns)
    figure, axes = new_figure(
        rows, columns, height=2.4 * rows, sharex=True, sharey=True, squeeze=False
    )
    for panel, (title, history) in zip(axes.flat, histories.items()):
        epochs = np.arange(1, len(history["loss"]) + 1)
        panel.plot(epochs, history["loss"], "-", color=COLOURS[0], label="training")
        panel.plot(epochs, history["val_loss"], "--", color=COLOURS[1], label="validation")
        panel.set(title=title, yscale="log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter("")
    axes.flat[0].legend()
    for panel in axes[-1]:
        panel.set_xlabel("epoch")
    for panel in axes[:, 0]:
        panel.set_ylabel(ylabel)
    return figure


@course_style()
def plot_sweeps(results, metric, ylabel, epoch=-1, limits=None, yscale="linear"):
    """Draw a metric against the learning rate: the mean of the seeds and its standard error.

    A single sweep shows every seed as a dot.

    Parameters
    ----------
    results : dict of str to SweepResult
        Labels and sweeps.
    metric : str
        Keras's name, such as "val_accuracy".
    ylabel : str
        With its unit.
    epoch : int
        Which epoch, counted from 0; the last by default.
    limits : tuple of two floats, optional
        Bottom and top of the picture.
    yscale : str
        "linear" or "log".
    """
    figure, axes = new_figure(height=3.8)
    axes.set(xscale="log", yscale=yscale)
    alone = len(results) == 1
    for number, (label, result) in enumerate(results.items()):
        look = {**line_look(number), "markevery": 6}
        result.plot(metric, axes=axes, epoch=epoch, label=label, show_seeds=alone, **look)
    axes.set(xlabel="learning rate η", ylabel=ylabel)
    if limits is not None:
        axes.set_ylim(limits)
    if any(result.diverged.any() for result in results.values()) or not alone:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@course_style()
def plot_range_test(test, marks, band=None):
    """Draw a range test's losses against its ramp, with learning rates to compare.

    Parameters
    ----------
    test : RangeTest
    marks : dict of str to float
        Labels and learning rates, drawn as upright lines.
    band : tuple of two floats, optional
        The plateau of a sweep, drawn behind.
    """
    figure, axes = new_figure()
    test.plot(axes=axes, marks=marks, band=band)
    axes.set(xlabel="learning rate η", ylim=(0, 1.6 * test.smoothed[0]))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@course_style()
def plot_pictures(pictures, titles, columns=5):
    """Draw small pictures in rows, each under its title.

    Parameters
    ----------
    pictures : array of shape (n, side, side, 3)
        From -1 to 1.
    titles : list of str
    columns : int
        Pictures in a row.
    """
    rows = -(-len(pictures) // columns)
    figure, axes = new_figure(rows, columns, height=(7.5 / columns + 0.25) * rows, squeeze=False)
    for panel, picture, title in zip(axes.flat, pictures, titles):
        panel.imshow((np.asarray(picture) + 1) / 2, interpolation="none")
        panel.set_title(title)
    for panel in axes.flat:
        panel.set_axis_off()
    return figure


@course_style()
def plot_shares(shares, errors, xlabel, guess=None):
    """Draw named shares as dots with their standard errors, one below the other.

    Parameters
    ----------
    shares, errors : dict of str to float
        Labels, and values between 0 and 1.
    xlabel : str
    guess : tuple of float and str, optional
        The share that is right without looking, drawn as an upright line, and its name.
    """
    figure, axes = new_figure(height=0.45 * len(shares) + 0.7)
    for place, (label, share) in enumerate(shares.items()):
        look = {**line_look(place), "linestyle": "none", "markersize": 7, "capsize": 4}
        axes.errorbar(share, -place, xerr=errors[label], **look)
        axes.annotate(f"{share:.2f}", (share, -place), (0, 8), textcoords="offset points",
                      ha="center", fontsize=10)  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0.6 - len(shares), 0.7), xlabel=xlabel)
    if guess is not None:
        share, name = guess
        axes.axvline(share, color=GREY, linestyle=":", linewidth=1.5)
        axes.annotate(name, (share, 0.6), (4, 0), textcoords="offset points", color=GREY,
                      va="top", fontsize=10)  # fmt: skip
    axes.set_yticks(range(0, -len(shares), -1), list(shares))
    axes.grid(visible=False, axis="y")
    return figure
