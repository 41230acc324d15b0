"""Examples as `fit` takes them: arrays, or lists and dicts of arrays, with or without weights."""

import contextlib
import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from lrsweep._validation import shorten

GATHERED = 4096  # examples of a dataset that a check-up uses at most


@dataclass(frozen=True)
class Examples:
    """Inputs, targets and weights; each an array or a list, tuple or dict of arrays, or None.

    Attributes
    ----------
    x, y, weights
        All arrays have one row for each example. `weights` is None where there are none.
    """

    x: Any
    y: Any
    weights: Any = None

    def __len__(self):
        return len(tf.nest.flatten(self.x)[0])

    @property
    def parts(self):
        """The tuple that Keras's `train_step` takes: (x, y), or (x, y, weights)."""
        return (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)

    def rows(self, which):
        """Return the parts of some examples, given by a slice or an array of places."""
        return tf.nest.map_structure(lambda array: array[which], self.parts)

    def batches(self, size, order=None):
        """Yield the parts of each batch, in order or in another one; the last may be smaller."""
        parts = self.parts if order is None else self.rows(order)
        for start in range(0, len(self), size):
            batch = slice(start, start + size)
            yield tf.nest.map_structure(lambda array, batch=batch: array[batch], parts)

    def specs(self):
        """Return a `tf.TensorSpec` for each array of a batch of any size."""
        return tf.nest.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), self.parts
        )


@dataclass(frozen=True)
class Stream:
    """A `tf.data.Dataset` of batches, gone through as it comes, once in each epoch."""

    dataset: Any

    def batches(self):
        """Yield the parts of each batch: (x, y), or (x, y, weights).

        Raises
        ------
        ValueError
            If there is none, as when the dataset reads a generator that has come to its end.
        """
        empty = True
        for batch in self.dataset:
            empty = False
            yield batch
        if empty:
            raise ValueError(
                "a tf.data.Dataset must give its batches each time it's gone through, this one "
                "gives no more: let Dataset.from_generator make a new generator each time"
            )

    def specs(self):
        """Return a `tf.TensorSpec` for each array of a batch, of a size if all have the same."""
        return self.dataset.element_spec

    def count(self):
        """Return the number of batches, which may mean going through all of them."""
        known = int(self.dataset.cardinality())
        return known if known >= 0 else sum(1 for _ in self.dataset)

    def gathered(self, name, most):
        """Return the first batches as `Examples`, until these are at least `most`."""
        parts, count = [], 0
        for batch in self.batches():
            if any(not isinstance(it, tf.Tensor) for it in tf.nest.flatten(batch)):
                raise ValueError(f"{name} must give plain tensors here, not ragged or sparse ones")
            parts.append(tf.nest.map_structure(lambda it: it.numpy(), batch))
            rows = [len(it) for it in tf.nest.flatten(parts[-1])]
            if len(set(rows)) != 1:
                raise ValueError(
                    f"each batch of {name} must have one row for each example in all its parts, "
                    f"x, y and sample_weight, got one whose parts have {rows} rows"
                )
            count += rows[0]
            if count >= most:
                break
        return Examples(*tf.nest.map_structure(lambda *rows: np.concatenate(rows), *parts))

    def batch_size(self):
        """Return the size of the first batch."""
        return len(tf.nest.flatten(next(iter(self.batches())))[0])


def size_made_for(model):
    """Return the size of batches that a model's inputs were made for; None if it's any size."""
    sizes = {it.shape[0] for it in tf.nest.flatten(getattr(model, "inputs", None) or [])}
    return next((size for size in sizes if size is not None), None)


@contextlib.contextmanager
def words_for_size(model, size, last_of=""):
    """Let an error say in words that a model was made for batches of another size, if it was.

    `last_of` names the data of which only the last batch has this size.
    """
    try:
        yield
    except Exception as error:
        wanted = size_made_for(model)
        if wanted in (None, size):
            raise
        where = f"the last batch of {last_of} has" if last_of else "batches have"
        advice = f"leave out {size} examples" if last_of else f"let them have {wanted}"
        raise ValueError(
            f"the model was made for batches of {wanted} examples, as its Input says, and fails "
            f"where {where} {size}: {advice}, or make the model without a batch size"
        ) from error


