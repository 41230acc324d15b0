"""The rules for `tf.vectorized_map` that the package adds: each against a loop over the copies."""

import importlib
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrsweep import _tensorflow, sweep_learning_rates

COPIES = 3
RANDOM = {
    "StatelessRandomUniformV2": tf.random.stateless_uniform,
    "StatelessRandomNormalV2": tf.random.stateless_normal,
    "StatelessTruncatedNormalV2": tf.random.stateless_truncated_normal,
}
SEEDS = np.array([[1, 2], [3, 4], [1, 2]], "int32")  # the first copy and the last share one


def numbers(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def with_rules(function, *arguments):
    """Carry a function over the copies with the added rules; where one is missing it fails."""

    @tf.function(autograph=False)
    def carried():
        return tf.vectorized_map(
            lambda own: function(*own), arguments, fallback_to_while_loop=False
        )

    with _tensorflow.rules():
        return carried()


def without_rules(function, *arguments):
    return tf.vectorized_map(lambda own: function(*own), arguments, fallback_to_while_loop=False)


def in_a_loop(function, *arguments):
    spec = tf.nest.map_structure(
        lambda it: tf.TensorSpec(it.shape[1:], it.dtype), without_copies(function, arguments)
    )
    return tf.map_fn(lambda own: function(*own), arguments, fn_output_signature=spec)


def without_copies(function, arguments):
    return tf.nest.map_structure(lambda it: it[None], function(*(it[0] for it in arguments)))


def assert_equal(one, other, tolerance=1e-5):
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other)):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


# Bitcast

CASTS = [("float32", "int32"), ("int32", "float32"), ("int64", "uint64"), ("float64", "int64")]


def bitcast(start, end):
    values = tf.bitcast(tf.constant(np.arange(24).reshape(COPIES, 2, 4), "int64"), "int64")
    values = tf.cast(values, start)
    return (lambda value: tf.bitcast(value, end)), values


@pytest.mark.parametrize(("start", "end"), CASTS)
def test_bitcast(start, end):
    function, values = bitcast(start, end)
    assert_equal(with_rules(function, values), in_a_loop(function, values), 0)


# Random numbers


def key_and_counter(seed):
    return tuple(tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed))


def key_and_counter_of_each():
    return tuple(tf.stack(part) for part in zip(*map(key_and_counter, SEEDS)))


def drawing(name):
    """Return the operation itself, without what makes its key of a seed."""
    draw = getattr(tf.raw_ops, name)
    return lambda key, counter: draw(shape=(2,), key=key, counter=counter, alg=1)


def test_what_is_made_of_a_seed():
    seeds = tf.constant(SEEDS)
    assert_equal(with_rules(key_and_counter, seeds), key_and_counter_of_each(), 0)


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_random_numbers_are_those_of_each_copy_alone(name, shape):
    draw = lambda seed: RANDOM[name](shape, seed)  # noqa: E731
    drawn = with_rules(draw, tf.constant(SEEDS))
    assert_equal(drawn, in_a_loop(draw, tf.constant(SEEDS)), 0)
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.any(np.asarray(drawn[0]) == np.asarray(drawn[1]))


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_in_the_shape_of_the_inputs(name):
    def draw(value, seed):
        return value * RANDOM[name](tf.shape(value), seed)

    values = numbers(COPIES, 4, 2), tf.constant(SEEDS)
    assert_equal(with_rules(draw, *values), in_a_loop(draw, *values))


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_from_one_seed_for_all_copies(name):
    draw = lambda value: value + RANDOM[name]((2,), (5, 6))  # noqa: E731
    values = numbers(COPIES, 2)
    assert_equal(with_rules(draw, values), in_a_loop(draw, values))


