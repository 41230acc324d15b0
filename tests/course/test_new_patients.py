"""The patients of exercises 8: the network behind them, their illnesses, and their checks."""

import re

import numpy as np
import pytest

from course.clinic import new_patients
from course.clinic import numpy_network as network
from course.clinic.numpy_patient import CAUSES, CHECKS, DECISIVE, HINTS

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 3))
KINDS, NUMBERS = RANDOM.integers(4, size=12), RANDOM.normal(size=12)
SEED = 1000


@pytest.mark.parametrize("y", [KINDS, NUMBERS], ids=["kinds", "numbers"])
def test_gradients_are_those_of_the_loss(y):
    weights = network.start((3, 5, 4 if y is KINDS else 1), np.random.default_rng(1))
    value, slopes = network.gradients(weights, X, y)
    assert value == pytest.approx(network.loss(weights, X, y))
    for (kernel, bias), pair in zip(weights, slopes):
        for array, slope in zip((kernel, bias), pair):
            for place in np.ndindex(array.shape):
                array[place] += 1e-6
                ahead = network.loss(weights, X, y)
                array[place] -= 2e-6
                behind = network.loss(weights, X, y)
                array[place] += 1e-6
                assert slope[place] == pytest.approx((ahead - behind) / 2e-6, abs=1e-6)


def test_the_curvature_of_least_squares():
    ones = np.column_stack([X, np.ones(12)])
    wanted = 2 * np.linalg.eigvalsh(ones.T @ ones / 12)[-1]
    weights = network.start((3, 1), np.random.default_rng(1))
    assert network.largest_curvature(weights, X, NUMBERS) == pytest.approx(wanted, rel=1e-3)


def test_training_is_sgd_with_momentum_at_the_rates_of_its_updates():
    weights = [(np.array([[1.0]]), np.array([0.0]))]
    data = np.array([[1.0], [1.0]]), np.array([0.0, 0.0])
    run = network.train(
        weights, data, data, lambda t: 0.1 / (1 + t), None, 2, 1, 0.5, shuffle=False, first=1
    )
    (w, b), (v_w, v_b) = (1.0, 0.0), (0.0, 0.0)
    for t in range(1, 5):
        slope = 2 * (w + b)
        v_w, v_b = 0.5 * v_w - 0.1 / (1 + t) * slope, 0.5 * v_b - 0.1 / (1 + t) * slope
        w, b = w + v_w, b + v_b
    assert run.weights[0][0][0, 0] == pytest.approx(w)
    assert run.weights[0][1][0] == pytest.approx(b)
    assert run.rates == pytest.approx([0.1 / (1 + t) for t in range(1, 5)])
    assert len(run.history["loss"]) == len(run.history["val_loss"]) == 2


def test_causes_checks_and_hints_belong_together():
    assert set(CAUSES) == set(DECISIVE) == set(HINTS) == set(new_patients.KINDS)
    assert {check for checks in DECISIVE.values() for check in checks} == set(CHECKS)


@pytest.mark.parametrize("seed", range(8))
def test_a_class_has_six_patients_of_its_own(seed, monkeypatch):
    made = {cause: lambda seed, cause=cause: (cause, seed) for cause in new_patients.KINDS}
    monkeypatch.setattr(new_patients, "KINDS", made)
    patients = new_patients.admit_new(seed)
    causes = [cause for cause, _ in patients.values()]
    assert "".join(patients) == "ABCDEFZ"
    assert len(set(causes)) == 7
    assert {*new_patients.ALWAYS, "whole number"} < set(causes)
    assert [number for _, number in patients.values()] == [SEED + seed] * 7


def curves(cause):
    history = new_patients.KINDS[cause](SEED).history
    return np.array(history["loss"]), np.array(history["val_loss"])


def test_each_curve_shows_what_the_hint_says():
    loss, _ = curves("raw inputs")
    assert loss.min() > 10
    loss, _ = curves("too small")
    assert (np.diff(loss) < 0).all()
    assert loss[-1] > 2.3
    loss, _ = curves("dead units")
    assert loss[0] > 2.6
    assert (loss[3:] > 2.25).all()
    loss, val_loss = curves("noise floor")
    assert loss[1:].min() > 0.3
    assert val_loss.max() > 1.2 * val_loss.min()
    loss, _ = curves("decay per update")
    assert np.ptp(loss[3:]) < 0.02
    assert loss[-1] > 1
    _, val_loss = curves("second fit")
    assert np.ptp(val_loss[10:]) < 1e-6
    assert np.ptp(val_loss[:10]) > 0.5
    _, val_loss = curves("whole number")
    assert np.ptp(val_loss) == 0
    loss, _ = curves("after a drop")
    assert loss[4] > 2 * loss[2]
    loss, val_loss = curves("sorted")
    assert (val_loss > 4 * loss).all()
    loss, val_loss = curves("shuffled labels")
    assert loss[-1] < 2
    assert val_loss.min() > 2.3


@pytest.mark.parametrize("seed", [23, 27, 34, 47])
def test_the_slip_leaves_nearly_no_unit_alive_in_other_classes_too(seed):
    """At one slip for all, half of the units lived in class 47, and the loss fell to 1.5."""
    patient = new_patients.KINDS["dead units"](SEED + seed)
    assert int(re.search(r"(\d+)%", patient.examine("units"))[1]) > 90
    assert max(patient.history["loss"]) < 1000
    assert min(patient.history["loss"][3:]) > 2


DECIDES = {  # what the numbers in the decisive check's text are like
    "raw inputs": lambda ratio: ratio > 50,
    "too small": lambda loss, own: loss < own - 0.4,
    "dead units": lambda share, _: share > 60,
    "noise floor": lambda loss, own: loss < 0.8 * own,
    "decay per update": lambda *numbers: numbers[-2] < 1e-4 < 0.09 < numbers[-4],
    "second fit": lambda *numbers: numbers[-2:] == (0, 0) and numbers[-3] > 0.05,
    "whole number": lambda *numbers: numbers[-4:] == (1, 0, 0, 0),
    "after a drop": lambda ratio: ratio > 20,
    "sorted": lambda kinds, _: kinds < 4,
    "shuffled labels": lambda share: share < 25,
}


@pytest.mark.parametrize("cause", DECIDES)
def test_the_decisive_check_finds_it_and_no_other_is_named(cause):
    patient = new_patients.KINDS[cause](SEED)
    assert [other for other in CAUSES if patient.has(other)] == [cause]
    check, *others = (name for name in CHECKS if patient.settled_by(name))
    assert others == (["limit"] if cause == "too small" else [])
    text = patient.examine(check).replace("ten times", "").replace("2/L", "")
    numbers = re.findall(r"[\d.]+(?:e[+-]\d+)?", text.replace(", ", " "))
    assert DECIDES[cause](*map(float, numbers)), text


def test_only_a_rate_that_is_too_small_is_a_thousandth_of_its_limit():
    """So its owner may be told by 2/L, too."""
    said = {cause: kind(SEED).examine("limit") for cause, kind in new_patients.KINDS.items()}
    ratios = {cause: float(re.search(r"is (\S+) times", text)[1]) for cause, text in said.items()}
    assert ratios.pop("too small") < 0.001
    assert min(ratios.values()) > 0.05
    assert new_patients.KINDS["too small"](SEED).settled_by("limit")
