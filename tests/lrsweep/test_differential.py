"""The contract against plain Keras, on generated models, optimizers, losses, metrics and data.

The history of every training equals that of `fit` on the same batches, to 1e-5 wherever training
is not chaotic; or the call refuses before training; or it runs sequentially and says why. Here
nothing may be refused: all of it is what Keras takes.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from configurations import (
    BATCH,
    BUILDERS,
    EPOCHS,
    HELD_OUT,
    KINDS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    OPTIONS,
    TARGETS,
    TRAIN,
    WEIGHTS,
    Noise,
    configurations,
)
from plain import TOLERANCE, as_float32, difference, fit, history_of, is_chaotic, mostly_long

from lrsweep import sweep_learning_rates

FEW, MANY = 24, 320
SLOW = "LSTM", "GRU", "RNN", "Bidirectional", "attention"  # to trace: for the long group only
TABLES = {
    "model": MODELS,
    "kind": KINDS,
    "optimizer": OPTIMIZERS,
    "option": OPTIONS,
    "target": TARGETS,
    "metrics": METRICS,
    "weights": WEIGHTS,
    "builder": BUILDERS,
}


def weighted(train, class_weight):
    """Return examples whose weights are those of their classes."""
    if class_weight is None:
        return train
    x, y = train
    classes = y.argmax(axis=-1) if y.ndim > 1 else y
    return x, y, np.array([class_weight[int(it)] for it in classes])


def compare(configuration, trials, rates=None, seeds=2):
    """Run a small sweep and some of its trainings in plain Keras; return the result.

    An error is right only if `fit` raises it, too.
    """
    what = configuration
    train, held_out = what.examples(TRAIN, 0), what.examples(HELD_OUT, 1)
    rest = weighted(train, what.class_weight), held_out, EPOCHS, BATCH
    rates = rates or what.rates
    keras.utils.clear_session(free_memory=False)
    try:
        result = sweep_learning_rates(
            what.build,
            rates,
            train,
            held_out,
            epochs=EPOCHS,
            batch_size=BATCH,
            seeds=seeds,
            progress=False,
            class_weight=what.class_weight,
        )
    except (TypeError, tf.errors.OpError) as error:
        every = range(seeds) if isinstance(seeds, int) else seeds
        with pytest.raises(type(error)):
            [fit(what.build, *trial, *rest) for trial in itertools.product(rates, every)]
        return None
    assert result.engine == "vectorized" or len(result.reason.split()) > 3
    for rate, seed in trials:
        arguments = rate, seed, *rest
        right = fit(what.build, *arguments)
        apart = difference(history_of(result, rate, seed), right)
        if not apart <= TOLERANCE:
            assert is_chaotic(right, what.build, *arguments), f"{apart:.1e} apart, {what}"
    return result


def few():
    """Return a fixed few dozen that are soon traced."""
    quick = [it for it in configurations(1, 2 * FEW) if not any(n in it.model for n in SLOW)]
    return quick[:FEW]


@pytest.mark.parametrize("number", range(FEW))
def test_a_sweep_equals_fit(number):
    what = few()[number]
    if what.kind == "train_step":  # one after another: one is enough here
        compare(what, [(what.rates[1], 1)], what.rates[1:], [1])
    else:
        compare(what, [(what.rates[1], 1)])


@pytest.mark.long
@pytest.mark.parametrize("number", range(MANY))
def test_many_sweeps_equal_fit(number):
    what = configurations(0, MANY)[number]
    compare(what, [(what.rates[0], 0), (what.rates[1], 1)])


def test_the_configurations_leave_nothing_out():
    """Every entry of every table is there, and no two seeds give the same."""
    found = configurations(0, MANY)
    for name, table in TABLES.items():
        assert {getattr(what, name) for what in found} == set(table)
    assert found == configurations(0, MANY)
    assert found[:FEW] != few()
    assert len(few()) == FEW


# The order of the batches, and where they come from

X = np.random.default_rng(0).normal(size=(30, 4))
Y = np.random.default_rng(1).integers(3, size=30)
DATA = (X[:20], Y[:20]), (X[20:], Y[20:])


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def builder(kind=keras.Sequential, optimizer=lambda: keras.optimizers.Adam(), metrics=("AUC",)):
    def build():
        model = kind([keras.Input((4,)), keras.layers.Dense(6, "tanh")])
        model.add(keras.layers.Dropout(0.3))
        model.add(keras.layers.Dense(1, "sigmoid"))
        model.compile(optimizer(), "binary_crossentropy", metrics=list(metrics))
        return model

    return build


BINARY = tuple((x, (y > 0).astype(int)) for x, y in DATA)


SHAPES = {
    "in order": {"shuffle": False},
    "one batch": {"batch_size": 64},
    "single examples": {"batch_size": 1},
    "a last one of 1": {"batch_size": 19},
}


@pytest.mark.parametrize("name", mostly_long(SHAPES, "a last one of 1"))
def test_batches_of_any_size_and_order(name):
    shape = {"batch_size": 8, "shuffle": True} | SHAPES[name]
    keras.utils.clear_session(free_memory=False)
    result = sweep_learning_rates(
        builder(), [0.1, 0.01], *BINARY, epochs=3, seeds=[3, 5], progress=False, **shape
    )
    assert result.engine == "vectorized", result.reason
    right = fit(builder(), 0.01, 5, *BINARY, epochs=3, **shape)
    assert difference(history_of(result, 0.01, 5), right) < TOLERANCE


CLASS_WEIGHTS = {"both": {0: 3.0, 1: 0.5}, "one": {1: 2.0}}


@pytest.mark.parametrize("name", mostly_long(CLASS_WEIGHTS, "one"))
def test_class_weights_are_those_of_fit(name):
    """`fit` itself takes the class weights here, and so can't shuffle as a sweep does."""
    keras.utils.clear_session(free_memory=False)
    (x, y), held_out = BINARY
    arguments = {
        "epochs": 3,
        "batch_size": 8,
        "shuffle": False,
        "class_weight": CLASS_WEIGHTS[name],
    }
    result = sweep_learning_rates(
        builder(), [0.1, 0.01], (x, y), held_out, seeds=2, progress=False, **arguments
    )
    assert result.engine == "vectorized", result.reason
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = builder()()
    model.optimizer.learning_rate = 0.1
    history = model.fit(x, y, validation_data=held_out, verbose=0, **arguments).history
    assert difference(history_of(result, 0.1, 1), history) < TOLERANCE


