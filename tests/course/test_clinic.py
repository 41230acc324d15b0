"""The clinic's patients: sick as lesson 8 says, found by their check, cured by their cure."""

import functools

import keras
import numpy as np
import pytest

from benchmarks import clinic as benchmark
from course import clinic

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))]
GUESS = np.log(10)


@functools.cache
def treated(name, seed):
    """Return a patient's history, what its check finds, and the cured one's history."""
    patient = clinic.make_patient(name, seed)
    history, finding = patient.history, patient.check()
    _, cured = patient.cured()
    keras.backend.clear_session()
    return history, finding, cured


def learns_nothing(loss):
    return loss[-1] > 0.9 * loss[0]


def at_one_level(loss):
    """The last three epochs are alike, and the first was above them."""
    return max(loss[-3:]) / min(loss[-3:]) < 1.05 and loss[0] > 1.1 * loss[-1]


SYMPTOMS = {  # of (history, the cured one's): what the lesson says that one sees
    "raw inputs": lambda sick, cured: sick["loss"][0] > 100 and sick["val_accuracy"][-1] < 0.7,
    "too small": lambda sick, cured: learns_nothing(sick["loss"]),
    "dead units": lambda sick, cured: min(sick["loss"]) > 0.98 * GUESS,
    "whole number": lambda sick, cured: np.ptp(sick["loss"][1:]) < 1e-3,
    "shuffled labels": lambda sick, cured: (
        sick["loss"][-1] < 0.95 * sick["loss"][0] and sick["val_accuracy"][-1] < 0.15
    ),
    "noise floor": lambda sick, cured: at_one_level(sick["loss"]),
    "overruled": lambda sick, cured: sick["loss"][-1] > sick["loss"][1],
    "compiled again": lambda sick, cured: at_one_level(sick["loss"]),
    "decay per update": lambda sick, cured: at_one_level(sick["loss"]),
    "second fit": lambda sick, cured: np.ptp(sick["loss"][10:]) < 1e-3,
    "weights only": lambda sick, cured: sick["loss"][15] > 1.4 * sick["loss"][14],
    "after a drop": lambda sick, cured: max(sick["loss"][3:]) > 3 * sick["loss"][2],
    "head's rate": lambda sick, cured: (
        sick["val_loss"][10] > 3 * sick["val_loss"][9] and sick["loss"][10] > 1
    ),
    "sorted": lambda sick, cured: sick["val_accuracy"][0] < sick["accuracy"][0] - 0.2,
    "averages": lambda sick, cured: sick["val_loss"][-1] > 10 * sick["loss"][-1],
}
CURED = {  # the cured training's last number is at most this share of the sick one's
    "raw inputs": ("val_loss", 0.5), "too small": ("val_loss", 0.3), "dead units": ("loss", 0.2),
    "whole number": ("val_loss", 0.5), "shuffled labels": ("val_loss", 0.3),
    "noise floor": ("val_loss", 0.9), "overruled": ("val_loss", 0.9),
    "compiled again": ("val_loss", 0.9), "decay per update": ("val_loss", 0.4),
    "second fit": ("val_loss", 0.6), "after a drop": ("loss", 0.2),
    "head's rate": ("val_loss", 0.75), "averages": ("val_loss", 0.2),
}  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", clinic.PATIENTS)
def test_a_patient_is_sick_found_and_cured(name, seed):
    history, finding, cured = treated(name, seed)
    assert SYMPTOMS[name](history, cured)
    assert finding.sick, finding.text
    if name in CURED:
        metric, share = CURED[name]
        assert cured[metric][-1] < share * history[metric][-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_cures_that_show_in_the_middle(seed):
    _, _, resumed = treated("weights only", seed)
    assert resumed["loss"][15] < resumed["loss"][14]
    sick, _, shuffled = treated("sorted", seed)
    assert shuffled["val_accuracy"][0] > sick["val_accuracy"][0] + 0.2


def test_the_three_that_are_not_the_rates_fault():
    innocent = {name for name in clinic.PATIENTS if not clinic.make_patient(name).rates_fault}
    assert innocent == {"shuffled labels", "sorted", "averages"}


def test_letters_wards_and_names_agree():
    assert "".join(clinic.WARDS.values()) == "".join(clinic.LETTERS) == "ABCDEFGHIJKLMNO"
    assert list(clinic.LETTERS.values()) == list(clinic.PATIENTS)
    assert type(clinic.make_patient("A")) is type(clinic.make_patient("raw inputs"))
    assert set(clinic.admit(ward=3)) == set("JKLM")


def test_a_seed_makes_the_same_patient_again_and_another_seed_another():
    one, two = (clinic.make_patient("D", 3) for _ in range(2))
    assert one.history == two.history
    assert one.history != clinic.make_patient("D", 4).history


@pytest.mark.parametrize("seed", [-1, 0.5, "0"])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match=r"seed must be a whole number of at least 0"):
        clinic.make_patient("A", seed)


def test_a_patient_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"name must be one of .* got 'P'"):
        clinic.make_patient("P")


def test_a_healthy_model_passes_the_checks():
    """A check that always says "sick" would be no check."""
    patient = clinic.make_patient("dead units")
    patient.__dict__["_trained"] = patient.cured()
    assert not patient.check().sick
    patient = clinic.make_patient("averages")
    patient.__dict__["_trained"] = patient.cured()
    assert not patient.check().sick
    patient = clinic.make_patient("second fit")
    patient.__dict__["_trained"] = patient.cured()
    assert not patient.check().sick


def test_the_benchmark_has_the_same_models():
    ours = clinic.make_patient("averages", 5).train[0]
    _, theirs = benchmark.SICK["wine, BatchNormalization, 10 epochs"]
    np.testing.assert_array_equal(ours, theirs(5).train[0])
