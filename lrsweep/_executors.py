"""Trainings sent to other processes or machines, and sent again when a worker dies."""

import contextlib
import os
import pickle
import threading
import uuid
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed

import numpy as np

from lrsweep._experiment import Experiment
from lrsweep._sequential import train_one
from lrsweep._surroundings import THREADS

try:
    import cloudpickle
except ImportError as error:
    raise ImportError(
        "an executor needs cloudpickle, to send it the function that builds the model: "
        'pip install cloudpickle, or "lrsweep[cluster]"'
    ) from error

PATIENCE = 3  # rounds in a row that may lose every training with its worker
PROCESS = uuid.uuid4().hex  # another one in each process that imports this


def train_with_executor(experiment, trials, callbacks, record, after_epochs, executor):
    """Train in the workers of a `concurrent.futures.Executor`, but not in threads.

    A training whose worker died is sent out again; a process pool, which never works again
    after such a death, is replaced by one that is made like it. An error inside a training is
    raised here.

    Parameters
    ----------
    experiment : Experiment
        Sent to the workers by value; they must be able to import `lrsweep`.
    trials : list of Trial
    callbacks : list of keras.callbacks.Callback
        For early stopping and falling rates.
    record : callable
        Called with (trial, outcome) after each training, in the order they finish.
    after_epochs : callable
        Called with the number of epochs of each finished training.
    executor : concurrent.futures.Executor

    Raises
    ------
    RuntimeError
        When a training fails, or when `PATIENCE` rounds in a row lose every training.
    ValueError
        If the workers turn out to be threads of this process.
    """

    def finish(trial, outcome):
        record(trial, outcome)
        after_epochs(experiment.epochs)

    here = PROCESS, os.getpid(), threading.get_ident()
    payload = cloudpickle.dumps((_WorkerExperiment(**vars(experiment)), callbacks, here))
    waiting, lost_rounds = list(trials), 0
    with contextlib.ExitStack() as pools:
        while waiting:
            lost, error = _one_round(payload, waiting, finish, executor)
            lost_rounds = lost_rounds + 1 if len(lost) == len(waiting) else 0
            if lost_rounds == PATIENCE:
                raise RuntimeError(
                    f"{len(lost)} trainings, among them {_named(lost[0])}, lost their worker "
                    f"{PATIENCE} times: {type(error).__name__}: {error}"
                ) from error
            if lost and isinstance(executor, ProcessPoolExecutor):
                executor = ProcessPoolExecutor(
                    executor._max_workers,
                    executor._mp_context,
                    executor._initializer,
                    executor._initargs,
                )
                pools.callback(executor.shutdown, wait=False, cancel_futures=True)
            waiting = lost


def _one_round(payload, trials, finish, executor):
    """Send out all trials once; return those whose worker was lost and the last such error."""
    trial_of, lost, error = {}, [], None
    try:
        for trial in trials:
            try:
                trial_of[executor.submit(train_payload, payload, *trial)] = trial
            except BrokenExecutor as broken:
                lost.append(trial)
                error = broken
        for future in as_completed(trial_of):
            trial = trial_of[future]
            try:
                outcome, complaint = future.result()
            except Exception as broken:  # not from the training: train_payload returns those
                lost.append(trial)
                error = broken
                continue
            if complaint == THREADS:
                raise ValueError(THREADS)
            if complaint:
                raise RuntimeError(f"{_named(trial)}: {complaint}")
            finish(trial, outcome)
    finally:
        for future in trial_of:
            future.cancel()
    return lost, error


def train_payload(payload, rate, seed):
    """Unpack an experiment and train once; return (outcome, None) or (None, what went wrong)."""
    try:
        experiment, callbacks, there = pickle.loads(payload)
        *process, thread = PROCESS, os.getpid(), threading.get_ident()
        if tuple(process) == there[:2] and thread != there[2]:
            return None, THREADS
        return train_one(experiment, rate, seed, callbacks), None
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


class _WorkerExperiment(Experiment):
    """An experiment in a worker whose other threads draw from Python's random numbers too.

    Keras takes the seeds of initialisers and of Dropout from there, so a draw in between
    would change them: a model is built until it has come out the same twice in a row.
    """

    def build(self, *args, **kwargs):
        model = super().build(*args, **kwargs)
        for _ in range(10):
            before, model = model, super().build(*args, **kwargs)
            if _equal(before, model):
                return model
        raise RuntimeError(
            "build_model gives another model each time, though the random seeds are set: does "
            "something else in the worker draw random numbers?"
        )


def _equal(model, other):
    """Tell whether two models of the same kind have equal variables."""
    pairs = zip(model.variables, other.variables)
    return all(np.array_equal(one.numpy(), two.numpy()) for one, two in pairs)


def _named(trial):
    return f"learning rate {trial.learning_rate:g} with seed {trial.seed}"
