"""The positions of the views that pages without a kernel keep are positions of these views."""

import pytest

from tools import views

SLOW = {"explore_sweep"}  # trains when it is made


def slowly(name):
    return pytest.param(name, marks=pytest.mark.long if name in SLOW else ())


@pytest.mark.parametrize("name", [slowly(name) for name in views.POSITIONS])
def test_positions_are_those_of_the_view_s_controls(name):
    make = next(getattr(it, name) for it in views.MODULES if hasattr(it, name))
    view = make()
    for control, values in views.positions(name, view).items():
        assert view.controls[control].value in values
