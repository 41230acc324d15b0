"""`learning_rates=None`: rates found on the way, within a budget, and said in words."""

import functools
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from plain import mostly_long

from lrsweep import _grid, choose_learning_rate, sweep_learning_rates
from lrsweep._grid import sweep_a_grid
from lrsweep._prepare import Prepared
from lrsweep._result import SweepResult

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 6)).astype("float32")
KINDS = (X[:, 0] + X[:, 1] + 0.3 * RNG.normal(size=160) > 0).astype("int32")
SUMS = (X @ RNG.normal(size=(6, 1)) + 0.1 * RNG.normal(size=(160, 1))).astype("float32")
OPTIMIZERS = keras.optimizers


def halves(y):
    return (X[:110], y[:110]), (X[110:], y[110:])


def builder(optimizer, loss="sparse_categorical_crossentropy", out=(2, "softmax"), **named):
    def build():
        hidden = keras.layers.Dense(12, "tanh")
        model = keras.Sequential([keras.Input((6,)), hidden, keras.layers.Dense(*out)])
        model.compile(optimizer(), loss, **named)
        return model

    return build


PROBLEMS = {
    "kinds, SGD": (builder(lambda: OPTIMIZERS.SGD(momentum=0.9)), halves(KINDS)),
    "kinds, Adam": (builder(OPTIMIZERS.Adam), halves(KINDS)),
    "sums, a schedule": (
        builder(lambda: OPTIMIZERS.RMSprop(OPTIMIZERS.schedules.CosineDecay(3.0, 40)), "mse", (1,)),
        halves(SUMS),
    ),
}


def sweep(problem, rates=None, **arguments):
    build, data = PROBLEMS[problem] if isinstance(problem, str) else problem
    arguments = {"epochs": 10, "seeds": 3, "progress": False} | arguments
    return sweep_learning_rates(build, rates, *data, **arguments)


@functools.cache
def of(problem):
    return sweep(problem)


@pytest.mark.parametrize("problem", mostly_long(PROBLEMS, "kinds, SGD"))
def test_the_best_rate_is_found_and_can_be_chosen(problem):
    result = of(problem)
    assert result.engine == "vectorized"
    assert (np.diff(result.learning_rates) > 0).all()
    assert result.diverged.shape == (len(result.learning_rates), 3)
    assert result.diverged.size <= 100
    choice = choose_learning_rate(result)
    everywhere = sweep(problem, np.geomspace(1e-5, 100, 36))
    losses = everywhere.metrics["val_loss"][:, :, -1].mean(axis=1)
    assert choice.mean <= 1.1 * np.nanmin(losses)


@pytest.mark.parametrize("problem", mostly_long(PROBLEMS, "kinds, SGD"))
def test_the_reason_says_what_was_done(problem):
    result = of(problem)
    count, rates = result.diverged.size, len(result.learning_rates)
    said = rf"the {count} copies do not .*\. The learning rates: a range test suggested \d.*, so .*"
    assert re.match(said + rf"came first; .*{rates} rates × 3 seeds in all$", result.reason)
    named = re.findall(r"\d[\d.e+-]*\d|\d", result.reason.split("so ", 1)[1])
    rounded = {float(f"{it:.3g}") for it in result.learning_rates}
    assert rounded <= set(map(float, named))


def test_each_rate_trains_as_in_a_sweep_of_its_own():
    result = of("kinds, SGD")
    again = sweep("kinds, SGD", result.learning_rates)
    for name in again.metrics:
        np.testing.assert_allclose(result.metrics[name], again.metrics[name], atol=1e-5)
    np.testing.assert_array_equal(result.last_epochs, again.last_epochs)


@pytest.mark.long
@pytest.mark.parametrize("engine", ["vectorized", "sequential"])
def test_both_engines_find_the_same(engine):
    build = builder(OPTIMIZERS.Adam, run_eagerly=engine == "sequential")
    result = sweep((build, halves(KINDS)), budget=6, seeds=1, epochs=2)
    assert result.engine == engine
    wanted = sweep((builder(OPTIMIZERS.Adam), halves(KINDS)), budget=6, seeds=1, epochs=2)
    np.testing.assert_array_equal(result.learning_rates, wanted.learning_rates)


