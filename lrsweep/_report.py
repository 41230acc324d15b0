"""What a check-up found: a line for each measure, and the most likely cause of trouble first."""

import textwrap
from dataclasses import dataclass

from lrsweep._validation import one_of

VERDICTS = "ALARM", "look", "healthy", "not known"
# What spoils other measures comes before them: rates tried on raw inputs say little of the rate.
CAUSES = {
    "schedule": "the learning-rate schedule leaves too little to train with",
    "memory": "the optimizer's memory may not belong to these weights and this rate",
    "order": "the examples come sorted, and aren't shuffled enough",
    "inputs": "the inputs aren't scaled",
    "targets": "the targets are far from where the model's outputs start",
    "units": "units are dead: they give 0 for every example",
    "start": "the weights are worse than guessing, although they have been trained",
    "averages": "BatchNormalization predicts with averages that haven't settled",
    "labels": "the labels have nothing to do with the inputs, as far as this model can find",
    "too large": "the learning rate is too large",
    "noise": "the learning rate holds the loss up: at this rate its noise is all that is left",
    "too small": "the learning rate is far too small",
}
WIDTH = 98


class NotKnown(Exception):
    """A measure can't be taken; the message says why."""


@dataclass(frozen=True)
class Measure:
    """A line of a check-up.

    Attributes
    ----------
    name : str
    value : float, object or None
        What was measured, as `_measures` says for each; None where it isn't known.
    measured, healthy : str
        The value in words, and what it is in a model that trains well; why it isn't known.
    verdict : str
        "healthy", "look" (unusual, yet healthy models show it too), "ALARM" or "not known".
    cause : str
        What an alarm stands for, one of `CAUSES`, or "".
    advice : str
        What to do, unless it is healthy.
    """

    name: str
    value: object
    measured: str
    healthy: str = ""
    verdict: str = "healthy"
    cause: str = ""
    advice: str = ""


class CheckUp:
    """What `check_up` found; `print` shows it, and `report["curvature"].value` is one number.

    Attributes
    ----------
    measures : list of Measure
        In the order in which they were taken.
    causes : list of str
        What is wrong, the most likely first: "schedule", "memory", "order", "inputs", "targets",
        "units", "start", "averages", "labels", "too large", "noise" or "too small". Empty if
        nothing was found.
    about : str
        What was examined.
    seconds : float
        How long it took.

    Examples
    --------
    >>> report = CheckUp("a model", 1.5, [Measure("rate", 9.0, "9.0", "1", "ALARM", "too large",
    ...                                           "Take 1.")])
    >>> report.causes, report["rate"].value
    (['too large'], 9.0)
    >>> print(report)
    Check-up of a model, in 1.5 s
    <BLANKLINE>
    Most likely: the learning rate is too large.
      Do: Take 1.
    <BLANKLINE>
    rate        ALARM      9.0 (healthy: 1)
    """

    def __init__(self, about, seconds, measures):
        self.about, self.seconds, self.measures = about, seconds, list(measures)
        alarms = {it.cause for it in self.measures if it.verdict == "ALARM"}
        self.causes = [cause for cause in CAUSES if cause in alarms]

    def __getitem__(self, name):
        named = {it.name: it for it in self.measures}
        return named[one_of("name", name, named)]

    def __str__(self):
        lines = [*_wrapped(f"Check-up of {self.about}, in {self.seconds:.1f} s"), ""]
        for number, cause in enumerate(self.causes):
            lines += _wrapped(f"{'Also' if number else 'Most likely'}: {CAUSES[cause]}.")
            advice = [it.advice for it in self.measures if it.cause == cause and it.advice]
            lines += [line for it in advice for line in _wrapped(f"  Do: {it}", "      ")]
        if not self.causes:
            lines += ["Nothing alarming was found."]
        lines.append("")
        for it in sorted(self.measures, key=lambda it: VERDICTS.index(it.verdict)):
            healthy = f" (healthy: {it.healthy})" if it.healthy else ""
            head = f"{it.name:<12}{it.verdict:<11}"
            lines += _wrapped(f"{head}{it.measured}{healthy}", " " * len(head))
            if it.verdict == "look" and it.advice:
                lines += _wrapped(f"{'':23}{it.advice}", " " * 23)
        return "\n".join(lines)

    __repr__ = __str__

    def to_frame(self):
        """Return a pandas frame with a row for each measure.

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> CheckUp("a model", 1.5, [Measure("rate", 9.0, "9.0", "1")]).to_frame().T
                         0
        measure       rate
        value          9.0
        verdict    healthy
        cause
        measured       9.0
        healthy          1
        advice
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                'to_frame needs pandas: pip install pandas, or "lrsweep[frame]"'
            ) from error
        columns = "name", "value", "verdict", "cause", "measured", "healthy", "advice"
        rows = {name: [getattr(it, name) for it in self.measures] for name in columns}
        return pd.DataFrame(rows).rename(columns={"name": "measure"})

    def plot(self, axes=None):
        """Draw the range test, with the model's own rate and the rate at its limit, if known.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw. Without, pyplot makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            With an attribute `alt_text`, as `RangeTest.plot` gives it.

        Raises
        ------
        ValueError
            If the check-up has no range test to draw.
        ImportError
            If there are no axes given and no Matplotlib.

        Examples
        --------
        >>> CheckUp("a model", 1.5, [Measure("range test", None, "no time was left")]).plot()
        Traceback (most recent call last):
        ...
        ValueError: the check-up has no range test to draw: no time was left
        """
        found = self["range test"]
        if found.value is None:
            raise ValueError(f"the check-up has no range test to draw: {found.measured}")
        test, marks = found.value.test, {"your rate": found.value.rate}
        if found.value.suggestion is not None:
            marks["the test's suggestion"] = found.value.suggestion
        limit = self["curvature"].value and self["limit"].value
        if limit and test.learning_rates[0] <= found.value.rate / limit <= 10 * max(
            test.learning_rates
        ):
            marks["limit by curvature"] = found.value.rate / limit
        return test.plot(axes, marks=marks)


def _wrapped(text, indent=""):
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, drop_whitespace=True) or [""]
