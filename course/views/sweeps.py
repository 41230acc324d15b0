"""The views of lesson 5: a whole sweep at each change, and a range test with known theory."""

import functools
from dataclasses import replace

import ipywidgets
import numpy as np

from course.views._view import View, slider, still
from lrsweep import RangeTest, choose_learning_rate, sweep_learning_rates
from utils.data import load_split
from utils.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    LINES,
    ORANGE,
    PURPLE,
    VERMILLION,
    course_style,
    new_figure,
)

OPTIMIZERS = ("SGD", "SGD, momentum 0.9", "RMSprop", "Adam", "AdamW")
RATES = np.geomspace(1e-4, 10, 40)
EPOCHS = 40  # of every sweep; fewer are a look back into it
CURVATURES = np.geomspace(0.001, 1, 20)  # of the range test's loss; the largest is 1


class SweepPicture:
    """Validation loss and accuracy against the learning rate, seeds as dots, means as lines."""

    @course_style()
    def __init__(self):
        self.figure, axes = new_figure(1, 2, height=3.6)
        self.panels = []
        for panel, label in zip(axes, ("validation loss", "validation accuracy")):
            panel.set(xscale="log", xlabel="learning rate η", ylabel=label)
            panel.set(xlim=(RATES[0] / 1.5, RATES[-1] * 1.5))
            (seeds,) = panel.plot([], [], ".", color=BLUE, markersize=3, alpha=0.35, animated=True)
            (mean,) = panel.plot([], [], "-", color=BLUE, linewidth=2, animated=True)
            chosen = panel.axvline(np.nan, color=VERMILLION, linestyle="--", animated=True)
            self.panels.append((seeds, mean, chosen))
        axes[0].set(yscale="log", ylim=(0.01, 20))
        axes[1].set(ylim=(0, 1.05))
        names = ("a seed", "mean of seeds", "chosen rate")
        self.figure.legend(self.panels[0], names, loc="outside upper center", ncols=3)

    def draw(self, losses, accuracies, chosen, **_):
        """Move to arrays of shape (rates, seeds), and to the chosen rate, nan if there is none."""
        for values, (seeds, mean, line) in zip((losses, accuracies), self.panels):
            rates = np.broadcast_to(RATES[:, np.newaxis], values.shape)
            seeds.set_data(rates.ravel(), values.ravel())
            mean.set_data(RATES, values.mean(axis=1))
            line.set_xdata([chosen, chosen])


