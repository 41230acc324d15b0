"""What can go wrong with a sweep, found before the first update."""

import keras
import numpy as np

from utils import checks
from utils.sweep.one_by_one import scaled_learning_rate

_ACCURACIES = ("accuracy", "acc", "binary_accuracy", "categorical_accuracy")


def check_rates(learning_rates):
    """Return learning rates as an array of floats, all positive and rising or falling."""
    rates = checks.array("learning_rates", learning_rates, dimensions=1)
    if np.asarray(learning_rates).dtype.kind in "iu":
        raise ValueError(f"learning_rates must be floats, write {rates[0]} for {int(rates[0])}")
    if rates.min() <= 0:
        raise ValueError(f"learning_rates must be positive, got {rates.min():g}")
    steps = np.diff(rates)
    if not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(f"learning_rates must rise or fall all the way, got {rates.tolist()}")
    return rates


def check_seeds(seeds):
    """Return seeds as an array of different whole numbers: the given ones, or the first few."""
    if np.ndim(seeds) == 0:
        return np.arange(checks.whole_number("seeds", seeds))
    seeds = [checks.whole_number("seeds", seed, minimum=0) for seed in np.ravel(seeds)]
    if not seeds or len(set(seeds)) < len(seeds) or max(seeds) >= 2**32:
        raise ValueError(f"seeds must be different whole numbers below 2**32, got {seeds}")
    return np.array(seeds)


def check_examples(name, data):
    """Return inputs and targets as arrays of equal length, floats in Keras's float type."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(f"{name} must be a pair of arrays (x, y), got {type(data).__name__}")
    arrays = []
    for part, values in zip(("x", "y"), data):
        clean = checks.array(f"{part} of {name}", values)
        values = np.asarray(values)
        arrays.append(values if values.dtype.kind in "iu" else clean.astype(keras.config.floatx()))
    x, y = arrays
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"x and y of {name} must have one row for each example, got shapes {x.shape} and "
            f"{y.shape}"
        )
    return x, y


def check_fresh(model, other):
    """Refuse a builder whose models share an optimizer or weights that are trained."""
    if model.optimizer is other.optimizer:
        raise ValueError("build_model must make a new model and a new optimizer at each call")
    weights = {id(v) for v in model.trainable_variables}
    if any(id(v) in weights for v in other.trainable_variables):
        raise ValueError("build_model must make new weights at each call, got shared ones")


def rehearse(model, experiment):
    """Call a model, its loss and its metrics on examples, which also builds them.

    Returns
    -------
    names : list of str
        What the model will report.
    chance : dict of float
        See `SweepResult`.

    Raises
    ------
    ValueError
        If model, examples and loss do not fit together.
    """
    scaled_learning_rate(model.optimizer, 1.0, experiment.updates)
    if type(model).train_step is not keras.Model.train_step:
        return ["loss", "val_loss"], {}
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
    names += [f"val_{name}" for name in names]
    chance = _chance(_loss_name(model), experiment.y_validation)
    return names, {name: value for name, value in chance.items() if name in names}


def _loss_name(model):
    """Return the name of a model's only loss as Keras spells it in full, else ""."""
    try:
        loss = keras.losses.get(model.loss)
    except (TypeError, ValueError):
        return ""
    return getattr(loss, "name", None) or getattr(loss, "__name__", "")


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


def _chance(loss, y):
    """Return the loss and the accuracy of the constant answer that suits the targets best."""
    y = y.reshape(len(y), -1)
    if loss == "sparse_categorical_crossentropy":
        shares = np.unique(y, return_counts=True)[1] / y.size
    elif loss == "categorical_crossentropy":
        shares = y.mean(axis=0)
    elif loss == "binary_crossentropy":
        shares = np.stack([y.mean(axis=0), 1 - y.mean(axis=0)])
    elif loss == "mean_squared_error":
        return {"val_loss": float(y.var(axis=0).mean())}
    elif loss == "mean_absolute_error":
        return {"val_loss": float(np.abs(y - np.median(y, axis=0)).mean())}
    else:
        return {}
    entropy = -np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0)
    accuracy = float(np.mean(shares.max(axis=0)))
    scores = {f"val_{name}": accuracy for name in _ACCURACIES}
    return scores | {"val_sparse_categorical_accuracy": accuracy, "val_loss": float(entropy.mean())}
