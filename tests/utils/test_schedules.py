"""Schedules, their Keras forms, and the exact loss that each leads to."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utils import keras_schedules, noisy_quadratic, schedules

K = keras.optimizers.schedules
UPDATES = 1000
T = np.arange(UPDATES)
FAMILIES = sorted(schedules.FAMILIES)
rates_of_all_sizes = st.floats(1e-6, 1e3)


def simulated_loss(rates, curvatures=(1.0, 0.1, 0.01), noise=0.1, start=1.0, runs=20_000, seed=0):
    """Return the loss averaged over many noisy runs: what `expected_loss` computes exactly."""
    curvatures, generator = np.asarray(curvatures), np.random.default_rng(seed)
    x = np.full((runs, len(curvatures)), start)
    losses = [np.mean(x**2 @ curvatures) / 2]
    with np.errstate(over="ignore", invalid="ignore"):
        for rate in rates:
            x = x - rate * (curvatures * x + noise * generator.standard_normal(x.shape))
            losses.append(np.mean(x**2 @ curvatures) / 2)
    return np.array(losses)


def constant_rate_loss(t, learning_rate, curvature, noise, start=1.0):
    """Return the mean loss after t updates at a constant rate, in closed form.

    With q = (1 − ηλ)² it is λ/2·(qᵗ·start² + η²σ²·(1 + q + … + qᵗ⁻¹)).
    """
    t, q = np.asarray(t, dtype=float), (1 - learning_rate * curvature) ** 2
    gap = learning_rate * curvature * (2 - learning_rate * curvature)  # 1 − q
    with np.errstate(over="ignore"):
        geometric_sum = t if gap == 0 else (1 - q**t) / gap
        return curvature / 2 * (q**t * start**2 + (learning_rate * noise) ** 2 * geometric_sum)


def assert_pure(schedule, last=120):
    """Fail unless asking a schedule in any order, twice or for a figure changes nothing."""
    first_time = [float(schedule(t)) for t in range(last)]
    shuffled = np.random.default_rng(0).permutation(last)
    assert [float(schedule(t)) for t in shuffled] == [first_time[t] for t in shuffled]
    schedule(np.linspace(0, last, 7))  # for a figure
    np.testing.assert_allclose(schedule(np.arange(last)), first_time, rtol=1e-15)


class Impostor:
    """A schedule with a memory, of the kind that textbooks print: each call decays."""

    def __init__(self):
        self.rate = 1.0

    def __call__(self, t):
        self.rate *= 0.9
        return np.full_like(np.asarray(t, dtype=float), self.rate)[()]


# --- what a schedule is --------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.sampled_from(FAMILIES),
    rates_of_all_sizes,
    st.integers(4, 300),
    st.integers(0, 100),
)
def test_every_family_is_pure(family, initial, left, warm_up_updates):
    updates = left + warm_up_updates
    assert_pure(schedules.make_schedule(family, initial, updates, warm_up_updates))


def test_the_purity_check_rejects_a_schedule_with_a_memory():
    with pytest.raises(AssertionError):
        assert_pure(Impostor())


@settings(deadline=None)
@given(st.sampled_from(FAMILIES), rates_of_all_sizes, st.integers(4, 300))
def test_a_family_is_a_shape_that_the_initial_rate_scales(family, initial, updates):
    t = np.arange(updates + 10)
    scaled = initial * schedules.make_schedule(family, 1.0, updates)(t)
    rates = schedules.make_schedule(family, initial, updates)(t)
    np.testing.assert_allclose(rates, scaled, rtol=1e-9, atol=1e-12 * initial)
    assert np.all((rates >= 0) & (rates <= initial * (1 + 1e-12)))


@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_give_numbers_and_arrays_give_arrays_of_their_shape(family):
    schedule = schedules.make_schedule(family, 0.1, 100, 10)
    assert isinstance(schedule(7), float)
    assert isinstance(schedule(np.int64(7)), float)
    assert schedule([7]).shape == (1,)
    assert schedule(np.arange(6).reshape(2, 3)).shape == (2, 3)
    t = np.arange(6)
    schedule(t)
    np.testing.assert_array_equal(t, np.arange(6))


def test_importing_the_schedules_and_the_engine_imports_no_keras():
    code = (
        "import sys, utils.schedules, utils.noisy_quadratic, utils.numpy_optimizers; "
        "print(sorted({'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# --- what each schedule computes ------------------------------------------------------------


def test_inverse_time_is_the_decay_of_old_keras_per_update_and_per_epoch():
    per_update = schedules.inverse_time(0.2, 0.01)
    expected = [0.198020, 0.196078, 0.194175, 0.192308, 0.190476]
    np.testing.assert_allclose(per_update(np.arange(1, 6)), expected, atol=5e-7)
    # Iris in batches of 32: 4 updates per epoch
    expected = [0.1923, 0.1852, 0.1786, 0.1724, 0.1667]
    np.testing.assert_allclose(per_update(4 * np.arange(1, 6)), expected, atol=5e-5)
    per_epoch = schedules.inverse_time(0.2, 0.01, decay_steps=4, staircase=True)
    assert per_epoch(3) == 0.2
    assert per_epoch([4, 7]) == pytest.approx([0.2 / 1.01] * 2, rel=1e-15)
    assert per_update(100) == pytest.approx(0.1, rel=1e-15)  # its half-life is 1/decay_rate


def test_compounding_reproduces_the_published_table_and_stops_training():
    exact = schedules.compounding(0.2, 0.01)
    expected = [0.198020, 0.194137, 0.188483, 0.181233, 0.172603]
    np.testing.assert_allclose(exact([1, 2, 3, 4, 5]), expected, atol=5e-7)
    cut = schedules.compounding(0.2, 0.01, decimals=3)
    np.testing.assert_allclose(cut([1, 2, 3, 4, 5]), [0.198, 0.194, 0.188, 0.180, 0.171])
    assert exact(100) == pytest.approx(2.367e-18, rel=1e-3)
    assert exact(np.arange(1, 1000)).sum() == pytest.approx(2.3754, abs=5e-5)
    assert exact(np.arange(1000)).sum() == pytest.approx(2.5754, abs=5e-5)  # from η(0) on
    printed_elsewhere = [0.0999000999, 0.0997006985, 0.09940249103, 0.09900646517]
    another = schedules.compounding(0.1, 0.001)
    np.testing.assert_allclose(another([1, 2, 3, 4]), printed_elsewhere, rtol=1e-9)


def test_cosine_has_its_textbook_values_and_half_the_area():
    cosine = schedules.cosine(0.1, 100)
    expected = [0.1, 0.0853553391, 0.05, 0.0146446609, 0.0, 0.0]
    np.testing.assert_allclose(cosine([0, 25, 50, 75, 100, 150]), expected, atol=1e-10)
    assert cosine(np.arange(100)).sum() == pytest.approx(0.1 * 101 / 2, rel=1e-12)
    assert schedules.cosine(0.1, 100, end_fraction=0.1)(100) == pytest.approx(0.01)


def test_linear_to_zero_has_the_area_of_cosine():
    linear = schedules.linear_to_zero(0.1, 100)
    np.testing.assert_allclose(linear([0, 25, 100, 101]), [0.1, 0.075, 0, 0], atol=1e-17)
    assert linear(np.arange(100)).sum() == pytest.approx(0.1 * 101 / 2, rel=1e-12)


def test_polynomial_ends_where_it_is_told():
    schedule = schedules.polynomial(1.0, 10, end=0.2, power=2.0)
    np.testing.assert_allclose(schedule([0, 5, 10, 99]), [1, 0.4, 0.2, 0.2], rtol=1e-14)


def test_at_a_boundary_the_rate_before_it_still_holds():
    schedule = schedules.piecewise([10, 20], [0.1, 0.01, 0.001])
    assert schedule([0, 10, 11, 20, 21]).tolist() == [0.1, 0.1, 0.01, 0.01, 0.001]


def test_restarts_return_to_the_initial_rate():
    schedule = schedules.cosine_restarts(0.1, 25)
    np.testing.assert_array_equal(schedule([0, 25, 50, 1000]), 0.1)
    np.testing.assert_allclose(schedule([24, 49]), schedules.cosine(0.1, 25)(24), rtol=1e-12)


def test_growing_restarts_double_their_periods():
    schedule = schedules.cosine_restarts(0.1, 10, growth=2)
    np.testing.assert_array_equal(schedule([0, 10, 30, 70, 150]), 0.1)
    np.testing.assert_allclose(schedule([5, 20, 50, 110]), 0.05, rtol=1e-12)
    np.testing.assert_allclose(schedule([29, 69]), schedules.cosine(0.1, 40)([38, 39]), rtol=1e-12)
    assert schedules.cosine_restarts(0.1, 1)(10**9) == 0.1  # at once, whatever t is


def test_triangular_climbs_and_falls_in_straight_lines():
    schedule = schedules.triangular(0.1, 0.5, 8)
    np.testing.assert_allclose(
        schedule(np.arange(9)), [0.1, 0.2, 0.3, 0.4, 0.5, 0.4, 0.3, 0.2, 0.1]
    )
    np.testing.assert_array_equal(schedule(np.arange(8, 16)), schedule(np.arange(8)))
    np.testing.assert_allclose(schedules.triangular(0, 1, 5)([1, 2, 3, 4]), [0.4, 0.8, 0.8, 0.4])


def test_stable_then_decay_keeps_its_rate_until_the_cooldown():
    schedule = schedules.stable_then_decay(0.1, 100, cooldown=0.2)
    np.testing.assert_allclose(schedule([0, 80, 90, 100, 200]), [0.1, 0.1, 0.05, 0, 0], atol=1e-16)
    area = schedules.stable_then_decay(1.0, 1000)(T).sum() / 1000
    assert area == pytest.approx(0.9005, rel=1e-12)


def test_one_cycle_rises_to_its_peak_once_and_ends_at_zero():
    rates = schedules.one_cycle(1.0, 100)(np.arange(101))
    assert rates[0] == pytest.approx(0.04)
    assert np.flatnonzero(rates == 1.0).tolist() == [25]
    assert np.all(np.diff(rates[:26]) > 0)
    assert np.all(np.diff(rates[25:]) < 0)
    assert rates[100] == pytest.approx(0, abs=1e-16)


@settings(deadline=None)
@given(st.sampled_from(FAMILIES), rates_of_all_sizes, st.integers(1, 100))
def test_warm_up_joins_without_a_jump_and_then_follows_the_schedule(family, initial, length):
    schedule = schedules.make_schedule(family, initial, 60)
    warm = schedules.warm_up(schedule, length)
    assert warm(0) == 0
    np.testing.assert_allclose(np.diff(warm(np.arange(length + 1))), schedule(0) / length)
    later = np.arange(60)
    np.testing.assert_array_equal(warm(length + later), schedule(later))


def test_no_warm_up_returns_the_schedule_itself():
    schedule = schedules.constant(0.1)
    assert schedules.warm_up(schedule, 0) is schedule


def test_make_schedule_counts_the_warm_up_as_part_of_the_training():
    rates = schedules.make_schedule("linear to zero", 1.0, 100, 20)(np.arange(101))
    assert np.argmax(rates) == 20
    assert rates[20] == 1.0
    assert rates[99] == pytest.approx(1 / 80)
    assert rates[100] == 0


# --- the same in optax and PyTorch, by the formulas of their documentation --------------------


def torch_cyclic(t, base, top, up, down):
    """Return the rate of torch's CyclicLR, mode "triangular"."""
    place = t / (up + down) % 1
    share = up / (up + down)
    return base + (top - base) * (place / share if place <= share else (1 - place) / (1 - share))