def check_data(name, data):
    """Return data that `fit` takes as `Examples`, or a stream of batches as a `Stream`.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if not isinstance(data, tf.data.Dataset):
        return check_examples(name, data)
    spec = data.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(f"{name} must give (x, y) or (x, y, sample_weight), got {spec}")
    if int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"{name} never ends: call its take(batches) first, to say what an epoch is"
        )
    if any(it.shape.rank is None for it in tf.nest.flatten(spec)):
        raise ValueError(f"{name} must give tensors with a known number of axes, got {spec}")
    if any(it.shape.rank == 0 for it in tf.nest.flatten(spec[:2])):
        raise ValueError(
            f"{name} must give batches, it gives single examples: call its batch(32) first, got "
            f"{spec}"
        )
    if any(it.shape.rank == 0 for it in tf.nest.flatten(spec[2:])):
        raise ValueError(
            f"{name} must give a sample_weight for each example, it gives one for a whole batch: "
            f"repeat it, as with tf.repeat(sample_weight, tf.shape(y)[0]), got {spec[2]}"
        )
    if next(iter(data.take(1)), None) is None:
        raise ValueError(f"{name} must not be empty, it gives no batch")
    return Stream(data)


def check_examples(name, data):
    """Return data as `Examples` whose floats have Keras's float type.

    Parameters
    ----------
    name : str
        The argument's name, for the message.
    data : tuple or list
        (x, y) or (x, y, sample_weight).

    Raises
    ------
    ValueError
        If it is something else, or if the arrays do not belong together.
    """
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        got = f"{len(data)} of them" if isinstance(data, (tuple, list)) else type(data).__name__
        raise ValueError(
            f"{name} must be (x, y) or (x, y, sample_weight), as `fit` takes them, got {got}"
        )
    labels = [f"{part} of {name}" for part in ("x", "y", "sample_weight")]
    x, y, *weights = data
    parts = [_clean(label, part) for label, part in zip(labels, (x, y))]
    examples = Examples(*parts, *(_clean(labels[2], it) for it in weights if it is not None))
    lengths = {
        label: [array.shape[:1] for array in tf.nest.flatten(part)]
        for label, part in zip(labels, examples.parts)
    }
    if not lengths[labels[0]] or not all(lengths.values()):
        empty = next(label for label, part in lengths.items() if not part)
        raise ValueError(f"{empty} must hold at least one array, got {data[labels.index(empty)]!r}")
    if len({length for part in lengths.values() for length in part}) != 1:
        said = "; ".join(
            f"{label} has {' and '.join(str(it[0]) for it in part[:5])}"
            for label, part in lengths.items()
        )
        raise ValueError(f"all parts of {name} must have one row for each example, but {said}")
    _check_outputs(labels[2], examples)
    return examples


def _check_outputs(label, examples):
    """Refuse weights for other outputs than the targets are for, as `fit` does."""
    parts = examples.y, examples.weights
    if not all(isinstance(part, (dict, list, tuple)) for part in parts):
        return
    y, weights = (list(part) if isinstance(part, dict) else len(part) for part in parts)
    if y != weights and (isinstance(y, int) or isinstance(weights, int) or set(y) ^ set(weights)):
        raise ValueError(
            f"{label} must have a number for each example for each output that y has, as in "
            f"`fit`: y has {_outputs(y)}, sample_weight has {_outputs(weights)}"
        )


def _outputs(named):
    """Return the names of outputs, or how many there are, in words."""
    return f"{named} by number" if isinstance(named, int) else ", ".join(map(repr, named))


def _clean(label, part):
    """Return an array, or a structure of arrays, without what Keras could not train on."""
    if part is None:
        raise ValueError(f"{label} must be an array, got None: a sweep needs inputs and targets")
    if isinstance(part, dict):
        return {key: _clean(f"{key!r} in {label}", value) for key, value in part.items()}
    if isinstance(part, (list, tuple)) and part and all(np.shape(it) for it in _arrays(part)):
        kind = type(part) if type(part) in (list, tuple) else tuple
        return kind(_clean(f"number {i} in {label}", value) for i, value in enumerate(part))
    try:
        array = as_array(part)
    except ValueError:
        raise ValueError(f"{label} must be an array, got rows of unequal length") from None
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx(), copy=False)
    elif array.dtype.kind not in "iub":
        raise ValueError(f"{label} must be an array of numbers, got {shorten(part)}")
    if array.size == 0 or array.ndim == 0:
        raise ValueError(f"{label} must not be empty, got an array of shape {array.shape}")
    return array


def as_array(part):
    """Return an array; a Series of pandas becomes a column, as in `fit`."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(part, pandas.Series):
        return np.asarray(part)[:, np.newaxis]
    return np.asarray(part)


def _arrays(part):
    """Return the arrays of a list; None stands for anything else in it."""
    return [it if hasattr(it, "shape") else None for it in part]


def weighted_by_class(examples, class_weight):
    """Return examples with `fit`'s `class_weight` as weights of the examples.

    Parameters
    ----------
    examples : Examples
    class_weight : dict of int to float
        A class that is not among the keys has weight 1, as in Keras.
    """
    if not isinstance(class_weight, dict) or not class_weight:
        raise ValueError(
            f"class_weight must be a dict of class to weight, such as {{0: 1.0, 1: 5.0}}, got "
            f"{shorten(class_weight)}"
        )
    for label, weight in class_weight.items():
        if not isinstance(label, Real) or not isinstance(weight, Real) or not np.isfinite(weight):
            raise ValueError(
                "class_weight must give numbers of classes finite weights, such as {0: 1.0, 1: "
                f"5.0}}, got {label!r}: {weight!r}"
            )
    if examples.weights is not None:
        raise ValueError(
            "class_weight and sample_weight can't be given together, as in `fit`: multiply the "
            "sample weights by those of the classes"
        )
    if not isinstance(examples.y, np.ndarray):
        raise ValueError(
            "class_weight needs a model with one output, as in `fit`: give sample_weight instead"
        )
    classes = examples.y
    if classes.ndim > 1 and classes.shape[-1] > 1:
        classes = classes.argmax(axis=-1)
    classes = classes.reshape(len(classes), -1)
    if classes.shape[1] != 1:
        raise ValueError(
            f"class_weight needs one class for each example, y of train_data has the shape "
            f"{examples.y.shape}: give sample_weight instead"
        )
    weights = np.ones(len(classes), keras.config.floatx())
    for label, weight in class_weight.items():
        weights[np.round(classes[:, 0]) == label] = weight
    return Examples(examples.x, examples.y, weights)
