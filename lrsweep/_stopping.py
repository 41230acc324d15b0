"""Early stopping and falling rates, decided for each copy by Keras's own callbacks."""

import copy
import math
from numbers import Real

import keras
import numpy as np

from lrsweep._experiment import Outcome, own_learning_rate
from lrsweep._model_checks import directions

SETTINGS = "patience", "min_delta", "baseline", "start_from_epoch", "factor", "cooldown", "min_lr"
ALLOWED = keras.callbacks.EarlyStopping, keras.callbacks.ReduceLROnPlateau


def check_callbacks(early_stopping, reduce_on_plateau):
    """Return the callbacks of a sweep, or say which one can't be used.

    Raises
    ------
    ValueError
        Names the argument, what was given and what is allowed.
    """
    given = {"early_stopping": early_stopping, "reduce_on_plateau": reduce_on_plateau}
    found = []
    for (name, callback), kind in zip(given.items(), ALLOWED):
        if callback is None:
            continue
        if type(callback) is not kind:
            raise ValueError(
                f"{name} must be a keras.callbacks.{kind.__name__}, got {_named(callback)}. Other "
                "callbacks can't follow many copies at once, and are refused"
            )
        for setting in SETTINGS:
            value = vars(callback).get(setting, 0)
            optional = setting == "baseline" and value is None
            if not optional and (not isinstance(value, Real) or math.isnan(value)):
                raise ValueError(f"{name} must have a number for {setting}, got {value!r}")
        found.append(callback)
    return found


def check_no_schedule(reduce_on_plateau, optimizer):
    """Refuse to lower the learning rate of an optimizer that Keras gives to a schedule."""
    schedule = keras.optimizers.schedules.LearningRateSchedule
    if reduce_on_plateau is not None and isinstance(own_learning_rate(optimizer), schedule):
        raise ValueError(
            "reduce_on_plateau needs an optimizer made with a number: this one has a schedule, "
            "which Keras lets nobody overrule"
        )


def _named(thing):
    if isinstance(thing, keras.callbacks.Callback):
        kind = type(thing)
        return f"a {kind.__module__}.{kind.__qualname__}"
    return repr(thing)


def check_monitors(callbacks, model, names):
    """Refuse callbacks that watch what is not reported, or can't tell which way is better.

    Parameters
    ----------
    callbacks : list of keras.callbacks.Callback
    model : keras.Model
    names : list of str
        What the model reports.
    """
    ways = directions(model, names)
    for callback in callbacks:
        name = {"EarlyStopping": "early_stopping", "ReduceLROnPlateau": "reduce_on_plateau"}[
            type(callback).__name__
        ]
        if callback.monitor not in names:
            raise ValueError(
                f"{name} watches {callback.monitor!r}, which the model does not report: its "
                f"monitor must be one of {', '.join(names)}"
            )
        if not _has_direction(callback, model, names, ways):
            raise ValueError(
                f"{name} watches {callback.monitor!r}, and Keras does not know whether more of it "
                "is better: give the callback mode='min' or mode='max'"
            )


def _has_direction(callback, model, names, ways):
    """Tell whether Keras will know in `fit` which way is better, and knows it for a reason.

    Of a model with several outputs, it finds no metric by the name under which it reports it; and
    of a metric without a direction it wants less.
    """
    if callback.mode != "auto":
        return True
    try:
        Watcher([callback], model, 1.0).after_epoch(0, dict.fromkeys(names, 1.0))
    except ValueError:
        return False
    return callback.monitor in ways


class Watcher:
    """Callbacks that watch one training, as `fit` would let them.

    Parameters
    ----------
    callbacks : list of keras.callbacks.Callback
        Copied: each training has its own.
    model : keras.Model
        Asked only for its metrics, which say whether more is better.
    learning_rate : float

    Attributes
    ----------
    seen_epochs : int
        How many epochs were seen until training stopped or its loss was not finite.
    diverged : bool
        Whether the loss was not finite.
    lowers_rate : bool
        Whether a callback may change the learning rate.
    """

    def __init__(self, callbacks, model, learning_rate):
        self.seen_epochs, self.diverged = 0, False
        self.model = _Seen(model, learning_rate)
        self.callbacks = [copy.copy(callback) for callback in callbacks]
        self.stopping = [it for it in self.callbacks if isinstance(it, ALLOWED[0])]
        self.lowers_rate = any(isinstance(it, ALLOWED[1]) for it in self.callbacks)
        for callback in self.callbacks:
            callback.verbose = 0
            callback.set_model(self.model)
            callback.on_train_begin()

    def after_epoch(self, epoch, logs):
        """Tell the callbacks what an epoch reported, unless training is over."""
        if self.stopped:
            return
        if not math.isfinite(logs["loss"] + logs.get("val_loss", 0.0)):
            self.diverged = True
            return
        self.seen_epochs = epoch + 1
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, dict(logs))
            callback.monitor_op = _without_tensors(callback.monitor_op)

    @property
    def stopped(self):
        """Whether training is to stop, or has diverged."""
        return self.diverged or self.model.stop_training

    @property
    def learning_rate(self):
        """What the learning rate is to be now."""
        return float(self.model.optimizer.learning_rate)

    @property
    def last_epoch(self):
        """The place of the epoch whose weights are kept: the last, or the best if restored."""
        restored = [it.best_epoch for it in self.stopping if it.best_weights is not None]
        return restored[0] if restored else self.seen_epochs - 1


def _without_tensors(compare):
    """Return a comparison like Keras's, of numbers of the same type, in a hundredth of the time."""
    kind = {"float32": np.float32, "float64": np.float64}.get(keras.config.floatx())
    if kind and compare is keras.ops.less:
        return lambda one, other: kind(one) < kind(other)
    if kind and compare is keras.ops.greater:
        return lambda one, other: kind(one) > kind(other)
    return compare


def make_outcome(history, watcher):
    """Return what a training reported, once it is over."""
    return Outcome(history, watcher.diverged, watcher.last_epoch)


class _Seen:
    """What a callback sees of a model: no weights of its own, an optimizer with a rate."""

    def __init__(self, model, learning_rate):
        self.stop_training, self._model = False, model
        self.optimizer = _Optimizer(learning_rate)

    def get_weights(self):
        return ["the weights of the best epoch so far"]

    def set_weights(self, weights):
        pass

    def __getattr__(self, name):
        return getattr(self._model, name)


class _Optimizer:
    """An optimizer that is nothing but a learning rate, kept as a 32-bit float as in Keras."""

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    def __setattr__(self, name, value):
        super().__setattr__(name, np.float32(value))
