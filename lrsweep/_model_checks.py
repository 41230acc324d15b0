"""What can be wrong with a model and its examples, found before the first update.

All checks raise a `ValueError` that names what is wrong.
"""

import keras
import numpy as np

from lrsweep._experiment import scaled_learning_rate
from lrsweep._validation import array

_ACCURACIES = (
    "accuracy",
    "acc",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
)


def check_examples(name, data):
    """Return inputs and targets as arrays of equal length, floats in Keras's float type."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"{name} must be a pair of arrays (x, y), got {type(data).__name__}")
    x, y = (_as_examples(f"{part} of {name}", values) for part, values in zip(("x", "y"), data))
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"x and y of {name} must have one row for each example, got shapes {x.shape} and "
            f"{y.shape}"
        )
    return x, y


def _as_examples(name, values):
    """Return whole numbers as they are, and others in Keras's float type."""
    clean, values = array(name, values), np.asarray(values)
    return values if values.dtype.kind in "iu" else clean.astype(keras.config.floatx())


def check_builder(build_model):
    """Refuse what is not a function, a model among them."""
    if not callable(build_model) or isinstance(build_model, keras.Model):
        raise ValueError(f"build_model must be a function without arguments, got {build_model!r}")


def check_fresh(model, other):
    """Refuse a builder whose models share an optimizer or weights that are trained."""
    if model.optimizer is other.optimizer:
        raise ValueError("build_model must make a new model and a new optimizer at each call")
    weights = {id(v) for v in model.trainable_variables}
    if any(id(v) in weights for v in other.trainable_variables):
        raise ValueError("build_model must make new weights at each call, got shared ones")


def check_compiled(model):
    """Refuse what is not a compiled model."""
    if not isinstance(model, keras.Model) or not model.compiled or model.optimizer is None:
        raise ValueError(f"model must be a compiled keras.Model, got {model!r}")


def check_labels(model, y, output_shape):
    """Refuse labels that the model's loss cannot compare with outputs of this shape."""
    name = _loss_name(model)
    if name.startswith("sparse") and getattr(model.loss, "ignore_class", None) is None:
        low, high = 0, output_shape[-1] - 1
    elif "crossentropy" in name and not name.startswith("sparse"):
        low, high = 0, 1
    else:
        return
    if y.min() < low or y.max() > high:
        raise ValueError(
            f"labels must be from {low} to {high} for this model's outputs and {name}, "
            f"got {y.min()} to {y.max()}"
        )


def rehearse(model, experiment):
    """Call a model, its loss and its metrics on examples, which also builds them.

    Returns
    -------
    list of str
        What the model will report, as far as it is known: a `train_step` of its own is not
        called, and reports what it likes.

    Raises
    ------
    ValueError
        If model, examples and loss do not fit together.
    """
    scaled_learning_rate(model.optimizer, 1.0, experiment.updates)
    if _has_own_train_step(model):
        return ["loss", "val_loss"]
    x, y, held_out = experiment.x, experiment.y, experiment.y_validation
    if x.shape[1:] != experiment.x_validation.shape[1:] or y.shape[1:] != held_out.shape[1:]:
        raise ValueError("train_data and validation_data must have examples of the same shape")
    y_pred = model(x[:1])
    check_labels(model, np.concatenate([np.ravel(y), np.ravel(held_out)]), y_pred.shape)
    model.compute_loss(x=x[:1], y=y[:1], y_pred=y_pred)
    logs = model.compute_metrics(x[:1], y[:1], y_pred)
    for name, value in logs.items():
        if np.size(value) != 1:
            raise ValueError(f"metrics must be single numbers, {name} is {np.size(value)}")
    names = ["loss", *(name for name in logs if name != "loss")]
    return names + [f"val_{name}" for name in names]


def constant_scores(model, experiment, names):
    """Return what the best constant answer scores on the validation examples.

    Returns
    -------
    dict of float
        By metric, for those among `names` for which it is known.
    """
    if _has_own_train_step(model):
        return {}
    scores = best_constant(_loss_name(model), experiment.y_validation)
    return {name: score for name, score in scores.items() if name in names}


def best_constant(loss, y):
    """Return loss and accuracies of the constant answer that suits the targets best.

    Parameters
    ----------
    loss : str
        Keras's name in full.
    y : array of shape (examples, ...)

    Returns
    -------
    dict of float
        Empty for a loss of which this is not known.
    """
    y = y.reshape(len(y), -1)
    if loss == "mean_squared_error":
        return {"val_loss": float(y.var(axis=0).mean())}
    if loss == "mean_absolute_error":
        return {"val_loss": float(np.abs(y - np.median(y, axis=0)).mean())}
    if loss == "sparse_categorical_crossentropy":
        shares = np.unique(y, return_counts=True)[1] / y.size
    elif loss == "categorical_crossentropy":
        shares = y.mean(axis=0)
    elif loss == "binary_crossentropy":
        shares = np.stack([y.mean(axis=0), 1 - y.mean(axis=0)])
    else:
        return {}
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0)
    accuracy = float(np.mean(shares.max(axis=0)))
    scores = {f"val_{name}": accuracy for name in _ACCURACIES}
    return scores | {"val_loss": float(entropy.mean())}


def _has_own_train_step(model):
    return type(model).train_step is not keras.Model.train_step


def _loss_name(model):
    """Return the name of a model's only loss as Keras spells it in full, else ""."""
    try:
        loss = keras.losses.get(model.loss)
    except (TypeError, ValueError):
        return ""
    return getattr(loss, "name", None) or getattr(loss, "__name__", "")
