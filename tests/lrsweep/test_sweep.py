"""The sweep against plain Keras, against itself run sequentially, and against planted bugs."""

import multiprocessing
import os
import re
import signal
import threading
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain import mostly_long

from lrsweep import (
    SweepResult,
    _copies,
    _engines,
    _executors,
    _gate,
    _model_checks,
    _one_copy,
    choose_learning_rate,
    sweep_learning_rates,
)
from lrsweep._examples import check_examples
from lrsweep._experiment import Experiment, Trial, rate_scale, rate_variable, schedule_rates
from lrsweep._probe import Probe
from lrsweep._sequential import train_one

OPTIMIZERS = keras.optimizers
VECTORIZING = {
    "SGD": lambda: OPTIMIZERS.SGD(0.1),
    "momentum": lambda: OPTIMIZERS.SGD(0.1, momentum=0.9),
    "Nesterov": lambda: OPTIMIZERS.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": OPTIMIZERS.Adam,
    "AMSGrad": lambda: OPTIMIZERS.Adam(amsgrad=True, clipvalue=0.05),
    "AdamW": lambda: OPTIMIZERS.AdamW(weight_decay=0.1),
    "Adamax": OPTIMIZERS.Adamax,
    "Nadam": OPTIMIZERS.Nadam,
    "RMSprop": lambda: OPTIMIZERS.RMSprop(momentum=0.5, centered=True),
    "Adagrad": OPTIMIZERS.Adagrad,
    "Adadelta": OPTIMIZERS.Adadelta,
    "Lion": OPTIMIZERS.Lion,
    "Ftrl": OPTIMIZERS.Ftrl,
    "EMA": lambda: OPTIMIZERS.Adam(use_ema=True, ema_overwrite_frequency=3),
    "accumulation": lambda: OPTIMIZERS.SGD(0.1, gradient_accumulation_steps=3),
    "cosine": lambda: OPTIMIZERS.Adam(OPTIMIZERS.schedules.CosineDecay(0.1, 40)),
    "warm-up": lambda: OPTIMIZERS.SGD(
        OPTIMIZERS.schedules.CosineDecay(0.0, 40, warmup_target=0.5, warmup_steps=10), momentum=0.5
    ),
}


def examples(count=75, features=4, classes=3, seed=0):
    random = np.random.default_rng(seed)
    y = random.integers(classes, size=count)
    centres = np.random.default_rng(1).normal(size=(classes, features))
    return centres[y] + 0.5 * random.normal(size=(count, features)), y


TRAIN, HELD_OUT = examples(), examples(40, seed=2)


def builder(
    optimizer=VECTORIZING["SGD"],
    layers=(),
    loss="sparse_categorical_crossentropy",
    metrics=("accuracy",),
    widths=(8,),
    outputs=3,
    activation="softmax",
    regularizer=None,
    kind=keras.Sequential,
    **compile_arguments,
):
    """Return a function that builds a small dense network; `layers` make more layers."""

    def build():
        model = kind([keras.Input((4,))])
        for width in widths:
            model.add(keras.layers.Dense(width, "tanh", kernel_regularizer=regularizer))
        for layer in layers:
            model.add(layer())
        model.add(keras.layers.Dense(outputs, activation))
        model.compile(optimizer(), loss, metrics=list(metrics), **compile_arguments)
        return model

    return build


def run(build, rates=(0.3, 0.01), train=TRAIN, held_out=HELD_OUT, **arguments):
    arguments = {"epochs": 3, "seeds": 2, "progress": False} | arguments
    return sweep_learning_rates(build, rates, train, held_out, **arguments)


def experiment(build, train=TRAIN, held_out=HELD_OUT, epochs=3, batch_size=32, shuffle=True):
    parts = check_examples("train_data", train), check_examples("validation_data", held_out)
    return Experiment(build, *parts, epochs, batch_size, shuffle)


def trusted_copies(build, **arguments):
    """Return copies of a small sweep that were found to agree with Keras."""
    what = experiment(build, **arguments)
    models = {seed: what.build(seed) for seed in (0, 1)}
    probe = Probe(models[0], what)
    seen = probe.run(1e-3, [v.numpy() for v in probe.parts.weights], probe.batches(0)[:1])
    assert probe.find_rate(0)
    trained, held_out = (report for _, report in seen if report)
    names = [*trained, *(f"val_{name}" for name in held_out)]
    trials = [Trial(rate, seed) for seed in (0, 1) for rate in (0.3, 0.01)]
    return _gate.trusted_copies(what, models, trials, names, probe)


class OwnStep(keras.Sequential):
    """A model that no engine but the sequential one takes."""

    def train_step(self, data):
        return super().train_step(data)


