"""A sweep under way: all copies together if `_gate` finds that right, else one after another."""

import logging

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from lrsweep._copies import first_line
from lrsweep._experiment import Trial
from lrsweep._gate import trusted_copies
from lrsweep._one_copy import CannotVectorize
from lrsweep._result import SweepResult
from lrsweep._sequential import train_sequentially
from lrsweep._vectorized import train_vectorized

MEMORY = 2**30  # bytes for the copies that are trained together; the others wait their turn

_log = logging.getLogger("lrsweep")


class Sweep:
    """The trials of a sweep, and the arrays that they fill.

    Parameters
    ----------
    experiment : Experiment
    rates, seeds : array of shape (rates,) and (seeds,)
    names : list of str
        The metrics that the model reports.
    callbacks : list of keras.callbacks.Callback
    keeper : Keeper or None
    """

    def __init__(self, experiment, rates, seeds, names, callbacks=(), keeper=None):
        self.experiment, self.rates, self.seeds = experiment, rates, seeds
        self.callbacks, self.keeper = callbacks, keeper
        self.trials = [Trial(rate, seed) for seed in seeds.tolist() for rate in rates.tolist()]
        self.shape = len(rates), len(seeds), experiment.epochs
        self.metrics = {name: np.full(self.shape, np.nan) for name in names}
        self.diverged = np.zeros(self.shape[:2], bool)
        self.last_epochs = np.full(self.shape[:2], -1)
        self.engine = self.reason = ""
        self.interrupted = False
        self.done, self.outcomes = set(), {}

    def run(self, models, probe, executor, progress):
        """Train everything, until it is done or Ctrl-C comes.

        Parameters
        ----------
        models : dict
            New models by seed; those that are missing are added when they are needed.
        probe : Probe
            Of the first one.
        executor : concurrent.futures.Executor or None
        progress : bool
        """
        total = len(self.trials) * self.experiment.epochs
        with tqdm(total=total, unit="epoch", disable=not progress) as bar:
            try:
                self._take_up(bar.update)
                self._train_vectorized(models, probe, bar.update)
                if self.engine == "sequential":
                    self._train_sequentially(executor, bar.update)
            except KeyboardInterrupt:
                self.interrupted = True
                done = np.count_nonzero(np.isfinite(self.metrics["loss"]))
                _log.warning("interrupted after %d of %d epochs", done, total)
        _log.info("%s: %s", self.engine, self.reason)

    def _take_up(self, after_epochs):
        """Record the trainings that the folder holds already."""
        for trial in self.trials if self.keeper else []:
            outcome = self.keeper.load(trial)
            if outcome:
                self._fill(trial, outcome)
                self.done.add(trial)
                after_epochs(self.experiment.epochs)

    def _train_vectorized(self, models, probe, after_epochs):
        """Train all copies together, or find out why that would not be right."""
        self.engine = "vectorized"
        self.reason = f"the {len(self.trials)} copies do not influence each other"
        try:
            names = list(self.metrics)
            whole = trusted_copies(self.experiment, models, self.trials, names, probe, MEMORY)
            for trials in whole.parts(MEMORY):
                if self.done.issuperset(trials):
                    continue
                same = len(trials) == len(self.trials)
                copies = whole if same else whole.for_some(trials)
                train_vectorized(
                    copies, self.callbacks, self._record_some, after_epochs, self.keeper
                )
                self._finish(trials)
        except CannotVectorize as error:
            self.engine, self.reason = "sequential", str(error)
        except tf.errors.OpError as error:
            self.engine = "sequential"
            self.reason = f"TensorFlow stopped training all copies together: {first_line(error)}"

    def _train_sequentially(self, executor, after_epochs):
        trials = [trial for trial in self.trials if trial not in self.done]
        _log.warning("training %d models sequentially: %s", len(trials), self.reason)
        what = self.experiment, trials, self.callbacks, self.record, after_epochs
        if executor is None:
            train_sequentially(*what)
        else:
            from lrsweep._executors import train_with_executor  # here: it needs cloudpickle

            train_with_executor(*what, executor)

    def record(self, trial, outcome):
        """Keep what a finished training reported."""
        self._fill(trial, outcome)
        self.done.add(trial)
        if self.keeper:
            self.keeper.save(trial, outcome)

    def _record_some(self, trial, outcome):
        """Note what a copy has reported, finished or interrupted."""
        self._fill(trial, outcome)
        self.outcomes[trial] = outcome

    def _finish(self, trials):
        """Keep what copies trained together have reported, now that they are done."""
        self.done.update(trials)
        if self.keeper:
            for trial in trials:
                self.keeper.save(trial, self.outcomes[trial])
            self.keeper.forget_part(trials)

    def _fill(self, trial, outcome):
        row = self.rates.tolist().index(trial.learning_rate)
        column = self.seeds.tolist().index(trial.seed)
        self.diverged[row, column] = outcome.diverged
        self.last_epochs[row, column] = outcome.last_epoch
        known = list(self.metrics)
        other = outcome.history and set(outcome.history) != set(known)
        for place, (name, values) in enumerate(outcome.history.items()):
            # a builder may name its metrics anew each time: then their places tell which is which
            self.metrics[known[place] if other else name][row, column, : len(values)] = values

    def result(self, chance, directions):
        """Return what was measured so far; `chance` and `directions` as in `SweepResult`."""
        return SweepResult(
            self.rates,
            self.seeds,
            self.metrics,
            self.diverged,
            self.engine,
            self.reason,
            self.interrupted,
            chance,
            directions=directions,
            last_epochs=self.last_epochs,
        )
