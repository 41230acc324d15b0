"""Interactive views. Each comes in three parts, beside each other in one file.

`..._numbers(...)` computes what a picture shows from plain numbers; `..._figure(...)` draws it
once, for print; `explore_...()` puts sliders in front of it. A picture has a `figure` and a
method `draw(...)` that moves the lines and texts marked `animated`.

The views of `utils.widgets.sweeps` and `utils.widgets.transfer` need Keras, and are imported
when one is asked for.
"""

import importlib

from utils.widgets.descent import (
    explore_parabola,
    explore_ravine,
    explore_wells,
    parabola_figure,
    parabola_numbers,
    ravine_figure,
    ravine_numbers,
    wells_figure,
    wells_numbers,
)
from utils.widgets.optimizers import explore_race, race_figure, race_numbers
from utils.widgets.schedules import explore_mixer, mixer_figure, mixer_numbers

__all__ = [
    "explore_mixer",
    "explore_parabola",
    "explore_race",
    "explore_ravine",
    "explore_wells",
    "mixer_figure",
    "mixer_numbers",
    "parabola_figure",
    "parabola_numbers",
    "race_figure",
    "race_numbers",
    "ravine_figure",
    "ravine_numbers",
    "wells_figure",
    "wells_numbers",
]


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    room = "transfer" if "replay" in name else "sweeps"
    return getattr(importlib.import_module(f"utils.widgets.{room}"), name)
