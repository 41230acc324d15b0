"""What goes through a model's layers in one pass: what they're given, and which units are dead."""

import contextlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

MOST = 40  # layers whose inputs are traced back
CALLS = 8  # of a layer whose inputs are traced back one by one
MOST_ROWS = 4096
MOST_FEATURES = 1000  # an SVD of more takes too long
BENDS = "activation", "recurrent_activation"  # of what a layer has computed


class Inputs(NamedTuple):
    """What enters the first layers with weights: rms of the features, and condition number."""

    layer: str
    smallest: float
    largest: float
    condition: float


def look_through(model, x):
    """Pass examples through a model as `fit` does.

    Only what Keras's layers show can be seen: an operation in a `call` of one's own can't.

    Parameters
    ----------
    model : keras.Model
        What the pass changes is to be put back by the caller.
    x : array, or list or dict of arrays

    Returns
    -------
    inputs : list of Inputs
        Of the layers with a kernel whose inputs depend on no weight that is trained.
    dead : dict of float
        By name of layer with relu whose outputs depend on weights that are trained, the share of
        its units that give 0 for every example, in all calls of the layer. Where it has no weights,
        each call has units of its own, and the worst counts.
    """
    seen = []
    layers = model._flatten_layers(include_self=False)
    with tf.GradientTape(persistent=True) as tape, _watched(list(layers), seen):
        model(tf.nest.map_structure(tf.convert_to_tensor, x), training=True)
    variables = [variable.value for variable in model.trainable_variables]
    known = _known_to_depend(seen)

    def depend(tensors):
        if any(id(it) in known for it in tensors):
            return True
        return any(slope is not None for slope in tape.gradient(tensors, variables))

    inputs, dead = [], {}
    for layer, calls in seen:
        if _has_kernel(layer) and len(inputs) < MOST:
            given = [_first_float(it) for it, _ in calls]
            given = [it for it in given if it is not None]
            if depend(given):  # one call of a shared layer may, and another not
                given = [it for it in given[:CALLS] if not depend([it])]
            if given:
                inputs.append(_describe(layer.name, [it.numpy() for it in given]))
        if _is_relu(layer):
            results = [result for _, result in calls if _is_float(result)]
            if results and depend(results):  # where nothing trains, nothing has died of it
                silent = [np.all(_rows(it.numpy()) == 0, axis=0) for it in results]
                if layer.weights:  # its units are the same in each call
                    silent = [np.all(silent, axis=0)]
                dead[layer.name] = max(float(np.mean(it)) for it in silent)
    return inputs, dead


def _known_to_depend(seen):
    """Return the ids of tensors that Keras's layers make from weights that are trained.

    It saves going back through the whole of a deep model for each of its layers.
    """
    known = set()
    for layer, calls in seen:  # those that were done first come first
        opaque = isinstance(layer, (keras.Model, keras.layers.Lambda))
        if opaque or not all(map(_is_of_keras, _parts(layer))):
            continue
        for given, result in calls:
            if layer.trainable_weights or any(id(it) in known for it in tf.nest.flatten(given)):
                known.update(id(it) for it in tf.nest.flatten(result))
    return known


def _first_float(given):
    """Return the first tensor of numbers that a layer was given, or None."""
    return next((it for it in tf.nest.flatten(given) if _is_float(it)), None)


def _rows(values):
    return values.reshape(-1, values.shape[-1])


def _has_kernel(layer):
    own = [v for v in layer.trainable_weights if len(v.shape) >= 2]
    inner = isinstance(layer, (keras.Model, keras.layers.Embedding))
    return bool(own) and not inner and all(map(_is_of_keras, _parts(layer)))


def _parts(layer):
    """Return a layer and all within it but activations, which leave inputs as they are."""
    parts = list(layer._flatten_layers())
    found = [getattr(it, name, None) for it in parts for name in BENDS]
    bends = [it for it in found if isinstance(it, keras.Layer)]
    left_out = {id(it) for bend in bends for it in bend._flatten_layers()}
    return [it for it in parts if id(it) not in left_out]


def _is_of_keras(layer):
    """Tell whether Keras wrote what a layer does with its inputs: others may scale them."""
    return type(layer).call.__module__.partition(".")[0] == "keras"


def _is_float(tensor):
    eager = hasattr(tensor, "numpy") and hasattr(tensor, "dtype")
    return eager and tensor.dtype.is_floating and tensor.shape.rank >= 2


def _is_relu(layer):
    kinds = keras.layers.ReLU, keras.layers.Activation, keras.layers.Dense
    if isinstance(layer, keras.layers.ReLU):
        return not (layer.negative_slope or layer.threshold)
    own = getattr(layer, "activation", None) is keras.activations.relu
    return own and (isinstance(layer, kinds) or hasattr(layer, "filters"))


@contextlib.contextmanager
def _watched(layers, seen):
    """Note what the calls of each layer are given and return: a shared one has several."""
    known = {}

    def watch(layer):
        call = layer.call

        def noting(*args, **kwargs):
            result = call(*args, **kwargs)
            if args or kwargs:
                if id(layer) not in known:
                    known[id(layer)] = []
                    seen.append((layer, known[id(layer)]))
                given = args[0] if args else next(iter(kwargs.values()))
                known[id(layer)].append((given, result))
            return result

        vars(layer)["call"] = noting  # past Keras's __setattr__, which would track it

    own = [(layer, vars(layer).get("call")) for layer in layers]
    try:
        for layer in layers:
            watch(layer)
        yield
    finally:
        for layer, before in own:
            vars(layer).pop("call", None)
            if before is not None:
                vars(layer)["call"] = before


def _describe(name, arrays):
    """Return the sizes of features, and the condition number of their second moments with a 1."""
    each = -(-MOST_ROWS // len(arrays))
    features = np.concatenate([_rows(values)[:each] for values in arrays]).astype(float)
    rms = np.sqrt(np.mean(features**2, axis=0))
    varying = rms[rms > 0]
    if not len(varying):
        return Inputs(name, 0.0, 0.0, np.inf)
    if features.shape[1] > MOST_FEATURES:
        return Inputs(name, float(varying.min()), float(varying.max()), np.nan)
    with_one = np.column_stack([features[:, rms > 0], np.ones(len(features))])
    sizes = np.linalg.svd(with_one, compute_uv=False)[: np.linalg.matrix_rank(with_one)]
    condition = float((sizes[0] / sizes[-1]) ** 2)
    return Inputs(name, float(varying.min()), float(varying.max()), condition)
