"""What all interactive views share: sliders above a picture that redraws only what moves."""

import io
import re

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from utils.plotting.style import course_style


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

    @course_style()
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

    @course_style()
    def redraw(self, change=None):
        """Draw the picture for where the sliders are now."""
        values = {name: control.value for name, control in self.controls.items()}
        numbers = self.numbers(**values)
        self.picture.draw(**numbers)
        self.canvas.restore_region(self.background)
        for artist in self.moving:
            self.picture.figure.draw_artist(artist)
        self.image.value = _png(self.canvas)
        self.sentence.value = f'<div role="status">{with_minus(numbers["summary"])}</div>'

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


def with_minus(text):
    """Return a text whose negative numbers have a minus sign in place of a hyphen."""
    return re.sub(r"(?<!\w)-(?=\d)", "−", text)


def slider(kind, description, **options):
    """Return a control of the course's width whose label is read out."""
    return kind(
        description=description,
        style={"description_width": "11em"},
        layout={"width": "36em", "max_width": "95%"},
        **options,
    )


def log_slider(description, value, low, high, per_decade=40):
    """Return a slider whose steps multiply, for learning rates and the like."""
    return slider(
        ipywidgets.FloatLogSlider,
        description,
        value=value,
        min=np.log10(low),
        max=np.log10(high),
        step=1 / per_decade,
        readout_format=".3g",
    )


def still(picture, numbers):
    """Return a picture's figure, drawn once from the numbers."""
    picture.draw(**numbers)
    return picture.figure
