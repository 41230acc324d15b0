"""What has to be found out about a model before it is swept, and refused if it can't be right."""

import concurrent.futures
import contextlib
import logging
from dataclasses import dataclass, field, replace

import keras
import numpy as np
import tensorflow as tf

from lrsweep._engines import Sweep
from lrsweep._examples import (
    Examples,
    Stream,
    check_data,
    size_made_for,
    weighted_by_class,
    words_for_size,
)
from lrsweep._experiment import Experiment, in_words, rate_variable
from lrsweep._gate import alike, known_reason
from lrsweep._keep import Keeper, describe
from lrsweep._model_checks import (
    check_builder,
    check_fresh,
    check_labels,
    check_methods,
    check_names,
    constant_scores,
    directions,
)
from lrsweep._one_copy import parts_of
from lrsweep._probe import Probe, all_of_keras
from lrsweep._sequential import train_one
from lrsweep._stopping import check_callbacks, check_monitors, check_no_schedule
from lrsweep._surroundings import THREADS
from lrsweep._traces import check_traces

_DEPENDS_ON_MORE = (
    "build_model must give the same model whenever the random seeds of Python, NumPy and Keras are "
    "set to the same numbers, but {}: does it draw from a generator of its own, such as "
    "numpy.random.default_rng() without a seed, or count its calls?"
)

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
    models : dict of keras.Model
        New ones, of the first and the last seed. Sweeps leave them as they are.
    probe : Probe
        Of the first one.
    directions, chance : dict
        As in `SweepResult`.
    """

    experiment: Experiment
    seeds: np.ndarray
    callbacks: list
    names: list
    models: dict = field(default_factory=dict)
    probe: Probe | None = None
    directions: dict = field(default_factory=dict)
    chance: dict = field(default_factory=dict)

    def sweep(self, rates, keep=None, executor=None, progress=True):
        """Train at these rates, with all seeds, and return the result."""
        with self.keeper(keep, rates) as keeper:
            sweep = Sweep(self.experiment, rates, self.seeds, self.names, self.callbacks, keeper)
            sweep.run(self.models, self.probe, executor, progress)
        return sweep.result(self.chance, self.directions)

    def keeper(self, folder, rates):
        """Return a `Keeper` for these rates, None among them, or a context without one."""
        if folder is None:
            return contextlib.nullcontext()
        return Keeper(folder, describe(self.probe, rates, self.seeds, self.callbacks))


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
    check_shapes(train, validation)
    _check_executor(executor, train, validation)
    callbacks = check_callbacks(early_stopping, reduce_on_plateau)
    experiment = Experiment(build_model, train, validation, epochs, batch_size, shuffle)
    first, last = int(seeds[0]), int(seeds[-1])
    models = {seed: _built(experiment, seed) for seed in {first: 0, last: 0}}
    model, other = models[first], models[last]
    check_methods(model)
    check_names(model)
    again = experiment.build(first, rate=0.37)  # which its optimizer may remember
    shared = check_fresh(model, again)
    _check_same_weights(model, again)
    for name, part in (("train_data", train), ("validation_data", validation)):
        if not isinstance(part, Stream):
            check_labels(model, part, name)
    check_no_schedule(reduce_on_plateau, model.optimizer)
    probe = Probe(model, experiment)
    memories = ([v.numpy() for v in parts_of(it).memory[:-1]] for it in (model, again))
    probe.starts_from_rate = any(not np.array_equal(*pair, True) for pair in zip(*memories))
    own_code = not all_of_keras(model)
    check_traces(model, model.train_step, probe.train_step, train, own_code)
    check_traces(model, model.test_step, probe.test_step, validation, own_code)
    _check_last_batches(probe)
    with in_words("the model fails on the data", train, tf.errors.OpError):
        names, held_out_names = _first_update(probe, first)
    for name, step, part in (
        ("train_data", probe.train_step, train),
        ("validation_data", probe.test_step, validation),
    ):
        _check_numbers(probe, name, step, part)
    if not probe.find_rate(first):
        raise ValueError(
            "changing the learning rate of the model's optimizer changes nothing: does its "
            "train_step use another optimizer, or is every weight frozen? A sweep would compare "
            "equal trainings"
        )
    for place, variable in enumerate(probe.parts.others):
        if place in probe.changed and any(variable is it for it in shared):
            raise ValueError(
                f"build_model must make new weights at each call: its models share "
                f"{variable.path}, which training changes"
            )
    if shared := probe.shared_with(again):
        names = ", ".join(variable.name.partition(":")[0] for variable in shared[:3])
        raise ValueError(
            f"build_model's models share a variable outside of them, which training changes: "
            f"{names}. The trainings would change each other: make it in build_model, anew at "
            "each call (for keras.random, a keras.random.SeedGenerator to give as seed)"
        )
    _check_same_results(probe, again, first)
    _check_same_trainings(probe, first)
    if len(seeds) > 1:
        _check_seeds_matter(probe, other, first, last)
    names += [f"val_{name}" for name in held_out_names]
    check_monitors(callbacks, model, names)
    known = not isinstance(validation, Stream)
    return Prepared(
        experiment,
        seeds,
        callbacks,
        names,
        models,
        probe,
        directions(model, names),
        constant_scores(model, validation, names, batch_size) if known else {},
    )


def _built(experiment, seed):
    """Return a new model; if it can't be built for its sample weights alone, say that."""
    train = experiment.train
    try:
        return experiment.build(seed)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        if isinstance(train, Stream) or train.weights is None:
            raise
        replace(experiment, train=Examples(train.x, train.y)).build(seed)  # or another error
        shapes = [[np.shape(it) for it in _flat(part)] for part in (train.weights, train.y)]
        weights, y = (str(it).strip("[]") for it in shapes)
        raise ValueError(
            "sample_weight of train_data must have a number for each example, or for each part of "
            f"it that has a loss of its own, got the shape {weights} for y of the shape {y}"
        ) from error


