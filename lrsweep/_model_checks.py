"""What can be wrong with a model and its examples, found before the first update.

All checks raise a `ValueError` that names what is wrong. Nothing here is read off a name: losses
are recognised by being Keras's own, metrics say themselves which way is better.
"""

import contextlib
import inspect

import keras
import numpy as np
import tensorflow as tf

from lrsweep._experiment import flat_report

SPARSE = (keras.losses.sparse_categorical_crossentropy, keras.losses.SparseCategoricalCrossentropy)
ONE_HOT = (keras.losses.categorical_crossentropy, keras.losses.CategoricalCrossentropy)
BINARY = (keras.losses.binary_crossentropy, keras.losses.BinaryCrossentropy)
SQUARED = (keras.losses.mean_squared_error, keras.losses.MeanSquaredError)
ABSOLUTE = (keras.losses.mean_absolute_error, keras.losses.MeanAbsoluteError)
ACCURACIES = (
    keras.metrics.Accuracy,
    keras.metrics.BinaryAccuracy,
    keras.metrics.CategoricalAccuracy,
    keras.metrics.SparseCategoricalAccuracy,
)


def check_builder(build_model):
    """Refuse what is not a function, a model among them."""
    if not callable(build_model) or isinstance(build_model, keras.Model):
        raise ValueError(
            "build_model must be a function without arguments that returns a new compiled model "
            f"each time, got {build_model!r}"
        )
    try:
        inspect.signature(build_model).bind()
    except TypeError as error:
        raise ValueError(
            f"build_model must be a function that can be called without arguments, but {error}: "
            "wrap it, as in lambda: build(32)"
        ) from None
    except ValueError:  # some callables do not say what they take
        pass


def check_fresh(model, other):
    """Refuse a builder whose models share an optimizer or weights; return what else they share."""
    if model.optimizer is other.optimizer:
        raise ValueError(
            "build_model must make a new model and a new optimizer at each call, got the same "
            "optimizer twice: make it, and call model.compile, within. If a model exists already, "
            "begin with model = keras.models.clone_model(existing), and, to start from its "
            "weights, model.set_weights(existing.get_weights())"
        )
    ours = {id(v) for v in model.variables}
    shared = [v for v in other.variables if id(v) in ours]
    if any(v.trainable for v in shared):
        raise ValueError("build_model must make new weights at each call, got shared ones")
    return shared


def check_methods(model):
    """Refuse a model with methods of its own that a sweep would have to call and does not."""
    for name in ("fit", "evaluate", "make_train_function", "make_test_function"):
        if getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name):
            raise ValueError(
                f"build_model returns a {type(model).__name__} with its own {name}, which a sweep "
                "does not call: move what it does to train_step or test_step"
            )


def check_compiled(model):
    """Refuse what is not a compiled model."""
    if not isinstance(model, keras.Model) or not model.compiled or model.optimizer is None:
        raise ValueError(f"model must be a compiled keras.Model, got {model!r}")


def check_labels(model, examples, name):
    """Refuse labels that the model's loss cannot compare with its output.

    Only for a model with one output and one of Keras's own crossentropies.
    """
    loss, y = own_loss(model), examples.y
    outputs = tf.nest.flatten(getattr(model, "output_shape", None) or ())
    if loss is None or not isinstance(y, np.ndarray):
        return
    if loss in SPARSE:
        _check_whole(y, loss, name)
        classes = outputs[-1] if outputs and isinstance(outputs[-1], int) else None
        if getattr(model.loss, "ignore_class", None) is not None or classes is None:
            return
        low, high = 0, classes - 1
    elif loss in ONE_HOT or loss in BINARY:
        low, high = 0, 1
    else:
        return
    if loss in SPARSE and (bad := np.count_nonzero(np.isnan(y))):
        raise ValueError(f"labels of {name} must be classes, {bad} of them are nan")
    if y.min() < low or y.max() > high:
        raise ValueError(
            f"labels of {name} must be from {low} to {high} for this model's output and its "
            f"{loss.__name__}, got {y.min()} to {y.max()}"
        )