def torch_warm_restarts(t, top, period, growth):
    """Return the rate of torch's CosineAnnealingWarmRestarts(T_0=period, T_mult=growth)."""
    while t >= period:
        t, period = t - period, period * growth
    return top * (1 + np.cos(np.pi * t / period)) / 2


def optax_onecycle(t, length, peak, pct_start=0.3, div_factor=25.0, final_div_factor=1e4):
    """Return the rate of optax's cosine_onecycle_schedule; torch's OneCycleLR is the same."""
    top, low, end = int(pct_start * length), peak / div_factor, peak / div_factor / final_div_factor
    first, last, share = (
        (low, peak, t / top) if t < top else (peak, end, (t - top) / (length - top))
    )
    return last + (first - last) * (np.cos(np.pi * share) + 1) / 2


def optax_piecewise(t, initial, factors):
    """Return the rate of optax's piecewise_constant_schedule; torch's MultiStepLR is the same."""
    return initial * np.prod([factor for boundary, factor in factors.items() if t >= boundary])


def test_triangular_is_torchs_cyclic_rate():
    schedule = schedules.triangular(0.1, 0.6, 14)
    theirs = [torch_cyclic(t, 0.1, 0.6, 7, 7) for t in range(60)]
    np.testing.assert_allclose(schedule(np.arange(60)), theirs, rtol=1e-12)


