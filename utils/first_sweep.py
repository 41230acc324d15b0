"""Where to begin: a centre and a range for the first sweep of a model that nobody has tuned.

Lesson 8.
"""

from dataclasses import dataclass

import numpy as np

from utils import checks

CENTRES = {"SGD": 0.1, "momentum": 0.01, "Adam": 0.01}
ADAPTIVE = ("Adam",)
AS_ADAM = ("Adam", "AdamW", "Nadam", "RMSprop")  # they begin where Adam does
MOMENTUM = 0.7  # from here on, SGD's factor 1 / (1 - momentum) is nearer to 10 than to 1
BATCH, WIDTH, UPDATES = 32, 64, 300  # for which the centres were chosen
CAP = 4.0  # SGD's rule of proportion ends about here (lesson 7)
REACH, COUNT = 30.0, 8  # from centre/30 to 30 times the centre, in eight rates


@dataclass(frozen=True)
class FirstSweep:
    """What to sweep first.

    Attributes
    ----------
    centre : float
    learning_rates : array of shape (8,)
        From a thirtieth of the centre to 30 times it, in equal factors.
    factors : tuple of (str, float, str)
        What each factor is for, its size, and why; their product is the centre.
    """

    centre: float
    learning_rates: np.ndarray
    factors: tuple

    def __str__(self):
        lines = [
            f"{size:<8.3g} {what}: {why if size != 1 else 'as usual'}"
            for what, size, why in self.factors
        ]
        low, high = self.learning_rates[[0, -1]]
        return "\n".join([*lines, f"centre {self.centre:.2g}: sweep {low:.2g} to {high:.2g}"])


def first_sweep(optimizer, batch_size=32, width=64, updates=300, fine_tuning=False):
    """Return a centre and a range for the first sweep, with inputs that are standardised.

    Parameters
    ----------
    optimizer : str or Keras optimizer
        "SGD", "momentum" (SGD with 0.9) or "Adam"; or one of these as it is in a model. AdamW,
        Nadam and RMSprop count as Adam.
    batch_size : int
    width : int
        Units of the widest hidden layer.
    updates : int
        In the whole training: epochs times batches.
    fine_tuning : bool
        Whether the weights were trained before, for another task.

    Returns
    -------
    FirstSweep
    """
    optimizer = checks.one_of("optimizer", _kind(optimizer), CENTRES)
    adaptive = optimizer in ADAPTIVE
    batch = checks.whole_number("batch_size", batch_size) / BATCH
    width = checks.whole_number("width", width)
    updates = checks.whole_number("updates", updates)
    fine_tuning = checks.true_or_false("fine_tuning", fine_tuning)
    factors = [
        ("optimizer", CENTRES[optimizer], f"{optimizer} on standardised inputs (lessons 3 and 5)"),
        ("batch", batch**0.5 if adaptive else min(batch, CAP), _batch(adaptive)),
        ("width", min(1.0, WIDTH / width) if adaptive else 1.0, _width(adaptive)),
        ("budget", _budget(updates), "less time wants larger steps, more time less noise (4)"),
        ("fine-tuning", 1 / REACH if fine_tuning else 1.0, "trained weights break easily (6)"),
    ]
    centre = float(np.prod([size for _, size, _ in factors]))
    rates = np.geomspace(centre / REACH, centre * REACH, COUNT)
    return FirstSweep(centre, rates, tuple(factors))


def _kind(optimizer):
    """Return what `CENTRES` calls a Keras optimizer; anything else as it is."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    name = type(optimizer).__name__
    if name == "SGD":
        return "momentum" if optimizer.momentum >= MOMENTUM else "SGD"
    if name in AS_ADAM:
        return "Adam"
    return name if hasattr(optimizer, "learning_rate") else optimizer


def _batch(adaptive):
    return "the root of the batch (7)" if adaptive else "in proportion, up to 4 times (7)"


def _width(adaptive):
    return "more units move together (7)" if adaptive else "plain SGD's best rate stayed (7)"


def _budget(updates):
    return 3.0 if updates < UPDATES / 3 else 1 / 3 if updates > 10 * UPDATES else 1.0