def _check_whole(y, loss, name):
    """Refuse classes such as 0.5, of which Keras drops the fraction without a word."""
    broken = y[np.isfinite(y) & (y % 1 != 0)] if y.dtype.kind == "f" else y[:0]
    if broken.size:
        raise ValueError(
            f"labels of {name} must be whole numbers for {loss.__name__}, got {broken.flat[0]}"
        )


def own_loss(model):
    """Return which of Keras's losses a model with one loss is compiled with, or None.

    A loss object counts only if it is exactly of Keras's class and reduces as Keras does by
    default, without label smoothing, classes to ignore, or weights for the outputs.
    """
    if model._compile_loss is None or model._compile_loss._user_loss_weights is not None:
        return None
    loss = model.loss
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    known = [*SPARSE, *ONE_HOT, *BINARY, *SQUARED, *ABSOLUTE]
    if loss in known:
        return loss
    if type(loss) not in known:
        return None
    plain = type(loss)().get_config()
    given = {key: value for key, value in loss.get_config().items() if key in plain}
    for free in ("name", "from_logits", "dtype"):
        plain.pop(free, None), given.pop(free, None)
    return type(loss) if given == plain else None


def directions(model, names):
    """Return which way is better, "min" or "max", by metric, for those where that is known.

    A loss is to be small. A metric of Keras says which way is better; others say nothing.

    Parameters
    ----------
    model : keras.Model
    names : list of str
        What it reports, with "val_" and without.
    """
    of_losses = getattr(model._compile_loss, "metrics", ())
    known = {"loss": "min"}
    for name, metric in _metrics_by_name(model).items():
        way = {"up": "max", "down": "min"}.get(_own_direction(metric))
        known[name] = "min" if any(metric is it for it in of_losses) else known.get(name, way)
    known = {name: way for name, way in known.items() if way}
    known |= {f"val_{name}": way for name, way in known.items()}
    return {name: way for name, way in known.items() if name in names}


def _own_direction(metric):
    """Return the direction that a metric has, unless it's one of another metric of Keras.

    A class that computes something else than the class of Keras that it comes from, 1 - accuracy,
    say, has that one's direction nevertheless, if it doesn't set its own.
    """
    kinds = [vars(it) for it in type(metric).__mro__ if it.__module__.split(".")[0] != "keras"]
    computes = any({"result", "update_state"} & kind.keys() for kind in kinds)
    function = getattr(metric, "_fn", None)
    if function is not None:
        computes |= (function.__module__ or "").partition(".")[0] != "keras"
    codes = [getattr(kind.get("__init__"), "__code__", None) for kind in kinds]
    says = any("_direction" in kind for kind in kinds) or any(
        "_direction" in code.co_names for code in codes if code
    )
    return getattr(metric, "_direction", None) if says or not computes else None


def check_names(model):
    """Refuse a compiled metric that shares its name: Keras reports one value under each name."""
    reported = _metrics_by_name(model)
    compiled = getattr(model._compile_metrics, "metrics", ())
    for metric in flat_metrics(model):
        other = reported.get(metric.name, metric)
        if all(metric is not it for it in reported.values()) and any(
            it is metric or it is other for it in compiled
        ):
            raise ValueError(
                f"metrics must have different names, and none that of a loss, got {metric.name!r} "
                "twice: Keras would report one of the two. Give the metric another name"
            )


def _metrics_by_name(model):
    """Return a model's metrics by the names under which it reports them.

    Nobody need know how Keras makes the names: each metric gives itself for its result.
    """
    metrics = [metric for metric in flat_metrics(model) if isinstance(metric, keras.Metric)]
    for metric in metrics:
        metric.result = lambda metric=metric: metric
    try:
        return flat_report(keras.Model.get_metrics_result(model))
    finally:
        for metric in metrics:
            del metric.result


