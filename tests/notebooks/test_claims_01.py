"""Sentences of lesson 1, each tried where it would fail.

A test is named after the lesson and after the sentence it holds. Where a sentence has a condition
("on a parabola", "without a bias"), the test also shows that it fails without: then the condition
must stay in the sentence.
"""

import math
import re
from fractions import Fraction

import keras
import nbformat
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from course import quiz
from tools import exercises, rules
from utils import data, descent, losses, numpy_optimizers, plotting


def scaled_targets(y):
    return (y - y.mean()) / y.std()


def fit(x, y, learning_rate, updates, start=0.0):
    """Return the mean squared error before each update of a linear model, and at the end."""
    w = np.full(x.shape[1], start)
    measured = []
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(updates + 1):
            measured.append(np.mean((x @ w - y) ** 2))
            w = w - learning_rate * 2 / len(x) * x.T @ (x @ w - y)
    return np.array(measured)


def limit(x):
    return 2 / np.linalg.eigvalsh(2 / len(x) * x.T @ x)[-1]


def with_bias(x):
    return np.column_stack([x, np.ones(len(x))])


# --- the parabola --------------------------------------------------------------------------------


def test_lesson_1_in_plain_gradient_descent_steep_ground_makes_big_steps():
    steps = {}
    for optimizer in (keras.optimizers.SGD, keras.optimizers.Adam):
        for slope in (0.1, 10.0):
            weight, rule = keras.Variable(np.zeros(1, dtype="float32")), optimizer(0.01)
            rule.apply([keras.ops.array([slope], dtype="float32")], [weight])
            steps[optimizer, slope] = abs(weight.numpy().item())
    plain = steps[keras.optimizers.SGD, 10.0] / steps[keras.optimizers.SGD, 0.1]
    assert plain == pytest.approx(100, rel=1e-5)
    other = steps[keras.optimizers.Adam, 10.0] / steps[keras.optimizers.Adam, 0.1]
    assert other == pytest.approx(1, rel=1e-3), "'plain' has to stay in the sentence"


def test_lesson_1_converges_exactly_below_the_limit_but_for_a_start_at_the_minimum():
    rng = np.random.default_rng(0)
    for curvature, start in zip(rng.lognormal(size=20), rng.normal(size=20), strict=True):
        slope = losses.parabola(curvature).gradient
        below, above = (
            descent.gradient_descent(slope, start, factor * 2 / curvature, 1000)[-1]
            for factor in (0.99, 1.01)
        )
        assert abs(below) < 1e-6 * abs(start)
        assert abs(above) > 1e6 * abs(start)
        assert descent.gradient_descent(slope, 0.0, 3 / curvature, 100)[-1] == 0


def test_lesson_1_every_step_overshoots_between_1_and_2_over_lambda_and_the_run_converges():
    for factor in (1.01, 1.5, 1.99):
        path = descent.gradient_descent(losses.parabola(2).gradient, 10.0, factor / 2, 1000)
        assert np.all(np.sign(path[1:20]) != np.sign(path[:19]))
        assert abs(path[-1]) < 0.001
    bounce = descent.gradient_descent(losses.parabola(2).gradient, 10.0, 1.0, 1000)
    assert set(abs(bounce)) == {10.0}, "not closer than before: harm enough, without 'more'"


def test_lesson_1_just_above_minus_1_a_run_is_as_slow_as_a_crawl():
    slow, crawl = (descent.updates_to_tolerance(rate, 1, 1.0, 0.1) for rate in (1.95, 0.05))
    assert slow == crawl > 20
    assert descent.regime(1.95, 1) == "overshoots and converges"
    assert descent.regime(0.05, 1) == "crawls"


def test_lesson_1_overshooting_converges_on_a_parabola_and_not_on_every_loss():
    def slope(x):  # of x⁴/4 + 0.005x², whose curvature at the minimum is 0.01
        return x**3 + 0.01 * x

    path = descent.gradient_descent(slope, 10.0, 1.0, 5)
    assert 1.0 < 2 / 0.01
    assert abs(path[-1]) > 1e50, "'on a parabola' has to stay in the verdict"


