"""The full-size Xception of lesson 6, as Keras ships it: 21 million weights, 84 MB."""

import warnings
from pathlib import Path

import keras

from course.clothing._download import DownloadError
from utils import checks

SMALLEST = 71  # pixels; below, the last layers would have nothing left to look at


def build_xception(weights="imagenet", image_size=150):
    """Return Xception without its last layer: images from −1 to 1 in, 2048 feature maps out.

    Parameters
    ----------
    weights : "imagenet", None, str or path
        What it starts from: ImageNet's weights, which Keras downloads once; random ones; or a
        file that `save_weights` of such a model wrote.
    image_size : int
        Height and width of the images, at least 71.

    Returns
    -------
    keras.Model

    Raises
    ------
    ValueError
        If the file does not exist or holds the weights of another model.
    DownloadError
        If ImageNet's weights could not be had: what to do without them.
    """
    image_size = checks.whole_number("image_size", image_size, minimum=SMALLEST)
    if weights == "imagenet":
        try:
            return _xception(weights, image_size)
        except Exception as error:  # Keras raises a bare Exception when a download fails
            raise DownloadError(
                f"ImageNet's weights of Xception (84 MB) are not here: {error}. "
                'With SOURCE = "drawn" the lesson uses its own small Xception and needs no '
                "download. For the real one, run this again with a network, or give a file of "
                "weights: build_xception(weights=...)."
            ) from error
    model = _xception(None, image_size)
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise ValueError(
                f'weights must be "imagenet", None or a file of weights, got {str(weights)!r}'
            )
        try:
            with warnings.catch_warnings(action="error", category=UserWarning):
                model.load_weights(path)  # warns where it finds nothing for a layer
        except (ValueError, KeyError, OSError, UserWarning) as error:
            raise ValueError(f"weights must be those of an Xception, {path} are not") from error
    return model


def _xception(weights, image_size):
    return keras.applications.Xception(
        weights=weights, include_top=False, input_shape=(image_size, image_size, 3)
    )
