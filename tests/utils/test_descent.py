"""The exact theory of gradient descent, and the refusal of bad input before any work."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from utils import checks, data, descent, losses

RATES = {
    0.05: (3.486784401, "crawls"),
    0.2: (0.0604661760, "approaches"),
    0.5: (0.0, "lands in one step"),
    0.9: (1.0737418240, "overshoots and converges"),
    1.0: (10.0, "bounces forever"),
    1.1: (61.917364224, "diverges"),
}
positive = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(("learning_rate", "expected"), RATES.items())
def test_six_regimes(learning_rate, expected):
    path = descent.gradient_descent(losses.parabola().gradient, 10.0, learning_rate, 10)
    assert path.shape == (11,)
    assert path[-1] == pytest.approx(expected[0], abs=1e-9)
    assert descent.regime(learning_rate, 2) == expected[1]


@given(positive, positive, st.floats(-100, 100))
def test_path_is_the_multiplier_to_the_t(learning_rate, curvature, start):
    assume(learning_rate * curvature < 20)
    path = descent.gradient_descent(lambda x: curvature * x, start, learning_rate, 10)
    closed = start * descent.multiplier(learning_rate, curvature) ** np.arange(11)
    np.testing.assert_allclose(path, closed, rtol=1e-9, atol=1e-12 * (1 + abs(start)))


@given(positive)
def test_regime_changes_exactly_at_the_limits(curvature):
    limit = descent.stability_limit(curvature)
    assert descent.regime(limit, curvature) == "bounces forever"
    assert descent.regime(limit * (1 + 1e-6), curvature) == "diverges"
    assert descent.regime(limit * (1 - 1e-6), curvature) == "overshoots and converges"
    assert descent.regime(limit / 2, curvature) == "lands in one step"


@given(positive, st.floats(1, 1e6))
def test_fastest_rate_balances_both_ends(smallest, condition):
    largest = smallest * condition
    best = descent.fastest_learning_rate(largest, smallest)
    rate = descent.convergence_rate(largest, smallest)
    assert 1 - best * smallest == pytest.approx(rate, abs=1e-12)
    assert best * largest - 1 == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize(
    ("pair", "best", "rate"),
    [((10, 1), 2 / 11, 9 / 11), ((100, 1), 2 / 101, 99 / 101), ((4, 0.2), 2 / 4.2, 3.8 / 4.2)],
)
def test_fastest_rate_of_the_lesson(pair, best, rate):
    assert descent.fastest_learning_rate(*pair) == pytest.approx(best, rel=1e-12)
    assert descent.convergence_rate(*pair) == pytest.approx(rate, rel=1e-12)


@settings(max_examples=300)
@given(st.floats(0.01, 1.99), st.floats(0.1, 100), st.floats(1e-6, 1))
def test_updates_to_tolerance_is_the_first_that_suffices(product, start, tolerance):
    updates = descent.updates_to_tolerance(product, 1.0, start, tolerance)
    factor = abs(1 - product)
    assert start * factor**updates <= tolerance * (1 + 1e-9)
    assert updates == 0 or start * factor ** (updates - 1) > tolerance * (1 - 1e-9)


def test_updates_to_tolerance_at_the_ends():
    assert descent.updates_to_tolerance(0.5, 2, 10, 0.01) == 1
    assert descent.updates_to_tolerance(1.0, 2, 10, 0.01) == math.inf
    assert descent.updates_to_tolerance(3.0, 2, 0.001, 0.01) == 0


LIMITS = {
    ("diabetes", False, False): 109.8352,
    ("diabetes", False, True): 1.0,
    ("iris", False, True): 0.0160384,
    ("iris", True, True): 0.342642,
    ("wine", False, True): 1.50186e-6,
    ("wine", True, True): 0.212501,
    ("digits", False, True): 3.73e-4,
    ("digits", True, True): 0.136,
}


@pytest.mark.parametrize(("case", "limit"), LIMITS.items())
def test_limits_of_real_data(case, limit):
    name, standardised, intercept = case
    hessian = descent.mse_hessian(data.load_dataset(name, standardised)[0], intercept)
    largest = descent.largest_curvature(lambda v: hessian @ v, len(hessian))
    assert largest == pytest.approx(np.linalg.eigvalsh(hessian)[-1], rel=1e-9)
    assert descent.stability_limit(largest) == pytest.approx(limit, rel=2e-3)
    if name != "digits":
        assert descent.stability_limit(largest) == pytest.approx(limit, rel=1e-4)


def test_mse_hessian_is_that_of_keras():
    keras = pytest.importorskip("keras")
    x, y = data.load_dataset("iris", standardised=True)
    rng = np.random.default_rng(0)
    here, direction = rng.normal(size=5), rng.normal(size=5)
    inputs = np.column_stack([x, np.ones(len(x))])

    def loss(weights):
        mse = keras.losses.MeanSquaredError()
        return float(mse(y[:, None].astype("float64"), (inputs @ weights)[:, None]))

    step = 10.0
    second = (loss(here + step * direction) - 2 * loss(here) + loss(here - step * direction)) / 100
    assert second == pytest.approx(direction @ descent.mse_hessian(x) @ direction, rel=1e-4)


def test_power_iteration_knows_a_flat_loss_and_every_seed():
    assert descent.largest_curvature(lambda v: 0 * v, 3) == 0
    diagonal = np.array([1.0, 5.0, 2.0])
    for seed in range(20):
        found = descent.largest_curvature(lambda v: diagonal * v, 3, seed=seed)
        assert found == pytest.approx(5, rel=1e-6)


def test_a_diverging_run_is_returned():
    path = descent.gradient_descent(losses.parabola().gradient, 10.0, 1e200, 5)
    assert path.shape == (6,)
    assert not np.isfinite(path[-1])


def test_start_is_left_alone():
    start = np.array([1.0, 2.0])
    path = descent.gradient_descent(losses.ravine_gradient, start, 0.1, 3)
    assert path.shape == (4, 2)
    np.testing.assert_array_equal(start, [1, 2])


@pytest.mark.parametrize("loss", [losses.parabola(0.7), losses.waves(), losses.wells()])
def test_derivatives_of_losses(loss):
    x = np.linspace(*loss.domain, 101)
    h = 1e-5
    slope = (loss.value(x + h) - loss.value(x - h)) / (2 * h)
    bend = (loss.gradient(x + h) - loss.gradient(x - h)) / (2 * h)
    np.testing.assert_allclose(loss.gradient(x), slope, atol=1e-6)
    np.testing.assert_allclose(loss.curvature(x), bend, atol=1e-5)
    for minimum in loss.minima:
        assert abs(loss.gradient(minimum)) < 3e-3
        assert loss.curvature(minimum) > 0


def test_thresholds_of_both_cases():
    waves, wells = losses.waves(), losses.wells()
    limits = [2 / float(waves.curvature(m)) for m in waves.minima[1:]]
    limits += [2 / float(wells.curvature(m)) for m in wells.minima]
    assert limits == pytest.approx([2.0432, 1.1027, 0.0483, 1.2506], abs=1e-3)


def test_ravine_gradient_is_that_of_its_loss():
    point, h = np.array([0.3, -2.0]), 1e-6
    for axis in (0, 1):
        step = h * np.eye(2)[axis]
        slope = (losses.ravine_loss(point + step) - losses.ravine_loss(point - step)) / (2 * h)
        assert losses.ravine_gradient(point)[axis] == pytest.approx(slope, abs=1e-6)


# Bad input: hundreds of wrong values for every argument of every function.

not_positive = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0, 0.0, -0.0, True, False, None, "0.1", 1j]),
    st.floats(max_value=0, allow_nan=False),
    st.integers(max_value=0),
    st.text(max_size=3),
    st.lists(st.floats(), max_size=2),
    st.just(np.array([0.1])),
    st.just(np.bool_(True)),
    st.just(10**400),
)  # fmt: skip
not_counts = st.one_of(
    st.sampled_from([math.nan, math.inf, 1.5, 2.0, True, None, "3", -1]), st.integers(max_value=-1)
)
not_arrays = st.one_of(
    st.sampled_from([[], [[]], "abc", ["a"], None, [True], [math.nan], [math.inf], [[1], [1, 2]]]),
    st.lists(st.text(max_size=2), min_size=1, max_size=3),
)

CALLS = {
    "gradient_descent": ({"start": 1.0, "learning_rate": 0.1, "updates": 3}, {"gradient": np.sin}),
    "multiplier": ({"learning_rate": 0.1, "curvature": 2.0}, {}),
    "regime": ({"learning_rate": 0.1, "curvature": 2.0}, {}),
    "stability_limit": ({"largest_curvature": 2.0}, {}),
    "fastest_learning_rate": ({"largest_curvature": 2.0, "smallest_curvature": 1.0}, {}),
    "convergence_rate": ({"largest_curvature": 2.0, "smallest_curvature": 1.0}, {}),
    "updates_to_tolerance": (
        {"learning_rate": 0.1, "curvature": 2.0, "tolerance": 0.1},
        {"start": 10.0},
    ),
    "mse_hessian": ({"x": [[1.0, 2.0]]}, {}),
    "largest_curvature": (
        {"size": 2, "iterations": 5, "tolerance": 1e-3},
        {"hessian_product": np.asarray},
    ),
}
WRONG = {
    "updates": not_counts,
    "size": not_counts,
    "iterations": not_counts,
    "start": not_arrays,
    "x": not_arrays,
}


@settings(max_examples=60)
@pytest.mark.parametrize(
    ("name", "argument"), [(name, arg) for name, (args, _) in CALLS.items() for arg in args]
)
@given(values=st.data())
def test_bad_input_is_named_before_any_work(name, argument, values):
    good, fixed = CALLS[name]
    worked = []
    fixed = {
        key: lambda *a, key=key: worked.append(key) for key in fixed if callable(fixed[key])
    } | {key: value for key, value in fixed.items() if not callable(value)}
    bad = values.draw(WRONG.get(argument, not_positive))
    with pytest.raises(ValueError, match=rf"^{argument} must") as refusal:
        getattr(descent, name)(**{**good, **fixed, argument: bad})
    assert not worked
    assert "got" in str(refusal.value)


def test_messages_read_as_promised():
    with pytest.raises(ValueError, match=r"learning_rate must be a positive number, got -0\.1"):
        descent.regime(-0.1, 2)
    with pytest.raises(ValueError, match=r"updates must be a whole number of at least 0, got 1\.5"):
        descent.gradient_descent(np.sin, 1.0, 0.1, 1.5)
    with pytest.raises(ValueError, match="smallest_curvature must not exceed largest_curvature"):
        descent.fastest_learning_rate(1, 2)
    with pytest.raises(ValueError, match="rows of unequal length"):
        checks.array("start", [[1], [1, 2]])
    with pytest.raises(ValueError, match="one of a, b, got 'c'"):
        checks.one_of("name", "c", {"a", "b"})


@given(st.one_of(st.floats(0.001, 1e9), st.integers(1, 10**9), st.just(np.float32(0.5))))
def test_good_numbers_pass(value):
    assert checks.positive_number("learning_rate", value) == float(value)
