"""Interactive views: a pure function of the sliders' values, a picture, and the sliders.

Each view comes in three parts. `..._numbers(...)` computes what the picture shows from plain
numbers; `..._figure(...)` draws it once, for print; `explore_...()` puts sliders in front.
"""

import io

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from utils import descent, landscapes, pictures

WELLS = landscapes.wells()


class View(ipywidgets.VBox):
    """Sliders above a picture and a sentence; moving one redraws only what moves.

    Parameters
    ----------
    numbers : callable
        Takes the sliders' values by name, returns a dict for the picture, in which "summary"
        is a sentence for the reader.
    picture : object
        Has a `figure` and a method `draw(**numbers)`.
    **controls : ipywidgets.Widget
        One for each argument of `numbers`.
    """

    def __init__(self, numbers, picture, **controls):
        self.numbers, self.picture, self.controls = numbers, picture, controls
        self.canvas = FigureCanvasAgg(picture.figure)
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(picture.figure.bbox)
        self.moving = picture.figure.findobj(lambda artist: artist.get_animated())
        width = f"{self.canvas.get_width_height()[0]}px"
        self.image = ipywidgets.Image(format="png", layout={"width": width, "max_width": "100%"})
        self.sentence = ipywidgets.HTML()
        for control in controls.values():
            control.observe(self.redraw, names="value")
        self.redraw()
        super().__init__([*controls.values(), self.image, self.sentence])

    def redraw(self, change=None):
        """Draw the picture for where the sliders are now."""
        values = {name: control.value for name, control in self.controls.items()}
        numbers = self.numbers(**values)
        self.picture.draw(**numbers)
        self.canvas.restore_region(self.background)
        for artist in self.moving:
            self.picture.figure.draw_artist(artist)
        self.image.value = _png(self.canvas)
        self.sentence.value = f'<div role="status">{numbers["summary"]}</div>'

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = "An interactive view: run this cell to move its sliders."
        return bundle


def _png(canvas):
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    buffer = io.BytesIO()
    pixels.save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _slider(kind, description, **options):
    return kind(
        description=description,
        style={"description_width": "11em"},
        layout={"width": "36em", "max_width": "95%"},
        **options,
    )


def _log_slider(description, value, low, high, per_decade=40):
    return _slider(
        ipywidgets.FloatLogSlider,
        description,
        value=value,
        min=np.log10(low),
        max=np.log10(high),
        step=1 / per_decade,
        readout_format=".3g",
    )


def parabola_numbers(learning_rate, curvature, steps=20):
    """Descend f(x) = λx²/2 from x = 10 and say what happens."""
    loss = landscapes.parabola(curvature)
    path = descent.gradient_descent(loss.gradient, 10.0, learning_rate, steps)
    factor = descent.multiplier(learning_rate, curvature)
    regime = descent.regime(learning_rate, curvature)
    needed = descent.steps_to_tolerance(learning_rate, curvature, 10.0, 0.1)
    arrival = f"after {needed} updates" if np.isfinite(needed) else "never"
    return {
        "path": path,
        "curvature": curvature,
        "words": f"η = {learning_rate:.3g}, λ = {curvature:.3g}\n1 − ηλ = {factor:+.3g}: {regime}",
        "summary": f"Each update multiplies x by 1 − ηλ = {factor:+.3f}: descent <b>{regime}</b>."
        f" The stability limit is 2/λ = {descent.stability_limit(curvature):.3g}."
        f" |x| falls below 0.1: <b>{arrival}</b>.",
    }


def parabola_figure(learning_rate, curvature):
    """Return the parabola view as a still figure."""
    return _still(pictures.ParabolaPicture(), parabola_numbers(learning_rate, curvature))


def explore_parabola():
    """Return the parabola view with sliders for the learning rate and the curvature."""
    return View(
        parabola_numbers,
        pictures.ParabolaPicture(),
        learning_rate=_log_slider("learning rate η", 0.02, 0.01, 100),
        curvature=_log_slider("curvature λ", 2.0, 0.02, 2),
    )


