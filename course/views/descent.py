"""The views of lessons 1 and 2: a parabola, a ravine, and two wells."""

import ipywidgets
import numpy as np

from course.views._view import View, log_slider, slider, still, with_minus
from utils import descent, losses
from utils.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    VERMILLION,
    course_style,
    new_figure,
)

WELLS = losses.wells()


class ParabolaPicture:
    """A parabola with the points visited, the distances left, and the multiplier 1 − ηλ."""

    @course_style()
    def __init__(self, updates=20):
        self.figure, axes = new_figure(1, 2, height=3.5, width_ratios=(1.15, 1))
        valley, decay = axes
        self.grid = np.linspace(-14, 14, 201)
        (self.curve,) = valley.plot(self.grid, 0 * self.grid, color=GREY, animated=True)
        (self.path,) = valley.plot([], [], "o-", color=BLUE, linewidth=1, animated=True)
        (self.start,) = valley.plot([], [], "s", color=VERMILLION, markersize=8, animated=True)
        valley.set(xlim=(-14, 14), ylim=(-4, 150), xlabel="weight x", ylabel="loss f(x) = λx²/2")
        self.words = valley.text(
            0.5, 1.02, "\n", transform=valley.transAxes, ha="center", va="bottom", animated=True
        )  # two lines, for which room is kept
        (self.distance,) = decay.plot([], [], "o-", color=BLUE, linewidth=1, animated=True)
        decay.axhline(10, color=VERMILLION, linestyle="--", linewidth=1)
        decay.annotate("start", (updates, 12), ha="right", va="bottom", fontsize=10)
        decay.set(xlim=(-0.5, updates + 0.5), ylim=(1e-4, 1e5), yscale="log")
        decay.set(xlabel="update", ylabel="distance |x| from the minimum")

    def draw(self, path, curvature, words, **_):
        """Move to the points `path` (updates + 1,) on f(x) = curvature·x²/2."""
        self.curve.set_ydata(curvature * self.grid**2 / 2)
        self.path.set_data(path, curvature * path**2 / 2)
        self.start.set_data(path[:1], curvature * path[:1] ** 2 / 2)
        self.distance.set_data(np.arange(len(path)), np.maximum(np.abs(path), 1e-12))
        self.words.set_text(with_minus(words))


def parabola_numbers(learning_rate, curvature, updates=20):
    """Descend f(x) = λx²/2 from x = 10 and say what happens."""
    loss = losses.parabola(curvature)
    path = descent.gradient_descent(loss.gradient, 10.0, learning_rate, updates)
    factor = round(descent.multiplier(learning_rate, curvature), 9) + 0.0  # no −0
    regime = descent.regime(learning_rate, curvature)
    needed = descent.updates_to_tolerance(learning_rate, curvature, 10.0, 0.1)
    arrival = f"after {_updates(needed)}" if np.isfinite(needed) else "never"
    return {
        "path": path,
        "curvature": curvature,
        "words": f"η = {learning_rate:.3g}, λ = {curvature:.3g}\n1 − ηλ = {factor:+.3g}: {regime}",
        "summary": f"Each update multiplies x by 1 − ηλ = {factor:+.3f}: descent <b>{regime}</b>."
        f" The stability limit is 2/λ = {descent.stability_limit(curvature):.3g}."
        f" |x| is down to 0.1: <b>{arrival}</b>.",
    }


def _updates(count):
    return "1 update" if count == 1 else f"{count} updates"


def parabola_figure(learning_rate, curvature):
    """Return the parabola view as a still figure."""
    return still(ParabolaPicture(), parabola_numbers(learning_rate, curvature))


def explore_parabola():
    """Return the parabola view with sliders for the learning rate and the curvature."""
    return View(
        parabola_numbers,
        ParabolaPicture(),
        learning_rate=log_slider("learning rate η", 0.02, 0.01, 100),
        curvature=log_slider("curvature λ", 2.0, 0.02, 2),
    )


