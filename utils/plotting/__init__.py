"""Every kind of still figure in the course, in one style.

All lessons.

The functions take arrays and results and draw them; they compute nothing that they show but
means and their errors.
"""

from utils.plotting.descent import plot_descents, plot_endings, plot_limits, plot_ravine
from utils.plotting.lines import plot_lines, plot_panels
from utils.plotting.style import new_figure, show
from utils.plotting.training import (
    plot_histories,
    plot_pictures,
    plot_range_test,
    plot_shares,
    plot_sweeps,
)

__all__ = [
    "new_figure",
    "plot_descents",
    "plot_endings",
    "plot_histories",
    "plot_limits",
    "plot_lines",
    "plot_panels",
    "plot_pictures",
    "plot_range_test",
    "plot_ravine",
    "plot_shares",
    "plot_sweeps",
    "show",
]