def ravine_numbers(learning_rate, condition, angle, steps=40):
    """Descend a ravine of largest curvature 4 and condition number κ from a circle of radius 3."""
    curvatures = (4.0, 4.0 / condition)
    start = 3 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])

    def gradient(point):
        return landscapes.ravine_gradient(point, curvatures)

    factors = tuple(descent.multiplier(learning_rate, curvature) for curvature in curvatures)
    slowest = max(map(abs, factors))
    best = descent.fastest_learning_rate(*curvatures)
    if slowest < 1:
        needed = np.log(0.1) / np.log(slowest) if slowest > 0 else 1
        verdict = f"the slower direction needs {needed:.1f} updates for each factor of ten"
    else:
        verdict = "descent diverges along the steep direction, whatever the flat one does"
    return {
        "path": descent.gradient_descent(gradient, start, learning_rate, steps),
        "curvatures": curvatures,
        "multipliers": factors,
        "summary": f"Limit 2/L = 0.5, fastest 2/(L+μ) = {best:.3f}; at η = {learning_rate:.3f}, "
        f"from ({start[0]:.2f}, {start[1]:.2f}), <b>{verdict}</b>.",
    }


def ravine_figure(learning_rate, condition, angle=60):
    """Return the ravine view as a still figure."""
    return _still(pictures.RavinePicture(), ravine_numbers(learning_rate, condition, angle))


def explore_ravine():
    """Return the ravine view with sliders for learning rate, condition number and start."""
    return View(
        ravine_numbers,
        pictures.RavinePicture(),
        learning_rate=_slider(
            ipywidgets.FloatSlider, "learning rate η", value=0.05, min=0.005, max=0.6, step=0.005,
            readout_format=".3f",
        ),
        condition=_log_slider("condition number κ", 20.0, 1, 100),
        angle=_slider(ipywidgets.IntSlider, "start, degrees", value=60, min=0, max=90, step=5),
    )  # fmt: skip


def wells_numbers(learning_rate, start, steps=300, shown=60):
    """Descend a loss with a sharp and a flat minimum from one start and from everywhere."""
    starts = np.linspace(*WELLS.domain, 156)
    everywhere = np.append(starts, start)
    path = descent.gradient_descent(WELLS.gradient, everywhere, learning_rate, steps)
    misses = np.abs(path[-1][:, np.newaxis] - np.array(WELLS.minima))
    endings = np.where(misses.min(axis=1) < 0.01, misses.argmin(axis=1), 2)
    limits = [descent.stability_limit(float(WELLS.curvature(m))) for m in WELLS.minima]
    allowed = [
        f"{name} minimum, 2/f″ = {limit:.3g}: {'can' if learning_rate < limit else 'cannot'} settle"
        for name, limit in zip(("sharp", "flat"), limits)
    ]
    ending = (
        "settles in the sharp minimum",
        "settles in the flat minimum",
        f"is still unsettled after {steps} updates",
    )
    return {
        "path": path[: shown + 1, -1],
        "starts": starts,
        "basins": endings[:-1],
        "words": f"η = {learning_rate:.3g}\n" + "\n".join(allowed),
        "summary": f"From x = {start:.2f} at η = {learning_rate:.3g}, descent "
        f"<b>{ending[endings[-1]]}</b>; of all starts drawn, "
        f"{np.mean(endings[:-1] == 0):.0%} end in the sharp minimum and "
        f"{np.mean(endings[:-1] == 1):.0%} in the flat one.",
    }


def wells_figure(learning_rate, start=-1.2):
    """Return the view of the two wells as a still figure."""
    return _still(pictures.WellsPicture(WELLS), wells_numbers(learning_rate, start))


def explore_wells():
    """Return the view of the two wells with sliders for learning rate and start."""
    low, high = WELLS.domain
    return View(
        wells_numbers,
        pictures.WellsPicture(WELLS),
        learning_rate=_log_slider("learning rate η", 0.02, 0.01, 3),
        start=_slider(ipywidgets.FloatSlider, "start x", value=-1.2, min=low, max=high, step=0.05),
    )


def _still(picture, numbers):
    picture.draw(**numbers)
    return picture.figure
