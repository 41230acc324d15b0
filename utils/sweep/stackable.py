"""Whether a model can be trained by `utils.sweep.stacked`, found out by looking and by trying.

Stacked copies share one model's code and one optimizer. Each reason below is a way in which
one copy could feel another, or in which Keras does more than the stacked copies would.
"""

import keras
import numpy as np
import tensorflow as tf

from utils.sweep.one_by_one import scaled_learning_rate
from utils.sweep.stacked import CannotStack, flatten, one_copy, stacked_optimizer

PROBE_RATES = (0.5, 0.01)  # of the two copies that an optimizer is tried on


def why_not(model, experiment):
    """Say why a model cannot be stacked, or None if nothing speaks against it.

    One update is traced and searched for random numbers and for state that it changes, and
    the optimizer's updates of two stacked copies are compared with its updates of the
    model's own variables. What so short a trial could miss, since it acts rarely, is looked
    up by name. The model keeps its weights, but its optimizer is used up.

    Parameters
    ----------
    model : keras.Model
        Compiled, and called on examples before.
    experiment : Experiment

    Returns
    -------
    reason : str or None
    bytes_per_copy : int
        Memory of all tensors of one update, as if none were ever freed; 0 with a reason.
    """
    reason = _named_reason(model)
    if reason:
        return reason, 0
    try:
        graph, gradients = _trace_update(model, experiment)
    except CannotStack as error:
        return str(error), 0
    impure = sorted({op.type for op in graph.get_operations() if op.op_def.is_stateful})
    if impure:
        return f"its result depends on more than weights and examples: {', '.join(impure)}", 0
    if any(gradient is None for gradient in gradients):
        return "its loss does not depend on some of its weights", 0
    if any(isinstance(gradient, tf.IndexedSlices) for gradient in gradients):
        return "an embedding has sparse gradients, which optimizers treat in their own way", 0
    tensors = [tensor for op in graph.get_operations() for tensor in op.outputs]
    size = sum((t.shape.num_elements() or 0) * t.dtype.size for t in tensors)
    return _optimizer_reason(model, experiment), size


def _named_reason(model):
    optimizer, variables = model.optimizer, model.trainable_variables
    if not variables:
        return "it has no weights to train"
    for step in ("train_step", "test_step"):
        if getattr(type(model), step) is not getattr(keras.Model, step):
            return f"{type(model).__name__} has its own {step}"
    if model.run_eagerly:
        return "it is compiled with run_eagerly=True"
    if len({v.dtype for v in variables}) > 1:
        return "its weights are of several float types"
    if any(v.constraint is not None for v in variables):
        return "a constraint acts on the weights of a layer as a whole"
    if hasattr(optimizer, "inner_optimizer") or optimizer.loss_scale_factor:
        return "its optimizer scales the loss"
    if optimizer.clipnorm or optimizer.global_clipnorm:
        return "its optimizer clips the norm of the gradients"
    if int(optimizer.iterations):
        return "its optimizer has made updates before"
    return None


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
    batch = [a[: experiment.batch_size] for a in (experiment.x, experiment.y)]
    batch = [tf.TensorSpec(a.shape, a.dtype) for a in batch]
    traced = tf.function(update, autograph=False).get_concrete_function(*state, *batch)
    return traced.graph, gradients


def _optimizer_reason(model, experiment):
    """Compare two updates of two stacked copies with the optimizer's own of the second."""
    optimizer, variables = model.optimizer, model.trainable_variables
    name, start = type(optimizer).__name__, [v.numpy() for v in variables]
    random = np.random.default_rng(0)
    try:
        stacked = stacked_optimizer(optimizer, PROBE_RATES, experiment.updates)
        optimizer.learning_rate = scaled_learning_rate(
            optimizer, PROBE_RATES[1], experiment.updates
        )
        rows = keras.Variable(np.stack([7 - flatten(start), flatten(start)]))
        stacked.build([rows])
        if any(np.ptp(variable.numpy()) for variable in stacked.variables):
            return f"the variables of {name} start from the weights"
        for size, neighbour in ((1, 1e3), (1e3, np.nan)):
            gradients = [
                tf.constant(size * random.normal(size=v.shape), v.dtype) for v in variables
            ]
            row = flatten(gradients)
            before = flatten(variables)
            optimizer.apply(gradients, variables)
            stacked.apply([tf.constant(np.stack([neighbour * row[::-1], row]))], [rows])
            alone, together = flatten(variables), rows.numpy()[1]
            tolerance = 1e-4 * np.max(np.abs(alone - before)) + 1e-6 * np.max(np.abs(before))
            if not np.allclose(together, alone, rtol=0, atol=tolerance):
                return f"{name} updates a weight differently when it is stacked"
    except (AttributeError, NotImplementedError, TypeError, ValueError, tf.errors.OpError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"{name} does not update stacked weights: {reason}"
    finally:
        for variable, value in zip(variables, start):
            variable.assign(value)
    return None
