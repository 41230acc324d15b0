"""The rule that chooses a learning rate from a sweep, or says why there is nothing to choose."""

import functools
import logging
import math

import numpy as np

from lrsweep._result import Choice, SweepResult
from lrsweep._validation import one_of, shorten

OTHERS = 10  # rates, the next best ones, that say how much luck there is
AT_LEAST = 3  # rates that say so, even where fewer are better than a constant answer
QUIET = 0.75  # share of them that counts: one noisy rate must not widen the plateau
FAILED = 20  # times the scatter of two rates that a third one's doesn't count from
LOUD = 5  # times the others' median scatter from which on a lowest mean is asked whether it's luck
CLEARLY = 2.75  # standard errors that a ratio must be above 1 to count: 95 % with five seeds
SURE = 0.95  # how often the whole of a flat region is to be found
LOSSES = ("loss", "val_loss")  # always the smaller, the better: training makes them small

_log = logging.getLogger("lrsweep")


def choose_learning_rate(result, metric="val_loss", mode=None):
    """Choose the learning rate in the middle of those that are as good as the best.

    For each rate, the metric at the end of training is averaged over the seeds. A rate at which
    the metric is not a finite number with some seed is left out, and so is one whose mean may be
    the best by luck alone. Around the rate with the best
    mean, those that luck alone could have put behind it form the plateau, and the choice is the
    rate nearest to the plateau's (geometric) middle that is better than a constant answer. Of two
    that are equally near, it's the better. See the notes for what luck can do.

    Parameters
    ----------
    result : SweepResult
    metric : str
        One of the result's.
    mode : str, optional
        "min" if the metric is to be small, "max" if it is to be large. Needed where
        `result.directions` does not say so, as with metrics of your own. It counts where they say
        otherwise, too; the explanation then says so, and the logger "lrsweep" warns.

    Returns
    -------
    Choice
        With attributes `learning_rate`, `explanation` (a text), `best`, `mean`,
        `standard_error` and `plateau` (its smallest and its largest rate).

    Raises
    ------
    ValueError
        If the sweep was interrupted, if nobody knows which way the metric is better, if no rate
        has a finite metric with every seed or is better than chance, or if the best is the
        smallest or the largest: then the sweep has not shown where the plateau ends.

    Notes
    -----
    Within a seed all rates share first weights and batches, so rates are compared seed by seed,
    and what a seed gives or takes from all of them cancels. The best mean of several is partly
    luck, so the others lie behind it even where all rates are equally good: with k such
    rates, n seeds and a normal scatter s of single trainings, the last is behind by q·s/√n at
    most in 95 of 100 sweeps. That q, a studentized range (J. W. Tukey, "The problem of multiple
    comparisons", 1953), is found by simulating such sweeps, so it allows for few seeds, and
    for the way in which s is measured. The plateau grows from the best rate to one neighbour
    after the other while each is behind by no more than q·s/√n, with k as many as it then has.

    The scatter s is that of the ten next best rates and the best one (of fewer, where fewer are
    better than a constant answer, but of three at least), after subtracting each rate's mean and
    each seed's effect on all of them: the mean variance of the quietest three quarters. (Of only
    three rates one that scatters more than 20 times as much as the others doesn't count, unless
    there are only two seeds.) So one rate with a wide error bar does not widen the plateau; a rate
    at which one seed failed is behind by more than the others' scatter allows, and ends it.

    A mean is more easily the best by luck where single trainings scatter a lot, as beyond the
    cliff. So with three seeds or more, the best rate is left out if it scatters more than 5 times
    as much as the median one of those that s is measured on, and isn't ahead of the best one that
    doesn't by 2.75 of that difference's own standard errors.

    Large losses often scatter more than small ones, in proportion to their size. So where the
    metric is to be small and never negative, as most losses are, logarithms are compared in the
    same way: a rate whose ratio to the best one is larger than luck makes it ends the plateau,
    too, unless that ratio itself is so uncertain that it lies within 2.75 of its own standard
    errors of 1. (A 0 counts as the sweep's smallest number above 0.) The price: where large
    losses scatter no more than small ones and rise steeply beside the plateau, their ratios
    scatter less than those within it, and its whole is found less often: in 83 of 100 sweeps of
    five seeds, in 75 of two or three, if losses double from rate to rate.

    If seeds make no difference at all, or there is only one, nobody knows what luck can do. Then
    there is no plateau, and the choice is the best rate.

    Examples
    --------
    >>> import numpy as np
    >>> from lrsweep import SweepResult
    >>> losses = np.array([[0.9, 0.8], [0.30, 0.31], [0.29, 0.31], [0.31, 0.3], [0.7, 0.5]])
    >>> result = SweepResult(
    ...     learning_rates=np.array([0.01, 0.1, 0.2, 0.4, 1.0]),
    ...     seeds=np.arange(2),
    ...     metrics={"val_loss": losses[:, :, np.newaxis]},
    ...     diverged=np.zeros((5, 2), bool),
    ... )
    >>> choice = choose_learning_rate(result)
    >>> print(choice.explanation)
    0.2 has the best val_loss 0.3 ± 0.01, the mean and standard error of 2 seeds.
    Seed by seed, the rates from 0.1 to 0.4 are at most 0.005 behind it, as luck alone can do;
    0.2 is nearest to their middle.
    >>> choice.plateau
    (0.1, 0.4)
    """
    if not isinstance(result, SweepResult):
        raise ValueError(
            "result must be a SweepResult, as sweep_learning_rates returns it, got "
            f"{shorten(result)}"
        )
    one_of("metric", metric, result.metrics)
    sign = -1 if _direction(result, metric, mode) == "max" else 1
    if result.interrupted:
        raise ValueError("the sweep must be complete to choose from it, this one was interrupted")
    table = _Table(result, metric, sign)
    best, tie = table.best()
    chance = result.chance.get(metric)
    guess = math.inf if chance is None else sign * chance
    if not table.alike:
        best = table.leave_out_lucky(best, guess)
    said = table.words(best)
    error = table.standard_error(best)
    if chance is not None and table.means[best] + np.nan_to_num(error) >= sign * chance:
        surely = "surely " if table.means[best] < sign * chance else ""
        side = "below" if sign == 1 else "above"
        within = f", no more than its standard error {side} that" if surely else ""
        raise ValueError(
            f"no learning rate is {surely}better than a constant answer ({metric} {chance:.4g}): "
            f"the best is {table.rates[best]:.3g} with {said}{within}{table.left_out('. ')}"
        )
    _check_not_at_the_end(table, best, said)
    ratios = sign == 1
    low, high = (best, best) if table.alike else _plateau(table.costs, best, guess, ratios)
    chosen = _middle(table, low, high, guess)
    return Choice(
        learning_rate=float(table.rates[chosen]),
        best=float(table.rates[best]),
        mean=float(sign * table.means[best]),
        standard_error=error,
        plateau=(float(table.rates[low]), float(table.rates[high])),
        explanation=_explain(table, best, tie, low, high, chosen) + _against(result, metric, mode),
    )