def test_lesson_1_a_crawl_is_a_multiplier_above_089():
    border = 0.1 ** (1 / 20)
    assert round(border, 2) == 0.89
    assert descent.regime(1 - border + 1e-6, 1) == "approaches"
    assert descent.regime(1 - border - 1e-6, 1) == "crawls"


def test_lesson_1_the_bare_formula_counts_down_above_the_limit():
    assert math.log(0.01 / 10) / math.log(1.2) == pytest.approx(-37.9, abs=0.05)
    assert descent.updates_to_tolerance(1.1, 2, 10.0, 0.01) == math.inf
    with pytest.raises(ZeroDivisionError):
        math.log(0.01 / 10) / math.log(1.0)


def test_lesson_1_paper_and_computer_count_alike_at_all_rates_but_055():
    differ = []
    for hundredths in set(range(1, 100)) - {50}:
        factor, distance, count = abs(1 - Fraction(hundredths, 50)), Fraction(10), 0
        while distance > Fraction(1, 100):
            distance, count = factor * distance, count + 1
        if descent.updates_to_tolerance(hundredths / 100, 2, 10.0, 0.01) != count:
            differ.append((hundredths, count))
    assert differ == [(55, 3)], "'other than 0.5 and 0.55' has to fit"


def test_lesson_1_a_run_that_has_diverged_comes_back_at_a_lower_rate():
    slope = losses.parabola(2).gradient
    lost = descent.gradient_descent(slope, 10.0, 1.1, 100)[-1]
    assert abs(lost) > 1e8
    lowered = descent.gradient_descent(slope, lost, 0.9, 200)[-1]
    assert abs(lowered) < 1e-3, "'unless you lower the rate' has to stay"


def test_lesson_1_the_challenges_have_the_answers_the_sliders_can_show():
    slider = 10 ** (-2 + np.arange(161) / 40)
    counts = {round(r, 3): descent.updates_to_tolerance(r, 2, 10.0, 0.1) for r in slider}
    assert counts[0.211] == counts[0.794] == 9
    quick = [r for r in slider if descent.updates_to_tolerance(r, 0.02, 10.0, 0.1) <= 3]
    assert min(quick) > 39.2
    assert max(quick) < 60.8
    assert descent.updates_to_tolerance(50, 0.02, 10.0, 0.1) == 1


def test_lesson_1_one_tolerance_explains_the_puzzles_three_counts():
    told = {0.1: 81, 1.0: 6, 1.6: 1}
    fits = [
        tolerance
        for tolerance in np.geomspace(1e-4, 0.5, 2000)
        if all(
            descent.updates_to_tolerance(rate, 1 / 1.6, 1, tolerance) == count
            for rate, count in told.items()
        )
    ]
    assert 0.0053 < min(fits) < 0.0055 < max(fits) < 0.0058
    assert descent.regime(4, 1 / 1.6) == "diverges"


def test_lesson_1_only_the_product_counts_for_plain_gradient_descent():
    def slope(x):
        return np.sin(x) + x  # no parabola: the rule holds for any loss

    path = descent.gradient_descent(slope, 10.0, 0.2, 10)
    for factor, same in ((100, False), (1, False), (0.1, False), (0.01, True), (0.001, False)):
        cents = descent.gradient_descent(lambda x: 100 * slope(x), 10.0, 0.2 * factor, 10)
        assert np.allclose(cents, path) == same
    one_dollar = descent.gradient_descent(slope, 10.0, 1.0, 10)
    cents = descent.gradient_descent(lambda x: 100 * slope(x), 10.0, 0.01, 10)
    np.testing.assert_allclose(cents, one_dollar)