@pytest.mark.parametrize("weighs", mostly_long([False, True], True))
def test_a_dataset_is_gone_through_as_it_comes(weighs):
    weights = (np.linspace(0.1, 2, 20),) if weighs else ()
    keras.utils.clear_session(free_memory=False)
    (x, y), held_out = as_float32(BINARY)
    data = tf.data.Dataset.from_tensor_slices((x, y, *as_float32(weights))).batch(8)
    held_out = tf.data.Dataset.from_tensor_slices(held_out).batch(5)
    result = sweep_learning_rates(
        builder(), [0.1, 0.01], data, held_out, epochs=3, seeds=2, progress=False
    )
    assert (result.engine, "tf.data" in result.reason) == ("sequential", True)
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(1)
    model = builder()()
    model.optimizer.learning_rate = 0.01
    right = model.fit(data, validation_data=held_out, epochs=3, verbose=0).history
    assert difference(history_of(result, 0.01, 1), right) < TOLERANCE


# What callbacks decide

CALLBACKS = keras.callbacks
STOPPING = {
    "patience 0": {"monitor": "val_loss"},
    "restored": {"monitor": "val_loss", "patience": 2, "restore_best_weights": True},
    "by a metric": {"monitor": "val_AUC", "patience": 1},
    "baseline": {"monitor": "loss", "baseline": 0.2, "patience": 2},
    "not at first": {"monitor": "val_loss", "start_from_epoch": 3},
    "little is nothing": {"monitor": "loss", "min_delta": 0.05},
}
PLATEAU = {
    "short": {"monitor": "val_loss", "patience": 1, "factor": 0.3},
    "bounded": {"monitor": "val_AUC", "patience": 1, "min_lr": 0.02, "cooldown": 1},
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("by a metric", keras.Sequential),
        ("short", OwnStep),
        *(
            pytest.param(name, kind, marks=pytest.mark.long)
            for name in [*STOPPING, *PLATEAU]
            for kind in (keras.Sequential, OwnStep)
            if (name, kind) not in (("by a metric", keras.Sequential), ("short", OwnStep))
        ),
    ],
)
def test_callbacks_decide_as_in_fit(name, kind):
    def make():
        if name in STOPPING:
            return CALLBACKS.EarlyStopping(**STOPPING[name])
        return CALLBACKS.ReduceLROnPlateau(**PLATEAU[name])

    keras.utils.clear_session(free_memory=False)
    build, rates = builder(kind), [0.3, 0.03]
    argument = "early_stopping" if name in STOPPING else "reduce_on_plateau"
    result = sweep_learning_rates(
        build,
        rates,
        *BINARY,
        epochs=8,
        batch_size=8,
        seeds=[1],
        progress=False,
        **{argument: make()},
    )
    assert result.engine == ("sequential" if kind is OwnStep else "vectorized"), result.reason
    for i, rate in enumerate(rates):
        callback = make()
        right = fit(build, rate, 1, *BINARY, epochs=8, batch_size=8, callbacks=[callback])
        right.pop("learning_rate", None)
        epochs = len(right["loss"])
        history = {n: values[:epochs] for n, values in history_of(result, rate, 1).items()}
        assert difference(history, right) < TOLERANCE
        assert np.isnan(result.metrics["loss"][i, 0, epochs:]).all()
        restored = getattr(callback, "restore_best_weights", False)
        assert result.last_epochs[i, 0] == (callback.best_epoch if restored else epochs - 1)
        assert not result.diverged[i, 0]


