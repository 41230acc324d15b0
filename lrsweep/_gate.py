"""Whether copies of a model can be trained together, found out by comparing them with Keras.

Before a sweep, a few real updates of Keras, on real batches and from weights that are nowhere
zero, are compared with those of one of the copies, while all the others are somewhere else:
weights, all that training counts or averages, the optimizer's memory, the metrics, and what is
reported. What differs by more than a last digit sends the sweep to `lrsweep._sequential`. Then
each seed's own model is compared with the one that lends its code to all copies.

The strength of the probe depends on nothing that it tests: its learning rate is one that moves
the weights, its batches are a whole one, an incomplete one and one with every example twice,
and its count of updates is where gathered gradients and averages are used.
"""

import math

import keras
import numpy as np
import tensorflow as tf

import lrsweep._tensorflow as _tensorflow
from lrsweep._copies import Copies, State, first_line
from lrsweep._examples import Stream
from lrsweep._experiment import choose_report
from lrsweep._one_copy import OWN_COUNT, CannotVectorize, OneCopy, Parts
from lrsweep._probe import all_of_keras, shaken
from lrsweep._stateless import optimizer_variables

CLOSE = 2e-5  # relative to the largest change of a variable since the start
DIGITS = 1e-6  # relative to the largest number of a variable
NUDGE = 1e-6  # how far, relatively, the start of a second run lies from the first one's
SLACK = 100  # how many times as far apart as that second run copies may be


def known_reason(probe):
    """Say what is known to keep a probe's model from being vectorized; None if nothing is."""
    model = probe.model
    if not _tensorflow.can_vectorize():
        return "this TensorFlow has no registry of rules for vectorized_map"
    for name in ("train_step", "test_step"):
        if getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name):
            return f"{type(model).__name__} has its own {name}"
    if model.run_eagerly:
        return "it is compiled with run_eagerly=True"
    graphs = [it.graph for it in (probe.train_step, probe.test_step) if it.graph is not None]
    if any(map(_tensorflow.hides_variables, graphs)):
        return "it uses variables within a function of its own, with @tf.function"
    if not model.trainable_variables:
        return "it has no weights to train"
    if hasattr(model.optimizer, "inner_optimizer"):
        return "its optimizer scales the loss"
    if _starts_from_weights(model):
        return "its optimizer starts from the weights, which it forgets in `fit`"
    if probe.starts_from_rate:
        return "its optimizer remembers the learning rate that it was built with"
    return None


def trusted_copies(experiment, models, trials, names, probe, memory=math.inf):
    """Return copies that do what Keras does.

    What is compared with Keras are all of them, or the first ones, if all need too much memory.

    Parameters
    ----------
    experiment, models, trials, names
        As for `Copies`; models that are missing are built and added.
    probe : Probe
        Of the first model.
    memory : float
        How many bytes the copies may need that are compared.

    Raises
    ------
    CannotVectorize
        Says why there can be none.
    """
    reason = known_reason(probe)
    if reason or any(isinstance(it, Stream) for it in (experiment.train, experiment.validation)):
        raise CannotVectorize(reason or "its batches come from a tf.data.Dataset")
    if clips_repeated_rows(probe):
        raise CannotVectorize(
            "its optimizer clips the gradients of gathered rows, as an Embedding's, where "
            "Keras counts rows that a batch has more than once one by one"
        )
    for seed in sorted({trial.seed for trial in trials} - models.keys()):
        models[seed] = experiment.build(seed)
    try:
        copies = Copies(experiment, models, trials, names, probe.constants(models.values()))
    except CannotVectorize:  # something was taken for a constant and is not?
        copies = Copies(experiment, models, trials, names)
    try:
        first = copies.parts(memory)[0]
        check_copies(copies if len(first) == len(trials) else copies.for_some(first), probe)
        check_seeds(copies)
        check_count(copies)
    except tf.errors.OpError as error:
        raise CannotVectorize(
            f"TensorFlow cannot carry it over copies: {first_line(error)}"
        ) from error
    return copies


def _starts_from_weights(model):
    """Tell whether an optimizer that has made no update holds more than equal numbers."""
    memory = [v.numpy() for v in optimizer_variables(model.optimizer)]
    return int(model.optimizer._iterations) == 0 and any(
        np.any(value != value.flat[0]) for value in memory if value.size
    )


