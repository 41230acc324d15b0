"""Whether copies of a model can be trained together, found out by comparing them with Keras.

Before a sweep, a few real updates of Keras, on real batches and from weights that are nowhere
zero, are compared with those of two of the copies, while all the others are somewhere else:
losses, weights, all that training counts or averages, the optimizer's memory, and the metrics.
What differs by more than a last digit sends the sweep to `lrsweep._sequential`.

The same updates show whether the learning rate and the seeds change anything at all.
"""

import itertools

import keras
import numpy as np
import tensorflow as tf

import lrsweep._tensorflow as _tensorflow
from lrsweep._copies import CannotVectorize, State
from lrsweep._experiment import rate_variable, traced_step
from lrsweep._stateless import optimizer_variables

UPDATES = 3  # that are compared
CLOSE = 2e-5  # relative to the largest number of a variable and to the largest change of it
NUDGE = 1e-6  # how far, relatively, the start of a second run lies from the first one's
SLACK = 100  # how many times as far apart as that second run copies may be


def known_reason(model):
    """Say what is known to keep a model from being vectorized; None if nothing is."""
    if not _tensorflow.can_vectorize():
        return "this TensorFlow has no registry of rules for vectorized_map"
    for name in ("train_step", "test_step"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"{type(model).__name__} has its own {name}"
    if model.run_eagerly:
        return "it is compiled with run_eagerly=True"
    if not model.trainable_variables:
        return "it has no weights to train"
    if hasattr(model.optimizer, "inner_optimizer"):
        return "its optimizer scales the loss"
    if _is_distributed(model):
        return "it is trained under a distribution strategy"
    return None


def _is_distributed(model):
    return tf.distribute.has_strategy() or getattr(model, "_distribute_strategy", None) is not None


class Probe:
    """A model on which Keras's own updates are tried; its values are put back after each try.

    Parameters
    ----------
    model : keras.Model
        Built. Its optimizer keeps a scaled schedule in place of its own.
    experiment : Experiment
    """

    def __init__(self, model, experiment):
        self.model, self.experiment = model, experiment
        self.rate, self.scale = rate_variable(model.optimizer, experiment)
        memory = [*optimizer_variables(model.optimizer), model.optimizer._iterations, self.rate]
        kinds = model.variables, model.metrics_variables, memory
        unique = {id(v): v for kind in kinds for v in kind}
        self.variables = list(unique.values())
        eager = model.run_eagerly or _same_when_eager(model, experiment)
        self.train_step = traced_step(model.train_step, experiment.train, eager)
        self.test_step = traced_step(model.test_step, experiment.validation, eager)
        self.first = [v.numpy() for v in self.variables]
        self.changed = set()

    def constants(self, others):
        """Return the variables that no training changes and that are equal in other models.

        Known after `run`. They need not be kept for each copy.
        """
        places = {id(v): i for i, v in enumerate(self.variables)}
        found = []
        for number, variable in enumerate(self.model.non_trainable_variables):
            first = self.first[places[id(variable)]]
            same = (model.non_trainable_variables[number].numpy() for model in others)
            if id(variable) not in self.changed and all(np.array_equal(first, it) for it in same):
                found.append(variable)
        return found

    def put_back(self):
        """Give all variables the values that they had at first."""
        for variable, value in zip(self.variables, self.first):
            variable.assign(value)

    def values(self):
        """Return the values of all variables now, by the variable's identity."""
        return {id(v): v.numpy() for v in self.variables}

    def run(self, learning_rate, weights, batches):
        """Let Keras make some updates, and evaluate a batch after the first.

        Returns
        -------
        list of dict
            What `values` returns after each of these.
        logs : dict
            What the last `train_step` returned.
        """
        self.put_back()
        self.rate.assign(learning_rate * self.scale)
        for variable, value in zip(self.model.trainable_variables, weights):
            variable.assign(value)
        self.model.reset_metrics()
        seen = []
        for number, parts in enumerate(batches):
            logs = self.train_step(*parts)
            seen.append(self.values())
            if number == 0 and len(batches) > 1:
                self.test_step(*next(iter(self.experiment.held_out_batches())))
                seen.append(self.values())
        for variable, first in zip(self.variables, self.first):
            if any(not np.array_equal(first, it[id(variable)]) for it in seen):
                self.changed.add(id(variable))
        self.put_back()
        return seen, logs

    def batches(self, seed):
        """Return the first batches of a seed's first epoch."""
        return list(itertools.islice(self.experiment.train_batches(seed, 0), UPDATES))


def _same_when_eager(model, experiment):
    """Tell whether a model does the same untraced, so that nobody need wait for the tracing.

    That is so for one output, Keras's own layers, and no state: nothing then depends on how often
    Python runs through the model, or on whether the size of a batch is known beforehand.
    """
    one_output = len(tf.nest.flatten(experiment.train.specs()[1])) == 1
    parts = [model, *model._flatten_layers()]
    own = all(type(part).__module__.startswith("keras.") for part in parts)
    return one_output and own and not model.non_trainable_variables


def shaken(weights, size, seed=0):
    """Return weights with noise added, relative to the typical size of each: 0.1 if all are 0."""
    random = np.random.default_rng(seed)
    moved = []
    for value in weights:
        typical = np.sqrt(np.mean(np.square(value, dtype=float))) or 0.1
        noise = random.normal(size=value.shape) * typical * size
        moved.append((value + noise).astype(value.dtype))
    return moved


def check_copies(copies, probe):
    """Compare a copy of the first seed with Keras's own updates.

    Raises
    ------
    CannotVectorize
        Says what differs.
    """
    trials = copies.trials
    seed = trials[0].seed
    mine = [place for place, trial in enumerate(trials) if trial.seed == seed]
    place = mine[len(mine) // 2]
    weights = shaken([value[place].numpy() for value in copies.first.weights], 0.3)
    batches = probe.batches(seed)
    real, _ = probe.run(trials[place].learning_rate, weights, batches)
    together = _run_copies(copies, place, weights, len(batches))
    differing = _difference(copies, real, together)
    if differing is None:
        return
    nudged, _ = probe.run(trials[place].learning_rate, shaken(weights, NUDGE, 1), batches)
    differing = _difference(copies, real, together, nudged)
    if differing is not None:
        raise CannotVectorize(f"an update of all copies together changes {differing} differently")


def _run_copies(copies, place, weights, count):
    """Return what the variables of one copy are after each of the first updates of all copies."""
    stack = [shaken_rows(value, place, own) for value, own in zip(copies.first.weights, weights)]
    state = State(stack, *copies.first[1:])
    order = np.stack([copies.experiment.order(seed, 0) for seed in copies.seeds])
    size, seen = copies.experiment.batch_size, []
    metrics = [tf.repeat(v[None], len(copies.trials), axis=0) for v in copies.first_metrics]
    with _tensorflow.quiet_and_direct():
        for update in range(count):
            batch = tf.constant(order[:, update * size : (update + 1) * size], tf.int32)
            _, state, metrics, _ = copies.update(batch, State(*state), metrics)
            seen.append(_values(copies, place, State(*state), metrics))
            if update == 0 and count > 1:
                ends = tf.constant([0, min(size, len(copies.experiment.validation))])
                _, state, metrics, _ = copies.evaluate(ends, State(*state), metrics)
                seen.append(_values(copies, place, State(*state), metrics))
    return seen


def _values(copies, place, state, metrics):
    """Return the values of one copy, by the identity of the variable."""
    variables = [*copies.variables(), *copies.model.metrics_variables]
    stacks = [*copies.flat(state), *metrics]
    return {id(v): stack[place].numpy() for v, stack in zip(variables, stacks)}


def shaken_rows(values, place, own):
    """Return the weights of all copies, moved far away, but for one copy's own."""
    rows = values.numpy()
    rows = rows + np.random.default_rng(2).normal(size=rows.shape).astype(rows.dtype)
    rows[place] = own
    return tf.constant(rows)


def _difference(copies, real, together, nudged=None):
    """Return the path of a variable that differs too much, or None."""
    variables = [*copies.variables(), *copies.model.metrics_variables]
    skipped = {id(v) for v in _loss_tracker(copies.model)}
    for step in range(len(real)):
        before = real[step - 1] if step else None
        for variable in variables:
            if id(variable) in skipped:
                continue
            alone, other = (np.asarray(it[step][id(variable)], float) for it in (real, together))
            change = np.abs(alone - before[id(variable)]) if step else np.abs(alone)
            allowed = CLOSE * (np.max(np.abs(alone), initial=0) + np.max(change, initial=0)) + 1e-30
            if nudged is not None:
                allowed = allowed + SLACK * np.abs(alone - nudged[step][id(variable)])
            same = (alone == other) | (np.isnan(alone) & np.isnan(other))
            if not np.all(same | (np.abs(alone - other) <= allowed)):
                return variable.path
    return None


def _loss_tracker(model):
    """Return the variables of the mean of the loss, which the copies keep in another way."""
    return [v for metric in model.metrics if metric.name == "loss" for v in metric.variables]
