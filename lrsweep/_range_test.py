"""The learning-rate range test: one short training in which the rate rises all the time.

Each update has its own learning rate; the rates form an exponential ramp. The loss falls while
the rate is useful and rises when it is too large. Afterwards the model is as it was before.

The test was proposed by L. N. Smith, "Cyclical Learning Rates for Training Neural Networks",
2017. What its curve says, and what not, is written in `lrsweep._curve`.
"""

import contextlib
import functools
import itertools
import math

import numpy as np

from lrsweep._curve import RangeTest, exploded
from lrsweep._validation import check_32_bits, positive_number, share_below_one, whole_number

TRIES = 8  # updates in which the learning rate must have had an effect
SKIPPED = 40  # steps that an optimizer may skip until it has found a loss scale


def range_test(
    model,
    data,
    lowest=1e-5,
    highest=10.0,
    updates=100,
    batch_size=32,
    memory=0.9,
    explosion=2.0,
    seed=0,
):
    """Train with a rising learning rate, record the losses, and undo it all.

    Before the test, a few updates are made at two rates, and undone, to see whether the rate
    makes a difference.

    Parameters
    ----------
    model : keras.Model
        Compiled. Afterwards it is what it was, bit for bit: the variables of its layers, metrics
        and optimizer, the learning rate or schedule, counters and random generators that hang on
        it, and the random states of Python, NumPy, Keras and TensorFlow. Only what Keras had not
        built yet stays built.
    data : tuple
        (x, y) or (x, y, sample_weight), as `fit` takes them: arrays, or lists or dicts of arrays,
        with one row for each example. Gone through as often as needed, each time in a new order.
    lowest, highest : float
        The ends of the ramp.
    updates : int
        Its length; the longer, the gentler.
    batch_size : int
        At most the number of examples; an incomplete last batch is left out. If the optimizer
        accumulates the gradients of several batches, each update takes that many, and its loss
        is their mean.
    memory : float
        The share of the past in the moving average, see `RangeTest.smoothed`.
    explosion : float or None
        How far the loss must rise for the test to end before the ramp does. Measured from its
        lowest level, in units of the way from there to the highest losses before it: with 1 the
        loss must be beyond all but the outliers of those, with 2 twice as far up. 7 of the last
        8 losses must be, so that noise alone ends no test. None: go on to the end of the ramp.
    seed : int
        For the order of the examples.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError
        Before training, if an argument is not as described or if something hangs on the model
        that can't be put back. After a few updates, undone, if the loss is not a finite number
        from the start, if the model reports none, or if the learning rate changes nothing.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", loss="mse")
    >>> x = np.ones((64, 1))
    >>> test = range_test(model, (x, 3 * x), 1e-3, 100.0, updates=80, memory=0)
    >>> test.stopped
    'loss exploded'
    >>> round(test.suggest("minimum"), 1)  # a tenth of 2/λ; (w - 3)² has the curvature λ = 2
    0.1
    """
    from lrsweep._examples import check_examples
    from lrsweep._model_checks import check_compiled, check_labels
    from lrsweep._restore import restored

    check_compiled(model)
    examples = check_examples("data", data)
    rates = _ramp(lowest, highest, updates)
    batch_size = whole_number("batch_size", batch_size)
    if batch_size > len(examples):
        raise ValueError(
            f"batch_size must not exceed the {len(examples)} examples, got {batch_size}"
        )
    memory = share_below_one("memory", memory)
    explosion = None if explosion is None else positive_number("explosion", explosion)
    seed = whole_number("seed", seed, minimum=0)
    with restored(model, examples, batch_size) as (kept, set_rate):
        check_labels(model, examples, "data")
        set_rate(rates[0])  # before the step is traced, which may be done with a schedule
        training = Training(model, examples, kept)
        batches = functools.partial(endless_batches, examples, batch_size, seed)
        _check_rate_matters(training, set_rate, batches, rates)
        kept.put_back()
        return ramp_up(training, set_rate, batches(), rates, memory, explosion)