@pytest.mark.parametrize("growth", [1, 2, 3])
def test_restarts_are_torchs(growth):
    schedule = schedules.cosine_restarts(0.3, 9, growth)
    theirs = [torch_warm_restarts(t, 0.3, 9, growth) for t in range(200)]
    np.testing.assert_allclose(schedule(np.arange(200)), theirs, atol=1e-15)


def test_piecewise_drops_one_update_after_optax_and_torch():
    schedule = schedules.piecewise([9, 19], [1.0, 0.1, 0.01])
    theirs = [optax_piecewise(t, 1.0, {10: 0.1, 20: 0.1}) for t in range(30)]
    np.testing.assert_allclose(schedule(np.arange(30)), theirs, rtol=1e-12)


def test_one_cycle_differs_from_optax_in_its_rise_and_its_last_rate_only():
    mine = schedules.one_cycle(1.0, 1000, rise=0.3)(T)
    theirs = np.array([optax_onecycle(t, 1000, 1.0) for t in T])
    assert np.abs(mine - theirs)[300:].max() < 1 / 249_999
    assert 0.05 < np.abs(mine - theirs)[:300].max() < 0.15


def test_cosine_stays_at_its_end_where_torchs_annealing_rises_again():
    def torch_annealing(t):
        return (1 + np.cos(np.pi * t / 100)) / 2

    ours = schedules.cosine(1.0, 100)
    np.testing.assert_allclose(ours(np.arange(101)), torch_annealing(np.arange(101)), atol=1e-15)
    assert ours(200) == 0
    assert torch_annealing(200) == 1


