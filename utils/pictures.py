"""Pictures that move: each draws its axes once and then only what a slider changes.

A picture has a `figure` and a method `draw(...)` that takes numbers already computed (by the
function of the same name in `utils.widgets`) and moves the lines and texts marked `animated`.
"""

import numpy as np

from utils.plotting import BLUE, GREEN, GREY, ORANGE, SKY, VERMILLION, new_figure


class ParabolaPicture:
    """A parabola with the points visited, the distances left, and the multiplier 1 − ηλ."""

    def __init__(self, steps=20):
        self.figure, axes = new_figure(1, 2, height=3.5, width_ratios=(1.15, 1))
        valley, decay = axes
        self.grid = np.linspace(-14, 14, 201)
        (self.curve,) = valley.plot(self.grid, 0 * self.grid, color=GREY, animated=True)
        (self.path,) = valley.plot([], [], "o-", color=BLUE, linewidth=1, animated=True)
        (self.start,) = valley.plot([], [], "s", color=VERMILLION, markersize=8, animated=True)
        valley.set(xlim=(-14, 14), ylim=(-4, 150), xlabel="weight x", ylabel="loss f(x) = λx²/2")
        self.words = valley.text(
            0.5, 0.97, "", transform=valley.transAxes, ha="center", va="top", animated=True
        )
        self.words.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 2})
        (self.distance,) = decay.plot([], [], "o-", color=BLUE, linewidth=1, animated=True)
        decay.axhline(10, color=VERMILLION, linestyle="--", linewidth=1)
        decay.annotate("start", (steps, 12), ha="right", va="bottom", fontsize=10)
        decay.set(xlim=(-0.5, steps + 0.5), ylim=(1e-4, 1e5), yscale="log")
        decay.set(xlabel="update", ylabel="distance |x| from the minimum")

    def draw(self, path, curvature, words, **_):
        """Move to the points `path` (steps + 1,) on f(x) = curvature·x²/2."""
        self.curve.set_ydata(curvature * self.grid**2 / 2)
        self.path.set_data(path, curvature * path**2 / 2)
        self.start.set_data(path[:1], curvature * path[:1] ** 2 / 2)
        self.distance.set_data(np.arange(len(path)), np.maximum(np.abs(path), 1e-12))
        self.words.set_text(words)


class RavinePicture:
    """A ravine seen from above with the points visited, and each direction's distance."""

    def __init__(self, steps=40, reach=3.4):
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
        (self.steep,) = decay.plot([], [], "o--", color=VERMILLION, markersize=3, animated=True)
        (self.flat,) = decay.plot([], [], "s-", color=BLUE, markersize=3, animated=True)
        decay.set(xlim=(-0.5, steps + 0.5), ylim=(1e-5, 1e5), yscale="log")
        decay.set(xlabel="update", ylabel="distance from the minimum")

        self.words = decay.text(
            0.98, 0.97, "", transform=decay.transAxes, ha="right", va="top", animated=True
        )

    def draw(self, path, curvatures, multipliers, **_):
        """Move to the points `path` (steps + 1, 2) between walls of these two curvatures."""
        widths = np.sqrt(curvatures[1] / np.asarray(curvatures))[:, np.newaxis]
        for size, level in zip((0.4, 0.8, 1.4, 2.2, 3.2, 4.5), self.levels):
            level.set_data(*(size * widths * self.circle))
        self.path.set_data(*path.T)
        self.start.set_data(*path[:1].T)
        for line, distances in zip((self.steep, self.flat), np.abs(path.T)):
            line.set_data(np.arange(len(path)), np.maximum(distances, 1e-12))
        steep, flat = multipliers
        self.words.set_text(f"steep (dashed): × {steep:+.3f}\nflat (solid): × {flat:+.3f}")


class WellsPicture:
    """A loss with two minima, the points visited, and the basin every start belongs to."""

    def __init__(self, landscape):
        self.figure, axes = new_figure(2, 1, height=4.2, sharex=True, height_ratios=(5, 1))
        hills, strip = axes
        grid = np.linspace(*landscape.domain, 500)
        hills.plot(grid, landscape.loss(grid), color=GREY)
        heights = landscape.loss(np.array(landscape.minima))
        for minimum, height, colour in zip(landscape.minima, heights, (ORANGE, BLUE)):
            hills.plot(minimum, height, "*", color=colour, markersize=14, zorder=5)
        self.landscape = landscape
        (self.path,) = hills.plot(
            [], [], "o-", color=VERMILLION, linewidth=1, markersize=4, animated=True
        )
        (self.start,) = hills.plot([], [], "s", color=VERMILLION, markersize=8, animated=True)
        self.words = hills.text(
            0.99, 0.97, "", transform=hills.transAxes, ha="right", va="top", animated=True
        )
        hills.set(ylabel="loss f(x)", xlim=landscape.domain, ylim=(-1.1, 0.75))
        self.basins = [
            strip.plot([], [], marker, color=colour, markersize=6, animated=True)[0]
            for marker, colour in (("|", ORANGE), ("_", BLUE), ("x", SKY))
        ]
        for basin in self.basins:
            basin.set_linestyle("none")
        strip.set(ylim=(-0.8, 2.8), xlabel="weight x: start here, end in ...")
        strip.set_yticks((2, 1, 0), ("sharp", "flat", "unsettled"))

    def draw(self, path, starts, basins, words, **_):
        """Move to the points `path`; `basins` (starts,) holds 0, 1, or 2 for unsettled."""
        self.path.set_data(path, self.landscape.loss(path))
        self.start.set_data(path[:1], self.landscape.loss(path[:1]))
        for number, line in enumerate(self.basins):
            here = starts[basins == number]
            line.set_data(here, np.full(len(here), 2 - number))
        self.words.set_text(words)