def ramp_up(training, set_rate, batches, rates, memory=0.9, explosion=2.0):
    """Make an update at each of the rates, until the loss explodes; return a `RangeTest`."""
    losses, stopped = [], "end of the ramp"
    for rate in rates:
        set_rate(rate)
        loss = training.update(batches)
        if not math.isfinite(loss):
            stopped = "loss not finite"
            break
        losses.append(loss)
        if explosion is not None and exploded(losses, explosion):
            stopped = "loss exploded"
            break
    return RangeTest(rates[: len(losses)], np.array(losses), stopped, memory)


class Training:
    """The updates of a model that is being trained.

    Parameters
    ----------
    model : keras.Model
        Built as far as possible.
    examples : Examples
        Of the form of the batches.
    kept : Snapshot
        Of the model, from before its first step.
    """

    def __init__(self, model, examples, kept):
        import keras

        from lrsweep._experiment import in_words, traced_step

        self.model, self.examples, self.kept = model, examples, kept
        whose = type(model).train_step is keras.Model.train_step
        words = in_words("the model doesn't fit the data", examples, model=model)
        with words if whose else contextlib.nullcontext():  # a step of one's own has its own words
            self.step = traced_step(model.train_step, examples, model)
        self._check_no_new_variables()  # made while the step was traced
        known = {id(getattr(it, "_value", it)) for it in kept.variables.values()}
        kept.add(it for it in self.step.variables if id(it) not in known)  # kept elsewhere
        known = {id(variable) for variable in model.metrics_variables}
        self.own_metrics = [
            metric
            for metric in kept.objects
            if isinstance(metric, keras.Metric)
            and metric.variables
            and not any(id(variable) in known for variable in metric.variables)
        ]
        self.scales_the_loss = hasattr(model.optimizer, "inner_optimizer")
        self.optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        self.longest_update = getattr(self.optimizer, "gradient_accumulation_steps", None) or 1
        self.has_run = False

    def update(self, batches):
        """Make the steps up to the next change of the weights, and return their mean loss."""
        losses = []
        for _ in range(SKIPPED if self.scales_the_loss else 1):
            before = self._count_of_steps()
            for _ in range(self.longest_update - before % self.longest_update):
                losses.append(self._one_step(next(batches)))
            if self._count_of_steps() != before or not math.isfinite(losses[-1]):
                break
        return sum(losses) / len(losses)

    def _count_of_steps(self):
        """Return how many steps the optimizer has counted; the model may be amid an update."""
        return int(self.optimizer._iterations.numpy())

    def _one_step(self, parts):
        from lrsweep._examples import words_for_size

        self.model.reset_metrics()
        for metric in self.own_metrics:
            metric.reset_state()
        with words_for_size(self.model, len(next(_arrays(parts[0])))):
            loss = _loss_of(self.step(*parts))
        if not self.has_run:
            self._check_no_new_variables()
            self.has_run = True
        if not math.isfinite(loss):
            _check_finite(self.examples, parts, loss)
        return loss

    def _check_no_new_variables(self):
        """Refuse a model that makes variables while it trains: nobody knows their first values."""
        now = type(self.kept)(self.model).variables
        new = [variable for key, variable in now.items() if key not in self.kept.variables]
        if new:
            names = ", ".join(str(getattr(it, "path", it.name)) for it in new[:3])
            raise ValueError(
                f"the model's train_step makes new variables ({names}{' ...' * (len(new) > 3)}), "
                "which a range test could not put back. Build everything first: build its layers "
                "and optimizers, or call fit once on a few examples"
            )

    def weights(self):
        """Return the trained weights as they are now."""
        return [variable.numpy() for variable in self.model.trainable_variables]


def _loss_of(logs):
    """Return the loss that a train step reports, as a float."""
    if not isinstance(logs, dict) or "loss" not in logs:
        is_dict = isinstance(logs, dict)
        got = (
            f"reports {', '.join(map(str, logs)) or 'nothing'}" if is_dict else f"returns {logs!r}"
        )
        raise ValueError(
            "the model's train_step must return a dict with the loss of the batch under 'loss', "
            f"as Keras's own does; this one {got}"
        )
    loss = np.asarray(logs["loss"])
    if loss.size != 1:
        raise ValueError(
            "the 'loss' that the model's train_step returns must be a single number, it has the "
            f"shape {loss.shape}"
        )
    return float(loss.reshape(()))


