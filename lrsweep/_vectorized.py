"""Copies of one model trained together, block by block: the fast way of `lrsweep`."""

import time

import numpy as np
import tensorflow as tf

from lrsweep._copies import State
from lrsweep._stopping import Watcher, make_outcome

BLOCK = 0.5  # seconds between two looks at the progress bar and at Ctrl-C
WRITING = 0.1  # at most this part of the time is spent on writing down how far a training has come


def train_vectorized(copies, callbacks, record, after_epochs, keeper=None):
    """Train copies of a model together.

    Parameters
    ----------
    copies : Copies
    callbacks : list of keras.callbacks.Callback
        For early stopping and falling rates; each copy is watched by copies of them.
    record : callable
        Called with (trial, outcome) for each copy, also when interrupted by Ctrl-C.
    after_epochs : callable
        Called with the number of epochs done since the last call, counted over all copies.
    keeper : Keeper, optional
        Where to write how far it has come after each block, and to go on from.
    """
    run = _Run(copies, callbacks, keeper)
    if run.done:
        after_epochs(run.done * len(copies.trials))
    try:
        while not run.finished:
            after_epochs(run.one_block() * len(copies.trials))
    finally:
        for trial, outcome in run.outcomes():
            record(trial, outcome)


class _Run:
    """A training of copies: what they have reported, and where they are."""

    def __init__(self, copies, callbacks, keeper):
        self.copies, self.keeper, self.epochs = copies, keeper, copies.experiment.epochs
        self.watchers = [
            Watcher(callbacks, copies.model, trial.learning_rate) for trial in copies.trials
        ]
        self.one_by_one = any(watcher.lowers_rate for watcher in self.watchers)
        self.block, self.done, self.state, self.logs = 1, 0, copies.first, {}
        self.writing = 0.0
        kept = keeper and keeper.load_part(copies.trials, tf.nest.flatten(tuple(copies.first)))
        if kept:
            self.done, logs, flat = kept
            self.state = State(*tf.nest.pack_sequence_as(tuple(copies.first), flat))
            self._watch(logs)

    @property
    def finished(self):
        return self.done == self.epochs or all(watcher.stopped for watcher in self.watchers)

    def one_block(self):
        """Train for about `BLOCK` seconds; return the number of epochs."""
        size = min(self.block, self.epochs - self.done)
        start = time.perf_counter()
        logs, self.state = self.copies.train(self.state, range(self.done, self.done + size))
        seconds = time.perf_counter() - start
        block = max(BLOCK, self.writing / WRITING)
        self.block = 1 if self.one_by_one else max(1, int(size * block / seconds))
        self.done += size
        self._watch(logs)
        if self.keeper and not self.finished:
            self._write()
        return size

    def _write(self):
        """Write down how far the copies have come."""
        start = time.perf_counter()
        flat = tf.nest.flatten(tuple(self.state))
        self.keeper.save_part(self.copies.trials, self.done, self.logs, flat)
        self.writing = time.perf_counter() - start

    def _watch(self, logs):
        """Add what some epochs reported, and let the callbacks see it."""
        before = len(next(iter(self.logs.values()), ()))
        empty = np.zeros((0, len(self.copies.trials)))
        self.logs = {n: np.concatenate([self.logs.get(n, empty), v]) for n, v in logs.items()}
        for copy, watcher in enumerate(self.watchers):
            for epoch in range(before, len(self.logs["loss"])):
                watcher.after_epoch(epoch, {n: float(v[epoch, copy]) for n, v in self.logs.items()})
        if self.one_by_one:
            rates = [watcher.learning_rate for watcher in self.watchers]
            *memory, own = self.state.memory
            rates = tf.constant(rates, own.dtype) * self.copies.scale
            self.state = self.state._replace(memory=[*memory, rates])

    def outcomes(self):
        """Yield (trial, outcome) for each copy, as far as it has come."""
        for copy, (trial, watcher) in enumerate(zip(self.copies.trials, self.watchers)):
            own = {name: values[: watcher.seen_epochs, copy] for name, values in self.logs.items()}
            if own:
                yield trial, make_outcome(own, watcher)
