"""Healthy and sick models for `benchmarks.check_up`, in Keras alone, made anew for each seed.

Each maker takes a seed and returns a `Case`. What is sick is named by the cause that a check-up
should put first; a few have two names, where one follows from the other.
"""

import keras
import numpy as np
from keras import layers, optimizers

from benchmarks import works
from course.clinic import make_patient
from course.clinic.examples import data, least_squares, with_shuffled_labels
from course.clinic.models import (
    ADAM,
    CROSSENTROPY,
    SGD,
    Case,
    built,
    dense,
    network,
    softmax,
)

schedules = optimizers.schedules


def texts(seed):
    random = np.random.default_rng(seed)
    y = random.integers(3, size=800)
    x = (y[:, None] * 200 + random.integers(500, size=(800, 20))).astype("int32")
    return (x[:600], y[:600]), (x[600:], y[600:])


def series(seed):
    random = np.random.default_rng(seed)
    y = random.integers(3, size=800)
    x = random.normal(size=(3, 8, 6))[y] + random.normal(size=(800, 8, 6))
    return (x[:600], y[:600]), (x[600:], y[600:])


def trained(case, seed, epochs, rate=None):
    """Return the case with the model trained for a while, at a rate of its own if given."""
    keras.utils.set_random_seed(seed)
    model = case.model()
    own = model.optimizer.learning_rate
    if rate is not None:
        own = float(own)
        model.optimizer.learning_rate = rate
    model.fit(
        *case.train, epochs=epochs, batch_size=case.arguments.get("batch_size", 32), verbose=0
    )
    if rate is not None:
        model.optimizer.learning_rate = own
    return case._replace(model=model)


IMAGES = (
    lambda: layers.Rescaling(1 / 16),
    lambda: layers.Reshape((8, 8, 1)),
    lambda: layers.Conv2D(8, 3, activation="relu"),
    layers.MaxPooling2D,
    lambda: layers.Conv2D(16, 3, padding="same", activation="relu"),
    layers.Flatten,
)


def two_inputs(seed):
    train, held_out = data("wine", seed)
    (x, y), (x_out, y_out) = train, held_out

    def build():
        a, b = keras.Input((6,)), keras.Input((7,))
        joined = layers.Concatenate()([layers.Dense(8, "relu")(a), layers.Dense(8, "relu")(b)])
        model = keras.Model([a, b], layers.Dense(3, "softmax")(joined))
        model.compile(ADAM(0.01), CROSSENTROPY)
        return model

    return Case(build, ([x[:, :6], x[:, 6:]], y), ([x_out[:, :6], x_out[:, 6:]], y_out), {})


def normalised_inside(seed):
    train, held_out = data("wine", seed, scaled=False)

    def scaler():
        layer = layers.Normalization()
        layer.adapt(train[0])
        return layer

    return Case(
        built(lambda: ADAM(0.01), scaler, dense(32), softmax(3), shape=(13,)), train, held_out, {}
    )


def as_dataset(seed):
    import tensorflow as tf

    case = network("digits", lambda: ADAM(0.003), seed=seed)
    stream = tf.data.Dataset.from_tensor_slices(case.train).shuffle(2000, seed).batch(32)
    return case._replace(train=stream)


HEALTHY = {
    "iris, gradient descent": lambda s: network("iris", lambda: SGD(0.1), seed=s),
    "iris, Adam": lambda s: network("iris", lambda: ADAM(0.01), seed=s),
    "wine, gradient descent": lambda s: network("wine", lambda: SGD(0.05), seed=s),
    "wine, momentum, batches of 16": lambda s: network(
        "wine", lambda: SGD(0.01, 0.9), seed=s, batch_size=16
    ),
    "wine, tanh, Adam": lambda s: network("wine", lambda: ADAM(0.01), dense(16, "tanh"), seed=s),
    "digits, gradient descent": lambda s: network("digits", lambda: SGD(0.1), seed=s),
    "digits, three hidden layers, Adam": lambda s: network(
        "digits", lambda: ADAM(0.001), dense(64), dense(64), dense(64), seed=s
    ),
    "digits, RMSprop": lambda s: network("digits", lambda: optimizers.RMSprop(0.001), seed=s),
    "digits, convolutions, Adam": lambda s: network(
        "digits", lambda: ADAM(0.003), *IMAGES, seed=s, scaled=False
    ),
    "digits, BatchNormalization and Dropout, Adam": lambda s: network(
        "digits", lambda: ADAM(0.003), dense(64), layers.BatchNormalization,
        lambda: layers.Dropout(0.3), seed=s,
    ),
    "digits, cosine schedule with momentum": lambda s: network(
        "digits", lambda: SGD(schedules.CosineDecay(0.05, 43 * 20), 0.9), seed=s
    ),
    "digits from a shuffled dataset": as_dataset,
    "digits, trained for 3 epochs, momentum": lambda s: trained(
        network("digits", lambda: SGD(0.01, 0.9), seed=s), s, 3
    ),
    "diabetes, gradient descent": lambda s: network("diabetes", lambda: SGD(0.02), seed=s),
    "diabetes, linear, Adam": lambda s: network(
        "diabetes", lambda: ADAM(0.01), dense(1, None), seed=s
    ),
    "breast cancer, AdamW": lambda s: network(
        "breast_cancer", lambda: optimizers.AdamW(0.003), seed=s
    ),
    "wine, two inputs, Adam": two_inputs,
    "wine, Normalization inside, Adam": normalised_inside,
    "texts, Embedding, Adam": lambda s: Case(
        built(
            lambda: ADAM(0.01), lambda: layers.Embedding(1000, 16),
            layers.GlobalAveragePooling1D, dense(16), softmax(3), shape=(20,),
        ),
        *texts(s), {},
    ),
    "series, a block of a transformer, Adam": lambda s: Case(works.transformer, *series(s), {}),
}  # fmt: skip


