"""The learning-rate range test: one short training in which the rate rises all the time.

Each mini-batch gets one update at its own learning rate; the rates form an exponential ramp,
each a factor q above the one before. The loss falls while the rate is useful and rises when
it is too large. Afterwards the model is as it was before.

What such a curve says is known exactly for the loss λw²/2 and plain gradient descent at the
rate η. Each update multiplies w by 1 − ηλ, so while ηλ is small, ln(loss) falls by 2ηλ per
update. An update is a step ln(q) in ln(η), so the loss follows exp(−2λη/ln q), whose
steepest point on a logarithmic axis is η = ln(q)/(2λ): it depends on the ramp as much as on
the model. The minimum is where |1 − ηλ| = 1, at η = 2/λ, for every ramp that is not too short.

Lesson 5 explains why the answer is an order of magnitude for a sweep to start from, no more.
The test was proposed by L. N. Smith, "Cyclical Learning Rates for Training Neural Networks",
2017; dividing the rate of the minimum by ten is the rule of fast.ai's course.
"""

import contextlib
import math
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from utils import checks
from utils.sweep.one_by_one import traced_step
from utils.sweep.rehearsal import check_examples, check_labels


@dataclass(frozen=True)
class RangeTest:
    """What a range test recorded; all arrays have shape (updates,).

    Attributes
    ----------
    learning_rates : array
        The ramp, as far as the test came.
    losses : array
        The loss of each mini-batch before its update.
    smoothed : array
        The losses' moving average, see `smooth`.
    stopped : str
        Why it ended: "end of the ramp", "loss exploded" or "loss not finite"; a loss that is
        not a finite number is not recorded.
    memory : float
        Of the moving average.
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    stopped: str
    memory: float = 0.0

    def suggest(self, rule="minimum"):
        """Return a learning rate to centre a sweep on, see `suggest_learning_rate`.

        The first 1/(1 − memory) losses are left out: until then the average is one of few
        losses, and its jumps are noise.
        """
        unsettled = math.ceil(1 / (1 - self.memory)) if self.memory else 0
        rates, losses = self.learning_rates[unsettled:], self.smoothed[unsettled:]
        return suggest_learning_rate(rates, losses, rule)


def ramp(lowest, highest, updates):
    """Return learning rates that rise by the same factor each time, of shape (updates,)."""
    lowest = checks.positive_number("lowest", lowest)
    highest = checks.positive_number("highest", highest)
    updates = checks.whole_number("updates", updates, minimum=2)
    if lowest >= highest:
        raise ValueError(f"lowest must be below highest, got {lowest!r} and {highest!r}")
    return np.geomspace(lowest, highest, updates)


def smooth(losses, memory=0.9):
    """Return the exponential moving average of losses, without its bias towards zero.

    The average starts at 0 and keeps the share `memory` of itself at each step; after k
    steps its weights sum to 1 − memoryᵏ only, so it is divided by that. The first smoothed
    loss is then the first loss.

    Parameters
    ----------
    losses : array-like of shape (updates,)
    memory : float
        At least 0 (no smoothing) and below 1.
    """
    losses = checks.array("losses", losses, dimensions=1)
    memory = checks.number("memory", memory)
    if not 0 <= memory < 1:
        raise ValueError(f"memory must be at least 0 and below 1, got {memory!r}")
    average, result = 0.0, []
    for count, loss in enumerate(losses, start=1):
        average = memory * average + (1 - memory) * loss
        result.append(average / (1 - memory**count))
    return np.array(result)


def find_learning_rate_range(
    model,
    data,
    lowest=1e-5,
    highest=10.0,
    updates=100,
    batch_size=32,
    memory=0.9,
    explosion=4.0,
    seed=0,
):
    """Train on one mini-batch per learning rate and record the losses; then undo it all.

    Parameters
    ----------
    model : keras.Model
        Compiled. Its weights and all other variables, its optimizer's variables, iteration
        count and learning rate (or schedule) are the same afterwards, bit for bit.
    data : pair of arrays
        Inputs and targets, with one row for each example. Gone through as often as needed,
        each time in a new order.
    lowest, highest : float
        The ends of the ramp.
    updates : int
        Its length; the longer, the gentler.
    batch_size : int
        At most the number of examples; an incomplete last batch is left out.
    memory : float
        For `smooth`.
    explosion : float
        The test ends when the smoothed loss exceeds this multiple of its best.
    seed : int
        For the order of the examples.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError
        Before training, if an argument is not as described.
    """
    if not isinstance(model, keras.Model) or not model.compiled or model.optimizer is None:
        raise ValueError(f"model must be a compiled keras.Model, got {model!r}")
    x, y = check_examples("data", data)
    rates = ramp(lowest, highest, updates)
    batch_size = checks.whole_number("batch_size", batch_size)
    if batch_size > len(x):
        raise ValueError(f"batch_size must not exceed the {len(x)} examples, got {batch_size}")
    explosion = checks.positive_number("explosion", explosion)
    seed = checks.whole_number("seed", seed, minimum=0)
    check_labels(model, y, model(x[:1]).shape)
    smooth([0.0], memory)  # refuses a bad memory before training
    losses, stopped = [], "end of the ramp"
    with _as_it_was(model) as set_rate:
        step = traced_step(model, model.train_step, (x, y))
        for rate, rows in zip(rates, _batches(len(x), batch_size, seed)):
            set_rate(rate)
            model.reset_metrics()
            loss = float(step(tf.constant(x[rows]), tf.constant(y[rows]))["loss"])
            if not np.isfinite(loss):
                stopped = "loss not finite"
                break
            losses.append(loss)
            smoothed = smooth(losses, memory)
            if smoothed[-1] > explosion * abs(smoothed.min()):
                stopped = "loss exploded"
                break
    if not losses:
        raise ValueError("the loss is not a finite number before the first update")
    return RangeTest(rates[: len(losses)], np.array(losses), smoothed, stopped, memory)


def suggest_learning_rate(learning_rates, losses, rule="minimum"):
    """Return a learning rate to centre a sweep on.

    Parameters
    ----------
    learning_rates, losses : array-like of shape (updates,)
        The ramp and the (smoothed) losses.
    rule : str
        "minimum": a tenth of the rate with the smallest loss. "steepest": the rate at which
        the loss falls fastest on the logarithmic axis, by differences over both neighbours.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the loss never falls, so that there is nothing to suggest.
    """
    rule = checks.one_of("rule", rule, {"minimum", "steepest"})
    rates = checks.array("learning_rates", learning_rates, dimensions=1)
    losses = checks.array("losses", losses, dimensions=1)
    if len(rates) != len(losses) or len(rates) < 3:
        raise ValueError(
            "learning_rates and losses must have the same length, at least 3, "
            f"got {len(rates)} and {len(losses)}"
        )
    if rates[0] <= 0 or np.any(np.diff(rates) <= 0):
        raise ValueError(f"learning_rates must be positive and rising, got {rates.tolist()}")
    slopes = np.gradient(losses, np.log(rates))
    if np.argmin(losses) == 0 or slopes.min() >= 0:
        raise ValueError("the loss never falls: start the ramp lower")
    if rule == "minimum":
        return float(rates[np.argmin(losses)] / 10)
    return float(rates[np.argmin(slopes)])


def _batches(examples, batch_size, seed):
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(examples)
        for start in range(0, examples - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


@contextlib.contextmanager
def _as_it_was(model):
    """Give a function that sets the model's learning rate; undo everything at the end."""
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    own = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
    if own is None or not hasattr(optimizer, "learning_rate"):
        raise ValueError(f"a {type(optimizer).__name__} has no learning rate of its own to raise")
    variables = [*model.variables, *model.metrics_variables, *optimizer.variables]
    values = [tf.identity(variable.value) for variable in variables]
    rate = tf.Variable(0.0)
    fixed = isinstance(own, keras.Variable)
    if not fixed:
        optimizer.learning_rate = lambda: rate
    try:
        yield own.assign if fixed else rate.assign
    finally:
        if not fixed:
            optimizer.learning_rate = own
        for variable, value in zip(variables, values):
            variable.assign(value)
