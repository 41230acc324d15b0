"""Sentences of lesson 2, each tried where it would fail.

A test is named after the lesson and after the sentence it holds. Where a sentence has a condition
("of a linear model", "from any start but ..."), the test also shows that it fails without: then the
condition must stay in the sentence.
"""

import re

import keras
import nbformat
import numpy as np
import pytest
from conftest import ROOT

from course import quiz
from course.views import descent as views
from tools import rules
from utils import data, descent, losses, numpy_optimizers


def problem(name, standardised=False, bias=True):
    x, y = data.load_dataset(name, standardised)
    x = np.column_stack([x, np.ones(len(x))]) if bias else x
    return x, (y - y.mean()) / y.std()


def cells():
    """Return the sources of the lesson's code cells."""
    notebook = nbformat.read(rules.lessons()[1], as_version=4)
    return [cell.source for cell in rules.code_cells(notebook)]


def curvatures(x):
    return np.linalg.eigvalsh(2 / len(x) * x.T @ x)


def condition(x):
    largest, smallest = curvatures(x)[[-1, 0]]
    return largest / smallest


def curve(x, y, learning_rate, updates):
    """Return the mean squared error before each update of a linear model, and at the end."""
    path = descent.gradient_descent(
        lambda w: 2 / len(x) * x.T @ (x @ w - y), np.zeros(x.shape[1]), learning_rate, updates
    )
    return np.mean((path @ x.T - y) ** 2, axis=1)


def settled(function, starts, learning_rate, updates=3000):
    """Return where runs are at the end; nan for those that still move."""
    x = np.array(starts, dtype=float)
    for _ in range(updates):
        x = x - learning_rate * function.gradient(x)
    return np.where(abs(learning_rate * function.gradient(x)) < 1e-6, x, np.nan)


# --- many weights --------------------------------------------------------------------------------


def test_lesson_2_one_array_after_the_other_is_a_different_method():
    x, y = data.load_dataset("iris")
    kernel = 0.01 * 2 / len(x) * x.T @ y  # the first update of the lesson
    together, after = -2 * np.mean(-y), -2 * np.mean(x @ kernel - y)
    assert abs(together - after) > 0.5 * abs(together)


def test_lesson_2_hidden_units_that_start_alike_stay_alike_and_random_ones_learn():
    x, y = data.load_dataset("iris", standardised=True)
    spread = {}
    for start in ("zeros", "ones", "glorot_uniform", "out"):
        keras.utils.set_random_seed(0)
        going_in, going_out = ("ones", "glorot_uniform") if start == "out" else (start, start)
        hidden = keras.layers.Dense(5, "tanh", kernel_initializer=going_in)
        last = keras.layers.Dense(3, "softmax", kernel_initializer=going_out)
        model = keras.Sequential([keras.Input((4,)), hidden, last])
        model.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=150, epochs=5, verbose=0)
        spread[start] = np.ptp(hidden.get_weights()[0], axis=1).max()
    assert spread["zeros"] == 0
    assert spread["ones"] < 1e-6
    assert spread["glorot_uniform"] > 0.1
    assert spread["out"] > 0.01, "'in the weights going in and out' has to stay"


def test_lesson_2_keras_starts_wide_layers_closer_to_zero_and_biases_at_zero():
    for inputs, units in ((4, 3), (4, 400), (400, 4)):
        layer = keras.layers.Dense(units)
        layer.build((None, inputs))
        kernel, bias = layer.get_weights()
        bound = np.sqrt(6 / (inputs + units))
        assert 0.5 * bound < abs(kernel).max() <= bound
        assert not bias.any()


# --- the ravine ----------------------------------------------------------------------------------


def test_lesson_2_the_flat_weight_is_the_slower_one_exactly_below_the_best_rate():
    best = descent.fastest_learning_rate(4, 0.2)
    for rate in np.linspace(0.001, 0.499, 200):
        flat_is_slower = abs(1 - 0.2 * rate) > abs(1 - 4 * rate)
        assert flat_is_slower == (rate < best)
    assert round(best, 3) == 0.476


