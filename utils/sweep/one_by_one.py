"""One training after another, in plain Keras: the slow way that works for every model.

`Experiment` says what one training is. `train_one` is the loop that a learner would write,
and so defines the right answer; `utils.sweep.stacked` finds the same numbers faster.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf


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
        """Return a new model whose weights depend on nothing but the seed."""
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


def scaled_learning_rate(optimizer, rate, updates):
    """Return what to assign to `optimizer.learning_rate`, or to that of one like it.

    Parameters
    ----------
    optimizer : keras.optimizers.Optimizer
        One made with a number gets another number. One made with a schedule keeps its shape:
        the schedule is multiplied so that its largest value in this training is the rate.
    rate : float or array of shape (copies, 1)
        One rate, or one for each stacked copy.
    updates : int
        Length of the training.

    Raises
    ------
    ValueError
        If the optimizer has neither, or if its schedule is never positive.
    """
    own = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
    if isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        own = own.schedule if isinstance(own, ScaledSchedule) else own
        return ScaledSchedule(own, tf.constant(rate, "float32") / schedule_peak(own, updates))
    if not isinstance(own, keras.Variable) or not hasattr(optimizer, "learning_rate"):
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
    values = tf.function(
        lambda steps: tf.map_fn(
            lambda step: tf.cast(schedule(step), "float32"), steps, fn_output_signature=tf.float32
        )
    )(tf.range(updates, dtype="int64"))
    peak = float(np.max(values.numpy()))
    if not (math.isfinite(peak) and peak > 0):
        raise ValueError(f"the schedule's largest learning rate must be positive, got {peak}")
    return peak


def train_one(experiment, rate, seed, after_epochs=None):
    """Train one model at one learning rate.

    Returns
    -------
    history : dict of list
        By metric, what Keras reports for each epoch: "loss", "val_loss" and the compiled
        metrics. It ends before the first epoch with a loss that is not a finite number.
    diverged : bool
        Whether there was such an epoch.
    """
    model = experiment.build(seed)
    optimizer = model.optimizer
    optimizer.learning_rate = scaled_learning_rate(optimizer, rate, experiment.updates)
    history, size = {}, experiment.batch_size
    examples = experiment.x, experiment.y
    held_out = experiment.x_validation, experiment.y_validation
    train = traced_step(model, model.train_step, examples)
    test = traced_step(model, model.test_step, held_out)
    for epoch in range(experiment.epochs):
        rows = experiment.order(seed, epoch)
        logs = _one_pass(model, train, [array[rows] for array in examples], size)
        validation = _one_pass(model, test, held_out, size)
        logs |= {f"val_{name}": value for name, value in validation.items()}
        if not math.isfinite(logs["loss"] + logs["val_loss"]):
            return history, True
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if after_epochs:
            after_epochs(1)
    return history, False


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


def train_here(experiment, trials, record, after_epochs):
    """Train in this process; `record(trial, history, diverged)` is called after each training."""
    for rate, seed in trials:
        record((rate, seed), *train_one(experiment, rate, seed, after_epochs))


def _one_pass(model, step, examples, size):
    model.reset_metrics()
    for start in range(0, len(examples[0]), size):
        logs = step(*(tf.constant(array[start : start + size]) for array in examples))
    return {name: float(value) for name, value in logs.items()}
