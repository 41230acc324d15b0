"""One training after another, in plain Keras: the slow way that works for every model.

`train_one` is the loop that `fit` goes through, and so defines the right answer, its oddities
included; `lrsweep._vectorized` finds the same numbers faster. Of a metric that returns its
variable itself, for one, `fit` takes the value only after the validation.
"""

import math

import numpy as np
import tensorflow as tf

from lrsweep._experiment import (
    choose_report,
    flat_report,
    rate_scale,
    rate_variable,
    traced_step,
)
from lrsweep._stopping import Watcher, make_outcome
from lrsweep._surroundings import numbered_from


def train_sequentially(experiment, trials, callbacks, record, after_epochs):
    """Train in this process.

    Parameters
    ----------
    experiment : Experiment
    trials : list of Trial
    callbacks : list of keras.callbacks.Callback
        For early stopping and falling rates.
    record : callable
        Called with (trial, outcome) after each training.
    after_epochs : callable
        Called with the number of epochs done since the last call.
    """
    for trial in trials:
        record(trial, train_one(experiment, *trial, callbacks, after_epochs))


def train_one(experiment, rate, seed, callbacks=(), after_epochs=None):
    """Train one model at one learning rate.

    Returns
    -------
    Outcome

    Raises
    ------
    Exception
        What Keras raises in `fit`, too; a note says at which learning rate and seed.
    """
    try:
        with numbered_from(experiment.names):  # a model that is run eagerly is built on the way
            return _train(experiment, rate, seed, callbacks, after_epochs)
    except Exception as error:
        error.add_note(f"This came from the training at learning rate {rate:g} with seed {seed}.")
        raise


def _train(experiment, rate, seed, callbacks, after_epochs):
    model = experiment.build(seed, as_in_fit=True, rate=rate)
    variable = rate_variable(model.optimizer)
    scale = rate_scale(model.optimizer, experiment)
    model.stop_training = False
    train = traced_step(model.train_step, experiment.train, model)
    test = traced_step(model.test_step, experiment.validation, model)
    watcher, history = Watcher(callbacks, model, rate), {}
    for epoch in range(experiment.epochs):
        try:
            logs = _one_epoch(experiment, model, train, test, experiment.train_batches(seed, epoch))
        except tf.errors.InvalidArgumentError as error:
            if "Tensor had " not in error.message:  # so tf.debugging.check_numerics says it
                raise
            logs = {"loss": math.nan}
        watcher.after_epoch(epoch, logs)
        if after_epochs:
            after_epochs(1)
        if watcher.diverged:
            break
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if watcher.stopped or model.stop_training:
            break
        if watcher.lowers_rate:
            variable.assign(watcher.learning_rate * scale)
    return make_outcome(history, watcher)


def _one_epoch(experiment, model, train, test, batches):
    """Train on batches and evaluate; return what `fit` would report."""
    logs = one_pass(model, train, _until_stopped(model, batches))
    model.reset_metrics()
    held_out = as_floats(one_pass(model, test, experiment.held_out_batches()))
    logs = as_floats(logs) | {f"val_{name}": value for name, value in held_out.items()}
    model.reset_metrics()
    return logs


def _until_stopped(model, batches):
    """Yield batches until a step of the model's own says, as `fit` hears it, that it's enough."""
    for batch in batches:
        yield batch
        if model.stop_training:
            return


def one_pass(model, step, batches):
    """Go through batches; return what `fit` would report."""
    for parts in batches:
        logs = step(*parts)
    return choose_report(model.get_metrics_result(), logs)


def as_floats(report):
    """Return what is reported as Python's floats.

    Raises
    ------
    ValueError
        If a metric is not a single number.
    """
    for name, value in flat_report(report).items():
        if np.size(value) != 1:
            raise ValueError(
                f"metrics must be single numbers, {name} has {np.size(value)}: give it an average, "
                "or leave it out"
            )
    return {name: float(np.reshape(value, ())) for name, value in flat_report(report).items()}
