"""What a sweep measured, and the rule by which the course chooses from it."""

from dataclasses import dataclass, field

import numpy as np

from utils import checks

_HIGHER_IS_BETTER = ("acc", "auc", "f1", "iou", "precision", "r2", "recall", "similarity")


@dataclass(frozen=True)
class SweepResult:
    """What a sweep measured.

    Attributes
    ----------
    learning_rates : array of shape (rates,)
    seeds : array of shape (seeds,)
    metrics : dict of float array of shape (rates, seeds, epochs)
        By Keras's names: "loss", "val_loss", and the compiled metrics with and without
        "val_". nan from the epoch on in which a training diverged, or was not reached.
    diverged : bool array of shape (rates, seeds)
        Whether the loss stopped being a finite number.
    engine, reason : str
        How it was trained, "stacked" or "one by one", and why so.
    interrupted : bool
        Whether Ctrl-C ended it early.
    chance : dict of float
        Where it is known, what the best constant answer scores on the validation examples:
        as much as a model that has learned nothing from its inputs.
    """

    learning_rates: np.ndarray
    seeds: np.ndarray
    metrics: dict
    diverged: np.ndarray
    engine: str = ""
    reason: str = ""
    interrupted: bool = False
    chance: dict = field(default_factory=dict)

    def to_frame(self):
        """Return a pandas frame with a row for each learning rate, seed and epoch (from 1)."""
        import pandas as pd

        rate, seed, epoch = (i.ravel() for i in np.indices(self.metrics["loss"].shape))
        columns = {
            "learning_rate": self.learning_rates[rate],
            "seed": self.seeds[seed],
            "epoch": epoch + 1,
            "diverged": self.diverged[rate, seed],
        }
        return pd.DataFrame(columns | {name: v.ravel() for name, v in self.metrics.items()})


@dataclass(frozen=True)
class Choice:
    """A learning rate and the reasons for it.

    Attributes
    ----------
    learning_rate : float
        The one in the middle of the plateau.
    best, mean, standard_error : float
        The rate with the best mean over the seeds, that mean, and its standard error (nan
        with a single seed).
    plateau : tuple of two floats
        The smallest and the largest rate around the best with a mean as good as the best's,
        give or take its standard error.
    explanation : str
        All this in words.
    """

    learning_rate: float
    best: float
    mean: float
    standard_error: float
    plateau: tuple
    explanation: str


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

    Raises
    ------
    ValueError
        If the sweep was interrupted, if no rate is better than chance, or if the best is the
        smallest or the largest: then the sweep has not shown where the plateau ends.
    """
    checks.one_of("metric", metric, result.metrics)
    if result.interrupted:
        raise ValueError("the sweep must be complete to choose from it, this one was interrupted")
    order = np.argsort(result.learning_rates)
    rates, seeds = result.learning_rates[order], len(result.seeds)
    sign = -1 if any(word in metric for word in _HIGHER_IS_BETTER) else 1
    scores = sign * result.metrics[metric][order, :, -1]
    means = np.where(np.isfinite(scores).all(axis=1), scores.mean(axis=1), np.inf)
    best = int(np.argmin(means))
    if np.isinf(means[best]):
        raise ValueError("every learning rate diverged with some seed: sweep smaller ones")
    error = scores[best].std(ddof=1) / np.sqrt(seeds) if seeds > 1 else np.nan
    margin = np.nan_to_num(error)
    said = f"{metric} {sign * means[best]:.4g}" + (f" ± {error:.2g}" if seeds > 1 else "")
    chance = result.chance.get(metric)
    if chance is not None and means[best] + margin >= sign * chance:
        raise ValueError(
            f"no learning rate is better than a constant answer ({metric} {chance:.4g}): "
            f"the best is {rates[best]:.3g} with {said}"
        )
    if best in (0, len(rates) - 1):
        end, more = ("largest", "larger") if best else ("smallest", "smaller")
        raise ValueError(
            f"{rates[best]:.3g}, with {said}, is the best and the {end} of the sweep: "
            f"sweep {more} ones too"
        )
    good = means <= means[best] + margin
    low = best - int(np.argmin(np.append(good[best::-1], False))) + 1
    high = best + int(np.argmin(np.append(good[best:], False))) - 1
    middle = np.sqrt(rates[low] * rates[high])
    chosen = low + int(np.argmin(np.abs(np.log(rates[low : high + 1] / middle))))
    explanation = f"{rates[best]:.3g} has the best {said}, "
    if seeds == 1:
        explanation += "with a single seed, so nobody knows what luck did."
    else:
        explanation += (
            f"the mean and standard error of {seeds} seeds.\nWithin that error, all rates from "
            f"{rates[low]:.3g} to {rates[high]:.3g} are as good; {rates[chosen]:.3g} is nearest "
            "to their middle."
        )
    if low == 0 or high == len(rates) - 1:
        explanation += " The plateau reaches the end of the sweep and may go on."
    plateau = float(rates[low]), float(rates[high])
    best, mean = float(rates[best]), float(sign * means[best])
    return Choice(float(rates[chosen]), best, mean, float(error), plateau, explanation)