class RavinePicture:
    """A ravine seen from above with the points visited, and each direction's distance."""

    @course_style()
    def __init__(self, updates=40, reach=3.4):
        self.figure, axes = new_figure(1, 2, height=3.6, width_ratios=(1, 1.05))
        above, decay = axes
        angles = np.linspace(0, 2 * np.pi, 121)
        self.circle = np.stack([np.cos(angles), np.sin(angles)])
        self.levels = [
            above.plot([], [], color="#c4c4c4", linewidth=1, animated=True)[0] for _ in range(6)
        ]
        (self.path,) = above.plot(
            [], [], "o-", color=BLUE, linewidth=1, markersize=4, animated=True
        )
        (self.start,) = above.plot([], [], "s", color=VERMILLION, markersize=8, animated=True)
        above.plot(0, 0, "*", color=GREEN, markersize=13)
        above.set(xlim=(-reach, reach), ylim=(-reach, reach))
        above.set(xlabel="weight x₁ (steep direction)", ylabel="weight x₂ (flat direction)")
        (self.steep,) = decay.plot([], [], "--", color=VERMILLION, animated=True)
        (self.flat,) = decay.plot([], [], "-", color=BLUE, animated=True)
        decay.set(xlim=(-0.5, updates + 0.5), ylim=(1e-5, 1e5), yscale="log")
        decay.set(xlabel="update", ylabel="distance from the minimum")

        self.words = decay.text(
            0.98, 0.97, "", transform=decay.transAxes, ha="right", va="top", animated=True
        )

    def draw(self, path, curvatures, multipliers, **_):
        """Move to the points `path` (updates + 1, 2) between walls of these two curvatures."""
        widths = np.sqrt(curvatures[1] / np.asarray(curvatures))[:, np.newaxis]
        for size, level in zip((0.4, 0.8, 1.4, 2.2, 3.2, 4.5), self.levels):
            level.set_data(*(size * widths * self.circle))
        self.path.set_data(*path.T)
        self.start.set_data(*path[:1].T)
        for line, distances in zip((self.steep, self.flat), np.abs(path.T)):
            line.set_data(np.arange(len(path)), np.maximum(distances, 1e-12))
        steep, flat = multipliers
        words = f"steep (dashed): × {steep:+.3f}\nflat (solid): × {flat:+.3f}"
        self.words.set_text(with_minus(words))


def ravine_numbers(learning_rate, condition, angle, updates=40):
    """Descend a ravine of largest curvature 4 and condition number κ from a circle of radius 3."""
    curvatures = (4.0, 4.0 / condition)
    start = 3 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])

    def gradient(point):
        return losses.ravine_gradient(point, curvatures)

    factors = tuple(descent.multiplier(learning_rate, curvature) for curvature in curvatures)
    slowest = max(map(abs, factors))
    best = descent.fastest_learning_rate(*curvatures)
    if slowest < 1e-9:
        verdict = "descent arrives in one step"
    elif np.isclose(slowest, 1, rtol=0, atol=1e-9):
        verdict = "descent bounces along the steep direction for ever"
    elif slowest < 1:
        needed = np.log(0.1) / np.log(slowest)
        verdict = f"the slower direction's distance falls to a tenth in {needed:.1f} updates"
    else:
        verdict = "descent diverges along the steep direction, whatever the flat one does"
    return {
        "path": descent.gradient_descent(gradient, start, learning_rate, updates),
        "curvatures": curvatures,
        "multipliers": factors,
        "summary": f"Limit 2/L = 0.5, best rate for a quadratic 2/(L+μ) = {best:.3f}; "
        f"at η = {learning_rate:.3f}, from ({start[0]:.2f}, {start[1]:.2f}), <b>{verdict}</b>.",
    }


def ravine_figure(learning_rate, condition, angle=60):
    """Return the ravine view as a still figure."""
    return still(RavinePicture(), ravine_numbers(learning_rate, condition, angle))


def explore_ravine():
    """Return the ravine view with sliders for learning rate, condition number and start."""
    return View(
        ravine_numbers,
        RavinePicture(),
        learning_rate=slider(
            ipywidgets.FloatSlider, "learning rate η", value=0.05, min=0.005, max=0.6, step=0.005,
            readout_format=".3f",
        ),
        condition=log_slider("condition number κ", 20.0, 1, 100),
        angle=slider(ipywidgets.IntSlider, "start, degrees", value=60, min=0, max=90, step=5),
    )  # fmt: skip


