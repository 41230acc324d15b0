"""What one training of a sweep is: model, examples, order of the batches, learning rate.

Both engines, `lrsweep._sequential` and `lrsweep._vectorized`, train what is described here.
"""

import contextlib
import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lrsweep._examples import Examples, Stream, words_for_size
from lrsweep._surroundings import name_counts, numbered_from, random_numbers
from lrsweep._validation import shorten


class Trial(NamedTuple):
    """What tells one training of a sweep from the others."""

    learning_rate: float
    seed: int


class Outcome(NamedTuple):
    """What one training reported.

    Attributes
    ----------
    history : dict of list or array of shape (epochs,)
        By metric, what Keras reports for each epoch: "loss", "val_loss" and the compiled
        metrics. It ends before the first epoch with a loss that is not a finite number.
    diverged : bool
        Whether there was such an epoch.
    last_epoch : int
        The place in `history` of the epoch whose weights one would go on with: the last, or
        the best where a callback restores it. -1 if there is none.
    """

    history: dict
    diverged: bool
    last_epoch: int


@dataclass(frozen=True)
class Experiment:
    """What is trained on what, for how long; a learning rate and a seed complete it.

    Attributes
    ----------
    build_model : callable
        Takes nothing, returns a compiled Keras model.
    train, validation : Examples or Stream
    epochs, batch_size : int
        As for Keras's `fit`; the last batch of an epoch may be smaller.
    shuffle : bool
        Whether the examples come in a new order in each epoch.
    names : dict
        How many of each kind of thing Keras had named before: the models are all named as the
        next one would be, so that their metrics have the same names.
    """

    build_model: Callable
    train: Examples | Stream
    validation: Examples | Stream
    epochs: int
    batch_size: int
    shuffle: bool = True
    names: dict = field(default_factory=name_counts)

    @property
    def updates(self):
        """The number of changes of the weights in the whole training."""
        if isinstance(self.train, Stream):
            return self.epochs * self.train.count()
        return self.epochs * math.ceil(len(self.train) / self.batch_size)

    def train_batches(self, seed, epoch):
        """Yield the training batches of an epoch: the same for every rate."""
        if isinstance(self.train, Stream):
            return self.train.batches()
        return self.train.batches(self.batch_size, self.order(seed, epoch))

    def held_out_batches(self):
        """Yield the validation batches."""
        if isinstance(self.validation, Stream):
            return self.validation.batches()
        return self.validation.batches(self.batch_size)

    def build(self, seed, as_in_fit=False, rate=None):
        """Return a new model whose weights depend on nothing but the seed.

        It is built from shapes alone, so that no layer is called on numbers. Its metrics are, as
        in `fit`, reset before and not after that.

        Parameters
        ----------
        seed : int
        as_in_fit : bool
            Whether to build the optimizer in a traced function, which takes longer. One that
            starts from the weights then fails to, as it does in `fit`. A model that is run
            eagerly is left for its first step to build: what Python counts then starts at 0.
        rate : float, optional
            A learning rate to set before the optimizer is built, which may remember it.

        Raises
        ------
        ValueError
            If `build_model` returns anything but a compiled Keras model without a strategy.
        """
        keras.utils.set_random_seed(seed)
        with numbered_from(self.names):
            model = self.build_model()
            if not isinstance(model, keras.Model):
                raise ValueError(f"build_model must return a keras.Model, got {model!r}")
            if not model.compiled or model.optimizer is None:
                raise ValueError(
                    "build_model must return a compiled model: call model.compile first"
                )
            check_no_strategy(model)
            optimizer = model.optimizer
            if rate is not None:
                rate_variable(optimizer).assign(rate * rate_scale(optimizer, self))
            model.reset_metrics()
            if as_in_fit and model.run_eagerly:
                return model
            later = as_in_fit and not optimizer.built
            optimizer.built = optimizer.built or later
            batch = self._first_batch()
            with (
                words_for_size(model, len(tf.nest.flatten(batch[0])[0])),
                in_words("the model doesn't fit train_data", self.train, model=model),
            ):
                model._symbolic_build(data_batch=batch)
            if later:
                optimizer.built = False
                tf.function(lambda: _build_once(model))()
        return model

    def _first_batch(self):
        stream = isinstance(self.train, Stream)
        batches = self.train.batches() if stream else self.train.batches(self.batch_size)
        x, y, *weights = next(iter(batches))
        return (x, y, weights[0] if weights else None)

    def order(self, seed, epoch):
        """Return the order of the examples, of shape (examples,): the same for every rate."""
        if not self.shuffle:
            return np.arange(len(self.train))
        return np.random.default_rng((seed, epoch)).permutation(len(self.train))


