"""The right answer: `keras.Model.fit` itself, fed the batches that a sweep uses.

Nothing of the package is used here but the promise that the order of the examples in an epoch is
`numpy.random.default_rng((seed, epoch)).permutation(examples)`.
"""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

TOLERANCE = 1e-5


def mostly_long(names, *quick):
    """Return parameters of which only some are tried each time, all of them in the long group."""
    assert set(quick) <= set(names)
    return [it if it in quick else pytest.param(it, marks=pytest.mark.long) for it in names]


class Scaled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule times a number."""

    def __init__(self, schedule, factor):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        return self.factor * tf.cast(self.schedule(step), "float32")

    def get_config(self):
        return {}


def set_rate(optimizer, rate, updates):
    """Set the learning rate, or multiply the schedule so that its largest value is the rate."""
    own = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    if not isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        optimizer.learning_rate = rate
        return
    peak = max(float(own(tf.constant(step, tf.int64))) for step in range(updates))
    optimizer.learning_rate = Scaled(own, rate / peak)


def as_float32(structure):
    """Return arrays as Keras's `fit` would convert them, lists as tuples for tf.data."""

    def convert(array):
        array = np.asarray(array)
        return array.astype(keras.config.floatx()) if array.dtype.kind == "f" else array

    if isinstance(structure, dict):
        return {key: as_float32(value) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return tuple(as_float32(value) for value in structure)
    return None if structure is None else convert(structure)


def ordered_batches(train, seed, epochs, batch_size, shuffle=True):
    """Return the batches of all epochs as a `tf.data.Dataset`, and how many an epoch has."""
    parts = as_float32(tuple(train))
    count = len(tf.nest.flatten(parts)[0])

    def generate():
        for epoch in range(epochs):
            rows = np.arange(count)
            if shuffle:
                rows = np.random.default_rng((seed, epoch)).permutation(count)
            for start in range(0, count, batch_size):
                batch = rows[start : start + batch_size]
                yield tf.nest.map_structure(lambda array, batch=batch: array[batch], parts)

    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), parts
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset, -(-count // batch_size)


def fit(build, rate, seed, train, held_out, epochs, batch_size, shuffle=True, **arguments):
    """Return the history of a real `fit` after the seed was set and the model built.

    Names that Keras gives are those of a new session.
    """
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(seed)
    model = build()
    batches, steps = ordered_batches(train, seed, epochs, batch_size, shuffle)
    set_rate(model.optimizer, rate, epochs * steps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        history = model.fit(
            batches,
            steps_per_epoch=steps,
            epochs=epochs,
            validation_data=as_float32(tuple(held_out)),
            validation_batch_size=batch_size,
            verbose=0,
            **arguments,
        )
    return {name: np.array(values, float) for name, values in history.history.items()}


def difference(one, other):
    """Return the largest difference between two histories, relative to values above 1.

    They are compared up to the first epoch with a loss that is not finite, where a sweep ends.
    """
    end = finite_epochs(one)
    if set(one) != set(other) or end != finite_epochs(other):
        return np.inf
    largest = 0.0
    for name in one:
        a, b = (np.asarray(it[name], float)[:end] for it in (one, other))
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        apart = np.abs(a - b) / np.maximum(1, np.abs(b))
        apart = np.where(same, 0, np.where(np.isnan(apart), np.inf, apart))
        largest = max(largest, np.max(apart, initial=0))
    return largest


def finite_epochs(history):
    """Return how many epochs there are before the first loss that is not finite."""
    losses = np.asarray(history["loss"], float) + np.asarray(history.get("val_loss", 0), float)
    bad = ~np.isfinite(losses)
    return int(np.argmax(bad)) if bad.any() else len(losses)


def history_of(result, rate, seed):
    """Return one training of a result as a history like that of `fit`."""
    i = int(np.flatnonzero(result.learning_rates == rate)[0])
    j = int(np.flatnonzero(result.seeds == seed)[0])
    return {name: values[i, j] for name, values in result.metrics.items()}


def nudged(build, number):
    """Return a builder of the same model with weights and activations off by a last digit.

    The activations count by themselves: where tanh has reached 1, the slope 1 - tanh² is nothing
    but its last digit, and no nudge of a weight gets there.
    """

    def build_nudged():
        model = build()
        random = np.random.default_rng(number)
        for variable in model.trainable_variables:
            signs = random.choice([-1, 1], variable.shape)
            value = variable.numpy()
            variable.assign((value * (1 + 1.2e-7 * signs)).astype(value.dtype))
        for layer in model._flatten_layers():
            if callable(getattr(layer, "activation", None)) and not hasattr(layer, "cell"):
                layer.activation = _last_digit_less(layer.activation, random)
        return model

    return build_nudged


def _last_digit_less(activation, random):
    def less(inputs):
        outputs = activation(inputs)
        return outputs * (1 - 6e-8 * random.integers(2, size=outputs.shape[-1]))

    return less


def is_chaotic(first, build, *arguments, tolerance=TOLERANCE, nudges=6, **named):
    """Tell whether rounding decides a training, so that no two programs can agree on it.

    It is trained a few times more with everything off by a last digit, and once eagerly, where
    Keras rounds at other places than in a graph. If one of these differs from the first by more
    than the tolerance, comparing with it says nothing.
    """
    for number in range(nudges):
        if difference(fit(nudged(build, number), *arguments, **named), first) > tolerance / 3:
            return True
    return difference(fit(eager(build), *arguments, **named), first) > tolerance / 3


def eager(build):
    """Return a builder of the same model, to be run eagerly."""

    def build_eager():
        model = build()
        model.run_eagerly = True
        return model

    return build_eager