def test_each_different_seed_is_drawn_from_once(monkeypatch):
    """A hundred copies of two seeds cost two drawings."""
    seeds = tf.constant(np.repeat(SEEDS[:2], 50, axis=0))
    counted, real = [], tf.map_fn

    def counting(function, values, **named):
        counted.append(tf.shape(values)[0])
        return real(function, values, **named)

    monkeypatch.setattr(tf, "map_fn", counting)

    @tf.function(autograph=False)
    def carried():
        drawn = tf.vectorized_map(
            lambda seed: tf.random.stateless_normal((3,), seed), seeds, fallback_to_while_loop=False
        )
        return drawn, counted

    with _tensorflow.rules():
        drawn, how_many = carried()
    assert drawn.shape == (100, 3)
    assert [int(number) for number in how_many] == [2, 2]  # for the key, and for the numbers


# Convolutions

KERNELS = [(1, 1), (1, 3), (2, 2), (3, 3), (4, 2), (5, 5)]


def convolution(size, padding, arguments=()):
    images = numbers(COPIES, 2, 5, 6, 2)
    kernels = numbers(COPIES, *size, 2, 3, seed=1)
    arguments = {"strides": 1, "padding": padding, **dict(arguments)}

    def convolve(own, kernel):
        return tf.nn.conv2d(own, kernel, **arguments)

    return convolve, images, kernels


def with_gradient(function, carry, images, kernels):
    """Return the result and the gradients of a sum in which every number has its own weight."""
    with tf.GradientTape() as tape:
        tape.watch((images, kernels))
        result = carry(function, images, kernels)
        weights = tf.reshape(tf.sin(tf.range(tf.size(result), dtype=tf.float32)), result.shape)
        total = tf.reduce_sum(result * weights)
    return result, tape.gradient(total, (images, kernels))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", KERNELS)
def test_a_convolution_and_its_gradients(size, padding):
    convolve, *values = convolution(size, padding)
    carried = with_gradient(convolve, with_rules, *values)
    assert_equal(carried, with_gradient(convolve, in_a_loop, *values), 2e-5)


def test_images_that_all_copies_share():
    convolve, images, kernels = convolution((3, 3), "SAME")
    shared = lambda kernel: convolve(images[0], kernel)  # noqa: E731
    assert_equal(with_rules(shared, kernels), in_a_loop(shared, kernels), 2e-5)


def test_a_kernel_that_all_copies_share_keeps_tensorflow_s_rule(monkeypatch):
    monkeypatch.setattr(_tensorflow, "_convolution", lambda _: pytest.fail("not needed"))
    convolve, images, kernels = convolution((3, 3), "SAME")
    shared = lambda own: convolve(own, kernels[0])  # noqa: E731
    assert_equal(with_rules(shared, images), in_a_loop(shared, images), 2e-5)


@pytest.mark.parametrize(
    "arguments", [{"strides": 2}, {"dilations": 2}, {"padding": [[0, 0], [1, 0], [2, 1], [0, 0]]}]
)
def test_other_convolutions_are_right_too(arguments):
    convolve, images, kernels = convolution((3, 3), "SAME", arguments)

    @tf.function(autograph=False)
    def carried():
        return tf.vectorized_map(lambda own: convolve(*own), (images, kernels))

    with _tensorflow.quiet_and_direct(), _tensorflow.rules():
        assert_equal(carried(), in_a_loop(convolve, images, kernels), 2e-5)


def test_a_convolution_in_groups_is_right_too():
    images, kernels = numbers(COPIES, 2, 5, 6, 4), numbers(COPIES, 3, 3, 2, 6, seed=1)
    convolve = lambda own, kernel: tf.nn.conv2d(own, kernel, 1, "SAME")  # noqa: E731

    @tf.function(autograph=False)
    def carried():
        return tf.vectorized_map(lambda own: convolve(*own), (images, kernels))

    with _tensorflow.quiet_and_direct(), _tensorflow.rules():
        assert_equal(carried(), in_a_loop(convolve, images, kernels), 2e-5)


# The day they are no longer needed

NEEDED = {
    "Bitcast": bitcast("float32", "int32"),
    "StatelessRandomGetKeyCounter": (key_and_counter, tf.constant(SEEDS)),
    "Conv2D": convolution((3, 3), "SAME"),
    **{name: (drawing(name), *key_and_counter_of_each()) for name in RANDOM},
}


