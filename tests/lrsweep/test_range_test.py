"""The range test: what it records, that it leaves no trace, what it refuses, and its rules."""

import array
import queue
import random
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrsweep import RangeTest, _curve, _experiment, _range_test, range_test
from lrsweep._restore import Snapshot

OPTIMIZERS = keras.optimizers
LAYERS = keras.layers


def examples(count=60):
    draw = np.random.default_rng(0)
    y = draw.integers(3, size=count)
    return draw.normal(size=(3, 4))[y] + 0.3 * draw.normal(size=(count, 4)), y


DATA = examples()


def network(optimizer=None, layers=(), kind=keras.Sequential, **compiled):
    keras.utils.set_random_seed(0)
    model = kind([keras.Input((4,)), LAYERS.Dense(8, "relu"), *layers])
    model.add(LAYERS.Dense(3, "softmax"))
    compiled = {"loss": "sparse_categorical_crossentropy"} | compiled
    model.compile(optimizer or OPTIMIZERS.Adam(0.01), **compiled)
    return model


def parabola(curvature, optimizer=None):
    """Return a model and data whose loss is exactly λw²/2, with w = 1 to begin with."""
    model = keras.Sequential([keras.Input((1,)), LAYERS.Dense(1, None, False, "ones")])
    model.compile(optimizer or OPTIMIZERS.SGD(0.5), "mse")
    return model, (np.full((4, 1), np.sqrt(curvature / 2)), np.zeros((4, 1)))


def state(model):
    """Return the bytes of all variables, also of those that Keras does not list."""
    variables = {id(v): v for v in Snapshot(model).variables.values()}
    listed = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    assert variables.keys() >= {id(v) for v in listed}
    return {key: v.numpy().tobytes() for key, v in variables.items()}


def test_a_model_that_was_made_for_one_size_of_batches():
    inputs = keras.Input(batch_shape=(8, 2, 2))
    model = keras.Sequential([inputs, LAYERS.LSTM(3, stateful=True), LAYERS.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    before = state(model)
    x, y = DATA
    test = range_test(model, (x.reshape(-1, 2, 2), y), updates=30, batch_size=8)
    assert len(test.losses) >= 20
    assert {key: value for key, value in state(model).items() if key in before} == before


def test_batches_of_a_size_that_the_model_was_not_made_for():
    """Said in words; a model that takes them all the same may be tested."""
    inputs, (x, y) = keras.Input(batch_shape=(8, 2, 2)), DATA
    data = x.reshape(-1, 2, 2), y
    stateful = keras.Sequential([inputs, LAYERS.LSTM(3, stateful=True), LAYERS.Dense(3, "softmax")])
    stateful.compile("adam", "sparse_categorical_crossentropy")
    for _ in range(2):  # new, and trained
        with pytest.raises(ValueError, match=r"made for batches of 8 .*have 16: let them have 8"):
            range_test(stateful, data, batch_size=16)
        stateful.fit(data[0][:56], y[:56], batch_size=8, verbose=0)
    flat = keras.Sequential([inputs, LAYERS.Flatten(), LAYERS.Dense(3, "softmax")])
    flat.compile("adam", "sparse_categorical_crossentropy")
    assert len(range_test(flat, data, updates=5, batch_size=16).losses) == 5


def trained(model, epochs=2):
    model.fit(*DATA, epochs=epochs, verbose=0)
    return model


# --- What it leaves is what it found ---


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(OPTIMIZERS.Adam(0.01)),
        lambda: network(OPTIMIZERS.SGD(0.123, momentum=0.9)),
        lambda: network(OPTIMIZERS.Nadam(0.01)),  # has a variable that it does not list
        lambda: network(OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.SGD(0.1))),
        lambda: network(layers=[LAYERS.BatchNormalization(), LAYERS.Dropout(0.3)]),
        lambda: network(OPTIMIZERS.SGD(0.1, use_ema=True), metrics=["accuracy"]),
    ],
)
def test_it_leaves_model_and_optimizer_bit_for_bit_as_they_were(make):
    model = trained(make())
    before, updates = state(model), int(model.optimizer.iterations)
    rate = float(model.optimizer.learning_rate)
    range_test(model, DATA, updates=20)
    assert state(model) == before
    assert int(model.optimizer.iterations) == updates > 0
    assert float(model.optimizer.learning_rate) == rate


def test_training_goes_on_as_if_nothing_had_happened():
    tested, other = trained(network()), trained(network())
    range_test(tested, DATA, updates=20)
    keras.utils.set_random_seed(5)
    trained(tested)
    keras.utils.set_random_seed(5)
    trained(other)
    assert list(state(tested).values()) == list(state(other).values())


