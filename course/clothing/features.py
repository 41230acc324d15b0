"""What a frozen backbone sees in pictures, computed once and kept.

Lesson 6.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras.applications.xception import preprocess_input
from tqdm.auto import tqdm

from utils import checks
from utils.models import check_backbone

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
    images : array-like of shape (n, side, side, 3), or tf.data.Dataset
        Pixels from 0 to 255; or a stream of batches (images, labels) whose images have been
        preprocessed, always in the same order.
    preprocess : callable
        Applied to each batch of float32 pixels from 0 to 255; not to a stream.
    batch_size : int
        Pictures at a time: for speed and memory, without influence on the result. A stream
        has its own.
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
    size = backbone.input_shape[1:]
    stream = _Stream(images, preprocess, batch_size)
    if stream.shape[1:] != size or stream.shape[0] == 0:
        raise ValueError(
            f"images must have the shape (n, {', '.join(map(str, size))}) with n > 0, "
            f"got {stream.shape}"
        )
    path = None
    if cache is not None:
        path = Path(cache) / f"features_{_fingerprint(backbone, stream)}.npy"
        kept = _read(path, backbone.output_shape[-1])
        if kept is not None:
            return kept
    seen = see_batches(make_extractor(backbone), stream)
    bar = tqdm(seen, total=len(stream), unit="batch", disable=not progress)
    features = np.concatenate(list(bar))
    if path is not None:
        _write(path, features)
    return features


def make_extractor(backbone):
    """Return a function from a batch of preprocessed pictures to the averages of its maps.

    Parameters
    ----------
    backbone : keras.Model
        From pictures to maps, of shape (n, height, width, features).

    Returns
    -------
    callable
        From a float32 tensor of shape (n, side, side, 3) to one of shape (n, features).
    """
    pool = keras.layers.GlobalAveragePooling2D(dtype="float32")

    @tf.function(input_signature=[tf.TensorSpec(backbone.input_shape, tf.float32)])
    def see(batch):
        return pool(backbone(batch, training=False))

    return see.get_concrete_function()  # traced here, once


def see_batches(see, batches):
    """Yield the features of each batch, in order, two batches at a time.

    While one waits for its slowest core, the other keeps the rest busy.

    Parameters
    ----------
    see : callable
        As `make_extractor` gives it.
    batches : iterable of float32 arrays of shape (n, side, side, 3)

    Yields
    ------
    float32 array of shape (n, features)
    """
    with ThreadPoolExecutor(2) as threads:
        waiting = deque()
        for batch in batches:
            waiting.append(threads.submit(see, tf.convert_to_tensor(batch)))
            if len(waiting) > 2:
                yield waiting.popleft().result().numpy()
        while waiting:
            yield waiting.popleft().result().numpy()


class _Stream:
    """Preprocessed batches, as often as they are wanted."""

    def __init__(self, images, preprocess, batch_size):
        self.images, self.preprocess, self.batch_size = images, preprocess, batch_size
        self.is_dataset = isinstance(images, tf.data.Dataset)
        self.shape = np.shape(next(iter(self), ())) if self.is_dataset else _shape(images)

    def __len__(self):
        return len(self.images) if self.is_dataset else -(-len(self.images) // self.batch_size)

    def __iter__(self):
        if self.is_dataset:
            yield from (images.numpy() for images, _ in self.images)
        else:
            for start in range(0, len(self.images), self.batch_size):
                batch = self.images[start : start + self.batch_size]
                yield np.asarray(self.preprocess(np.array(batch, dtype="float32")))


def _shape(images):
    return (len(images), *np.shape(images[:1])[1:])


def _fingerprint(backbone, batches):
    """Return a short text that changes with everything the features depend on."""
    digest = hashlib.sha256()
    for layer in backbone.layers:
        settings = {k: v for k, v in layer.get_config().items() if k != "name"}
        kind = type(layer).__name__
        digest.update(json.dumps([kind, settings], sort_keys=True, default=str).encode())
    for weight in backbone.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    for batch in batches:
        digest.update(np.ascontiguousarray(batch, dtype="float32").tobytes())
    return digest.hexdigest()[:24]


def _read(path, width):
    """Return kept features, or None if there are none or the file is damaged."""
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = features.ndim == 2 and features.shape[1] == width and features.dtype == np.float32
    return features if fits else None


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
