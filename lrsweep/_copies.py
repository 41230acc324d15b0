"""Many copies of one model, and what one update and one epoch do to all of them at once.

Each of a model's variables becomes an array with one entry for each copy: weights, what training
counts or averages, the metrics' sums, the optimizer's memory. `tf.vectorized_map` carries
`lrsweep._one_copy` over the copies. All of it is traced once, so the cost of Keras's Python code
and of starting each operation is shared by all copies.

`lrsweep._gate` compares one copy with Keras itself before anything is trained.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

import lrsweep._tensorflow as _tensorflow
from lrsweep._experiment import choose_report, rate_scale
from lrsweep._one_copy import CannotVectorize, OneCopy, Parts


class State(NamedTuple):
    """The values of all copies' variables, each with the copies in front, as in `Parts`.

    Attributes
    ----------
    weights, others, metrics, memory : list of tensor of shape (copies, ...)
    updates : scalar tensor
        The optimizers' count of updates, the same for all copies.
    """

    weights: list
    others: list
    metrics: list
    memory: list
    updates: tf.Tensor

    @property
    def parts(self):
        """All but the count."""
        return Parts(*self[:4])


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
        What Keras reports for an epoch, without "val_" and with it.
    constants : set of int
        The places, among a model's other variables, of those that no training changes and that
        all models have in common.

    Raises
    ------
    CannotVectorize
        If TensorFlow cannot carry the model over copies.
    """

    def __init__(self, experiment, models, trials, names, constants=()):
        self.experiment, self.models, self.trials, self.names = experiment, models, trials, names
        self.constants = constants
        self.seeds = sorted({trial.seed for trial in trials})
        self.seed_of_copy = tf.constant([self.seeds.index(trial.seed) for trial in trials])
        self.one = OneCopy(next(iter(models.values())), constants)
        self.model = self.one.model
        self.scale = rate_scale(self.model.optimizer, experiment)
        self._check_forms()
        self.train_data, self.held_out = (
            tf.nest.map_structure(tf.constant, part.parts)
            for part in (experiment.train, experiment.validation)
        )
        self._trace()

    def for_some(self, trials):
        """Return copies for some of the trials."""
        return Copies(self.experiment, self.models, trials, self.names, self.constants)

    def parts(self, memory):
        """Cut the trials into as few parts of almost equal size as need at most so many bytes."""
        count = len(self.trials)
        largest = max(1, int(min(memory * count / self.bytes, count)))
        places = np.array_split(range(count), math.ceil(count / largest))
        return [[self.trials[place] for place in part] for part in places]

    def _ones(self):
        """Return each seed's model as a single copy."""
        return {seed: OneCopy(self.models[seed], self.constants) for seed in self.seeds}

    def _check_forms(self):
        """Refuse models of which the arrays can't be stacked."""
        ones = self._ones().values()
        if len({int(one.model.optimizer._iterations) for one in ones}) > 1:
            raise CannotVectorize("the optimizers of its seeds have made different updates before")
        shapes = [[tuple(v.shape) for part in one.variables for v in part] for one in ones]
        if any(own != shapes[0] for own in shapes):
            raise CannotVectorize("build_model makes models of different shapes")

    @functools.cached_property
    def first(self):
        """The values that all copies start from; made when they are first asked for."""
        seeds = [trial.seed for trial in self.trials]
        values = {
            seed: [[v.numpy() for v in part] for part in one.variables]
            for seed, one in self._ones().items()
        }
        stacked = [
            [tf.constant(np.stack([values[s][kind][i] for s in seeds])) for i in range(len(part))]
            for kind, part in enumerate(self.one.variables)
        ]
        rate = self.one.variables.memory[-1]
        rates = np.array([trial.learning_rate for trial in self.trials]) * self.scale
        stacked[-1][-1] = tf.constant(rates, rate.dtype)
        count = self.model.optimizer._iterations
        return State(*stacked, tf.constant(int(count), count.dtype))

    def _specs(self):
        """Return what `first` will be made of, without making it."""
        stacked = [
            [tf.TensorSpec((len(self.trials), *v.shape), v.dtype) for v in part]
            for part in self.one.variables
        ]
        return State(*stacked, tf.TensorSpec((), self.model.optimizer._iterations.dtype))

    @property
    def bytes(self):
        """An upper bound for the memory of one update: all its tensors, as if none were freed."""
        experiment = self.experiment
        size = min(experiment.batch_size, max(len(experiment.train), len(experiment.validation)))
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

    def _trace(self):
        """Trace an update, an evaluation of a batch, and what metrics report and are reset to."""
        state = self._specs()
        batch = tf.TensorSpec((len(self.seeds), None), tf.int32)
        ends = tf.TensorSpec((2,), tf.int32)
        try:
            with _tensorflow.quiet_and_direct(), _tensorflow.rules():
                self.reset = _traced(self._reset, state)
                self.update = _traced(self._update, batch, state)
                self.evaluate = _traced(self._evaluate, ends, state)
                self.results = _traced(self._results, state)
        except CannotVectorize:
            raise
        except Exception as error:  # there are many ways in which its loop over copies fails
            raise CannotVectorize(
                f"TensorFlow cannot carry it over copies: {first_line(error)}"
            ) from error
        if own := _tensorflow.own_gradients(self.update.graph):
            raise CannotVectorize(
                f"TensorFlow would forget a gradient of its own, written in {', '.join(own)}"
            )
        graphs = [it.graph for it in (self.update, self.evaluate, self.reset, self.results)]
        impure = sorted({kind for it in graphs for kind in _tensorflow.impure_operations(it)})
        if impure:
            raise CannotVectorize(
                f"its result depends on more than weights and examples: {', '.join(impure)}"
            )

    def train(self, state, epochs):
        """Train for some epochs.

        The loops over epochs and batches are Python's: TensorFlow's own take longer to make than
        they save.

        Returns
        -------
        logs : dict of array of shape (epochs, copies)
        state : State
        """
        logs = {name: [] for name in self.names}
        with _tensorflow.quiet_and_direct():
            for epoch in epochs:
                report, state = self._epoch(epoch, state)
                for name, values in logs.items():
                    values.append(report[name])
            logs = {name: np.stack([it.numpy() for it in values]) for name, values in logs.items()}
        return logs, state

    def _epoch(self, epoch, state):
        """Train for one epoch; return what Keras reports, each of shape (copies,)."""
        order = np.stack([self.experiment.order(seed, epoch) for seed in self.seeds])
        for rows in self._batches(len(self.experiment.train)):
            state, report = self.update(tf.constant(order[:, slice(*rows)], tf.int32), state)
        results = self.results(state)
        logs = choose_report(results, report or None)
        late = self.one.taken_late if logs is results else ()
        state = self.reset(state)
        for rows in self._batches(len(self.experiment.validation)):
            state, report = self.evaluate(tf.constant(rows, tf.int32), state)
        held_out = choose_report(self.results(state), report or None)
        logs = logs | {name: held_out[name] for name in late}
        return logs | {f"val_{name}": it for name, it in held_out.items()}, self.reset(state)

    def _batches(self, examples):
        """Yield the first place of each batch and the place after its last."""
        size = self.experiment.batch_size
        for start in range(0, examples, size):
            yield start, min(start + size, examples)

    def _update(self, order, state):
        """Update all copies once, with the examples in these places for each seed."""
        rows = tf.gather(order, self.seed_of_copy)
        batch = tf.nest.map_structure(lambda array: tf.gather(array, rows), self.train_data)
        weights = [tf.identity(value) for value in state.weights]
        parts, updates = state.parts._replace(weights=weights), state.updates
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, others, metrics, report = tf.vectorized_map(
                lambda args: self.one.forward(args[0], updates, args[1], training=True),
                (parts, batch),
            )
            scaled = self.model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        known = [place for place, gradient in enumerate(gradients) if gradient is not None]

        def step(args):
            own = [None] * len(weights)
            for place, gradient in zip(known, args[1]):
                own[place] = gradient
            return self.one.step(args[0], updates, own)

        gradients = [tf.convert_to_tensor(gradients[place]) for place in known]
        parts = parts._replace(others=others, metrics=metrics)
        weights, memory = tf.vectorized_map(step, (parts, gradients))
        return State(weights, others, metrics, memory, updates + 1), report

    def _evaluate(self, ends, state):
        """Evaluate all copies on a batch, given by its first place and the place after its last.

        What a layer counts or draws while it is evaluated stays with the copy, as in Keras.
        """
        batch = tf.nest.map_structure(lambda array: array[ends[0] : ends[1]], self.held_out)
        _, others, metrics, report = tf.vectorized_map(
            lambda parts: self.one.forward(parts, state.updates, batch, training=False), state.parts
        )
        return state._replace(others=others, metrics=metrics), report

    def _reset(self, state):
        others, metrics = tf.vectorized_map(
            lambda parts: self.one.reset(parts, state.updates), state.parts
        )
        return state._replace(others=others, metrics=metrics)

    def _results(self, state):
        return tf.vectorized_map(lambda parts: self.one.results(parts, state.updates), state.parts)


def _traced(function, *specs):
    return tf.function(function, autograph=False).get_concrete_function(*specs)
