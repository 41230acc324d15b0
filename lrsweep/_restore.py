"""A model that can be trained for a while and be as it was afterwards."""

import contextlib

import keras
import tensorflow as tf

from lrsweep._experiment import own_learning_rate


@contextlib.contextmanager
def restored(model):
    """Give a function that sets the model's learning rate; undo everything at the end.

    Parameters
    ----------
    model : keras.Model
        Compiled. All its variables, its metrics' and its optimizer's, and the optimizer's
        learning rate or schedule are put back, after an error too.

    Raises
    ------
    ValueError
        If its optimizer has no learning rate of its own.
    """
    optimizer = model.optimizer
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    own = own_learning_rate(optimizer)
    if own is None:
        raise ValueError(f"a {type(optimizer).__name__} has no learning rate of its own to raise")
    variables = [*model.variables, *model.metrics_variables, *optimizer.variables]
    values = [tf.identity(variable.value) for variable in variables]
    is_number = isinstance(own, keras.Variable)
    rate = own if is_number else tf.Variable(0.0)
    if not is_number:
        optimizer.learning_rate = lambda: rate
    try:
        yield rate.assign
    finally:
        if not is_number:
            optimizer.learning_rate = own
        for variable, value in zip(variables, values):
            variable.assign(value)