def test_lesson_2_no_rate_beats_the_best_compromise_whatever_lies_between():
    rng = np.random.default_rng(0)
    for _ in range(50):
        between = np.sort(rng.lognormal(sigma=2, size=6))
        rates = np.linspace(0, 2 / between[-1], 2001)[1:]
        slowest = abs(1 - np.outer(rates, between)).max(axis=1)
        best = descent.convergence_rate(between[-1], between[0])
        assert best <= slowest.min() <= best + 0.01
        kappa = between[-1] / between[0]
        ratio = descent.fastest_learning_rate(between[-1], between[0]) * between[-1] / 2
        assert ratio == pytest.approx(kappa / (kappa + 1))


@pytest.mark.parametrize(("largest", "smallest"), [(4, 0.2), (100, 1)])
def test_lesson_2_over_a_short_run_a_rate_below_the_best_can_be_ahead(largest, smallest):
    steepness, best = np.array([largest, smallest]), 2 / (largest + smallest)
    rates = np.arange(0.8, 1.0, 0.005) * 2 / largest
    distances = [
        np.linalg.norm(descent.gradient_descent(steepness.__mul__, np.ones(2), rate, 1000), axis=1)
        for rate in (*rates, best)
    ]
    tenths = [np.argmax(it <= it[0] / 10) or 1000 for it in distances]
    assert min(tenths) < tenths[-1] == np.ceil(np.log(0.1) / np.log(1 - best * smallest))
    assert rates[np.argmin(tenths)] < best
    ends = [it[1000] for it in distances]
    assert min(ends) > 0.5 * ends[-1], "in the long run η* is the fastest"


def test_lesson_2_a_line_of_equal_loss_is_root_kappa_times_as_long_as_wide():
    width, length = np.sqrt(1 / 2), np.sqrt(1 / 0.1)  # where 2x₁² and 0.1x₂² are 1
    assert losses.ravine_loss([width, 0]) == pytest.approx(losses.ravine_loss([0, length]))
    assert length / width == pytest.approx(np.sqrt(20))


def test_lesson_2_a_start_on_the_valley_floor_only_puts_the_explosion_off():
    start = 3 * np.array([np.cos(np.pi / 2), np.sin(np.pi / 2)])
    steep = abs(descent.gradient_descent(losses.ravine_gradient, start, 0.6, 400)[:, 0])
    assert steep[40] < 1e-5  # the bottom of the view
    assert np.argmax(steep > 3) == 111
    assert steep[-1] > 1e30
    assert "diverges" in views.ravine_numbers(0.6, 20, 90)["summary"]  # "the line below says"
    exact = descent.gradient_descent(losses.ravine_gradient, np.array([0.0, 3.0]), 0.6, 400)
    assert not exact[:, 0].any()  # at exactly 0 it would stay: it is the rounding error that grows


# --- the largest curvature -----------------------------------------------------------------------


def test_lesson_2_power_iteration_finds_what_is_largest_in_size():
    for matrix, found in (([1, 4], 4), ([-1, 4], 4), ([1, -3], 3)):
        got = descent.largest_curvature(np.diag(matrix).dot, 2)
        assert got == pytest.approx(found)


@pytest.mark.parametrize("outputs", [1, 3])
def test_lesson_2_the_hessian_of_keras_mse_is_2_over_n_for_one_output(outputs):
    x, _ = problem("iris")
    rng, mse = np.random.default_rng(0), keras.losses.MeanSquaredError()
    here, direction = rng.normal(size=(2, 5, outputs))
    target = rng.normal(size=(len(x), outputs))

    def loss(step):
        return float(mse(target, x @ (here + step * direction)))

    second = (loss(10.0) - 2 * loss(0.0) + loss(-10.0)) / 100
    hessian = 2 / len(x) * x.T @ x
    plain = np.sum(direction * (hessian @ direction))
    assert second == pytest.approx(plain / outputs, rel=1e-4), "'one output' has to stay"


# --- within one per cent -------------------------------------------------------------------------

FIVE = [("diabetes", False, False), ("iris", False, True), ("iris", True, True)]
FIVE += [("wine", False, True), ("wine", True, True)]


