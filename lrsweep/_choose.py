"""The rule that chooses a learning rate from a sweep, or says why there is nothing to choose."""

import numpy as np

from lrsweep._result import Choice
from lrsweep._validation import one_of

_HIGHER_IS_BETTER = ("acc", "auc", "f1", "iou", "precision", "r2", "recall", "similarity")


def choose_learning_rate(result, metric="val_loss"):
    """Choose the learning rate in the middle of those that are as good as the best.

    For each rate, the metric after the last epoch is averaged over the seeds; a rate with a
    diverged training counts as infinitely bad. Around the best rate, those whose mean is
    within one standard error of the best mean form the plateau, and the choice is the rate
    nearest to the plateau's (geometric) middle.

    Parameters
    ----------
    result : SweepResult
    metric : str
        One of the result's.

    Returns
    -------
    Choice
        With attributes `learning_rate`, `explanation` (a text), `best`, `mean`,
        `standard_error` and `plateau` (its smallest and its largest rate).

    Raises
    ------
    ValueError
        If the sweep was interrupted, if no rate is better than chance, or if the best is the
        smallest or the largest: then the sweep has not shown where the plateau ends.

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
    Within that error, all rates from 0.1 to 0.4 are as good; 0.2 is nearest to their middle.
    >>> choice.plateau
    (0.1, 0.4)
    """
    one_of("metric", metric, result.metrics)
    if result.interrupted:
        raise ValueError("the sweep must be complete to choose from it, this one was interrupted")
    order = np.argsort(result.learning_rates)
    rates, seeds = result.learning_rates[order], len(result.seeds)
    sign = -1 if any(word in metric for word in _HIGHER_IS_BETTER) else 1
    costs = sign * result.metrics[metric][order, :, -1]  # the smaller, the better
    means = np.where(np.isfinite(costs).all(axis=1), costs.mean(axis=1), np.inf)
    best = int(np.argmin(means))
    if np.isinf(means[best]):
        raise ValueError("every learning rate diverged with some seed: sweep smaller ones")
    error = float(costs[best].std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else np.nan
    limit = means[best] + np.nan_to_num(error)
    said = f"{metric} {sign * means[best]:.4g}" + (f" ± {error:.2g}" if seeds > 1 else "")
    chance = result.chance.get(metric)
    if chance is not None and limit >= sign * chance:
        raise ValueError(
            f"no learning rate is better than a constant answer ({metric} {chance:.4g}): "
            f"the best is {rates[best]:.3g} with {said}"
        )
    _check_not_at_the_end(rates, best, said)
    low, high = _run_around(means <= limit, best)
    middle = np.sqrt(rates[low] * rates[high])
    chosen = low + int(np.argmin(np.abs(np.log(rates[low : high + 1] / middle))))
    return Choice(
        learning_rate=float(rates[chosen]),
        best=float(rates[best]),
        mean=float(sign * means[best]),
        standard_error=error,
        plateau=(float(rates[low]), float(rates[high])),
        explanation=_explain(rates, seeds, said, best, low, high, chosen),
    )


def _check_not_at_the_end(rates, best, said):
    if best in (0, len(rates) - 1):
        end, more = ("largest", "larger") if best else ("smallest", "smaller")
        raise ValueError(
            f"{rates[best]:.3g}, with {said}, is the best and the {end} of the sweep: "
            f"sweep {more} ones too"
        )


def _run_around(good, place):
    """Return the first and the last index of the unbroken run of true values around a place."""
    low = high = place
    while low > 0 and good[low - 1]:
        low -= 1
    while high < len(good) - 1 and good[high + 1]:
        high += 1
    return low, high


def _explain(rates, seeds, said, best, low, high, chosen):
    text = f"{rates[best]:.3g} has the best {said}, "
    if seeds == 1:
        text += "with a single seed, so nobody knows what luck did."
    else:
        text += (
            f"the mean and standard error of {seeds} seeds.\nWithin that error, all rates from "
            f"{rates[low]:.3g} to {rates[high]:.3g} are as good; {rates[chosen]:.3g} is nearest "
            "to their middle."
        )
    if low == 0 or high == len(rates) - 1:
        text += " The plateau reaches the end of the sweep and may go on."
    return text
