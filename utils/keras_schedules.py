"""The schedules of `utils.schedules` as Keras objects, for `SGD(learning_rate=...)`.

Lesson 4.

Keras has most of them. The two classes here add a warm-up in front of any schedule, and a
constant rate with a linear end. Both are registered, so a saved model loads again in any
program that has imported this module.
"""

import keras
from keras import ops
from keras.optimizers import schedules

from utils import checks
from utils.schedules import make_schedule


@keras.saving.register_keras_serializable(package="learning_rate_course")
class WarmUp(schedules.LearningRateSchedule):
    """A linear rise from zero over `updates` updates, followed by any Keras schedule.

    Parameters
    ----------
    schedule : keras.optimizers.schedules.LearningRateSchedule
        Starts after the rise, at the rate where the rise ends.
    updates : int
        Length of the rise.
    """

    def __init__(self, schedule, updates):
        super().__init__()
        if not isinstance(schedule, schedules.LearningRateSchedule):
            raise ValueError(f"schedule must be a Keras schedule, got {schedule!r}")
        self.schedule = schedule
        self.updates = checks.whole_number("updates", updates)

    def __call__(self, step):
        """Return the rate for update `step`; only `ops`, so that it works inside `fit`."""
        step = ops.cast(step, "float32")
        peak = self.schedule(ops.zeros_like(step))
        later = self.schedule(ops.maximum(step - self.updates, 0.0))
        return ops.where(step < self.updates, peak * step / self.updates, later)

    def get_config(self):
        """Return what a saved model needs to build the same schedule again."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "updates": self.updates}

    @classmethod
    def from_config(cls, config):
        """Build the schedule from the result of `get_config`."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["updates"])


@keras.saving.register_keras_serializable(package="learning_rate_course")
class StableThenDecay(schedules.LearningRateSchedule):
    """A constant rate that falls linearly to zero over the last share of the updates.

    Parameters
    ----------
    initial_learning_rate : float
        Positive.
    updates : int
        When the rate is zero.
    cooldown : float
        The share of the updates in which it falls, between 0 and 1.
    """

    def __init__(self, initial_learning_rate, updates, cooldown=0.2):
        super().__init__()
        rate = checks.positive_number("initial_learning_rate", initial_learning_rate)
        self.initial_learning_rate = rate
        self.updates = checks.whole_number("updates", updates)
        self.cooldown = checks.fraction("cooldown", cooldown)

    def __call__(self, step):
        """Return the rate for update `step`; only `ops`, so that it works inside `fit`."""
        left = 1 - ops.cast(step, "float32") / self.updates
        return self.initial_learning_rate * ops.clip(left / self.cooldown, 0.0, 1.0)

    def get_config(self):
        """Return what a saved model needs to build the same schedule again."""
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "updates": self.updates,
            "cooldown": self.cooldown,
        }


# The names of `utils.schedules.FAMILIES`. Keras computes in the type of the first number it
# is given, so `keras_schedule` makes it a float.
KERAS_FAMILIES = {
    "constant": lambda rate, updates: schedules.PolynomialDecay(rate, updates, rate),
    "inverse time": lambda rate, updates: schedules.InverseTimeDecay(rate, 1, 0.01),
    "1 % less per update": lambda rate, updates: schedules.ExponentialDecay(rate, 1, 0.99),
    "exponential to 1/100": lambda rate, updates: schedules.ExponentialDecay(rate, updates, 0.01),
    "steps of 1/10": lambda rate, updates: schedules.PiecewiseConstantDecay(
        [updates // 2, updates * 3 // 4], [rate, rate / 10, rate / 100]
    ),
    "cosine": schedules.CosineDecay,
    "cosine with 4 restarts": lambda rate, updates: schedules.CosineDecayRestarts(
        rate, -(-updates // 4), t_mul=1.0
    ),
    "restarts, growing": lambda rate, updates: schedules.CosineDecayRestarts(
        rate, -(-updates // 7), t_mul=2.0
    ),
    "linear to zero": lambda rate, updates: schedules.PolynomialDecay(rate, updates, 0.0),
    "quadratic to zero": lambda rate, updates: schedules.PolynomialDecay(
        rate, updates, 0.0, power=2.0
    ),
    "stable then decay": StableThenDecay,
    "one cycle": lambda rate, updates: schedules.CosineDecay(
        0.04 * rate,
        updates - max(1, updates // 4),
        warmup_target=rate,
        warmup_steps=max(1, updates // 4),
    ),
}


def keras_schedule(family, initial, updates, warm_up_updates=0):
    """Return the Keras form of `utils.schedules.make_schedule` with the same arguments.

    The rates agree to float32. "triangular" and "compounding (a mistake)" have no Keras form.

    Returns
    -------
    keras.optimizers.schedules.LearningRateSchedule
    """
    make = KERAS_FAMILIES[checks.one_of("family", family, KERAS_FAMILIES)]
    make_schedule(family, initial, updates, warm_up_updates)  # refuses bad arguments
    schedule = make(float(initial), int(updates - warm_up_updates))
    return WarmUp(schedule, warm_up_updates) if warm_up_updates else schedule