@pytest.mark.parametrize(("name", "standardised", "bias"), FIVE)
def test_lesson_2_the_explosion_is_the_steepest_directions_part_times_102_to_the_2000(
    name, standardised, bias
):
    x, y = problem(name, standardised, bias)
    steepness, directions = np.linalg.eigh(2 / len(x) * x.T @ x)
    best = np.linalg.lstsq(x, y)[0]
    parts = steepness / 2 * (directions.T @ best) ** 2
    assert parts.sum() + np.mean((x @ best - y) ** 2) == pytest.approx(1)
    above = curve(x, y, 1.01 * 2 / steepness[-1], 1000)[-1]
    assert above == pytest.approx(parts[-1] * 1.02**2000, rel=0.01)
    below = curve(x, y, 0.99 * 2 / steepness[-1], 1000)[-1]
    assert below < 1


def test_lesson_2_above_the_limit_a_run_may_come_nearer_before_it_goes_away():
    x, y = problem("iris")
    best, rate = np.linalg.lstsq(x, y)[0], 1.01 * 2 / curvatures(x)[-1]
    path = descent.gradient_descent(
        lambda w: 2 / len(x) * x.T @ (x @ w - y), np.zeros(x.shape[1]), rate, 1000
    )
    farther = np.diff(np.linalg.norm(path - best, axis=1)) > 0
    assert not np.any(farther[:100]), "'sooner or later' has to stay in the glossary's divergence"
    assert np.all(farther[110:])


def test_lesson_2_log10_of_the_explosion_is_15_7_and_the_nearest_power_of_ten_is_arguable():
    x, y = problem("iris")
    above = curve(x, y, 1.01 * 2 / curvatures(x)[-1], 1000)[-1]
    assert round(np.log10(above), 1) == 15.7
    assert above - 1e15 < 1e16 - above, "so don't ask for the nearest power of ten"


def test_lesson_2_who_takes_another_directions_part_is_not_praised(capsys):
    x, y = problem("iris")
    steepness, directions = np.linalg.eigh(2 / len(x) * x.T @ x)
    *others, steepest = steepness / 2 * (directions.T @ np.linalg.lstsq(x, y)[0]) ** 2
    (cell,) = (source for source in cells() if "log₁₀" in source and "traps" in source)
    tolerance = float(re.search(r"tolerance=([\d.]+)", cell)[1])
    for part, praised in ((steepest, True), (others[0], False), (others[3], False)):
        quiz.predict("log₁₀", round(np.log10(part * 1.02**2000), 1))
        capsys.readouterr()
        quiz.compare("log₁₀", 15.7, tolerance=tolerance)
        assert ("Well predicted!" in capsys.readouterr().out) == praised


def test_lesson_2_a_run_needs_some_distance_in_the_steepest_direction_to_explode():
    x, y = problem("diabetes")  # the steepest direction is the bias, and it starts at its best
    rate = 1.01 * 2 / curvatures(x)[-1]
    assert curve(x, y, rate, 1000)[-1] < 1
    assert curve(x, y + 0.1, rate, 1000)[-1] > 1e3


def test_lesson_2_the_promise_holds_for_linear_models_not_for_the_classifier():
    here, ends = limit_at(np.zeros((5, 3))), classify(5, 1000)[0]
    assert 2 * here < 5
    assert np.all(np.diff(ends) < 0)


# --- standardising -------------------------------------------------------------------------------


def test_lesson_2_dividing_all_columns_raises_the_limit_and_saves_nothing():
    x, y = problem("iris", bias=False)
    rate = 0.95 * 2 / curvatures(x)[-1]
    assert curvatures(x / 10)[-1] == pytest.approx(curvatures(x)[-1] / 100)
    np.testing.assert_allclose(curve(x / 10, y, 100 * rate, 200), curve(x, y, rate, 200))


def test_lesson_2_a_loss_without_a_part_in_the_flat_directions_falls_sooner_with_a_huge_kappa():
    first, other = np.linalg.qr(np.random.default_rng(0).normal(size=(200, 2)))[0].T * 200**0.5
    second = 0.99 * first + (1 - 0.99**2) ** 0.5 * other  # two columns with correlation 0.99
    alike = np.column_stack([first, second])
    raw = alike * [10, 0.1]
    assert condition(raw) > 1000 * condition(alike) > 100_000
    left = [curve(x, first, 0.95 * 2 / curvatures(x)[-1], 200)[-1] for x in (raw, alike)]
    assert left[0] < 1e-8 < 1e-5 < left[1], "κ is for the slowest direction"


