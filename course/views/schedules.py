"""The view of lesson 4: a schedule, the area under it, and the exact loss it leads to."""

from functools import cache

import ipywidgets
import numpy as np
from matplotlib.patches import Polygon

from course.views._view import View, log_slider, slider, still
from utils import schedules
from utils.noisy_quadratic import best_initial_rate, expected_loss
from utils.plotting.style import BLUE, GREEN, GREY, SKY, VERMILLION, course_style, new_figure

LENGTHS = (100, 200, 500, 1000, 2000, 4000)
TO_BEAT = "linear to zero"
to_beat = cache(lambda updates: best_initial_rate(TO_BEAT, updates))  # a rate and its loss


class MixerPicture:
    """The rate during training, and the loss: the distance left, and what the noise adds."""

    @course_style()
    def __init__(self):
        self.figure, (rate, loss) = new_figure(1, 2, height=3.7, width_ratios=(1, 1.25))
        self.area = Polygon([(0, 0)], color=SKY, alpha=0.35, zorder=1.6, animated=True)
        rate.add_patch(self.area)  # above the grid
        (self.rate,) = rate.plot([], [], color=BLUE, animated=True)
        rate.set(xlim=(0, 100), ylim=(0, 1.28), ylabel="learning rate, η(t) / η₀")
        self.words = rate.text(
            0.97, 0.97, "", transform=rate.transAxes, ha="right", va="top", animated=True
        )
        looks = {
            "mean loss": (BLUE, "-", 2.2),
            "distance left": (VERMILLION, "--", 1.6),
            "from the noise": (GREY, ":", 2),
            "mark to beat": (GREEN, "-.", 1.6),
        }
        self.lines = [
            loss.plot([], [], color=colour, linestyle=line, linewidth=width, label=label,
                      animated=True)[0]
            for label, (colour, line, width) in looks.items()
        ]  # fmt: skip
        loss.set(xlim=(0, 100), ylim=(3e-5, 3), yscale="log", ylabel="mean loss")
        loss.legend(loc="upper right", fontsize=9, ncols=2, columnspacing=1.2)
        for panel in (rate, loss):
            panel.set_xlabel("share of the training, %")

    def draw(self, shape, losses, left, target, words, **_):
        """Draw a `shape` (updates,), `losses` and the part `left` (updates + 1,), and a level."""
        percent = np.linspace(0, 100, len(losses))
        self.rate.set_data(percent[:-1], shape)
        self.area.set_xy(np.column_stack([[*percent[:-1], 100, 0], [*shape, 0, 0]]))
        heights = (losses, left, losses - left, np.full(len(losses), target))
        for line, height in zip(self.lines, heights):
            line.set_data(percent, np.clip(height, 1e-9, 1e9))
        self.words.set_text(words)


def mixer_numbers(family, initial, warm_up, updates):
    """Return a schedule's rates, and the mean loss on the three directions of the tournament.

    Parameters
    ----------
    family : str
        A key of `schedules.FAMILIES`.
    initial : float
        Its initial rate η₀ (of "one cycle" and "triangular", the highest one).
    warm_up : int
        The percentage of the updates in which the rate rises from zero.
    updates : int
        Length of the training.
    """
    schedule = schedules.make_schedule(family, initial, updates, updates * int(warm_up) // 100)
    rates = schedule(np.arange(updates))
    losses, left = expected_loss(rates), expected_loss(rates, noise=0.0)
    best_rate, target = to_beat(updates)
    ratio = losses[-1] / target
    verdict = (
        "as good as" if abs(ratio - 1) < 2e-3 else "worse than" if ratio > 1 else "BETTER than"
    )
    return {
        "rates": rates,
        "shape": rates / initial,
        "losses": losses,
        "left": left,
        "target": target,
        "words": f"η₀ = {initial:.3g}, Ση = {rates.sum():.4g}\n"
        f"{100 * rates.mean() / initial:.0f} % of η₀ · T",
        "summary": f"After {updates} updates the mean loss is <b>{losses[-1]:.6f}</b>: "
        f"{left[-1]:.6f} from the distance left, {losses[-1] - left[-1]:.6f} from the noise. "
        f"That is <b>{verdict}</b> linear to zero at its best rate, {best_rate:.3g}, which ends at "
        f"{target:.6f}.",
    }


def mixer_figure(family, initial, warm_up=0, updates=1000):
    """Return the schedule mixer as a still figure."""
    return still(MixerPicture(), mixer_numbers(family, initial, warm_up, updates))


def explore_mixer():
    """Return the schedule mixer with its four controls."""
    for updates in LENGTHS:  # now, so that no slider has to wait for it
        to_beat(updates)
    return View(
        mixer_numbers,
        MixerPicture(),
        family=slider(
            ipywidgets.Dropdown, "schedule", options=list(schedules.FAMILIES), value="constant"
        ),
        initial=log_slider("initial rate η₀", 1.0, 0.02, 2),
        warm_up=slider(ipywidgets.IntSlider, "warm-up, %", value=0, min=0, max=50),
        updates=slider(
            ipywidgets.SelectionSlider, "length T, updates", options=LENGTHS, value=1000
        ),
    )
