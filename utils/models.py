"""Xception in pocket size with its shipped weights, and transfer learning with any backbone.

Lesson 6.

A backbone turns pictures of shape (n, side, side, 3), with pixels from −1 to 1 as
`keras.applications.xception.preprocess_input` makes them, into maps of features. Transfer
learning puts a new layer, the head, on the maps' averages.
"""

import hashlib
from pathlib import Path

import keras
import numpy as np
from keras import layers

from utils import checks

POCKET_WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "pocket_xception.npz"
POCKET_SHA256 = "6cb1517e2a6b6a2c618cd456db52a9ea8e6a24b91ae3de8d3cfa0cb2491897b0"
MOMENTUM = 0.95  # of BatchNormalization's running means; Keras's 0.99 is for longer training


def build_pocket_xception(weights="drawings", image_size=64):
    """Return Xception's architecture at about 1/70 of its size.

    After F. Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017,
    figure 5: entry, middle and exit flow. Three things are smaller: the number of filters, the
    middle flow (two blocks for eight), and the picture, which is therefore halved four times
    and not five.

    Parameters
    ----------
    weights : str, path or None
        "drawings" for the shipped ones, learnt from drawings of things that do not exist;
        None for random ones; or another file that `save_weights` wrote.
    image_size : int
        Pixels along each side, at least 32. The shipped weights were learnt with 64.

    Returns
    -------
    keras.Model
        From pictures of shape (n, image_size, image_size, 3) to feature maps of shape
        (n, image_size / 16, image_size / 16, 256).
    """
    image_size = checks.whole_number("image_size", image_size, minimum=32)
    inputs = keras.Input((image_size, image_size, 3))

    # Entry flow: two ordinary convolutions, then three blocks with shortcuts
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = layers.Activation("relu")(_normalise(x))
    x = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(_normalise(x))
    x = _block(x, 48, 48, strides=2, relu_first=False)
    x = _block(x, 96, 96, strides=2)
    x = _block(x, 128, 128, strides=1)

    # Middle flow: blocks that keep the size
    for _ in range(2):
        shortcut = x
        for _ in range(3):
            x = _separable(layers.Activation("relu")(x), 128)
        x = layers.Add()([x, shortcut])

    # Exit flow: one more block, then more and more features
    x = _block(x, 128, 160, strides=2)
    x = layers.Activation("relu")(_separable(x, 160))
    x = layers.Activation("relu")(_separable(x, 256))
    model = keras.Model(inputs, x, name="pocket_xception")
    if weights is not None:
        shipped = {"drawings": (POCKET_WEIGHTS, POCKET_SHA256)}
        load_weights(model, *shipped.get(str(weights), (weights,)))
    return model


def _block(x, first, second, strides, relu_first=True):
    """Return two separable convolutions, pooled, plus a shortcut past them."""
    shortcut = layers.Conv2D(second, 1, strides=strides, padding="same", use_bias=False)(x)
    shortcut = _normalise(shortcut)
    if relu_first:
        x = layers.Activation("relu")(x)
    x = layers.Activation("relu")(_separable(x, first))
    x = _separable(x, second)
    if strides > 1:
        x = layers.MaxPooling2D(3, strides=strides, padding="same")(x)
    return layers.Add()([x, shortcut])


def _separable(x, filters):
    """Return a convolution within each channel, then one across the channels."""
    x = layers.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x)
    return _normalise(x)


def _normalise(x):
    return layers.BatchNormalization(momentum=MOMENTUM)(x)


def save_weights(model, path):
    """Write all weights of a model in half precision, in Keras's order; return the SHA-256."""
    path = Path(path)
    np.savez_compressed(path, *[np.asarray(w, dtype=np.float16) for w in model.get_weights()])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_weights(model, path, sha256=None):
    """Read what `save_weights` wrote; nothing in the file is ever executed.

    Parameters
    ----------
    model : keras.Model
    path : path
    sha256 : str, optional
        The checksum that the file must have.

    Raises
    ------
    ValueError
        If the file is another one than expected, or made for another model. The model is as
        it was then.
    """
    path = Path(path)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if sha256 is not None and found != sha256:
        raise ValueError(
            f"{path.name} is damaged or not the course's: its SHA-256 must be {sha256[:12]}…, "
            f"got {found[:12]}…; fetch the course again"
        )
    with np.load(path, allow_pickle=False) as file:
        weights = [file[name].astype(np.float32) for name in file.files]
    wanted, shapes = [w.shape for w in model.weights], [w.shape for w in weights]
    if shapes != wanted:
        raise ValueError(
            f"{path.name} must hold the {len(wanted)} weights of {model.name}, got {len(shapes)} "
            "arrays or other shapes"
        )
    model.set_weights(weights)


def build_transfer_model(backbone, classes, learning_rate=0.01):
    """Return a compiled classifier: a frozen backbone, its maps averaged, and a new head.

    Parameters
    ----------
    backbone : keras.Model
        Shared by all models made from it, and frozen from now on.
    classes : int
        The head gives a logit for each.
    learning_rate : float
        Of Adam.

    Returns
    -------
    keras.Model
        For labels that are whole numbers; its last layer is the head.
    """
    check_backbone(backbone)
    classes = checks.whole_number("classes", classes, minimum=2)
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    backbone.trainable = False

    inputs = keras.Input(backbone.input_shape[1:])
    maps = backbone(inputs, training=False)
    vectors = layers.GlobalAveragePooling2D()(maps)
    outputs = layers.Dense(classes, name="head")(vectors)
    model = keras.Model(inputs, outputs)
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def check_backbone(backbone):
    """Return a backbone if it is a Keras model from pictures to maps.

    Raises
    ------
    ValueError
        Says what it is instead.
    """
    shape = backbone.output_shape if isinstance(backbone, keras.Model) else None
    if isinstance(shape, tuple) and len(shape) == 4:
        return backbone
    got = repr(backbone) if shape is None else f"one with outputs of shape {shape}"
    raise ValueError(
        f"backbone must be a keras.Model whose output is (n, height, width, features), got {got}"
    )


def build_head(features, classes, learning_rate=0.01):
    """Return the head alone, compiled as in `build_transfer_model`, for extracted features.

    Parameters
    ----------
    features : int
        How many the backbone's averaged maps give for a picture.
    classes : int
    learning_rate : float
    """
    features = checks.whole_number("features", features)
    classes = checks.whole_number("classes", classes, minimum=2)
    learning_rate = checks.positive_number("learning_rate", learning_rate)
    model = keras.Sequential([keras.Input((features,)), layers.Dense(classes, name="head")])
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def unfreeze(backbone):
    """Make a backbone trainable, all but its BatchNormalization; compile the model afterwards.

    A BatchNormalization layer learns two things: by gradients how much to scale and shift, and
    by counting the mean and variance of its inputs. `trainable = False` on the layer stops
    both. Calling the backbone with `training=False` stops neither while a model is fitted that
    contains it (Keras 3.15): fit's own training=True overrides it.
    """
    backbone.trainable = True
    for layer in batch_normalizations(backbone):
        layer.trainable = False


def batch_normalizations(model):
    """Return all BatchNormalization layers of a model, also those of models within it."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += batch_normalizations(layer)
        elif isinstance(layer, layers.BatchNormalization):
            found.append(layer)
    return found
