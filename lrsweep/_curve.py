"""What a range test recorded, and the learning rates that its curve suggests.

What such a curve says is known exactly for the loss λw²/2 and plain gradient descent at the
rate η, when each rate of the ramp is a factor q above the one before. Each update multiplies w
by 1 − ηλ, so while ηλ is small, ln(loss) falls by 2ηλ per update. An update is a step ln(q) in
ln(η), so the loss follows exp(−2λη/ln q), whose steepest point on a logarithmic axis is
η = ln(q)/(2λ): it depends on the ramp as much as on the model. The minimum is where
|1 − ηλ| = 1, at η = 2/λ, for every ramp that is not too short.

So the answer is an order of magnitude for a sweep to start from, no more. Dividing the rate of
the minimum by ten is the rule of fast.ai's course.
"""

import math
from dataclasses import dataclass

import numpy as np

from lrsweep._validation import array, one_of, share_below_one


@dataclass(frozen=True)
class RangeTest:
    """What a range test recorded, here or elsewhere: any rising rates and their losses.

    Attributes
    ----------
    learning_rates : array of shape (updates,)
        The ramp, as far as the test came.
    losses : array of shape (updates,)
        The loss of each mini-batch before its update.
    stopped : str
        Why it ended: "end of the ramp", "loss exploded" or "loss not finite"; a loss that is
        not a finite number is not recorded.
    memory : float
        Of the moving average; 0 for none.

    Raises
    ------
    ValueError
        If rates and losses are not two equally long rows of finite numbers, or the memory is
        not at least 0 and below 1.

    Examples
    --------
    >>> RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.5, 0.5, 3.0]).suggest("steepest")
    0.01
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    stopped: str = ""
    memory: float = 0.0

    def __post_init__(self):
        for name in ("learning_rates", "losses"):  # a frozen dataclass is filled this way
            object.__setattr__(self, name, array(name, getattr(self, name), dimensions=1))
        share_below_one("memory", self.memory)
        if len(self.learning_rates) != len(self.losses):
            raise ValueError(
                "learning_rates and losses must have the same length, "
                f"got {len(self.learning_rates)} and {len(self.losses)}"
            )

    @property
    def smoothed(self):
        """The exponential moving average of the losses, of shape (updates,), without bias.

        The average starts at 0 and keeps the share `memory` of itself at each loss; after k
        losses its weights sum to 1 − memoryᵏ only, so it is divided by that. The first
        smoothed loss is then the first loss.

        Examples
        --------
        >>> RangeTest([0.001, 0.01, 0.1], [3.0, 1.0, 2.0], memory=0.5).smoothed.round(2)
        array([3.  , 1.67, 1.86])
        """
        return smooth(self.losses, self.memory)

    def suggest(self, rule="minimum"):
        """Return a learning rate to centre a sweep on.

        The first 1/(1 − memory) losses are left out: until then the average is one of few
        losses, and its jumps are noise.

        Parameters
        ----------
        rule : str
            "minimum": a tenth of the rate with the smallest smoothed loss. "steepest": the
            rate at which the smoothed loss falls fastest on the logarithmic axis, by
            differences over both neighbours.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the rates do not rise, or if the loss never falls, so that there is nothing to
            suggest.

        Examples
        --------
        >>> test = RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.5, 0.5, 3.0])
        >>> test.suggest(), test.suggest("steepest")
        (0.01, 0.01)
        """
        unsettled = math.ceil(1 / (1 - self.memory)) if self.memory else 0
        rates, losses = self.learning_rates[unsettled:], self.smoothed[unsettled:]
        if len(rates) < 3:
            raise ValueError(
                f"a suggestion needs at least 3 losses after the first {unsettled}, "
                f"got {len(rates)}"
            )
        return _suggest(rates, losses, rule)

    def plot(self, axes=None, marks=None, band=None, label="smoothed", **look):
        """Draw the losses against the learning rate.

        Dots show the loss of each mini-batch, a line their moving average. The picture ends
        somewhat above what the average was before its lowest point: an explosion after it
        would flatten everything else.

        Parameters
        ----------
        axes : matplotlib.axes.Axes, optional
            Where to draw. Without, pyplot makes a new figure, with a legend.
        marks : dict of str to float, optional
            Labels and learning rates, drawn as upright lines.
        band : tuple of two floats, optional
            Learning rates to shade the space between, such as the plateau of a sweep.
        label : str
            Of the line, for a legend.
        **look
            For the line, as in Matplotlib's `plot`; its colour is also that of the dots.

        Returns
        -------
        matplotlib.axes.Axes
            With an attribute `alt_text`, a sentence for those who can't see the figure.

        Raises
        ------
        ImportError
            If there are no axes given and no Matplotlib.

        Examples
        --------
        >>> test = RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.5, 0.5, 3.0])
        >>> axes = test.plot(marks={"a tenth of the minimum": test.suggest()})
        >>> print(axes.alt_text)
        Training loss of 4 mini-batches while the learning rate rises from 0.001 to 1, on a
        logarithmic axis: the smoothed loss is 2 at first, lowest, 0.5, at 0.1, and 3 at the end.
        Marked: a tenth of the minimum at 0.01.
        >>> axes.figure.savefig("range.png", metadata={"Description": axes.alt_text})
        """
        from lrsweep._plots import plot_range_test

        return plot_range_test(self, axes, marks or {}, band, label, look)


def smooth(losses, memory):
    """Return the moving average of losses, see `RangeTest.smoothed`."""
    average, smoothed = 0.0, []
    for count, loss in enumerate(losses, start=1):
        average = memory * average + (1 - memory) * loss
        smoothed.append(average / (1 - memory**count))
    return np.array(smoothed)


def _suggest(rates, losses, rule):
    """Return a learning rate by a rule of `RangeTest.suggest`, from settled losses."""
    one_of("rule", rule, {"minimum", "steepest"})
    if rates[0] <= 0 or np.any(np.diff(rates) <= 0):
        raise ValueError(f"learning_rates must be positive and rising, got {rates.tolist()}")
    slopes = np.gradient(losses, np.log(rates))
    if np.argmin(losses) == 0 or slopes.min() >= 0:
        raise ValueError("the loss never falls: start the ramp lower")
    if rule == "minimum":
        return float(rates[np.argmin(losses)] / 10)
    return float(rates[np.argmin(slopes)])