def test_lesson_2_standardising_lowers_kappa_on_iris_and_wine_and_not_on_diabetes():
    for name, factor in (("iris", 50), ("wine", 1e6)):
        assert condition(problem(name)[0]) > factor * condition(problem(name, True)[0])
    raw, standardised = (problem("diabetes", kind, bias=False)[0] for kind in (False, True))
    assert condition(raw) == pytest.approx(condition(standardised))
    assert curvatures(standardised)[-1] > 400 * curvatures(raw)[-1], "the limit falls"
    np.testing.assert_allclose(raw.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(raw, axis=0), 1)
    raw, standardised = (problem("diabetes", kind)[0] for kind in (False, True))
    assert condition(raw) == pytest.approx(51_631, abs=0.5)
    assert condition(standardised) == pytest.approx(470, abs=0.5)
    limits = [2 / curvatures(x)[-1] for x in (raw, standardised)]
    assert limits == pytest.approx([1, 0.248], abs=5e-4), "it falls, and standardising helps"


# --- the classifier ------------------------------------------------------------------------------

X = np.column_stack([data.load_dataset("iris", standardised=True)[0], np.ones(150)])
Y = data.load_dataset("iris")[1]
GUARANTEE = 4 / np.linalg.eigvalsh(X.T @ X / 150)[-1]


def probabilities(w):
    scores = X @ w
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def hessian_at(w):
    p = probabilities(w)
    inner = np.einsum("ij,jk->ijk", p, np.eye(3)) - np.einsum("ij,ik->ijk", p, p)
    return np.einsum("ia,ijk,ib->ajbk", X, inner, X).reshape(15, 15) / 150


def limit_at(w):
    return 2 / np.linalg.eigvalsh(hessian_at(w))[-1]


def classify(rate, updates, start=None, batch=150):
    """Return the loss on all flowers before each update, and the weights at the end."""
    rng, measured = np.random.default_rng(0), []
    w = np.zeros((5, 3)) if start is None else start
    for _ in range(updates):
        p = probabilities(w)
        measured.append(-np.mean(np.log(p[np.arange(150), Y])))
        few = rng.choice(150, batch, replace=False)
        w = w - rate * X[few].T @ (p[few] - np.eye(3)[Y[few]]) / batch
    return np.array(measured), w


def test_lesson_2_the_curvature_never_exceeds_half_lambda_max():
    rng = np.random.default_rng(0)
    for scale in (0, 0.01, 0.1, 1, 10):
        for _ in range(20):
            assert limit_at(scale * rng.normal(size=(5, 3))) >= GUARANTEE


def test_lesson_2_below_the_guarantee_the_loss_falls_with_every_full_update():
    rng = np.random.default_rng(0)
    for _ in range(5):
        start = 3 * rng.normal(size=(5, 3))
        assert np.all(np.diff(classify(GUARANTEE, 300, start)[0]) < 0)
    few = classify(GUARANTEE, 300, batch=8)[0]
    assert np.any(np.diff(few) > 0), "'uses all the examples' has to stay in the sentence"


def test_lesson_2_the_same_answers_given_more_surely_have_a_flatter_loss():
    w = classify(10, 1000)[1]
    flatness = [limit_at(factor * w) for factor in (0, 0.25, 0.5, 1, 2, 4, 8)]
    assert np.all(np.diff(flatness) > 0)
    wrong = [limit_at(-factor * w) for factor in (0, 1, 2, 4)]  # sure, and wrong
    assert np.all(np.diff(wrong) > 0)


def test_lesson_2_30_can_settle_at_the_minimum_and_50_cannot():
    ends, w = classify(30, 5000)
    assert abs(X.T @ (probabilities(w) - np.eye(3)[Y])).max() / 150 < 1e-4
    assert 30 < limit_at(w) < 50
    rng = np.random.default_rng(1)
    away = classify(50, 3000, w + 1e-6 * rng.normal(size=w.shape))[0]
    assert np.sum(np.diff(away[-1000:]) > 0) > 100
    assert away[-1000:].max() > ends[-1] + 1e-3


