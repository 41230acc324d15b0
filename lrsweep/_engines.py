"""A sweep under way: all copies together if that is right, else one training after another."""

import logging

import numpy as np
from tqdm.auto import tqdm

from lrsweep._experiment import Trial
from lrsweep._result import SweepResult
from lrsweep._sequential import train_sequentially
from lrsweep._vectorizable import bytes_per_copy
from lrsweep._vectorized import CannotVectorize, train_vectorized

MEMORY = 2**30  # bytes for the copies that are trained together; the others wait their turn

_log = logging.getLogger("lrsweep")


class Sweep:
    """The trials of a sweep, and the arrays that they fill.

    Parameters
    ----------
    experiment : Experiment
    rates, seeds : array of shape (rates,) and (seeds,)
    names : list of str
        The metrics that the model is known to report.
    """

    def __init__(self, experiment, rates, seeds, names):
        self.experiment, self.rates, self.seeds = experiment, rates, seeds
        self.trials = [Trial(rate, seed) for seed in seeds.tolist() for rate in rates.tolist()]
        self.shape = len(rates), len(seeds), experiment.epochs
        self.metrics = {name: np.full(self.shape, np.nan) for name in names}
        self.diverged = np.zeros(self.shape[:2], bool)
        self.engine = self.reason = ""
        self.interrupted = False

    def run(self, model, executor, progress):
        """Train everything, until it is done or Ctrl-C comes.

        Parameters
        ----------
        model : keras.Model
            Of the first seed, called on examples before. Its optimizer is used up.
        executor : concurrent.futures.Executor or None
        progress : bool
        """
        total = len(self.trials) * self.experiment.epochs
        with tqdm(total=total, unit="epoch", disable=not progress) as bar:
            try:
                self._train_vectorized(model, bar.update)
                if self.engine == "sequential":
                    self._train_sequentially(executor, bar.update)
            except KeyboardInterrupt:
                self.interrupted = True
                done = np.count_nonzero(np.isfinite(self.metrics["loss"]))
                _log.warning("interrupted after %d of %d epochs", done, total)
        _log.info("%s: %s", self.engine, self.reason)

    def _train_vectorized(self, model, after_epochs):
        """Train all copies together, or find out why that would not be right."""
        self.engine = "vectorized"
        self.reason = f"the {len(self.trials)} copies do not influence each other"
        first, *others = self.seeds.tolist()
        try:
            chunk = max(1, MEMORY // bytes_per_copy(model, self.experiment))
            models = {first: model} | {seed: self.experiment.build(seed) for seed in others}
            train_vectorized(self.experiment, models, self.trials, self.record, after_epochs, chunk)
        except CannotVectorize as error:
            self.engine, self.reason = "sequential", str(error)

    def _train_sequentially(self, executor, after_epochs):
        _log.warning("training %d models sequentially: %s", len(self.trials), self.reason)
        what = self.experiment, self.trials, self.record, after_epochs
        if executor is None:
            train_sequentially(*what)
        else:
            from lrsweep._executors import train_with_executor  # here: it needs cloudpickle

            train_with_executor(*what, executor)

    def record(self, trial, outcome):
        """Keep what a training reported."""
        row = self.rates.tolist().index(trial.learning_rate)
        column = self.seeds.tolist().index(trial.seed)
        self.diverged[row, column] = outcome.diverged
        for name, values in outcome.history.items():
            if name not in self.metrics:  # reported by a train_step of the model's own
                self.metrics[name] = np.full(self.shape, np.nan)
            self.metrics[name][row, column, : len(values)] = values

    def result(self, chance):
        """Return what was measured so far; `chance` as in `SweepResult`."""
        arrays = self.rates, self.seeds, self.metrics, self.diverged
        return SweepResult(*arrays, self.engine, self.reason, self.interrupted, chance)
