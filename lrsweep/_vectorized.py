"""Many copies of one model, trained at the same time: the fast way of `lrsweep`.

The weights of a copy are one row of a matrix, and everything that Keras would do for one
model is done for all rows at once: `tf.vectorized_map` carries the model, its loss and its
metrics over the copies, and the Keras optimizer updates the whole matrix with a column of
learning rates, one for each copy. All of it is traced once, so the cost of Keras's Python
code and of starting each operation is shared by all copies.

That is right only if no copy can feel another: `lrsweep._vectorizable` finds out.
"""

import math
import time

import keras
import numpy as np
import tensorflow as tf

from lrsweep._experiment import Outcome, scaled_learning_rate
from lrsweep._tensorflow import quiet_and_direct

BLOCK = 0.5  # seconds between two looks at the progress bar and at Ctrl-C


class CannotVectorize(Exception):
    """The model has to be trained sequentially; the message says why."""


def train_vectorized(experiment, models, trials, record, after_epochs, chunk):
    """Train copies of a model together.

    Parameters
    ----------
    experiment : Experiment
    models : dict
        A model with its first weights for each seed; they are left as they are. The first
        one lends its code, its metrics and the kind of its optimizer to all copies.
    trials : list of Trial
        One copy each.
    record : callable
        Called with (trial, outcome) for each copy, also when interrupted by Ctrl-C.
    after_epochs : callable
        Called with the number of epochs done since the last call, counted over all copies.
    chunk : int
        How many copies at most are trained together; the others wait their turn.

    Raises
    ------
    CannotVectorize
        Before any training, when TensorFlow cannot carry the model over copies.
    """
    chunks = math.ceil(len(trials) / chunk)
    for places in np.array_split(np.arange(len(trials)), chunks):  # of almost equal size
        part = [trials[place] for place in places]
        copies = _Copies(experiment, models, part)
        logs = []
        try:
            for log in _train_in_blocks(copies, experiment.epochs):
                logs.append(log)
                after_epochs(len(log["loss"]) * len(part))
        finally:
            if logs:
                _record(part, logs, record)


def _train_in_blocks(copies, epochs):
    """Train, and yield the metrics of as many epochs at a time as take about `BLOCK` seconds."""
    done, block = 0, 1
    while done < epochs:
        block = min(block, epochs - done)
        start = time.perf_counter()
        log = copies.train(range(done, done + block))
        seconds = time.perf_counter() - start
        done += block
        block = max(1, int(block * BLOCK / seconds))
        yield log


def one_copy(model, weights, fixed, state, x, y, training):
    """Do with one batch what Keras does, without changing the model.

    Parameters
    ----------
    weights, fixed, state : list of tensor
        Values for the trainable, the other and the metrics' variables.
    x, y : tensor
        The batch.
    training : bool

    Returns
    -------
    loss : scalar tensor
        With the regularisers' share, as Keras reports it.
    state : list of tensor
        The metrics' variables with the batch counted in.

    Raises
    ------
    CannotVectorize
        While tracing, when the model changes a variable that is not trained by gradients.
    """
    constants = list(zip(model.non_trainable_variables, fixed))
    weights = list(zip(model.trainable_variables, weights))
    metrics = list(zip(model.metrics_variables, state))
    with keras.StatelessScope(weights + constants + metrics, collect_losses=True) as scope:
        y_pred = model(x, training=training)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, training=training)
        model.compute_metrics(x, y, y_pred)
        for variable, value in constants:
            if scope.get_current_value(variable) is not value:
                raise CannotVectorize(
                    f"training changes {variable.path}, a weight without gradient"
                )
        return loss, [scope.get_current_value(variable) for variable, _ in metrics]


def vectorized_optimizer(optimizer, rates, updates):
    """Return a new optimizer of the same kind that gives each row its own learning rate."""
    vectorized = type(optimizer).from_config(optimizer.get_config() | {"learning_rate": 1.0})
    column = np.reshape(rates, (-1, 1))
    vectorized.learning_rate = scaled_learning_rate(optimizer, column, updates)
    return vectorized


def flatten(variables):
    """Return all numbers of a list of variables or arrays as one row."""
    return np.concatenate([np.ravel(v) for v in variables])


