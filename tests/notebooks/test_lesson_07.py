"""The claims of lesson 7, with its own functions, over three random starts.

python -m pytest -m long -n 0 tests/notebooks/test_lesson_07.py
"""

from functools import cache

import nbformat
import numpy as np
import pytest
from claims import definitions
from conftest import ROOT
from scipy.sparse.linalg import LinearOperator, eigsh

from course.views import curvature as views
from lrsweep import CurvatureMeter
from tools import rules
from utils import numpy_optimizers

KEPT = {  # what the lesson's functions need besides each other
    "digits", "x", "y", "train_part", "validation_part", "logits_loss", "batches", "grids",
    "widths, width_rates", "crossentropy", "certain", "smooth",
}  # fmt: skip
SEEDS = (0, 1, 2)


@cache
def lesson():
    """Return the names that the lesson defines: its functions, its classes and its data."""
    names = definitions("07_where_the_limit_moves", KEPT)
    names["tqdm"] = lambda items: items
    return names


def last_share(curvatures, edge):
    """Return the mean of the last five readings as a share of the edge."""
    return curvatures[-5:].mean() / edge


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_the_curvature_goes_to_two_over_the_rate(seed):
    run = lesson()["make_runner"](lesson()["build_network"](seed=seed))
    for rate, updates in ((0.2, 1600), (0.25, 1600), (0.4, 1600), (0.45, 1600), (0.15, 2000)):
        losses, curvatures = run(np.full(updates, rate))
        if rate == 0.45 and not np.isfinite(losses[-1]):
            continue  # where the end lies is luck
        assert losses[-1] < 0.02
        assert last_share(curvatures, 2 / rate) == pytest.approx(1, abs=0.05), rate
    assert not np.isfinite(run(np.full(200, 0.6))[0][-1])


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rate_at_more_than_twice_its_limit_is_not_lost(seed):
    build = lesson()["build_network"]
    for activation, rate in (("tanh", 0.4), ("relu", 0.5)):
        model = build(activation=activation, seed=seed)
        limit = 2 / CurvatureMeter(model, lesson()["x"], lesson()["y"]).largest()
        assert rate > 2 * limit
        losses, curvatures = lesson()["make_runner"](model)(np.full(300, rate))
        assert losses[-1] < 0.2
        assert curvatures[0] < 1.2 * 2 / rate


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_relu_goes_to_its_edge_and_crossentropy_does_not_stay(seed):
    build, make_runner = lesson()["build_network"], lesson()["make_runner"]
    _, curvatures = make_runner(build(activation="relu", seed=seed))(np.full(1500, 0.5))
    assert last_share(curvatures, 2 / 0.5) == pytest.approx(1, abs=0.08)
    _, curvatures = make_runner(build(loss=lesson()["certain"], seed=seed))(np.full(1500, 0.2))
    assert curvatures[-1] < 0.1 * curvatures[0] < 0.1 * 2 / 0.2


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_adams_curvature_goes_to_38_over_the_rate(seed):
    adam = lesson()["keras"].optimizers.Adam(0.003, beta_2=0.99)
    run = lesson()["make_runner"](lesson()["build_network"](adam, seed=seed), preconditioned=True)
    for rate in (0.003, 0.001, 0.0003):
        _, curvatures = run(np.full(1600, rate))
        assert last_share(curvatures, 38 / rate) == pytest.approx(1, abs=0.05), rate


@pytest.mark.parametrize("beta_1", [0.0, 0.5, 0.9, 0.95])
def test_adams_edge_is_momentums_limit(beta_1):
    edge = (2 + 2 * beta_1) / (1 - beta_1)
    known = numpy_optimizers.momentum_stability_limit(1.0, beta_1) / (1 - beta_1)
    assert edge == pytest.approx(known, rel=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_a_warm_up_saves_and_a_gentle_start_does_not(seed):
    run = lesson()["make_runner"](lesson()["build_network"](seed=seed))
    warmed_up = lesson()["warmed_up"]
    for rate, warm_up in ((0.6, 100), (0.8, 500), (1.2, 1000)):
        assert not np.isfinite(run(np.full(200, rate))[0][-1])
        losses, curvatures = run(warmed_up(rate, warm_up, 2880), every=480)
        assert losses[-1] < 0.02
        assert curvatures[-1] * rate / 2 < 1.2
    for rate in (0.6, 1.2):
        losses, _ = run(np.r_[np.full(1000, 0.1), np.full(200, rate)], every=1000)
        assert not np.isfinite(losses[-1])


@pytest.mark.long
@pytest.mark.parametrize("seed", SEEDS)
def test_readings_of_the_lesson_are_good_to_about_two_per_cent(seed):
    model = lesson()["build_network"](lesson()["keras"].optimizers.SGD(0.25), seed=seed)
    x, y = lesson()["x"], lesson()["y"]
    meter, size = CurvatureMeter(model, x, y), model.count_params()
    operator = LinearOperator((size, size), matvec=lambda v: meter.product(np.ravel(v)), dtype="f8")
    train = lesson()["make_trainer"](model)
    for _ in range(4):
        train(np.full(200, 0.25, "float32"))
        reading = meter.largest(tolerance=0.01)
        exact = eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0]
        assert 0.97 * exact < reading < 1.0005 * exact