@contextlib.contextmanager
def in_words(
    what, examples, errors=(ValueError, TypeError, KeyError, tf.errors.OpError), model=None
):
    """Turn errors of Keras and TensorFlow into one that says what is wrong, and with which shapes.

    Parameters
    ----------
    what : str
        How the message begins.
    examples : Examples or Stream
    errors : tuple of type
    model : keras.Model, optional
        Whose outputs are named if the targets are for others.
    """
    try:
        yield
    except errors as error:
        why = _telling_line(error)  # targets for some outputs alone need be no fault
        of_structure = "different structures" in why or "PyTreeSpec" in why
        if of_structure or isinstance(error, KeyError):
            why = _other_outputs(model, examples) or why
        said = assigned_in_tf_function(error) or f"{what}, {_shapes(examples)}: {why}"
        raise ValueError(said) from error


def assigned_in_tf_function(error):
    """Say what to do if an error is about a tensor that a function has kept; "" if it isn't."""
    if type(error).__name__ != "InaccessibleTensorError":
        return ""
    return (
        "a layer, metric or loss of the model changes variables within a function of its own with "
        "@tf.function (or tf.while_loop or tf.cond), where they can't be followed: leave out "
        "@tf.function, since Keras traces the whole step anyway"
    )


def _shapes(examples):
    """Return the shapes of a single example in words, with the names that a dict gives them."""
    parts = zip(("x", "y", "sample_weight"), examples.specs())
    words = []
    for name, specs in parts:
        shapes = [str(tuple(spec.shape[1:])) for spec in tf.nest.flatten(specs)]
        if isinstance(specs, dict) and len(specs) == len(shapes):
            shapes = [f"{shape} for {key!r}" for key, shape in zip(sorted(specs), shapes)]
        words.append(f"{name} of the shape {' and '.join(shapes)}")
    return f"with {', '.join(words)} for each example"


def _other_outputs(model, examples):
    """Say for which outputs a model is, if its targets are for others by name; else ""."""
    y = examples.specs()[1]
    named = getattr(model, "output", None) if hasattr(model, "output_names") else None
    if not isinstance(y, dict) or not isinstance(named, dict) or set(y) == set(named):
        return ""
    names, given = (", ".join(map(repr, it)) for it in (named, y))
    return f"the model's outputs are {names}, y has {given}"


def _telling_line(error):
    """Return the line of an error's message that says what is wrong, without colours and places.

    Where that is about two structures, the next two lines say which.
    """
    said = str(error)
    if isinstance(error, KeyError) and error.args:  # of which Python would give the code
        said = str(error.args[0])
        said = said if " " in said else f"{said!r} is missing"
    text = re.sub(r"\x1b\[\d*m|\{\{.*?\}\} ?", "", said)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith("Exception encountered")]
    telling = telling or lines or [type(error).__name__]
    count = 3 if telling[0].endswith("different structures.") else 1
    return " ".join(telling[:count])[:200]


def check_no_strategy(model):
    """Refuse a model that TensorFlow would train as replicas."""
    if tf.distribute.has_strategy() or getattr(model, "_distribute_strategy", None) is not None:
        raise ValueError(
            "a model made under a strategy of tf.distribute can't be followed: make it without "
            "strategy.scope()"
        )


def _build_once(model):
    """Build a model's optimizer, unless it is built: a function with variables is traced twice."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
        model.optimizer.built = True


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule multiplied by a number, which is kept in a variable."""

    def __init__(self, schedule):
        self.schedule, self.rates, self.made = schedule, None, 0
        self.factor = keras.Variable(1.0, dtype="float32", trainable=False)

    def __call__(self, step):
        return self.factor.value * tf.cast(self.schedule(step), "float32")

    def get_config(self):
        try:
            return {"schedule": keras.optimizers.schedules.serialize(self.schedule)}
        except NotImplementedError:  # a schedule of one's own may have no configuration
            return {"schedule": type(self.schedule).__qualname__}


def own_learning_rate(optimizer):
    """Return the variable or schedule that an optimizer, or the one it wraps, was made with.

    It is None where there is none, as in an optimizer that is made of several.
    """
    own = getattr(getattr(optimizer, "inner_optimizer", optimizer), "_learning_rate", None)
    if isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        return own  # not asked for its rate, which it may count
    return own if hasattr(optimizer, "learning_rate") else None


def rate_variable(optimizer):
    """Return the variable that holds an optimizer's learning rate.

    An optimizer made with a number has one. One made with a schedule gets one: the schedule is
    multiplied by it, so that it keeps its shape.

    Raises
    ------
    ValueError
        If the optimizer has neither.
    """
    own = own_learning_rate(optimizer)
    if isinstance(own, keras.optimizers.schedules.LearningRateSchedule):
        if not isinstance(own, ScaledSchedule):
            own = ScaledSchedule(own)
            optimizer.learning_rate = own
        return own.factor
    if isinstance(own, keras.Variable):
        return own
    raise ValueError(
        "the optimizer must have one learning rate, a number or a schedule, "
        f"for a sweep to set it; this {type(optimizer).__name__} has not"
    )