@pytest.mark.long
def test_without_a_range_test_the_optimizer_s_own_rate_is_the_centre():
    parts = halves(SUMS)
    streams = tuple(tf.data.Dataset.from_tensor_slices(part).batch(32) for part in parts)
    build = builder(lambda: OPTIMIZERS.Adam(0.02), "mse", (1,))
    result = sweep((build, streams), budget=5, seeds=1, epochs=1)
    said = "a range test found nothing (it needs arrays) and the optimizer's own rate is 0.02, so"
    assert said in result.reason
    assert 0.01 in result.learning_rates or 0.0316 in result.learning_rates


def test_a_rate_of_zero_is_no_place_to_begin():
    stream = tf.data.Dataset.from_tensor_slices((X, SUMS)).batch(32)
    model = builder(lambda: OPTIMIZERS.SGD(0.0), "mse", (1,))
    with pytest.raises(ValueError, match=r"learning_rates must be given.*own rate, 0, is no place"):
        sweep_learning_rates(model, None, stream, stream, seeds=1, progress=False)


@pytest.mark.long
def test_keep_goes_on_with_a_grid(tmp_path, monkeypatch):
    arguments = {"budget": 9, "seeds": 1, "epochs": 3}
    fresh = sweep("kinds, Adam", **arguments)
    first = sweep("kinds, Adam", keep=tmp_path, **arguments)
    monkeypatch.setattr("lrsweep._copies.Copies.train", None)  # nothing is trained again
    again = sweep("kinds, Adam", keep=tmp_path, **arguments)
    for result in (first, again):
        assert result.reason == fresh.reason
        np.testing.assert_array_equal(result.metrics["loss"], fresh.metrics["loss"])
    for other in ({"epochs": 4}, {"seeds": 2}):
        with pytest.raises(ValueError, match="holds another experiment"):
            sweep("kinds, Adam", keep=tmp_path, **(arguments | other))
    with pytest.raises(ValueError, match=r"holds another experiment, .*learning_rates"):
        sweep("kinds, Adam", [0.1, 0.01], keep=tmp_path, epochs=3, seeds=1)


@pytest.mark.parametrize("budget", [0, 2, 2.5, "many", True])
def test_a_budget_is_a_number_of_trainings_and_enough_for_a_rate(budget):
    with pytest.raises(ValueError, match="budget must be a whole number of at least 3, got"):
        sweep("kinds, Adam", budget=budget)


# --- the search itself, on made-up losses -----------------------------------------------------


class Made:
    """Stands for a prepared model: a rate's loss is a function of it."""

    seeds = np.arange(2)

    def __init__(self, loss, stop_after=99):
        self.loss, self.rounds, self.stop_after = loss, [], stop_after
        self.probe = type("", (), {"model": builder(OPTIMIZERS.SGD)()})()

    keeper = Prepared.keeper

    def sweep(self, rates, keep, executor, progress):
        self.rounds.append([float(f"{rate:.3g}") for rate in rates])
        losses = np.array([[[self.loss(rate)] * 3] * 2 for rate in rates], float)
        return SweepResult(
            np.array(rates),
            self.seeds,
            {"loss": losses, "val_loss": losses},
            ~np.isfinite(losses[:, :, 0]),
            engine="vectorized",
            reason="so",
            interrupted=len(self.rounds) >= self.stop_after,
            last_epochs=np.full((len(rates), 2), 2),
        )


def search(monkeypatch, loss, budget=100, centre=0.1, **named):
    monkeypatch.setattr(_grid, "_centre", lambda prepared: (centre, "it was said"))
    made = Made(loss, **named)
    return made, sweep_a_grid(made, budget)


def valley(best):
    return lambda rate: abs(np.log10(rate / best))


