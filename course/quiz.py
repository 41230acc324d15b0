"""Predictions and questions: guess first, then look."""

import json
import math
from numbers import Real
from pathlib import Path

from IPython.display import display
from IPython.utils.capture import capture_output

QUESTIONS = Path(__file__).resolve().parents[1] / "notebooks" / "quiz"
COLOURS = {
    "--jq-multiple-choice-bg": "#1d4e79",
    "--jq-mc-button-bg": "#ffffff",
    "--jq-mc-button-border": "#9fb6cc",
    "--jq-incorrect-color": "#a63c00",
    "--jq-correct-color": "#00664b",
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


def compare(name, outcome):
    """Print the guess beside what happened.

    Parameters
    ----------
    name : str
        As given to `predict`.
    outcome : float or str
        What the experiment showed.
    """
    guess = _guesses.get(name)
    shown = f"{outcome:.4g}" if isinstance(outcome, Real) else outcome
    if guess is None:
        print(f"{name}: {shown}. (You made no guess; guessing first makes it stick.)")
    elif _agree(guess, outcome):
        print(f"{name}: you guessed {guess}, and it is {shown}. Well predicted!")
    else:
        print(f"{name}: you guessed {guess}, but it is {shown}. What does that tell you?")


def _agree(guess, outcome):
    if isinstance(guess, Real) and isinstance(outcome, Real):
        return math.isclose(guess, outcome, rel_tol=0.1, abs_tol=1e-9)
    return str(guess).strip().lower() == str(outcome).strip().lower()


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