def _direction(result, metric, mode):
    """Return "min" or "max", never guessed."""
    if mode is not None:
        one_of("mode", mode, {"min", "max"})
    if metric in LOSSES:
        if mode == "max":
            raise ValueError(f"mode must be 'min' for {metric}: training makes it small")
        return "min"
    way = mode or result.directions.get(metric)
    if way is None:
        raise ValueError(
            f"nobody said which way {metric} is better, and its name is no proof: choose with "
            "mode='max' if it is to be large, mode='min' if it is to be small"
        )
    return way


def _against(result, metric, mode):
    """Warn of a mode against the direction that a metric is known to have; return it as a line."""
    known = result.directions.get(metric)
    if mode is None or known in (None, mode):
        return ""
    size = {"max": "large", "min": "small"}[known]
    text = f"mode={mode!r} was given, although {metric} is known to be better if it is {size}."
    _log.warning("%s", text)
    return f"\n{text}"


class _Table:
    """A metric at the end of all trainings.

    Attributes
    ----------
    rates : array of shape (rates,)
        Rising.
    costs : array of shape (rates, seeds)
        The smaller, the better. nan in all of a row in which a seed's is not a finite number.
    means : array of shape (rates,)
        Infinite where the costs are nan.
    alike : str
        Why the seeds say nothing about luck; "" if they do.
    """

    def __init__(self, result, metric, sign):
        self.result, self.metric, self.sign = result, metric, sign
        self.order = np.argsort(result.learning_rates)
        self.rates = result.learning_rates[self.order]
        costs = sign * result.final(metric)[self.order].astype(float)
        usable = np.isfinite(costs).all(axis=1)
        diverged = result.diverged[self.order].any(axis=1)
        self.undefined = self.rates[~usable & ~diverged]  # the metric is nan, the loss is not
        if not usable.any():
            raise ValueError(self._why_nothing_is_usable(diverged))
        self.costs = np.where(usable[:, None], costs, np.nan)
        self.means = np.where(usable, costs.mean(axis=1), np.inf)
        self.seeds = costs.shape[1]
        self.alike, self.lucky = self._why_alike(), []

    def best(self):
        """Return the place of the best rate, and words on how a tie was broken."""
        tied = np.flatnonzero(np.isclose(self.means, self.means.min(), rtol=1e-12, atol=0))
        if len(tied) == 1:
            return int(tied[0]), ""
        loss = "val_loss" if self.metric.startswith("val_") else "loss"
        best, why = tied[0], "the smallest of them"
        if loss != self.metric and loss in self.result.metrics:
            losses = self.result.final(loss)[self.order][tied].mean(axis=1)
            if np.isfinite(losses).any():
                best = tied[np.nanargmin(losses)]
                why = f"the one of them with the smallest {loss}, {np.nanmin(losses):.4g}"
        value = self.sign * self.means[best]
        return int(best), (
            f"{len(tied)} learning rates share the best {self.metric}, {value:.4g}: "
            f"{_listed(self.rates[tied])}. {self.rates[best]:.3g} is {why}."
        )

    def leave_out_lucky(self, best, guess):
        """Leave out rates whose means may be the best by luck alone; return the best of the others.

        Their costs and means become those of rates that are not usable.
        """
        near = _near(self.means, best, guess)
        own = np.sqrt(_variances(self.costs[near]))
        loud = own > LOUD * np.median(own)
        if self.seeds < 3 or not np.median(own) > 0 or not loud[0]:
            return best
        steady = [place for place, it in zip(near, loud) if not it]
        for place in near[: int(np.argmin(loud))]:  # up to the first steady one
            ahead = self.costs[steady[0]] - self.costs[place]
            if ahead.mean() > CLEARLY * ahead.std(ddof=1) / math.sqrt(self.seeds):
                return place
            self.lucky.append((self.rates[place], self.words(place)))
            self.costs[place], self.means[place] = np.nan, np.inf
        return steady[0]

    def standard_error(self, place):
        """Return the standard error of a rate's mean, nan if nobody knows it."""
        if self.alike:
            return math.nan
        return float(self.costs[place].std(ddof=1) / math.sqrt(self.seeds))

    def words(self, place):
        """Return "val_loss 0.3 ± 0.01" for a rate, with ± only where the seeds differ."""
        error = self.standard_error(place)
        mean = f"{self.metric} {self.sign * self.means[place]:.4g}"
        return f"{mean} ± {error:.2g}" if error > 0 else mean

    def left_out(self, before=""):
        """Say which rates may be the best by luck alone, in lines or after `before`; "" if none."""
        said = (" " if before else "\n").join(
            f"{rate:.3g} has {words}, but scatters more than {LOUD} times as much as most, "
            "and isn't clearly better than the best that doesn't: left out."
            for rate, words in self.lucky
        )
        return said and before + said

    def _why_alike(self):
        if self.seeds == 1:
            return "with a single seed, so nobody knows what luck did"
        ends = [self.result.final(name) for name in self.result.metrics]
        if all(np.array_equal(each, each[:, :1].repeat(self.seeds, 1), True) for each in ends):
            return (
                f"but all {self.seeds} seeds gave identical numbers and count as one, so nobody "
                "knows what luck did. Does build_model set a seed of its own"
            )
        return ""

    def _why_nothing_is_usable(self, diverged):
        if diverged.all():
            return "every learning rate diverged with some seed: sweep smaller ones"
        text = (
            f"{self.metric} is not a finite number with some seed at {_listed(self.undefined)}, "
            "although the loss is: choose by another metric, or look at how this one is computed"
        )
        if diverged.any():
            text += f". At {_listed(self.rates[diverged])} a training diverged: sweep smaller ones"
        return text


