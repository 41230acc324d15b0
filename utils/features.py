"""What a frozen backbone sees in pictures, computed once and kept."""

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras.applications.xception import preprocess_input
from tqdm.auto import tqdm

from utils import checks

_log = logging.getLogger(__name__)


def extract_features(
    backbone, images, preprocess=preprocess_input, batch_size=64, cache=None, progress=True
):
    """Return the averages of a backbone's feature maps for each picture.

    The backbone is in inference mode, so a picture's features do not depend on the others.

    Parameters
    ----------
    backbone : keras.Model
        From pictures to maps, of shape (n, height, width, features).
    images : array-like of shape (n, side, side, 3)
        Anything with a length that gives an array for `images[start:stop]`: an array, or a
        sequence that reads its pictures from the disk when they are needed.
    preprocess : callable
        Applied to each batch of float32 pixels from 0 to 255.
    batch_size : int
        Pictures at a time: for speed and memory, without influence on the result.
    cache : path, optional
        A folder where features are kept, and found again if the backbone's weights and
        layers, the pictures and the preprocessing are the same.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    float32 array of shape (n, features)
    """
    check_backbone(backbone)
    batch_size = checks.whole_number("batch_size", batch_size)
    wanted = (len(images), *backbone.input_shape[1:])
    if len(images) == 0 or np.shape(images[:1])[1:] != wanted[1:]:
        raise ValueError(
            f"images must have the shape (n, {', '.join(map(str, wanted[1:]))}) with n > 0, "
            f"got {(len(images), *np.shape(images[:1])[1:])}"
        )
    path = None
    if cache is not None:
        path = Path(cache) / f"features_{_fingerprint(backbone, images, preprocess)}.npy"
        kept = _read(path, (len(images), backbone.output_shape[-1]))
        if kept is not None:
            return kept
    pooled = keras.Sequential(
        [keras.Input(wanted[1:]), backbone, keras.layers.GlobalAveragePooling2D()]
    )
    features = []
    with tqdm(total=len(images), unit="picture", disable=not progress) as bar:
        for start in range(0, len(images), batch_size):
            batch = np.array(images[start : start + batch_size], dtype="float32")
            features.append(pooled.predict_on_batch(preprocess(batch)))
            bar.update(len(batch))
    features = np.concatenate(features)
    if path is not None:
        _write(path, features)
    return features


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


def _fingerprint(backbone, images, preprocess):
    """Return a short text that changes with everything the features depend on."""
    digest = hashlib.sha256()
    for layer in backbone.layers:
        settings = {k: v for k, v in layer.get_config().items() if k != "name"}
        kind = type(layer).__name__
        digest.update(json.dumps([kind, settings], sort_keys=True, default=str).encode())
    for weight in backbone.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    every_pixel = np.arange(256 * 3, dtype="float32").reshape(1, 16, 16, 3) % 256
    digest.update(np.asarray(preprocess(every_pixel), dtype="float32").tobytes())
    for start in range(0, len(images), 256):
        part = np.ascontiguousarray(images[start : start + 256])
        digest.update(f"{part.dtype}{part.shape}".encode() + part.tobytes())
    return digest.hexdigest()[:24]


def _read(path, shape):
    """Return kept features, or None if there are none or the file is damaged."""
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return features if features.shape == shape and features.dtype == np.float32 else None


def _write(path, features):
    """Keep features: the file appears complete or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            try:
                np.save(file, features)
                file.close()
                os.replace(file.name, path)
            except BaseException:
                file.close()
                os.unlink(file.name)
                raise
    except OSError as error:
        _log.warning("features are not kept: %s", error)