def test_every_rule_has_a_canary():
    assert set(NEEDED) == {*_tensorflow.ADDED, *_tensorflow.REPLACED}
    assert set(_tensorflow._MAKERS) == set(_tensorflow.ADDED)


@pytest.mark.parametrize("name", NEEDED)
def test_tensorflow_still_needs_the_rule(name):
    function, *values = NEEDED[name]
    try:
        with _tensorflow.quiet_and_direct():
            without_rules(function, *values)
    except (ValueError, NotImplementedError):
        return
    pytest.fail(f"TensorFlow can carry {name} over copies itself now: ours is no longer needed")


# Nothing of it stays, and nothing of it has to be there


def build():
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 2)])
    model.add(keras.layers.Dropout(0.5))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(2, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def sweep():
    x = np.random.default_rng(0).normal(size=(12, 4, 4, 1))
    y = np.arange(12) % 2
    data = {"train_data": (x, y), "validation_data": (x, y)}
    return sweep_learning_rates(build, [0.1, 0.01], **data, epochs=1, seeds=1, progress=False)


def test_a_sweep_leaves_tensorflow_as_it_was():
    registry = dict(_tensorflow._REGISTRY)
    options = tf.config.optimizer.get_experimental_options()
    level = tf.get_logger().level
    assert sweep().engine == "vectorized"
    assert registry == _tensorflow._REGISTRY
    assert tf.get_logger().level == level
    options.setdefault("disable_meta_optimizer", False)
    assert tf.config.optimizer.get_experimental_options() == options


def test_an_error_leaves_tensorflow_as_it_was():
    registry = dict(_tensorflow._REGISTRY)
    with pytest.raises(ZeroDivisionError), _tensorflow.quiet_and_direct(), _tensorflow.rules():
        raise ZeroDivisionError(f"{len(_tensorflow._REGISTRY)} rules, {len(registry)} before")
    assert registry == _tensorflow._REGISTRY


def test_without_the_registry_models_are_trained_sequentially(monkeypatch):
    right = sweep()
    monkeypatch.setattr(_tensorflow, "_REGISTRY", None)
    result = sweep()
    assert result.engine == "sequential"
    assert result.reason == "this TensorFlow has no registry of rules for vectorized_map"
    np.testing.assert_allclose(result.metrics["val_loss"], right.metrics["val_loss"], atol=1e-5)


def test_with_a_registry_that_refuses_too(monkeypatch):
    locked = types.MappingProxyType(dict(_tensorflow._REGISTRY))
    monkeypatch.setattr(_tensorflow, "_REGISTRY", locked)
    result = sweep()
    assert result.engine == "sequential"
    assert "TensorFlow cannot carry it over copies" in result.reason


@pytest.mark.parametrize("gone", ["_pfor_converter_registry", "wrap", "the module"])
def test_a_tensorflow_that_moved_it_is_no_error(gone, monkeypatch):
    name = "tensorflow.python.ops.parallel_for.pfor"
    if gone == "the module":
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delattr(sys.modules[name.rpartition(".")[0]], "pfor")
    else:
        monkeypatch.delattr(sys.modules[name], gone)
    try:
        assert not importlib.reload(_tensorflow).can_vectorize()
    finally:
        monkeypatch.undo()
        assert importlib.reload(_tensorflow).can_vectorize()


def test_what_depends_on_more_than_its_inputs_is_seen_however_deep():
    @tf.function(autograph=False)
    def inner(value):
        return value + tf.random.normal(())

    @tf.function(autograph=False)
    def outer(value):
        return tf.while_loop(lambda count, _: count < 2, lambda n, v: (n + 1, inner(v)), (0, value))

    graph = outer.get_concrete_function(tf.constant(1.0)).graph
    assert _tensorflow.impure_operations(graph) == ["RandomStandardNormal"]
    pure = tf.function(lambda value: value + tf.random.stateless_normal((), (1, 2)))
    assert _tensorflow.impure_operations(pure.get_concrete_function(tf.constant(1.0)).graph) == []