def check_shapes(train, validation):
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
        raise ValueError(THREADS)
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor must not fork, which TensorFlow doesn't survive: make it with mp_context="
            'multiprocessing.get_context("spawn")'
        )
    if isinstance(executor, type) or not hasattr(executor, "submit"):
        raise ValueError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    if any(isinstance(part, Stream) for part in data):
        raise ValueError("a tf.data.Dataset can't be sent to an executor: leave executor out")


def _check_same_weights(model, again):
    """Refuse a builder whose models start from weights that depend on more than the seeds."""
    rate = rate_variable(model.optimizer)  # set to another one, and a layer may hold it
    pairs = zip(model.variables, again.variables)
    for one, two in (pair for pair in pairs if pair[0] is not rate):
        if not np.array_equal(one.numpy(), two.numpy(), equal_nan=one.dtype != "bool"):
            raise ValueError(_DEPENDS_ON_MORE.format(f"{one.path} differs"))


def _check_same_results(probe, again, seed):
    """Refuse a builder whose models differ in more than weights, as in a rate of Dropout.

    Not asked are models that can't be tried in this way, or that never do the same twice. If they
    differ only where they were built at different rates, their optimizer remembers the rate.
    """
    model, experiment = probe.model, probe.experiment
    if known_reason(probe) or isinstance(experiment.train, Stream):
        return
    try:
        differ = not alike([model, again], experiment) and alike([model, model], experiment)
        if differ and alike([again, experiment.build(seed, rate=0.37)], experiment):
            probe.starts_from_rate = alike([model, experiment.build(seed)], experiment)
            differ = not probe.starts_from_rate
    except Exception:  # there are many ways in which a copy fails
        return
    finally:
        probe.put_back()
    if differ:
        raise ValueError(_DEPENDS_ON_MORE.format("with equal weights, their results differ"))


def _check_same_trainings(probe, seed):
    """Refuse models run eagerly that go on from each other through something that Python keeps."""
    experiment, few = probe.experiment, slice(0, 2 * probe.experiment.batch_size)
    data = experiment.train, experiment.validation
    if not probe.model.run_eagerly or any(isinstance(part, Stream) for part in data):
        return
    train, validation = (Examples(*part.rows(few)) for part in data)
    short = replace(experiment, train=train, validation=validation, epochs=1)
    one, two = (train_one(short, probe.rate, seed).history for _ in range(2))
    if not all(np.allclose(one[name], two[name], 1e-4, 1e-6, True) for name in one):
        raise ValueError(
            "build_model's models go on from each other: two short trainings with one seed give "
            "different numbers. Does a function that they use count, or draw from a generator of "
            "the script? Make that in build_model, anew at each call"
        )


def _check_last_batches(probe):
    """Refuse incomplete batches for a model that was made for whole ones, and takes no others."""
    experiment, model = probe.experiment, probe.model
    if size_made_for(model) is None:
        return
    for name, step, part in (
        ("train_data", probe.train_step, experiment.train),
        ("validation_data", probe.test_step, experiment.validation),
    ):
        left = 0 if isinstance(part, Stream) else len(part) % experiment.batch_size
        if left:
            with words_for_size(model, left, last_of=name):
                step(*part.rows(slice(-left, None)))
            probe.put_back()


