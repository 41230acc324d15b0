"""Checks of arguments: each returns a clean value or says what is wrong and what is allowed.

All lessons.
"""

import math
from numbers import Integral, Real

import numpy as np


def number(name, value):
    """Return `value` as a float if it is a finite real number (booleans are not).

    Raises
    ------
    ValueError
        Names the argument, the value and what is allowed.
    """
    if _is_real(value) and math.isfinite(_as_float(value)):
        return float(value)
    raise ValueError(f"{name} must be a finite number, got {value!r}")


def positive_number(name, value):
    """Return `value` as a float if it is finite and above zero.

    Raises
    ------
    ValueError
        Names the argument, the value and what is allowed.
    """
    if _is_real(value) and math.isfinite(_as_float(value)) and _as_float(value) > 0:
        return float(value)
    raise ValueError(f"{name} must be a positive number, got {value!r}")


def whole_number(name, value, minimum=1):
    """Return `value` as an int if it is a whole number of at least `minimum`.

    Raises
    ------
    ValueError
        Names the argument, the value and what is allowed.
    """
    if isinstance(value, Integral) and not _is_boolean(value) and value >= minimum:
        return int(value)
    raise ValueError(f"{name} must be a whole number of at least {minimum}, got {value!r}")


def fraction(name, value):
    """Return `value` as a float if it lies strictly between 0 and 1.

    Raises
    ------
    ValueError
        Names the argument, the value and what is allowed.
    """
    if _is_real(value) and 0 < _as_float(value) < 1:
        return float(value)
    raise ValueError(f"{name} must be a number between 0 and 1, got {value!r}")


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

    Raises
    ------
    ValueError
        Names the argument, what is wrong with it and what is allowed.
    """
    wanted = "an array" if dimensions is None else f"a {dimensions}-D array"
    try:
        result = np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name} must be {wanted} of numbers, got rows of unequal length"
        ) from None
    if result.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be {wanted} of numbers, got {_shorten(value)}")
    if dimensions is not None and result.ndim != dimensions:
        raise ValueError(f"{name} must be {wanted}, got one of shape {result.shape}")
    if result.size == 0:
        raise ValueError(f"{name} must not be empty, got an array of shape {result.shape}")
    if not np.all(np.isfinite(result)):
        raise ValueError(f"{name} must hold finite numbers only, got {_shorten(value)}")
    return result.astype(float)


def not_negative(name, numbers):
    """Return `numbers`, already checked to be numbers, if none is below zero.

    Raises
    ------
    ValueError
        Names the argument, its smallest value and what is allowed.
    """
    if np.any(np.asarray(numbers) < 0):
        raise ValueError(f"{name} must not be negative, got {np.min(numbers):g}")
    return numbers


def one_of(name, value, allowed):
    """Return `value` if it is among `allowed`.

    Raises
    ------
    ValueError
        Names the argument, the value and what is allowed.
    """
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name} must be one of {', '.join(sorted(allowed))}, got {value!r}")


def true_or_false(name, value):
    """Return `value` if it is True or False.

    Raises
    ------
    ValueError
        Names the argument and the value.
    """
    if _is_boolean(value):
        return bool(value)
    raise ValueError(f"{name} must be True or False, got {value!r}")


def _is_boolean(value):
    return isinstance(value, (bool, np.bool_))


def _is_real(value):
    return isinstance(value, Real) and not _is_boolean(value)


def _as_float(value):
    try:
        return float(value)
    except OverflowError:  # a whole number with more than 308 digits
        return math.inf


def _shorten(value, limit=60):
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."
