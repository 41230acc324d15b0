"""The pictures of lesson 6, from two sources: drawn garments, and real photographs of clothes.

Both have the same ten classes, and the lesson's cells run unchanged with either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

import numpy as np

from lrsweep import SweepResult
from utils import checks

PER_CLASS = {"train": 40, "validation": 50, "test": 50}  # garments drawn for each part
SOURCES = ("drawn", "photographs")
RECORD = Path(__file__).resolve().parents[2] / "data" / "zoomcamp_xception_sweep.csv"


@dataclass(frozen=True)
class Clothing:
    """A pretrained backbone, and pictures that it has never seen.

    Attributes
    ----------
    backbone : keras.Model
        From pictures to feature maps.
    train, validation, test : tf.data.Dataset
        Batches of 32: pictures, float32 of shape (32, side, side, 3) from -1 to 1, and whole
        class numbers of shape (32,); the last batch may be smaller, and the order never
        changes.
    shuffled : callable
        Returns the training pictures as a tf.data.Dataset whose order is new in each epoch, and
        the same from one call to the next: every run of a fine-tuning sees the same orders.
    labels : dict of int array
        The class numbers of "train", "validation" and "test", in the order of the streams.
    classes : tuple of str
        The names that belong to the class numbers.
    cache : path or None
        Where features are worth keeping; None where they are computed in a moment.
    """

    backbone: Any
    train: Any
    validation: Any
    test: Any
    shuffled: Callable
    labels: dict
    classes: tuple
    cache: Path | None = None


def load_clothing(source, seed=None):
    """Return pictures of clothes from one of two sources, and a backbone trained on others.

    Parameters
    ----------
    source : str
        "drawn": garments drawn on the spot, 40 of each class to train with and 50 each for
        validation and test, and the pocket Xception that comes with the course.
        "photographs": the photographs of clothes and Xception with ImageNet's weights, which
        are downloaded once, 190 MB in all; a file named by the variable XCEPTION_WEIGHTS takes
        the place of the weights, one named by CLOTHING_ARCHIVE that of the photographs.
    seed : int, optional
        Which garments are drawn, from 0, which is the default. There is only one set of
        photographs, so with "photographs" it must be left out.

    Returns
    -------
    Clothing

    Raises
    ------
    ValueError
        If an argument is not as described.
    DownloadError
        If the photographs or their backbone are not here and cannot be had: says what to do.
    """
    if checks.one_of("source", source, SOURCES) == "drawn":
        return _drawn(0 if seed is None else checks.whole_number("seed", seed, minimum=0))
    if seed is not None:
        raise ValueError(f'seed must be left out with source="photographs", got {seed!r}')
    return _photographs()


def _photographs():
    from course.clothing import photographs
    from course.clothing._xception import build_xception

    backbone = build_xception(environ.get("XCEPTION_WEIGHTS", "imagenet"))
    loaded = photographs.load_photographs()
    parts = (getattr(loaded, part) for part in PER_CLASS)
    cache = photographs.folder().with_name("clothing-features")  # beside: not one of them
    return Clothing(backbone, *parts, _shuffled_photographs, loaded.labels, loaded.classes, cache)


def _shuffled_photographs():
    from course.clothing.photographs import load_photographs

    return load_photographs(shuffle=True).train


def _drawn(seed):
    import tensorflow as tf

    from course.clothing.garments import GARMENTS, load_garments
    from utils.models import build_pocket_xception

    streams, labels = {}, {}
    for number, (part, examples) in enumerate(PER_CLASS.items(), start=seed * len(PER_CLASS)):
        images, labels[part] = load_garments(examples, seed=number)
        streams[part] = tf.data.Dataset.from_tensor_slices((images, labels[part]))

    def shuffled():
        return _batched(streams["train"].shuffle(len(labels["train"]), seed=0))

    parts = [_batched(stream) for stream in streams.values()]
    return Clothing(build_pocket_xception(), *parts, shuffled, labels, GARMENTS)


def _batched(stream):
    """Return a stream of single pictures in batches, scaled as a backbone wants them."""
    from course.clothing.photographs import scaled

    return stream.batch(32).map(scaled)


def load_recorded_sweep():
    """Return the sweep that the ML Zoomcamp course recorded, as a result of our own would be.

    Xception with ImageNet's weights, frozen, on the clothing photographs: Adam at four rates
    for ten epochs, one run each. Source: DataTalksClub, machine-learning-zoomcamp, notebook of
    module 8, cell 32; see data/README.md.

    Returns
    -------
    SweepResult
        Metrics of shape (4, 1, 10).
    """
    table = np.genfromtxt(RECORD, delimiter=",", names=True, encoding="utf-8")
    table = table[table["cell"] == 32]
    rates = np.unique(table["learning_rate"])
    names = "loss", "accuracy", "val_loss", "val_accuracy"
    metrics = {name: table[name].reshape(len(rates), 1, -1) for name in names}
    lost = np.zeros((len(rates), 1), dtype=bool)
    return SweepResult(rates, np.arange(1), metrics, lost, "recorded", "somebody else's run")
