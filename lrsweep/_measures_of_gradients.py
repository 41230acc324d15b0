"""Measures of a check-up by gradients and Hessian products: updates, curvature, limit, noise.

As in `lrsweep._measures`: each takes a `Patient`, leaves it as it was, and returns a `Measure`.
"""

import math

import keras
import numpy as np

from lrsweep._curvature import CurvatureMeter
from lrsweep._patient import BATCHES
from lrsweep._report import Measure, NotKnown

UPDATES = 10  # whose sizes are measured
SETTLING = 30  # updates before Adam's denominator is taken for known
ITERATIONS, TOLERANCE = 60, 0.01  # of power iteration
USUAL = 1e-4, 0.5  # size of an update, relative to the weights


def updates(patient):
    """Compare the size of each kernel's updates with that of the kernel.

    Value: the largest of the layers' ratios of root mean squares, mean of 10 updates. A. Karpathy
    ("CS231n", 2015, "Ratio of weights:updates") gives 1e-3 as a rule of thumb; in the benchmark's
    healthy models the largest are from 2e-3 to 0.4. So no alarm comes from this measure alone.
    """
    patient.in_time(UPDATES * patient.each, "for updates")
    weights = patient.model.trainable_variables
    kernels = {v.path: place for place, v in enumerate(weights) if _is_kernel(v)}
    sizes = {name: [] for name in kernels}

    def watch(before, after):
        for name, place in kernels.items():
            size = _rms(before[place])
            if size > 0:
                sizes[name].append(_rms(after[place] - before[place]) / size)

    with patient.after(UPDATES, watch):
        ratios = {name: float(np.mean(its)) for name, its in sizes.items() if its}
    if not ratios:
        raise NotKnown("no layer has a kernel that isn't zero")
    if not all(map(math.isfinite, ratios.values())):
        return Measure("updates", math.inf, "the weights are lost within 10 updates", "", "look")
    high, low = max(ratios, key=ratios.get), min(ratios, key=ratios.get)
    text = (
        f"an update moves {high} by {ratios[high]:.1g} of its size, the most, and {low} by "
        f"{ratios[low]:.1g}, the least"
    )
    usual = USUAL[0] <= ratios[high] <= USUAL[1]
    return Measure("updates", ratios[high], text, "around 1e-3, the most from 1e-4 to 0.5",
                   "healthy" if usual else "look")  # fmt: skip


def _is_kernel(variable):
    """Tell whether a variable has a size that an update can be compared with.

    What begins at 0 has none: its updates soon are a tenth of it, at any rate. So are biases,
    which have two axes in a GRU and in attention.
    """
    return len(variable.shape) >= 2 and variable.name != "bias" and bool(np.any(variable.numpy()))


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values, dtype=float))))


def curvature(patient):
    """Measure the largest curvature of the loss on up to 256 training examples.

    Value: the largest eigenvalue of the Hessian, for Adam and AdamW of the Hessian preconditioned
    with the optimizer's own denominator, after 30 updates. See `lrsweep._curvature`.
    """
    patient.in_time(4 * patient.tracing + 4 * ITERATIONS * patient.each, "for Hessian products")
    optimizer = _plain(patient)
    if patient.own_step:
        raise NotKnown("the model has a train_step of its own, so its loss isn't known")
    if patient.train.weights is not None:
        raise NotKnown("the examples are weighted")
    adam = isinstance(optimizer, keras.optimizers.Adam)
    with patient.after(SETTLING if adam and not patient.updates_made else 0):
        x, y = patient.sample
        meter = CurvatureMeter(patient.model, x, y, adam, training=True, seed=patient.seed)
        value = meter.largest(ITERATIONS, TOLERANCE)
    if not math.isfinite(value):
        raise NotKnown("the loss is lost within 30 updates")
    kind = "largest curvature"
    if adam:
        kind = "largest curvature, divided by Adam's own denominator,"
    rough = f" (to {meter.residual:.0%})" if meter.residual > 10 * TOLERANCE else ""
    return Measure("curvature", value, f"{kind} {value:.3g}{rough} at these weights")


def limit(patient):
    """Compare the rate with the largest that is stable at that curvature.

    Value: rate ÷ limit. For a quadratic loss of curvature λ gradient descent is stable below 2/λ,
    with Keras's momentum below 2(1 + β)/λ, Nesterov's (2 + 2β)/((1 + 2β)λ), and Adam below
    (2 + 2β₁)/((1 − β₁)λ), λ preconditioned (J. Cohen et al., 2021 and 2022). A network is not lost
    at once above it: the curvature can fall (A. Lewkowycz et al., 2020; lesson 7 has one that
    trains from 2.6 times the limit), and training leads it to about 1. So this measure alone
    gives no alarm; what trials at other rates show decides.
    """
    optimizer, found = _plain(patient), patient.taken("curvature")
    if found.value is None:
        raise NotKnown(f"the curvature isn't: {found.measured}")
    if found.value <= 0:
        raise NotKnown("the loss curves upwards in no direction")
    ratio = patient.rate * found.value / _factor(optimizer)
    text = f"the rate {patient.rate:.3g} is {ratio:.2g} times its limit, {patient.rate / ratio:.3g}"
    return Measure("limit", ratio, text, "below about 1", "healthy" if ratio <= 1.2 else "look")


def _plain(patient):
    """Return the optimizer, if the limit of its rate is known."""
    optimizer = patient.model.optimizer
    kinds = keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.AdamW
    if type(optimizer) not in kinds:
        raise NotKnown(f"the limit of {type(optimizer).__name__} isn't: only SGD's and Adam's are")
    if optimizer.clipnorm or optimizer.clipvalue or optimizer.global_clipnorm:
        raise NotKnown("the gradients are clipped, which moves the limit")
    return optimizer


def _factor(optimizer):
    if isinstance(optimizer, keras.optimizers.Adam):
        return (2 + 2 * optimizer.beta_1) / (1 - optimizer.beta_1)
    beta = optimizer.momentum
    return (2 + 2 * beta) / (1 + 2 * beta) if optimizer.nesterov else 2 + 2 * beta


def noise(patient):
    """Estimate the gradient noise scale, beyond which larger batches buy little.

    Value: B = tr(Σ)/|G|², in examples, of the gradient G and the covariance Σ of the examples'
    gradients (S. McCandlish et al., "An empirical model of large-batch training", 2018, with the
    unbiased estimates of their appendix A.1), from 16 mini-batches and their mean. It grows while
    the loss falls, so it holds for these weights only, and gives no alarm.
    """
    patient.in_time(BATCHES * patient.each, "for gradients")
    one, mean, count = patient.gradients
    if count < 2:
        raise NotKnown("there are not two whole mini-batches")
    small, large = patient.batch_size, patient.batch_size * count
    square = (large * mean - small * one) / (large - small)
    variance = (one - mean) / (1 / small - 1 / large)
    if square <= 0:
        text = f"beyond {large} examples: the gradient doesn't stand out from its noise"
        return Measure("noise", math.inf, f"the noise scale is {text}", "any")
    scale = max(variance, 0.0) / square
    text = (
        f"the noise scale is {scale:.2g} examples at these weights; beyond batches of about that "
        f"many, a larger batch buys little; now {small}"
    )
    return Measure("noise", scale, text, "any; it grows in training")
