"""Gradient descent and its exact theory on losses whose shape is known.

Lessons 1 to 3, 7.

Words and symbols: the learning rate is written η (eta); others write α. The curvature of a
loss is its second derivative; in many dimensions the Hessian matrix has one curvature per
principal direction, the largest written L, the smallest μ, and κ = L/μ is their ratio.

The formulas come from one line. On f(x) = λx²/2 the gradient is λx, so one update is
x − ηλx = (1 − ηλ)·x. Limits, regimes and counts follow from that multiplier. For quadratic
losses of many dimensions see G. Goh, "Why Momentum Really Works", Distill, 2017.
"""

import math

import numpy as np

from utils import checks

SLOW = 20  # "crawling" means: more than this many updates for each factor of ten


def gradient_descent(gradient, start, learning_rate, updates):
    """Follow the negative gradient and keep every point on the way.

    Parameters
    ----------
    gradient : callable
        Takes a point, returns the gradient there, of the same shape.
    start : float or array of shape (n,)
        The first point.
    learning_rate : float
        Positive.
    updates : int
        Number of updates, at least 0.

    Returns
    -------
    array of shape (updates + 1,) or (updates + 1, n)
        The start and the point after each update. A diverging run is returned as it is,
        with inf and nan once the numbers are too large.
    """
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    updates = checks.whole_number("updates", updates, minimum=0)
    point = checks.array("start", start)
    path = [point]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(updates):
            point = point - learning_rate * np.asarray(gradient(point))
            path.append(point)
    return np.array(path)


def multiplier(learning_rate, curvature):
    """Return 1 − ηλ: what one update multiplies the distance to the minimum by."""
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    curvature = checks.positive_number("curvature", curvature)
    return 1 - learning_rate * curvature


def regime(learning_rate, curvature):
    """Name what gradient descent does on a parabola of this curvature.

    Returns
    -------
    str
        "crawls", "approaches", "lands in one step", "overshoots and converges",
        "bounces forever" or "diverges". The two that hold for a single learning rate
        are recognised to a relative 1e-9.
    """
    factor = multiplier(learning_rate, curvature)
    if math.isclose(factor, 0, abs_tol=1e-9):
        return "lands in one step"
    if math.isclose(factor, -1, rel_tol=1e-9):
        return "bounces forever"
    if factor < -1:
        return "diverges"
    if factor < 0:
        return "overshoots and converges"
    return "crawls" if factor**SLOW > 0.1 else "approaches"


def stability_limit(largest_curvature):
    """Return 2/L: below it gradient descent on a quadratic bowl converges, above it diverges.

    Above it, only a start with nothing in the steepest direction converges, and only in exact
    arithmetic.
    """
    return 2 / checks.positive_number("largest_curvature", largest_curvature)


def fastest_learning_rate(largest_curvature, smallest_curvature):
    """Return 2/(L + μ), which makes the slowest direction of a quadratic as fast as it can be."""
    largest, smallest = curvature_pair(largest_curvature, smallest_curvature)
    return 2 / (largest + smallest)


def convergence_rate(largest_curvature, smallest_curvature):
    """Return (κ − 1)/(κ + 1): the slowest direction's factor at the fastest learning rate."""
    largest, smallest = curvature_pair(largest_curvature, smallest_curvature)
    return (largest - smallest) / (largest + smallest)


def updates_to_tolerance(learning_rate, curvature, start, tolerance):
    """Count the updates until the distance to the minimum of a parabola is small enough.

    Parameters
    ----------
    learning_rate, curvature, tolerance : float
        Positive.
    start : float
        The first point; the minimum is at 0.

    Returns
    -------
    int or math.inf
        The smallest n with |start|·|1 − ηλ|ⁿ ≤ tolerance; inf when that never happens.
    """
    factor = abs(multiplier(learning_rate, curvature))
    distance = abs(checks.number("start", start))
    tolerance = checks.positive_number("tolerance", tolerance)
    if distance <= tolerance:
        return 0
    if factor >= 1:
        return math.inf
    if factor == 0:
        return 1
    updates = math.ceil(math.log(tolerance / distance) / math.log(factor))
    while updates > 1 and distance * factor ** (updates - 1) <= tolerance:  # undo rounding
        updates -= 1
    return max(updates, 1)


def mse_hessian(x, intercept=True):
    """Return the Hessian of Keras's "mse" for a linear model of one output: (2/n)·XᵀX.

    Parameters
    ----------
    x : array of shape (examples, features)
        The inputs.
    intercept : bool
        Whether the model has a bias, which adds a column of ones.

    Returns
    -------
    array of shape (weights, weights)
        The same at every point, since the loss is quadratic in the weights.
    """
    x = checks.array("x", x, dimensions=2)
    if intercept:
        x = np.column_stack([x, np.ones(len(x))])
    return 2 / len(x) * x.T @ x


def largest_curvature(hessian_product, size, iterations=10_000, tolerance=1e-12, seed=0):
    """Find the largest curvature by power iteration, without ever forming the Hessian.

    Multiplying a random direction by the Hessian again and again turns it towards the
    principal direction whose curvature is largest in size; the factor by which it grows is
    that size.

    Parameters
    ----------
    hessian_product : callable
        Takes a direction of shape (size,), returns Hessian @ direction.
    size : int
        Number of weights.
    iterations : int
        At most this many products.
    tolerance : float
        Stop once the estimate changes by less than this, relatively.
    seed : int
        For the first, random direction.

    Returns
    -------
    float
        L, unless a negative curvature is larger in size: then that size. 0.0 for a Hessian
        that is zero everywhere.
    """
    size = checks.whole_number("size", size)
    iterations = checks.whole_number("iterations", iterations)
    tolerance = checks.positive_number("tolerance", tolerance)
    direction = np.random.default_rng(seed).normal(size=size)
    estimate = 0.0
    for _ in range(iterations):
        product = np.asarray(hessian_product(direction / np.linalg.norm(direction)))
        previous, estimate = estimate, float(np.linalg.norm(product))
        if estimate == 0 or abs(estimate - previous) <= tolerance * estimate:
            break
        direction = product
    return estimate


def curvature_pair(largest, smallest):
    """Return both as floats if they are positive and in this order, or say what is wrong."""
    largest = checks.positive_number("largest_curvature", largest)
    smallest = checks.positive_number("smallest_curvature", smallest)
    if smallest > largest:
        raise ValueError(
            "smallest_curvature must not exceed largest_curvature, "
            f"got {smallest!r} and {largest!r}"
        )
    return largest, smallest
