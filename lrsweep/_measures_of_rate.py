"""Measures of a check-up that train at several rates: trials, labels, range test, sweep.

As in `lrsweep._measures`: each takes a `Patient`, leaves it as it was, and returns a `Measure`.
"""

import math
from typing import NamedTuple

import numpy as np

from lrsweep._choose import choose_learning_rate
from lrsweep._curve import RangeTest
from lrsweep._measures import positive
from lrsweep._range_test import endless_batches, ramp_up
from lrsweep._related import largest_correlation
from lrsweep._report import Measure, NotKnown

HALF, TENTH = 0.5, 0.1  # of what the loss falls at the best rate
LITTLE = 0.05  # of the loss at the start
WORSE = 1.25  # times the loss at a smaller rate
CALM = 2.0  # times the loss at the start
STILL, CLEARLY = 0.9, 2.0  # of the loss before; standard errors
WORTH = 0.001  # of the loss of guessing
DECADES = 100  # times the rate, to call it too small
BELOW_GUESS = 0.95  # of the loss of guessing
RAMP = 1e-4, 1e3  # times the rate


class Found(NamedTuple):
    """A range test, what it suggests or None, and the model's own rate."""

    test: RangeTest
    suggestion: float | None
    rate: float


def range_test(patient):
    """Raise the rate from a ten-thousandth to a thousand times the model's own, as `range_test`.

    Value: a `Found`. The suggestion is an order of magnitude: it gives no alarm.
    """
    patient.in_time(100 * patient.each, "for a range test")
    patient.kept.put_back()
    rates = np.geomspace(RAMP[0] * patient.rate, RAMP[1] * patient.rate, 100)
    batches = endless_batches(patient.train, patient.batch_size, patient.seed)
    try:
        test = ramp_up(patient.training, patient.set_rate, batches, rates)
    finally:
        patient.kept.put_back()
    try:
        suggestion = test.suggest()
    except ValueError as error:
        return Measure("range test", Found(test, None, patient.rate), f"no suggestion: {error}",
                       "", "look")  # fmt: skip
    ratio = patient.rate / suggestion
    text = f"suggests {suggestion:.2g}, the rate is {ratio:.2g} times that"
    return Measure("range test", Found(test, suggestion, patient.rate), text, "0.03 to 30 times",
                   "healthy" if 0.03 <= ratio <= 30 else "look")  # fmt: skip


def rate(patient):
    """Train for a while at the rate and at multiples of it, and compare the losses at the end.

    Value: the best of those rates, divided by the rate. Up to 250 updates each, as many as there
    is time for, from the same weights, on the same batches.

    Too large: the loss is finite at no rate; or it ends above twice its start, or isn't finite, but
    not at a smaller rate; or there it ends at 1/1.25 or less of it, and has gained more than twice
    as much on the start (or on guessing, where that is known and lower). Noise: the weights have
    been trained, the loss doesn't clearly fall from the second third of the trial to the last, and
    a smaller rate ends at 1/1.25 or less (the stationary loss of a noisy quadratic is about
    proportional to the rate: L. Bottou et al., "Optimization methods for large-scale machine
    learning", 2018, theorem 4.6). Neither, if the gain is below 0.1 % of guessing. Too small: the
    loss gains a tenth or less of what it does at the best rate, and not half of it at ten times the
    rate either. If new weights, without updates and with a loss that isn't below 0.95 of guessing,
    gain a twentieth or less of the loss at the start, whatever the rate, that's worth a look.
    """
    trials = patient.trials.all()
    own, start = trials[1.0], patient.start
    ends = {factor: it.end for factor, it in trials.items()}
    best = min(ends, key=ends.get)
    count = max(len(it.losses) for it in trials.values())
    said = ", ".join(f"{end:.3g} at {patient.rate * it:.2g}" for it, end in ends.items())
    text = f"after {count} updates of {patient.planned} planned, from {start:.3g}, loss {said}"
    low = min((it for it in ends if it < 1), key=ends.get, default=None)

    def found(verdict="healthy", cause="", advice=""):
        healthy = "at your rate at least half of the best one's fall"
        return Measure("rate", float(best), text, healthy, verdict, cause, advice)

    if all(it.lost for it in trials.values()):
        least = min(it.rate for it in trials.values())
        return found(
            "ALARM",
            "too large",
            f"take one far below {least:.2g}: there, too, it's lost. If it's "
            "lost at any rate, an example meets an infinite slope, as that of a root at 0.",
        )
    if low is not None:
        advice = f"take {patient.rate * low:.2g} or thereabouts, or sweep from there."
        if patient.updates_made and _is_noise(own, start, ends[low], _guess(patient)):
            return found("ALARM", "noise", f"lower the rate now, by a schedule or not: {advice}")
        if _spoils(own.end, ends[low], start, _guess(patient)):
            return found("ALARM", "too large", advice)
    if best > 1 and _too_small(patient, start, ends, count):
        advice = f"take {patient.rate * best:.2g} or thereabouts, or sweep."
        return found("ALARM", "too small", advice)
    new = not patient.updates_made and not _has_learnt(start, _guess(patient))
    if new and start - ends[best] <= LITTLE * abs(start):
        return found(
            "look",
            "",
            "the loss hardly falls at any of these rates: train for longer, or sweep a wider "
            "range. If it never falls, the model finds nothing in the data.",
        )
    if start - own.end < HALF * (start - ends[best]) and own.end > WORSE * ends[best]:
        return found("look", "", f"{patient.rate * best:.2g} may do better: sweep around it.")
    return found()