# What an evaluation changes


def test_what_is_counted_and_drawn_in_evaluations_is_carried_on():
    class Counting(Noise):
        def build(self, shape):
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, inputs, training=False):
            self.calls.assign_add(1.0)
            return super().call(inputs, training=training) * (1 + 0.1 * self.calls)

    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, "tanh")])
        model.add(Counting(always=True))
        model.add(keras.layers.Dense(1, "sigmoid"))
        model.compile("sgd", "binary_crossentropy")
        return model

    result = sweep_learning_rates(
        build, [0.1, 0.01], *BINARY, epochs=3, batch_size=8, seeds=2, progress=False
    )
    assert result.engine == "vectorized", result.reason
    right = fit(build, 0.01, 1, *BINARY, epochs=3, batch_size=8)
    assert difference(history_of(result, 0.01, 1), right) < TOLERANCE


@pytest.mark.long
def test_a_transformer_with_dropout_and_adam_is_vectorized():
    """The biases of its keys have nothing but rounding for a gradient, and Adam whole updates."""
    random = np.random.default_rng(2)
    x, y = random.normal(size=(96, 8, 4)), random.integers(3, size=96)
    train, held_out = (x[:64], y[:64]), (x[64:], y[64:])

    def build():
        inputs = keras.Input((8, 4))
        wide = keras.layers.Dense(16)(inputs)
        inner = keras.layers.MultiHeadAttention(4, 16, dropout=0.3)(wide, wide)
        outputs = keras.layers.GlobalAveragePooling1D()(keras.layers.LayerNormalization()(inner))
        model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(outputs))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    named = {"epochs": 2, "batch_size": 16, "seeds": 1, "progress": False}
    result = sweep_learning_rates(build, [0.001, 0.01], train, held_out, **named)
    assert result.engine == "vectorized"
    right = fit(build, 0.01, 0, train, held_out, 2, 16)
    assert difference(history_of(result, 0.01, 0), right) <= TOLERANCE


def test_channels_first_are_as_in_fit():
    """What `fit` traces gives other numbers there than the same layers untraced."""

    def build():
        first = {"data_format": "channels_first"}
        body = [keras.layers.Dense(2), keras.layers.Conv2D(2, 1, **first), keras.layers.Flatten()]
        model = keras.Sequential([keras.Input((3, 2, 1)), *body, keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    x = np.random.default_rng(0).normal(size=(43, 3, 2, 1))
    y = x.sum(axis=(1, 2))
    train, held_out = (x[:30], y[:30]), (x[30:], y[30:])
    result = sweep_learning_rates(build, [0.01], train, held_out, 2, 8, 1, progress=False)
    right = fit(build, 0.01, 0, train, held_out, 2, 8)
    assert difference(history_of(result, 0.01, 0), right) <= TOLERANCE