def history_of(result, rate, seed):
    """Return one training of a result as (history, diverged), like `train_one`."""
    i = int(np.flatnonzero(result.learning_rates == rate)[0])
    j = int(np.flatnonzero(result.seeds == seed)[0])
    history = {name: values[i, j] for name, values in result.metrics.items()}
    done = np.isfinite(history["loss"])
    return {name: v[done] for name, v in history.items()}, bool(result.diverged[i, j])


def difference(one, other):
    """Return the largest difference between two histories, relative to losses above 1."""
    names = [name for name in {**one, **other} if "loss" in name]  # none where nothing was done
    pairs = [(np.array(one.get(name, [])), np.array(other.get(name, []))) for name in names]
    if any(len(a) != len(b) for a, b in pairs):
        return np.inf
    return max(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)), initial=0) for a, b in pairs)


def last_digit_less(activation, random):
    """Return an activation whose results are, for some units, the next smaller number."""

    def nudged(inputs):
        outputs = activation(inputs)
        return outputs * (1 - 6e-8 * random.integers(2, size=outputs.shape[-1]))

    return nudged


def is_chaotic(trial, what, tolerance=1e-5):
    """Tell whether rounding decides this training, so that no two programs can agree on it.

    It is trained six times more with weights and outputs of layers that differ in their last
    digit only. If these differ by more than the tolerance from the first, or one of them
    diverges and another does not, then comparing with it says nothing. (The outputs count by
    themselves: where tanh has reached 1, the slope 1 - tanh² is nothing but its last digit,
    and no nudge of a weight gets there.)
    """

    def nudged(seed):
        random = np.random.default_rng(seed)

        def build():
            model = what.build_model()
            for variable in model.trainable_variables:
                signs = random.choice([-1, 1], variable.shape)
                variable.assign(variable * (1 + 1.2e-7 * signs))
            for layer in model.layers:
                if hasattr(layer, "activation"):
                    layer.activation = last_digit_less(layer.activation, random)
            return model

        return train_one(replace(what, build_model=build), *trial)

    first, nudges = train_one(what, *trial), [nudged(seed) for seed in range(6)]
    return any(difference(first.history, it.history) > tolerance / 3 for it in nudges)


def assert_same(result, what, trials, tolerance=1e-5):
    """Compare vectorized trainings with the same ones run alone; return how many counted."""
    compared = 0
    for trial in trials:
        history, diverged, _ = train_one(what, *trial)
        vectorized_history, vectorized_diverged = history_of(result, *trial)
        same = difference(vectorized_history, history) <= tolerance
        same = same and diverged == vectorized_diverged
        if not same and is_chaotic(trial, what):
            continue
        assert same, f"{trial}: {difference(vectorized_history, history)}"
        compared += 1
    return compared


def keras_loop(build, rate, seed, epochs, batch_size=32):
    """Train with Keras's own `fit`, an epoch at a time, in the order of the sweep."""
    keras.utils.set_random_seed(seed)
    model = build()
    model.optimizer.learning_rate = rate
    (x, y), steps = TRAIN, -(-len(TRAIN[0]) // batch_size)

    def batches():
        for epoch in range(epochs):
            rows = np.random.default_rng((seed, epoch)).permutation(len(x))
            for start in range(0, len(x), batch_size):
                yield x[rows[start : start + batch_size]], y[rows[start : start + batch_size]]

    signature = tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int32)
    data = tf.data.Dataset.from_generator(batches, output_signature=signature)
    more = {"steps_per_epoch": steps, "validation_data": HELD_OUT, "verbose": 0}
    return model.fit(data, epochs=epochs, **more).history


@pytest.mark.long
@pytest.mark.parametrize("name", ["momentum", "AdamW"])
def test_it_equals_a_loop_of_fits_over_20_epochs(name):
    build, rates = builder(VECTORIZING[name], regularizer="l2"), [0.1, 0.003]
    result = run(build, rates, epochs=20)
    assert result.engine == "vectorized"
    for rate in rates:
        history, _ = history_of(result, rate, 1)
        loop = keras_loop(build, rate, 1, 20)
        assert difference(history, loop) < 1e-5
        np.testing.assert_allclose(history["val_accuracy"], loop["val_accuracy"], atol=1e-6)
        np.testing.assert_allclose(history["accuracy"], loop["accuracy"], atol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("name", VECTORIZING)
def test_each_vectorizing_optimizer_equals_the_loop_over_20_epochs(name):
    build, rates = builder(VECTORIZING[name]), [0.3, 0.03, 0.003]
    result, what = run(build, rates, epochs=20), experiment(build, epochs=20)
    assert result.engine == "vectorized"
    assert assert_same(result, what, [(rate, seed) for rate in rates for seed in (0, 1)]) >= 3
    if name not in ("cosine", "warm-up"):  # whose rate a plain loop cannot set
        assert difference(history_of(result, 0.003, 1)[0], keras_loop(build, 0.003, 1, 20)) < 1e-5


class NoTrainingArgument(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, "softmax", activity_regularizer="l2")

    def call(self, inputs):
        return self.dense(inputs)


def build_subclassed():
    model = NoTrainingArgument()
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_half_frozen():
    model = builder(widths=(8, 6))()
    model.layers[0].trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_embedding(optimizer="sgd"):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(9, 3)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2)])
    return model


