"""The views of lesson 7: the curvature against its limit, and a rate for another batch size."""

from functools import cache
from pathlib import Path
from types import SimpleNamespace

import ipywidgets
import numpy as np

from course.views._view import View, log_slider, slider, still
from utils.plotting.style import BLUE, GREEN, GREY, VERMILLION, course_style, new_figure

# Runs of the lesson's network, kept because 70 of them take minutes: see data/README.md.
RUNS = Path(__file__).resolve().parents[2] / "data" / "curvature_runs.npz"
BATCHES = tuple(2**k for k in range(11))
# Best rates of the lesson's sweeps at batch sizes 4, 8, ..., 512: geometric means of five seeds.
MEASURED_BATCHES = tuple(2**k for k in range(2, 10))
MEASURED = {
    "SGD": (0.0377, 0.0798, 0.161, 0.303, 0.69, 1.03, 1.15, 1.11),
    "Adam": (0.00414, 0.00587, 0.00814, 0.011, 0.0146, 0.0216, 0.0322, 0.0428),
}
EXPONENTS = {"SGD": 1.0, "Adam": 0.5}


@cache
def load_runs():
    """Return the kept runs: rates, warm_ups, updates, and losses and curvatures of all three."""
    with np.load(RUNS, allow_pickle=False) as file:
        return SimpleNamespace(**{name: file[name] for name in file.files})


class EdgePicture:
    """The largest curvature and the limit 2/η(t), and the loss, against the update."""

    @course_style()
    def __init__(self):
        self.figure, (left, right) = new_figure(1, 2, height=3.7, width_ratios=(1.35, 1))
        end = load_runs().updates[-1]
        look = {"animated": True, "markersize": 4}
        (self.curvature,) = left.plot([], [], "o-", color=BLUE, **look, label="largest curvature")
        (self.limit,) = left.plot([], [], "--", color=VERMILLION, **look, label="limit 2/η(t)")
        (self.loss,) = right.plot([], [], "s-", color=GREEN, **look)
        left.set(ylabel="curvature", ylim=(0.9, 60), yscale="log")
        right.set(ylabel="loss", ylim=(1e-3, 10), yscale="log")
        for panel in (left, right):
            panel.set(xlabel="update", xlim=(-0.02 * end, 1.02 * end))
            panel.set_xticks(range(0, end + 1, 500))
        left.legend(loc="upper right")
        middle = {"transform": right.transAxes, "ha": "center", "color": GREY, "fontsize": 14}
        self.lost = right.text(0.5, 0.5, "lost", **middle, animated=True)

    def draw(self, updates, curvatures, limits, losses, **_):
        """Move to readings, limits and losses at some updates; nan once the run is lost."""
        self.curvature.set_data(updates, curvatures)
        self.limit.set_data(updates, limits)
        self.loss.set_data(updates, losses)
        self.lost.set_visible(bool(np.isnan(losses[-1])))


def edge_numbers(learning_rate, warm_up):
    """Return one of the kept runs of gradient descent on lesson 7's network.

    Parameters
    ----------
    learning_rate : float
        One of the kept ones.
    warm_up : int
        After how many updates the rate has risen to it, one of the kept numbers.
    """
    runs = load_runs()
    place = list(runs.rates).index(learning_rate), list(runs.warm_ups).index(warm_up)
    losses, curvatures = runs.losses[place], runs.curvatures[place]
    limits = 2 / (learning_rate * np.minimum((runs.updates + 1) / max(warm_up, 1), 1))
    start = f"after a warm-up of {warm_up} updates" if warm_up else "from the first update on"
    words = f"η = {learning_rate:g} {start}, where 2/η = {2 / learning_rate:.3g}: "
    if np.isnan(losses[-1]):
        last = int(np.flatnonzero(np.isfinite(losses))[-1])
        words += (
            f"<b>lost</b> after update {runs.updates[last]}. The curvature was "
            f"{curvatures[last]:.3g} then, {curvatures[last] / limits[last]:.2g} times the limit."
        )
    else:
        mean = curvatures[-8:].mean()
        words += (
            f"<b>trained</b> to a loss of {losses[-1]:.4f}. The curvature of the last 200 updates "
            f"is {mean:.3g} on average, {mean * learning_rate / 2:.2f} of 2/η."
        )
    return {
        "updates": runs.updates,
        "curvatures": curvatures,
        "limits": limits,
        "losses": losses,
        "summary": words,
    }


def edge_figure(learning_rate, warm_up):
    """Return the curvature against its limit as a still figure."""
    return still(EdgePicture(), edge_numbers(learning_rate, warm_up))


def explore_edge():
    """Return the curvature against its limit, with sliders for the rate and its warm-up."""
    runs = load_runs()
    return View(
        edge_numbers,
        EdgePicture(),
        learning_rate=slider(
            ipywidgets.SelectionSlider, "learning rate η", options=runs.rates.tolist(), value=0.2
        ),
        warm_up=slider(
            ipywidgets.SelectionSlider, "warm-up, updates", options=runs.warm_ups.tolist(), value=0
        ),
    )


