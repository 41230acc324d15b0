"""A check-up of a model and its data: what's healthy, what isn't, and what to do about it.

`check_up` takes the measures of `lrsweep._measures`, `_measures_of_gradients` and
`_measures_of_rate`, one after another, on a `lrsweep._patient.Patient` with its
`lrsweep._trials`; `lrsweep._report` holds what they find. `lrsweep._activity` looks into the
layers, `lrsweep._curvature` measures by Hessian products.
"""

import math
import time
from typing import NamedTuple

from lrsweep._report import CheckUp, Measure, NotKnown
from lrsweep._validation import positive_number, true_or_false, whole_number

FEWEST = 20  # examples to hold any out


def check_up(
    model,
    train_data,
    validation_data=None,
    *,
    seconds=20,
    sweep=False,
    seed=0,
    epochs=20,
    batch_size=32,
    shuffle=True,
):
    """Examine a model, its data and its learning rate; say what is likely wrong, and what to do.

    What is measured, with the source or the experiment behind each threshold, is written in the
    functions of `lrsweep._measures`, `_measures_of_gradients` and `_measures_of_rate`:

    ==============  ===============================================================================
    ``start``       the loss before any update, against that of the best constant answer
    ``inputs``      the size of what enters the first layers, and its condition number
    ``units``       relu units that give 0 for every example
    ``order``       whether the examples come sorted, where nothing shuffles them
    ``schedule``    what a schedule leaves of the rate, over all updates that are planned
    ``memory``      whether the optimizer's memory suits the weights and the rate
    ``updates``     each layer's update against its weights
    ``curvature``   the largest, for Adam preconditioned with its own denominator
    ``limit``       the rate against the largest that is stable at that curvature
    ``noise``       the gradient's noise against the gradient, and the batch size it suggests
    ``averages``    BatchNormalization's moving averages
    ``rate``        short trainings at the rate, and at 0.001 to 1000 times it
    ``labels``      whether any of these predicts held-out examples better than guessing
    ``range test``  as in `range_test`
    ``sweep``       a short one of eight rates, if asked for
    ==============  ===============================================================================

    Parameters
    ----------
    model : keras.Model or callable
        A compiled model, which is examined as it is, trained or not. Or a function that takes
        nothing and returns a new one, as for `sweep_learning_rates`.
    train_data, validation_data : tuple or tf.data.Dataset
        As for `sweep_learning_rates`. Of a dataset at most the first 4096 examples are used.
        Without validation data, a fifth of the training examples is held out from training, unless
        they are fewer than 20, or than two batches.
    seconds : float
        How long it may take. What there is no time for is "not known". A single measure that has
        begun isn't cut short, so a large model may take longer.
    sweep : bool
        Whether to sweep, too; that takes `build_model` and a time of its own.
    seed : int
        For the order of examples, and the weights that `build_model` gives.
    epochs, batch_size, shuffle
        What you mean to give to `fit`. A dataset has a batch size and an order of its own.

    Returns
    -------
    CheckUp
        `print` shows it, the most likely cause of trouble first.

    Raises
    ------
    ValueError
        If an argument is not as described, if the model's loss is not a finite number before the
        first update, if it has no weights to train or a rate that isn't positive, or if something
        hangs on a compiled model that can't be put back.

    Notes
    -----
    A compiled model is afterwards what it was, bit for bit, as after `range_test`; so are the
    random states of Python, NumPy, Keras and TensorFlow. A dataset that shuffles goes on to its
    next order. How long the trainings of ``rate`` are depends on the time there is, 250 updates at
    most; so on a slow computer a report may differ from that of a fast one.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(5.0), loss="mse")
    >>> report = check_up(model, (x, x @ [[1.0], [2.0], [3.0]]))
    >>> report.causes
    ['too large']
    >>> report["limit"].value > 2  # times the largest stable rate
    True
    """
    seconds = positive_number("seconds", seconds)
    seed = whole_number("seed", seed, minimum=0)
    epochs = whole_number("epochs", epochs)
    batch_size = whole_number("batch_size", batch_size)
    shuffle, sweep = true_or_false("shuffle", shuffle), true_or_false("sweep", sweep)
    began = time.monotonic()

    import keras

    from lrsweep._model_checks import check_builder, check_compiled, check_labels
    from lrsweep._patient import Patient
    from lrsweep._prepare import values_not_finite
    from lrsweep._restore import restored
    from lrsweep._surroundings import as_before

    builder = None if isinstance(model, keras.Model) else model
    if builder is not None:
        if not callable(builder):
            raise ValueError(
                "model must be a compiled keras.Model, or a function without arguments that "
                f"returns a new one, got {model!r}"
            )
        check_builder(builder)
    with as_before():
        data = _data(train_data, validation_data, batch_size, seed)
        planned = epochs * (data.batches or math.ceil(data.count / data.batch_size))
        if builder is not None:
            model = _built(builder, data.train, epochs, data.batch_size, seed)
        check_compiled(model)
        parts = {"train_data": data.train, "validation_data": data.held_out}
        parts = {name: part for name, part in parts.items() if part is not None}
        for name, part in parts.items():
            if bad := values_not_finite(name, part):
                raise ValueError(f"{bad}: remove or replace them")
        with restored(model, data.train, data.batch_size) as (kept, set_rate):
            for name, part in parts.items():
                check_labels(model, part, name)
            if not model.trainable_variables:
                raise ValueError("the model has no weights to train: are all its layers frozen?")
            patient = Patient(
                model, data.train, data.held_out, kept, set_rate, data.batch_size, epochs,
                shuffle if data.batches is None else None, seed, began + seconds, planned,
                builder,
            )  # fmt: skip
            measures = _examine(patient, sweep)
    about = f"{model.name} ({model.count_params():,} weights, {type(model.optimizer).__name__})"
    about += f" on {len(data.train):,} examples"
    return CheckUp(about, time.monotonic() - began, measures)


