"""Learning-rate schedules as pure functions of the update.

Lesson 4.

A schedule is a function η(t). Here t counts updates, not epochs, from 0: the first update
uses η(0). Pass a number or an array; the answer has its shape. A schedule remembers
nothing, so you can ask it twice, in any order, or draw it, and change no training.

Where there is an `initial`, it is η(0). `updates` says when the schedule ends; after that it
keeps its last value. Names and conventions are Keras's where Keras has the schedule; where
optax or PyTorch compute other rates, the docstring says so.
"""

import numpy as np

from utils import checks


def constant(initial):
    """Return η(t) = initial."""
    initial = checks.positive_number("initial", initial)
    return _pure(lambda t: np.full_like(t, initial))


def inverse_time(initial, decay_rate, decay_steps=1, staircase=False):
    """Return η(t) = initial/(1 + decay_rate·t/decay_steps).

    With `staircase`, t/decay_steps is rounded down: the rate changes only every
    `decay_steps` updates, once per epoch if that is how many an epoch has.
    """
    initial = checks.positive_number("initial", initial)
    decay_rate = checks.positive_number("decay_rate", decay_rate)
    periods = _periods(decay_steps, staircase)
    return _pure(lambda t: initial / (1 + decay_rate * periods(t)))


def exponential(initial, decay_rate, decay_steps=1, staircase=False):
    """Return η(t) = initial·decay_rate^(t/decay_steps); `staircase` as in `inverse_time`."""
    initial = checks.positive_number("initial", initial)
    decay_rate = checks.positive_number("decay_rate", decay_rate)
    periods = _periods(decay_steps, staircase)
    return _pure(lambda t: initial * decay_rate ** periods(t))


def piecewise(boundaries, rates):
    """Return a schedule of steps: one rate up to and including each boundary, one after all.

    `boundaries` must increase, and `rates` holds one number more. At t = boundary the rate
    before it still holds, as in Keras's `PiecewiseConstantDecay`; in optax and PyTorch
    (`piecewise_constant_schedule`, `MultiStepLR`) the new one begins there, an update earlier.
    """
    boundaries = checks.array("boundaries", boundaries, dimensions=1)
    rates = checks.not_negative("rates", checks.array("rates", rates, dimensions=1))
    if np.any(np.diff(boundaries) <= 0):
        raise ValueError(f"boundaries must increase, got {boundaries.tolist()}")
    if len(rates) != len(boundaries) + 1:
        counts = f"got {len(rates)} and {len(boundaries)}"
        raise ValueError(f"rates must hold one number more than boundaries, {counts}")
    return _pure(lambda t: rates[np.searchsorted(boundaries, t)])


def polynomial(initial, updates, end=0.0, power=1.0):
    """Return η(t) = (initial − end)·(1 − t/updates)^power + end; Keras's end is 0.0001."""
    initial = checks.positive_number("initial", initial)
    updates = checks.whole_number("updates", updates)
    end = checks.not_negative("end", checks.number("end", end))
    power = checks.positive_number("power", power)
    return _pure(lambda t: (initial - end) * (1 - np.minimum(t / updates, 1)) ** power + end)


def linear_to_zero(initial, updates):
    """Return η(t) = initial·(1 − t/updates)."""
    return polynomial(initial, updates)


def cosine(initial, updates, end_fraction=0.0):
    """Return half a cosine wave from initial down to initial·end_fraction (Keras: alpha).

    It stays there, as in Keras and optax; PyTorch's `CosineAnnealingLR` rises again.
    """
    initial = checks.positive_number("initial", initial)
    updates = checks.whole_number("updates", updates)
    end = initial * checks.not_negative("end_fraction", checks.number("end_fraction", end_fraction))
    return _pure(lambda t: end + (initial - end) * _half_wave(np.minimum(t / updates, 1)))


def cosine_restarts(initial, period, growth=1):
    """Return `cosine` started again and again; each period is `growth` times the one before.

    The first lasts `period` updates. After I. Loshchilov and F. Hutter, "SGDR", 2017; as Keras's
    `CosineDecayRestarts` (t_mul) and PyTorch's `CosineAnnealingWarmRestarts` (T_mult).
    """
    initial = checks.positive_number("initial", initial)
    period = checks.whole_number("period", period)
    growth = checks.whole_number("growth", growth)

    def formula(t):
        t, length = (t % period if growth == 1 else t), np.full_like(t, period)
        while (later := t >= length).any():
            t, length = np.where(later, t - length, t), np.where(later, growth * length, length)
        return initial * _half_wave(t / length)

    return _pure(formula)


def triangular(low, high, period):
    """Return a rate that climbs from low to high and falls back, in straight lines, for ever.

    Up and down take `period` updates together. After L. Smith, "Cyclical Learning Rates for
    Training Neural Networks", 2017; PyTorch's `CyclicLR` is the same. Keras has none.
    """
    low = checks.not_negative("low", checks.number("low", low))
    rise = checks.positive_number("high − low", checks.number("high", high) - low)
    period = checks.whole_number("period", period, minimum=2)
    return _pure(lambda t: low + rise * (1 - np.abs(1 - 2 * (t % period) / period)))


def stable_then_decay(initial, updates, cooldown=0.2):
    """Return a constant rate that falls linearly to zero over the last share `cooldown`.

    Behind `warm_up` it is the schedule known as warm-up, stable, decay (WSD).
    """
    initial = checks.positive_number("initial", initial)
    updates = checks.whole_number("updates", updates)
    cooldown = checks.fraction("cooldown", cooldown)
    return _pure(lambda t: initial * np.clip((1 - t / updates) / cooldown, 0, 1))


