"""One model at many learning rates, several times each: what is good, and how sure are we?

`sweep_learning_rates` trains ordinary Keras models. Within one seed every learning rate
starts from the same weights and sees the same batches, so that rates are compared with each
other and not with luck; several seeds say how much luck there is.
"""

import logging

import keras
import numpy as np
from tqdm.auto import tqdm

from utils import checks
from utils.sweep.elsewhere import train_elsewhere
from utils.sweep.one_by_one import Experiment, train_here
from utils.sweep.rehearsal import check_examples, check_fresh, check_rates, check_seeds, rehearse
from utils.sweep.result import Choice, SweepResult, choose_learning_rate
from utils.sweep.stackable import why_not
from utils.sweep.stacked import CannotStack, train_stacked

MEMORY = 2**30  # bytes for the copies that are trained together; the others wait their turn

_log = logging.getLogger(__name__)

__all__ = ["Choice", "SweepResult", "choose_learning_rate", "sweep_learning_rates"]


def sweep_learning_rates(
    build_model,
    learning_rates,
    train_data,
    validation_data,
    epochs=20,
    batch_size=32,
    seeds=5,
    shuffle=True,
    executor=None,
    progress=True,
):
    """Train a model at every learning rate, with every seed.

    Models whose copies can be trained together are "stacked", which takes little more time
    than a single one; all others are trained "one by one". The result says which and why.

    Parameters
    ----------
    build_model : callable
        Takes nothing, returns a new compiled Keras model; called after the random seeds of
        Python, NumPy and Keras have been set.
    learning_rates : array-like of shape (rates,)
        Positive floats, rising or falling. They replace the optimizer's own rate. A schedule
        keeps its shape: it is multiplied so that its largest value is the rate.
    train_data, validation_data : pair of arrays
        Inputs and targets, with one row for each example.
    epochs, batch_size : int
        As for Keras's `fit`.
    seeds : int or sequence of int
        How many, or which.
    shuffle : bool
        Whether the training examples come in a new order in each epoch.
    executor : concurrent.futures.Executor, optional
        Where models that cannot be stacked are trained; in this process if there is none.
    progress : bool
        Whether to show a bar that counts the epochs of all trainings.

    Returns
    -------
    SweepResult
        Also after Ctrl-C, with what was done by then.

    Raises
    ------
    ValueError
        Before any training, if an argument is not as described or does not fit the others.
    """
    if not callable(build_model) or isinstance(build_model, keras.Model):
        raise ValueError(f"build_model must be a function without arguments, got {build_model!r}")
    rates, seeds = check_rates(learning_rates), check_seeds(seeds)
    experiment = Experiment(
        build_model,
        *check_examples("train_data", train_data),
        *check_examples("validation_data", validation_data),
        epochs=checks.whole_number("epochs", epochs),
        batch_size=checks.whole_number("batch_size", batch_size),
        shuffle=bool(shuffle),
    )
    models = {seed: experiment.build(seed) for seed in seeds[:2].tolist()}
    first, *others = models.values()
    check_fresh(first, *(others or [experiment.build(int(seeds[0]))]))
    names, chance = rehearse(first, experiment)
    reason, size = why_not(first, experiment)

    shape = len(rates), len(seeds), experiment.epochs
    metrics = {name: np.full(shape, np.nan) for name in names}
    diverged, interrupted = np.zeros(shape[:2], bool), False
    place = {(r, s): (i, j) for i, r in enumerate(rates) for j, s in enumerate(seeds)}

    def record(trial, history, failed):
        diverged[place[trial]] = failed
        for name, values in history.items():
            metrics.setdefault(name, np.full(shape, np.nan))[place[trial]][: len(values)] = values

    trials = [(rate, seed) for seed in seeds.tolist() for rate in rates.tolist()]
    with tqdm(total=len(trials) * experiment.epochs, unit="epoch", disable=not progress) as bar:
        try:
            if reason is None:
                chunk = max(1, MEMORY // size)
                models |= {seed: experiment.build(seed) for seed in seeds[2:].tolist()}
                try:
                    train_stacked(experiment, models, trials, record, bar.update, chunk)
                except CannotStack as error:
                    reason = str(error)
            if reason is not None:
                _log.warning("training %d models one by one: %s", len(trials), reason)
                if executor is None:
                    train_here(experiment, trials, record, bar.update)
                else:
                    train_elsewhere(experiment, trials, record, bar.update, executor)
        except KeyboardInterrupt:
            interrupted = True
            done = np.count_nonzero(np.isfinite(metrics["loss"]))
            _log.warning("interrupted after %d of %d epochs", done, metrics["loss"].size)
    engine = "stacked" if reason is None else "one by one"
    reason = reason or f"the {len(trials)} copies do not influence each other"
    _log.info("%s: %s", engine, reason)
    return SweepResult(rates, seeds, metrics, diverged, engine, reason, interrupted, chance)