class WellsPicture:
    """A loss with two minima, the points visited, and the basin every start belongs to."""

    @course_style()
    def __init__(self, loss):
        self.figure, axes = new_figure(2, 1, height=4.2, sharex=True, height_ratios=(5, 1))
        hills, strip = axes
        grid = np.linspace(*loss.domain, 500)
        hills.plot(grid, loss.value(grid), color=GREY)
        heights = loss.value(np.array(loss.minima))
        names = zip(loss.minima, heights, (PURPLE, GREEN), ("sharp", "flat"))
        for minimum, height, colour, name in names:
            hills.plot(minimum, height, "*", color=colour, markersize=14, zorder=5)
            place = (0, 10) if name == "flat" else (-22, -4)
            hills.annotate(name, (minimum, height), place, textcoords="offset points", ha="center")
        self.loss = loss
        (self.path,) = hills.plot(
            [], [], "o-", color=BLUE, linewidth=1, markersize=4, animated=True
        )
        (self.start,) = hills.plot([], [], "s", color=VERMILLION, markersize=8, animated=True)
        self.words = hills.text(
            0.99, 0.97, "", transform=hills.transAxes, ha="right", va="top", animated=True
        )
        hills.set(ylabel="loss f(x)", xlim=loss.domain, ylim=(-1.1, 0.75))
        self.basins = [
            strip.plot([], [], marker, color=colour, markersize=6, animated=True)[0]
            for marker, colour in (("|", PURPLE), ("_", GREEN), ("x", GREY))
        ]
        for basin in self.basins:
            basin.set_linestyle("none")
        strip.set(ylim=(-0.8, 2.8), xlabel="weight x: a start here ends in ...")
        strip.set_yticks((2, 1, 0), ("sharp", "flat", "unsettled"))

    def draw(self, path, starts, basins, words, **_):
        """Move to the points `path`; `basins` (starts,) holds 0, 1, or 2 for unsettled."""
        self.path.set_data(path, self.loss.value(path))
        self.start.set_data(path[:1], self.loss.value(path[:1]))
        for number, line in enumerate(self.basins):
            here = starts[basins == number]
            line.set_data(here, np.full(len(here), 2 - number))
        self.words.set_text(with_minus(words))


def wells_numbers(learning_rate, start, updates=300, shown=60):
    """Descend a loss with a sharp and a flat minimum from one start and from everywhere.

    A run has settled if its last 20 points lie within 0.01 of a minimum: one that bounces may
    pass close by, but doesn't stay.
    """
    starts = np.linspace(*WELLS.domain, 156)
    everywhere = np.append(starts, start)
    path = descent.gradient_descent(WELLS.gradient, everywhere, learning_rate, updates)
    misses = np.abs(path[-20:, :, np.newaxis] - np.array(WELLS.minima)).max(axis=0)
    endings = np.where(misses.min(axis=1) < 0.01, misses.argmin(axis=1), 2)
    limits = [descent.stability_limit(float(WELLS.curvature(m))) for m in WELLS.minima]
    allowed = [
        f"{name} minimum, 2/f″ = {limit:.3g}: a run "
        f"{'can' if learning_rate < limit else 'cannot'} settle"
        for name, limit in zip(("sharp", "flat"), limits)
    ]
    steps = np.diff(path[-20:, -1])
    unsettled = "bouncing" if steps.min() < 0 < steps.max() else "on its way"
    ending = (
        "settles in the sharp minimum",
        "settles in the flat minimum",
        f"is still {unsettled} after {updates} updates",
    )
    return {
        "path": path[: shown + 1, -1],
        "starts": starts,
        "basins": endings[:-1],
        "words": f"η = {learning_rate:.3g}\n" + "\n".join(allowed),
        "summary": f"From x = {start:.2f} at η = {learning_rate:.3g}, descent "
        f"<b>{ending[endings[-1]]}</b>; of all starts drawn, "
        f"{100 * np.mean(endings[:-1] == 0):.0f} % end in the sharp minimum and "
        f"{100 * np.mean(endings[:-1] == 1):.0f} % in the flat one.",
    }


def wells_figure(learning_rate, start=-1.2):
    """Return the view of the two wells as a still figure."""
    return still(WellsPicture(WELLS), wells_numbers(learning_rate, start))


def explore_wells():
    """Return the view of the two wells with sliders for learning rate and start."""
    low, high = WELLS.domain
    return View(
        wells_numbers,
        WellsPicture(WELLS),
        learning_rate=log_slider("learning rate η", 0.02, 0.01, 3),
        start=slider(ipywidgets.FloatSlider, "start x", value=-1.2, min=low, max=high, step=0.05),
    )
