"""The losses that the first lessons descend: simple enough to know everything about them.

Lessons 1 to 3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from utils import checks


@dataclass(frozen=True)
class ScalarLoss:
    """A loss of one number, with its first and second derivative.

    Attributes
    ----------
    value, gradient, curvature : callable
        Functions of a float or an array: f, f′ and f″.
    minima : tuple of float
        The minima in the domain, from left to right.
    domain : tuple of two floats
        The part worth drawing.
    formula : str
        For labels, in Matplotlib's mathematics.
    """

    value: Callable
    gradient: Callable
    curvature: Callable
    minima: tuple
    domain: tuple
    formula: str


def parabola(curvature=2.0):
    """Return f(x) = λx²/2; the default λ = 2 is f(x) = x²."""
    curvature = checks.positive_number("curvature", curvature)
    return ScalarLoss(
        value=lambda x: curvature * np.square(x) / 2,
        gradient=lambda x: curvature * np.asarray(x),
        curvature=lambda x: np.full_like(np.asarray(x, dtype=float), curvature),
        minima=(0.0,),
        domain=(-12.0, 12.0),
        formula=rf"$f(x) = {curvature:g}\,x^2 / 2$",
    )


def waves():
    """Return f(x) = x·cos(0.15πx). Of the minima near 7 and −2, the lower one is the sharper.

    The function is the example of a non-convex loss in Zhang et al., "Dive into Deep
    Learning", section "Gradient Descent"; derivatives and minima are worked out here. It has
    ever deeper minima further out, on both sides.
    """
    c = 0.15 * np.pi
    return ScalarLoss(
        value=lambda x: x * np.cos(c * x),
        gradient=lambda x: np.cos(c * x) - c * x * np.sin(c * x),
        curvature=lambda x: -2 * c * np.sin(c * x) - c * c * x * np.cos(c * x),
        minima=(-13.6599, -1.8257, 7.2694),
        domain=(-15.0, 11.0),
        formula=r"$f(x) = x\,\cos(0.15\pi x)$",
    )


def wells():
    """Return a loss with two minima, of which the lower one is the flatter, unlike in `waves`.

    f(x) = −0.6·exp(−(x + 1)²/(2·0.12²)) − exp(−(x − 1.2)²/(2·0.8²)) + 0.02x².
    """
    pits = ((0.6, -1.0, 0.12), (1.0, 1.2, 0.8))  # depth, centre, width of each Gaussian pit

    def value(x):
        return 0.02 * np.square(x) - sum(d * _bell(x, c, w) for d, c, w in pits)

    def gradient(x):
        return 0.04 * x + sum(d * (x - c) / w**2 * _bell(x, c, w) for d, c, w in pits)

    def curvature(x):
        slopes = (d / w**2 * (1 - ((x - c) / w) ** 2) * _bell(x, c, w) for d, c, w in pits)
        return 0.04 + sum(slopes)

    return ScalarLoss(
        value=value,
        gradient=gradient,
        curvature=curvature,
        minima=(-0.9971, 1.1701),
        domain=(-2.2, 4.0),
        formula=r"two Gaussian pits on $0.02\,x^2$",
    )


def ravine_loss(point, curvatures=(4.0, 0.2)):
    """Return ½(L·x₁² + μ·x₂²) at a point of shape (..., 2); the default is 2x₁² + 0.1x₂²."""
    return np.square(point) @ _diagonal(curvatures) / 2


def ravine_gradient(point, curvatures=(4.0, 0.2)):
    """Return (L·x₁, μ·x₂), the gradient of `ravine_loss`, of the point's shape."""
    return np.asarray(point) * _diagonal(curvatures)


def _bell(x, centre, width):
    return np.exp(-np.square((x - centre) / width) / 2)


def _diagonal(curvatures):
    return checks.array("curvatures", curvatures, dimensions=1)