def test_lesson_1_off_the_parabola_rate_and_curvature_do_not_act_through_their_product_alone():
    def slope(x, curvature):  # the curvature at the minimum; a fourth power is added
        return curvature * x + x**3

    ends = [
        descent.gradient_descent(lambda x, c=c: slope(x, c), 1.0, 0.1 / c, 20)[-1]
        for c in (1.0, 10.0)
    ]
    assert abs(ends[0] - ends[1]) > 0.1 * abs(ends[1]), "'on a parabola' has to stay"
    for c in (1.0, 10.0):
        end = descent.gradient_descent(losses.parabola(c).gradient, 1.0, 0.1 / c, 20)[-1]
        assert end == pytest.approx(0.9**20)


def test_lesson_1_the_promise_is_about_parabolas():
    x, y = data.load_dataset("iris", standardised=True)
    w, falling = np.zeros((4, 3)), []
    largest = np.linalg.eigvalsh(x.T @ x / len(x))[-1] / 3  # the softmax classifier's, at zero
    assert descent.regime(5.0, largest) == "diverges"
    for _ in range(100):
        scores = np.exp(x @ w)
        chances = scores / scores.sum(axis=1, keepdims=True)
        falling.append(-np.log(chances[np.arange(len(y)), y]).mean())
        w = w - 5.0 * x.T @ (chances - np.eye(3)[y]) / len(x)
    assert np.all(np.diff(falling) < 0)
    first = nbformat.read(rules.lessons()[0], as_version=4).cells[0].source
    assert "the curvature of a parabola and say" in first, "other losses keep no such promise"


def test_lesson_1_quiz_some_parabolas_diverge_at_001_and_some_do_not():
    assert descent.regime(0.01, 201) == "diverges"  # so 'whatever the parabola' is false,
    assert descent.regime(0.01, 199) != "diverges"  # and 'on a parabola' alone could be true
    for start in (10.0, -10.0):
        x = start + 0.1 * losses.parabola(2).gradient(start)  # η = −0.1
        assert abs(x) > abs(start)
        assert np.sign(x) == np.sign(start)


# --- real data -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [False, True])
def test_lesson_1_in_keras_50_trains_diabetes_without_a_bias_and_explodes_with_one(bias):
    x, y = data.load_dataset("diabetes")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(1, use_bias=bias)])
    model.compile(keras.optimizers.SGD(50.0), "mse")
    model.fit(x, scaled_targets(y), batch_size=len(x), epochs=10, verbose=0)
    loss = model.evaluate(x, scaled_targets(y), batch_size=len(x), verbose=0)
    assert (loss > 1e3) if bias else (loss < 0.6)


def test_lesson_1_the_gradient_formula_foretells_the_best_of_three_rates():
    x, y = data.load_dataset("diabetes")
    slopes = abs(2 / len(x) * x.T @ scaled_targets(y))
    assert slopes.max() <= 2 * np.sqrt(np.mean(x**2))  # "hardly more than twice an input"
    assert abs(scaled_targets(y)).mean() == pytest.approx(1, abs=0.2)
    assert 0.01 * slopes.max() * abs(x).max() < 0.001, "0.01 changes no prediction"
    change = 50 * x @ (2 / len(x) * x.T @ scaled_targets(y))
    assert 0.1 < abs(change).mean() < 1, "50 changes them, and not by too much"


def test_lesson_1_the_column_of_ones_has_the_curvature_2():
    x, y = data.load_dataset("diabetes")
    largest = 2 / limit(x)
    assert limit(with_bias(x)) == pytest.approx(1)
    assert 100 < 2 / largest < 120
    for rate, explodes in ((50, True), (1.01, True), (0.99, False)):
        losses_of_run = fit(with_bias(x), y / y.std(), rate, 300)
        assert (not losses_of_run[-1] < losses_of_run[0]) == explodes


