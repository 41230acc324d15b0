"""The course's style, a figure in it, and how it is displayed.

All lessons.

Colours are told apart by colour-blind readers (Okabe & Ito, "Color Universal Design", 2008), and
line style and marker differ wherever colour does. Nothing outside the course's figures changes:
Matplotlib's own settings are as they were after each call.
"""

import base64
import io

import matplotlib
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
ORANGE, PURPLE, SKY, GREY = "#E69F00", "#CC79A7", "#56B4E9", "#767676"
COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LARGE = 100_000  # bytes; a figure above is stored with 256 colours

STYLE = {
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


def course_style():
    """Return a context, or a decorator, in which Matplotlib draws in the course's style."""
    return matplotlib.rc_context(STYLE)


def line_look(number):
    """Return colour, line style and marker of the line with this number, from 0.

    The first seven differ in all three. From the eighth on a colour comes back, with another
    line style and another marker than before.
    """
    turns = number // len(COLOURS)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": LINES[(number + turns) % len(LINES)],
        "marker": MARKERS[(number + 2 * turns) % len(MARKERS)],
    }


@course_style()
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


@course_style()
def show(figure, alt):
    """Display a figure with a sentence that says what it shows, for those who can't see it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    if len(buffer.getvalue()) > LARGE:
        fewer_colours = Image.open(buffer).convert("RGB").quantize(256)
        buffer = io.BytesIO()
        fewer_colours.save(buffer, "png", optimize=True)
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
