"""The clinic of lesson 8: fifteen models, each with one thing wrong, made anew for each seed.

If you are about to do lesson 8, read no further than this docstring: the modules hold the answers.

Patients are called "A" to "O", or by what they have. `admit` brings in all of them.
"""

PATIENTS = {  # what they have, in the order of the letters; four wards
    "raw inputs": "from_the_start.RawInputs",
    "too small": "from_the_start.TooSmall",
    "dead units": "from_the_start.DeadUnits",
    "whole number": "from_the_start.WholeNumber",
    "shuffled labels": "from_the_start.ShuffledLabels",
    "noise floor": "stuck.NoiseFloor",
    "overruled": "stuck.Overruled",
    "compiled again": "stuck.CompiledAgain",
    "decay per update": "stuck.DecayPerUpdate",
    "second fit": "on_the_way.SecondFit",
    "weights only": "on_the_way.WeightsOnly",
    "after a drop": "on_the_way.AfterADrop",
    "head's rate": "on_the_way.HeadsRate",
    "sorted": "on_the_way.Sorted",
    "averages": "on_the_way.Averages",
}
WARDS = {1: "ABCDE", 2: "FGHI", 3: "JKLM", 4: "NO"}
LETTERS = dict(zip("ABCDEFGHIJKLMNO", PATIENTS))


def make_patient(name, seed=0):
    """Return a patient; its training runs when its history or its model is first asked for.

    Parameters
    ----------
    name : str
        A letter from "A" to "O", or one of `PATIENTS`.
    seed : int
        Another seed has other data, weights and batches, and the same disease.

    Returns
    -------
    course.clinic.patient.Patient
    """
    from importlib import import_module

    from utils import checks

    known = {**PATIENTS, **{letter: PATIENTS[what] for letter, what in LETTERS.items()}}
    module, _, kind = known[checks.one_of("name", name, known)].partition(".")
    seed = checks.whole_number("seed", seed, minimum=0)
    return getattr(import_module(f"course.clinic.{module}"), kind)(seed)


def admit(seed=0, ward=None):
    """Return {letter: patient} of all patients, or of one ward."""
    letters = LETTERS if ward is None else WARDS[ward]
    return {letter: make_patient(letter, seed) for letter in letters}