def patient(name, *given, trained=False):
    """Return a function that makes a case of a patient of lesson 8's clinic.

    `given` are those of its arguments of `fit` that the check-up is told.
    """

    def make(seed):
        it = make_patient(name, seed)
        arguments = {key: it.fit[key] for key in given}
        return Case(it.model if trained else it.build, it.train, it.validation, arguments)

    return make


def linear_floor(optimizer, seed):
    """Least squares with batches of 4 at a large rate, trained until nothing moves any more."""
    build = built(optimizer, dense(1, None), shape=(20,), loss="mse")
    return trained(Case(build, *least_squares(seed), {"batch_size": 4}), seed, 20)


def weights_only(seed):
    case = network("digits", lambda: ADAM(0.003), seed=seed)
    model = trained(case, seed, 10).model
    resumed = case.model()
    resumed.set_weights(model.get_weights())
    return case._replace(model=resumed)


def after_a_drop(seed):
    return trained(network("digits", lambda: SGD(0.001, 0.9), seed=seed), seed, 3, rate=0.1)


def second_fit(seed):
    schedule = schedules.CosineDecay(0.1, 43 * 10)
    return trained(network("digits", lambda: SGD(schedule), seed=seed), seed, 10)


def sorted_dataset(seed):
    import tensorflow as tf

    case = network("digits", lambda: ADAM(0.01), seed=seed)
    place = np.argsort(case.train[1], kind="stable")
    train = tuple(part[place] for part in case.train)
    return case._replace(train=tf.data.Dataset.from_tensor_slices(train).batch(32))


def shuffled_labels(case, seed):
    train, held_out = with_shuffled_labels((case.train, case.validation), seed)
    return case._replace(train=train, validation=held_out)


def scaled_by(case, factor):
    """Return the case with inputs in another unit."""
    pairs = [(x * factor, y) for x, y in (case.train, case.validation)]
    return case._replace(train=pairs[0], validation=pairs[1])


def few_updates(name, seed, epochs):
    """Raw inputs, scaled by a first BatchNormalization whose averages have no time to settle."""
    hidden = layers.BatchNormalization, dense(32)
    return network(name, lambda: ADAM(0.01), *hidden, seed=seed, scaled=False, epochs=epochs)


def raw_targets(seed):
    case = network("diabetes", lambda: SGD(0.001), seed=seed)
    pairs = [(x, 77 * y + 152) for x, y in (case.train, case.validation)]
    return case._replace(train=pairs[0], validation=pairs[1])


SICK = {
    "wine, raw inputs, gradient descent": (
        "inputs", patient("raw inputs")),
    "breast cancer, raw inputs, Adam": (
        "inputs", lambda s: network("breast_cancer", lambda: ADAM(0.003), seed=s, scaled=False)),
    "digits, bytes for inputs": (
        "inputs", lambda s: scaled_by(
            network("digits", lambda: SGD(0.1), seed=s, scaled=False), 255 / 16)),
    "digits, rate ÷ 1000": (
        "too small", patient("too small")),
    "wine, Adam, rate ÷ 1000": (
        "too small", lambda s: network("wine", lambda: ADAM(1e-5), seed=s)),
    "digits, Adam, rate × 1000": (
        "too large", lambda s: network("digits", lambda: ADAM(3.0), seed=s)),
    "diabetes, twice the limit": (
        "too large", lambda s: network(
            "diabetes", lambda: SGD(1.0), dense(1, None), seed=s, batch_size=128)),
    "digits, dead after large steps": ("units", patient("dead units", trained=True)),
    "least squares at its noise floor": ("noise", lambda s: linear_floor(lambda: SGD(0.06), s)),
    "least squares at Adam's noise floor": (
        "noise", lambda s: linear_floor(lambda: ADAM(0.1), s)),
    "digits, decay per update": (
        "schedule", patient("decay per update")),
    "digits, a whole number in a schedule": (
        "schedule", lambda s: network(
            "digits", lambda: SGD(schedules.ExponentialDecay(1, 40, 0.9)), seed=s)),
    "digits, second fit with one schedule": ("schedule", second_fit),
    "digits, resumed with weights only, Adam": ("memory", weights_only),
    "digits, momentum after a drop": ("memory", after_a_drop),
    "digits, sorted dataset": ("order", sorted_dataset),
    "wine, BatchNormalization, 10 epochs": ("averages", patient("averages", "epochs")),
    "digits, shuffled labels": (
        "labels", patient("shuffled labels")),
    "wine, shuffled labels": (
        "labels", lambda s: shuffled_labels(network("wine", lambda: SGD(0.05), seed=s), s)),
    "diabetes, raw targets": ("targets", raw_targets),
}  # fmt: skip