def _check_not_at_the_end(table, best, said):
    rates = table.rates
    if best in (0, len(rates) - 1):
        end, more = ("largest", "larger") if best else ("smallest", "smaller")
        raise ValueError(
            f"{rates[best]:.3g}, with {said}, is the best and the {end} of the sweep: "
            f"sweep {more} ones too{table.left_out('. ')}"
        )


def _plateau(costs, best, guess=math.inf, ratios=True):
    """Return the first and the last place of the rates around the best that luck may have parted.

    Parameters
    ----------
    costs : array of shape (rates, seeds)
        With at least two seeds; rows of nan are not part of a plateau.
    best : int
    guess : float
        What a constant answer costs.
    ratios : bool
        Whether costs are compared by their ratios, too.
    """
    means = np.where(np.isnan(costs[:, 0]), np.inf, costs.mean(axis=1))
    near = _near(means, best, guess)
    seeds = costs.shape[1]
    error, behind = _scatter(costs[near]) / math.sqrt(seeds), means - means[best]
    logs = _logarithms(costs) if ratios else np.zeros_like(costs)
    ratio_error, logs = _scatter(logs[near]) / math.sqrt(seeds), logs - logs[best]
    clearly = logs.mean(axis=1) > CLEARLY * logs.std(axis=1, ddof=1) / math.sqrt(seeds)
    larger = np.where(clearly, logs.mean(axis=1), -np.inf)
    rounding = 1e-12 * abs(means[best]), 1e-12
    low = high = best
    while True:
        sides = [p for p in (low - 1, high + 1) if 0 <= p < len(means) and np.isfinite(means[p])]
        if not sides:
            return low, high
        luck = _luck(high - low + 2, len(near) - 1, seeds)
        near_enough = [
            place
            for place in sides
            if behind[place] <= rounding[0] + error * luck
            and larger[place] <= rounding[1] + ratio_error * luck
        ]
        if not near_enough:
            return low, high
        nearest = min(near_enough, key=lambda place: behind[place])
        low, high = min(low, nearest), max(high, nearest)


