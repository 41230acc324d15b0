"""What one training of a sweep is: model, examples, order of the batches, learning rate.

Both engines, `lrsweep._sequential` and `lrsweep._vectorized`, train what is described here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


class Trial(NamedTuple):
    """What tells one training of a sweep from the others."""

    learning_rate: float
    seed: int


class Outcome(NamedTuple):
    """What one training reported.

    Attributes
    ----------
    history : dict of list or array of shape (epochs,)
        By metric, what Keras reports for each epoch: "loss", "val_loss" and the compiled
        metrics. It ends before the first epoch with a loss that is not a finite number.
    diverged : bool
        Whether there was such an epoch.
    """

    history: dict
    diverged: bool


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, for how long; a learning rate and a seed complete it.

    Attributes
    ----------
    build_model : callable
        Takes nothing, returns a compiled Keras model.
    x, y, x_validation, y_validation : array of shape (examples, ...)
        Floats have Keras's float type.
    epochs, batch_size : int
        As for Keras's `fit`; the last batch of an epoch may be smaller.
    shuffle : bool
        Whether the examples come in a new order in each epoch.
    """

    build_model: Callable
    x: np.ndarray
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    epochs: int
    batch_size: int
    shuffle: bool

    @property
    def updates(self):
        """The number of changes of the weights in the whole training."""
        return self.epochs * math.ceil(len(self.x) / self.batch_size)

    def build(self, seed):
        """Return a new model whose weights depend on nothing but the seed.

        Raises
        ------
        ValueError
            If `build_model` returns anything but a compiled Keras model.
        """
        keras.utils.set_random_seed(seed)
        model = self.build_model()
        if not isinstance(model, keras.Model):
            raise ValueError(f"build_model must return a keras.Model, got {model!r}")
        if not model.compiled or model.optimizer is None:
            raise ValueError("build_model must return a compiled model: call model.compile first")
        if not model.built:
            model(self.x[:1])
        return model

    def order(self, seed, epoch):
        """Return the order of the examples, of shape (examples,): the same for every rate."""
        if not self.shuffle:
            return np.arange(len(self.x))
        return np.random.default_rng((seed, epoch)).permutation(len(self.x))


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule multiplied by a number, or by a column of numbers, one for each copy."""

    def __init__(self, schedule, factor):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        return self.factor * tf.cast(self.schedule(step), "float32")

    def get_config(self):
        return {}


def own_learning_rate(optimizer):
    """Return the variable or schedule that an optimizer, or the one it wraps, was made with.

    It is None where there is none, as in an optimizer that is made of several.
    """
    if not hasattr(optimizer, "learning_rate"):
        return None
    return getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)


def scaled_learning_rate(optimizer, rate, updates):
    """Return what to assign to `optimizer.learning_rate`, or to that of one like it.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        One made with a number gets another number. One made with a schedule keeps its shape:
        the schedule is multiplied so that its largest value in this training is the rate.
    rate : float or array of shape (copies, 1)
        One rate, or one for each copy.
    updates : int
        Length of the training.

    Raises
    ------
    ValueError
        If the optimizer has neither, or if its schedule is never positive.
    """
    own = own_learning_rate(optimizer)
    if isinstance(own, ScaledSchedule):
        own = own.schedule
    if isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        return ScaledSchedule(own, tf.constant(rate, "float32") / schedule_peak(own, updates))
    if not isinstance(own, keras.Variable):
        raise ValueError(
            "the optimizer must have one learning rate, a number or a schedule, "
            f"for a sweep to set it; this {type(optimizer).__name__} has not"
        )
    if np.ndim(rate) == 0:
        return float(rate)
    column = tf.constant(rate, "float32")
    return lambda: column


def schedule_peak(schedule, updates):
    """Return the largest learning rate of a schedule in its first updates."""

    def as_float(step):
        return tf.cast(schedule(step), "float32")

    rates = tf.function(lambda steps: tf.map_fn(as_float, steps, fn_output_signature=tf.float32))
    peak = float(np.max(rates(tf.range(updates, dtype="int64")).numpy()))
    if not (math.isfinite(peak) and peak > 0):
        raise ValueError(f"the schedule's largest learning rate must be positive, got {peak}")
    return peak


def traced_step(model, step, examples):
    """Trace a step of Keras's loop once for batches of any size.

    Parameters
    ----------
    model : keras.Model
    step : callable
        Its `train_step` or `test_step`.
    examples : pair of arrays
        As in the batches.

    Returns
    -------
    callable
        Takes the tensors x and y, returns the metrics since they were last reset.
    """
    if model.run_eagerly:
        return lambda x, y: step((x, y))
    specs = [tf.TensorSpec((None, *array.shape[1:]), array.dtype) for array in examples]
    traced = tf.function(lambda x, y: step((x, y)), autograph=False)
    return traced.get_concrete_function(*specs)
