"""The view of lesson 6: sweeps replayed epoch by epoch, and a bet on their winner."""

import functools

import ipywidgets
import numpy as np

from course.clothing import load_recorded_sweep
from course.views._view import View, slider, still
from utils.plotting.style import COLOURS, GREY, LINES, MARKERS, course_style, new_figure

SHOWN = ("accuracy", "loss", "gap", "all three")
NO_PICK, RECORDED = "not yet", "Xception on photographs, recorded"
EPOCHS = 10


class ReplayPicture:
    """Validation accuracy, validation loss and gap by epoch, for four learning rates."""

    @course_style()
    def __init__(self):
        rates = load_recorded_sweep().learning_rates
        self.figure, axes = new_figure(2, 2, height=5.4)
        *panels, corner = axes.flat
        looks = [("validation accuracy", "linear", (0, 1.02))]
        looks += [("validation loss", "log", (0.3, 40)), ("gap in accuracy", "linear", (-0.2, 0.3))]
        self.panels, self.notes = [], []
        for panel, (label, scale, limits) in zip(panels, looks):
            panel.set(xlabel="epoch", ylabel=label, yscale=scale, ylim=limits)
            panel.set(xlim=(0.5, EPOCHS + 0.5), xticks=range(2, EPOCHS + 1, 2))
            self.panels.append([self._lines(panel, number) for number in range(len(rates))])
            middle = {"transform": panel.transAxes, "ha": "center", "color": GREY}
            self.notes.append(panel.text(0.5, 0.5, "hidden: see “show”", **middle, animated=True))
        panels[2].axhline(0, color="black", linewidth=0.8)
        handles = [line for line, _ in self.panels[0]]
        labels = [f"η = {rate:g}" for rate in rates]
        corner.set_axis_off()
        corner.legend(handles, labels, loc="upper left", handlelength=3.5)
        key = "gap: training accuracy − validation accuracy\n★: your pick"
        corner.text(0.02, 0.02, key, va="bottom", fontsize=10, linespacing=1.5)

    @staticmethod
    def _lines(panel, number):
        look = {"color": COLOURS[number], "linestyle": LINES[number], "animated": True}
        (line,) = panel.plot([], [], marker=MARKERS[number], markersize=4, **look)
        (star,) = panel.plot([], [], "*", color=COLOURS[number], markersize=15, animated=True)
        return line, star

    def draw(self, validation, stars, **_):
        """Move to two arrays of shape (panels, rates, epochs), nan where nothing is shown."""
        epochs = np.arange(1, validation.shape[-1] + 1)
        for note, heights in zip(self.notes, validation):
            note.set_visible(bool(np.isnan(heights).all()))
        for panel, *values in zip(self.panels, validation, stars):
            for lines, *heights in zip(panel, *values):
                for line, height in zip(lines, heights):
                    line.set_data(epochs, height)


def replay_numbers(show, epochs, pick, sweep=RECORDED, own=None):
    """Return what is seen of a sweep after some epochs, and what the bets are worth.

    Parameters
    ----------
    show : str
        "accuracy", "loss", "gap" or "all three".
    epochs : int
        How many have been seen.
    pick : str
        The learner's bet, a learning rate, or "not yet".
    sweep : str
        Which sweep: the recorded one, or "yours".
    own : SweepResult, optional
        The learner's own, of four rates.
    """
    result = load_recorded_sweep() if sweep == RECORDED else own
    means = {name: values.mean(axis=1) for name, values in result.metrics.items()}
    gap = means["accuracy"] - means["val_accuracy"]
    validation = np.stack([means["val_accuracy"], means["val_loss"], gap])
    hidden = np.array([show not in (name, "all three") for name in SHOWN[:3]])
    validation[hidden] = np.nan
    validation[:, :, epochs:] = np.nan
    stars = np.full_like(validation, np.nan)
    rates = [f"{rate:g}" for rate in result.learning_rates]
    if pick in rates:
        chosen = rates.index(pick)
        stars[:, chosen, epochs - 1] = validation[:, chosen, epochs - 1]
    nearest = rates[int(np.nanargmin(np.abs(gap[:, epochs - 1])))]
    seen = "" if hidden[2] else f"The gap nearest to zero is now that of {nearest}. "
    words = _verdict(rates, means, gap, pick) if pick in rates else "Which rate wins? Pick one."
    return {
        "validation": validation,
        "stars": stars,
        "summary": f"{sweep}: {show} of the first {epochs} epochs. {seen}{words}",
    }


def _verdict(rates, means, gap, pick):
    """Return in words what the pick and the smallest gap are worth after the last epoch."""
    losses, accuracies = means["val_loss"][:, -1], means["val_accuracy"][:, -1]
    chosen, best = rates.index(pick), int(np.nanargmin(losses))
    smallest = int(np.nanargmin(np.abs(gap[:, -1])))
    verdict = "the lowest of the four" if chosen == best else f"{rates[best]} has the lowest"
    return (
        f"Your pick, {pick}, ends at a validation loss of {losses[chosen]:.2f} and an accuracy of "
        f"{accuracies[chosen]:.3f}; {verdict} loss. The smallest gap after the last epoch "
        f"would have picked {rates[smallest]}, with a loss of {losses[smallest]:.2f}."
    )


def replay_figure(show, epochs, pick, sweep=RECORDED, own=None):
    """Return the replay as a still figure."""
    return still(ReplayPicture(), replay_numbers(show, epochs, pick, sweep, own))


def explore_replay(own=None):
    """Return the replay of the recorded sweep and, if there is one, of the learner's own.

    Parameters
    ----------
    own : SweepResult, optional
        With the recorded sweep's four rates and ten epochs.
    """
    rates = [f"{rate:g}" for rate in load_recorded_sweep().learning_rates]
    controls = {
        "show": slider(ipywidgets.Dropdown, "show", options=SHOWN),
        "epochs": slider(ipywidgets.IntSlider, "epochs seen", value=3, min=1, max=EPOCHS),
        "pick": slider(ipywidgets.Dropdown, "your pick", options=(NO_PICK, *rates)),
    }
    if own is not None:
        both = (RECORDED, "yours")
        controls = {"sweep": slider(ipywidgets.Dropdown, "sweep", options=both)} | controls
    return View(functools.partial(replay_numbers, own=own), ReplayPicture(), **controls)
