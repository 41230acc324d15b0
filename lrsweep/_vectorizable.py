"""Whether a model can be trained by `lrsweep._vectorized`, found out by looking and by trying.

Vectorized copies share one model's code and one optimizer. Each reason below is a way in which
one copy could feel another, or in which Keras does more than the vectorized copies would.
"""

import keras
import numpy as np
import tensorflow as tf

from lrsweep._experiment import scaled_learning_rate
from lrsweep._vectorized import (
    CannotVectorize,
    first_line,
    flatten,
    one_copy,
    vectorized_optimizer,
)

PROBE_RATES = (0.5, 0.01)  # of the two copies that an optimizer is tried on
PROBES = ((1, 1e3), (1e3, np.nan))  # of each update: size of the gradients, times how much beside


def bytes_per_copy(model, experiment):
    """Return the memory that one copy needs, if the model can be vectorized.

    One update is traced and searched for random numbers and for state that it changes, and
    the optimizer's updates of two copies are compared with its updates of the model's own
    variables. What so short a trial could miss, since it acts rarely, is looked up by name.
    The model keeps its weights, but its optimizer is used up.

    Parameters
    ----------
    model : keras.Model
        Compiled, and called on examples before.
    experiment : Experiment

    Returns
    -------
    int
        Bytes of all tensors of one update, as if none were ever freed.

    Raises
    ------
    CannotVectorize
        The message is the reason.
    """
    _check_names(model)
    graph, gradients = _trace_update(model, experiment)
    impure = sorted({op.type for op in graph.get_operations() if op.op_def.is_stateful})
    if impure:
        raise CannotVectorize(
            f"its result depends on more than weights and examples: {', '.join(impure)}"
        )
    if any(gradient is None for gradient in gradients):
        raise CannotVectorize("its loss does not depend on some of its weights")
    if any(isinstance(gradient, tf.IndexedSlices) for gradient in gradients):
        raise CannotVectorize(
            "an embedding has sparse gradients, which optimizers treat in their own way"
        )
    _check_optimizer(model, experiment)
    tensors = [tensor for op in graph.get_operations() for tensor in op.outputs]
    return sum((t.shape.num_elements() or 0) * t.dtype.size for t in tensors)


def _check_names(model):
    """Refuse what is known to act on more than one copy, or too rarely to be seen in a trial."""
    optimizer, variables = model.optimizer, model.trainable_variables
    if not variables:
        raise CannotVectorize("it has no weights to train")
    for name in ("train_step", "test_step"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise CannotVectorize(f"{type(model).__name__} has its own {name}")
    if model.run_eagerly:
        raise CannotVectorize("it is compiled with run_eagerly=True")
    if len({v.dtype for v in variables}) > 1:
        raise CannotVectorize("its weights are of several float types")
    if any(v.constraint is not None for v in variables):
        raise CannotVectorize("a constraint acts on the weights of a layer as a whole")
    if hasattr(optimizer, "inner_optimizer") or optimizer.loss_scale_factor:
        raise CannotVectorize("its optimizer scales the loss")
    if optimizer.clipnorm or optimizer.global_clipnorm:
        raise CannotVectorize("its optimizer clips the norm of the gradients")
    if int(optimizer.iterations):
        raise CannotVectorize("its optimizer has made updates before")


def _trace_update(model, experiment):
    """Trace one update of one copy; return its graph and its gradients."""

    def update(weights, fixed, state, x, y):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, _ = one_copy(model, weights, fixed, state, x, y, training=True)
        gradients.extend(tape.gradient(loss, weights))

    gradients = []
    kinds = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    state = [[tf.TensorSpec(v.shape, v.dtype) for v in variables] for variables in kinds]
    batch = [array[: experiment.batch_size] for array in (experiment.x, experiment.y)]
    batch = [tf.TensorSpec(array.shape, array.dtype) for array in batch]
    traced = tf.function(update, autograph=False).get_concrete_function(*state, *batch)
    return traced.graph, gradients


def _check_optimizer(model, experiment):
    """Refuse an optimizer that updates a row of a matrix in another way than the weights."""
    name, variables = type(model.optimizer).__name__, model.trainable_variables
    start = [variable.numpy() for variable in variables]
    try:
        _compare_updates(model.optimizer, variables, experiment.updates)
    except (AttributeError, NotImplementedError, TypeError, ValueError, tf.errors.OpError) as error:
        raise CannotVectorize(
            f"{name} does not update vectorized weights: {first_line(error)}"
        ) from error
    finally:
        for variable, value in zip(variables, start):
            variable.assign(value)


def _compare_updates(optimizer, variables, updates):
    """Compare two updates of two copies with the optimizer's own of the second one."""
    name, random = type(optimizer).__name__, np.random.default_rng(0)
    vectorized = vectorized_optimizer(optimizer, PROBE_RATES, updates)
    optimizer.learning_rate = scaled_learning_rate(optimizer, PROBE_RATES[1], updates)
    rows = keras.Variable(np.stack([7 - flatten(variables), flatten(variables)]))
    vectorized.build([rows])
    if any(np.ptp(variable.numpy()) for variable in vectorized.variables):
        raise CannotVectorize(f"the variables of {name} start from the weights")
    for size, neighbour in PROBES:
        gradients = [tf.constant(size * random.normal(size=v.shape), v.dtype) for v in variables]
        row = flatten(gradients)
        before = flatten(variables)
        optimizer.apply(gradients, variables)
        vectorized.apply([tf.constant(np.stack([neighbour * row[::-1], row]))], [rows])
        alone, together = flatten(variables), rows.numpy()[1]
        tolerance = 1e-4 * np.max(np.abs(alone - before)) + 1e-6 * np.max(np.abs(before))
        if not np.allclose(together, alone, rtol=0, atol=tolerance):
            raise CannotVectorize(f"{name} updates a weight differently when it is vectorized")