def test_lesson_2_at_50_the_run_jumps_on_and_does_not_explode():
    jumps = classify(50, 5000)[0]
    last = jumps[-1000:]
    assert np.sum(np.diff(last) > 0) > 100
    assert last.max() > 1.01 * last.min(), "where it stops is a matter of luck"
    assert jumps.max() < 10 * jumps[0]
    assert 30 / GUARANTEE > 20, "'more than twenty times'"


def test_lesson_2_a_run_may_pass_through_where_2_over_l_is_below_its_rate():
    assert limit_at(np.zeros((5, 3))) < 30
    assert limit_at(classify(30, 1000)[1]) > 30


# --- local minima --------------------------------------------------------------------------------

CASES = {"A": (losses.waves(), 10.0), "B": (losses.wells(), -1.2)}


def test_lesson_2_case_a_has_deeper_minima_than_its_third_and_case_b_has_just_two():
    waves, wells = losses.waves(), losses.wells()
    grid = np.linspace(-60, 60, 200_001)
    assert waves.value(grid).min() < 3 * waves.value(-13.66), "not 'the deepest'"
    assert waves.value(-13.66) < waves.value(np.array(waves.minima[1:])).min()
    turns = np.diff(np.sign(wells.gradient(grid))) > 0
    np.testing.assert_allclose(grid[1:][turns], wells.minima, atol=1e-3)


def test_lesson_2_no_cell_takes_the_name_of_a_function_that_an_earlier_cell_calls():
    code = "\n".join(cells())
    for name in ("waves", "wells"):
        assert f"{name}()" in code
        assert not re.search(rf"^{name}\b[^(\n]*= ", code, re.M), "the earlier cell would stop"


def test_lesson_2_no_run_of_case_a_gets_to_the_third_minimum():
    x, rates = np.full(2000, 10.0), np.linspace(0.3, 2.3, 2000)
    for _ in range(2000):
        x = x - rates * losses.waves().gradient(x)
        assert x.min() > -8  # the hill before it


@pytest.mark.parametrize(("rate", "points"), [(1.0, 1), (1.2, 2), (1.45, 4)])
def test_lesson_2_the_dot_splits_into_two_then_four(rate, points):
    path = descent.gradient_descent(losses.waves().gradient, 10.0, rate, 20_000)
    assert len(set(path[-64:].round(6))) == points


def test_lesson_2_then_comes_a_fan_of_many():
    for function, start, rate in ((*CASES["A"], 1.7), (*CASES["B"], 0.14)):
        path = descent.gradient_descent(function.gradient, start, rate, 20_000)
        assert len(set(path[-200:].round(6))) > 100


def test_lesson_2_the_law_holds_at_every_minimum_of_both_cases():
    for function, _ in CASES.values():
        for minimum in function.minima:
            limit = 2 / function.curvature(minimum)
            for factor, stays in ((0.5, True), (0.995, True), (1.005, False), (1.5, False)):
                end = settled(function, [minimum + 1e-4], factor * limit, 6000)[0]
                assert (abs(end - minimum) < 1e-3) == stays


def test_lesson_2_with_many_weights_the_largest_curvature_decides():
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
        hessian = turn @ np.diag(rng.lognormal(size=4)) @ turn.T
        limit = 2 / np.linalg.eigvalsh(hessian)[-1]
        for factor, settles in ((0.95, True), (1.05, False)):
            start = rng.normal(size=4)
            end = descent.gradient_descent(hessian.dot, start, factor * limit, 1000)[-1]
            assert (np.linalg.norm(end) < np.linalg.norm(start)) == settles


def test_lesson_2_the_law_is_gradient_descents_and_not_momentums():
    rule = numpy_optimizers.momentum(3.0, 0.9)  # a parabola of curvature 1: the limit is 2
    path = numpy_optimizers.follow(rule, lambda x: x, 10.0, 300)
    assert abs(path[-1]) < 1e-3, "the law has to speak of gradient descent"


def test_lesson_2_on_a_too_sharp_minimum_a_run_stays_only_undisturbed():
    for disturbance, stays in ((0.0, True), (1e-15, False)):
        path = descent.gradient_descent(lambda x: x, disturbance, 2.5, 200)
        assert (abs(path[-1]) < 1e-3) == stays


def test_lesson_2_with_many_weights_a_path_leads_straight_into_a_too_sharp_minimum():
    for aside, arrives in ((0.0, True), (1e-15, False)):
        path = descent.gradient_descent(losses.ravine_gradient, np.array([aside, 3.0]), 0.6, 300)
        assert (np.linalg.norm(path[-1]) < 1e-3) == arrives


