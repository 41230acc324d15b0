"""One copy of a model, as functions from the values of its variables to new values.

What Keras does to a model in an update, an evaluation or a reset of its metrics is done here in
a `StatelessScope`, in which the variables stand for the values of one copy and nothing that is
assigned leaves it. Methods that a model may have of its own are called as Keras calls them.

`lrsweep._copies` carries these functions over all copies at once.
"""

import contextlib
from typing import NamedTuple

import keras
import tensorflow as tf

from lrsweep._experiment import flat_report, rate_variable
from lrsweep._stateless import Scope, optimizer_variables, stateless

OWN_COUNT = "training changes {}, its count of updates, in its own way"  # all copies share it


class CannotVectorize(Exception):
    """The model has to be trained sequentially; the message says why."""


class Parts(NamedTuple):
    """A model's variables, or their values.

    Attributes
    ----------
    weights : list
        What training changes by the gradient.
    others : list
        What else belongs to the model: averages, counters, the state of random numbers.
    metrics : list
        What its metrics add up, the mean of the loss among them.
    memory : list
        The optimizer's, all but its count of updates; the learning rate is the last one.
    """

    weights: list
    others: list
    metrics: list
    memory: list


def parts_of(model):
    """Return a model's variables.

    Raises
    ------
    ValueError
        If its optimizer has no learning rate of its own.
    """
    rate = rate_variable(model.optimizer)
    memory = [v for v in optimizer_variables(model.optimizer) if v is not rate]
    metrics = _unique(model.metrics_variables)
    trackers = model._loss_tracker, model._compile_metrics, model._compile_loss
    own = [v for it in trackers for v in _tracked(it)]  # a model may hide them from its metrics
    others = _unique([*model.non_trainable_variables, *own], but=metrics)
    return Parts(list(model.trainable_variables), others, metrics, [*memory, rate])


def _tracked(tracker):
    """Return the variables of a metric or of the metrics that a compiled loss has."""
    if isinstance(tracker, keras.Metric):
        return tracker.variables
    return [v for metric in getattr(tracker, "metrics", ()) for v in metric.variables]


def _unique(variables, but=()):
    known = {id(v) for v in but}
    return list({id(v): v for v in variables if id(v) not in known}.values())


class OneCopy:
    """A model as functions from values to values.

    Parameters
    ----------
    model : keras.Model
        Lends its code, its metrics and its optimizer; its own values stay as they are.
    constants : set of int
        The places, among its `others`, of variables that are left as they are in the model.

    Attributes
    ----------
    variables : Parts
        Those that a copy has values of its own for.
    taken_late : set of str
        The metrics that return their variable itself, known after `results`: `fit` takes what
        a training reports of them only after the validation.
    """

    def __init__(self, model, constants=()):
        self.model = model
        parts = parts_of(model)
        others = [v for place, v in enumerate(parts.others) if place not in constants]
        self.variables = parts._replace(others=others)
        self.taken_late = set()
        self.own_report = type(model).compute_metrics is not keras.Model.compute_metrics

    def forward(self, values, updates, batch, training):
        """Do with a batch what Keras's `train_step` and `test_step` do but for the update.

        Parameters
        ----------
        values : Parts
        updates : scalar tensor
            How many updates the optimizer has made.
        batch : tuple
            (x, y) or (x, y, sample_weight).
        training : bool

        Returns
        -------
        loss : scalar tensor
        others, metrics : list of tensor
            Their new values.
        report : dict of scalar tensor
            What a `compute_metrics` of the model's own returns; empty if it has none.
        """
        model = self.model
        x, y, sample_weight = (*batch, None)[:3]
        with self._scope(values, updates) as now:
            y_pred = model(x, training=training) if model._call_has_training_arg else model(x)
            loss = model._compute_loss(
                x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
            )
            examples = tf.shape(next(it for it in tf.nest.flatten(x) if it is not None))[0]
            model._loss_tracker.update_state(loss, sample_weight=examples)
            report = model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
            report = _as_floats(report) if self.own_report else {}
            after = now()
        return loss, after.others, after.metrics, report

    def step(self, values, updates, gradients):
        """Let the optimizer make one update; return the new weights and its new memory."""
        weights = self.variables.weights
        with self._scope(values, updates) as now, stateless():
            self.model.optimizer.apply_gradients(zip(gradients, weights))
            after = now(counted=1)
        return after.weights, after.memory

    def count(self, values, updates, gradients):
        """Return how many updates the optimizer says it has made after one more."""
        optimizer = self.model.optimizer
        with self._scope(values, updates), stateless():
            optimizer.apply_gradients(zip(gradients, self.variables.weights))
            return tf.convert_to_tensor(optimizer._iterations.value)

    def reset(self, values, updates):
        """Reset the metrics, as at the start of an epoch; return the new others and metrics."""
        with self._scope(values, updates) as now:
            self.model.reset_metrics()
            after = now()
        return after.others, after.metrics

    def results(self, values, updates):
        """Return what the metrics report, a dict of scalar tensors."""
        with self._scope(values, updates):
            report = self.model.get_metrics_result()
            flat = flat_report(report).items()
            self.taken_late = {name for name, it in flat if isinstance(it, keras.Variable)}
            return _as_floats(report)

    @contextlib.contextmanager
    def _scope(self, values, updates):
        """Let the variables stand for values; give a function that returns what they are now."""
        variables = [v for part in self.variables for v in part]
        held = [value for part in values for value in part]
        pairs = [*zip(variables, held), (self.model.optimizer._iterations, updates)]
        known, count = {id(variable) for variable, _ in pairs}, self.model.optimizer._iterations
        with Scope(pairs, collect_losses=True) as scope:

            def now(counted=0):
                if getattr(scope, "assigned", []).count(id(count)) > counted:
                    raise CannotVectorize(OWN_COUNT.format(count.path))
                if set(scope.state_mapping) - known:
                    raise CannotVectorize(
                        "training changes a variable that its model does not list"
                    )
                return Parts(
                    *([scope.get_current_value(v) for v in part] for part in self.variables)
                )

            yield now


def _as_floats(report):
    return {n: tf.reshape(tf.cast(v, tf.float32), ()) for n, v in flat_report(report).items()}