def _near(means, best, guess):
    """Return the places of the best rate and of those next best that say how much luck there is."""
    others = np.argsort(np.where(np.arange(len(means)) == best, -np.inf, means), kind="stable")
    return [
        place
        for number, place in enumerate(others[: OTHERS + 1])
        if np.isfinite(means[place]) and (number < AT_LEAST or means[place] < guess)
    ]


def _logarithms(costs):
    """Return the costs' logarithms, 0 counting as the smallest above it.

    Where some are negative or none is positive, there are no ratios: all are 0.
    """
    if np.nanmin(costs) < 0 or np.nanmax(costs) == 0:
        return np.zeros_like(costs)
    return np.log(np.maximum(costs, costs[costs > 0].min()))


def _variances(costs):
    """Return each rate's variance of single trainings, without what a seed gives to all rates."""
    left = costs - costs.mean(axis=-1, keepdims=True)
    left = left - np.median(left, axis=-2, keepdims=True)  # what the seed gives to all
    left = left - left.mean(axis=-1, keepdims=True)
    return (left**2).sum(axis=-1) / (costs.shape[-1] - 1)


def _scatter(costs):
    """Return the standard deviation of single trainings that is not the rate's nor the seed's.

    Parameters
    ----------
    costs : array of shape (..., rates, seeds)
    """
    variances = np.sort(_variances(costs), axis=-1)
    quiet = max(1, math.ceil(QUIET * variances.shape[-1]))
    mean = variances[..., :quiet].mean(axis=-1)
    if variances.shape[-1] == 3 and costs.shape[-1] > 2:  # of which three quarters are all
        two = variances[..., :2].mean(axis=-1)
        mean = np.where(variances[..., 2] > FAILED**2 * two, two, mean)
    return np.sqrt(mean)