def test_lesson_2_a_small_rate_can_settle_in_any_minimum_of_a_smooth_loss_only():
    smooth, corner = (
        descent.gradient_descent(slope, 1.0, 0.003, 10_000)[-100:] for slope in (np.tanh, np.sign)
    )
    assert np.all(np.abs(smooth) < 1e-9)
    assert np.sum(np.diff(np.abs(corner)) > 0) > 40, "'on a smooth loss' has to stay"


@pytest.mark.parametrize("case", CASES)
def test_lesson_2_a_small_enough_rate_ends_in_the_valley_where_it_started(case):
    function, _ = CASES[case]
    grid = np.linspace(*function.domain, 40_001)
    hills = grid[1:][np.diff(np.sign(function.gradient(grid))) < 0]
    starts = np.linspace(-14, 10, 50) if case == "A" else np.linspace(-2.2, 4, 50)
    starts = starts[abs(starts[:, np.newaxis] - hills).min(axis=1) > 0.05]
    ends = settled(function, starts, 0.01, 30_000)
    np.testing.assert_array_equal(np.searchsorted(hills, ends), np.searchsorted(hills, starts))


def test_lesson_2_the_challenges_of_the_wells_have_their_answers():
    ends = {rate: views.wells_numbers(rate, -1.2) for rate in (0.14, 0.15, 1.2, 1.26, 2.0)}
    assert "still bouncing" in ends[0.14]["summary"]
    assert "settles in the flat minimum" in ends[0.15]["summary"]
    for rate in (0.15, 1.2):
        assert np.all(ends[rate]["basins"] == 1)
    for rate in (1.26, 2.0):
        assert np.all(ends[rate]["basins"] == 2)


# --- quiz ----------------------------------------------------------------------------------------


def test_lesson_2_quiz_the_steep_weight_takes_longer_at_049():
    path = abs(descent.gradient_descent(losses.ravine_gradient, np.array([3.0, 3.0]), 0.49, 300))
    steep, flat = (np.argmax(distances < 0.01) for distances in path.T)
    assert steep > 2 * flat


def test_lesson_2_quiz_from_the_best_rate_to_the_limit_the_steep_weight_gets_slower():
    rates = np.linspace(2 / 4.2, 0.5, 20)
    steep, flat = (abs(1 - rates * curvature) for curvature in (4, 0.2))
    assert steep[0] == pytest.approx(flat[0])
    assert np.all(np.diff(steep) > 0)
    assert np.all(steep[1:] > flat[1:])
    assert rates[0] > 0.95 * rates[-1], "the best rate is close to the limit, as the lesson says"
    questions = (ROOT / "notebooks/quiz/02_the_update_rule.json").read_text("utf-8")
    assert "not close to the limit" not in questions


def test_lesson_2_quiz_half_the_loss_has_twice_the_limit():
    x, y = problem("iris")
    limit = 2 / curvatures(x)[-1]

    def end(rate):
        path = descent.gradient_descent(
            lambda w: 1 / len(x) * x.T @ (x @ w - y), np.zeros(5), rate, 1000
        )
        return np.mean((x @ path[-1] - y) ** 2)

    assert end(1.98 * limit) < 1 < 1e3 < end(2.02 * limit)


def test_lesson_2_recall_keras_takes_any_float_as_a_rate():
    for rate in (50.0, -0.1):
        assert float(keras.optimizers.SGD(rate).learning_rate) == pytest.approx(rate)
    with pytest.raises(ValueError, match="learning_rate"):
        keras.optimizers.SGD(50)  # so the feedback must not say "any number"


def test_lesson_2_exercise_the_colleagues_story_happens_on_wine():
    ends = {}
    for standardised, rate in ((False, 1e-6), (False, 1e-5), (True, 0.1)):
        x, y = problem("wine", standardised)
        ends[standardised, rate] = curve(x, y, rate, 50)[-1]
    assert 0.8 < ends[False, 1e-6] < 1, "it crawls"
    assert ends[False, 1e-5] > 1e50, "it explodes"
    assert ends[True, 0.1] < 0.11, "it trains well"
