"""Nothing that contributors and instructors run imports itself in a circle, in functions either."""

from tools import imports

ARROWS = imports.graph(("tools", "exercises"))


def test_tools_and_exercises_import_nothing_in_a_circle():
    assert "exercises.mutants.lesson_01" in ARROWS
    assert "tools.marking.marks" in ARROWS["tools.marking.classroom"]
    assert imports.circle(ARROWS) == []


def test_the_wrong_answers_do_not_know_the_tools_that_try_them():
    for name, others in ARROWS.items():
        if name.startswith("exercises."):
            assert {other for other in others if other.startswith("tools")} == set(), name
