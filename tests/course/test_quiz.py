import pytest

from course import quiz


def said(guess, *arguments, capsys, **options):
    quiz.predict("it", guess)
    capsys.readouterr()
    quiz.compare("it", *arguments, **options)
    return capsys.readouterr().out.strip()


RIGHT, WRONG = "Well predicted!", "What does that tell you?"


@pytest.mark.parametrize(
    ("guess", "outcome", "options", "ending"),
    [
        (0.11, 0.1, {}, RIGHT),
        (0.1101, 0.1, {}, WRONG),
        (0.1101, 0.1, {"tolerance": 0.2}, RIGHT),
        (16, 16, {"tolerance": 0}, RIGHT),
        (15, 16, {"tolerance": 0}, WRONG),
        (0, 1e-12, {}, RIGHT),
        (1e-12, 0, {}, RIGHT),
        (0.1, 0, {}, WRONG),
        (-1.0737, 1.0737, {}, WRONG),
        (float("nan"), 1.0, {}, WRONG),
        ("Steep", "steep", {}, RIGHT),
        ("flat", ("steep", "x1"), {}, WRONG),
        (2, ("steep", "x1"), {}, WRONG),
        (0.5, [0.05, 0.5], {}, RIGHT),
        (True, 1, {}, WRONG),
    ],
)
def test_a_guess_is_right_within_the_tolerance(guess, outcome, options, ending, capsys):
    assert said(guess, outcome, capsys=capsys, **options).endswith(ending)


@pytest.mark.parametrize("guess", ["steep", "x₁", "x1", "x_1", " X1. ", '"x1"'])
def test_spellings_of_one_answer_are_all_right_and_the_first_is_shown(guess, capsys):
    told = said(guess, ("x₁", "steep"), capsys=capsys)
    assert told == f"it: you guessed {guess}, and it is x₁. Well predicted!"


def test_a_guess_in_the_trap_is_told_which_trap_and_never_praised(capsys):
    traps = {0.0909: "That is the formula Keras does not use.", "0.2": "Never here."}
    told = said(0.0909, 0.1, traps=traps, capsys=capsys)
    assert told == "it: you guessed 0.0909, but it is 0.1. That is the formula Keras does not use."
    assert said(0.091, 0.1, traps=traps, capsys=capsys).endswith("does not use.")
    assert said(0.1, 0.1, traps=traps, capsys=capsys).endswith(RIGHT)
    assert said(0.098, 0.1, traps=traps, capsys=capsys).endswith(RIGHT)
    assert said(0.5, 0.1, traps=traps, capsys=capsys).endswith(WRONG)


def test_a_trap_may_be_a_word(capsys):
    traps = {"flat": "The flat one is slow, not wild."}
    assert said("Flat", ("steep", "x1"), traps=traps, capsys=capsys).endswith("not wild.")
    assert said("x1", ("steep", "x1"), traps=traps, capsys=capsys).endswith(RIGHT)


def test_without_a_guess_the_outcome_is_told(capsys):
    told = said(None, 0.12345678, traps={1: "No."}, capsys=capsys)
    assert told == "it: 0.1235. (You made no guess; guessing first makes it stick.)"


def test_without_a_prediction_cell_the_outcome_is_told(capsys):
    quiz.compare("never asked", ("x₁", "steep"))
    assert capsys.readouterr().out.startswith("never asked: x₁. (You made no guess")


def brightness(colour):
    """Return the relative luminance of a colour such as "#cc4b00" (WCAG 2.2)."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [it / 12.92 if it <= 0.03928 else ((it + 0.055) / 1.055) ** 2.4 for it in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("name", ["--jq-incorrect-color", "--jq-correct-color"])
@pytest.mark.parametrize("theme", ["#ffffff", "#111111"])
def test_feedback_is_read_in_both_themes(name, theme):
    low, high = sorted(brightness(it) for it in (quiz.COLOURS[name], theme))
    assert (high + 0.05) / (low + 0.05) > 4