def test_lesson_1_one_millionth_learns_wine_slowly_and_00001_explodes():
    x, y = data.load_dataset("wine")
    slow = fit(x, scaled_targets(y), 1e-6, 2000)
    best = np.mean((x @ np.linalg.lstsq(x, scaled_targets(y))[0] - scaled_targets(y)) ** 2)
    assert np.all(np.diff(slow) < 0)
    assert slow[-1] > 3 * best, "'well' would say too much"
    assert fit(x, scaled_targets(y), 1e-4, 10)[-1] > 1e30


def test_lesson_1_big_inputs_make_for_steep_slopes_and_strong_curvature():
    x, y = data.load_dataset("wine")
    small = 0.04 / abs(x[:, -1]).mean() * x
    assert fit(small, scaled_targets(y), 1.0, 300)[-1] < 1
    for factor in (10, 1000):
        slopes = [abs(it.T @ scaled_targets(y)).max() for it in (x, x / factor)]
        assert slopes[0] == pytest.approx(factor * slopes[1])
        assert limit(x / factor) == pytest.approx(factor**2 * limit(x))


def test_lesson_1_a_gradient_times_the_rate_need_not_be_small():
    x, y = data.load_dataset("wine")
    slope = abs(2 / len(x) * x.T @ -scaled_targets(y))[-1]
    best = abs(np.linalg.lstsq(x, scaled_targets(y))[0])[-1]
    assert 0.01 * slope == pytest.approx(3.98, abs=0.005)
    assert 0.01 * slope > 1000 * best


@pytest.mark.parametrize("bias", [False, True])
def test_lesson_1_the_limit_on_standardised_columns_is_between_1_over_d_and_1(bias):
    names = ("diabetes", "iris", "wine", "digits")
    rng, inputs = np.random.default_rng(0), [data.load_dataset(name)[0] for name in names]
    inputs += [load_breast_cancer().data, rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))]
    inputs += [np.repeat(rng.normal(size=(9, 1)), 5, axis=1), rng.exponential(size=(30, 1))]
    for raw in inputs:
        raw = raw[:, raw.std(axis=0) > 0]  # digits have constant pixels
        x = data.standardise(raw, raw)
        found = limit(with_bias(x) if bias else x)
        assert 1 / x.shape[1] - 1e-9 <= found <= 1 + 1e-9
        assert limit(x / 10) > found, "'standardised' has to stay in the sentence"


def test_lesson_1_with_three_outputs_the_limit_on_standardised_columns_is_above_1():
    x, y = data.load_dataset("iris", standardised=True)
    x, targets, ends = with_bias(x), np.eye(3)[y], {}
    assert 3 * limit(x) == pytest.approx(1.028, abs=0.0005)
    mse = keras.losses.MeanSquaredError()
    for rate in (1.01, 1.05):
        w = np.zeros((5, 3))
        for _ in range(1000):
            w = w - rate * 2 / targets.size * x.T @ (x @ w - targets)
        ends[rate] = float(mse(targets, x @ w))  # the mean over flowers and outputs
        assert ends[rate] == pytest.approx(np.mean((x @ w - targets) ** 2), rel=1e-5)
    assert ends[1.01] < 0.1, "'one output' has to stay in the theorem"
    assert ends[1.05] > 1e3


@pytest.mark.parametrize("repeated", [False, True])
def test_lesson_1_along_a_line_the_bowl_is_a_parabola_or_flat_if_columns_repeat(repeated):
    x, y = data.load_dataset("iris")
    x = np.column_stack([x, x[:, 0]]) if repeated else x
    line = np.zeros(x.shape[1])
    line[[0, -1]] = 1, -1
    here, there, beyond = (np.mean((x @ (t * line) - y) ** 2) for t in (0, 1, 2))
    assert (beyond - 2 * there + here > 1e-9) == (not repeated)


def test_lesson_1_for_adam_the_rate_comes_nearer_to_the_change():
    for slope in (0.1, 10.0):
        path = numpy_optimizers.follow(
            numpy_optimizers.adam(0.1), lambda x, s=slope: np.full_like(x, s), np.zeros(1), 1
        )
        assert abs(path[-1] - path[0]).item() == pytest.approx(0.1, rel=1e-3)


