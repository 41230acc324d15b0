"""Keras's optimizers in a few lines of NumPy each, for looking inside them.

Lessons 3 and 7.

An optimizer here is a function update(state, gradient) -> (state, change): add the change to
the weights, keep the state for the next update. The first update gets the state None.
State and change are new arrays; nothing is changed in place, so that one state can be
tried with several optimizers. The defaults are Keras's.
"""

import math

import numpy as np

from utils import checks, descent


def sgd(learning_rate=0.01):
    """Return plain gradient descent: change = −η·g, without a state."""
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    return lambda state, gradient: (state, -learning_rate * gradient)


def momentum(learning_rate=0.01, beta=0.9):
    """Return Keras's `SGD(momentum=beta)`: v ← βv − ηg, and the change is v.

    The state v has the learning rate in it: after a drop of the rate, what has built
    up carries on at the old one. PyTorch's form, v ← βv + g with the change −ηv, is the
    same as long as the rate is constant.
    """
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    beta = checks.fraction("beta", beta)

    def update(state, gradient):
        velocity = 0.0 if state is None else state
        velocity = beta * velocity - learning_rate * gradient
        return velocity, velocity

    return update


def rmsprop(learning_rate=0.001, rho=0.9, epsilon=1e-7):
    """Return Keras's `RMSprop`: v ← ρv + (1 − ρ)g², and the change is −ηg/√(v + ε)."""
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    rho = checks.fraction("rho", rho)
    epsilon = checks.positive_number("epsilon", epsilon)

    def update(state, gradient):
        mean_square = 0.0 if state is None else state
        mean_square = rho * mean_square + (1 - rho) * np.square(gradient)
        return mean_square, -learning_rate * gradient / np.sqrt(mean_square + epsilon)

    return update


def adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Return Keras's `Adam`: running means of g and g², both corrected for starting at zero.

    m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², and with the number t of the update, from 1,
    the change is −η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε). After D. Kingma and J. Ba, "Adam",
    2015, in the form just before their section 2.1, which is the one that Keras has.
    """
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    beta_1 = checks.fraction("beta_1", beta_1)
    beta_2 = checks.fraction("beta_2", beta_2)
    epsilon = checks.positive_number("epsilon", epsilon)

    def update(state, gradient):
        t, m, v = (0, 0.0, 0.0) if state is None else state
        t = t + 1
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * np.square(gradient)
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return (t, m, v), -rate * m / (np.sqrt(v) + epsilon)

    return update


def follow(optimizer, gradient, start, updates):
    """Follow an optimizer and keep every point on the way, as `gradient_descent` does.

    Parameters
    ----------
    optimizer : callable
        An optimizer of this module, or another of the same form.
    gradient : callable
        Takes a point, returns the gradient there, of the same shape.
    start : float or array of shape (n,)
        The first point.
    updates : int
        Number of updates, at least 0.

    Returns
    -------
    array of shape (updates + 1,) or (updates + 1, n)
        The start and the point after each update. A diverging run is returned as it is,
        with inf and nan once the numbers are too large.
    """
    updates = checks.whole_number("updates", updates, minimum=0)
    point, state = checks.array("start", start), None
    path = [point]
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(updates):
            state, change = optimizer(state, np.asarray(gradient(point)))
            point = point + change
            path.append(point)
    return np.array(path)


# The exact theory of momentum on quadratic losses. One update adds β times the last step:
# x⁺ = x − ηλx + β(x − x⁻). Trying xₜ = σᵗ turns that into σ² − (1 + β − ηλ)σ + β = 0, and the
# larger |σ| of the two roots is what an update multiplies the distance by in the long run. If
# the roots are complex, both have |σ| = √β, whatever η. See G. Goh, "Why Momentum Really Works".


def momentum_stability_limit(largest_curvature, beta):
    """Return 2(1 + β)/L: below it momentum on a quadratic converges, above it diverges."""
    return (
        2 * (1 + _momentum(beta)) / checks.positive_number("largest_curvature", largest_curvature)
    )


def fastest_momentum(largest_curvature, smallest_curvature):
    """Return the pair (η, β) that shrinks the slowest direction of a quadratic fastest.

    η = (2/(√L + √μ))² and β = ((√L − √μ)/(√L + √μ))²; the factor per update is then
    √β in every direction.
    """
    largest, smallest = descent.curvature_pair(largest_curvature, smallest_curvature)
    beta = momentum_convergence_rate(largest, smallest) ** 2
    return (2 / (math.sqrt(largest) + math.sqrt(smallest))) ** 2, beta


def momentum_convergence_rate(largest_curvature, smallest_curvature):
    """Return (√κ − 1)/(√κ + 1): the factor per update with `fastest_momentum`."""
    largest, smallest = descent.curvature_pair(largest_curvature, smallest_curvature)
    steep, flat = math.sqrt(largest), math.sqrt(smallest)
    return (steep - flat) / (steep + flat)


def _momentum(beta):
    return 0.0 if beta == 0 else checks.fraction("beta", beta)