def _first_update(probe, seed):
    """Let Keras make one update and one evaluation; return the names that they report."""
    weights = [v.numpy() for v in probe.parts.weights]
    seen = probe.run(1e-3, weights, probe.batches(seed)[:1])
    logs, held_out = (report for _, report in seen if report is not None)
    if "loss" not in logs:
        raise ValueError(
            f"the model's train_step must report 'loss', for a sweep to know whether training "
            f"diverged; it reports {', '.join(sorted(logs)) or 'nothing'}"
        )
    if not np.isfinite(logs["loss"]):
        raise ValueError(
            f"the loss must be a finite number before the first update, it is {logs['loss']}: "
            f"{what_is_not_finite(probe.experiment.train)}"
        )
    return list(logs), list(held_out)


def _check_numbers(probe, name, step, part):
    """Refuse examples with values that are not finite, if the model makes no finite loss of them.

    Otherwise every training would be called diverged, and its learning rate blamed. A loss may
    leave out targets that are missing; then it still needs some that aren't, so the batch that is
    tried has both.
    """
    if isinstance(part, Stream):
        for batch, bad in _spoilt_batches(name, part):
            _check_batch(probe, step, batch, bad)
        return
    if not (bad := values_not_finite(name, part)):
        return
    finite = np.ones(len(part), bool)
    for array in _flat(part.parts):
        if array.dtype.kind == "f":
            finite &= np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    size = probe.experiment.batch_size
    spoilt, half = np.flatnonzero(~finite), max(1, size // 2)
    mixed = np.concatenate([spoilt[:half], np.flatnonzero(finite), spoilt[half:]])
    _check_batch(probe, step, part.rows(mixed[:size]), bad)


def _check_batch(probe, step, batch, bad):
    """Refuse a batch with values that are not finite, if its loss isn't either."""
    probe.put_back()
    probe.model.reset_metrics()
    logs = step(*batch)
    loss = float(np.mean(logs.get("loss", 0.0))) if isinstance(logs, dict) else 0.0
    probe.put_back()
    if not np.isfinite(loss):
        raise ValueError(
            f"the loss must be a finite number before the first update, it is {loss}: {bad}"
        )


def what_is_not_finite(train):
    """Say where to look when the loss is not a finite number."""
    if isinstance(train, Stream):
        bad = next((bad for _, bad in _spoilt_batches("train_data", train)), "")
    else:
        bad = values_not_finite("train_data", train)
    return bad or "the data are finite, so look at the model's loss and its first weights"


def _spoilt_batches(name, stream):
    """Yield the batches of a stream that hold values that are not finite, and say where."""
    for number, batch in enumerate(stream.batches(), 1):
        if bad := _not_finite(name, batch):
            yield batch, f"{bad}, in batch {number}"


def values_not_finite(name, examples):
    """Say which part of examples holds values that are not finite; "" if none does."""
    return _not_finite(name, examples.parts)


def _not_finite(name, parts):
    for part_name, part in zip(("x", "y", "sample_weight"), parts):
        for array in map(np.asarray, tf.nest.flatten(part, expand_composites=True)):
            count = (
                array.size - np.count_nonzero(np.isfinite(array)) if array.dtype.kind == "f" else 0
            )
            if count:
                return f"{part_name} of {name} holds {count} values that are not finite"
    return ""


def _check_seeds_matter(probe, other, first, last):
    """Refuse seeds that all give the same training; warn if only the batches differ."""
    pairs = zip(probe.model.variables, other.variables)
    if not all(np.array_equal(one.numpy(), two.numpy()) for one, two in pairs):
        return
    weights, stream = probe.weights(), isinstance(probe.experiment.train, Stream)
    if not stream:
        one, two = (
            probe.run(probe.rate, weights, probe.batches(seed), probe.start)[-1][0]
            for seed in (first, last)
        )
    if stream or all(np.allclose(one[key], two[key], 1e-4, 1e-6, True) for key in one):
        raise ValueError(
            "the seeds change nothing: build_model gives the same weights each time, and the "
            "batches are the same. Let build_model set no seed, or say seeds=1"
        )
    _log.warning(
        "build_model gives the same weights with each seed: the seeds differ in the order of the "
        "batches only"
    )
