"""The view of lesson 3: four optimizers race down a ravine."""

import numpy as np

from course.views._view import View, log_slider, still
from utils import numpy_optimizers
from utils.losses import ravine_gradient, ravine_loss
from utils.plotting.style import COLOURS, GREEN, LINES, MARKERS, course_style, new_figure

RACERS = {
    "SGD": numpy_optimizers.sgd,
    "SGD, momentum 0.9": numpy_optimizers.momentum,
    "RMSprop": numpy_optimizers.rmsprop,
    "Adam": numpy_optimizers.adam,
}


class RacePicture:
    """The ravine from above with four paths, and the loss of each, in units of the start's."""

    @course_style()
    def __init__(self, updates=60, reach=3.4):
        self.figure, (above, losses) = new_figure(1, 2, height=4.0, width_ratios=(1, 1.15))
        grid = np.linspace(-reach, reach, 121)
        heights = ravine_loss(np.stack(np.meshgrid(grid, grid), axis=-1))
        levels = np.geomspace(heights.max() / 300, heights.max(), 8)
        above.contour(grid, grid, heights, levels=levels, colors="#d4d4d4", linewidths=1)
        above.plot(0, 0, "*", color=GREEN, markersize=13)
        arrow = {"arrowstyle": "-", "color": GREEN, "shrinkB": 6}
        above.annotate("minimum", (0, 0), (1.1, -1.7), color=GREEN, fontsize=10, arrowprops=arrow)
        above.set(xlim=(-reach, reach), ylim=(-reach, reach))
        above.set(xlabel="weight x₁ (steep direction)", ylabel="weight x₂ (flat direction)")
        losses.set(xlim=(0, updates), ylim=(1e-6, 1e4), yscale="log")
        losses.set(xlabel="update", ylabel="loss / loss at the start")
        self.lines = []
        for number, name in enumerate(RACERS):
            look = {"color": COLOURS[number], "linestyle": LINES[number], "animated": True}
            look |= {"marker": MARKERS[number], "markersize": 4, "linewidth": 1.3}
            if name == "Adam":  # it often walks where RMSprop does, whose path is a wide band
                look["markerfacecolor"] = "white"
            band = {"linewidth": 7, "alpha": 0.35, "linestyle": "-", "marker": ""}
            (path,) = above.plot(
                [], [], markevery=(2 * number, 8), **look | (band if name == "RMSprop" else {})
            )
            (loss,) = losses.plot([], [], **look, markevery=8, label=name)
            self.lines.append((path, loss))
        losses.legend(loc="upper right", fontsize=9, ncols=2)

    def draw(self, paths, losses, **_):
        """Move to the paths (updates + 1, 2) and losses (updates + 1,) of the four optimizers."""
        for (path_line, loss_line), path, loss in zip(self.lines, paths, losses):
            path_line.set_data(*path.T)
            loss_line.set_data(np.arange(len(loss)), np.clip(loss, 1e-12, 1e12))


def race_numbers(learning_rate, loss_scale, updates=60):
    """Let four optimizers descend the ravine, its loss multiplied by `loss_scale`."""
    start = np.array([2.8, 2.8])

    def gradient(point):
        return loss_scale * ravine_gradient(point)

    paths = [
        numpy_optimizers.follow(make(learning_rate), gradient, start, updates)
        for make in RACERS.values()
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        losses = [ravine_loss(path) / ravine_loss(start) for path in paths]
    ends = [np.nan_to_num(loss[-1], nan=np.inf, posinf=np.inf) for loss in losses]
    best = list(RACERS)[int(np.argmin(ends))]
    lost = [name for name, end in zip(RACERS, ends) if end > 1]
    trouble = f" The loss is now higher than at the start for {', '.join(lost)}." if lost else ""
    return {
        "paths": paths,
        "losses": losses,
        "summary": f"At η = {learning_rate:.3g} with the loss multiplied by {loss_scale:.3g}, "
        f"<b>{best}</b> has the lowest loss after {updates} updates, "
        f"{min(ends):.2g} of what it was at the start."
        f"{trouble}",
    }


def race_figure(learning_rate, loss_scale):
    """Return the race as a still figure."""
    return still(RacePicture(), race_numbers(learning_rate, loss_scale))


def explore_race():
    """Return the race with sliders for the learning rate and the scale of the loss."""
    return View(
        race_numbers,
        RacePicture(),
        learning_rate=log_slider("learning rate η", 0.01, 0.001, 1),
        loss_scale=log_slider("loss multiplied by", 1.0, 0.01, 100, per_decade=10),
    )
