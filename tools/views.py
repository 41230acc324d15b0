"""The views of the lessons for pages without a kernel: some positions, kept as pictures.

`site/views.js` turns them when a reader moves a control.
"""

import io
import itertools
import json
import math
import re
from html import escape

from PIL import Image

from course.views import curvature, descent, optimizers, schedules, sweeps, transfer
from course.views._view import with_minus

MODULES = (descent, optimizers, schedules, sweeps, transfer, curvature)

COLOURS = 64  # of a kept picture: anti-aliased lines in the course's eight colours need no more
ELSEWHERE = "On this page the controls stop at some values only. In a notebook they move freely:"
POSITIONS = {  # the controls that move on a page, and where they stop; all others rest
    "explore_parabola": {
        "learning_rate": [
            0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0,
            1.05, 1.1, 1.5, 2.0, 5.0, 9.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0,
        ],
        "curvature": [0.02, 0.2, 2.0],
    },
    "explore_ravine": {
        "learning_rate": [
            0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.475, 0.49, 0.5, 0.51, 0.6,
        ],
        "condition": [1.0, 20.0, 100.0],
        "angle": [60, 90],
    },
    "explore_wells": {
        "learning_rate": [
            0.01, 0.02, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.14, 0.15, 0.2, 0.3, 0.5, 0.8, 1.0,
            1.2, 1.3, 1.5, 2.0, 3.0,
        ],
        "start": [-1.8, -1.2, 0.0, 3.0],
    },
    "explore_race": {
        "learning_rate": [
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0,
        ],
        "loss_scale": [0.01, 1.0, 100.0],
    },
    "explore_mixer": {
        "family": None,
        "initial": [0.05, 0.125, 0.19, 0.395, 0.6, 1.0, 1.4, 2.0],
        "updates": [1000, 4000],
    },
    "explore_sweep": {
        "optimizer": None,
        "epochs": [1, 5, 10, 20, 40],
        "standardised": [False, True],
    },
    "explore_range_test": {
        "updates": [50, 100, 200, 400],
        "noise": [0.0, 0.05, 0.1, 0.2, 0.3],
        "memory": [0.0, 0.5, 0.9],
    },
    "explore_replay": {"show": None, "epochs": [1, 2, 3, 4, 5, 7, 10], "pick": None},
    "explore_edge": {"learning_rate": None, "warm_up": None},
    "explore_batch": {
        "optimizer": None,
        "rate": [0.01, 0.3],
        "new_batch": [8, 16, 32, 64, 128, 256, 512, 1024],
        "cap": [1.2, 2.4],
    },
}  # fmt: skip


def positions(name, view):
    """Return {control: its values} of a view; None stands for all that a control offers."""
    return {
        control: list(view.controls[control].options) if values is None else values
        for control, values in POSITIONS[name].items()
    }


def keep(name, folder, colab):
    """Write the pictures of a view into a folder, and return the view as HTML.

    Parameters
    ----------
    name : str
        Of the function in `course.views` that makes it.
    folder : path
        Of the pictures of all views. The site has it as `_views`, beside the lessons' folder.
    colab : str
        Where the lesson runs.

    Returns
    -------
    str
    """
    (module,) = (module for module in MODULES if hasattr(module, name))
    view = getattr(module, name)()
    stops = positions(name, view)
    start = [values.index(view.controls[control].value) for control, values in stops.items()]
    words = {}
    (folder / name).mkdir(parents=True)
    for at in itertools.product(*(range(len(values)) for values in stops.values())):
        for (control, values), place in zip(stops.items(), at):
            _move(view.controls[control], values[place])
        key = "-".join(map(str, at))
        words[key] = re.sub("</?div[^>]*>", "", view.sentence.value)  # the page has its own
        picture = Image.open(io.BytesIO(view.image.value))
        picture = picture.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        picture.save(folder / name / f"{key}.png")
    first = "-".join(map(str, start))
    controls = [
        _control(view.controls[control].description, values, place)
        for (control, values), place in zip(stops.items(), start)
    ]
    return "\n".join(
        [
            f'<div class="view" data-pictures="../_views/{name}">',
            *controls,
            f'<img src="../_views/{name}/{first}.png" alt="{re.sub("<[^>]+>", "", words[first])}">',
            f'<div role="status">{words[first]}</div>',
            f'<p>{ELSEWHERE} <a class="reference" href="{colab}">Open in Colab</a></p>',
            f'<script type="application/json">{_script(words)}</script>',
            "</div>",
        ]
    )


def _move(control, value):
    """Set a control; one beyond its range would stop at its end and say nothing."""
    control.value = value
    stopped = control.value
    if stopped != value and not math.isclose(stopped, value):
        raise ValueError(f"{control.description} cannot be {value}, it stops at {stopped}")


def _control(label, values, place):
    """Return a list of words, or a slider whose stops are numbers."""
    shown = [_shown(value) for value in values]
    if isinstance(values[0], (str, bool)):
        options = "".join(
            f"<option{' selected' * (i == place)}>{escape(word)}</option>"
            for i, word in enumerate(shown)
        )
        return f"<label><span>{label}</span><select>{options}</select></label>"
    return (
        f'<label><span>{label}</span><input type="range" max="{len(values) - 1}" value="{place}" '
        f"data-stops='{json.dumps(shown)}'><b>{shown[place]}</b></label>"
    )


def _shown(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else with_minus(f"{value:.4g}")


def _script(data):
    return json.dumps(data, ensure_ascii=False).replace("</", r"<\/")
