"""What lesson 8 shows of its patients: their curves, and the table of symptoms."""

import re
from pathlib import Path

from IPython.display import Markdown

TABLE = Path(__file__).resolve().parents[2] / "notebooks" / "symptoms.md"


def curves(patients, columns=3):
    """Return a figure with a panel for each patient: training and validation loss by epoch.

    Parameters
    ----------
    patients : dict of str to Patient
    columns : int
        Panels in a row.
    """
    from utils.plotting.style import course_style, line_look, new_figure

    rows = -(-len(patients) // columns)
    with course_style():
        figure, axes = new_figure(rows, columns, height=2.3 * rows, squeeze=False)
        for panel, (letter, patient) in zip(axes.flat, patients.items()):
            for number, name in enumerate(("loss", "val_loss")):
                losses = patient.history[name]
                look = {**line_look(number), "markevery": max(1, len(losses) // 6)}
                panel.plot(range(1, len(losses) + 1), losses, label=name, **look)
            panel.set(title=letter, yscale="log", xlabel="epoch")
            _few_ticks(panel)
        for panel in axes.flat[len(patients) :]:
            panel.set_axis_off()
        axes.flat[0].legend()
        for panel in axes[:, 0]:
            panel.set_ylabel("loss")
    return figure


def _few_ticks(panel):
    """Label epochs and losses in plain numbers, and show at least a factor of two."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    low, high = panel.get_ylim()
    if high < 2 * low:
        middle = (low * high) ** 0.5
        panel.set_ylim(middle / 1.5, 1.5 * middle)
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    wide = high > 100 * low
    panel.yaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 2, 5), numticks=9))
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter(NullFormatter())


def table(section=None):
    """Return the page of symptoms, or one section of it, as Markdown to display."""
    return Markdown(section_of(TABLE.read_text(encoding="utf-8"), section))


def section_of(text, title=None):
    """Return the part of a page below a heading of the second level, or the whole page.

    Raises
    ------
    ValueError
        If there is none of that title.
    """
    if title is None:
        return text
    parts = dict(re.findall(r"^## ([^\n]+)\n\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    if title not in parts:
        raise ValueError(f"title must be one of {', '.join(parts)}, got {title!r}")
    return parts[title].strip()
