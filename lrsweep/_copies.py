"""Many copies of one model, and what one update and one epoch do to all of them at once.

Each of a model's variables becomes an array with one entry for each copy: weights, what training
counts or averages, the optimizer's memory, the metrics' sums. `tf.vectorized_map` carries the
model, its loss, its metrics and its optimizer over the copies, each copy in a `StatelessScope` in
which the variables stand for its own values. All of it is traced once, so the cost of Keras's
Python code and of starting each operation is shared by all copies.

`lrsweep._gate` compares one copy with Keras itself before anything is trained.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import lrsweep._tensorflow as _tensorflow
from lrsweep._experiment import rate_variable
from lrsweep._stateless import optimizer_variables, stateless


class CannotVectorize(Exception):
    """The model has to be trained sequentially; the message says why."""


class State(NamedTuple):
    """The values of all copies' variables, each with the copies in front.

    Attributes
    ----------
    weights, others, memory : list of tensor of shape (copies, ...)
        Of the model's trainable variables, of its others, and of the optimizer's, all but its
        count of updates.
    updates : scalar tensor
        That count, the same for all copies.
    """

    weights: list
    others: list
    memory: list
    updates: tf.Tensor


def first_line(error):
    """Return the first line of an error's message, or its kind where there is no message."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


class Copies:
    """Copies of a model, one for each trial.

    Parameters
    ----------
    experiment : Experiment
    models : dict
        A new model for each seed. The first one lends its code, its metrics and its optimizer to
        all copies; the others only their first values.
    trials : list of Trial
    names : list of str
        What Keras reports for an epoch: without "val_" and with it.
    constants : list of keras.Variable
        Of the first model: what no training changes and all models have in common.

    Raises
    ------
    CannotVectorize
        If TensorFlow cannot carry the model over copies.
    """

    def __init__(self, experiment, models, trials, names, constants=()):
        self.experiment, self.models, self.trials, self.names = experiment, models, trials, names
        self.constants = list(constants)
        self.model = model = next(iter(models.values()))
        self.seeds = sorted({trial.seed for trial in trials})
        self.seed_of_copy = tf.constant([self.seeds.index(trial.seed) for trial in trials])
        rate, self.scale = rate_variable(model.optimizer, experiment)
        self.memory = [v for v in optimizer_variables(model.optimizer) if v is not rate]
        self.memory.append(rate)
        self.first_metrics = [tf.constant(v.numpy()) for v in model.metrics_variables]
        self.own_report = type(model).compute_metrics is not keras.Model.compute_metrics
        reported = [name for name in names if f"val_{name}" in names]
        self.reported = reported if self.own_report else []
        self.others = self._own_others(model)
        self.first = self._first_state(models)
        self.train_data, self.held_out = (
            tf.nest.map_structure(tf.constant, part.parts)
            for part in (experiment.train, experiment.validation)
        )
        self._trace()

    def for_some(self, trials):
        """Return copies for some of the trials."""
        return Copies(self.experiment, self.models, trials, self.names, self.constants)

    def _own_others(self, model):
        """Return a model's variables that are not trained, and may differ from copy to copy."""
        common = {id(variable) for variable in self.constants}
        kept = [id(v) not in common for v in self.model.non_trainable_variables]
        return [v for v, keep in zip(model.non_trainable_variables, kept) if keep]

    def _first_state(self, models):
        def stacked(values):
            return [tf.constant(np.stack([own[seed] for seed in seeds])) for own in values]

        def of_all(variables):
            return [{s: v.numpy() for s, v in zip(models, same)} for same in zip(*variables)]

        seeds = [trial.seed for trial in self.trials]
        rates = np.array([trial.learning_rate for trial in self.trials]) * self.scale
        updates = {int(model.optimizer._iterations) for model in models.values()}
        if len(updates) > 1:
            raise CannotVectorize("the optimizers of its seeds have made different updates before")
        memory = []
        for model in models.values():
            rate, _ = rate_variable(model.optimizer, self.experiment)
            memory.append([v for v in optimizer_variables(model.optimizer) if v is not rate])
        return State(
            stacked(of_all([model.trainable_variables for model in models.values()])),
            stacked(of_all([self._own_others(model) for model in models.values()])),
            [*stacked(of_all(memory)), tf.constant(rates, tf.float32)],
            tf.constant(updates.pop(), self.model.optimizer._iterations.dtype),
        )

    def variables(self):
        """Return the variables of the model and its optimizer that differ from copy to copy."""
        model = self.model
        return [*model.trainable_variables, *self.others, *self.memory]

    @property
    def bytes(self):
        """An upper bound for the memory of one update: all its tensors, as if none were freed."""
        size = self.experiment.batch_size
        shapes = [
            (tensor.shape, tensor.dtype.size)
            for operation in self.update.graph.get_operations()
            for tensor in operation.outputs
            if tensor.shape.rank is not None
        ]
        return sum(
            width * math.prod(size if length is None else length for length in shape.as_list())
            for shape, width in shapes
        )

    @staticmethod
    def flat(state):
        """Return the values of `variables`, in the same order."""
        return [*state.weights, *state.others, *state.memory]

    def _trace(self):
        """Trace one update, one evaluation of a batch, and the loops over batches and epochs."""
        state = tf.nest.map_structure(tf.TensorSpec.from_tensor, self.first)
        metrics = [tf.TensorSpec((len(self.trials), *v.shape), v.dtype) for v in self.first_metrics]
        orders = tf.TensorSpec((None, len(self.seeds), len(self.experiment.train)), tf.int32)
        batch = tf.TensorSpec((len(self.seeds), None), tf.int32)
        try:
            with _tensorflow.quiet_and_direct(), _tensorflow.rules():
                self.update = tf.function(self._update, autograph=False).get_concrete_function(
                    batch, state, metrics
                )
                ends = tf.TensorSpec((2,), tf.int32)
                self.evaluate = tf.function(self._evaluate, autograph=False).get_concrete_function(
                    ends, state, metrics
                )
                self.run = tf.function(self._epochs, autograph=False).get_concrete_function(
                    orders, state
                )
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            raise CannotVectorize(
                f"TensorFlow cannot carry it over copies: {first_line(error)}"
            ) from error
        impure = _tensorflow.impure_operations(self.update.graph)
        if impure:
            raise CannotVectorize(
                f"its result depends on more than weights and examples: {', '.join(impure)}"
            )

    def train(self, state, epochs):
        """Train for some epochs.

        Returns
        -------
        logs : dict of array of shape (epochs, copies)
        state : State
        """
        order = self.experiment.order
        orders = np.array([[order(seed, epoch) for seed in self.seeds] for epoch in epochs])
        with _tensorflow.quiet_and_direct():
            logs, state = self.run(tf.constant(orders, tf.int32), state)
        return {name: values.numpy() for name, values in logs.items()}, State(*state)

    def _epochs(self, orders, state):
        count, copies = tf.shape(orders)[0], len(self.trials)
        logs = {}

        def one_epoch(epoch, arrays, state):
            logs, state = self._epoch(orders[epoch], state)
            arrays = {name: arrays[name].write(epoch, logs[name]) for name in arrays}
            return epoch + 1, arrays, state

        arrays = {
            name: tf.TensorArray(tf.float32, count, element_shape=(copies,)) for name in self.names
        }
        _, arrays, state = tf.while_loop(
            lambda epoch, *_: epoch < count, one_epoch, (0, arrays, state), parallel_iterations=1
        )
        logs = {name: array.stack() for name, array in arrays.items()}
        return logs, state

    def _epoch(self, order, state):
        def update(batch, state, metrics):
            return self.update(order[:, batch[0] : batch[1]], state, metrics)

        logs, state = self._batches(len(self.experiment.train), update, state)
        held_out, state = self._batches(len(self.experiment.validation), self.evaluate, state)
        return logs | {f"val_{name}": value for name, value in held_out.items()}, state

    def _batches(self, examples, on_batch, state):
        """Go through the examples in batches; return the metrics, each of shape (copies,)."""
        copies, size = len(self.trials), self.experiment.batch_size

        def one_batch(start, total, state, metrics, report):
            end = tf.minimum(start + size, examples)
            batch = tf.stack([start, end])
            loss, state, metrics, report = on_batch(batch, State(*state), metrics)
            total += tf.cast(loss, tf.float32) * tf.cast(end - start, tf.float32)
            return end, total, State(*state), metrics, report

        metrics = [tf.repeat(value[None], copies, axis=0) for value in self.first_metrics]
        report = {name: tf.zeros(copies) for name in self.reported}
        _, total, state, metrics, report = tf.while_loop(
            lambda start, *_: start < examples,
            one_batch,
            (0, tf.zeros(copies), state, metrics, report),
            parallel_iterations=1,
        )
        logs = tf.vectorized_map(self._results, metrics)
        if report and set(report) != set(logs):  # Keras then takes what the last batch returned
            logs = report
        return logs | ({"loss": total / examples} if "loss" in logs else {}), state

    def _update(self, order, state, metrics):
        """Update all copies once, with the examples in these places for each seed."""
        rows = tf.gather(order, self.seed_of_copy)
        batch = tf.nest.map_structure(lambda array: tf.gather(array, rows), self.train_data)
        weights = [tf.identity(value) for value in state.weights]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, others, metrics, report = tf.vectorized_map(
                lambda args: self._forward(*args, training=True),
                (weights, state.others, metrics, batch),
            )
            scaled = self.model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        known = [place for place, gradient in enumerate(gradients) if gradient is not None]

        def step(args):
            weights, memory, own = args
            gradients = [None] * len(weights)
            for place, gradient in zip(known, own):
                gradients[place] = gradient
            return self._step(weights, memory, gradients, state.updates)

        own = [tf.convert_to_tensor(gradients[place]) for place in known]
        weights, memory = tf.vectorized_map(step, (weights, state.memory, own))
        return loss, State(weights, others, memory, state.updates + 1), metrics, report

    def _evaluate(self, batch, state, metrics):
        """Evaluate all copies on a batch, given by its first place and the place after its last.

        What a layer counts or draws while it is evaluated stays with the copy, as in Keras.
        """
        parts = tf.nest.map_structure(lambda array: array[batch[0] : batch[1]], self.held_out)
        loss, others, metrics, report = tf.vectorized_map(
            lambda args: self._forward(*args, parts, training=False),
            (state.weights, state.others, metrics),
        )
        return loss, state._replace(others=others), metrics, report

    def _forward(self, weights, others, metrics, parts, training):
        """Do with one batch of one copy what Keras's `train_step` and `test_step` begin with.

        Returns
        -------
        loss : scalar tensor
        others, metrics : list of tensor
            The new values of the variables that are not trained, and of the metrics'.
        report : dict of scalar tensor
            What a `compute_metrics` of the model's own returns; empty if it has none.
        """
        model = self.model
        x, y, sample_weight = (*parts, None)[:3]
        values = [
            *zip(model.trainable_variables, weights),
            *zip(self.others, others),
            *zip(model.metrics_variables, metrics),
        ]
        with keras.StatelessScope(values, collect_losses=True) as scope:
            y_pred = model(x, training=training) if model._call_has_training_arg else model(x)
            loss = model._compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
            )
            report = model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
            _check_known(scope, values)
            return (
                loss,
                [scope.get_current_value(v) for v in self.others],
                [scope.get_current_value(v) for v in model.metrics_variables],
                _as_floats(report) if self.own_report else {},
            )

    def _step(self, weights, memory, gradients, updates):
        """Let the optimizer of one copy make one update."""
        optimizer, variables = self.model.optimizer, self.model.trainable_variables
        values = [
            *zip(variables, weights),
            *zip(self.memory, memory),
            (optimizer._iterations, updates),
        ]
        with keras.StatelessScope(values) as scope, stateless():
            optimizer.apply(gradients, variables)
            _check_known(scope, values)
            return (
                [scope.get_current_value(v) for v in variables],
                [scope.get_current_value(v) for v in self.memory],
            )

    def _results(self, metrics):
        """Return what one copy's metrics report."""
        with keras.StatelessScope(list(zip(self.model.metrics_variables, metrics))):
            return _as_floats(self.model.get_metrics_result())


def _check_known(scope, values):
    """Refuse a model that changes a variable which is neither its own nor its optimizer's."""
    if set(scope.state_mapping) - {id(variable) for variable, _ in values}:
        raise CannotVectorize("training changes a variable that its model does not list")


def _as_floats(results):
    return {name: tf.cast(value, tf.float32) for name, value in results.items()}