def test_a_best_rate_in_the_middle(monkeypatch):
    made, result = search(monkeypatch, valley(0.12))
    assert made.rounds == [[0.01, 0.0316, 0.1, 0.316, 1.0], [0.0562, 0.178]]
    assert result.reason == (
        "the 14 copies do not influence each other. The learning rates: it was said, so 0.01, "
        "0.0316, 0.1, 0.316 and 1 came first; between 0.0316 and 0.316 came 0.0562 and 0.178; 7 "
        "rates × 2 seeds in all"
    )


@pytest.mark.parametrize(("best", "end"), [(1e-4, "smallest"), (100.0, "largest")])
def test_the_grid_reaches_on_while_the_best_is_at_its_end(best, end, monkeypatch):
    made, result = search(monkeypatch, valley(best))
    assert len(made.rounds) == 1 + 3 + 1
    assert result.reason.count(f"the best was the {end}, so") == 3
    place = np.argmin(result.metrics["val_loss"][:, 0, -1])
    assert result.learning_rates[place] == pytest.approx(best)
    assert 0 < place < len(result.learning_rates) - 1


def test_rates_that_diverge_send_it_down(monkeypatch):
    _, result = search(monkeypatch, lambda rate: np.nan if rate > 1e-3 else 1e-4 / rate)
    assert result.learning_rates[0] < 1e-3
    assert np.nanargmin(result.metrics["val_loss"][:, 0, -1]) > 0


@pytest.mark.parametrize("budget", [2, 3, 6, 10, 13, 14, 17])
def test_the_budget_is_kept(budget, monkeypatch):
    _, result = search(monkeypatch, valley(1e-6), budget=budget)
    assert len(result.learning_rates) == budget // 2
    assert result.reason.endswith(
        f"the best is still the smallest, but the budget of {budget} trainings is used up: give a "
        "larger one"
    )


def test_too_little_is_left_to_come_closer(monkeypatch):
    made, result = search(monkeypatch, valley(0.1), budget=13)
    assert len(made.rounds) == 1
    assert result.reason.endswith("came first; 5 rates × 2 seeds in all")


@pytest.mark.parametrize("sign", [1, -1])
def test_it_ends_where_no_rate_makes_sense(sign, monkeypatch):
    _, result = search(monkeypatch, lambda rate: sign * np.log(rate), budget=1000)
    assert result.learning_rates[0] >= 1e-10
    assert result.learning_rates[-1] <= 1e4
    end = "smallest" if sign == 1 else "largest"
    assert f"the best is still the {end}, and no rate beyond it is tried" in result.reason


@pytest.mark.parametrize("centre", [1e-30, 1e-10, 1e4, 1e30])
def test_a_centre_anywhere(centre, monkeypatch):
    _, result = search(monkeypatch, valley(0.1), centre=centre)
    assert 1e-10 <= result.learning_rates[0] < result.learning_rates[-1] <= 1e4


def test_ctrl_c_ends_it(monkeypatch):
    made, result = search(monkeypatch, valley(100.0), stop_after=2)
    assert len(made.rounds) == 2
    assert result.interrupted
    with pytest.raises(ValueError, match="interrupted"):
        choose_learning_rate(result)


@pytest.mark.parametrize(
    ("optimizer", "rates"),
    [
        (OPTIMIZERS.SGD, [0.01, 0.0316, 0.1, 0.316, 1.0]),
        (OPTIMIZERS.Adam, [0.00316, 0.01, 0.0316, 0.1, 0.316]),
        (lambda: OPTIMIZERS.LossScaleOptimizer(OPTIMIZERS.SGD()), [0.01, 0.0316, 0.1, 0.316, 1.0]),
    ],
)
def test_the_optimizer_s_kind_says_how_far_down_and_up(optimizer, rates, monkeypatch):
    monkeypatch.setattr(_grid, "_centre", lambda prepared: (0.1, "it was said"))
    made = Made(valley(0.1))
    made.probe.model = builder(optimizer)()
    sweep_a_grid(made, 10)
    assert made.rounds == [rates]