def test_a_new_model_trains_on_as_if_it_had_not_been_tested():
    losses = []
    for test_first in (False, True):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([LAYERS.Dense(8, "relu"), LAYERS.Dropout(0.5), LAYERS.Dense(3)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(OPTIMIZERS.Adam(0.01), loss)
        if test_first:
            assert not model.built
            range_test(model, DATA, updates=5)
        losses.append(model.fit(*DATA, verbose=0).history["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_it_leaves_an_unused_optimizer_unused():
    model = network()
    range_test(model, DATA, updates=20)
    assert int(model.optimizer.iterations) == 0
    assert all(not np.any(v.numpy()) for v in model.optimizer.variables[2:])


def test_a_schedule_is_back_in_its_place():
    schedule = OPTIMIZERS.schedules.CosineDecay(0.1, 50)
    model = trained(network(OPTIMIZERS.SGD(schedule)))
    before, rate = state(model), float(model.optimizer.learning_rate)
    result = range_test(model, DATA, updates=30)
    assert state(model) == before
    assert model.optimizer._learning_rate is schedule
    assert float(model.optimizer.learning_rate) == rate < 0.1
    plain = trained(network(OPTIMIZERS.SGD(schedule)))
    plain.optimizer.learning_rate = lambda: 0.1
    again = range_test(plain, DATA, updates=30)
    np.testing.assert_allclose(result.losses, again.losses, rtol=1e-5)


class Busy(LAYERS.Layer):
    """Counts its calls in every way that comes to mind, and draws from generators of its own."""

    def __init__(self):
        super().__init__()
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.unlisted = tf.Variable(0)
        self.calls, self.shapes, self.table = 0, [], {"calls": 0}
        self.array, self.names = np.zeros(2), set()
        self.draws, self.dice = np.random.default_rng(0), random.Random(0)
        self.tensorflows = tf.random.Generator.from_seed(0)

    def call(self, x):
        self.count.assign_add(1.0)
        self.unlisted.assign_add(1)
        self.calls += 1
        self.shapes.append(x.shape)
        self.table["calls"] += 1
        self.array[:] += 1
        self.names.add(str(self.calls))
        noise = self.draws.normal() + self.dice.random() + random.random() + np.random.normal()
        drawn = self.tensorflows.normal(()) + keras.random.normal(()) + tf.random.normal(())
        return x + 1e-3 * (noise + drawn)

    def look(self):
        plain = self.calls, list(self.shapes), dict(self.table), set(self.names)
        generators = self.draws.bit_generator.state, self.dice.getstate()
        variables = self.count, self.unlisted, self.tensorflows.state
        return plain, generators, [v.numpy().tolist() for v in variables], self.array.tolist()


def draws():
    """Return the next numbers of the random generators of Python, NumPy, TensorFlow and Keras."""
    tensors = tf.random.normal(()), keras.random.normal(())
    return random.random(), np.random.random(), *(float(tensor) for tensor in tensors)


@pytest.mark.parametrize("eager", [False, True])
def test_counters_and_random_generators_are_put_back(eager):
    looks, drawn = [], []
    for test in (False, True):
        layer = Busy()
        model = trained(network(layers=[layer], run_eagerly=eager), epochs=1)
        if test:
            before = layer.look()
            range_test(model, DATA, updates=3)
            assert layer.look() == before
            assert before[0][0] > 0
        looks.append(trained(model, epochs=1).get_weights())
        drawn.append(draws())
    assert drawn[0] == drawn[1]
    for one, other in zip(*looks):
        np.testing.assert_array_equal(one, other)


def test_counters_in_slots_are_put_back():
    class Count:
        __slots__ = ("calls", "last")

    class Counting(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.count = Count()
            self.count.calls = 0

        def call(self, inputs):
            self.count.calls, self.count.last = self.count.calls + 1, 1
            return inputs

    layer = Counting()
    model = network(layers=[layer], run_eagerly=True)
    before = layer.count.calls
    range_test(model, DATA, updates=3)
    assert layer.count.calls == before


def test_tables_of_tensorflow_and_flat_arrays_are_put_back():
    class Filling(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, -1)
            self.flat = array.array("i", [7])

        def call(self, inputs):
            key = tf.constant([5], tf.int64)
            self.table.insert(key, self.table.lookup(key) + 2)
            self.flat.append(1)
            return inputs

        def look(self):
            pairs = zip(*(part.numpy().tolist() for part in self.table.export()))
            return sorted(pairs), self.flat.tolist()

    layer = Filling()
    model = network(layers=[layer])
    layer.table.insert([3, 4], [1, 2])
    before = layer.look()
    range_test(model, DATA, updates=3)
    assert layer.look() == before
    assert before[0][:2] == [(3, 1), (4, 2)]


def test_a_fresh_model_s_python_counters_are_put_back_too():
    layer = Busy()
    model = network(layers=[layer])
    before = layer.look()
    range_test(model, DATA, updates=3)
    assert layer.look() == before


class Counting(LAYERS.Layer):
    """Scales by how often Python has called it."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x * (1 + 0.1 * self.calls)


def test_python_s_counters_start_as_in_a_loop_of_one_s_own():
    """Building a model from shapes alone used to count as a call."""

    def new():
        keras.utils.set_random_seed(1)
        return network(layers=[Counting()], run_eagerly=True)

    first = np.random.default_rng(0).permutation(len(DATA[0]))[:32]
    right = new().train_on_batch(*(part[first] for part in DATA), return_dict=True)["loss"]
    assert range_test(new(), DATA, updates=2).losses[0] == pytest.approx(right, rel=1e-6)


def test_what_a_custom_loss_counts_is_put_back():
    calls, box = 0, []

    def loss(y, y_pred):
        nonlocal calls
        calls += 1
        loss.calls = calls
        box.append(calls)
        return keras.losses.sparse_categorical_crossentropy(y, y_pred)

    model = trained(network(loss=loss, run_eagerly=True), epochs=1)
    before = calls, loss.calls, list(box)
    range_test(model, DATA, updates=3)
    assert (calls, loss.calls, box) == before
    assert calls > 0


def test_variables_of_the_script_are_put_back():
    average = tf.Variable(1.0)  # hangs on nothing: the loss knows it by its name
    generator = keras.random.SeedGenerator(7)
    globals().update(_average=average, _generator=generator)

    def loss(y, y_pred):
        noise = keras.random.normal((), seed=_generator)  # noqa: F821
        errors = keras.losses.sparse_categorical_crossentropy(y, y_pred)
        _average.assign(0.9 * _average + 0.1 * tf.reduce_mean(errors))  # noqa: F821
        return errors / _average + 0.01 * noise  # noqa: F821

    model = trained(network(loss=loss), epochs=1)
    before = average.numpy(), generator.state.numpy().tolist()
    range_test(model, DATA, updates=3)
    assert (average.numpy(), generator.state.numpy().tolist()) == before
    assert before[0] != 1


class Stopping(keras.Sequential):
    """Has a train step of its own, which wants training to stop."""

    def train_step(self, data):
        self.stop_training = True
        self.seen = data[0]
        return super().train_step(data)


def test_what_a_train_step_sets_is_put_back():
    model = network(kind=Stopping)
    range_test(model, DATA, updates=3)
    assert model.stop_training is False
    assert not hasattr(model, "seen")


def test_a_model_whose_fit_was_interrupted_can_be_tested():
    class Interrupt(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt):
        model.fit(*DATA, validation_data=DATA, callbacks=[Interrupt()], verbose=0)
    before = state(model)
    range_test(model, DATA, updates=3)
    assert state(model) == before


def test_layers_that_always_train_keep_their_averages():
    """The finder used to call the model once before it remembered anything."""

    class Always(LAYERS.BatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs, training=True, mask=mask)

    model = network(layers=[Always(momentum=0.5)])
    before = state(model)
    range_test(model, DATA, updates=3)
    assert all(state(model)[key] == value for key, value in before.items())


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_state_is_restored_after_an_error_and_after_ctrl_c(monkeypatch, error):
    layer = Busy()
    model = trained(network(layers=[layer]))
    before, looked = state(model), layer.look()

    def fail(losses, explosion):
        if len(losses) == 5:
            assert state(model) != before
            raise error

    monkeypatch.setattr(_range_test, "exploded", fail)
    with pytest.raises(error):
        range_test(model, DATA, updates=20)
    assert state(model) == before
    assert layer.look() == looked


def test_ctrl_c_while_it_puts_things_back_waits():
    model = trained(network())
    before, kept, calls = state(model), Snapshot(model), []

    def interrupt():
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt

    kept._undo.insert(len(kept._undo) // 2, interrupt)
    trained(model)
    assert state(model) != before
    with pytest.raises(KeyboardInterrupt):
        kept.put_back()
    assert state(model) == before


def test_it_is_repeatable_and_the_seed_matters():
    model = network(layers=[LAYERS.Dropout(0.3)])
    one, two = (range_test(model, DATA, updates=30) for _ in range(2))
    other = range_test(model, DATA, updates=30, seed=1)
    np.testing.assert_array_equal(one.losses, two.losses)
    assert not np.array_equal(one.losses[:5], other.losses[:5])


# --- What it records ---


def by_hand(rates, curvature=0.7):
    weight, losses = 1.0, []
    for rate in rates:
        losses.append(curvature * weight**2 / 2)
        weight *= 1 - rate * curvature
    return losses


def test_each_mini_batch_gets_one_update_at_its_own_rate():
    model, data = parabola(0.7)
    result = range_test(model, data, 1e-3, 1.0, updates=40, batch_size=4)
    np.testing.assert_array_equal(result.learning_rates, np.geomspace(1e-3, 1.0, 40))
    np.testing.assert_allclose(result.losses, by_hand(result.learning_rates), rtol=1e-4)
    assert result.stopped == "end of the ramp"


def test_the_ramp_rises_by_a_constant_factor():
    rates = range_test(network(), DATA, 1e-4, 10.0, 51, explosion=None).learning_rates
    np.testing.assert_allclose(rates[1:] / rates[:-1], 10**0.1)
    assert (rates[0], rates[-1]) == (1e-4, 10.0)


@pytest.mark.parametrize("steps_before", [0, 2])
def test_with_accumulated_gradients_the_rate_changes_with_the_weights(steps_before):
    model, (x, y) = parabola(0.7, OPTIMIZERS.SGD(0.0, gradient_accumulation_steps=3))
    for _ in range(steps_before):  # in the middle of an update, whose gradients are kept
        model.train_on_batch(x, y)
    result = range_test(model, (x, y), 1e-3, 1.0, updates=10, batch_size=4)
    np.testing.assert_allclose(result.losses, by_hand(result.learning_rates), rtol=1e-4)


def test_steps_that_are_skipped_to_lower_the_loss_scale_do_not_raise_the_rate():
    scaled = OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.SGD(0.1), initial_scale=2.0**127)
    model, data = parabola(70.0, scaled)  # the scaled loss is infinite at first
    result = range_test(model, data, 1e-4, 0.01, updates=10, batch_size=4)
    np.testing.assert_allclose(result.losses, by_hand(result.learning_rates, 70.0), rtol=1e-4)
    assert float(scaled.dynamic_scale) == 2.0**127


def test_several_inputs_as_dicts_with_weights():
    def build():
        keras.utils.set_random_seed(0)
        wide, narrow = keras.Input((3,), name="wide"), keras.Input((1,), name="narrow")
        joined = LAYERS.Concatenate()([wide, narrow])
        output = LAYERS.Dense(3, "softmax")(LAYERS.Dense(8, "relu")(joined))
        model = keras.Model({"wide": wide, "narrow": narrow}, output)
        model.compile(OPTIMIZERS.SGD(0.1), "sparse_categorical_crossentropy")
        return model

    x, y = DATA
    parts = {"wide": x[:, :3], "narrow": x[:, 3:]}
    weights = np.linspace(0, 2, len(y))
    weighted = range_test(build(), (parts, y, weights), updates=5)
    plain = range_test(build(), (parts, y), updates=5)
    order = np.random.default_rng(0).permutation(len(y))[:32]
    first = {name: part[order] for name, part in parts.items()}
    for result, given in ((plain, None), (weighted, weights[order])):
        loss = build().evaluate(first, y[order], sample_weight=given, verbose=0)
        assert result.losses[0] == pytest.approx(loss, rel=1e-5)


def test_the_model_may_be_unbuilt_and_the_step_its_own():
    class Doubled(keras.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            return {"loss": tf.constant(2.0) * logs["loss"]}

    model = Doubled([LAYERS.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    losses = range_test(model, DATA, updates=5).losses
    model.__class__ = keras.Sequential
    halves = range_test(model, DATA, updates=5).losses
    np.testing.assert_allclose(losses, 2 * halves, rtol=1e-5)


def test_a_step_s_own_average_of_the_loss_is_of_one_batch():
    class Averaging(keras.Sequential):
        def train_step(self, data):
            self.box.mean.update_state(super().train_step(data)["loss"])
            return {"loss": self.box.mean.result()}

    plain, own = network(), network(kind=Averaging)
    own.box = types.SimpleNamespace(mean=keras.metrics.Mean())  # which Keras does not look into
    assert not any(metric is own.box.mean for metric in own.metrics)
    one, other = (range_test(model, DATA, updates=5).losses for model in (plain, own))
    np.testing.assert_allclose(one, other, rtol=1e-5)


# --- When it ends ---


def test_it_stops_when_the_loss_explodes():
    model, data = parabola(0.7)
    result = range_test(model, data, 0.01, 1e3, 100, 4, memory=0)
    assert result.stopped == "loss exploded"
    assert len(result.losses) == len(result.learning_rates) == len(result.smoothed) < 90
    assert np.count_nonzero(result.losses[-8:] > 2 * 0.35) >= 7
    assert result.suggest("minimum") == pytest.approx(0.2 / 0.7, rel=0.15)


def test_it_stops_when_the_loss_is_not_finite():
    model, data = parabola(0.7)
    result = range_test(model, data, 1.0, 1e30, 25, 4, memory=0)
    assert result.stopped == "loss not finite"
    assert np.isfinite(result.losses).all()
    model.set_weights([np.full((1, 1), np.inf)])
    with pytest.raises(ValueError, match=r"the loss is (inf|nan) before the first update"):
        range_test(model, data, batch_size=4)
    assert np.isinf(model.get_weights()[0]).all()


NOISES = {
    "normal": lambda draw: draw.normal(size=150),
    "one batch in seven with a positive": lambda draw: 0.02 + 0.5 * draw.binomial(1, 0.15, 150),
    "heavy tails": lambda draw: draw.pareto(0.5, size=150),
    "falling and heavy": lambda draw: np.geomspace(10, 0.1, 150) * draw.lognormal(0, 1, 150),
}


@pytest.mark.parametrize("kind", NOISES)
def test_noise_alone_is_no_explosion(kind):
    for seed in range(20):
        losses = NOISES[kind](np.random.default_rng(seed))
        assert not any(_curve.exploded(losses[:count], 2.0) for count in range(1, 151))


@pytest.mark.parametrize("shift", [0.0, -0.3, -100.0])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_an_explosion_is_one_in_any_unit_and_from_any_zero(shift, scale):
    draw = np.random.default_rng(0)
    losses = 2.3 * np.exp(-np.geomspace(1e-3, 30, 60)) + 0.1 * draw.normal(size=60)
    rising = scale * (np.concatenate([losses, 1.5 ** np.arange(30)]) + shift)
    ends = [count for count in range(1, 91) if _curve.exploded(rising[:count], 2.0)]
    assert ends[0] == 60 + 4 + 7  # 1.5⁴ = 5.1 is the first beyond the limit


def rare_positives(seed):
    draw = np.random.default_rng(seed)
    y = draw.random(2000) < 0.02
    return (draw.normal(size=(2000, 6)) + 1.5 * y[:, None], y.astype(float)), "sigmoid"


def heavy_tails(seed):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(2000, 6))
    return (x, x.sum(axis=1) + 3 * draw.standard_t(1.5, size=2000)), None


def highest_rate(make, seed):
    data, activation = make(seed)
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input((6,)), LAYERS.Dense(16, "relu")])
    model.add(LAYERS.Dense(1, activation))
    loss = "binary_crossentropy" if activation else "mse"
    model.compile(["sgd", "adam"][seed % 2], loss)
    return range_test(model, data, updates=150, batch_size=8, seed=seed).learning_rates[-1]


@pytest.mark.parametrize("make", [rare_positives, heavy_tails])
def test_small_batches_of_rare_or_extreme_examples_do_not_end_it(make):
    assert min(highest_rate(make, seed) for seed in range(2)) > 1e-4


@pytest.mark.long
@pytest.mark.parametrize("make", [rare_positives, heavy_tails])
def test_small_batches_do_not_end_it_with_any_of_20_seeds(make):
    assert min(highest_rate(make, seed) for seed in range(20)) > 1e-4


def negative(y, y_pred):
    return keras.losses.mean_squared_error(y, y_pred) - 40.0


@pytest.mark.parametrize("loss", ["poisson", negative])
def test_losses_below_zero(loss):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(400, 3))
    y = draw.poisson(np.exp(1 + 0.5 * x[:, 0])).astype(float)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((3,)), LAYERS.Dense(8, "relu"), LAYERS.Dense(1, "exponential")]
    )
    if loss is negative:
        model = keras.Sequential([keras.Input((3,)), LAYERS.Dense(8, "relu"), LAYERS.Dense(1)])
    model.compile(OPTIMIZERS.SGD(0.01), loss)
    result = range_test(model, (x, y), 1e-4, 100, updates=120)
    assert result.losses[:28].mean() > np.min(result.smoothed) < 0
    assert result.stopped in ("loss exploded", "loss not finite")
    assert 0.003 < result.suggest("minimum") < 0.3


# --- What it refuses ---


BAD_TEST = {
    "lowest 0": ({"lowest": 0.0}, "lowest must be a positive number"),
    "nan": ({"highest": float("nan")}, "highest must be a positive number"),
    "inf": ({"highest": float("inf")}, "highest must be a positive number"),
    "string": ({"lowest": "1e-5"}, "lowest must be a positive number, got '1e-5'"),
    "falling": ({"lowest": 1.0, "highest": 0.1}, "lowest must be below highest"),
    "one update": ({"updates": 1}, "updates must be a whole number of at least 2"),
    "batch size 0": ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    "batch too large": ({"batch_size": 61}, "batch_size must not exceed the 60 examples"),
    "memory 1": ({"memory": 1.0}, "memory must be at least 0 and below 1"),
    "explosion": ({"explosion": -4}, "explosion must be a positive number"),
    "seed": ({"seed": -1}, "seed must be a whole number of at least 0"),
    "lengths": ({"data": (DATA[0], DATA[1][:-1])}, "one row for each example"),
    "no pair": ({"data": DATA[0]}, r"data must be \(x, y\) or \(x, y, sample_weight\)"),
    "labels": ({"data": (DATA[0], DATA[1] + 1)}, "labels of data must be from 0 to 2"),
    "a function": ({"model": network}, "model must be a compiled keras.Model"),
    "not compiled": (
        {"model": keras.Sequential([keras.Input((4,)), LAYERS.Dense(3)])},
        "model must be a compiled keras.Model",
    ),
}


@pytest.mark.parametrize("name", BAD_TEST)
def test_bad_arguments_are_refused_before_training(name, monkeypatch):
    arguments, message = BAD_TEST[name]
    monkeypatch.setattr(_experiment, "traced_step", lambda *args: pytest.fail("training began"))
    with pytest.raises(ValueError, match=message):
        range_test(**{"model": network(), "data": DATA} | arguments)


class OwnOptimizer(keras.Sequential):
    """Steps an optimizer of its own, as the two halves of a GAN do."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        own = self.trainable_variables
        self.box[0].apply(tape.gradient(loss, own), own)
        return {"loss": loss}


class Accumulating(keras.Sequential):
    """Changes its weights at every fourth step only."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.count.assign_add(1.0)
        due = tf.cast(self.count % 4 == 0, "float32")
        weights = self.trainable_variables
        self.optimizer.apply([due * it for it in tape.gradient(loss, weights)], weights)
        return {"loss": loss}


class Lazy(keras.Sequential):
    """Makes an optimizer of its own when it is first trained."""

    def train_step(self, data):
        logs = super().train_step(data)
        if not hasattr(self, "average"):
            self.average = keras.metrics.Mean(name="average")
        return logs


class Reporting(keras.Sequential):
    """Reports something else than the loss."""

    def train_step(self, data):
        logs = super().train_step(data)
        return {"objective": logs["loss"]} if self.name == "other" else {"loss": tf.ones(3)}


class Noisy(OwnOptimizer):
    """Steps its own optimizer, and draws differently each time."""

    def train_step(self, data):
        x, y = data
        return super().train_step((x + tf.random.normal(tf.shape(x)), y))


def with_own_optimizer(kind):
    model = network(kind=kind)
    model.box = (OPTIMIZERS.SGD(0.1),)  # a tuple, so that Keras does not look into it
    model.box[0].build(model.trainable_variables)
    return model


def accumulating():
    model = network(OPTIMIZERS.SGD(0.1), kind=Accumulating)
    model.count = keras.Variable(0.0, trainable=False)
    return model


def holding(thing):
    model = network()
    model.layers[0].thing = thing
    return model


def frozen():
    model = network()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def reporting(name):
    model = network(kind=Reporting)
    model.name = name
    return model


REFUSED = {
    "own optimizer": (lambda: with_own_optimizer(OwnOptimizer), "changes nothing in 8 updates"),
    "own optimizer, noise": (lambda: with_own_optimizer(Noisy), "changes nothing .* once more at"),
    "own accumulation": (accumulating, "only 2 of 8 steps change the model's weights"),
    "new variables": (lambda: network(kind=Lazy), "makes new variables .*average"),
    "a generator": (lambda: holding(i for i in "abc"), r"thing is a generator, .* put it back"),
    "a queue": (lambda: holding(queue.Queue()), r"thing is a Queue, .* put it back"),
    "a dense table": (
        lambda: holding(tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, *(-1, -2, -3))),
        r"thing is a DenseHashTable, .* put it back",
    ),
    "TensorFlow's": (
        lambda: holding(tf.queue.FIFOQueue(9, ["float32"])),
        r"thing is a FIFOQueue, .* put it back",
    ),
    "frozen": (frozen, "no weights to train"),
    "other keys": (lambda: reporting("other"), "'loss', .* this one reports objective"),
    "three losses": (lambda: reporting("three"), r"single number, it has the shape \(3,\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_cannot_be_tested_are_refused_and_left_as_they_were(name):
    build, message = REFUSED[name]
    model = build()
    before = [v.numpy().tobytes() for v in model.variables]
    attributes = set(vars(model))
    with pytest.raises(ValueError, match=message):
        range_test(model, DATA, updates=20)
    assert [v.numpy().tobytes() for v in model.variables] == before
    assert set(vars(model)) == attributes


def test_gradients_that_are_zero_at_first_are_no_reason_to_refuse():
    model, (x, y) = parabola(0.7)
    weights = np.zeros(40)
    weights[-1] = 1.0  # one batch in forty has a loss at all
    data = np.repeat(x, 10, axis=0), np.repeat(y, 10, axis=0), weights
    order = np.random.default_rng(0).permutation(40)
    assert 1 < np.flatnonzero(order == 39)[0] // 8 < 5
    assert range_test(model, data, updates=10, batch_size=8).losses.max() > 0


def test_bad_numbers_in_the_data_are_not_the_rate_s_fault():
    model, (x, y) = parabola(0.7)
    x, y = np.repeat(x, 10, axis=0), np.repeat(y, 10, axis=0)
    x[np.random.default_rng(0).permutation(40)[30]] = np.nan  # in the second batch
    with pytest.raises(ValueError, match="x of data holds a number that is not finite"):
        range_test(model, (x, y), batch_size=20)


def test_a_multi_optimizer_is_refused():
    if not hasattr(OPTIMIZERS, "MultiOptimizer"):
        pytest.skip("needs Keras 3.15")
    table = OPTIMIZERS.OptimizerMap(OPTIMIZERS.SGD(0.1), {".*kernel": OPTIMIZERS.Adam(0.1)})
    with pytest.raises(ValueError, match="no learning rate of its own"):
        range_test(network(OPTIMIZERS.MultiOptimizer(table)), DATA)


# --- What the curve suggests ---


def smoothed(losses, memory):
    return RangeTest(np.arange(1.0, len(losses) + 1), losses, memory=memory).smoothed


def test_smoothing_has_no_bias():
    assert smoothed([3.0, 5.0], 0.9)[0] == 3.0
    np.testing.assert_allclose(smoothed(np.full(50, 2.5), 0.98), 2.5)
    np.testing.assert_allclose(smoothed([1.0, 2.0], 0.5), [1.0, (0.25 + 1.0) / 0.75])
    np.testing.assert_array_equal(smoothed([4.0, 1.0, 7.0], 0), [4.0, 1.0, 7.0])


def reference(rule, rates, losses):
    """Compute fastai's suggestions step by step, as its documentation tells them."""
    count = len(rates)
    if rule == "minimum":
        lowest = min(range(count), key=lambda place: losses[place])
        return rates[lowest] / 10
    if rule == "steep":
        falls = [
            (losses[k] - losses[k + 1]) / np.log(rates[k + 1] / rates[k]) for k in range(count - 1)
        ]
        return rates[falls.index(max(falls))]
    if rule == "valley":
        chains = []  # for each loss, how many can be strung to a fall that ends with it
        for k in range(count):
            chains.append(1 + max([chains[j] for j in range(k) if losses[j] > losses[k]] or [0]))
        end = chains.index(max(chains))
        third = max(chains) / 3
        return rates[end - max(chains) + int(third) + int(third / 2)]
    slopes = np.gradient(losses)
    left, right, found = count - 16, count - 1, rates[count - 16]
    while left >= 0 and abs(slopes[right] - slopes[left]) > 0.005:
        found, left, right = rates[left], left - 1, right - 1
    return found


@pytest.mark.parametrize("rule", ["minimum", "steep", "valley", "slide"])
def test_rules_agree_with_their_published_formulas(rule):
    different = set()
    for seed in range(200):
        draw = np.random.default_rng(seed)
        rates = np.geomspace(1e-5, 10, draw.integers(20, 120))
        if seed % 2:
            rates = np.sort(draw.lognormal(-4, 3, len(rates)))
        losses = 2 * np.exp(-rates / draw.lognormal(-3, 1)) + np.minimum(rates**2, 5)
        losses += draw.choice([0.0, 0.01, 0.3]) * draw.normal(size=len(rates))
        losses[0] = losses.max()
        test = RangeTest(rates, losses)
        assert test.suggest(rule) == pytest.approx(reference(rule, rates, losses))
        settled = RangeTest(rates, losses, memory=0.5)
        if np.argmin(settled.smoothed[2:]) > 0:
            expected = reference(rule, rates[2:], settled.smoothed[2:])
            assert settled.suggest(rule) == pytest.approx(expected)
        different.add(test.suggest(rule))
    assert len(different) > 90


def test_the_explosion_itself_suggests_nothing():
    rates = np.geomspace(1e-3, 10, 60)
    losses = np.concatenate([np.linspace(2, 0.5, 52), [5, 90, 3, 60, 7, 50, 9, 80]])
    assert RangeTest(rates, losses).suggest("steep") > rates[-8]
    assert RangeTest(rates, losses, "loss exploded").suggest("steep") <= rates[-9]


@pytest.mark.parametrize("updates", [100, 150, 200])
@pytest.mark.parametrize("curvature", [0.7, 3.0])
def test_theory_of_minimum_and_steepest_point(updates, curvature):
    model, data = parabola(curvature)
    named = {"updates": updates, "batch_size": 4, "memory": 0}
    result = range_test(model, data, 1e-4, 100.0, **named)
    factor = result.learning_rates[1] / result.learning_rates[0]
    minimum = result.learning_rates[np.argmin(result.losses)]
    assert 2 / curvature <= minimum * 1.0001
    assert minimum <= 2 / curvature * factor * 1.0001  # the first rate beyond 2/λ
    assert result.suggest("minimum") == pytest.approx(minimum / 10)
    off = result.suggest("steep") / (np.log(factor) / (2 * curvature))
    assert abs(np.log(off)) <= max(np.log(factor), 0.1)  # 10 %, or one step of a coarse ramp


def test_a_ramp_twice_as_long_halves_the_steepest_point_but_not_the_minimum():
    model, data = parabola(0.7)
    named = {"batch_size": 4, "memory": 0}
    short, long = (range_test(model, data, 1e-4, 100.0, updates=n, **named) for n in (100, 200))
    assert long.suggest("steep") / short.suggest("steep") == pytest.approx(0.5, abs=0.08)
    assert long.suggest("minimum") / short.suggest("minimum") == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("curvature", "factor"), [(1.0, 1.02), (30.0, 1.05), (0.01, 1.01)])
def test_steepest_on_the_exact_curve(curvature, factor):
    expected = np.log(factor) / (2 * curvature)
    rates = expected * factor ** np.arange(-200.0, 200.0)
    losses = np.exp(-2 * curvature * rates / np.log(factor))
    assert RangeTest(rates, losses).suggest("steep") == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("rates", "losses", "rule", "message"),
    [
        ([0.1, 0.2, 0.3], [3.0, 2.0], "minimum", "the same length, got 3 and 2"),
        ([0.1, 0.2], [3.0, 2.0], "minimum", "at least 3 losses; got 2 in all. Make the ramp"),
        ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0], "minimum", "never falls below 1, .* at the rate 0.1"),
        ([0.1, 0.2, 0.3], [1.0, 2.0, np.nan], "steep", "losses must hold finite numbers"),
        ([0.1, -0.2, 0.3], [3.0, 2.0, 1.0], "steep", "positive and rising"),
        ([0.3, 0.2, 0.1], [3.0, 2.0, 1.0], "steep", "positive and rising"),
        (["a", "b", "c"], [3.0, 2.0, 1.0], "steep", "learning_rates must be a 1-D array"),
        ([0.1, 0.2, 0.3], [3.0, 2.0, 1.0], "slide", "needs at least 16 .* got 3"),
        ([0.1, 0.2, 0.3], [3.0, 2.0, 2.5], "valley", "a fall of at least 3 losses"),
        ([0.1, 0.2, 0.3], [3.0, 2.0, 1.0], "steepest", "one of minimum, slide, steep, valley"),
    ],
)
def test_bad_curves_are_refused(rates, losses, rule, message):
    with pytest.raises(ValueError, match=message):
        RangeTest(rates, losses).suggest(rule)


@pytest.mark.parametrize(
    ("stopped", "advice"),
    [
        ("loss not finite", r"after the first 10, .*got 12 in all: the test ended early, at the "),
        ("loss exploded", r"before the last 8, in which .*at the rate 0.012 \(loss exploded\)"),
        ("end of the ramp", "Make the ramp longer"),
    ],
)
def test_a_test_that_ended_early_says_so(stopped, advice):
    test = RangeTest(np.linspace(0.001, 0.012, 12), np.linspace(2, 1, 12), stopped, 0.9)
    with pytest.raises(ValueError, match=advice):
        test.suggest()


def test_steepest_point_is_not_the_noise_of_the_first_batches():
    rates = np.geomspace(1e-4, 100, 200)
    draw = np.random.default_rng(0)
    losses = 2.3 * np.exp(-rates / 0.3) + 0.3 + 0.3 * draw.normal(size=200)
    losses[0] += 1.0
    result = RangeTest(rates, losses, memory=0.95)
    assert RangeTest(rates, result.smoothed).suggest("steep") < 0.001
    assert 0.05 < result.suggest("steep") < 5


def test_any_recorded_curve_can_be_read():
    recorded = RangeTest([0.01, 0.1, 1.0, 10.0], (3, 2, 1, 4))
    assert recorded.suggest("minimum") == 0.1
    assert recorded.stopped == ""
    np.testing.assert_array_equal(recorded.smoothed, [3.0, 2.0, 1.0, 4.0])
    with pytest.raises(ValueError, match="memory must be at least 0 and below 1, got 1"):
        RangeTest([0.1], [1.0], memory=1)
    with pytest.raises(ValueError, match="learning_rates must not be empty"):
        RangeTest([], [])
