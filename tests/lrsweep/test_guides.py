"""Models of Keras's own examples come through check-up, sweep and choice."""

import numpy as np
import pytest
from conftest import ROOT

from tools import marked

NAME = "Wide & Deep: two inputs, BatchNormalization, Dropout"


def test_each_choice_of_the_readmes_table_is_near_the_best():
    from benchmarks.guides import GUIDES

    text = (ROOT / "lrsweep/README.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in marked.get(text, "guides").splitlines()[2:]]
    assert {row[0] for row in rows} == {*GUIDES}
    assert {row[2] for row in rows} == {"no alarm"}
    assert not [row[0] for row in rows if "✗" in row[-1]]


@pytest.mark.long
def test_a_model_of_an_example_is_healthy_and_its_chosen_rate_near_the_best():
    from benchmarks.guides import GUIDES, treated

    outcome = treated(GUIDES[NAME], fine=np.geomspace(1e-4, 1e-1, 7))
    assert outcome.report.causes == []
    assert outcome.is_near
    assert outcome.best > 0.6  # guessing: 0.25