def test_lesson_1_even_adams_best_rate_can_lie_above_001():
    x, y = data.load_dataset("iris", standardised=True)
    x, targets, ends = with_bias(x), np.eye(3)[y], {}

    def probabilities(w):
        p = np.exp(x @ w.reshape(5, 3))
        return p / p.sum(axis=1, keepdims=True)

    def slope(w):
        return (x.T @ (probabilities(w) - targets)).ravel() / len(x)

    for rate in (0.0001, 0.001, 0.01, 0.1):
        path = numpy_optimizers.follow(numpy_optimizers.adam(rate), slope, np.zeros(15), 80)
        ends[rate] = -np.mean(np.log(probabilities(path[-1])[np.arange(len(y)), y]))
    assert min(ends, key=ends.get) == 0.1


# --- answers that must not be praised ------------------------------------------------------------


def compared(lesson, monkeypatch):
    """Run a lesson's cells and return what it passed to `quiz.compare`."""
    calls, scope = [], {"__name__": "__main__"}
    for module, name in ((quiz, "ask"), (plotting, "show")):
        monkeypatch.setattr(module, name, lambda *arguments, **options: None)
    with monkeypatch.context() as patch:
        patch.setattr(quiz, "compare", lambda *told, **options: calls.append((told, options)))
        for cell in rules.code_cells(nbformat.read(rules.lessons()[lesson - 1], as_version=4)):
            if "setup" not in cell.metadata.get("tags", []):
                exec(cell.source, scope)
    return calls


@pytest.mark.parametrize("lesson", [1, 2])
def test_lesson_1_and_2_nobody_in_a_trap_is_praised(lesson, monkeypatch, capsys):
    calls = compared(lesson, monkeypatch)
    traps = [(a, o, wrong) for a, o in calls for wrong in o.get("traps", {})]
    assert len(traps) >= 4
    for arguments, options, wrong in traps:
        quiz.predict(arguments[0], wrong)
        capsys.readouterr()
        quiz.compare(*arguments, **options)
        assert capsys.readouterr().out.strip().endswith(options["traps"][wrong])
    for arguments, options in calls:
        right = arguments[1][0] if isinstance(arguments[1], tuple) else arguments[1]
        quiz.predict(arguments[0], right)
        quiz.compare(*arguments, **options)
        assert capsys.readouterr().out.strip().endswith("Well predicted!")


VISIBLE = [  # wrong answers that the student's own checks, not only the hidden ones, must reject
    (1, "answer_2", "exact_comparison"),
    (1, "answer_4", "bare_formula"),
    (1, "answer_4", "half_the_edges"),
    (1, "answer_4", "always_arrives"),
    (1, "answer_4", "zero_for_one_step"),
    (1, "answer_4", "already_there"),
    (1, "answer_4", "strictly_below"),
    (1, "answer_4", "gives_up_late"),
    (1, "answer_4", "recursive"),
    (2, "answer_1", "fixed_names"),
    (2, "answer_1", "flattened"),
    (2, "answer_2", "builds_the_hessian"),
    (2, "answer_4", "hilltops"),
    (2, "answer_4", "size_of_the_curvature"),
]


@pytest.mark.parametrize(("lesson", "answer", "name"), VISIBLE)
def test_lesson_1_and_2_edges_that_the_text_names_are_in_the_visible_checks(lesson, answer, name):
    bench, mutant = exercises.Bench(lesson), exercises.mutants(lesson).MUTANTS[answer][name]
    hidden = re.compile(r"\n *### BEGIN HIDDEN TESTS\n.*?### END HIDDEN TESTS", re.DOTALL)
    seen = {cell: hidden.sub("", text) for cell, text in bench.tests(answer).items()}
    assert bench.verdict(answer, mutant.code, seen).rejects(mutant)
    assert bench.verdict(answer, bench.reference(answer), seen).accepted
