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

from lrsweep._examples import Examples, Stream


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
    last_epoch : int
        The place in `history` of the epoch whose weights one would go on with: the last, or
        the best where a callback restores it. -1 if there is none.
    """

    history: dict
    diverged: bool
    last_epoch: int


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, for how long; a learning rate and a seed complete it.

    Attributes
    ----------
    build_model : callable
        Takes nothing, returns a compiled Keras model.
    train, validation : Examples or Stream
    epochs, batch_size : int
        As for Keras's `fit`; the last batch of an epoch may be smaller.
    shuffle : bool
        Whether the examples come in a new order in each epoch.
    """

    build_model: Callable
    train: Examples | Stream
    validation: Examples | Stream
    epochs: int
    batch_size: int
    shuffle: bool = True

    @property
    def updates(self):
        """The number of changes of the weights in the whole training."""
        if isinstance(self.train, Stream):
            return self.epochs * self.train.count()
        return self.epochs * math.ceil(len(self.train) / self.batch_size)

    def train_batches(self, seed, epoch):
        """Yield the training batches of an epoch: the same for every rate."""
        if isinstance(self.train, Stream):
            return self.train.batches()
        return self.train.batches(self.batch_size, self.order(seed, epoch))

    def held_out_batches(self):
        """Yield the validation batches."""
        if isinstance(self.validation, Stream):
            return self.validation.batches()
        return self.validation.batches(self.batch_size)

    def build(self, seed):
        """Return a new model whose weights depend on nothing but the seed.

        It is built as `fit` does it, from shapes alone, so that no layer is called on numbers.

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
        model._symbolic_build(data_batch=self._first_batch())
        return model

    def _first_batch(self):
        stream = isinstance(self.train, Stream)
        batches = self.train.batches() if stream else self.train.batches(self.batch_size)
        x, y, *weights = next(iter(batches))
        return (x, y, weights[0] if weights else None)

    def order(self, seed, epoch):
        """Return the order of the examples, of shape (examples,): the same for every rate."""
        if not self.shuffle:
            return np.arange(len(self.train))
        return np.random.default_rng((seed, epoch)).permutation(len(self.train))


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule multiplied by a number, which is kept in a variable."""

    def __init__(self, schedule, factor):
        self.schedule = schedule
        self.factor = keras.Variable(factor, dtype="float32", trainable=False)

    def __call__(self, step):
        return self.factor.value * tf.cast(self.schedule(step), "float32")

    def get_config(self):
        return {}


def own_learning_rate(optimizer):
    """Return the variable or schedule that an optimizer, or the one it wraps, was made with.

    It is None where there is none, as in an optimizer that is made of several.
    """
    if not hasattr(optimizer, "learning_rate"):
        return None
    return getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)


def rate_variable(optimizer, experiment):
    """Return the variable that holds an optimizer's learning rate, and what a rate becomes in it.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        One made with a number has such a variable. One made with a schedule keeps its shape: it
        is multiplied by a variable, so that its largest value in this training is the rate.
    experiment : Experiment
        Says how long the training is, which is asked only if there is a schedule.

    Returns
    -------
    variable : keras.Variable
    scale : float
        What to multiply a learning rate by before it is assigned.

    Raises
    ------
    ValueError
        If the optimizer has neither, or if its schedule is never positive.
    """
    own = own_learning_rate(optimizer)
    if isinstance(own, ScaledSchedule):
        return own.factor, 1 / schedule_peak(own.schedule, experiment.updates)
    if isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        scaled = ScaledSchedule(own, 1.0)
        optimizer.learning_rate = scaled
        return scaled.factor, 1 / schedule_peak(own, experiment.updates)
    if isinstance(own, keras.Variable):
        return own, 1.0
    raise ValueError(
        "the optimizer must have one learning rate, a number or a schedule, "
        f"for a sweep to set it; this {type(optimizer).__name__} has not"
    )


def schedule_peak(schedule, updates):
    """Return the largest learning rate of a schedule in its first updates."""

    def as_float(step):
        return tf.cast(schedule(step), "float32")

    rates = tf.function(lambda steps: tf.map_fn(as_float, steps, fn_output_signature=tf.float32))
    peak = float(np.max(rates(tf.range(updates, dtype="int64")).numpy()))
    if not (math.isfinite(peak) and peak > 0):
        raise ValueError(f"the schedule's largest learning rate must be positive, got {peak}")
    return peak


def traced_step(step, examples, eager=False):
    """Trace a step of Keras's loop once for batches of any size.

    Parameters
    ----------
    step : callable
        A model's `train_step` or `test_step`.
    examples : Examples or Stream
        Where the batches come from.
    eager : bool
        Leave it as it is, for a model compiled with `run_eagerly=True`.

    Returns
    -------
    callable
        Takes the parts of a batch, returns the metrics since they were last reset.
    """
    if eager:
        return lambda *parts: step(tf.nest.map_structure(tf.convert_to_tensor, parts))
    traced = tf.function(lambda *parts: step(parts), autograph=False)
    traced = traced.get_concrete_function(*examples.specs())
    return lambda *parts: traced(*tf.nest.map_structure(tf.convert_to_tensor, parts))
