"""Short trainings of a patient of the check-up, at its rate and at multiples of it, all undone."""

import functools
import math
import time
from typing import NamedTuple

import keras
import numpy as np

from lrsweep._examples import size_made_for
from lrsweep._experiment import traced_step
from lrsweep._range_test import endless_batches
from lrsweep._report import NotKnown

FACTORS = 1.0, 0.1, 10.0, 100.0, 0.01, 1000.0, 0.001  # of the model's own rate, that are tried
FEWEST = 3  # of them, to compare rates: the model's own, a tenth and ten times it
LONGEST, SHORTEST = 250, 20  # updates
NO_TIME = "no time was left to train at several rates: give the check-up more seconds"
CHECKPOINTS = 5  # at which held-out examples are evaluated
EVALUATED = 512  # of these


class Trial(NamedTuple):
    """A short training, undone.

    Attributes
    ----------
    rate : float
    losses : array of shape (updates,)
        Of the mini-batches; it ends before the first that is not a finite number.
    held_out : list of float
        The loss on held-out examples, now and then; with BatchNormalization, at the end once more
        with their own mean and variance, since moving averages may not have settled by then.
    lost : bool
        Whether a loss was not a finite number.
    averages : tuple of two floats, or None
        At the end, the loss on training examples as `fit` sees them, and as they're predicted.
    """

    rate: float
    losses: np.ndarray
    held_out: list
    lost: bool
    averages: tuple | None = None

    @property
    def end(self):
        """The mean loss of the last fifth of the updates, infinite if the training was lost."""
        return math.inf if self.lost else float(np.mean(self.losses[-len(self.losses) // 5 :]))


class Trials:
    """The trials of a patient, each run once, when first asked for.

    Parameters
    ----------
    patient : Patient
    """

    def __init__(self, patient):
        self.patient, self.model = patient, patient.model
        self._done, self._length, self._longest = {}, None, 0.0

    def at(self, factor):
        """Train for a while at a multiple of the model's own rate, and undo it."""
        patient = self.patient
        if factor not in self._done:
            if self._length is None:
                self._length = self._possible_length()
            self._done[factor] = self._run(patient.rate * factor, self._length)
        return self._done[factor]

    def all(self):
        """Run the trials that there is time for; return them by factor, which rise."""
        patient = self.patient
        for factor in FACTORS:
            if factor in self._done:
                continue
            if patient.left() < self._longest:
                if len(self._done) < FEWEST:
                    raise NotKnown(NO_TIME)
                break
            began = time.monotonic()
            self.at(factor)
            self._longest = max(self._longest, time.monotonic() - began)
        return dict(sorted(self._done.items()))

    def _possible_length(self):
        """Return how many updates there is time for in each trial."""
        patient = self.patient
        if patient.left() < SHORTEST * patient.each * len(FACTORS):
            raise NotKnown(NO_TIME)
        self._run(patient.rate, 1)  # traces what it takes to predict
        began = time.monotonic()
        few = 10 if patient.left() > 200 * patient.each else 2
        self._run(patient.rate, few)
        each = (time.monotonic() - began) / few
        return min(patient.planned, max(SHORTEST, min(LONGEST, int(self._share() / each))))

    def _share(self):
        """Return the seconds that one trial may take."""
        patient = self.patient
        return 0.4 * max(patient.left(), 0) / len(FACTORS)

    def _run(self, rate, updates):
        patient = self.patient
        patient.kept.put_back()
        patient.set_rate(rate)
        batches = endless_batches(patient.train, patient.batch_size, patient.seed)
        losses, held_out, lost = [], [self._held_out_loss()], False
        pauses = set(np.linspace(0, updates, CHECKPOINTS + 1).astype(int)[1:])
        for number in range(1, updates + 1):
            loss = patient.training.update(batches)
            if not math.isfinite(loss):
                lost = True
                break
            losses.append(loss)
            if number in pauses:
                held_out.append(self._held_out_loss())
        averages = None
        if not lost and moving_averages(self.model) and self._predict_train:
            averages = self._both_modes()
            held_out += self._held_out_as_in_fit()
        patient.kept.put_back()
        return Trial(rate, np.array(losses or [math.inf]), held_out, lost, averages)

    def _held_out_loss(self):
        """Return the loss on held-out examples as the model predicts them, nan without any.

        It's nan, too, for a model that was made for batches of one size.
        """
        patient = self.patient
        if patient.held_out is None or size_made_for(self.model):
            return math.nan
        return self._evaluated(self._predict_held_out, patient.held_out.rows(slice(0, EVALUATED)))

    @functools.cached_property
    def _predict_held_out(self):
        return self._evaluation(self.patient.held_out)

    @functools.cached_property
    def _predict_train(self):
        return self._evaluation(self.patient.train)

    def _evaluation(self, examples):
        """Return the model's `test_step`, traced; None if only its own `train_step` has a loss."""
        try:
            return traced_step(self.model.test_step, examples, self.model)
        except Exception:
            if self.patient.own_step:
                return None
            raise

    def _evaluated(self, step, parts):
        if step is None:
            return math.nan
        self.model.reset_metrics()
        logs = step(*parts)
        known = isinstance(logs, dict) and "loss" in logs
        return float(np.asarray(logs["loss"])) if known else math.nan

    def _held_out_as_in_fit(self):
        """Return [the loss of held-out examples as `fit` would see them], at a rate of 0."""
        patient = self.patient
        if patient.held_out is None or size_made_for(self.model):
            return []
        parts = patient.held_out.rows(slice(0, EVALUATED))
        return [self._evaluated(patient.training.step, parts)]

    def _both_modes(self):
        """Return the loss of the sample as `fit` sees it and as it's predicted, at a rate of 0."""
        patient = self.patient
        patient.set_rate(0.0)
        predicted = self._evaluated(self._predict_train, patient.sample)
        return self._evaluated(patient.training.step, patient.sample), predicted


def moving_averages(model):
    """Return the BatchNormalization layers of a model that train."""
    kind = keras.layers.BatchNormalization
    return [it for it in model._flatten_layers() if isinstance(it, kind) and it.trainable]
