"""One training after another, in plain Keras: the slow way that works for every model.

`train_one` is the loop that a learner would write, and so defines the right answer;
`lrsweep._vectorized` finds the same numbers faster.
"""

import math

import tensorflow as tf

from lrsweep._experiment import Outcome, scaled_learning_rate, traced_step


def train_sequentially(experiment, trials, record, after_epochs):
    """Train in this process.

    Parameters
    ----------
    experiment : Experiment
    trials : list of Trial
    record : callable
        Called with (trial, outcome) after each training.
    after_epochs : callable
        Called with the number of epochs done since the last call.
    """
    for trial in trials:
        record(trial, train_one(experiment, *trial, after_epochs))


def train_one(experiment, rate, seed, after_epochs=None):
    """Train one model at one learning rate.

    Returns
    -------
    Outcome
    """
    model = experiment.build(seed)
    optimizer = model.optimizer
    optimizer.learning_rate = scaled_learning_rate(optimizer, rate, experiment.updates)
    examples = experiment.x, experiment.y
    held_out = experiment.x_validation, experiment.y_validation
    train = traced_step(model, model.train_step, examples)
    test = traced_step(model, model.test_step, held_out)
    history = {}
    for epoch in range(experiment.epochs):
        order = experiment.order(seed, epoch)
        shuffled = [array[order] for array in examples]
        logs = _one_pass(model, train, shuffled, experiment.batch_size)
        validation = _one_pass(model, test, held_out, experiment.batch_size)
        logs |= {f"val_{name}": value for name, value in validation.items()}
        if not math.isfinite(logs["loss"] + logs["val_loss"]):
            return Outcome(history, diverged=True)
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if after_epochs:
            after_epochs(1)
    return Outcome(history, diverged=False)


def _one_pass(model, step, examples, size):
    """Go through the examples in batches; return the metrics as floats."""
    model.reset_metrics()
    for start in range(0, len(examples[0]), size):
        logs = step(*(tf.constant(array[start : start + size]) for array in examples))
    return {name: float(value) for name, value in logs.items()}