@functools.lru_cache(maxsize=64)
def _sweep(optimizer, batch_size, standardised):
    import keras

    split = load_split("iris", standardised)

    def build_model():
        layers = keras.layers
        hidden = [layers.Dense(50, "relu"), layers.Dense(12, "relu"), layers.Dense(3, "softmax")]
        model = keras.Sequential([keras.Input((4,)), *hidden])
        if optimizer == "SGD, momentum 0.9":
            chosen = keras.optimizers.SGD(0.01, momentum=0.9)
        else:
            chosen = keras.optimizers.get(optimizer)
        model.compile(chosen, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    return sweep_learning_rates(
        build_model,
        RATES,
        (split.x_train, split.y_train),
        (split.x_validation, split.y_validation),
        epochs=EPOCHS,
        batch_size=batch_size,
        progress=False,
    )


def _after(result, epochs):
    """Return what a sweep had measured after some epochs: all that a shorter one would have."""
    metrics = {name: values[:, :, :epochs] for name, values in result.metrics.items()}
    return replace(result, metrics=metrics, diverged=np.isnan(metrics["loss"][:, :, -1]))


def sweep_numbers(optimizer, batch_size, epochs, standardised):
    """Sweep the Iris network over 40 learning rates with 5 seeds each."""
    result = _after(_sweep(optimizer, batch_size, standardised), epochs)
    try:
        choice = choose_learning_rate(result)
        chosen, words = choice.learning_rate, choice.explanation
    except ValueError as refusal:
        chosen, words = np.nan, f"No choice: {refusal}."
    return {
        "losses": result.metrics["val_loss"][:, :, -1],
        "accuracies": result.metrics["val_accuracy"][:, :, -1],
        "chosen": chosen,
        "summary": f"200 models trained with {optimizer}. {words}",
    }


def sweep_figure(optimizer, batch_size, epochs, standardised):
    """Return the sweep explorer as a still figure."""
    return still(SweepPicture(), sweep_numbers(optimizer, batch_size, epochs, standardised))


def explore_sweep():
    """Return the sweep explorer; each change, but of the epochs, trains 200 models anew."""
    return View(
        sweep_numbers,
        SweepPicture(),
        optimizer=slider(ipywidgets.Dropdown, "optimizer", options=OPTIMIZERS),
        batch_size=slider(
            ipywidgets.SelectionSlider, "batch size", options=(16, 32, 64, 90), value=32,
            continuous_update=False,
        ),
        epochs=slider(ipywidgets.IntSlider, "epochs", value=20, min=1, max=EPOCHS),
        standardised=slider(ipywidgets.Checkbox, "standardised inputs", value=True, indent=False),
    )  # fmt: skip


class RangeTestPicture:
    """The losses of a range test, its two suggestions, and what theory says of it."""

    @course_style()
    def __init__(self):
        self.figure, axes = new_figure(height=3.8)
        (self.batches,) = axes.plot([], [], ".", color=GREY, markersize=4, animated=True)
        (self.curve,) = axes.plot([], [], color=BLUE, animated=True)
        looks = zip((VERMILLION, VERMILLION, PURPLE, GREEN), LINES[:4], range(4))
        self.marks = [
            axes.axvline(np.nan, color=c, linestyle=style, linewidth=1.5, animated=True)
            for c, style, _ in looks
        ]
        axes.axvline(2, color=ORANGE, linewidth=4, alpha=0.5)
        axes.set(xscale="log", xlim=(1e-3, 1e2), yscale="log", ylim=(3e-3, 3))
        axes.set(xlabel="learning rate η", ylabel="loss / loss at the start")
        names = ("minimum", "minimum / 10", "steepest", "ln q / (2L)")
        handles = [*self.marks, axes.lines[-1]]
        axes.legend(handles, [*names, "limit 2/L"], loc="center left", bbox_to_anchor=(1, 0.5))

    def draw(self, rates, losses, smoothed, marks, **_):
        """Move to the test's losses (updates,) and to four learning rates."""
        self.batches.set_data(rates, losses)
        self.curve.set_data(rates, smoothed)
        for line, rate in zip(self.marks, marks):
            line.set_xdata([rate, rate])


def range_test_numbers(updates, noise, memory, explosion=4.0):
    """Run a range test on a quadratic loss of 20 curvatures, the largest 1."""
    rates, random = np.geomspace(1e-3, 100, updates), np.random.default_rng(0)
    x, losses = np.ones(len(CURVATURES)), []
    for rate in rates:
        losses.append(CURVATURES @ np.square(x) / CURVATURES.sum())
        if losses[-1] > explosion * min(losses):
            break
        x = x - rate * (CURVATURES * x + noise * random.normal(size=x.size))
    test = RangeTest(rates[: len(losses)], np.array(losses), memory=memory)
    minimum = test.learning_rates[np.argmin(test.smoothed)]
    slopes = np.gradient(test.smoothed, np.log(test.learning_rates))
    steepest = test.learning_rates[np.argmin(slopes)]
    factor = (100 / 1e-3) ** (1 / (updates - 1))
    theory = np.log(factor) / 2
    return {
        "rates": test.learning_rates,
        "losses": test.losses,
        "smoothed": test.smoothed,
        "marks": (minimum, minimum / 10, steepest, theory),
        "summary": f"Each rate is {factor:.3f} times the one before. The smallest loss is at "
        f"η = {minimum:.3g}, <b>{minimum / 2:.1f} times</b> the stability limit 2/L = 2; a tenth "
        f"of it is {minimum / 10:.3g}. The steepest point is at {steepest:.3g}.",
    }


def range_test_figure(updates, noise, memory):
    """Return the range-test explorer as a still figure."""
    return still(RangeTestPicture(), range_test_numbers(updates, noise, memory))


def explore_range_test():
    """Return the range-test explorer with sliders for its length, its noise and its smoothing."""
    return View(
        range_test_numbers,
        RangeTestPicture(),
        updates=slider(ipywidgets.IntSlider, "updates", value=100, min=30, max=400, step=10),
        noise=slider(ipywidgets.FloatSlider, "noise", value=0.0, min=0, max=0.3, step=0.01),
        memory=slider(ipywidgets.FloatSlider, "smoothing", value=0.0, min=0, max=0.98, step=0.02),
    )
