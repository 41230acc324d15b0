"""Measures of a check-up that need no trial of rates: data, weights, schedule, memory.

Each takes a `Patient`, leaves it as it was, and returns a `Measure`, or raises `NotKnown`.
Thresholds were set on the models of `benchmarks/check_up.py` at seeds 0 to 2, and tried on other
seeds; where a docstring names no source, that is the experiment.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from lrsweep._activity import MOST_FEATURES
from lrsweep._examples import GATHERED
from lrsweep._experiment import own_learning_rate
from lrsweep._model_checks import ABSOLUTE, SQUARED, own_loss
from lrsweep._related import target_columns
from lrsweep._report import Measure, NotKnown
from lrsweep._trials import moving_averages

FAR, RUINED = 3.0, 1.5  # times the loss of guessing
SHIFTED = 1.5  # standard deviations of the targets
TRAINED = 0.1  # of the loss of guessing: below that, weights have been trained for this
LARGE, LARGISH, SMALL = 10.0, 3.0, 0.03  # rms of an input
DEAD, DEAD_ISH = 0.6, 0.3  # share of a layer's units
FEW = 8  # examples, of which a healthy unit may well give 0 for each
OVER, EARLY = 0.01, 0.5  # of the schedule's peak; of the planned updates
STALE = 1.5  # of the largest velocity that gradients like the present ones can keep up
SORTED = 2.0  # times the largest of 99 random orders
SETTLED = 2.0  # times the loss as fit sees it


def start(patient):
    """Compare the loss before any update with that of the best constant answer.

    Value: their ratio. A new classifier should begin near the entropy of the labels, ln K for K
    equally frequent classes (A. Karpathy, "A recipe for training neural networks", 2019). The
    targets are far away if their mean is more than 1.5 standard deviations from 0, where outputs
    start, and the loss is above 3 times guessing: mse is then at 1 + 1.5² = 3.25 times or more.
    Weights that have been trained are alarming above 1.5 times, whether ruined or hardly trained.
    """
    loss, guess = patient.start, patient.guess
    ratio = loss / positive(guess)
    text = f"loss {loss:.3g}, {ratio:.2g} times that of the best constant answer, {guess:.3g}"
    healthy = f"below {FAR:g} times when new, below 1 once trained"
    distance = own_loss(patient.model) in (*SQUARED, *ABSOLUTE)
    if ratio > FAR and distance and _shift(patient.train.y) > SHIFTED:
        return Measure(
            "start", ratio, text, healthy, "ALARM", "targets",
            "standardise the targets, or let the last layer's bias start at their mean.",
        )  # fmt: skip
    if patient.updates_made and ratio > RUINED:
        return Measure(
            "start", ratio, text, healthy, "ALARM", "start",
            "if the loss was falling, train on; if not, start again from new weights, and if it "
            "happens again, take a smaller rate.",
        )  # fmt: skip
    advice = "give the last layer smaller first weights."
    if not _are_scaled(patient):
        advice = f"scale the inputs, or {advice}"
    if not distance:
        advice = f"{advice[:-1]}; if classes are rare, let its bias start at their logits."
    return Measure("start", ratio, text, healthy, "look" if ratio > FAR else "healthy", "", advice)


def _are_scaled(patient):
    """Tell whether inputs are seen to enter the first layers in a size that is healthy."""
    with contextlib.suppress(Exception):  # `inputs` says so
        found, _ = patient.activity
        return bool(found) and max(it.largest for it in found) <= LARGISH
    return False


def positive(guess):
    """Return the loss of guessing, if anything can be compared with it."""
    if guess > 0:
        return guess
    raise NotKnown("all targets are the same, so that guessing them loses nothing")


def _shift(y):
    """Return how many standard deviations the means of targets are from 0, at most."""
    columns = y.reshape(len(y), -1).astype(float)
    return float(np.max(np.abs(columns.mean(axis=0)) / np.maximum(columns.std(axis=0), 1e-12)))


def inputs(patient):
    """Measure what enters the first layers with weights, after any layer that scales it.

    Value: the root mean square of the largest feature. Inputs should be near mean 0 and standard
    deviation 1 (Y. LeCun et al., "Efficient BackProp", 1998, section 4.3). The curvature along a
    first layer's weights grows with the square of its inputs: at 10, the limit of the rate is a
    hundred times lower. The condition number is that of the second moments with a 1 for the bias:
    for a linear model with mse, how much the largest curvature exceeds the smallest.
    """
    found, _ = patient.activity
    if not found:
        raise NotKnown(
            "no layer with a kernel gets plain numbers that no trained weight made, or it has a "
            "call of its own, which may scale them"
        )
    worst = max(found, key=lambda it: max(it.largest, SMALL**2 / max(it.largest, 1e-30)))
    many = f"not computed for more than {MOST_FEATURES} features"
    text = (
        f"rms of the features {worst.smallest:.2g} to {worst.largest:.2g} at layer {worst.layer}, "
        f"condition number {many if np.isnan(worst.condition) else f'{worst.condition:.2g}'}"
    )
    healthy = f"largest from {SMALL:g} to {LARGISH:g}"
    advice = "standardise each feature, or put a Normalization layer first."
    if not SMALL <= worst.largest <= LARGE:
        return Measure("inputs", worst.largest, text, healthy, "ALARM", "inputs", advice)
    verdict = "look" if worst.largest > LARGISH else "healthy"
    return Measure("inputs", worst.largest, text, healthy, verdict, "inputs" * (verdict == "look"),
                   advice)  # fmt: skip


def units(patient):
    """Count units with relu that give 0 for each of 256 examples, so that no gradient moves them.

    Value: the largest share in any layer. New layers have some: the benchmark's healthy models up
    to 0.07. (L. Lu et al., "Dying ReLU and initialization", 2020, on how they come about.)
    """
    _, dead = patient.activity
    if not dead:
        raise NotKnown("no layer is seen to use relu after weights that are trained")
    count = len(tf.nest.flatten(patient.sample[0])[0])
    if count < FEW:
        raise NotKnown(f"only {count} examples go through the layers at once: too few to tell")
    name = max(dead, key=dead.get)
    text = f"{dead[name]:.0%} of the relu units of layer {name} give 0 for every example"
    healthy = f"below {DEAD_ISH:.0%}"
    if dead[name] >= DEAD:
        return Measure(
            "units", dead[name], text, healthy, "ALARM", "units",
            "no gradient reaches them: start again from new weights, with a smaller rate or a "
            "warm-up, and look at the first biases.",
        )  # fmt: skip
    verdict = "look" if dead[name] >= DEAD_ISH else "healthy"
    return Measure("units", dead[name], text, healthy, verdict)


def order(patient):
    """Tell whether batches differ more in their targets than batches in a random order do.

    Value: the spread of the batches' mean targets, divided by the largest in 99 random orders.
    Random orders are above 1 once in a hundred times; sorted ones of the benchmark are above 20.
    """
    healthy = f"below {SORTED:g}"
    if patient.shuffled:
        return Measure("order", None, "fit shuffles the examples", "shuffled")
    if any(getattr(it, "stateful", False) for it in patient.model._flatten_layers()):
        raise NotKnown("the model keeps a state from batch to batch, so the order may be meant")
    y = patient.train.y
    if not isinstance(y, np.ndarray):
        raise NotKnown("there are several targets")
    y = target_columns(y)
    size = patient.batch_size
    whole = len(y) // size * size
    if whole < 2 * size:
        raise NotKnown("there are not two whole batches")
    random = np.random.default_rng(patient.seed)

    def spread(rows):
        return float(rows[:whole].reshape(-1, size, rows.shape[1]).mean(axis=1).var(axis=0).sum())

    usual = max(spread(y[random.permutation(len(y))]) for _ in range(99))
    alike = np.ptp(y, axis=0).max() == 0
    if alike and patient.planned // patient.epochs * size < GATHERED:
        raise NotKnown("all targets are the same")
    ratio = np.inf if alike else spread(y) / usual
    text = f"batches differ {ratio:.2g} times as much as in the most uneven of 99 random orders"
    if alike:
        text = f"the first {len(y)} examples all have the same target"
    if ratio > SORTED:
        return Measure(
            "order", ratio, text, healthy, "ALARM", "order",
            "shuffle: fit's shuffle=True, or dataset.shuffle over the whole set before batching.",
        )  # fmt: skip
    return Measure("order", ratio, text, healthy)


def schedule(patient):
    """Evaluate a schedule at the updates that are planned.

    Value: the share of the planned updates that is over when the rate falls below a hundredth of
    the schedule's peak for good; 1 if it never does. Below 0.5 most of the training does nothing:
    decay per update that was meant per epoch, whole numbers where Keras needs floats, or a second
    `fit`, which goes on where the first has ended (Keras 3.15 does so: tests hold it).
    """
    own = own_learning_rate(patient.model.optimizer)
    if not isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        return Measure("schedule", None, f"none: the rate is {patient.rate:.3g} throughout")
    first = max(float(own(step)) for step in {0, *_early_steps(own)})
    peak = max(first, float(patient.rates.max()))
    useful = np.flatnonzero(patient.rates >= OVER * peak) if peak > 0 else []
    share = float((useful[-1] + 1) / len(patient.rates)) if len(useful) else 0.0
    text = (
        f"{patient.rates[0]:.3g} now, {patient.rates[-1]:.3g} after {patient.planned} more "
        f"updates; above a hundredth of its peak, {peak:.3g}, for {share:.0%} of them"
    )
    healthy = f"{EARLY:.0%} or more"
    if share >= EARLY:
        return Measure("schedule", share, text, healthy)
    if patient.updates_made and not len(useful):
        advice = (
            f"it is over after {patient.updates_made} updates: for a new training compile with a "
            "new optimizer, or let the schedule be as long as both."
        )
    elif _has_integers(own) and not np.any(patient.rates % 1):
        advice = "write its numbers as floats (1.0, not 1): whole numbers round its rates to 0."
    else:
        each = max(1, round(patient.planned / patient.epochs))
        advice = (
            f"it counts updates, not epochs: one epoch here has {each} updates, and "
            f"{patient.epochs} epochs are planned. If you mean fewer, give epochs to check_up."
        )
    return Measure("schedule", share, text, healthy, "ALARM", "schedule", advice)


def _early_steps(own):
    steps = [getattr(own, name, 0) for name in ("warmup_steps", "decay_steps")]
    return [int(it) for it in steps if isinstance(it, (int, float)) and it > 0]


def _has_integers(own):
    rate = getattr(own, "initial_learning_rate", 0.0)
    return isinstance(rate, (int, np.integer)) and not isinstance(rate, bool)


def memory(patient):
    """Compare the optimizer's memory with the weights, and momentum's velocity with the rate.

    Value: the velocity's size, divided by ηg/(1 − β), the most that gradients g of the present
    size can keep up at the rate η; nan without momentum. Keras's velocity holds the rate of its
    own time, so after a drop of the rate it goes on at the old one (P. Goyal et al., "Accurate,
    large minibatch SGD", 2017, remark 2, on the correction). Above 1.5 it's from a larger rate, or
    from gradients that were larger a moment ago (with full batches it came to 2.8 at a constant
    rate).
    And weights whose loss is below a tenth of guessing have been trained for this: an optimizer
    that has made no update and would have a memory has probably lost it. A network that was just
    unfrozen, with a trained head, has a new optimizer on purpose; its loss is rarely that low
    (0.14 to 0.18 of guessing on digits, 0.3 in lesson 6; resumed ones were below 0.03).
    """
    optimizer = getattr(patient.model.optimizer, "inner_optimizer", patient.model.optimizer)
    remembers = len([v for v in optimizer.variables if len(v.shape)]) > 0
    if not patient.updates_made:
        if not remembers:
            return Measure("memory", None, "this optimizer has none")
        ratio = patient.start / positive(patient.guess)
        text = f"new, with weights at {ratio:.2g} times the loss of guessing"
        if ratio < TRAINED and patient.build_model is None:
            return Measure(
                "memory", np.nan, text, "new weights with a new optimizer", "ALARM", "memory",
                "if this goes on with an earlier training, load the whole model "
                "(keras.saving.load_model), not its weights; if you compiled anew on purpose, or "
                "the model is good without training, as one that adds to its inputs may be, it's "
                "as it should be.",
            )  # fmt: skip
        return Measure("memory", np.nan, text, "new weights with a new optimizer")
    made = f"{patient.updates_made} updates old"
    velocity = getattr(optimizer, "momentums", None)
    beta = getattr(optimizer, "momentum", 0) or 0
    if not isinstance(optimizer, keras.optimizers.SGD) or not beta or not velocity:
        return Measure("memory", np.nan, made)
    size = np.sqrt(sum(np.sum(np.square(v.numpy(), dtype=float)) for v in velocity))
    slope = np.sqrt(patient.gradients[0])
    now = float(patient.rates[0])
    if not now * slope > 0:
        raise NotKnown("the rate or the gradient is 0 now")
    ratio = size * (1 - beta) / (now * slope)
    text = f"{made}; the velocity is {ratio:.2g} times what this rate's gradients can keep up"
    healthy = f"below {STALE:g}"
    if ratio > STALE:
        return Measure(
            "memory", ratio, text, healthy, "ALARM", "memory",
            "if the rate has just dropped, multiply the optimizer's momentums by the new rate over "
            "the old; if not, gradients were larger a moment ago, and it's as it should be.",
        )  # fmt: skip
    return Measure("memory", ratio, text, healthy)


def averages(patient):
    """Compare the loss as it's predicted, with moving averages, with that of the batch's own.

    Value: their ratio, on training examples, at the end of a trial. The averages keep the share
    momentum^updates of their start, 0 and 1, so 0.99 needs some 500 updates. Alarming is a ratio
    above 2 with a share above a tenth; one of them alone is worth a look.
    """
    layers = moving_averages(patient.model)
    if not layers:
        return Measure("averages", None, "no BatchNormalization that trains")
    trials = [it for it in (patient.trials.at(f) for f in (1.0, 0.1)) if it.averages]
    if not trials:
        raise NotKnown("no trial came to an end, or the model can't be evaluated")
    tried = min(trials, key=lambda it: it.averages[0])
    seen, predicted = tried.averages
    total = patient.updates_made + patient.planned
    kept = max(layer.momentum for layer in layers) ** total
    ratio = predicted / seen if seen > 0 else np.inf
    text = (
        f"after {len(tried.losses)} updates the loss on training examples is {seen:.3g} as fit "
        f"sees it, {predicted:.3g} as predicted; after all {total}, {kept:.0%} of the averages "
        "are their first values"
    )
    healthy = f"below {SETTLED:g} times, and less than 10%"
    if ratio > SETTLED and kept > 0.1:
        return Measure(
            "averages", ratio, text, healthy, "ALARM", "averages",
            "give BatchNormalization a smaller momentum, such as 0.9, or train for more updates.",
        )  # fmt: skip
    settled = ratio <= SETTLED and kept <= 0.1
    return Measure("averages", ratio, text, healthy, "healthy" if settled else "look", "",
                   "give BatchNormalization a smaller momentum, such as 0.9.")  # fmt: skip