def _examine(patient, sweep):
    """Take all measures, the quick and telling ones first."""
    import lrsweep._measures as of_data
    import lrsweep._measures_of_gradients as of_gradients
    import lrsweep._measures_of_rate as of_rate
    from lrsweep._prepare import what_is_not_finite

    if not math.isfinite(patient.start):
        raise ValueError(
            f"the loss must be a finite number before the first update, it is {patient.start}: "
            f"{what_is_not_finite(patient.train)}"
        )
    if patient.is_spoilt():
        raise ValueError(
            "weights must be finite numbers after an update, some aren't even at a billionth of "
            "the rate: look for an infinite slope in the model or its loss, as that of a root or "
            "logarithm at 0, and at the optimizer's memory"
        )
    all_of_them = [
        of_data.start, of_data.inputs, of_data.units, of_data.order, of_data.schedule,
        of_data.memory, of_rate.rate, of_rate.labels, of_data.averages, of_gradients.updates,
        of_gradients.curvature, of_gradients.limit, of_gradients.noise, of_rate.range_test,
    ]  # fmt: skip
    found = {}
    patient.taken = found.__getitem__
    for measure in all_of_them + [of_rate.sweep] * sweep:
        name = measure.__name__.replace("_", " ")
        found[name] = _taken(measure, name, patient)
    return _together(found)


def _taken(measure, name, patient):
    """Take a measure; where it can't be, the reason stands in its place."""
    try:
        return measure(patient)
    except NotKnown as reason:
        return Measure(name, None, str(reason), verdict="not known")
    except Exception as error:  # a model can be anything, and one measure is not the others
        text = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        return Measure(name, None, text, verdict="not known")
    finally:
        patient.kept.put_back()


def _together(found):
    """Return the measures, with inputs that are large as the cause of a rate that's too large."""
    import dataclasses

    if found["rate"].cause == "too large" and found["inputs"].verdict == "look":
        found["inputs"] = dataclasses.replace(found["inputs"], verdict="ALARM")
    return [
        it if it.verdict == "ALARM" else dataclasses.replace(it, cause="") for it in found.values()
    ]


class _Data(NamedTuple):
    """Examples to train on and to hold out, or None; how many there were before, in what batches.

    `batches` is None for arrays.
    """

    train: object
    held_out: object
    count: int
    batch_size: int
    batches: int | None


def _data(train_data, validation_data, batch_size, seed):
    """Return `_Data`; without validation data a fifth of the examples is held out."""
    import numpy as np

    from lrsweep._examples import GATHERED, Examples, Stream, check_data
    from lrsweep._prepare import check_shapes

    def examples(name, data):
        data = check_data(name, data)
        return data.gathered(name, GATHERED) if isinstance(data, Stream) else data

    train, batches, size = examples("train_data", train_data), None, batch_size
    count = len(train)
    if hasattr(train_data, "element_spec"):
        stream = Stream(train_data)
        size, known = stream.batch_size(), int(train_data.cardinality())
        batches = known if known > 0 else math.ceil(count / size)
    size = min(size, count)
    if validation_data is not None:
        held_out = examples("validation_data", validation_data)
        check_shapes(train, held_out)
        return _Data(train, held_out, count, size, batches)
    if count < max(FEWEST, 2 * size):
        return _Data(train, None, count, size, batches)
    out = np.zeros(count, bool)
    out[np.random.default_rng(seed).permutation(count)[: count // 5]] = True
    train, held_out = Examples(*train.rows(~out)), Examples(*train.rows(out))
    return _Data(train, held_out, count, size, batches)


def _built(build_model, train, epochs, batch_size, seed):
    from lrsweep._experiment import Experiment

    return Experiment(build_model, train, train, epochs, batch_size).build(seed)