def _check_finite(examples, parts, loss):
    """Refuse data that make the loss something else than a finite number, whatever the rate."""
    for name, part in zip(("x", "y", "sample_weight"), parts):
        for array in _arrays(part):
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(
                    f"the loss is {loss} in a batch in which {name} of data holds a number that is "
                    "not finite, which no learning rate can help: remove or replace such numbers"
                )


def _arrays(part):
    """Yield the arrays of a part of a batch."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for each in part:
            yield from _arrays(each)
    elif part is not None:
        yield np.asarray(part)


def _check_rate_matters(training, set_rate, batches, rates):
    """Refuse a model whose weights do not depend on its optimizer's learning rate.

    From the same state, updates are made at two rates, and once more at the first, to know how
    far apart equal trainings are. `batches` is called for the batches, the same each time.
    """
    model, kept = training.model, training.kept
    if not model.trainable_variables:
        raise ValueError("the model has no weights to train: it is frozen, or has no layers yet")

    def run(rate, count):
        kept.put_back()
        set_rate(rate)
        passing, weights, losses = batches(), [training.weights()], []
        for _ in range(count):
            losses.append(training.update(passing))
            weights.append(training.weights())
        return weights, losses[0]

    for count, upper in ((1, math.sqrt(rates[0] * rates[-1])), (TRIES, rates[-1])):
        low, loss = run(rates[0], count)
        if not math.isfinite(loss):
            raise ValueError(
                f"the loss is {loss} before the first update, so it is not the learning rate's "
                "fault: look at the model's first weights, and whether its loss suits its output "
                "and the labels"
            )
        noise = _distance(low[-1], run(rates[0], count)[0][-1])
        if _distance(low[-1], run(upper, count)[0][-1]) > 10 * noise:
            break
    else:
        raise ValueError(
            "changing the learning rate of the model's optimizer changes nothing in "
            f"{TRIES} updates, from {rates[0]:.3g} to {rates[-1]:.3g}"
            + (", beyond what training once more at the same rate does" if noise else "")
            + ". Does its train_step use another optimizer than the one in compile, or are all its "
            "gradients zero?"
        )
    if _is_unusual(model):
        weights, _ = run(upper, TRIES)
        idle = [_is_same(one, other) for one, other in itertools.pairwise(weights)]
        if any(idle):
            raise ValueError(
                f"only {TRIES - sum(idle)} of {TRIES} steps change the model's weights. If it "
                "accumulates gradients over several steps itself, a range test would raise the "
                "rate in between: use the optimizer's gradient_accumulation_steps, or test the "
                "model without accumulation"
            )


def _is_unusual(model):
    """Tell whether the model's step or optimizer is not Keras's own."""
    import keras

    own_step = type(model).train_step is not keras.Model.train_step
    return own_step or not type(model.optimizer).__module__.startswith("keras.")


def _is_same(weights, others):
    """Tell whether an update has left all weights as they were; what is nan cannot tell."""
    finite = all(np.isfinite(weight.astype(float)).all() for weight in weights)
    return finite and _distance(weights, others) == 0


def _distance(weights, others):
    """Return the largest difference between weights, infinite if only one is not finite."""
    farthest = 0.0
    for one, other in zip(weights, others):
        if one.tobytes() == other.tobytes():
            continue
        one, other = one.astype(float), other.astype(float)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(one - other)
        apart[np.isnan(apart)] = np.inf
        apart[np.isnan(one) & np.isnan(other)] = 0
        farthest = max(farthest, float(apart.max(initial=0)))
    return farthest


def _ramp(lowest, highest, updates):
    """Return learning rates that rise by the same factor each time, of shape (updates,)."""
    lowest = positive_number("lowest", lowest)
    highest = positive_number("highest", highest)
    updates = whole_number("updates", updates, minimum=2)
    if lowest >= highest:
        raise ValueError(f"lowest must be below highest, got {lowest!r} and {highest!r}")
    check_32_bits("lowest and highest", lowest, highest)
    return np.geomspace(lowest, highest, updates)


def endless_batches(examples, batch_size, seed):
    """Yield batches without end, as the parts that a train step takes."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(len(examples))
        for start in range(0, len(examples) - batch_size + 1, batch_size):
            yield examples.rows(order[start : start + batch_size])
