"""Keras's own optimizers, used as functions from old values to new ones.

Keras's optimizers on TensorFlow assign to TensorFlow's variables directly. In a `StatelessScope`,
where a variable stands for a value of one copy, assigning must stay in the scope instead. For as
long as `stateless` lasts, the class that Keras puts between its optimizers and TensorFlow does
what Keras's base class does on every other backend, and without a condition what Keras does in
`cond`, since nothing that is assigned in there leaves it.
"""

import contextlib

import keras
import tensorflow as tf
from keras.optimizers import Optimizer


class Scope(keras.StatelessScope):
    """A scope in which no gradient flows through a value that was assigned, as outside of one.

    What a layer reads of a variable that it has just assigned to is a number for Keras's gradient,
    wherever that number came from.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.assigned = []  # the identities of variables, once for each time

    def add_update(self, update):
        variable, value = update
        self.assigned.append(id(variable))
        super().add_update((variable, tf.stop_gradient(value)))


def _class(name):
    """Return the class of this name from which all of Keras's optimizers inherit."""
    return next(kind for kind in Optimizer.__mro__ if kind.__name__ == name)


BASE, ON_TENSORFLOW = _class("BaseOptimizer"), _class("TFOptimizer")


def _var_key(self, variable):
    return variable._value._unique_id


def _assign(self, variable, value):
    variable.assign(tf.cast(tf.convert_to_tensor(value), variable.dtype))


def _assign_add(self, variable, value):
    self.assign(variable, variable + tf.cast(tf.convert_to_tensor(value), variable.dtype))


def _assign_sub(self, variable, value):
    self.assign(variable, variable - tf.cast(tf.convert_to_tensor(value), variable.dtype))


def _apply_gradients(self, grads, trainable_variables):
    if self.gradient_accumulation_steps:
        _accumulate(self, grads, trainable_variables)
    else:
        _update(self, grads, trainable_variables)
    if self.use_ema:
        self._update_model_variables_moving_average(self._trainable_variables)
        if self.ema_overwrite_frequency:
            due = (self.iterations + 1) % self.ema_overwrite_frequency == 0
            averages = self._model_variables_moving_average
            for variable, average in zip(self._trainable_variables, averages):
                variable.assign(tf.where(due, average.value, variable.value))


def _update(self, grads, trainable_variables):
    grads = self._clip_gradients(list(grads))
    self._apply_weight_decay(trainable_variables)
    self._backend_update_step(grads, trainable_variables, self.learning_rate)


def _accumulate(self, grads, trainable_variables):
    """Update with the mean of several gradients, at every so many calls."""
    count = self.gradient_accumulation_steps
    due = (self._iterations.value + 1) % count == 0
    sums = [self._accumulated_gradients[self._get_variable_index(v)] for v in trainable_variables]
    totals = [total.value + grad for total, grad in zip(sums, grads)]
    changed = [*trainable_variables, *optimizer_variables(self)]
    before = [variable.value for variable in changed]
    _update(self, [total / count for total in totals], trainable_variables)
    for variable, value in zip(changed, before):
        variable.assign(tf.where(due, variable.value, value))
    for variable, total in zip(sums, totals):
        variable.assign(tf.where(due, tf.zeros_like(total), total))


IN_SCOPE = {
    "_var_key": _var_key,
    "assign": _assign,
    "assign_add": _assign_add,
    "assign_sub": _assign_sub,
    "_backend_apply_gradients": _apply_gradients,
    "_apply_weight_decay": BASE._apply_weight_decay,
    "_backend_update_step": BASE._backend_update_step,
}


@contextlib.contextmanager
def stateless():
    """Let Keras's optimizers work inside a `StatelessScope` for as long as this lasts."""
    own = {name: vars(ON_TENSORFLOW).get(name) for name in IN_SCOPE}
    for name, function in IN_SCOPE.items():
        setattr(ON_TENSORFLOW, name, function)
    try:
        yield
    finally:
        for name, function in own.items():
            if function is None:
                delattr(ON_TENSORFLOW, name)
            else:
                setattr(ON_TENSORFLOW, name, function)


def optimizer_variables(optimizer):
    """Return an optimizer's variables but for its count of updates, also those it does not list."""
    held = [*optimizer.variables]
    held += [value for value in vars(optimizer).values() if isinstance(value, keras.Variable)]
    unique = {id(variable): variable for variable in held}
    del unique[id(optimizer._iterations)]
    return list(unique.values())