def test_the_length_of_optaxs_warm_up_counts_as_in_make_schedule():
    def optax_warm_up(t, warm, decay_steps):  # warmup_cosine_decay_schedule, from 0 to 1 to 0
        if t < warm:
            return t / warm
        return (1 + np.cos(np.pi * min((t - warm) / (decay_steps - warm), 1))) / 2

    mine = schedules.make_schedule("cosine", 1.0, 100, warm_up_updates=20)(np.arange(120))
    np.testing.assert_allclose(mine, [optax_warm_up(t, 20, 100) for t in range(120)], atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedules.constant(0), "initial must be a positive number, got 0"),
        (lambda: schedules.constant("fast"), "initial must be a positive number, got 'fast'"),
        (lambda: schedules.inverse_time(0.1, -1), "decay_rate must be a positive number, got -1"),
        (
            lambda: schedules.inverse_time(0.1, 0.1, decay_steps=0.5),
            "decay_steps must be a whole number of at least 1, got 0.5",
        ),
        (
            lambda: schedules.exponential(0.1, 0.9, decay_steps=0),
            "decay_steps must be a whole number of at least 1, got 0",
        ),
        (lambda: schedules.cosine(0.1, 0), "updates must be a whole number of at least 1, got 0"),
        (
            lambda: schedules.cosine(0.1, 9, end_fraction=-1),
            "end_fraction must not be negative, got -1",
        ),
        (
            lambda: schedules.polynomial(0.1, 9, end=float("nan")),
            "end must be a finite number, got nan",
        ),
        (
            lambda: schedules.polynomial(0.1, 9, power=0),
            "power must be a positive number, got 0",
        ),
        (lambda: schedules.piecewise([2, 1], [1, 2, 3]), "boundaries must increase"),
        (lambda: schedules.piecewise([1, 2], [1, 2]), "rates must hold one number more"),
        (lambda: schedules.piecewise([1], [1, -2]), "rates must not be negative, got -2"),
        (
            lambda: schedules.stable_then_decay(0.1, 9, cooldown=1),
            "cooldown must be a number between 0 and 1, got 1",
        ),
        (
            lambda: schedules.one_cycle(0.1, 1),
            "updates must be a whole number of at least 2, got 1",
        ),
        (
            lambda: schedules.cosine_restarts(0.1, 9, growth=0.5),
            "growth must be a whole number of at least 1, got 0.5",
        ),
        (lambda: schedules.triangular(0.1, 0.1, 9), "high − low must be a positive number, got 0"),
        (
            lambda: schedules.triangular(0.1, 0.2, 1),
            "period must be a whole number of at least 2, got 1",
        ),
        (lambda: schedules.warm_up(0.1, 5), "schedule must be a function of the update, got 0.1"),
        (
            lambda: schedules.warm_up(schedules.constant(0.1), 1.5),
            "updates must be a whole number of at least 0, got 1.5",
        ),
        (
            lambda: schedules.compounding(0.1, 0.1, decimals=-1),
            "decimals must be a whole number of at least 0, got -1",
        ),
        (lambda: schedules.make_schedule("cosin", 0.1, 9), "family must be one of"),
        (
            lambda: schedules.make_schedule("cosine", 0.1, 12, 9),
            "updates must leave at least 4 after a warm-up of 9, got 12",
        ),
        (lambda: schedules.constant(0.1)(-1), "t must not be negative, got -1"),
        (lambda: schedules.constant(0.1)("now"), "t must be an array of numbers, got 'now'"),
        (
            lambda: noisy_quadratic.expected_loss(0.1),
            "rates must hold one rate for each update, got the number 0.1",
        ),
        (
            lambda: noisy_quadratic.expected_loss(schedules.constant(0.1)),
            "rates must be an array of numbers, got <function",
        ),
        (lambda: noisy_quadratic.expected_loss([-0.1]), "rates must not be negative, got -0.1"),
        (
            lambda: noisy_quadratic.expected_loss([0.1], curvatures=[1, 0]),
            "curvatures must be positive, got 0",
        ),
        (
            lambda: noisy_quadratic.expected_loss([0.1], noise=-1),
            "noise must not be negative, got -1",
        ),
        (
            lambda: noisy_quadratic.expected_loss([0.1], start=[1, 2]),
            "start must be one number or one for each of the 3 curvatures, got shape (2,)",
        ),
        (
            lambda: noisy_quadratic.best_initial_rate("cosine", 3),
            "updates must be a whole number of at least 4, got 3",
        ),
        (
            lambda: noisy_quadratic.best_initial_rate("cosine", 9, curvatures=[1, -1]),
            "curvatures must be positive, got -1",
        ),
        (
            lambda: keras_schedules.keras_schedule("compounding (a mistake)", 0.1, 9),
            "family must be one of",
        ),
        (
            lambda: keras_schedules.keras_schedule("cosine", 0, 9),
            "initial must be a positive number, got 0",
        ),
        (
            lambda: keras_schedules.keras_schedule("cosine", 0.1, 9, 1.5),
            "warm_up_updates must be a whole number of at least 0, got 1.5",
        ),
        (
            lambda: keras_schedules.WarmUp(0.1, 5),
            "schedule must be a Keras schedule, got 0.1",
        ),
        (
            lambda: keras_schedules.StableThenDecay(0.1, 9, cooldown=2),
            "cooldown must be a number between 0 and 1, got 2",
        ),
    ],
)
def test_bad_input_is_named_with_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert message in str(error.value)