def rate_scale(optimizer, experiment):
    """Return what to multiply a learning rate by before `rate_variable` is assigned to it.

    The largest value of a schedule in this training is then the rate.

    Raises
    ------
    ValueError
        If the schedule is never positive.
    """
    if not isinstance(own_learning_rate(optimizer), ScaledSchedule):
        return 1.0
    peak = float(np.max(schedule_rates(optimizer, experiment)))
    if not (math.isfinite(peak) and peak > 0):
        raise ValueError(f"the schedule's largest learning rate must be positive, got {peak}")
    return 1 / peak


def schedule_rates(optimizer, experiment):
    """Return what a scaled schedule says, unscaled, for each update of a training.

    The training begins after the updates that the optimizer had made when this was first asked.

    Raises
    ------
    ValueError
        If the schedule says something else each time.
    """
    own = own_learning_rate(optimizer)
    if own.rates is None:
        own.made = int(getattr(optimizer, "inner_optimizer", optimizer)._iterations)
        steps = own.made + tf.range(experiment.updates, dtype="int64")

        def all_rates():
            return tf.map_fn(
                lambda step: tf.cast(own.schedule(step), "float32"),
                steps,
                fn_output_signature=tf.float32,
            )

        variables = ()
        try:
            traced = tf.function(all_rates).get_concrete_function()
            asked, variables = lambda: traced().numpy(), traced.variables
        except Exception:  # Python's own numbers, as a model that is run eagerly may have them
            asked = functools.partial(asked_one_by_one, own.schedule, steps)
        before = [variable.numpy() for variable in variables] or [asked()]
        with unchanged(variables):
            own.rates = asked()
            now = [variable.numpy() for variable in variables] or [own.rates]
        if not all(map(functools.partial(np.array_equal, equal_nan=True), before, now)):
            name = type(own.schedule).__name__
            raise ValueError(
                "the optimizer's schedule must depend on the number of the update alone, for a "
                f"sweep to multiply it: this {name} changes a variable, or counts"
            )
    return own.rates


def asked_one_by_one(schedule, steps):
    """Return what a schedule that can't be traced says for each update, of shape (updates,)."""
    return np.array([float(schedule(step)) for step in steps], "float32")


@contextlib.contextmanager
def unchanged(variables):
    """Give variables the values back that they have now, at the end."""
    values = [tf.identity(variable) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values):
            variable.assign(value)


def flat_report(report):
    """Return what metrics report with the entries of those that report several."""
    flat = {}
    for name, value in report.items():
        flat |= flat_report(value) if isinstance(value, dict) else {name: value}
    return flat


def choose_report(results, logs):
    """Return what Keras reports after a pass through the batches.

    Parameters
    ----------
    results : dict
        Of the metrics, at the end.
    logs : dict or None
        What the last step returned: taken if it has other entries, as of a step of one's own.

    Raises
    ------
    ValueError
        If a step returned anything else.
    """
    if logs is not None and not isinstance(logs, dict):
        raise ValueError(
            "train_step and test_step must return a dict of what they report, such as "
            f"{{'loss': loss}}, as `fit` needs it; one returned {shorten(logs)}"
        )
    return results if logs is None or set(results) == set(logs) else logs


def traced_step(step, examples, model):
    """Trace a step of Keras's loop once for batches of any size, compiled as in `fit`.

    Parameters
    ----------
    step : callable
        A model's `train_step` or `test_step`, or another function of the parts of a batch.
    examples : Examples or Stream
        Where the batches come from.
    model : keras.Model
        Says how: compiled with `run_eagerly=True`, the step is left as it is; with
        `jit_compile=True`, XLA compiles it, and draws other random numbers.

    Returns
    -------
    callable
        Takes the parts of a batch, returns the metrics since they were last reset. Its attribute
        `variables` is a tuple of the `tf.Variable`s that it uses, wherever they are kept; it is
        empty for a step that is not traced. Its attribute `graph` is what was traced, or None, and
        `drew` says whether Python drew random numbers of its own meanwhile.
    """
    if model.run_eagerly:
        return untraced_step(step)
    before = random_numbers()
    traced = tf.function(
        lambda *parts: step(parts), autograph=False, jit_compile=model.jit_compile or None
    ).get_concrete_function(*examples.specs())

    def run(*parts):
        return traced(*tf.nest.map_structure(tf.convert_to_tensor, parts))

    run.variables, run.graph = tuple(traced.variables), traced.graph
    run.drew = random_numbers() != before
    return run


def untraced_step(step):
    """Return a step of Keras's loop as it is, to be called like a traced one."""

    def run(*parts):
        return step(tf.nest.map_structure(tf.convert_to_tensor, parts))

    run.variables, run.graph, run.drew = (), None, False
    return run
