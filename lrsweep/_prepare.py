"""What has to be found out about a model before it is swept, and refused if it can't be right."""

import concurrent.futures
import logging
from dataclasses import dataclass, field

import keras
import numpy as np

from lrsweep._engines import Sweep
from lrsweep._examples import Stream, check_data, weighted_by_class
from lrsweep._experiment import Experiment, own_learning_rate
from lrsweep._gate import UPDATES, Probe, shaken
from lrsweep._keep import Keeper, describe
from lrsweep._model_checks import (
    check_builder,
    check_fresh,
    check_labels,
    constant_scores,
    directions,
)
from lrsweep._stopping import check_callbacks

_log = logging.getLogger("lrsweep")


@dataclass
class Prepared:
    """A model that is ready to be swept.

    Attributes
    ----------
    experiment : Experiment
    seeds : array of shape (seeds,)
    callbacks : list of keras.callbacks.Callback
    names : list of str
        What the model reports, with "val_" and without.
    """

    experiment: Experiment
    seeds: np.ndarray
    callbacks: list
    names: list = field(default_factory=list)

    def sweep(self, rates, keep=None, executor=None, progress=True):
        """Train at these rates, with all seeds, and return the result."""
        first, last = int(self.seeds[0]), int(self.seeds[-1])
        model = self.experiment.build(first)
        models = {first: model}
        if last != first:
            models[last] = self.experiment.build(last)
        keeper = None
        if keep is not None:
            about = describe(self.experiment, model, rates, self.seeds, self.callbacks)
            keeper = Keeper(keep, about)
        names = [name for name in self.names if name[:4] != "val_"]
        ways = directions(model, names)
        chance = {}
        if not isinstance(self.experiment.validation, Stream):
            chance = constant_scores(model, self.experiment.validation, self.names)
        sweep = Sweep(self.experiment, rates, self.seeds, self.names, self.callbacks, keeper)
        sweep.run(models, Probe(model, self.experiment), executor, progress)
        return sweep.result(chance, ways)


def prepare(
    build_model,
    train_data,
    validation_data,
    seeds,
    epochs,
    batch_size,
    shuffle,
    class_weight,
    early_stopping,
    reduce_on_plateau,
    executor,
):
    """Check everything that can be checked before the first training.

    Returns
    -------
    Prepared

    Raises
    ------
    ValueError
        Says what does not fit, and what to do.
    """
    check_builder(build_model)
    train = check_data("train_data", train_data)
    validation = check_data("validation_data", validation_data)
    if class_weight is not None:
        if isinstance(train, Stream):
            raise ValueError("class_weight needs arrays: let the dataset give sample weights")
        train = weighted_by_class(train, class_weight)
    _check_shapes(train, validation)
    _check_executor(executor, train, validation)
    experiment = Experiment(build_model, train, validation, epochs, batch_size, shuffle)
    model, other = experiment.build(int(seeds[0])), experiment.build(int(seeds[-1]))
    shared = check_fresh(model, other) if len(seeds) > 1 else []
    for name, part in (("train_data", train), ("validation_data", validation)):
        if not isinstance(part, Stream):
            check_labels(model, part, name)
    own = own_learning_rate(model.optimizer)
    schedule = isinstance(own, keras.optimizers.schedules.LearningRateSchedule)
    callbacks = check_callbacks(early_stopping, reduce_on_plateau, schedule)
    probe = Probe(model, experiment)
    names = _first_update(probe, int(seeds[0]))
    _check_rate_matters(probe, int(seeds[0]))
    for variable in shared:
        if id(variable) in probe.changed:
            raise ValueError(
                f"build_model must make new weights at each call: its models share "
                f"{variable.path}, which training changes"
            )
    if len(seeds) > 1:
        _check_seeds_matter(model, other, experiment)
    return Prepared(experiment, seeds, callbacks, names + [f"val_{name}" for name in names])


def _check_shapes(train, validation):
    """Refuse validation examples that are of another form than the training examples."""
    forms = [[spec.shape[1:] for spec in _flat(part.specs()[:2])] for part in (train, validation)]
    if forms[0] != forms[1]:
        raise ValueError(
            "train_data and validation_data must have examples of the same shape, got "
            f"{', '.join(map(str, forms[0]))} and {', '.join(map(str, forms[1]))}"
        )


def _flat(structure):
    return keras.tree.flatten(structure)


def _check_executor(executor, *data):
    """Refuse threads, which share Keras's random numbers, and data that can't be sent."""
    if executor is None:
        return
    if isinstance(executor, concurrent.futures.ThreadPoolExecutor):
        raise ValueError(
            "executor must run trainings in other processes or on other computers, not in "
            "threads: the random seeds of Keras belong to the whole process"
        )
    if not hasattr(executor, "submit"):
        raise ValueError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    if any(isinstance(part, Stream) for part in data):
        raise ValueError("a tf.data.Dataset can't be sent to an executor: leave executor out")


def _first_update(probe, seed):
    """Let Keras make one update; return the names that it reports."""
    weights = [v.numpy() for v in probe.model.trainable_variables]
    _, logs = probe.run(1e-3, weights, probe.batches(seed)[:1])
    for name, value in logs.items():
        if np.size(value) != 1:
            raise ValueError(f"metrics must be single numbers, {name} has {np.size(value)}")
    if "loss" not in logs:
        raise ValueError(
            f"the model's train_step must report 'loss', for a sweep to know whether training "
            f"diverged; it reports {', '.join(sorted(logs)) or 'nothing'}"
        )
    if not np.isfinite(float(logs["loss"])):
        raise ValueError(
            f"the loss must be a finite number before the first update, it is {float(logs['loss'])}"
            f": {_what_is_not_finite(probe.experiment.train)}"
        )
    return list(logs)


def _what_is_not_finite(train):
    if isinstance(train, Stream):
        return "look for values that are not finite in the data"
    for name, part in zip(("x", "y", "sample_weight"), train.parts):
        for array in _flat(part):
            count = (
                array.size - np.count_nonzero(np.isfinite(array)) if array.dtype.kind == "f" else 0
            )
            if count:
                return f"{name} of train_data holds {count} values that are not finite"
    return "the data are finite, so look at the model's loss and its first weights"


def _check_rate_matters(probe, seed):
    """Refuse a model whose weights do not depend on its optimizer's learning rate."""
    steps = getattr(probe.model.optimizer, "gradient_accumulation_steps", None) or 1
    batches = (probe.batches(seed) * steps)[: max(UPDATES, steps)]
    weights = shaken([v.numpy() for v in probe.model.trainable_variables], 0.3)
    ends = [probe.run(rate, weights, batches)[0][-1] for rate in (0.01, 0.1)]
    if all(
        np.array_equal(ends[0][key], ends[1][key], equal_nan=True)
        for key in ends[0]
        if key != id(probe.rate)
    ):
        raise ValueError(
            "changing the learning rate of the model's optimizer changes nothing: does its "
            "train_step use another optimizer, or is every weight frozen? A sweep would compare "
            "equal trainings"
        )


def _check_seeds_matter(model, other, experiment):
    """Refuse seeds that all give the same training; warn if only the batches differ."""
    pairs = zip(model.variables, other.variables)
    if not all(np.array_equal(one.numpy(), two.numpy()) for one, two in pairs):
        return
    if isinstance(experiment.train, Stream) or not experiment.shuffle:
        raise ValueError(
            "the seeds change nothing: build_model gives the same weights each time, and the "
            "batches come in the same order. Let build_model set no seed, or say seeds=1"
        )
    _log.warning(
        "build_model gives the same weights with each seed: the seeds differ in the order of the "
        "batches only"
    )