# --- the same in Keras ------------------------------------------------------------------------


def test_every_family_but_two_has_a_keras_form():
    missing = set(schedules.FAMILIES) - set(keras_schedules.KERAS_FAMILIES)
    assert missing == {"compounding (a mistake)", "triangular"}
    assert set(keras_schedules.KERAS_FAMILIES) < set(schedules.FAMILIES)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(keras_schedules.KERAS_FAMILIES)),
    st.floats(1e-4, 10),
    st.integers(4, 2000),
    st.integers(0, 500),
    st.lists(st.floats(0, 1.2), min_size=5, max_size=5),
)
def test_keras_computes_the_same_rates(family, initial, left, warm_up_updates, shares):
    updates = left + warm_up_updates
    schedule = schedules.make_schedule(family, initial, updates, warm_up_updates)
    in_keras = keras_schedules.keras_schedule(family, initial, updates, warm_up_updates)
    for t in {0, 1, warm_up_updates, updates, *(int(share * updates) for share in shares)}:
        assert float(in_keras(t)) == pytest.approx(schedule(t), abs=1e-6 * initial)


@pytest.mark.parametrize(
    ("schedule", "in_keras"),
    [
        (schedules.inverse_time(0.2, 0.01), K.InverseTimeDecay(0.2, 1, 0.01)),
        (
            schedules.inverse_time(0.2, 0.5, 7, staircase=True),
            K.InverseTimeDecay(0.2, 7, 0.5, staircase=True),
        ),
        (
            schedules.exponential(0.2, 0.5, 7, staircase=True),
            K.ExponentialDecay(0.2, 7, 0.5, staircase=True),
        ),
        (schedules.exponential(0.2, 1.01), K.ExponentialDecay(0.2, 1, 1.01)),
        (
            schedules.piecewise([10, 20, 30], [0.3, 0.1, 0.2, 0.05]),
            K.PiecewiseConstantDecay([10, 20, 30], [0.3, 0.1, 0.2, 0.05]),
        ),
        (
            schedules.polynomial(0.2, 30, end=0.01, power=0.5),
            K.PolynomialDecay(0.2, 30, 0.01, power=0.5),
        ),
        (schedules.cosine(0.2, 30, end_fraction=0.1), K.CosineDecay(0.2, 30, alpha=0.1)),
        (schedules.cosine_restarts(0.2, 7, 2), K.CosineDecayRestarts(0.2, 7, t_mul=2.0)),
        (
            schedules.warm_up(schedules.cosine(0.2, 30), 10),
            K.CosineDecay(0.0, 30, warmup_target=0.2, warmup_steps=10),
        ),
        (
            schedules.warm_up(schedules.exponential(0.2, 0.9), 10),
            keras_schedules.WarmUp(K.ExponentialDecay(0.2, 1, 0.9), 10),
        ),
        (
            schedules.stable_then_decay(0.2, 30, cooldown=0.35),
            keras_schedules.StableThenDecay(0.2, 30, cooldown=0.35),
        ),
    ],
)
def test_each_option_means_what_it_means_in_keras(schedule, in_keras):
    t = np.arange(50)
    np.testing.assert_allclose([float(in_keras(k)) for k in t], schedule(t), rtol=0, atol=1e-6)


