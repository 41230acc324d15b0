"""What a range test recorded, and the learning rates that its curve suggests.

What such a curve says is known exactly for the loss λw²/2 and plain gradient descent at the
rate η, when each rate of the ramp is a factor q above the one before. Each update multiplies w
by 1 − ηλ, so while ηλ is small, ln(loss) falls by 2ηλ per update. An update is a step ln(q) in
ln(η), so the loss follows exp(−2λη/ln q), whose steepest point on a logarithmic axis is
η = ln(q)/(2λ): it depends on the ramp as much as on the model. The minimum is where
|1 − ηλ| = 1, at η = 2/λ, for every ramp that is not too short.

So the answer is an order of magnitude for a sweep to start from, no more. The rules that read it
off are those of fastai's `lr_find`, the most widely used ones, by the same names; each function
below says what it computes and who thought of it.
"""

import math
from dataclasses import dataclass

import numpy as np

from lrsweep._validation import array, one_of, share_below_one

RECENT = 8  # losses that are judged together before a test ends as exploded
BEYOND = 7  # of them that must lie beyond the limit
BEFORE = 20  # losses that must have come before those
UPPER = 0.95  # share of the losses before that lies below what counts as their upper end


@dataclass(frozen=True)
class RangeTest:
    """What a range test recorded, here or elsewhere: any rising rates and their losses.

    Attributes
    ----------
    learning_rates : array of shape (updates,)
        The ramp, as far as the test came: positive and rising.
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
        If rates and losses are not two equally long rows of finite numbers, if the rates are
        not positive and rising, or if the memory is not at least 0 and below 1.

    Examples
    --------
    >>> RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.5, 0.5, 3.0]).suggest("steep")
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
        rates, losses = self.learning_rates, self.losses
        if len(rates) != len(losses):
            raise ValueError(
                "learning_rates and losses must have the same length, "
                f"got {len(rates)} and {len(losses)}"
            )
        if rates[0] <= 0 or np.any(np.diff(rates) <= 0):
            raise ValueError(f"learning_rates must be positive and rising, got {rates.tolist()}")

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
        average, smoothed = 0.0, []
        for count, loss in enumerate(self.losses, start=1):
            average = self.memory * average + (1 - self.memory) * loss
            smoothed.append(average / (1 - self.memory**count))
        return np.array(smoothed)

    def suggest(self, rule="minimum"):
        """Return a learning rate to centre a sweep on.

        All rules read the smoothed losses. The first 1/(1 − memory) of them are left out: until
        then the average is one of few losses, and its jumps are noise. So are the last 8 of a
        test that ended because the loss exploded, which are that explosion. (fastai leaves out a
        tenth of the ramp at its start, which is as much for 100 updates and a memory of 0.9, and
        always the last 5 losses.)

        Parameters
        ----------
        rule : str
            By fastai's names, from its `callback/schedule.py`:

            * "minimum": a tenth of the rate with the smallest loss; S. Gugger, "How do you find
              a good learning rate", 2018.
            * "steep": where the loss falls fastest on the logarithmic axis, by forward
              differences: the rate before that fall.
            * "valley": halfway down the longest fall of the loss; by ESRI, 2021.
            * "slide": two points, 15 losses apart, slide down from the end of the curve until
              their slopes are nearly the same; the lower one; by A. Chang of Novetta, 2019.
              "Nearly" means to 0.005 in the loss's own unit, so it suits losses around 1.

            The default is the one that found a rate within twice the best loss most often in
            `benchmarks/range_test.py`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If there are too few losses, or if the loss never falls, so that there is nothing to
            suggest.

        Examples
        --------
        >>> test = RangeTest([0.001, 0.01, 0.1, 1.0], [2.0, 1.5, 0.5, 3.0])
        >>> test.suggest("minimum"), test.suggest("steep"), test.suggest("valley")
        (0.01, 0.01, 0.001)
        """
        rule = _RULES[one_of("rule", rule, _RULES)]
        unsettled = math.ceil(1 / (1 - self.memory) - 1e-9) if self.memory else 0
        used = slice(unsettled, -RECENT if self.stopped == "loss exploded" else None)
        rates, losses = self.learning_rates[used], self.smoothed[used]
        if len(rates) < 3:
            raise ValueError(self._too_short(unsettled))
        if np.argmin(losses) == 0:
            raise ValueError(
                f"the loss never falls below {losses[0]:.3g}, where it is at the rate "
                f"{rates[0]:.3g}, so there is nothing to suggest: start the ramp lower"
                + (", or make it longer" if self.stopped != "loss exploded" else "")
            )
        return float(rule(rates, losses))

    def _too_short(self, unsettled):
        """Say why there are too few losses to suggest anything, and what to do about it."""
        count, last = len(self.losses), self.learning_rates[-1]
        text = "a suggestion needs at least 3 losses"
        if unsettled:
            text += f" after the first {unsettled}, which settle the average (memory={self.memory})"
        if self.stopped == "loss exploded":
            text += f" and before the last {RECENT}, in which the loss explodes"
        text += f"; got {count} in all"
        if self.stopped in ("loss exploded", "loss not finite"):
            return (
                f"{text}: the test ended early, at the rate {last:.3g} ({self.stopped}). Start the "
                "ramp lower, or raise the rate more gently, with more updates"
            )
        return f"{text}. Make the ramp longer, with more updates, or the memory smaller"

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


def exploded(losses, explosion):
    """Tell whether losses have left for good the range in which they were before.

    The limit is as far above the lowest level as `explosion` times the way from there to the
    upper end of the losses. Differences only, no multiples of a loss: it may be near or below zero.
    The lowest level is the smallest median of 8 successive losses. The upper end is what 95 % lie
    below, of the losses up to that lowest level, at least of the first half and of the first 20.

    7 of the last 8 losses must lie beyond it. That is what tells an explosion from noise of
    whatever shape: of losses that only scatter, one in twenty lies beyond the upper end, rare
    positives and heavy tails included, and 7 of 8 of them once in a million.

    Parameters
    ----------
    losses : sequence of float
    explosion : float

    Returns
    -------
    bool
        Never true for fewer than 28 losses.
    """
    losses = np.asarray(losses)
    before, recent = losses[:-RECENT], losses[-RECENT:]
    if len(before) < BEFORE:
        return False
    levels = np.median(np.lib.stride_tricks.sliding_window_view(before, RECENT), axis=1)
    lowest = int(np.argmin(levels))
    calm = before[: max(lowest + RECENT, len(before) // 2, BEFORE)]
    upper = np.quantile(calm, UPPER, method="higher")
    limit = max(upper, levels[lowest] + explosion * (upper - levels[lowest]))
    return bool(np.count_nonzero(recent > limit) >= BEYOND)


def _minimum(rates, losses):
    """Return a tenth of the rate of the smallest loss."""
    return rates[np.argmin(losses)] / 10


def _steep(rates, losses):
    """Return the lower end of the step along which the loss falls most per ln(rate)."""
    return rates[np.argmin(np.diff(losses) / np.diff(np.log(rates)))]


def _valley(rates, losses):
    """Return the rate halfway down the longest fall, counted in losses.

    The longest fall is the longest sequence of losses, not necessarily neighbours, each of which
    is below the one before; of several, the one that ends first. If it has n losses, the rule
    counts back n places from its last one, and from there goes forward a third of n and half as
    much again, both rounded down.
    """
    length = np.ones(len(losses), int)  # of the longest fall that ends at each loss
    for place in range(1, len(losses)):
        above = length[:place][losses[:place] > losses[place]]
        length[place] += above.max(initial=0)
    last = int(np.argmax(length))
    count = int(length[last])
    if count < 3:
        raise ValueError(
            "the rule 'valley' needs a fall of at least 3 losses, the longest here has 2: make the "
            "ramp longer, or take another rule"
        )
    return rates[last - count + int(count / 3) + int(count / 6)]


def _slide(rates, losses, apart=15, nearly=0.005):
    """Return the lower of two points that slide down the curve until their slopes are alike.

    The slopes are central differences from loss to loss. The upper point starts at the last loss.
    The answer is the last lower point at which the slopes were still different, or the
    first place of all if they never were.
    """
    if len(losses) <= apart:
        raise ValueError(
            f"the rule 'slide' compares losses {apart} apart and needs at least {apart + 1} of "
            f"them once the average has settled, got {len(losses)}: make the ramp longer, or take "
            "another rule"
        )
    slopes = np.gradient(losses)
    unlike = np.abs(slopes[apart:] - slopes[:-apart]) > nearly  # by the place of the lower one
    alike = np.flatnonzero(~unlike)
    lower = alike[-1] + 1 if len(alike) else 0
    return rates[min(lower, len(unlike) - 1)]


_RULES = {"minimum": _minimum, "slide": _slide, "steep": _steep, "valley": _valley}