def clips_repeated_rows(probe):
    """Tell whether the optimizer clips gradients of which TensorFlow keeps equal rows apart.

    Whether that makes a difference depends on the batch, so no update that is tried can tell.
    Where this can't be tried, `Copies` will say why.
    """
    optimizer = probe.model.optimizer
    if not (optimizer.clipnorm or optimizer.global_clipnorm or optimizer.clipvalue):
        return False
    one = OneCopy(probe.model)
    try:
        values, updates, batch = _values_to_try(one, probe.experiment)
        with tf.GradientTape() as tape:
            tape.watch(values.weights)
            loss = one.forward(values, updates, batch, training=True)[0]
        gradients = tape.gradient(loss, values.weights)
    except Exception:
        return False
    finally:
        probe.put_back()  # a variable of TensorFlow that the model assigns to
    return any(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)


def check_copies(copies, probe):
    """Compare a copy of the first seed with Keras's own updates.

    Parameters
    ----------
    copies : Copies
    probe : Probe
        Of the model that lends its code to the copies.

    Raises
    ------
    CannotVectorize
        Says what differs.
    """
    seed = copies.trials[0].seed
    mine = [place for place, trial in enumerate(copies.trials) if trial.seed == seed]
    place = mine[len(mine) // 2]
    weights = shaken([value[place].numpy() for value in copies.first.weights], 0.3)
    rows = probe.rows(seed)
    batches = [copies.experiment.train.rows(it) for it in rows]
    real = probe.run(probe.rate, weights, batches, probe.start)
    together = _run_copies(copies, place, weights, rows, probe)
    differing = _difference(copies, real, together)
    if differing is None:
        return
    nudged = probe.run(probe.rate, shaken(weights, NUDGE, 1), batches, probe.start)
    differing = _difference(copies, real, together, nudged)
    if differing is not None:
        raise CannotVectorize(f"an update of all copies together changes {differing} differently")


def _run_copies(copies, place, weights, rows, probe):
    """Do with all copies what `Probe.run` does; return the values of one, and what it reports."""
    first = copies.first
    stack = [_shaken_rows(value, place, own) for value, own in zip(first.weights, weights)]
    rates = first.memory[-1].numpy().copy()
    rates[place] = probe.rate * copies.scale
    state = first._replace(weights=stack, memory=[*first.memory[:-1], tf.constant(rates)])
    held_out, size = len(copies.experiment.validation), copies.experiment.batch_size
    ends = tf.constant([(held_out - 1) // size * size, held_out])
    seen = []

    def note(report=None):
        values = {
            id(v): stack[place].numpy()
            for part, stacks in zip(copies.one.variables, state.parts)
            for v, stack in zip(part, stacks)
        }
        values[id(copies.model.optimizer._iterations)] = state.updates.numpy()
        logs = None
        if report is not None:
            logs = choose_report(copies.results(state), report or None)
            logs = {name: float(value[place]) for name, value in logs.items()}
        seen.append((values, logs))

    def update(own):
        order = np.stack([rows_of_seed(copies, seed, own) for seed in copies.seeds])
        new, report = copies.update(tf.constant(order, tf.int32), state)
        return State(*new), report

    with _tensorflow.quiet_and_direct():
        state = State(*copies.reset(state))
        note()
        for number, own in enumerate(rows[:-1]):
            if number % 2 == 0:
                state = state._replace(updates=tf.constant(probe.start, first.updates.dtype))
            state, report = update(own)
            note()
        note(report)
        state = State(*copies.reset(state))
        new, report = copies.evaluate(ends, state)
        state = State(*new)
        note(report)
        state = State(*copies.reset(state))
        state, report = update(rows[-1])
        note(report)
    return seen


def rows_of_seed(copies, seed, rows):
    """Return which examples the copies of a seed see while those of the first see others."""
    if seed == copies.trials[0].seed:
        return rows
    return (np.asarray(rows) + 1 + copies.seeds.index(seed)) % len(copies.experiment.train)


def _shaken_rows(values, place, own):
    """Return the weights of all copies, moved far away, but for one copy's own."""
    rows = values.numpy()
    rows = rows + np.random.default_rng(2).normal(size=rows.shape).astype(rows.dtype)
    rows[place] = own
    return tf.constant(rows)


def _difference(copies, real, together, nudged=None):
    """Return the path of a variable, or the name of a metric, that differs too much, or None."""
    variables = [v for part in copies.one.variables for v in part]
    count = copies.model.optimizer._iterations
    first = real[0][0]
    for step, ((alone, logs), (other, other_logs)) in enumerate(zip(real, together)):
        if alone[id(count)] != other[id(count)]:  # a slow schedule's rates would be too close
            return count.path
        for variable in variables:
            start, a, b = (np.asarray(it[id(variable)], float) for it in (first, alone, other))
            with np.errstate(invalid="ignore"):  # two infinities
                allowed = CLOSE * _largest(a - start) + DIGITS * _largest(a) + 1e-30
                if nudged is not None:
                    apart = np.abs(a - nudged[step][0][id(variable)])
                    allowed = allowed + SLACK * np.fmax(apart, np.median(apart))
            if not _close(a, b, allowed):
                return variable.path
        if logs is not None:
            if set(logs) != set(other_logs):
                return "the names of what is reported"
            for name, value in logs.items():
                allowed = CLOSE * max(1.0, abs(value))
                if nudged is not None:
                    allowed += SLACK * abs(value - nudged[step][1][name])
                if not _close(np.array(value), np.array(other_logs[name]), allowed):
                    return f"what is reported as {name}"
    return None


def _largest(values):
    return np.max(np.abs(values), initial=0, where=np.isfinite(values))


def _close(a, b, allowed):
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return np.all(same | (np.abs(a - b) <= allowed))


def check_seeds(copies):
    """Compare each seed's model with the one that lends its code, on equal values.

    A builder may draw more than weights: a constant, an activation, a rate of Dropout.

    Raises
    ------
    CannotVectorize
    """
    models = [copies.models[seed] for seed in _seeds_in_order(copies)]
    if not alike(models, copies.experiment):
        raise CannotVectorize(
            "build_model draws more than first weights: with equal weights, the models "
            "of its seeds give different results"
        )


def check_count(copies):
    """Ask an optimizer of one's own whether each update of the training counts as one.

    It may begin its count anew later than any update that is tried, or leave out updates whose
    gradients aren't finite.

    Raises
    ------
    CannotVectorize
    """
    if all_of_keras(copies.model):
        return
    values, first = _nowhere_zero(copies.one.variables), copies.first.updates
    counts = first + tf.range(copies.experiment.updates, dtype=first.dtype)
    gradients = [[tf.ones_like(it) * size for it in values.weights] for size in (0.5, np.inf)]

    def ask(count):
        return tf.stack([copies.one.count(values, count, own) for own in gradients])

    with _tensorflow.quiet_and_direct():
        said = tf.function(lambda: tf.map_fn(ask, counts), autograph=False)()
    if np.any(said.numpy() != counts.numpy()[:, None] + 1):
        raise CannotVectorize(OWN_COUNT.format(copies.model.optimizer._iterations.path))


def alike(models, experiment):
    """Tell whether an update and an evaluation make the same of equal values in several models."""
    one = OneCopy(models[0])
    values, updates, batch = _values_to_try(one, experiment)
    first = _outcome(one, values, updates, batch)
    others = (_outcome(OneCopy(other), values, updates, batch) for other in models[1:])
    return all(
        _close(a, b, CLOSE * _largest(b) + 1e-30) for other in others for a, b in zip(first, other)
    )


def _values_to_try(one, experiment):
    """Return values of a model's variables, a count of updates, and the first batch."""
    size = slice(0, experiment.batch_size)
    batch = tf.nest.map_structure(tf.constant, experiment.train.rows(size))
    updates = tf.constant(experiment.updates // 2, one.model.optimizer._iterations.dtype)
    return _nowhere_zero(one.variables), updates, batch


def _nowhere_zero(variables):
    """Return values to try, nowhere zero where that is allowed, and the memory above it."""
    weights, others, metrics, memory = ([v.numpy() for v in part] for part in variables)
    *memory, rate = memory
    above = [value + np.abs(new - value) for value, new in zip(memory, shaken(memory, 0.3, 1))]
    parts = shaken(weights, 0.3), others, metrics, [*above, rate]
    return Parts(*([tf.constant(value) for value in part] for part in parts))


def _seeds_in_order(copies):
    first = next(iter(copies.models))
    return [first, *(seed for seed in copies.seeds if seed != first)]


def _outcome(one, values, updates, batch):
    """Return what an update and an evaluation would make of values, as a flat list of arrays."""
    everything = []
    for training in (True, False):
        loss, others, metrics, report = one.forward(values, updates, batch, training)
        after = values._replace(others=others, metrics=metrics)
        report |= one.results(after, updates)
        cleared = one.reset(after, updates)
        everything += [loss, *others, *metrics, *report.values(), *cleared[0], *cleared[1]]
    fake = [tf.ones_like(value) * 0.5 for value in values.weights]
    weights, memory = one.step(values, updates, fake)
    return [np.asarray(value, float) for value in [*everything, *weights, *memory]]