def model_with(learning_rate):
    """Return one weight w, starting at 0, with the gradient −1 for ever: w sums the rates."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    model.compile(keras.optimizers.SGD(learning_rate), loss=lambda y, p: -p)
    return model


def train(model, epochs):
    model.fit(np.ones((8, 1)), np.ones((8, 1)), batch_size=2, epochs=epochs, verbose=0)
    return model.get_weights()[0].item()


@pytest.mark.parametrize("family", ["stable then decay", "linear to zero", "one cycle"])
def test_inside_fit_each_update_uses_its_rate(family):
    """4 updates per epoch, 5 epochs, compiled into a graph by Keras."""
    model = model_with(keras_schedules.keras_schedule(family, 0.5, 20, 6))
    rates = schedules.make_schedule(family, 0.5, 20, 6)(np.arange(20))
    assert train(model, 2) == pytest.approx(rates[:8].sum(), rel=1e-5)
    assert train(model, 3) == pytest.approx(rates.sum(), rel=1e-5)


@pytest.mark.parametrize(
    "schedule",
    [
        keras_schedules.StableThenDecay(0.5, 20, cooldown=0.3),
        keras_schedules.WarmUp(K.CosineDecay(0.5, 14), 6),
        keras_schedules.WarmUp(keras_schedules.StableThenDecay(0.5, 14), 6),
    ],
    ids=["stable then decay", "warm-up", "warm-up, stable, decay"],
)
def test_schedules_survive_saving_and_loading_in_mid_training(schedule, tmp_path):
    """The loaded model has the schedule, and goes on where the saved one stopped."""
    again = K.deserialize(K.serialize(schedule))
    assert [float(again(t)) for t in range(25)] == [float(schedule(t)) for t in range(25)]
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(schedule), loss="mse")
    train(model, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert int(loaded.optimizer.iterations) == 8
    assert float(loaded.optimizer.learning_rate) == pytest.approx(float(schedule(8)))
    assert train(loaded, 1) == pytest.approx(train(model, 1), rel=1e-6)


# --- the loss that a schedule leads to ----------------------------------------------------------


@settings(deadline=None)
@given(
    st.floats(1e-3, 1.9),
    st.sampled_from([0.01, 1.0, 30.0]),
    st.floats(0, 3),
    st.floats(-5, 5),
)
def test_the_engine_agrees_with_the_closed_form_at_a_constant_rate(share, curvature, noise, start):
    rate = share / curvature
    exact = constant_rate_loss(np.arange(301), rate, curvature, noise, start)
    engine = noisy_quadratic.expected_loss(np.full(300, rate), [curvature], noise, start)
    np.testing.assert_allclose(engine, exact, rtol=1e-12, atol=1e-300)


@settings(deadline=None)
@given(st.floats(1e-3, 1.99), st.floats(1e-3, 1e3), st.floats(1e-3, 10))
def test_the_noise_floor_is_the_fixed_point_of_the_engine(share, curvature, noise):
    rate = share / curvature
    floor = noisy_quadratic.noise_floor(rate, curvature, noise)
    start = np.sqrt(2 * floor / curvature)
    engine = noisy_quadratic.expected_loss(np.full(50, rate), [curvature], noise, start)
    np.testing.assert_allclose(engine, floor, rtol=1e-12)


def test_the_noise_floor_has_its_known_values_and_ends_at_the_stability_limit():
    floors = [noisy_quadratic.noise_floor(rate, 1, 1) for rate in (0.5, 0.1, 0.01)]
    assert floors == pytest.approx([1 / 6, 1 / 38, 1 / 398], rel=1e-12)
    assert noisy_quadratic.noise_floor(0.5, 1, 0) == 0
    assert noisy_quadratic.noise_floor(2.0, 1, 1) == np.inf
    assert noisy_quadratic.noise_floor(2.1, 1, 0) == np.inf
    at_the_limit = constant_rate_loss([0, 1, 10], 2.0, 1, 1, start=0)
    np.testing.assert_array_equal(at_the_limit, [0, 2, 20])  # grows by η²σ²/2 per update


def test_without_noise_the_engine_is_gradient_descent():
    from utils.descent import gradient_descent

    path = gradient_descent(lambda x: 0.5 * x, 3.0, 0.3, 40)
    engine = noisy_quadratic.expected_loss(np.full(40, 0.3), [0.5], noise=0, start=3.0)
    np.testing.assert_allclose(engine, 0.25 * path**2, rtol=1e-12)


def test_directions_and_trainings_are_independent_of_each_other():
    rates = np.stack([schedules.cosine(0.5, 80)(np.arange(80)), np.full(80, 0.1)])
    start = np.array([1.0, 2.0, -3.0])
    moments = noisy_quadratic.second_moments(rates, start=start)
    losses = noisy_quadratic.expected_loss(rates, start=start)
    assert moments.shape == (2, 81, 3)
    assert losses.shape == (2, 81)
    alone = sum(
        noisy_quadratic.expected_loss(rates[1], [curvature], start=x)
        for curvature, x in zip(noisy_quadratic.SPECTRUM, start)
    )
    np.testing.assert_allclose(losses[1], alone, rtol=1e-12)


def test_a_diverging_training_warns_of_nothing():
    with np.errstate(over="raise", invalid="raise"):
        losses = noisy_quadratic.expected_loss(np.full(2000, 3.0), [1.0])
        simulated = simulated_loss(np.full(2000, 3.0), [1.0], runs=10)
        closed = constant_rate_loss(2000, 3.0, 1.0, 0.1)
    assert not np.isfinite(losses[-1])
    assert not np.isfinite(simulated[-1])
    assert not np.isfinite(closed)


def test_20000_simulated_runs_agree_with_the_engine_within_3_percent():
    for rate in (0.5, 0.1):
        floor = noisy_quadratic.noise_floor(rate, 1, 1)
        simulated = simulated_loss(np.full(100, rate), [1.0], noise=1, start=0)
        assert simulated[60:].mean() == pytest.approx(floor, rel=0.03)
    rates = schedules.make_schedule("cosine", 0.8, 150, 30)(np.arange(150))
    exact = noisy_quadratic.expected_loss(rates, noise=0.5)
    simulated = simulated_loss(rates, noise=0.5)
    np.testing.assert_allclose(simulated, exact, rtol=0.03)
    np.testing.assert_array_equal(simulated, simulated_loss(rates, noise=0.5))


# The tournament of lesson 4: 1000 updates on curvatures 1, 0.1, 0.01 with noise 0.1 from 1.
TOURNAMENT = {  # family: (loss with initial rate 1, best initial rate, loss with that)
    "constant": (0.010144, 0.1251, 0.0013446),
    "compounding (a mistake)": (0.009201, 1.9014, 0.0066876),
    "inverse time": (0.000934, 0.7221, 0.0008534),
    "1 % less per update": (0.001561, 1.9670, 0.0013744),
    "exponential to 1/100": (0.000740, 1.1181, 0.0007368),
    "steps of 1/10": (0.001743, 0.3132, 0.0010435),
    "cosine": (0.000992, 0.3948, 0.0007352),
    "cosine with 4 restarts": (0.001997, 0.3087, 0.0010826),
    "restarts, growing": (0.001367, 0.3445, 0.0008930),
    "triangular": (0.003239, 0.2304, 0.0011399),
    "linear to zero": (0.000995, 0.3954, 0.0006990),
    "quadratic to zero": (0.000808, 0.6244, 0.0007371),
    "stable then decay": (0.002160, 0.1898, 0.0008533),
    "one cycle": (0.001175, 0.3627, 0.0008194),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tournament_of_lesson_4(family):
    at_one, best_rate, best_loss = TOURNAMENT[family]
    loss = noisy_quadratic.expected_loss(schedules.make_schedule(family, 1.0, UPDATES)(T))[-1]
    assert loss == pytest.approx(at_one, abs=5e-7)
    rate, loss = noisy_quadratic.best_initial_rate(family, UPDATES)
    assert rate == pytest.approx(best_rate, rel=2e-3)
    assert loss == pytest.approx(best_loss, abs=1e-7)
    nearby = [
        noisy_quadratic.expected_loss(schedules.make_schedule(family, near, UPDATES)(T))[-1]
        for near in (rate * 0.98, rate, rate * 1.02)
    ]
    assert nearby[1] == loss == min(nearby)


def test_linear_to_zero_wins_the_tournament():
    losses = {family: loss for family, (_, _, loss) in TOURNAMENT.items()}
    assert min(losses, key=losses.get) == "linear to zero"


def test_more_updates_do_not_help_the_compounding_decay():
    ends = [
        noisy_quadratic.expected_loss(schedules.compounding(1.0, 0.01)(np.arange(updates)))[-1]
        for updates in (200, 1000, 4000)
    ]
    assert ends == pytest.approx([ends[0]] * 3, rel=1e-12)


@pytest.mark.parametrize("scale", [0.5, 2.0, 5.0])  # the last one overflows
def test_one_training_alone_gets_the_numbers_it_gets_among_many(scale):
    rates = np.stack([scale * schedules.cosine(1.0, 400)(T), scale * schedules.constant(1.0)(T)])
    together = noisy_quadratic.second_moments(rates)
    for alone, row in zip(rates, together):
        np.testing.assert_array_equal(noisy_quadratic.second_moments(alone), row)
