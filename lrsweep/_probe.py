"""A model on which Keras's own updates are tried, and that is afterwards as it was before."""

import contextlib
import itertools
import types

import keras
import numpy as np
import tensorflow as tf

from lrsweep._examples import Stream
from lrsweep._experiment import (
    ScaledSchedule,
    choose_report,
    own_learning_rate,
    rate_scale,
    schedule_rates,
    traced_step,
    untraced_step,
)
from lrsweep._model_checks import flat_metrics
from lrsweep._one_copy import parts_of
from lrsweep._restore import Snapshot
from lrsweep._sequential import as_floats

UPDATES = 3  # that are tried
TRIES = 7  # learning rates that are tried
MOVED = 0.003, 1.0  # by how much of their size two updates should move the weights
APART = 2.0  # times as much as by noise alone do other rates move some weights, if they matter


class Probe:
    """A model on which Keras's own updates are tried; its values are put back after each try.

    Parameters
    ----------
    model : keras.Model
        Built.
    experiment : Experiment

    Attributes
    ----------
    changed : set of int
        The places, among its `others`, of variables that an update or an evaluation has changed.
    outside : list of tf.Variable
        What else the steps use: of a loss with a memory, say, or of a generator in the script.
    changed_outside : list of tf.Variable
        Those of them that have been changed.
    start : int
        The count of updates to begin with: gathered gradients and averages are then used within
        two updates, and a schedule is not at zero.
    rate : float
        A learning rate that moves the weights, but not far; see `find_rate`.
    starts_from_rate : bool
        Whether the optimizer starts from the rate that it was built with, as another model shows.
    """

    def __init__(self, model, experiment):
        self.model, self.experiment = model, experiment
        self.parts = parts_of(model)
        self.scale = rate_scale(model.optimizer, experiment)
        count = model.optimizer._iterations
        unique = {id(v): v for v in [v for part in self.parts for v in part] + [count]}
        self.variables = list(unique.values())
        trace = not _same_when_eager(model, experiment)
        self.train_step, self.test_step = steps = _steps(model, experiment, trace)
        known = {id(v._value) for v in self.variables}
        self.outside = [v for v in used_variables(model, steps) if id(v) not in known]
        self.first_outside = [tf.identity(v) for v in self.outside]
        self.changed_outside = []
        self.first = [v.numpy() for v in self.variables]
        self.changed, self.rate, self.starts_from_rate = set(), 0.01, False
        self.every = _rhythm(model.optimizer)
        self.start = _telling_start(model.optimizer, experiment, self.every)

    def constants(self, others):
        """Return the places of variables that no training changes and that all models share.

        Parameters
        ----------
        others : list of keras.Model

        Returns
        -------
        set of int
            Places among the model's `others`, known after `run`.
        """
        theirs = [parts_of(model).others for model in others]
        return {
            place
            for place, mine in enumerate(self.parts.others)
            if place not in self.changed
            and all(np.array_equal(mine.numpy(), their[place].numpy()) for their in theirs)
        }

    def put_back(self):
        """Give all variables the values that they had at first."""
        for variable, value in zip(self.variables, self.first):
            variable.assign(value)
        for variable, value in zip(self.outside, self.first_outside):
            variable.assign(value)

    def values(self):
        """Return the values of all variables now, by the variable's identity."""
        return {id(v): v.numpy() for v in self.variables}

    def weights(self):
        """Return first weights that are nowhere zero."""
        return shaken([v.numpy() for v in self.parts.weights], 0.3)

    def rows(self, seed):
        """Return the examples of some batches: a whole one, an incomplete one, one all twice.

        The first two come again if not every update does everything.
        """
        order, size = self.experiment.order(seed, 0), self.experiment.batch_size
        last = (len(order) - 1) // size * size
        twice = order[: max(1, size // 2)]
        first = [order[:size], order[last:]] * (1 if self.every == 1 else 2)
        return [*first, np.concatenate([twice, twice])]

    def batches(self, seed):
        """Return the first batches of a seed's training."""
        epochs = (self.experiment.train_batches(seed, epoch) for epoch in range(UPDATES))
        return list(itertools.islice(itertools.chain.from_iterable(epochs), UPDATES))

    def run(self, learning_rate, weights, batches, start=None):
        """Let Keras make some updates, evaluate the last validation batch, and update once more.

        The metrics are reset before the first, before the evaluation, and after it.

        Parameters
        ----------
        learning_rate : float
        weights : list of array
            To begin with.
        batches : list
            The last one is for after the evaluation, unless it is the only one.
        start : int, optional
            The count of updates to begin with, and again after each two before the evaluation.

        Returns
        -------
        list of (dict, dict or None)
            At first, after each update, after those before the evaluation, after the evaluation,
            and after the last update: `values`, and what would be reported in the latter three.
        """
        self.put_back()
        self.parts.memory[-1].assign(learning_rate * self.scale)
        for variable, value in zip(self.parts.weights, weights):
            variable.assign(value)
        self.model.reset_metrics()
        seen = [(self.values(), None)]
        for number, batch in enumerate(batches[:-1] or batches):
            if start is not None and number % 2 == 0:
                self.model.optimizer._iterations.assign(start)
            logs = self.train_step(*batch)
            seen.append((self.values(), None))
        seen.append((self.values(), self._report(logs)))
        self.model.reset_metrics()
        seen.append(self._done(self.test_step, self._last_held_out()))
        if len(batches) > 1:
            self.model.reset_metrics()
            seen.append(self._done(self.train_step, batches[-1]))
        self._note_changes(seen)
        self.put_back()
        return seen

    def _done(self, step, batch):
        logs = step(*batch)
        return self.values(), self._report(logs)

    def _report(self, logs):
        return as_floats(choose_report(self.model.get_metrics_result(), logs))

    def _last_held_out(self):
        data = self.experiment.validation
        if isinstance(data, Stream):
            return next(iter(data.batches()))
        size = self.experiment.batch_size
        return data.rows(slice((len(data) - 1) // size * size, None))

    def _note_changes(self, seen):
        first = {id(v): value for v, value in zip(self.variables, self.first)}
        for place, variable in enumerate(self.parts.others):
            key = id(variable)
            if any(not np.array_equal(first[key], values[key]) for values, _ in seen):
                self.changed.add(place)
        self.changed_outside += [
            variable
            for variable, value in zip(self.outside, self.first_outside)
            if not np.array_equal(variable.numpy(), value.numpy())
            and not any(variable is it for it in self.changed_outside)
        ]

    def shared_with(self, other):
        """Return what another model shares of `changed_outside`, and so would go on from."""
        if not self.changed_outside:
            return []
        theirs = {id(v) for v in used_variables(other, _steps(other, self.experiment))}
        return [v for v in self.changed_outside if id(v) in theirs]

    def find_rate(self, seed):
        """Look for a learning rate that moves the weights, by 0.3 % to 100 % of their size.

        Parameters
        ----------
        seed : int
            Of the batches.

        Returns
        -------
        bool
            Whether two learning rates have led to different values anywhere.
        """
        weights, batches = self.weights(), self.batches(seed)
        rates, ends = [0.01, 0.1], []
        while len(ends) < len(rates):
            rate = rates[len(ends)]
            seen = self.run(rate, weights, batches, self.start)
            moved = self._moved(weights, seen[max(1, len(batches) - 1)][0])
            ends.append((moved, seen[-1][0]))
            if len(ends) == len(rates) and len(rates) < TRIES:
                if all(moved < MOVED[0] for moved, _ in ends):
                    rates.append(max(rates) * 10)
                elif not any(moved < MOVED[1] for moved, _ in ends):
                    rates.append(min(rates) / 10)
        fits = [MOVED[0] <= moved <= MOVED[1] for moved, _ in ends]
        self.rate = rates[fits.index(True)] if any(fits) else rates[0]
        if not all_of_keras(self.model):
            again = self.run(rates[0], weights, batches, self.start)[-1][0]
            if not self._same(ends[0][1], again):  # then values that differ prove nothing
                return self._move_apart(weights, [values for _, values in ends], again)
        return not all(self._same(ends[0][1], values) for _, values in ends[1:])

    def _same(self, values, others):
        """Tell whether values of all variables but the learning rate are the same."""
        own = id(self.parts.memory[-1])
        return all(
            np.array_equal(values[key], others[key], equal_nan=True) for key in values if key != own
        )

    def _move_apart(self, weights, ends, again):
        """Tell whether some weights have moved by other amounts at other rates, beyond noise.

        Parameters
        ----------
        weights : list of array
            The first ones.
        ends : list of dict
            The values after some updates, for each rate.
        again : dict
            The values after the same updates once more, at the first of these rates.
        """
        for variable, first in zip(self.parts.weights, weights):
            *far, once_more = (
                np.linalg.norm(np.asarray(it[id(variable)], float) - first) for it in [*ends, again]
            )
            noise = sorted([far[0], once_more])
            if not np.isfinite(far).all() or max(far) * noise[0] > APART * noise[1] * min(far):
                return True
        return False

    def _moved(self, weights, values):
        """Return by how much of their size all weights together have moved: inf if that is nan."""
        size = moved = 0.0
        for variable, first in zip(self.parts.weights, weights):
            size += np.sum(np.square(first, dtype=float))
            moved += np.sum(np.square(np.asarray(values[id(variable)], float) - first))
        return float(np.nan_to_num(np.sqrt(moved / size), nan=np.inf)) if size else 0.0


def _steps(model, experiment, trace=True):
    """Return a model's steps for training and for evaluation."""
    pairs = (model.train_step, experiment.train), (model.test_step, experiment.validation)
    if trace:
        return [traced_step(step, examples, model) for step, examples in pairs]
    return [untraced_step(step) for step, _ in pairs]


def used_variables(model, steps):
    """Return the `tf.Variable`s that steps use; if they are not traced, those that can be found."""
    found = [v for step in steps for v in step.variables]
    if model.run_eagerly:
        with contextlib.suppress(ValueError):  # what a range test refuses, a sweep need not
            found = [getattr(v, "_value", v) for v in Snapshot(model).variables.values()]
    return list({id(v): v for v in found if v is not None}.values())


def shaken(weights, size, seed=0):
    """Return weights with noise added, relative to the typical size of each: 0.1 if all are 0."""
    random = np.random.default_rng(seed)
    moved = []
    for value in weights:
        typical = np.sqrt(np.mean(np.square(value, dtype=float))) or 0.1
        noise = random.normal(size=value.shape) * typical * size
        moved.append((value + noise).astype(value.dtype))
    return moved


def _same_when_eager(model, experiment):
    """Tell whether a model does the same untraced, so that nobody need wait for the tracing.

    That is so for one output, Keras's own layers, and no state: nothing then depends on how often
    Python runs through the model, or on whether the size of a batch is known beforehand. It is not
    so in 16 bits: TensorFlow fuses operations that it traces, and then rounds less often; nor
    where XLA compiles them. Quantized layers can only be trained traced. With channels first, what
    TensorFlow makes of a traced convolution on a processor may be something else. A loss of one's
    own may keep a state that only tracing shows.
    """
    one_output = len(tf.nest.flatten(experiment.train.specs()[1])) == 1
    parts = [model, *model._flatten_layers()]
    wide = all(part.compute_dtype in ("float32", "float64") for part in parts)
    wide = wide and not any(getattr(it.dtype_policy, "quantization_mode", None) for it in parts)
    wide = wide and not any(getattr(it, "data_format", "") == "channels_first" for it in parts)
    stateless = not model.non_trainable_variables
    return one_output and wide and stateless and not model.jit_compile and all_of_keras(model)


def all_of_keras(model):
    """Tell whether a model's layers, losses, metrics and optimizer are Keras's, code and all."""
    losses = [it for it in keras.tree.flatten(model.loss) if not isinstance(it, str)]
    parts = [model, *model._flatten_layers(), model.optimizer, *flat_metrics(model), *losses]
    rate = own_learning_rate(model.optimizer)
    parts += [getattr(rate, "schedule", rate)]
    ends = "activation", "fn", "function", "_regularizer", "_constraint"
    held = [named for part in parts for named in getattr(part, "__dict__", {}).items()]
    parts += [it for name, it in held if name.endswith(ends)]
    kinds = [it if isinstance(it, types.FunctionType) else type(it) for it in parts]
    return all(it.__module__.partition(".")[0] in ("keras", "builtins") for it in kinds)


def _rhythm(optimizer):
    """Return after how many updates an optimizer has done all that it ever does."""
    every = getattr(optimizer, "gradient_accumulation_steps", None) or 1
    if getattr(optimizer, "use_ema", False):
        every *= optimizer.ema_overwrite_frequency or 1
    return every


def _telling_start(optimizer, experiment, every):
    """Return a count of updates after which all that is done is done within two more."""
    first = max(every - 2, 0)
    if isinstance(own_learning_rate(optimizer), ScaledSchedule):
        rates = schedule_rates(optimizer, experiment)[first + 1 :: every]
        first += own_learning_rate(optimizer).made
        first += every * int(np.argmax(rates)) if len(rates) else 0
    return first
