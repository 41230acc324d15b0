"""A model under examination: what several measures of a check-up need, each found out once."""

import contextlib
import functools
import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from lrsweep._activity import look_through
from lrsweep._examples import Examples, size_made_for
from lrsweep._experiment import asked_one_by_one, own_learning_rate, traced_step, unchanged
from lrsweep._model_checks import best_constant, evaluates_plainly, own_loss
from lrsweep._range_test import Training, endless_batches
from lrsweep._report import NotKnown
from lrsweep._trials import Trials

BATCHES = 16  # whose gradients are compared
SAMPLE = 256  # examples that are looked at together


@dataclass
class Patient:
    """A model that is examined, inside `_restore.restored`.

    Attributes
    ----------
    model : keras.Model
    train, held_out : Examples
        `held_out` is None if there are too few.
    kept : Snapshot
    set_rate : callable
    batch_size, epochs : int
    shuffled : bool or None
        Whether the examples come in a new order in each epoch; None for a stream.
    seed : int
    deadline : float
        On `time.monotonic`.
    planned : int
        The number of updates in the whole training, at least.
    build_model : callable or None
    """

    model: keras.Model
    train: Examples
    held_out: Examples | None
    kept: object
    set_rate: object
    batch_size: int
    epochs: int
    shuffled: bool | None
    seed: int
    deadline: float
    planned: int
    build_model: object = None

    def __post_init__(self):
        self.updates_made = int(self.model.optimizer.iterations.numpy())
        self.rates = planned_rates(self.model.optimizer, self.updates_made, self.planned)
        self.rate = float(np.max(self.rates))
        if not self.rate > 0:  # the measure of schedules says so
            first = own_learning_rate(self.model.optimizer)
            if isinstance(first, keras.Variable):
                raise ValueError(f"the learning rate must be positive, it is {self.rate:g}")
            at_start = float(first(0))
            self.rate = at_start if at_start > 0 else 1e-3
        self.set_rate(self.rate)
        began = time.monotonic()
        self.training = Training(self.model, self.train, self.kept)
        self.tracing = time.monotonic() - began
        self.own_step = type(self.model).train_step is not keras.Model.train_step
        self.taken = {}.__getitem__  # the measures so far, by name
        self.trials = Trials(self)
        self.each = 0.0  # seconds of an update
        self.kept.put_back()  # the rate

    def left(self):
        """Return how many seconds are left."""
        return self.deadline - time.monotonic()

    def in_time(self, seconds, what):
        """Raise `NotKnown` unless so much time is left."""
        if self.left() < seconds:
            raise NotKnown(f"no time was left {what}: give the check-up more seconds")

    @functools.cached_property
    def sample(self):
        """The parts of some training examples, drawn by chance."""
        order = np.random.default_rng(self.seed).permutation(len(self.train))
        return self.train.rows(np.sort(order[: size_made_for(self.model) or SAMPLE]))

    @functools.cached_property
    def start(self):
        """The loss of some mini-batches before any update, as `fit` sees them; finite or not."""
        self.kept.put_back()
        self.set_rate(0.0)
        batches = endless_batches(self.train, self.batch_size, self.seed)
        wanted = max(8, min(64, SAMPLE // self.batch_size))
        count = max(1, min(wanted, len(self.train) // self.batch_size))
        losses = []
        for _ in range(1 + count):
            began = time.monotonic()
            losses.append(self.training.update(batches))
            self.each = time.monotonic() - began
            self.kept.put_back()
            self.set_rate(0.0)
        self.kept.put_back()
        return float(np.mean(losses))

    def is_spoilt(self):
        """Tell whether an update spoils weights even at a billionth of the rate."""
        self.set_rate(1e-9 * self.rate)
        self.training.update(endless_batches(self.train, self.batch_size, self.seed))
        spoilt = not all(np.isfinite(it).all() for it in self.training.weights())
        self.kept.put_back()
        return spoilt

    @functools.cached_property
    def guess(self):
        """The loss of the best constant answer, with the penalties of the layers."""
        return self._guess_for(self.train)

    @functools.cached_property
    def held_out_guess(self):
        """The same for the held-out examples."""
        return self._guess_for(self.held_out)

    def _guess_for(self, examples):
        loss, y = own_loss(self.model), examples.y
        if self.own_step:
            raise NotKnown("the model has a train_step of its own, so its loss isn't known")
        if loss is None or not isinstance(y, np.ndarray):
            raise NotKnown("the loss isn't one of Keras's own, without options, for one output")
        if examples.weights is not None:
            raise NotKnown("the examples are weighted")
        if not evaluates_plainly(self.model, examples, self.batch_size)[0]:
            raise NotKnown("the model computes its loss in its own way, or masks some outputs")
        found = best_constant(loss, y)
        if "val_loss" not in found:
            raise NotKnown("the targets are none for which the best constant answer is known")
        return found["val_loss"] + self.penalty

    @functools.cached_property
    def penalty(self):
        """What layers add to the loss, at the weights as they are."""
        self.model(self.sample[0], training=False)
        added = float(sum(float(it) for it in self.model.losses))
        self.kept.put_back()
        return added

    @functools.cached_property
    def activity(self):
        """What `look_through` finds in the layers, at the weights as they are."""
        try:
            return look_through(self.model, self.sample[0])
        finally:
            self.kept.put_back()

    @functools.cached_property
    def gradients(self):
        """Gradients of different mini-batches, at the weights as they are.

        Returns
        -------
        one : float
            The mean square of the length of one.
        mean : float
            The squared length of their mean.
        count : int
        """
        if self.own_step:
            raise NotKnown("the model has a train_step of its own, so its gradients aren't known")
        count = min(BATCHES, len(self.train) // self.batch_size)
        order = np.random.default_rng(self.seed).permutation(len(self.train))
        squares, total = [], 0.0
        for rows in order[: count * self.batch_size].reshape(count, -1):
            pieces = self._gradient(*self.train.rows(rows))
            slope = np.concatenate([np.ravel(piece.numpy()) for piece in pieces]).astype(float)
            squares.append(slope @ slope)
            total = total + slope
        self.kept.put_back()
        return float(np.mean(squares)), float(total @ total) / count**2, count

    @functools.cached_property
    def _gradient(self):
        model = self.model

        def gradient(parts):
            x, y, weights = (*parts, None)[:3]
            values = [variable.value for variable in model.trainable_variables]
            with tf.GradientTape() as tape:
                y_pred = model(x, training=True)
                loss = model._compute_loss(
                    x=x, y=y, y_pred=y_pred, sample_weight=weights, training=True
                )
            slopes = tape.gradient(loss, values, unconnected_gradients="zero")
            return [tf.convert_to_tensor(slope) for slope in slopes]

        return traced_step(gradient, self.train, model)

    @contextlib.contextmanager
    def after(self, updates, watch=None):
        """Have the model trained for some updates at its own rate for as long as this lasts.

        `watch` is called with the weights before and after each update, two lists of arrays.
        """
        self.kept.put_back()
        self.set_rate(self.rate)
        batches = endless_batches(self.train, self.batch_size, self.seed)
        try:
            for _ in range(updates):
                before = self.training.weights() if watch else None
                self.training.update(batches)
                if watch:
                    watch(before, self.training.weights())
            yield
        finally:
            self.kept.put_back()


def planned_rates(optimizer, made, planned):
    """Return the learning rates of a training, of shape (at most 2000,), evenly picked."""
    own = own_learning_rate(optimizer)
    if not isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        if not isinstance(own, keras.Variable):
            raise ValueError(f"the learning rate must be a number or a schedule, it is {own!r}")
        return np.array([float(own.numpy())])
    picked = np.unique(np.linspace(0, planned - 1, min(planned, 2000)).astype(int))
    steps = tf.constant(made + picked, "int64")

    def at_all():
        return tf.map_fn(
            lambda step: tf.cast(own(step), "float32"), steps, fn_output_signature=tf.float32
        )

    try:
        traced = tf.function(at_all, autograph=False).get_concrete_function()
    except Exception:  # as in `schedule_rates`
        return asked_one_by_one(own, steps).astype(float)
    with unchanged(traced.variables):
        return traced().numpy().astype(float)