@cache
def best_rates(name, batch, seeds):
    found = lesson()
    result = found["sweep_learning_rates"](
        lambda: found["build_classifier"](found["keras"].optimizers.get(name)),
        found["grids"][name], found["train_part"], found["validation_part"],
        epochs=2, batch_size=batch, seeds=seeds, progress=False,
    )  # fmt: skip
    return found["log_best_rates"](result, "val_loss")


@pytest.mark.long
@pytest.mark.parametrize("seeds", [range(5), range(5, 10), range(10, 15)], ids=lambda it: it.start)
def test_best_rates_go_with_the_batch_or_its_root(seeds):
    for name, batches, slope in (("SGD", (8, 32, 128), 1), ("Adam", (8, 32, 128, 256, 512), 0.5)):
        bests = [best_rates(name, batch, tuple(seeds)).mean() for batch in batches]
        assert np.polyfit(np.log(batches), bests, 1)[0] == pytest.approx(slope, abs=0.15)
    beyond = (
        best_rates("SGD", 512, tuple(seeds)).mean() - best_rates("SGD", 128, tuple(seeds)).mean()
    )
    assert beyond / np.log(4) < 0.5  # the rule has ended


def test_the_views_marks_are_those_of_the_lessons_table():
    notebook = nbformat.read(ROOT / "notebooks" / "07_where_the_limit_moves.ipynb", as_version=4)
    (table,) = (c for c in rules.code_cells(notebook) if 'print("batch"' in c.source)
    rows = {row.split()[0]: row.split()[1:] for row in rules.printed(table).splitlines()}
    batches = [views.MEASURED_BATCHES.index(int(batch)) for batch in rows["batch"]]
    for name, kept in views.MEASURED.items():
        wanted = [float(rate) for rate in rows[name]]
        assert [kept[place] for place in batches] == pytest.approx(wanted, rel=0.03), name


@pytest.mark.long
def test_the_view_shows_what_the_sweeps_measure():
    for name, measured in views.MEASURED.items():
        for batch in (8, 32, 128, 512):
            kept = measured[views.MEASURED_BATCHES.index(batch)]
            found = np.exp(best_rates(name, batch, tuple(range(5))).mean())
            assert kept == pytest.approx(found, rel=0.25), (name, batch)


@pytest.mark.long
@pytest.mark.parametrize("first", [0, 3, 6])
def test_width_moves_the_best_rate_but_for_maximal_updates(first, monkeypatch):
    found = lesson()
    sweep, step = found["sweep_learning_rates"], found["width_rates"][1] / found["width_rates"][0]

    def with_seeds(*arguments, seeds, **options):
        return sweep(*arguments, seeds=tuple(range(first, first + seeds)), **options)

    monkeypatch.setitem(found, "sweep_learning_rates", with_seeds)
    bests = {}
    for name in ("ordinary", "maximal_update"):
        results = found["sweep_widths"](found[name])
        bests[name] = {
            w: np.exp(found["log_best_rates"](r, "loss").mean()) for w, r in results.items()
        }
    assert bests["ordinary"][32] / bests["ordinary"][256] > 4
    rates = bests["maximal_update"].values()
    assert max(rates) / min(rates) < step


def test_a_cosine_halves_the_weight_decay():
    cosine = 0.001 * (1 + np.cos(np.pi * np.arange(1000) / 1000)) / 2
    assert np.prod(1 - np.full(1000, 0.001) * 0.004) == pytest.approx(0.99601, abs=5e-6)
    assert np.prod(1 - cosine * 0.004) == pytest.approx(0.99800, abs=5e-6)