def _guess(patient):
    try:
        return patient.guess
    except NotKnown:
        return math.inf


def _has_learnt(start, guess):
    """Tell whether weights are seen to be trained, as those that a new model has loaded."""
    return math.isfinite(guess) and start < BELOW_GUESS * guess


def _is_noise(own, start, lower, guess):
    """Tell whether a training stays where it is, above what a smaller rate reaches."""
    if own.lost or lower <= 0 or own.end > CALM * start or own.end < WORSE * lower:
        return False
    third = max(1, len(own.losses) // 3)
    middle, last = own.losses[third : 2 * third], own.losses[-third:]
    fall = np.mean(middle) - np.mean(last)
    error = np.sqrt((np.var(middle) + np.var(last)) / third)
    falls = fall > (1 - STILL) * np.mean(middle) and fall > CLEARLY * error
    return bool(not falls and start < guess and _worth(own.end, lower, guess))


def _worth(end, lower, guess):
    """Tell whether two losses differ by more than next to nothing."""
    return not math.isfinite(guess) or end - lower > WORTH * guess


def _spoils(end, lower, start, guess):
    """Tell whether a rate blows the loss up or ends far above a smaller one."""
    if not math.isfinite(lower) or lower > start + 0.1 * abs(start):
        return False
    if end > start + abs(start):
        return True
    top = min(start, guess)
    gained = top - lower > 0.1 * abs(top) and _worth(end, lower, guess)
    return gained and end - lower > HALF * (top - lower) and (end > WORSE * lower or lower <= 0)


def _too_small(patient, start, ends, count):
    """Tell whether neither the rate nor ten times it gains half of what the best one does."""
    gains = {factor: start - end for factor, end in ends.items()}
    most = max(gains.values())
    if most <= LITTLE * abs(start) or gains[1.0] > TENTH * most:
        return False
    enough = min(factor for factor, gain in gains.items() if gain >= HALF * most)
    return enough >= DECADES and enough > patient.planned / count


def labels(patient):
    """Ask whether any of the trials predicts examples that it hasn't seen better than guessing.

    Value: the lowest loss on held-out examples in any trial, divided by that of the best constant
    answer for them. With labels shuffled by accident it stays at 1 or above, give or take luck,
    at every rate (C. Zhang et al., 2017: networks fit random labels all the same). Alarming is
    0.95 or more; healthy models of the benchmark come to 0.65 or below. But few updates, a weak
    signal or a loss that doesn't suit the last layer end there, too. So it is no alarm if training
    inputs are correlated with their labels more than with any of 199 shuffles of them.
    """
    if patient.held_out is None:
        raise NotKnown("there are too few examples to hold any out")
    guess = positive(patient.held_out_guess)
    trials = patient.trials.all()
    lowest = min(float(np.nanmin([*it.held_out, math.inf])) for it in trials.values())
    if not math.isfinite(lowest):
        raise NotKnown("no trial tells the loss of held-out examples")
    ratio = lowest / guess
    text = f"at best, held-out examples are predicted at {ratio:.2g} times the loss of guessing"
    healthy = f"below {BELOW_GUESS:g}"
    if ratio >= BELOW_GUESS:
        found, by_luck = largest_correlation(patient.train, patient.seed)
        if found > by_luck:
            text += f"; but training inputs are correlated with their labels, up to {found:.2g}"
            return Measure(
                "labels", ratio, text, healthy, "look", "",
                f"those labels aren't all shuffled (shuffles reach {by_luck:.2g}): train longer, "
                "see whether the last layer suits the loss, and whether held-out labels are right.",
            )  # fmt: skip
        return Measure(
            "labels", ratio, text, healthy, "ALARM", "labels",
            "look at some examples beside their labels: were x and y shuffled or sorted apart?",
        )  # fmt: skip
    return Measure("labels", ratio, text, healthy)


def sweep(patient):
    """Sweep eight rates around the best of the trials, with two seeds, and choose one.

    Value: the chosen rate.
    """
    from lrsweep._sweep import sweep_learning_rates

    if patient.build_model is None:
        raise NotKnown("a sweep needs build_model, not a model")
    if patient.held_out is None:
        raise NotKnown("there are too few examples to hold any out")
    patient.in_time(3.0, "for a sweep")
    ends = {factor: it.end for factor, it in patient.trials.all().items()}
    centre = patient.rate * min(ends, key=ends.get)
    result = sweep_learning_rates(
        patient.build_model,
        np.geomspace(centre / 30, centre * 30, 8),
        patient.train.parts,
        patient.held_out.parts,
        epochs=min(patient.epochs, 5),
        batch_size=patient.batch_size,
        seeds=2,
        progress=False,
    )
    try:
        choice = choose_learning_rate(result)
    except ValueError as error:
        raise NotKnown(f"the sweep doesn't say: {error}") from error
    return Measure("sweep", choice.learning_rate, choice.explanation)