def one_cycle(peak, updates, rise=0.25, start_fraction=0.04):
    """Return a linear rise from peak·start_fraction to peak, then half a cosine to zero.

    The rise takes the share `rise` of the updates. After L. Smith and N. Topin,
    "Super-Convergence", 2017, where both parts are straight lines. fastai, optax and PyTorch
    rise by half a cosine (over 0.3 of the updates in the last two) and end at peak/250,000.
    The rise is linear here because Keras has no other.
    """
    peak = checks.positive_number("peak", peak)
    updates = checks.whole_number("updates", updates, minimum=2)
    top = max(1, int(checks.fraction("rise", rise) * updates))
    start = peak * checks.fraction("start_fraction", start_fraction)
    down = cosine(peak, updates - top)
    return _pure(
        lambda t: np.where(t < top, start + (peak - start) * t / top, down(np.maximum(t - top, 0)))
    )


def warm_up(schedule, updates):
    """Return a linear rise from zero over `updates` updates, followed by `schedule`.

    The schedule starts after the rise, so training gets longer by `updates`; in optax's
    `warmup_cosine_decay_schedule` the length named includes the rise, as in `make_schedule`.
    The very first update has rate zero, as in the warm-up of Keras's `CosineDecay`.
    """
    if not callable(schedule):
        raise ValueError(f"schedule must be a function of the update, got {schedule!r}")
    length = checks.whole_number("updates", updates, minimum=0)
    if length == 0:
        return schedule
    peak = schedule(0)
    return _pure(
        lambda t: np.where(t < length, peak * t / length, schedule(np.maximum(t - length, 0)))
    )


def compounding(initial, decay_rate, decimals=None):
    """Return the mistaken decay η(t) = η(t − 1)/(1 + decay_rate·t), to be studied, not used.

    It is `inverse_time` with each rate computed from the one before instead of from
    `initial`. At first the rates fall like exp(−decay_rate·t²/2). Their sum is finite, so
    training stops short of the minimum, without a word. With `decimals`, each rate is cut off
    after that many decimal places before the next is made from it.
    """
    initial = checks.positive_number("initial", initial)
    decay_rate = checks.positive_number("decay_rate", decay_rate)
    if decimals is not None:
        decimals = checks.whole_number("decimals", decimals, minimum=0)

    def formula(t):
        rates = [initial]
        for k in range(1, int(t.max()) + 1):
            rate = rates[-1] / (1 + decay_rate * k)
            rates.append(rate if decimals is None else np.floor(rate * 10**decimals) / 10**decimals)
        return np.array(rates)[t.astype(int)]

    return _pure(formula)


# What can be asked for by name: functions of the initial rate and the number of updates.
FAMILIES = {
    "constant": lambda initial, updates: constant(initial),
    "compounding (a mistake)": lambda initial, updates: compounding(initial, 0.01),
    "inverse time": lambda initial, updates: inverse_time(initial, 0.01),
    "1 % less per update": lambda initial, updates: exponential(initial, 0.99),
    "exponential to 1/100": lambda initial, updates: exponential(initial, 0.01, updates),
    "steps of 1/10": lambda initial, updates: piecewise(
        [updates // 2, updates * 3 // 4], [initial, initial / 10, initial / 100]
    ),
    "cosine": cosine,
    "cosine with 4 restarts": lambda initial, updates: cosine_restarts(initial, -(-updates // 4)),
    "restarts, growing": lambda initial, updates: cosine_restarts(initial, -(-updates // 7), 2),
    "triangular": lambda initial, updates: triangular(
        initial / 4, initial, max(2, -(-updates // 4))
    ),
    "linear to zero": linear_to_zero,
    "quadratic to zero": lambda initial, updates: polynomial(initial, updates, power=2.0),
    "stable then decay": stable_then_decay,
    "one cycle": one_cycle,
}


def make_schedule(family, initial, updates, warm_up_updates=0):
    """Return the schedule of a family, warm-up included, for a training of given length.

    Parameters
    ----------
    family : str
        A key of `FAMILIES`.
    initial : float
        The rate after the warm-up; for "one cycle" and "triangular", the highest one.
    updates : int
        Length of the whole training; at least 4 must be left after the warm-up.
    warm_up_updates : int
        How many of them rise linearly from zero.
    """
    make = FAMILIES[checks.one_of("family", family, FAMILIES)]
    warm_up_updates = checks.whole_number("warm_up_updates", warm_up_updates, minimum=0)
    left = checks.whole_number("updates", updates) - warm_up_updates
    if left < 4:
        message = f"updates must leave at least 4 after a warm-up of {warm_up_updates}"
        raise ValueError(f"{message}, got {updates}")
    return warm_up(make(initial, left), warm_up_updates)


def _pure(formula):
    """Make a schedule of a formula that takes and returns arrays."""

    def schedule(t):
        t = checks.not_negative("t", checks.array("t", t))
        return formula(t)[()]  # an array without axes becomes a number

    return schedule


def _periods(decay_steps, staircase):
    decay_steps = checks.whole_number("decay_steps", decay_steps)
    return lambda t: np.floor(t / decay_steps) if staircase else t / decay_steps


def _half_wave(fraction):
    return (1 + np.cos(np.pi * fraction)) / 2
