"""A sweep that finds its learning rates by itself: `learning_rates=None`.

The rates are whole and half powers of ten. They lie around what a range test suggests, reach
further while the best one is the smallest or the largest, and are put closer around the best one
at the end, all within a budget of trainings.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np

from lrsweep._examples import Stream
from lrsweep._range_test import range_test

REACH = {True: (2, 2), False: (3, 1)}  # steps of half a power of ten below and above the centre
STEP, CLOSER = 2, 2  # rates added at an end, and around the best
LIMITS = -20, 8  # half powers of ten: no rate is smaller than 1e-10 or larger than 1e4


def sweep_a_grid(prepared, budget, keep=None, executor=None, progress=True):
    """Sweep a model at rates that are found on the way.

    Parameters
    ----------
    prepared : Prepared
    budget : int
        At most this many trainings: at least as many as there are seeds.
    keep, executor, progress
        As for `sweep_learning_rates`.

    Returns
    -------
    SweepResult
        Its `reason` says also how the rates were found.
    """
    with prepared.keeper(keep, None):
        grid = _Grid(prepared, budget, keep, executor, progress)
        grid.run()
        return grid.result()


class _Grid:
    def __init__(self, prepared, budget, keep, executor, progress):
        self.prepared, self.budget = prepared, budget
        self.keep, self.how = keep, (executor, progress)
        self.most = budget // len(prepared.seeds)  # rates
        self.parts, self.said = [], []

    def run(self):
        centre, why = _centre(self.prepared)
        plain = isinstance(_inner(self.prepared.probe.model.optimizer), keras.optimizers.SGD)
        below, above = REACH[plain]
        middle = min(max(round(2 * np.log10(centre)), LIMITS[0] + below), LIMITS[1] - above)
        places = sorted(range(middle - below, middle + above + 1), key=lambda it: abs(it - middle))
        places = sorted(places[: self.most])
        self._sweep(places)
        self.said.append(f"{why}, so {_listed(places)} came first")
        while self.missing > 0 and not self.interrupted:
            end = self._end_of_the_best()
            if end is None:
                self._closer()
                return
            low, high = round(2 * np.log10(self.rates[0])), round(2 * np.log10(self.rates[-1]))
            further = {
                "smallest": range(low - STEP, low),
                "largest": range(high + 1, high + STEP + 1),
            }[end]
            further = [it for it in further if LIMITS[0] <= it <= LIMITS[1]]
            further = further[-self.missing :] if end == "smallest" else further[: self.missing]
            if not further:
                return
            self.said.append(f"the best was the {end}, so {_listed(further)} followed")
            self._sweep(further)

    def _sweep(self, places):
        self._sweep_rates(np.array([_rate(place) for place in places]))

    def _sweep_rates(self, rates):
        keep = self.keep and Path(self.keep) / "_".join(f"{rate:.3g}" for rate in rates)
        self.parts.append(self.prepared.sweep(rates, keep, *self.how))

    def _closer(self):
        """Put rates between the best one and its neighbours."""
        if self.missing < CLOSER:
            return
        best = int(np.argmin(self.costs))
        around = self.rates[best - 1 : best + 2]
        rates = np.sqrt(around[1:] * around[:-1])
        self.said.append(
            f"between {around[0]:.3g} and {around[2]:.3g} came {rates[0]:.3g} and {rates[1]:.3g}"
        )
        self._sweep_rates(rates)

    @property
    def interrupted(self):
        return self.parts[-1].interrupted

    @property
    def missing(self):
        """How many rates the budget still allows."""
        return self.most - len(self.rates)

    @property
    def rates(self):
        return np.sort(np.concatenate([part.learning_rates for part in self.parts]))

    @property
    def costs(self):
        """The mean validation loss of each rate, infinite where a training diverged."""
        result = _joined(self.parts)
        name = "val_loss" if "val_loss" in result.metrics else "loss"
        last = result.last_epochs[:, :, np.newaxis]
        losses = np.take_along_axis(result.metrics[name], np.maximum(last, 0), axis=2)[:, :, 0]
        bad = result.diverged | ~np.isfinite(losses)
        return np.where(bad, np.inf, losses).mean(axis=1)

    def _end_of_the_best(self):
        """Return "smallest" or "largest" if the best rate is an end of the grid, else None."""
        best = int(np.argmin(self.costs))  # the smallest rate if all diverge
        if best == 0:
            return "smallest"
        return "largest" if best == len(self.rates) - 1 else None

    def result(self):
        """Return one result, with the rates in order."""
        joined, seeds = _joined(self.parts), len(self.prepared.seeds)
        said = f"{'; '.join(self.said)}; {len(self.rates)} rates × {seeds} seeds in all"
        end = None if self.interrupted else self._end_of_the_best()
        if end and self.missing <= 0:
            said += (
                f"; the best is still the {end}, but the budget of {self.budget} trainings is used "
                "up: give a larger one"
            )
        elif end:
            said += f"; the best is still the {end}, and no rate beyond it is tried"
        return dataclasses.replace(joined, reason=f"{joined.reason}. The learning rates: {said}")


def _rate(place):
    """Return a half power of ten, the same number wherever it comes from."""
    return float(f"{10 ** (place / 2):.3g}")


def _listed(places):
    rates = [f"{_rate(place):.3g}" for place in places]
    return rates[0] if len(rates) == 1 else f"{', '.join(rates[:-1])} and {rates[-1]}"


def _inner(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


def _centre(prepared):
    """Return where to begin, and why there."""
    experiment, probe = prepared.experiment, prepared.probe
    own = float(probe.parts.memory[-1].numpy()) / probe.scale
    try:
        if isinstance(experiment.train, Stream):
            raise ValueError("it needs arrays")
        model = experiment.build(int(prepared.seeds[0]))
        size = min(experiment.batch_size, len(experiment.train))
        suggested = range_test(model, experiment.train.parts, batch_size=size).suggest()
    except ValueError as error:
        reason = str(error).splitlines()[0]
        if not own > 0:
            raise ValueError(
                f"learning_rates must be given: a range test found nothing ({reason}), and the "
                f"optimizer's own rate, {own:.3g}, is no place to begin"
            ) from error
        return (
            own,
            f"a range test found nothing ({reason}) and the optimizer's own rate is {own:.3g}",
        )
    return suggested, f"a range test suggested {suggested:.3g}"


def _joined(parts):
    """Return one result of several sweeps at other rates, with the rates in order."""
    rates = np.concatenate([part.learning_rates for part in parts])
    order = np.argsort(rates)

    def joined(arrays):
        return np.concatenate(arrays)[order]

    first = next((part for part in parts if part.engine != "vectorized"), parts[0])
    reason = first.reason
    if first.engine == "vectorized":
        count = sum(part.diverged.size for part in parts)
        reason = f"the {count} copies do not influence each other"
    return dataclasses.replace(
        first,
        reason=reason,
        learning_rates=rates[order],
        metrics={name: joined([part.metrics[name] for part in parts]) for name in first.metrics},
        diverged=joined([part.diverged for part in parts]),
        last_epochs=joined([part.last_epochs for part in parts]),
        interrupted=any(part.interrupted for part in parts),
    )
