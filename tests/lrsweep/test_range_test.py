"""The range test: what it records, that it leaves no trace, and its exact theory."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrsweep import RangeTest, _curve, _experiment, _range_test, range_test

OPTIMIZERS = keras.optimizers


def examples(count=60):
    random = np.random.default_rng(0)
    y = random.integers(3, size=count)
    return random.normal(size=(3, 4))[y] + 0.3 * random.normal(size=(count, 4)), y


DATA = examples()


def network(optimizer=None, layers=()):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), *layers])
    model.add(keras.layers.Dense(3, "softmax"))
    model.compile(optimizer or OPTIMIZERS.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def parabola(curvature):
    """Return a model and data whose loss is exactly λw²/2, with w = 1 to begin with."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, None, False, "ones")])
    model.compile(OPTIMIZERS.SGD(0.5), "mse")
    return model, (np.full((4, 1), np.sqrt(curvature / 2)), np.zeros((4, 1)))


def state(model):
    variables = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
    return [v.numpy().tobytes() for v in variables]


def trained(model, epochs=2):
    model.fit(*DATA, epochs=epochs, verbose=0)
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(OPTIMIZERS.Adam(0.01)),
        lambda: network(OPTIMIZERS.SGD(0.123, momentum=0.9)),
        lambda: network(OPTIMIZERS.Nadam(0.01)),
        lambda: network(OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.SGD(0.1))),
        lambda: network(layers=[keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]),
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
    assert state(tested) == state(other)


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
    assert float(model.optimizer.learning_rate) == rate < 0.1
    plain = trained(network(OPTIMIZERS.SGD(schedule)))
    plain.optimizer.learning_rate = lambda: 0.1
    again = range_test(plain, DATA, updates=30)
    np.testing.assert_allclose(result.losses, again.losses, rtol=1e-5)


def test_state_is_restored_after_an_error_too(monkeypatch):
    model = trained(network())
    before = state(model)
    smooth = _curve.smooth
    fail = lambda losses, memory: smooth(losses, memory) if len(losses) < 5 else 1 / 0  # noqa: E731
    monkeypatch.setattr(_range_test, "smooth", fail)
    with pytest.raises(ZeroDivisionError):
        range_test(model, DATA, updates=20)
    assert state(model) == before


def test_it_is_repeatable_and_the_seed_matters():
    model = network(layers=[keras.layers.Dropout(0.3)])
    one, two = (range_test(model, DATA, updates=30) for _ in range(2))
    other = range_test(model, DATA, updates=30, seed=1)
    np.testing.assert_array_equal(one.losses, two.losses)
    assert not np.array_equal(one.losses[:5], other.losses[:5])


def test_each_mini_batch_gets_one_update_at_its_own_rate():
    model, (x, y) = parabola(0.7)
    result = range_test(model, (x, y), 1e-3, 1.0, updates=40, batch_size=4)
    rates = np.geomspace(1e-3, 1.0, 40)
    weight, losses = 1.0, []
    for rate in rates:
        losses.append(0.7 * weight**2 / 2)
        weight *= 1 - rate * 0.7
    np.testing.assert_array_equal(result.learning_rates, rates)
    np.testing.assert_allclose(result.losses, losses, rtol=1e-4)
    assert result.stopped == "end of the ramp"


def test_the_ramp_rises_by_a_constant_factor():
    rates = range_test(network(), DATA, 1e-4, 10.0, 51, explosion=1e30).learning_rates
    np.testing.assert_allclose(rates[1:] / rates[:-1], 10**0.1)
    assert (rates[0], rates[-1]) == (1e-4, 10.0)


def smoothed(losses, memory):
    return RangeTest(np.arange(1.0, len(losses) + 1), losses, memory=memory).smoothed


def test_smoothing_has_no_bias():
    assert smoothed([3.0, 5.0], 0.9)[0] == 3.0
    np.testing.assert_allclose(smoothed(np.full(50, 2.5), 0.98), 2.5)
    np.testing.assert_allclose(smoothed([1.0, 2.0], 0.5), [1.0, (0.25 + 1.0) / 0.75])
    np.testing.assert_array_equal(smoothed([4.0, 1.0, 7.0], 0), [4.0, 1.0, 7.0])


def test_it_stops_when_the_loss_explodes():
    model, data = parabola(0.7)
    result = range_test(model, data, 1.0, 1e3, 100, 4, memory=0, explosion=4.0)
    assert result.stopped == "loss exploded"
    assert len(result.losses) == len(result.learning_rates) == len(result.smoothed) < 100
    assert result.losses[-1] > 4 * result.losses.min()
    assert np.all(result.losses[:-1] <= 4 * np.minimum.accumulate(result.losses[:-1]))


def test_it_stops_when_the_loss_is_not_finite():
    model, data = parabola(0.7)
    result = range_test(model, data, 1.0, 1e30, 30, 4, memory=0, explosion=1e300)
    assert result.stopped == "loss not finite"
    assert np.isfinite(result.losses).all()
    model.set_weights([np.full((1, 1), np.inf)])
    with pytest.raises(ValueError, match="before the first update"):
        range_test(model, data, batch_size=4)
    assert np.isinf(model.get_weights()[0]).all()


