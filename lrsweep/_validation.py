"""Checks of arguments: each returns a clean value or says what is wrong and what is allowed.

All of them raise a `ValueError`. None needs Keras; what a model must be is checked by
`lrsweep._model_checks`.
"""

import math
import os
from numbers import Integral, Real
from pathlib import Path

import numpy as np

MANY = 100_000  # seeds, more than anybody can wait for


def positive_number(name, value):
    """Return `value` as a float if it is finite and above zero."""
    number = _as_float(value)
    if 0 < number < math.inf:
        return number
    raise ValueError(f"{name} must be a positive number, got {value!r}")


def share_below_one(name, value):
    """Return `value` as a float if it is at least 0 and below 1."""
    number = _as_float(value)
    if 0 <= number < 1:
        return number
    raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def whole_number(name, value, minimum=1):
    """Return `value` as an int if it is a whole number of at least `minimum`."""
    if isinstance(value, Integral) and not isinstance(value, bool) and value >= minimum:
        return int(value)
    raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def true_or_false(name, value):
    """Return `value` as a bool if it is one, or 0 or 1."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, Integral) and value in (0, 1)):
        return bool(value)
    raise ValueError(f"{name} must be True or False, got {value!r}")


def one_of(name, value, allowed):
    """Return `value` if it is among the strings `allowed`."""
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name} must be one of {', '.join(sorted(allowed))}, got {value!r}")


def array(name, value, dimensions=None):
    """Return `value` as a float array of finite numbers, never empty.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    value : array-like
        Numbers; strings, booleans and ragged lists are refused.
    dimensions : int, optional
        How many axes it must have.
    """
    wanted = "an array" if dimensions is None else f"a {dimensions}-D array"
    try:
        result = np.asarray(value)
    except ValueError:
        message = f"{name} must be {wanted} of numbers, got rows of unequal length"
        raise ValueError(message) from None
    if result.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be {wanted} of numbers, got {shorten(value)}")
    if dimensions is not None and result.ndim != dimensions:
        raise ValueError(f"{name} must be {wanted}, got one of shape {result.shape}")
    if result.size == 0:
        raise ValueError(f"{name} must not be empty, got an array of shape {result.shape}")
    if not np.all(np.isfinite(result)):
        raise ValueError(f"{name} must hold finite numbers only, got {shorten(value)}")
    return result.astype(float)


def check_rates(learning_rates):
    """Return learning rates as an array of floats, all positive and rising or falling."""
    rates = array("learning_rates", learning_rates, dimensions=1)
    if np.asarray(learning_rates).dtype.kind in "iu":
        raise ValueError(f"learning_rates must be floats, write {rates[0]} for {int(rates[0])}")
    if rates.min() <= 0:
        raise ValueError(f"learning_rates must be positive, got {rates.min():g}")
    check_32_bits("learning_rates", rates.min(), rates.max())
    differences = np.diff(rates)
    if not (np.all(differences > 0) or np.all(differences < 0)):
        raise ValueError(f"learning_rates must rise or fall all the way, got {rates.tolist()}")
    if np.any(np.diff(rates.astype("float32")) == 0):
        raise ValueError(
            "learning_rates must differ as 32-bit numbers, which Keras makes of them, got "
            f"{rates.tolist()}"
        )
    return rates


def check_32_bits(name, smallest, largest):
    """Refuse learning rates that Keras, which keeps them as 32-bit numbers, would make 0 or inf."""
    limits = np.finfo("float32")
    if smallest < limits.tiny or largest > limits.max:
        raise ValueError(
            f"{name} must be 32-bit numbers, from {limits.tiny:.1g} to {limits.max:.1g}, "
            f"got {smallest:g} to {largest:g}"
        )


def check_seeds(seeds):
    """Return seeds as an array of different whole numbers: the given ones, or the first few."""
    try:
        single = np.ndim(seeds) == 0
    except ValueError:
        raise ValueError(
            f"seeds must be how many, or a list of them, got rows of unequal length: {seeds}"
        ) from None
    if single:
        count = whole_number("seeds", seeds)
        if count > MANY:
            raise ValueError(
                f"seeds must be how many seeds to try, at most {MANY}, or a list of them, got "
                f"{count}: for that one seed alone write seeds=[{count}]"
            )
        return np.arange(count)
    seeds = [whole_number("seeds", seed, minimum=0) for seed in np.ravel(seeds)]
    if not seeds or len(set(seeds)) < len(seeds) or max(seeds) >= 2**32:
        raise ValueError(f"seeds must be different whole numbers below 2**32, got {seeds}")
    return np.array(seeds)


def _as_float(value):
    """Return a real number as a float, and nan for anything else, booleans among them."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # a whole number with more than 308 digits
        return math.inf


def shorten(value, limit=60):
    """Return a value as text of at most `limit` characters, for a message."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def file_name(name, value):
    """Return `value` as the path of a file, which need not exist."""
    path = _path(name, value, "file")
    if path.is_dir():
        raise ValueError(f"{name} must be the name of a file, {str(value)!r} is a folder")
    return path


def folder_name(name, value):
    """Return `value` as the path of a folder, which need not exist."""
    path = _path(name, value, "folder")
    if path.exists() and not path.is_dir():
        raise ValueError(f"{name} must be a folder, {str(value)!r} is a file")
    return path


def _path(name, value, what):
    """Return `value` as a path if the operating system takes it for one."""
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        raise ValueError(f"{name} must be the name of a {what}, got {value!r}")
    try:
        os.stat(value)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass
    except (OSError, ValueError) as error:  # too long, or with a character that no name has
        why = getattr(error, "strerror", None) or error
        raise ValueError(
            f"{name} must be the name of a {what}, got {shorten(value)}: {why}"
        ) from error
    return Path(value)