def first_line(error):
    """Return the first line of an error's message, or its kind where there is no message."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


class _Copies:
    """The copies of one chunk: matrices with one row for each copy, and what is done to them."""

    def __init__(self, experiment, models, trials):
        self.model, self.experiment = next(iter(models.values())), experiment
        rates, seeds = [trial.learning_rate for trial in trials], [trial.seed for trial in trials]
        self.seeds = sorted(set(seeds))
        self.seed_of_copy = tf.constant([self.seeds.index(seed) for seed in seeds])
        first_row = {seed: flatten(models[seed].trainable_variables) for seed in self.seeds}
        self.weights = keras.Variable(np.stack([first_row[seed] for seed in seeds]), name="copies")
        fixed = zip(*(models[seed].non_trainable_variables for seed in seeds))
        self.fixed = [tf.stack([v.value for v in variables]) for variables in fixed]
        self.optimizer = vectorized_optimizer(self.model.optimizer, rates, experiment.updates)
        self.optimizer.build([self.weights])
        self.data = [tf.constant(a) for a in (experiment.x, experiment.y)]
        self.held_out = [tf.constant(a) for a in (experiment.x_validation, experiment.y_validation)]
        self._trace()

    def _trace(self):
        orders = tf.TensorSpec((None, len(self.seeds), len(self.experiment.x)), tf.int32)
        self.run = tf.function(self._epochs, input_signature=[orders], autograph=False)
        try:
            with quiet_and_direct():
                self.run.get_concrete_function()
        except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
            raise CannotVectorize(
                f"TensorFlow cannot carry it over copies: {first_line(error)}"
            ) from error

    def train(self, epochs):
        """Train for some epochs; return arrays of shape (epochs, copies) by metric."""
        order = self.experiment.order
        orders = np.array([[order(seed, epoch) for seed in self.seeds] for epoch in epochs])
        with quiet_and_direct():
            logs = self.run(tf.constant(orders, tf.int32))
        return {name: values.numpy() for name, values in logs.items()}

    def _epochs(self, orders):
        names = list(self.model.get_metrics_result())
        names += [f"val_{name}" for name in names]
        logs = {name: tf.TensorSpec(self.weights.shape[:1]) for name in names}
        return tf.map_fn(self._epoch, orders, fn_output_signature=logs, parallel_iterations=1)

    def _epoch(self, order):
        logs = self._batches(order.shape[1], lambda *args: self._update(order, *args))
        held_out = self._batches(len(self.held_out[0]), self._evaluate)
        return logs | {f"val_{name}": value for name, value in held_out.items()}

    def _batches(self, examples, on_batch):
        """Go through the examples in batches; return the metrics, each of shape (copies,)."""
        copies, size = self.weights.shape[0], self.experiment.batch_size

        def one_batch(start, total, state):
            end = tf.minimum(start + size, examples)
            loss, state = on_batch(slice(start, end), state)
            return end, total + tf.cast(loss, "float32") * tf.cast(end - start, "float32"), state

        state = [tf.zeros((copies, *v.shape), v.dtype) for v in self.model.metrics_variables]
        _, total, state = tf.while_loop(
            lambda start, *_: start < examples,
            one_batch,
            (0, tf.zeros(copies), state),
            parallel_iterations=1,
        )
        logs = tf.vectorized_map(lambda state: _results(self.model, state), state)
        return logs | {"loss": total / examples}

    def _update(self, order, batch, state):
        rows = tf.gather(order[:, batch], self.seed_of_copy)
        x, y = (tf.gather(array, rows) for array in self.data)
        weights = tf.identity(self.weights.value)
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, state = tf.vectorized_map(
                lambda args: one_copy(self.model, *args, training=True),
                (self._unflatten(weights), self.fixed, state, x, y),
            )
        self.optimizer.apply([tape.gradient(loss, weights)], [self.weights])
        return loss, state

    def _evaluate(self, batch, state):
        x, y = (array[batch] for array in self.held_out)
        weights = self._unflatten(tf.identity(self.weights.value))
        return tf.vectorized_map(
            lambda args: one_copy(self.model, *args, x, y, training=False),
            (weights, self.fixed, state),
        )

    def _unflatten(self, rows):
        """Cut the rows into the layers' weights, each of shape (copies, ...)."""
        shapes = [v.shape for v in self.model.trainable_variables]
        parts = tf.split(rows, [int(np.prod(shape)) for shape in shapes], axis=1)
        return [tf.reshape(part, (-1, *shape)) for part, shape in zip(parts, shapes)]


def _record(trials, logs, record):
    """Hand each copy's part of the metrics, up to where it diverged, to `record`."""
    history = {name: np.concatenate([log[name] for log in logs]) for name in logs[0]}
    finite = np.isfinite(history["loss"] + history["val_loss"])
    for copy, trial in enumerate(trials):
        diverged = not finite[:, copy].all()
        length = np.argmin(finite[:, copy]) if diverged else len(finite)
        own = {name: log[:length, copy] for name, log in history.items()}
        record(trial, Outcome(own, diverged))


def _results(model, state):
    with keras.StatelessScope(list(zip(model.metrics_variables, state))):
        results = model.get_metrics_result()
    return {name: tf.cast(value, "float32") for name, value in results.items()}