@functools.lru_cache(maxsize=1000)
def _luck(count, others, seeds):
    """Return how far the last of some equally good rates is behind the best one, by luck.

    In 95 of 100 sweeps it is no further, in units of `_scatter` / √seeds; from simulated sweeps.

    Parameters
    ----------
    count : int
        How many rates are compared, the best one among them.
    others : int
        How many rates beside the best one the scatter is measured on.
    seeds : int
    """
    rates = max(count, others + 1)
    sweeps = int(np.clip(400_000 // (rates * seeds), 400, 4000))
    costs = np.random.default_rng(0).normal(size=(sweeps, rates, seeds))
    order = np.argsort(costs.mean(axis=-1), axis=1)
    costs = np.take_along_axis(costs, order[:, :, np.newaxis], axis=1)  # the best rate first
    scatter = _scatter(costs[:, : others + 1])
    means = costs.mean(axis=-1)
    # The others come in any order: take those that come first in one that knows no means.
    shuffled = np.random.default_rng(1).permuted(means[:, 1:], axis=1)
    behind = shuffled[:, : count - 1].max(axis=1) - means[:, 0]
    return float(np.quantile(behind / (scatter / math.sqrt(seeds)), SURE))


def _middle(table, low, high, chance):
    """Return the place of the rate nearest to the geometric middle of a plateau.

    Of two that are equally near it's the better, and of two that are as good the smaller. One
    that is no better than a constant answer, whose cost is `chance`, isn't chosen.
    """
    rates, means = table.rates[low : high + 1], table.means[low : high + 1]
    away = np.where(means < chance, _away(rates), np.inf)
    return low + int(np.lexsort((rates, means, away))[0])


def _explain(table, best, tie, low, high, chosen):
    """Return the choice in words."""
    rates, said = table.rates, table.words(best)
    lines = [tie] if tie else []
    if table.lucky:
        lines.append(table.left_out())
    if table.alike:
        end = "." if table.seeds == 1 else "?"
        lines.append(f"{rates[best]:.3g} has the best {said}, {table.alike}{end}")
    else:
        error = table.standard_error(best)
        of = "the mean and standard error of" if error > 0 else "the same with each of"
        lines.append(f"{rates[best]:.3g} has the best {said}, {of} {table.seeds} seeds.")
        lines.append(_explain_plateau(table, best, low, high, chosen))
    if len(table.undefined):
        lines.append(
            f"{table.metric} is not a finite number with some seed at {_listed(table.undefined)}, "
            "although the loss is: left out."
        )
    return "\n".join(lines)


def _explain_plateau(table, best, low, high, chosen):
    rates = table.rates
    if low == high:
        return _explain_neighbours(table, best)
    behind = (table.means - table.means[best])[low : high + 1].max()
    how = f"at most {behind:.2g} behind it, as luck alone can do" if behind > 0 else "as good"
    text = (
        f"Seed by seed, the rates from {rates[low]:.3g} to {rates[high]:.3g} are {how};\n"
        f"{rates[chosen]:.3g} is {_why_chosen(table, low, high, chosen)}."
    )
    if low == 0 or high == len(rates) - 1:
        text += " The plateau reaches the end of the sweep and may go on."
    return text


def _explain_neighbours(table, best):
    """Say why the rates on both sides of the best one are no part of the plateau."""
    sides = np.array([best - 1, best + 1])
    lost = table.rates[sides[~np.isfinite(table.means[sides])]]
    none = f"no finite {table.metric} with some seed"
    if table.lucky and len(lost):
        return "Seed by seed, those next to it are further behind than luck puts them, or left out."
    if len(lost) == 2:
        return f"By itself: the rates next to it, {_listed(lost)}, have {none}."
    if len(lost) == 0:
        return "Seed by seed, the rates next to it are further behind than luck alone puts them."
    (other,) = table.rates[sides[np.isfinite(table.means[sides])]]
    return (
        f"Seed by seed, {other:.3g} is further behind than luck alone puts it, and {lost[0]:.3g} "
        f"has {none}."
    )


def _away(rates):
    """Return how far, in powers of e, rates lie from the geometric middle of their ends."""
    return np.abs(np.log(rates / math.sqrt(rates[0] * rates[-1]))).round(9)


def _why_chosen(table, low, high, chosen):
    away = _away(table.rates[low : high + 1])
    if away[chosen - low] > away.min():
        return "the one nearest to their middle that is better than a constant answer"
    if np.count_nonzero(away == away.min()) == 2:
        two = table.means[low : high + 1][away == away.min()]
        how = "better" if two[0] != two[1] else "smaller"
        return f"the {how} of the two in their middle"
    return "nearest to their middle"


def _listed(rates):
    """Return "0.1, 0.2 and 0.4", or the ends of more than four."""
    words = [f"{rate:.3g}" for rate in rates]
    if len(words) > 4:
        return f"{len(words)} rates from {words[0]} to {words[-1]}"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