def build_convolution():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2, 1))])
    model.add(keras.layers.Conv2D(3, 2, padding="same", activation="relu"))
    model.add(keras.layers.MaxPooling2D(2, padding="same"))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def excluding_biases():
    optimizer = OPTIMIZERS.AdamW(weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def build_all_in_one():
    """Much of what has a rule of its own, in one model."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2, 1))])
    model.add(keras.layers.Conv2D(3, 2, padding="same", use_bias=False))
    model.add(keras.layers.BatchNormalization())
    model.add(keras.layers.Flatten())
    frozen = keras.layers.Dense(5, "tanh")
    model.add(frozen)
    frozen.trainable = False
    model.add(keras.layers.Dropout(0.3))
    model.add(keras.layers.Dense(3, "softmax", kernel_constraint="max_norm"))
    optimizer = OPTIMIZERS.SGD(momentum=0.9, weight_decay=0.5, global_clipnorm=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


TOKENS = tuple((np.clip(3 * x + 4, 0, 8).astype(int), y) for x, y in (TRAIN, HELD_OUT))
VECTORIZED = {
    "all in one": build_all_in_one,
    "subclassed": build_subclassed,
    "half frozen": build_half_frozen,
    "convolution": build_convolution,
    "Embedding": build_embedding,
    "Dropout": builder(layers=[lambda: keras.layers.Dropout(0.5)]),
    "BatchNormalization": builder(layers=[keras.layers.BatchNormalization]),
    "constraint": builder(layers=[lambda: keras.layers.Dense(4, kernel_constraint="max_norm")]),
    "clipnorm": builder(lambda: OPTIMIZERS.Adam(clipnorm=0.3)),
    "global_clipnorm": builder(lambda: OPTIMIZERS.Adam(global_clipnorm=0.3)),
    "static loss scale": builder(lambda: OPTIMIZERS.SGD(0.1, loss_scale_factor=8.0)),
    "excluded weights": builder(excluding_biases),
    "Adafactor": builder(OPTIMIZERS.Adafactor),
    "Lamb": builder(OPTIMIZERS.Lamb),
    "Muon": builder(getattr(OPTIMIZERS, "Muon", OPTIMIZERS.Lamb)),
}


@pytest.mark.parametrize("name", mostly_long(VECTORIZED, "all in one"))
def test_models_of_all_kinds_are_vectorized(name):
    build = VECTORIZED[name]
    data = TOKENS if name == "Embedding" else (TRAIN, HELD_OUT)
    result = run(build, [0.03, 0.003], *data)
    assert result.engine == "vectorized", result.reason
    assert assert_same(result, experiment(build, *data), [(0.03, 1), (0.003, 0)]) == 2


def test_one_rate_and_one_seed_are_enough():
    build = builder()
    result = run(build, [0.1], seeds=[7], batch_size=200)
    assert result.metrics["val_loss"].shape == (1, 1, 3)
    assert assert_same(result, experiment(build, batch_size=200), [(0.1, 7)]) == 1


@st.composite
def sweeps(draw):
    """Draw a builder, its examples and the arguments of a sweep."""
    kind = draw(st.sampled_from(["sparse", "one-hot", "mse"]))
    count = draw(st.integers(5, 60))
    x, y = examples(count, seed=draw(st.integers(0, 99)))
    xv, yv = examples(draw(st.integers(1, 30)), seed=100)
    if kind == "one-hot":
        y, yv = np.eye(3)[y], np.eye(3)[yv]
    if kind == "mse":
        y, yv = y[:, None] - 1.0, yv[:, None] - 1.0
    loss = {"sparse": "sparse_categorical_crossentropy", "one-hot": "categorical_crossentropy"}
    build = builder(
        VECTORIZING[draw(st.sampled_from(sorted(VECTORIZING)))],
        loss=loss.get(kind, "mse"),
        metrics=["mae"] if kind == "mse" else ["accuracy"],
        widths=draw(st.lists(st.integers(1, 9), min_size=0, max_size=2)),
        outputs=1 if kind == "mse" else 3,
        activation=None if kind == "mse" else "softmax",
        regularizer=draw(st.sampled_from([None, "l1", "l2"])),
    )
    logs = draw(st.lists(st.floats(-4, 1), min_size=1, max_size=3, unique=True))
    rates = sorted({round(10**log, 6) for log in logs})
    shape = {"batch_size": draw(st.integers(1, 64)), "shuffle": draw(st.booleans())}
    return build, (x, y), (xv, yv), rates, shape


def check_drawn(drawn):
    build, train, held_out, rates, shape = drawn
    result = run(build, rates, train, held_out, **shape)
    assert result.engine == "vectorized", result.reason
    assert_same(result, experiment(build, train, held_out, **shape), [(rates[-1], 1)])


HYPOTHESIS = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@pytest.mark.long
@settings(max_examples=80, **HYPOTHESIS)
@given(sweeps())
def test_random_sweeps_equal_their_trainings_alone(drawn):
    check_drawn(drawn)


def unscale_momentum(patch):
    right = _one_copy.OneCopy.step

    def step(copy, values, updates, gradients):
        weights, memory = right(copy, values, updates, gradients)
        return weights, [0.95 * memory[0], *memory[1:]]

    patch.setattr(_one_copy.OneCopy, "step", step)


def swap_two_rates(patch):
    right = _copies.Copies._first_state

    def swapped(copies):
        first = right(copies)
        *memory, rates = first.memory
        return first._replace(memory=[*memory, tf.reverse(rates, [0])])

    patch.setattr(_copies.Copies, "_first_state", swapped)


def drop_the_last_batch(patch):
    right = _copies.Copies._batches
    whole = lambda self, count, *rest: right(self, count // 32 * 32, *rest)  # noqa: E731
    patch.setattr(_copies.Copies, "_batches", whole)


def forget_the_metrics_state(patch):
    right = _one_copy.OneCopy.forward

    def forward(copy, values, *rest, **named):
        loss, others, _, report = right(copy, values, *rest, **named)
        return loss, others, values.metrics, report

    patch.setattr(_one_copy.OneCopy, "forward", forward)


def mix_the_copies(patch):
    right = _copies.Copies._update

    def update(copies, order, state):
        state, report = right(copies, order, state)
        return state._replace(
            weights=[w + 1e-4 * tf.reduce_mean(w, 0) for w in state.weights]
        ), report

    patch.setattr(_copies.Copies, "_update", update)


PLANTED = [unscale_momentum, forget_the_metrics_state, mix_the_copies]


@pytest.mark.long
@pytest.mark.parametrize("plant", [*PLANTED, swap_two_rates, drop_the_last_batch])
def test_a_planted_bug_is_caught(plant, monkeypatch):
    build = builder(VECTORIZING["momentum"])
    plant(monkeypatch)
    monkeypatch.setattr(_gate, "check_copies", lambda *_: None)
    result = run(build)
    assert result.engine == "vectorized"
    with pytest.raises(AssertionError):
        assert_same(result, experiment(build), [(0.3, 0), (0.01, 0)])


@pytest.mark.parametrize("plant", mostly_long(PLANTED, mix_the_copies))
def test_the_gate_notices_a_planted_bug(plant, monkeypatch):
    build = builder(VECTORIZING["momentum"])
    plant(monkeypatch)
    result = run(build, epochs=1, seeds=1)
    assert result.engine == "sequential"
    assert "differently" in result.reason
    assert assert_same(result, experiment(build, epochs=1), [(0.01, 0)]) == 1


class Noise(keras.layers.Layer):
    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs))


build_own_step = builder(kind=OwnStep, widths=())
SEQUENTIAL = {
    "hidden randomness": (builder(layers=[Noise]), "RandomStandardNormal"),
    "train_step": (build_own_step, "OwnStep has its own train_step"),
    "eager": (builder(run_eagerly=True), "run_eagerly"),
    "loss scale": (builder(lambda: OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.SGD(0.1))), "scales"),
    "sparse gradients": (lambda: build_embedding("adam"), "embeddings differently"),
}


if hasattr(OPTIMIZERS, "ScheduleFreeAdamW"):  # newer than Keras 3.13
    # Built inside `fit`, it forgets to start its averages from the weights; a vectorized one not.
    SEQUENTIAL["ScheduleFreeAdamW"] = builder(OPTIMIZERS.ScheduleFreeAdamW), "starts from"


@pytest.mark.parametrize(
    "name", mostly_long(["Dropout", "Muon", "ScheduleFreeAdamW", "train_step"], "train_step")
)
def test_a_sequential_training_equals_a_loop_of_fits(name):
    if name not in {**SEQUENTIAL, **VECTORIZED}:
        pytest.skip("newer than Keras 3.13")
    build = VECTORIZED.get(name) or SEQUENTIAL[name][0]
    history = train_one(experiment(build), 0.003, 1).history
    loop = keras_loop(build, 0.003, 1, 3)
    assert difference(history, loop) < 1e-5


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_what_cannot_be_vectorized_is_found_out_and_said(name):
    build, reason = SEQUENTIAL[name]
    data = dict(zip(("train", "held_out"), TOKENS)) if name == "sparse gradients" else {}
    with pytest.raises(_one_copy.CannotVectorize, match=reason):
        trusted_copies(build, **data)


@pytest.mark.parametrize("name", mostly_long(VECTORIZING, "accumulation"))
def test_what_can_be_vectorized_is_not_refused(name):
    copies = trusted_copies(builder(VECTORIZING[name]))
    assert copies.bytes > 4 * 4 * copies.model.count_params()


def test_trying_a_model_leaves_it_as_it_was():
    what = experiment(builder(layers=[lambda: keras.layers.Dropout(0.5)]))
    model = what.build(0)
    before = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    probe = Probe(model, what)
    assert probe.find_rate(0)
    _gate.trusted_copies(what, {0: model}, [Trial(0.1, 0)], ["loss", "val_loss"], probe)
    after = [v.numpy() for v in (*model.variables, *model.optimizer.variables)]
    assert all(np.array_equal(a, b) for a, b in zip(before, after))


def test_a_sequential_sweep_gives_the_same_kind_of_result_and_says_why(caplog):
    build = builder(layers=[lambda: keras.layers.Dropout(0.5)], kind=OwnStep)
    result = run(build, seeds=1, epochs=2)
    assert result.engine == "sequential"
    assert "OwnStep has its own train_step" in result.reason
    assert caplog.text.count("sequentially") == 1
    assert set(result.metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert result.metrics["val_loss"].shape == (2, 1, 2)
    again = run(build, seeds=1, epochs=2)
    np.testing.assert_array_equal(result.metrics["loss"], again.metrics["loss"])


def test_a_seed_fixes_weights_and_batches_for_all_rates():
    close = run(builder(), [1e-9, 2e-9], epochs=1)
    values = close.metrics["val_loss"][:, :, 0]
    np.testing.assert_allclose(values[0], values[1], atol=1e-6)
    assert abs(values[0, 0] - values[0, 1]) > 1e-3
    again = run(builder(), [1e-9, 2e-9], epochs=1)
    for name in close.metrics:
        np.testing.assert_array_equal(close.metrics[name], again.metrics[name])


def test_the_rate_of_a_schedule_is_its_largest_value():
    decay = OPTIMIZERS.schedules.ExponentialDecay(0.5, 5, 0.5)
    optimizer, what = OPTIMIZERS.SGD(decay), experiment(builder())
    rate_variable(optimizer).assign(0.1 * rate_scale(optimizer, what))
    scaled = optimizer._learning_rate
    np.testing.assert_allclose([scaled(0), scaled(5)], [0.1, 0.05], rtol=1e-6)


@pytest.mark.parametrize(("epochs", "peak"), [(7, 0.5), (2, 0.25)])
def test_a_schedule_s_largest_value_is_that_of_the_training(epochs, peak):
    warm = OPTIMIZERS.schedules.CosineDecay(0.0, 10, warmup_target=0.5, warmup_steps=10)
    optimizer, what = OPTIMIZERS.SGD(warm), experiment(builder(), epochs=epochs)
    rate_variable(optimizer)
    assert schedule_rates(optimizer, what).shape == (3 * epochs,)
    assert rate_scale(optimizer, what) == pytest.approx(1 / peak)


def test_a_diverging_copy_is_marked_and_disturbs_no_other():
    build = builder(loss="mse", outputs=1, activation=None, widths=(), metrics=["mae"])
    train, held_out = (TRAIN[0], TRAIN[1] * 1.0), (HELD_OUT[0], HELD_OUT[1] * 1.0)
    calm = run(build, [0.01, 0.1], train, held_out, epochs=12)
    mixed = run(build, [0.01, 0.1, 8.0, 1e30], train, held_out, epochs=12)
    np.testing.assert_array_equal(mixed.diverged.any(axis=1), [False, False, True, True])
    for name in calm.metrics:
        np.testing.assert_array_equal(calm.metrics[name], mixed.metrics[name][:2])
    assert np.isnan(mixed.metrics["mae"][3]).all()
    loss = mixed.metrics["loss"][2, 0]
    done = int(np.isfinite(loss).sum())
    assert 1 <= done < 12
    assert np.isnan(loss[done:]).all()
    history, diverged, _ = train_one(experiment(build, train, held_out, epochs=12), 8.0, 0)
    assert diverged
    np.testing.assert_allclose(loss[:done], history["loss"], rtol=1e-4)


@pytest.mark.long
def test_a_sweep_in_chunks_gives_identical_numbers(monkeypatch):
    build = builder(VECTORIZING["Nadam"])
    whole = run(build, [0.1, 0.03, 0.01])
    size = trusted_copies(build).bytes / 4
    monkeypatch.setattr(_engines, "MEMORY", 4 * size)
    parts = run(build, [0.1, 0.03, 0.01])
    for name in whole.metrics:
        np.testing.assert_array_equal(whole.metrics[name], parts.metrics[name])


def test_no_more_copies_are_made_than_there_is_memory_for(monkeypatch):
    """The gate, too, looks at the first chunk only."""
    build, made = builder(), []
    monkeypatch.setattr(_engines, "MEMORY", trusted_copies(build).bytes)  # of four copies
    real = _copies.Copies.first.func
    count = property(lambda copies: (made.append(len(copies.trials)), real(copies))[1])
    monkeypatch.setattr(_copies.Copies, "first", count)
    parts = run(build, [0.1, 0.03, 0.01])
    assert parts.engine == "vectorized"
    assert set(made) == {3}
    assert np.isfinite(parts.metrics["val_loss"]).all()


def test_a_batch_size_beyond_the_examples_takes_no_more_memory():
    build, count = builder(VECTORIZING["Nadam"]), len(TRAIN[0])
    one, other = (trusted_copies(build, batch_size=size).bytes for size in (count, 100 * count))
    assert one == other


BAD_RATES = {
    "empty": ([], "must not be empty"),
    "negative": ([0.1, -0.1], "must be positive"),
    "zero": ([0.0, 0.1], "must be positive"),
    "nan": ([0.1, np.nan], "finite"),
    "inf": ([0.1, np.inf], "finite"),
    "not monotone": ([0.1, 0.3, 0.2], "rise or fall"),
    "twice the same": ([0.1, 0.1], "rise or fall"),
    "integers": ([1, 10], "must be floats"),
    "strings": (["0.1", "0.2"], "numbers"),
    "a string": ("0.1", "1-D array"),
    "a number": (0.1, "1-D array"),
    "a table": ([[0.1, 0.2]], "1-D array"),
}


@pytest.mark.parametrize("name", BAD_RATES)
def test_bad_learning_rates_are_refused(name):
    rates, message = BAD_RATES[name]
    with pytest.raises(ValueError, match=f"learning_rates .*{message}"):
        run(lambda: pytest.fail("no model should be built"), rates)


shared_model = builder()()
shared_optimizer = OPTIMIZERS.SGD(0.1)
shared_layer = keras.layers.Dense(3, "softmax")


def build_around_shared_layer():
    model = keras.Sequential([keras.Input((4,)), shared_layer])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


X, Y = TRAIN
BAD_ARGUMENTS = {
    "no epochs": ({"epochs": 0}, "epochs must be a whole number of at least 1"),
    "half an epoch": ({"epochs": 1.5}, "epochs must be a whole number"),
    "batch size 0": ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    "no seeds": ({"seeds": 0}, "seeds must be a whole number of at least 1"),
    "negative seed": ({"seeds": [0, -1]}, "seeds must be a whole number of at least 0"),
    "seed twice": ({"seeds": [1, 1]}, "seeds must be different"),
    "lengths": (
        {"train": (X, Y[:-1])},
        "train_data must have one row for each .* 75.* 74",
    ),
    "no y": ({"held_out": X}, r"validation_data must be \(x, y\) or \(x, y, sample_weight\)"),
    "nan in x": (
        {"train": (np.where(X > 1, np.nan, X), Y)},
        r"loss must be a finite number .* x of train_data holds \d+ values that are not finite",
    ),
    "text in y": ({"train": (X, Y.astype(str))}, "y of train_data must be an array of numbers"),
    "no examples": ({"train": (X[:0], Y[:0])}, "x of train_data must not be empty"),
    "other columns": ({"held_out": (X[:, :3], Y)}, "examples of the same shape"),
    "labels too high": (
        {"train": (X, Y + 1)},
        "labels of train_data must be from 0 to 2 .* got 1 to 3",
    ),
    "labels below 0": (
        {"held_out": (X, Y - 1)},
        "of validation_data must be from 0 .* -1",
    ),
    "not a function": ({"build": shared_model}, "build_model must be a function"),
    "same model": (
        {"build": lambda: shared_model},
        "new model and a new optimizer .* model.compile, within.*clone_model.*set_weights",
    ),
    "same optimizer": ({"build": builder(lambda: shared_optimizer)}, "new optimizer"),
    "same layer": ({"build": build_around_shared_layer}, "new weights"),
    "nothing": ({"build": lambda: None}, "must return a keras.Model, got None"),
    "not compiled": (
        {"build": lambda: keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])},
        "compiled model: call model.compile first",
    ),
    "rate as function": (
        {"build": builder(lambda: OPTIMIZERS.SGD(lambda: 0.1))},
        "one learning rate, a number or a schedule",
    ),
    "vector metric": (
        {
            "build": builder(metrics=[keras.metrics.F1Score()], loss="categorical_crossentropy"),
            "train": (X, np.eye(3)[Y]),
            "held_out": (X, np.eye(3)[Y]),
        },
        "metrics must be single numbers, f1_score has 3",
    ),
}


@pytest.mark.parametrize(
    "name",
    mostly_long(BAD_ARGUMENTS, "negative seed", "labels below 0", "same optimizer", "same layer"),
)  # for the others see test_messages.py
def test_bad_arguments_are_refused_before_training(name, monkeypatch):
    arguments, message = BAD_ARGUMENTS[name]
    monkeypatch.setattr(_engines, "train_vectorized", lambda *args: pytest.fail("training began"))
    monkeypatch.setattr(_engines, "train_sequentially", lambda *args: pytest.fail("training began"))
    with pytest.raises(ValueError, match=message):
        run(**{"build": builder()} | arguments)


@pytest.mark.parametrize("weights_too", [False, True])
def test_an_existing_model_is_swept_by_the_mend_that_its_refusal_names(weights_too):
    with pytest.raises(ValueError, match="clone_model") as refusal:
        run(lambda: shared_model)
    before = [weights.copy() for weights in shared_model.get_weights()]
    clone, copy = re.findall(r"model(?: =|\.set).*?\(existing.*?\)+", str(refusal.value))

    def build():
        names = {"keras": keras, "existing": shared_model}
        exec(f"{clone}\n{copy if weights_too else ''}", names)
        names["model"].compile("sgd", "sparse_categorical_crossentropy")
        return names["model"]

    result = run(build, epochs=1)
    assert np.isfinite(result.metrics["val_loss"]).all()
    starts = [weights.tolist() for weights in experiment(build).build(0).get_weights()]
    assert (starts == [weights.tolist() for weights in before]) == weights_too
    assert all(map(np.array_equal, before, shared_model.get_weights()))


class Bar:
    """A progress bar that presses Ctrl-C after some updates."""

    def __init__(self, updates):
        self.left, self.n, self.total = updates, 0, None

    def __call__(self, total, **_):
        self.total = total
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    def update(self, epochs):
        self.n, self.left = self.n + epochs, self.left - 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_the_bar_counts_epochs_over_all_copies(monkeypatch):
    bar = Bar(-1)
    monkeypatch.setattr(_engines, "tqdm", bar)
    run(builder(), [0.1, 0.2, 0.3], seeds=2, epochs=4)
    assert bar.n == bar.total == 3 * 2 * 4


def test_ctrl_c_in_a_vectorized_sweep_returns_the_finished_epochs(monkeypatch):
    whole = run(builder(), epochs=4)
    monkeypatch.setattr(_engines, "tqdm", Bar(1))
    part = run(builder(), epochs=4)
    assert part.interrupted
    assert not whole.interrupted
    done = np.isfinite(part.metrics["loss"])
    assert done[:, :, 0].all()
    assert not done[:, :, -1].any()
    assert not part.diverged.any()
    np.testing.assert_array_equal(part.metrics["loss"][done], whole.metrics["loss"][done])
    with pytest.raises(ValueError, match="interrupted"):
        choose_learning_rate(part)


def test_ctrl_c_in_a_sequential_sweep_returns_the_finished_trainings(monkeypatch):
    build = builder(layers=[lambda: keras.layers.Dropout(0.5)], kind=OwnStep)
    monkeypatch.setattr(_engines, "tqdm", Bar(4))
    part = run(build, epochs=2)
    assert part.interrupted
    assert np.isfinite(part.metrics["val_loss"][0, 0]).all()
    assert np.isnan(part.metrics["val_loss"][1:]).all()
    assert np.isnan(part.metrics["val_loss"][:, 1]).all()


class Pressing(Bar):
    """A progress bar at whose first update somebody is about to press Ctrl-C."""

    def update(self, epochs):
        if not self.n:
            self.timer = threading.Timer(0.3, os.kill, [os.getpid(), signal.SIGINT])
            self.timer.start()
        self.n += epochs


def test_a_real_ctrl_c_is_heard_during_a_long_sweep(monkeypatch):
    bar = Pressing(-1)
    monkeypatch.setattr(_engines, "tqdm", bar)
    result = run(builder(), epochs=200_000)
    bar.timer.join()
    assert result.interrupted
    assert np.isfinite(result.metrics["loss"][:, :, 0]).all()


class Unreliable(Executor):
    """Works in this process, and loses the first few trainings as a dead worker would."""

    def __init__(self, losses):
        self.losses, self.done = losses, 0

    def submit(self, function, *args):
        future = Future()
        if self.losses > 0:
            self.losses -= 1
            future.set_exception(BrokenExecutor("a worker died"))
        else:
            self.done += 1
            future.set_result(function(*args))
        return future


build_with_dropout = builder(layers=[lambda: keras.layers.Dropout(0.2)], kind=OwnStep)


def test_lost_trainings_are_sent_again_with_the_same_numbers():
    here = run(build_with_dropout, seeds=1, epochs=2)
    executor = Unreliable(3)
    there = run(build_with_dropout, seeds=1, epochs=2, executor=executor)
    assert executor.done == 2
    for name in here.metrics:
        np.testing.assert_array_equal(here.metrics[name], there.metrics[name])


def test_a_training_that_always_kills_its_worker_is_given_up():
    with pytest.raises(RuntimeError, match=r"learning rate .* with seed 0.* 3 times.*died"):
        run(build_with_dropout, seeds=1, executor=Unreliable(1000))


def test_an_error_inside_a_training_is_told_at_once(monkeypatch):
    executor = Unreliable(0)
    monkeypatch.setattr(_executors, "train_one", lambda *args: 1 / 0)
    with pytest.raises(RuntimeError, match="with seed 0: ZeroDivisionError"):
        run(build_with_dropout, seeds=1, executor=executor)
    assert executor.done <= 2


def build_and_kill_the_first_worker():
    """Build a model; the first worker to try dies as if its machine had run out of memory."""
    if multiprocessing.parent_process() is not None:
        try:
            Path(os.environ["SWEEP_KILL_FLAG"]).touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
        except FileExistsError:
            pass
    return build_with_dropout()


@pytest.fixture
def flag(tmp_path, monkeypatch):
    path = tmp_path / "killed"
    monkeypatch.setenv("SWEEP_KILL_FLAG", str(path))
    return path


@pytest.mark.long
def test_a_process_pool_survives_a_killed_worker(flag):
    here = run(build_with_dropout, epochs=2)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        there = run(build_and_kill_the_first_worker, epochs=2, executor=pool)
    assert flag.exists()
    for name in here.metrics:
        np.testing.assert_allclose(here.metrics[name], there.metrics[name], rtol=0, atol=1e-6)


@pytest.mark.long
def test_a_dask_cluster_survives_a_killed_worker(flag):
    distributed = pytest.importorskip("distributed")
    here = run(build_with_dropout, epochs=2)
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        there = run(build_and_kill_the_first_worker, epochs=2, executor=executor)
    assert flag.exists()
    for name in here.metrics:
        np.testing.assert_allclose(here.metrics[name], there.metrics[name], rtol=0, atol=1e-6)


def test_chance_is_what_the_best_constant_answer_scores():
    assert run(builder(), epochs=1).chance["val_accuracy"] == np.bincount(HELD_OUT[1]).max() / 40
    even = np.arange(30) % 3
    scores = _model_checks.best_constant(keras.losses.SparseCategoricalCrossentropy, even)
    assert scores["val_loss"] == pytest.approx(np.log(3))


def test_a_result_becomes_a_tidy_frame():
    pytest.importorskip("pandas")
    result = run(builder(), [0.3, 0.01], seeds=[4, 9])
    frame = result.to_frame()
    assert len(frame) == 2 * 2 * 3
    row = frame.query("learning_rate == 0.01 and seed == 9 and epoch == 3").iloc[0]
    assert row["val_loss"] == result.metrics["val_loss"][1, 1, 2]
    assert not row["diverged"]


def test_a_metric_does_not_replace_a_column_of_the_frame():
    pytest.importorskip("pandas")
    values = {"loss": np.ones((1, 2, 1)), "seed": np.full((1, 2, 1), 0.5)}
    frame = SweepResult(np.array([0.1]), np.array([4, 9]), values, np.zeros((1, 2))).to_frame()
    assert frame["seed"].tolist() == [4, 9]
    assert frame["metric seed"].tolist() == [0.5, 0.5]


class Checked(keras.layers.Layer):
    """A layer that stops a training whose numbers are not finite."""

    def call(self, x):
        return tf.debugging.check_numerics(x, "in the layer")


def test_a_training_that_a_check_of_numbers_stops_has_diverged():
    def build():
        layers = [keras.layers.Dense(4), Checked(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.compile("sgd", "mse")
        return model

    x, y = examples()
    data = x, y.astype("float32")
    result = sweep_learning_rates(build, [1e-3, 1e20], data, data, 2, seeds=1, progress=False)
    assert result.engine == "sequential"
    assert result.diverged.tolist() == [[False], [True]]
    assert np.isfinite(result.metrics["loss"][0]).all()
