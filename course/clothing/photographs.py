"""The real photographs of lesson 6: ten kinds of clothes, collected and given away by
A. Grigorev and many helpers (clothing-dataset-small, public domain, CC0).

They are downloaded once, checked, and kept beside what Keras itself downloads. Batches are
read from the disk when they are needed, so the set is never in memory as a whole.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from course.clothing._download import MEGABYTE, Content, DownloadError, fetch_archive
from utils import checks

COMMIT = "11961516512414bf9f6c150a832cfd21b54a6b54"
ADDRESS = f"https://codeload.github.com/alexeygrigorev/clothing-dataset-small/zip/{COMMIT}"
CONTENT = Content(
    files=3783,
    size=106_028_783,
    sha256="44ccec38059c6882f74f9b39e8823294a1c18f76cfdb10aebc474ea302081632",
)
CLASSES = (
    "dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt",
    "t-shirt",
)  # fmt: skip


@dataclass(frozen=True)
class Photographs:
    """Photographs in three parts, each a stream of batches.

    Attributes
    ----------
    train, validation, test : tf.data.Dataset
        3068, 341 and 372 photographs. A batch is a pair: images, float32 of shape (examples,
        image_size, image_size, 3) from -1 to 1, and whole class numbers of shape (examples,).
    labels : dict of int array
        The class numbers of "train", "validation" and "test" in the order of the files, which
        is that of the streams unless they are shuffled.
    classes : tuple of str
        The names that belong to the class numbers.
    """

    train: tf.data.Dataset
    validation: tf.data.Dataset
    test: tf.data.Dataset
    labels: dict
    classes: tuple = CLASSES


def folder():
    """Return where the photographs are kept: in Keras's own folder, which KERAS_HOME moves."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "datasets" / f"clothing-dataset-small-{COMMIT[:7]}"


def load_photographs(image_size=150, batch_size=32, shuffle=False, source=None, progress=True):
    """Return the real photographs, after downloading them if they are not here yet.

    Parameters
    ----------
    image_size : int
        Height and width to which each photograph is stretched or shrunk.
    batch_size : int
        Photographs in a batch; the last batch may be smaller.
    shuffle : bool
        Whether the training photographs come in a new order in each epoch. The other parts
        always keep theirs.
    source : str or path, optional
        Another web address of the archive, or a file; the variable CLOTHING_ARCHIVE says the
        same for a whole computer.
    progress : bool
        Whether to show a bar during the download of 106 MB.

    Returns
    -------
    Photographs

    Raises
    ------
    DownloadError
        Says what is missing, what the lesson can do without, and how to get it.
    """
    image_size = checks.whole_number("image_size", image_size)
    batch_size = checks.whole_number("batch_size", batch_size)
    source = source or os.environ.get("CLOTHING_ARCHIVE") or ADDRESS
    kept = folder()
    try:
        fetch_archive(source, kept, CONTENT, progress)
    except DownloadError as error:
        raise DownloadError(
            f"The photographs ({CONTENT.size / MEGABYTE:.0f} MB) are not here: {error}. "
            'With SOURCE = "drawn" the lesson draws its own garments and needs no download. '
            f"For the real ones, run this again when {ADDRESS} can be reached, or give the "
            "archive as a file: load_photographs(source=...). The variable KERAS_HOME moves the "
            f"folder in which they are kept, {kept.parent}."
        ) from error
    options = tf.data.Options()
    options.autotune.enabled = False  # its thread can hold up the end of a pass for seconds
    streams, labels = {}, {}
    for part in ("train", "validation", "test"):
        shuffled = shuffle and part == "train"
        files = _read(kept / part, image_size, batch_size, shuffled)
        batches = files.map(scaled, num_parallel_calls=2).prefetch(2)
        streams[part] = batches.with_options(options)
        folders = sorted(Path(path).parent.name for path in files.file_paths)
        labels[part] = np.array([CLASSES.index(name) for name in folders])
    return Photographs(**streams, labels=labels)


def scaled(images, labels):
    """Return pixels from 0 to 255 as numbers from -1 to 1, as Xception wants them."""
    return tf.cast(images, tf.float32) / 127.5 - 1, labels


def _read(folder, image_size, batch_size, shuffle):
    return keras.utils.image_dataset_from_directory(
        folder,
        class_names=list(CLASSES),
        image_size=(image_size, image_size),
        batch_size=batch_size,
        shuffle=shuffle,
        seed=0,
        verbose=False,
    )
