"""Trainings sent to other processes or machines, and sent again when a worker dies."""

import contextlib
import pickle
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed

import cloudpickle
import numpy as np

from utils.sweep.one_by_one import Experiment, train_one

PATIENCE = 3  # rounds in a row that may lose every training with its worker


def train_elsewhere(experiment, trials, record, after_epochs, executor):
    """Train in the workers of any `concurrent.futures.Executor`.

    A training whose worker died is sent out again; a process pool, which never works again
    after such a death, is replaced by one of the same size. An error inside a training is
    raised here.

    Parameters
    ----------
    experiment : Experiment
        Sent to the workers by value; they must be able to import `utils`.
    trials : list of (learning rate, seed)
    record : callable
        Called with (trial, history, diverged) after each training, in the order they finish.
    after_epochs : callable
        Called with the number of epochs of each finished training.
    executor : concurrent.futures.Executor

    Raises
    ------
    RuntimeError
        When a training fails, or when `PATIENCE` rounds in a row lose every training.
    """

    def finish(trial, history, diverged):
        record(trial, history, diverged)
        after_epochs(experiment.epochs)

    parcel = cloudpickle.dumps(experiment)
    waiting, lost_rounds = list(trials), 0
    with contextlib.ExitStack() as pools:
        while waiting:
            lost, error = _one_round(parcel, waiting, finish, executor)
            lost_rounds = lost_rounds + 1 if len(lost) == len(waiting) else 0
            if lost_rounds == PATIENCE:
                rate, seed = lost[0]
                raise RuntimeError(
                    f"{len(lost)} trainings, among them learning rate {rate:g} with seed {seed}, "
                    f"lost their worker {PATIENCE} times: {type(error).__name__}: {error}"
                ) from error
            if lost and isinstance(executor, ProcessPoolExecutor):
                executor = ProcessPoolExecutor(executor._max_workers, executor._mp_context)
                pools.callback(executor.shutdown, wait=False, cancel_futures=True)
            waiting = lost


def _one_round(parcel, trials, record, executor):
    """Send out all trials once; return those whose worker was lost and the last such error."""
    futures, lost, error = {}, [], None
    try:
        for trial in trials:
            try:
                futures[executor.submit(train_parcel, parcel, *trial)] = trial
            except BrokenExecutor as broken:
                lost, error = [*lost, trial], broken
        for future in as_completed(futures):
            rate, seed = futures[future]
            try:
                outcome, complaint = future.result()
            except Exception as broken:  # not from the training: train_parcel returns those
                lost, error = [*lost, (rate, seed)], broken
                continue
            if complaint:
                raise RuntimeError(f"learning rate {rate:g} with seed {seed}: {complaint}")
            record((rate, seed), *outcome)
    finally:
        for future in futures:
            future.cancel()
    return lost, error


def train_parcel(parcel, rate, seed):
    """Unpack an experiment and train once; return the outcome, or None and what went wrong."""
    try:
        experiment = _AmongThreads(**vars(pickle.loads(parcel)))
        return train_one(experiment, rate, seed), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


class _AmongThreads(Experiment):
    """An experiment in a worker whose other threads draw from Python's random numbers too.

    Keras takes the seeds of initialisers and of Dropout from there, so a draw in between
    would change them: a model is built until it has come out the same twice in a row.
    """

    def build(self, seed):
        model = super().build(seed)
        for _ in range(10):
            before, model = model, super().build(seed)
            pairs = zip(before.variables, model.variables)
            if all(np.array_equal(one.numpy(), two.numpy()) for one, two in pairs):
                break
        return model
