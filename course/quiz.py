"""Predictions and questions: guess first, then look."""

import json
import math
import unicodedata
from numbers import Real
from pathlib import Path

from IPython.display import display
from IPython.utils.capture import capture_output

QUESTIONS = Path(__file__).resolve().parents[1] / "notebooks" / "quiz"
COLOURS = {  # those of the feedback are read on white and on black
    "--jq-multiple-choice-bg": "#1d4e79",
    "--jq-mc-button-bg": "#ffffff",
    "--jq-mc-button-border": "#9fb6cc",
    "--jq-incorrect-color": "#cc4b00",
    "--jq-correct-color": "#00845f",
    "--jq-text-color": "#ffffff",
}

_guesses = {}


def predict(name, guess):
    """Note a guess before the experiment, for `compare` to bring up after it.

    Parameters
    ----------
    name : str
        What is guessed.
    guess : float, str or None
        None means not guessed yet.
    """
    _guesses[name] = guess
    if guess is None:
        print("No guess yet: put yours in place of None and run this cell again.")
    else:
        print(f"Noted: {name} = {guess}. Now see.")


def compare(name, outcome, tolerance=0.1, traps=None):
    """Print the guess beside what happened.

    Parameters
    ----------
    name : str
        As given to `predict`.
    outcome : float, str, or tuple or list of them
        What the experiment showed. Of several, each counts as right (an answer may have two
        spellings), and the first is the one shown.
    tolerance : float
        How far a number may be from the outcome, as a part of the outcome, and still be right.
    traps : dict or None
        {wrong answer: sentence}: the sentence is shown to a guess that fell for the trap. Where
        a number is right by the tolerance and yet near a trap, the closer one decides.
    """
    guess = _guesses.get(name)
    outcomes = list(outcome) if isinstance(outcome, (tuple, list)) else [outcome]
    shown = f"{outcomes[0]:.4g}" if _is_number(outcomes[0]) else outcomes[0]
    distances = [_distance(guess, right) for right in outcomes]
    trap = min(traps or {}, key=lambda wrong: _distance(guess, wrong), default=None)
    away = math.inf if trap is None else _distance(guess, trap)
    if guess is None:
        print(f"{name}: {shown}. (You made no guess; guessing first makes it stick.)")
    elif away <= tolerance and away < min(distances):
        print(f"{name}: you guessed {guess}, but it is {shown}. {traps[trap]}")
    elif min(distances) <= tolerance:
        print(f"{name}: you guessed {guess}, and it is {shown}. Well predicted!")
    else:
        print(f"{name}: you guessed {guess}, but it is {shown}. What does that tell you?")


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def _distance(guess, answer):
    """Return how far a guess is from an answer, as a part of the answer; inf for other words."""
    if _is_number(guess) and _is_number(answer):
        apart = abs(guess - answer)
        return 0.0 if apart <= 1e-9 else apart / abs(answer) if answer else math.inf
    return 0.0 if _plain(guess) == _plain(answer) else math.inf


def _plain(word):
    """Return a word as a lenient reader reads it: x₁, x_1 and "X1" are the same."""
    lowered = str(word).strip().strip("\"'.").lower().replace("_", "")
    return " ".join(unicodedata.normalize("NFKC", lowered).split())


def load_questions(name):
    """Return the questions of `notebooks/quiz/<name>.json`, in jupyterquiz's form."""
    path = QUESTIONS / f"{name}.json"
    if not path.exists():
        names = ", ".join(sorted(file.stem for file in QUESTIONS.glob("*.json")))
        raise ValueError(f"name must be one of {names}, got {name!r}")
    return json.loads(path.read_text(encoding="utf-8"))


def ask(name):
    """Show a quiz: every answer, right or wrong, is explained when it is chosen."""
    from jupyterquiz import display_quiz  # here, so that a lesson without it still runs

    questions = load_questions(name)
    with capture_output() as captured:
        display_quiz(questions, colors=COLOURS, max_width=720, shuffle_answers=False)
    page, script = (output.data for output in captured.outputs)
    # A printed notebook, or its page on GitHub, shows the plain questions instead.
    printed = printed_form(questions)
    display({**page, "text/markdown": printed, "text/plain": printed}, raw=True)
    display(script, raw=True)


def printed_form(questions):
    """Return questions and options as Markdown, without the answers."""
    lines = []
    for number, question in enumerate(questions, start=1):
        lines += [f"{number}. {question['question']}", ""]
        options = (answer["answer"] for answer in question["answers"])
        lines += [f"   - {letter}) {option}" for letter, option in zip("abcdef", options)]
        lines += [""]
    return "\n".join(lines)