class BatchPicture:
    """Rates against batch sizes: the two rules, a cap, and what lesson 7 measured."""

    @course_style()
    def __init__(self):
        self.figure, axes = new_figure(height=4.0)
        for name, marker in (("SGD", "o"), ("Adam", "^")):
            look = {"color": GREY, "linestyle": "none", "markersize": 6, "fillstyle": "none"}
            axes.plot(MEASURED_BATCHES, MEASURED[name], marker, **look, label=f"{name}, measured")
        (self.rule,) = axes.plot([], [], "-", color=BLUE, linewidth=2.5, animated=True)
        (self.beyond,) = axes.plot([], [], ":", color=BLUE, animated=True)
        (self.other,) = axes.plot([], [], "-.", color=GREY, linewidth=1.2, animated=True)
        self.cap = axes.axhline(np.nan, color=VERMILLION, linestyle="--", animated=True)
        (self.start,) = axes.plot([], [], "s", color=BLUE, markersize=9, animated=True)
        (self.star,) = axes.plot([], [], "*", color=GREEN, markersize=17, animated=True)
        axes.set(xscale="log", yscale="log", xlim=(0.8, 1300), ylim=(3e-4, 30))
        axes.set_xticks(BATCHES[::2], [str(batch) for batch in BATCHES[::2]])
        axes.set(xlabel="batch size, examples", ylabel="learning rate η")
        moving = (self.start, self.star, self.rule, self.beyond, self.other, self.cap)
        names = ("your rate", "new rate", "its rule", "beyond its end", "other rule", "cap")
        measured = axes.lines[:2]
        handles, labels = [*moving, *measured], [*names, *(line.get_label() for line in measured)]
        axes.legend(handles, labels, loc="center left", bbox_to_anchor=(1, 0.5))

    def draw(self, sizes, rule, other, cap, start, star, **_):
        """Move to two rules at some batch sizes, a cap, and two points (batch size, rate)."""
        self.rule.set_data(sizes, np.where(rule <= cap, rule, np.nan))
        self.beyond.set_data(sizes, np.where(rule >= cap, rule, np.nan))
        self.other.set_data(sizes, other)
        self.cap.set_ydata([cap, cap])
        self.start.set_data([start[0]], [start[1]])
        self.star.set_data([star[0]], [star[1]])


def batch_numbers(optimizer, rate, batch, new_batch, cap):
    """Convert a learning rate to another batch size, by the rule of its optimizer.

    Parameters
    ----------
    optimizer : str
        "SGD", whose rate goes with the batch size, or "Adam", whose rate goes with its root.
    rate, cap : float
        A good rate at the batch size `batch`, and the largest to which its rule is trusted.
    batch, new_batch : int
        In examples.
    """
    exponent = EXPONENTS[optimizer]
    other = 1.5 - exponent
    sizes = np.geomspace(1, 1024, 400)
    wanted = rate * (new_batch / batch) ** exponent
    ends = _written(batch * (cap / rate) ** (1 / exponent))
    words = f"{optimizer}, batch {batch} to {new_batch}: {rate:.3g} times "
    words += f"{_written((new_batch / batch) ** exponent)} is {_written(wanted)}. "
    if wanted > cap:
        words += f"That is above the cap, and the rule ended at a batch of {ends}: start from "
        words += f"<b>{cap:.3g}</b> at most."
    else:
        words += f"Start from <b>{wanted:.3g}</b>. The rule meets the cap {cap:.3g} at a batch "
        words += f"of {ends}."
    return {
        "sizes": sizes,
        "rule": rate * (sizes / batch) ** exponent,
        "other": rate * (sizes / batch) ** other,
        "cap": cap,
        "start": (batch, rate),
        "star": (new_batch, min(wanted, cap)),
        "summary": words,
    }


def _written(number):
    """Return a number in three digits, or in full where it has more."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def batch_figure(optimizer, rate, batch, new_batch, cap):
    """Return the converter between batch sizes as a still figure."""
    return still(BatchPicture(), batch_numbers(optimizer, rate, batch, new_batch, cap))


def explore_batch():
    """Return the converter between batch sizes with its five controls."""
    sizes = {"options": BATCHES, "value": 32}
    return View(
        batch_numbers,
        BatchPicture(),
        optimizer=slider(ipywidgets.Dropdown, "optimizer", options=list(EXPONENTS)),
        rate=log_slider("your rate η", 0.3, 0.001, 10),
        batch=slider(ipywidgets.SelectionSlider, "your batch size", **sizes),
        new_batch=slider(ipywidgets.SelectionSlider, "new batch size", **{**sizes, "value": 64}),
        cap=log_slider("cap on the rate", 1.2, 0.001, 10),
    )