def flat_metrics(model):
    """Return all single metrics of a model, those of `compile` among them."""
    found = []
    for metric in model.metrics:
        found += list(getattr(metric, "metrics", None) or [metric])
    return found


def evaluates_plainly(model, examples, batch_size):
    """Tell whether a model's loss is its compiled loss of whole outputs, but for penalties.

    Then what it evaluates that with is Keras's own, and no mask leaves out a part of the output.
    It's tried on a first batch, since a model may have been made for that size only. What is tried
    here doesn't stay.

    Returns
    -------
    plain, penalised : bool
        Whether that is so, and whether layers add something to the loss.
    """
    steps = "test_step", "compute_loss", "_compute_loss", "compute_metrics", "get_metrics_result"
    for name in steps:
        if getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name):
            return False, False
    x = tf.nest.map_structure(tf.convert_to_tensor, examples.rows(slice(0, batch_size))[0])
    training = {"training": False} if model._call_has_training_arg else {}
    regularized = any(getattr(it, "regularizer", None) for it in model.trainable_variables)
    with contextlib.suppress(Exception), keras.StatelessScope(collect_losses=True) as scope:
        outputs = tf.nest.flatten(model(x, **training))
        masked = any(getattr(it, "_keras_mask", None) is not None for it in outputs)
        return not masked, regularized or bool(scope.losses)
    return False, False


def constant_scores(model, examples, names, batch_size):
    """Return what the best constant answer scores on the validation examples.

    Only where that is known: one output, one of Keras's own losses as it is, no weights of
    examples, no mask; of the loss only if nothing is added to it; and accuracies of single labels.

    Returns
    -------
    dict of float
        By metric.
    """
    loss, y = own_loss(model), examples.y
    if loss is None or examples.weights is not None or not isinstance(y, np.ndarray):
        return {}
    plain, penalised = evaluates_plainly(model, examples, batch_size)
    if not plain:
        return {}
    scores = best_constant(loss, y)
    if penalised:
        scores.pop("val_loss", None)
    if "accuracy" in scores:
        share = scores.pop("accuracy")
        ours = {metric.name for metric in flat_metrics(model) if type(metric) in ACCURACIES}
        scores |= {f"val_{name}": share for name in ours if _plain_accuracy(model, name)}
    return {name: score for name, score in scores.items() if name in names}


def _plain_accuracy(model, name):
    """Tell whether an accuracy has Keras's usual threshold and no weights."""
    for metric in flat_metrics(model):
        if metric.name == name:
            return metric.get_config().get("threshold", 0.5) == 0.5
    return False


def best_constant(loss, y):
    """Return loss and accuracy of the constant answer that suits the targets best.

    Parameters
    ----------
    loss : one of Keras's losses
    y : array of shape (examples, ...)

    Returns
    -------
    dict of float
        "val_loss", and "accuracy" where each example has one label.
    """
    y = y.reshape(len(y), -1).astype(float)
    if loss in SQUARED:
        return {"val_loss": float(y.var(axis=0).mean())}
    if loss in ABSOLUTE:
        return {"val_loss": float(np.abs(y - np.median(y, axis=0)).mean())}
    if loss in SPARSE:
        shares = np.unique(y, return_counts=True)[1] / y.size
    elif loss in ONE_HOT and np.all(y.sum(axis=1) == 1) and np.all((y == 0) | (y == 1)):
        shares = y.mean(axis=0)
    elif loss in BINARY and np.all((y == 0) | (y == 1)):
        shares = np.stack([y.mean(axis=0), 1 - y.mean(axis=0)])
    else:
        return {}
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0)
    scores = {"val_loss": float(np.mean(entropy))}
    if loss in SPARSE or y.shape[1] == 1 or (loss in ONE_HOT):
        scores["accuracy"] = float(np.mean(np.max(shares, axis=0)))
    return scores
