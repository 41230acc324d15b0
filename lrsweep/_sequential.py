"""One training after another, in plain Keras: the slow way that works for every model.

`train_one` is the loop that `fit` goes through, and so defines the right answer;
`lrsweep._vectorized` finds the same numbers faster.
"""

from lrsweep._experiment import rate_variable, traced_step
from lrsweep._stopping import Watcher, make_outcome


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
    """
    model = experiment.build(seed)
    variable, scale = rate_variable(model.optimizer, experiment)
    variable.assign(rate * scale)
    train = traced_step(model.train_step, experiment.train, model.run_eagerly)
    test = traced_step(model.test_step, experiment.validation, model.run_eagerly)
    watcher, history = Watcher(callbacks, model, rate), {}
    for epoch in range(experiment.epochs):
        logs = _one_pass(model, train, experiment.train_batches(seed, epoch))
        validation = _one_pass(model, test, experiment.held_out_batches())
        logs |= {f"val_{name}": value for name, value in validation.items()}
        watcher.after_epoch(epoch, logs)
        if after_epochs:
            after_epochs(1)
        if watcher.diverged:
            break
        for name, value in logs.items():
            history.setdefault(name, []).append(value)
        if watcher.stopped:
            break
        if watcher.lowers_rate:
            variable.assign(watcher.learning_rate * scale)
    return make_outcome(history, watcher)


def _one_pass(model, step, batches):
    """Go through batches; return what `fit` would report, as floats."""
    model.reset_metrics()
    for parts in batches:
        logs = step(*parts)
    results = model.get_metrics_result()
    chosen = results if set(results) == set(logs) else logs  # as Keras chooses
    return {name: float(value) for name, value in chosen.items()}