@pytest.mark.parametrize("updates", [100, 150, 200])
@pytest.mark.parametrize("curvature", [0.7, 3.0])
def test_theory_of_minimum_and_steepest_point(updates, curvature):
    model, data = parabola(curvature)
    named = {"updates": updates, "batch_size": 4, "memory": 0, "explosion": 1e30}
    result = range_test(model, data, 1e-4, 100.0, **named)
    factor = result.learning_rates[1] / result.learning_rates[0]
    minimum = result.learning_rates[np.argmin(result.losses)]
    assert 2 / curvature <= minimum * 1.0001
    assert minimum <= 2 / curvature * factor * 1.0001  # the first rate beyond 2/λ
    assert result.suggest("minimum") == pytest.approx(minimum / 10)
    off = result.suggest("steepest") / (np.log(factor) / (2 * curvature))
    assert abs(np.log(off)) <= max(np.log(factor), 0.1)  # 10 %, or one step of a coarse ramp


def test_a_ramp_twice_as_long_halves_the_steepest_point_but_not_the_minimum():
    model, data = parabola(0.7)
    named = {"batch_size": 4, "memory": 0, "explosion": 1e30}
    short, long = (range_test(model, data, 1e-4, 100.0, updates=n, **named) for n in (100, 200))
    assert long.suggest("steepest") / short.suggest("steepest") == pytest.approx(0.5, abs=0.08)
    assert long.suggest() / short.suggest() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("curvature", "factor"), [(1.0, 1.02), (30.0, 1.05), (0.01, 1.01)])
def test_steepest_on_the_exact_curve(curvature, factor):
    expected = np.log(factor) / (2 * curvature)
    rates = expected * factor ** np.arange(-200.0, 200.0)
    losses = np.exp(-2 * curvature * rates / np.log(factor))
    assert RangeTest(rates, losses).suggest("steepest") == pytest.approx(expected, rel=0.05)


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
    "lengths": ({"data": (DATA[0], DATA[1][:-1])}, "x and y of data must have one row for each"),
    "no pair": ({"data": DATA[0]}, "data must be a pair"),
    "labels": ({"data": (DATA[0], DATA[1] + 1)}, "labels must be from 0 to 2"),
    "a function": ({"model": network}, "model must be a compiled keras.Model"),
    "not compiled": (
        {"model": keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])},
        "model must be a compiled keras.Model",
    ),
}


@pytest.mark.parametrize("name", BAD_TEST)
def test_bad_arguments_are_refused_before_training(name, monkeypatch):
    arguments, message = BAD_TEST[name]
    monkeypatch.setattr(_experiment, "traced_step", lambda *args: pytest.fail("training began"))
    with pytest.raises(ValueError, match=message):
        range_test(**{"model": network(), "data": DATA} | arguments)


@pytest.mark.parametrize(
    ("rates", "losses", "rule", "message"),
    [
        ([0.1, 0.2, 0.3], [3.0, 2.0], "minimum", "the same length, got 3 and 2"),
        ([0.1, 0.2], [3.0, 2.0], "minimum", "at least 3 losses .* got 2"),
        ([0.1, 0.2, 0.3], [1.0, 2.0, 3.0], "minimum", "never falls"),
        ([0.1, 0.2, 0.3], [1.0, 2.0, np.nan], "steepest", "losses must hold finite numbers"),
        ([0.1, -0.2, 0.3], [3.0, 2.0, 1.0], "steepest", "positive and rising"),
        ([0.3, 0.2, 0.1], [3.0, 2.0, 1.0], "steepest", "positive and rising"),
        (["a", "b", "c"], [3.0, 2.0, 1.0], "steepest", "learning_rates must be a 1-D array"),
        ([0.1, 0.2, 0.3], [3.0, 2.0, 1.0], "valley", "rule must be one of minimum, steepest"),
    ],
)
def test_bad_curves_are_refused(rates, losses, rule, message):
    with pytest.raises(ValueError, match=message):
        RangeTest(rates, losses).suggest(rule)


def test_a_multi_optimizer_is_refused():
    if not hasattr(OPTIMIZERS, "MultiOptimizer"):
        pytest.skip("needs Keras 3.15")
    table = OPTIMIZERS.OptimizerMap(OPTIMIZERS.SGD(0.1), {".*kernel": OPTIMIZERS.Adam(0.1)})
    with pytest.raises(ValueError, match="no learning rate of its own"):
        range_test(network(OPTIMIZERS.MultiOptimizer(table)), DATA)


def test_the_model_may_be_unbuilt_and_the_step_its_own():
    class Doubled(keras.Sequential):
        def train_step(self, data):
            logs = super().train_step(data)
            return {"loss": tf.constant(2.0) * logs["loss"]}

    model = Doubled([keras.layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    losses = range_test(model, DATA, updates=5).losses
    model.__class__ = keras.Sequential
    halves = range_test(model, DATA, updates=5).losses
    np.testing.assert_allclose(losses, 2 * halves, rtol=1e-5)


def test_steepest_point_is_not_the_noise_of_the_first_batches():
    rates = np.geomspace(1e-4, 100, 200)
    random = np.random.default_rng(0)
    losses = 2.3 * np.exp(-rates / 0.3) + 0.3 + 0.3 * random.normal(size=200)
    losses[0] += 1.0
    result = RangeTest(rates, losses, memory=0.95)
    assert RangeTest(rates, result.smoothed).suggest("steepest") < 0.001
    assert 0.05 < result.suggest("steepest") < 5


def test_any_recorded_curve_can_be_read():
    recorded = RangeTest([0.01, 0.1, 1.0, 10.0], (3, 2, 1, 4))
    assert recorded.suggest() == 0.1
    assert recorded.stopped == ""
    np.testing.assert_array_equal(recorded.smoothed, [3.0, 2.0, 1.0, 4.0])
    with pytest.raises(ValueError, match="memory must be at least 0 and below 1, got 1"):
        RangeTest([0.1], [1.0], memory=1)
    with pytest.raises(ValueError, match="learning_rates must not be empty"):
        RangeTest([], [])
