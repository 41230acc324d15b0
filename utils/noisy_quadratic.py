"""Gradient descent with noisy gradients on quadratic losses: its mean loss, exactly.

Lesson 4.

In a mini-batch the gradient comes with noise. Here the loss is Σ λx²/2 over independent
directions of curvature λ, and the gradient is seen as λx + σξ with standard normal ξ and a σ
that is the same everywhere. (Where a model fits every example with squared error, the noise of
its batches fades near the minimum; that is not covered.) One update at rate η turns the mean of
x² into (1 − ηλ)²·E[x²] + η²σ², so the mean loss of any schedule needs no random number.
"""

import numpy as np

from utils import checks
from utils.schedules import make_schedule

SPECTRUM = (1.0, 0.1, 0.01)  # the curvatures on which lesson 4 compares schedules


def second_moments(rates, curvatures=SPECTRUM, noise=0.1, start=1.0):
    """Return E[x²] before training and after each update, exactly.

    The loss is Σ λx²/2 over directions of curvature λ. In each the gradient is seen as
    λx + noise·ξ with independent standard normal ξ, so that one update at rate η gives
    E[x²] ← (1 − ηλ)²·E[x²] + η²·noise².

    Parameters
    ----------
    rates : array of shape (..., updates)
        The learning rate of each update; leading axes hold different trainings.
    curvatures : array of shape (directions,)
        Positive.
    noise : float
        Standard deviation of the gradient's noise, not negative.
    start : float or array of shape (directions,)
        Where training starts; the minimum is at 0.

    Returns
    -------
    array of shape (..., updates + 1, directions)
        inf and nan where the numbers of a diverging training are too large.
    """
    rates, curvatures, noise, start = _noisy_training(rates, curvatures, noise, start)
    with np.errstate(over="ignore", invalid="ignore"):
        shrink = (1 - rates[..., None] * curvatures) ** 2
        kick = (rates[..., None] * noise) ** 2
        if rates.ndim == 1:  # plain floats make the same numbers, ten times as fast
            columns = zip((start**2).tolist(), shrink.T.tolist())
            return np.stack([_follow(*it, kick[:, 0].tolist()) for it in columns], axis=-1)
        first = np.broadcast_to(start**2, shrink.shape[:-2] + curvatures.shape)
        moved = (np.moveaxis(part, -2, 0) for part in (shrink, kick))
        return np.stack(_follow(first, *moved), axis=-2)


def _follow(square, shrink, kick):
    squares = [square]
    for factor, addend in zip(shrink, kick):
        square = factor * square + addend
        squares.append(square)
    return squares


def expected_loss(rates, curvatures=SPECTRUM, noise=0.1, start=1.0):
    """Return the mean loss ½·Σ λ·E[x²], shape (..., updates + 1); see `second_moments`."""
    moments = second_moments(rates, curvatures, noise, start)
    with np.errstate(over="ignore", invalid="ignore"):
        return moments @ np.asarray(curvatures, dtype=float) / 2


def noise_floor(learning_rate, curvature, noise):
    """Return ησ²/(2(2 − ηλ)): where the mean loss settles at a constant rate, inf if nowhere.

    It is the fixed point of the recursion in `second_moments`, times λ/2.
    """
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    curvature = checks.positive_number("curvature", curvature)
    noise = checks.not_negative("noise", checks.number("noise", noise))
    gap = 2 - learning_rate * curvature
    return learning_rate * noise**2 / (2 * gap) if gap > 0 else np.inf


def best_initial_rate(family, updates, curvatures=SPECTRUM, noise=0.1, start=1.0):
    """Find the initial rate with which a family ends at the lowest expected loss.

    Tries rates on a logarithmic grid from 0.0001 to 10 times the stability limit 2/L,
    then thrice a finer grid around the best.

    Returns
    -------
    tuple of two floats
        The rate, and the expected loss after the last update.
    """
    t = np.arange(checks.whole_number("updates", updates, minimum=4))
    _, curvatures, noise, start = _noisy_training(t, curvatures, noise, start)
    low, high = 2e-4 / curvatures.max(), 20 / curvatures.max()
    for _ in range(4):
        grid = np.geomspace(low, high, 61)
        rates = np.stack([make_schedule(family, rate, updates)(t) for rate in grid])
        losses = expected_loss(rates, curvatures, noise, start)[:, -1]
        best = np.argmin(np.where(np.isfinite(losses), losses, np.inf))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 60)]
    return float(grid[best]), float(losses[best])


def _noisy_training(rates, curvatures, noise, start):
    rates = checks.not_negative("rates", checks.array("rates", rates))
    if rates.ndim == 0:
        raise ValueError(f"rates must hold one rate for each update, got the number {rates:g}")
    curvatures = checks.array("curvatures", curvatures, dimensions=1)
    if np.any(curvatures <= 0):
        raise ValueError(f"curvatures must be positive, got {curvatures.min():g}")
    noise = checks.not_negative("noise", checks.number("noise", noise))
    start = checks.array("start", start)
    if start.shape not in {(), curvatures.shape}:
        raise ValueError(
            "start must be one number or one for each of the "
            f"{len(curvatures)} curvatures, got shape {start.shape}"
        )
    return rates, curvatures, noise, np.broadcast_to(start, curvatures.shape)
