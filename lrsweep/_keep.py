"""A sweep kept in a folder as it is done, so that the same call goes on where it was.

A file appears complete or not at all. The folder belongs to one experiment; another one is
refused, and so is a file that is damaged. Nothing in it is ever executed: numbers and text only.
"""

import contextlib
import dis
import functools
import hashlib
import inspect
import json
import os
import tempfile
import types
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lrsweep._examples import Stream
from lrsweep._experiment import Outcome, ScaledSchedule, own_learning_rate, schedule_rates
from lrsweep._surroundings import name_counts, numbered_from
from lrsweep._validation import folder_name
from lrsweep._version import __version__

try:
    import fcntl
except ImportError:  # Windows has no such locks: two calls at once in one folder go unnoticed
    fcntl = None

UNFINISHED = ".lrsweep_"  # how the name of a file begins that is being written
SAME = 1e-3  # how far, relatively, two computers may differ in what a first update does
STEPS = 2000  # at most, at which a schedule is asked
LEARNS_WORDS = (
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)
GIVEN = "keras", "tensorflow", "builtins", "numpy"  # packages whose code the versions tell


class Keeper:
    """What is done of a sweep, in a folder; a context that lets the folder go at its end.

    Parameters
    ----------
    folder : str or path
        Made if it isn't there.
    description : dict
        What makes the experiment what it is, see `describe`.

    Raises
    ------
    ValueError
        If the folder holds another experiment or other files, is damaged, is in use, or can't be
        made or written to.
    """

    def __init__(self, folder, description):
        self.folder, self._lock = folder_name("keep", folder), None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.folder)
            for file in self.folder.glob(f"{UNFINISHED}*.tmp"):  # left by a call that was killed
                file.unlink()
            self._take(description)
        except OSError as error:
            self.close()
            raise ValueError(
                f"keep must be a folder that can be made and written to, got {str(folder)!r}: "
                f"{error.strerror}"
            ) from error
        except BaseException:
            self.close()
            raise

    def _take(self, description):
        """Write down whose folder it is, or check that it is this experiment's."""
        sheet = self.folder / "experiment.json"
        if sheet.exists():
            _check_same(self.folder, _read_sheet(sheet), description)
            return
        if any(file.name[0] != "." for file in self.folder.iterdir()):
            raise ValueError(
                f"keep must be a new or empty folder, {str(self.folder)!r} holds other files"
            )
        with _whole(sheet) as file:
            file.write(json.dumps(description, indent=1, sort_keys=True).encode())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        """Let other calls use the folder."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def save(self, trial, outcome):
        """Keep what a finished training reported."""
        arrays = {f"history/{name}": np.asarray(v, float) for name, v in outcome.history.items()}
        rest = {"diverged": outcome.diverged, "last_epoch": outcome.last_epoch}
        with _whole(self._file(trial)) as file:
            np.savez(file, **arrays, **rest, trial=[*trial])

    def load(self, trial):
        """Return the outcome of a training that is done, or None."""
        path = self._file(trial)
        if not path.exists():
            return None
        arrays = _read(path, {"diverged", "last_epoch", "trial"})
        history = _with_prefix(arrays, "history/")
        lengths = {values.shape for values in history.values()}
        if len(lengths) > 1 or not np.array_equal(arrays["trial"], [*trial]):
            raise _damaged(path, "it holds something else")
        return Outcome(history, bool(arrays["diverged"]), int(arrays["last_epoch"]))

    def save_part(self, trials, done, logs, state):
        """Keep how far a group of copies has come: epochs done, their logs, all variables."""
        arrays = {f"log/{name}": values for name, values in logs.items()}
        for place, value in enumerate(state):
            value = tf.convert_to_tensor(value).numpy()
            arrays[f"state/{place}"] = np.frombuffer(value.tobytes(), np.uint8)
        with _whole(self._part(trials)) as file:
            np.savez(file, done=done, **arrays)

    def load_part(self, trials, like):
        """Return (epochs done, logs, list of tensors) of a group of copies, or None.

        Parameters
        ----------
        trials : list of Trial
        like : list of tensor
            Of the same shapes and types as what was given to `save_part`.
        """
        path = self._part(trials)
        if not path.exists():
            return None
        arrays = _read(path, {"done", *(f"state/{place}" for place in range(len(like)))})
        logs = _with_prefix(arrays, "log/")
        shape = int(arrays["done"]), len(trials)
        try:
            state = [
                tf.constant(
                    arrays[f"state/{i}"].view(it.dtype.as_numpy_dtype).reshape(it.shape), it.dtype
                )
                for i, it in enumerate(like)
            ]
        except (TypeError, ValueError) as error:
            raise _damaged(path, error) from error
        if not logs or any(values.shape != shape for values in logs.values()):
            raise _damaged(path, "the history has another length")
        return shape[0], logs, state

    def forget_part(self, trials):
        """Remove what `save_part` wrote, once the trainings are kept."""
        self._part(trials).unlink(missing_ok=True)

    def _file(self, trial):
        return self.folder / f"seed_{trial.seed}_rate_{float(trial.learning_rate).hex()}.npz"

    def _part(self, trials):
        names = json.dumps([[float(rate).hex(), seed] for rate, seed in trials])
        return self.folder / f"unfinished_{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"


def _locked(folder):
    """Keep other calls out of a folder; the lock ends with the process, however that ends.

    Returns
    -------
    int or None
        A file descriptor to be closed; None where there are no such locks.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise ValueError(
            f"keep={str(folder)!r} is in use by another sweep: wait for it, or give this one a "
            "folder of its own"
        ) from None
    except OSError:  # some network drives have no locks
        os.close(handle)
        return None
    return handle


@contextlib.contextmanager
def _whole(path):
    """Give a file to write to, which gets its name when it is complete."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=UNFINISHED, suffix=".tmp", delete=False
    ) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(file.name, path)
        except BaseException:
            file.close()
            Path(file.name).unlink(missing_ok=True)
            raise


def _read(path, needed):
    """Return the arrays of a file, of which some must be there."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (EOFError, KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error
    if not needed <= arrays.keys():
        raise _damaged(path, f"{', '.join(sorted(needed - arrays.keys()))} is missing")
    return arrays


def _with_prefix(arrays, prefix):
    return {name.removeprefix(prefix): v for name, v in arrays.items() if name.startswith(prefix)}


def _damaged(path, why):
    return ValueError(
        f"{str(path)!r} is damaged ({why}): delete this file, and the same call trains again what "
        "it held"
    )


def _read_sheet(sheet):
    try:
        kept = json.loads(sheet.read_text(encoding="utf-8"))
        if isinstance(kept, dict):
            return kept
        why = "no list of settings"
    except ValueError as error:
        why = error
    raise ValueError(
        f"{str(sheet)!r} is damaged ({why}), so nobody knows which experiment the folder holds: "
        "give this one a new folder"
    )


def _check_same(folder, kept, now):
    different = [key for key in sorted(kept.keys() | now.keys()) if not _same(kept, now, key)]
    if different:
        shown = [
            f"{key} ({kept.get(key)}, now {now.get(key)})"
            if isinstance(now.get(key), (int, float)) and isinstance(kept.get(key), (int, float))
            else key
            for key in different
        ]
        raise ValueError(
            f"keep={str(folder)!r} holds another experiment, which differs in {', '.join(shown)}. "
            "Give this one a folder of its own, or delete that one"
        )


def _same(kept, now, key):
    one, other = kept.get(key), now.get(key)
    if key != "first update":
        return one == json.loads(json.dumps(other))
    if not isinstance(one, list) or len(one) != len(other):
        return False
    return bool(np.allclose(one, other, rtol=SAME, atol=1e-6, equal_nan=True))


def describe(probe, rates, seeds, callbacks):
    """Return what makes an experiment what it is, in a form that JSON can hold.

    Parameters
    ----------
    probe : Probe
        Of a new model of the first seed.
    rates, seeds : array
        `rates` is None where they are found on the way.
    callbacks : list of keras.callbacks.Callback
    """
    experiment, model = probe.experiment, probe.model
    compiled = dict(getattr(getattr(model, "_compile_config", None), "config", None) or {})
    compiled.pop("optimizer", None)
    with numbered_from(_names_by_keras(model)):
        return {
            "learning_rates": None if rates is None else [float(rate) for rate in rates],
            "seeds": [int(seed) for seed in seeds],
            "epochs": experiment.epochs,
            "batch_size": experiment.batch_size,
            "shuffle": experiment.shuffle,
            "train_data": _hash_of_data(experiment.train),
            "validation_data": _hash_of_data(experiment.validation),
            "first weights": _hash(v.numpy() for v in model.variables),
            "first update": _first_update(probe, int(seeds[0])),
            "layers": _hash([np.frombuffer(_text(_layers(model)).encode(), np.uint8)]),
            "optimizer": _text([model.optimizer, _decaying(model)]),
            "schedule": _schedule(model.optimizer, experiment),
            "loss and metrics": _text(compiled),
            "build_model": _text(_builder(experiment.build_model)),
            "callbacks": [
                json.dumps(_settings(it), sort_keys=True, default=str) for it in callbacks
            ],
            "settings of Keras": [
                keras.config.floatx(),
                keras.config.epsilon(),
                keras.config.image_data_format(),
            ],
            "versions": [keras.version(), tf.__version__, __version__],
        }


def _names_by_keras(model):
    """Return, as Keras counts them, the names that it has numbered, such as "dense" of "dense_3".

    They come from the names of classes; others, such as "block_3", are the user's.
    """
    parts = [*model._flatten_layers(), *model.metrics]
    heads = [(it.name.rpartition("_")[0], type(it).__name__) for it in parts]
    return {head: 1 for head, kind in heads if head.replace("_", "") == kind.lower()}


def _first_update(probe, seed):
    """Return what a first update does, in numbers.

    They show what no settings show: a value that a function takes from elsewhere, a layer that
    hides one, a step of a model's own.
    """
    weights = [variable.numpy() for variable in probe.parts.weights]
    seen = probe.run(1e-3, weights, probe.batches(seed)[:1])
    arrays = [np.asarray(array) for values, _ in seen for array in values.values()]
    floats = [array.astype(float) for array in arrays if array.dtype.kind in "fV" and array.size]
    reported = [value for _, report in seen if report for value in report.values()]
    return [float(np.mean(np.abs(array))) for array in floats] + reported


def _settings(callback):
    """Return what a callback was made with, and nothing of what it has seen."""
    given = inspect.signature(type(callback)).parameters
    settings = {name: vars(callback)[name] for name in given if name in vars(callback)}
    return settings | {"min_delta": abs(callback.min_delta)}  # its sign turns when it's used


def _layers(model):
    """Return the layers, and the words that some learnt in `adapt`, which no setting tells."""
    layers = list(model._flatten_layers())
    words = [it.get_vocabulary() for it in layers if isinstance(it, LEARNS_WORDS)]
    return [layers, [_hash([np.array(it, object)]) for it in words]]


def _decaying(model):
    """Return which weights decay, which the optimizer's settings don't tell."""
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    decays = getattr(inner, "_use_weight_decay", lambda variable: True)
    return [bool(decays(variable)) for variable in model.trainable_variables]


def _schedule(optimizer, experiment):
    """Return a schedule's settings, and its rates at the updates; None if there is none."""
    own = own_learning_rate(optimizer)
    if not isinstance(own, ScaledSchedule):
        return None
    rates = schedule_rates(optimizer, experiment)
    some = np.unique(np.linspace(0, len(rates) - 1, STEPS).astype(int))
    return [_text(own.schedule), *(f"{rate:.4g}" for rate in rates[some])]


def _text(thing):
    """Return settings as text, without the names and numbers that Keras gives on the way."""
    return json.dumps(_plain(thing), sort_keys=True)


def _plain(thing):
    """Return settings as what JSON can hold."""
    if isinstance(thing, dict):
        if thing.get("class_name") == "__lambda__":  # its code, with the place of its file
            return "lambda"
        if str(thing.get("class_name")).endswith("DTypePolicy"):  # whose name is its setting
            return [thing["class_name"], thing.get("config")]
        skipped = "name", "shared_object_id", "registered_name", "learning_rate"
        return {str(key): _plain(value) for key, value in thing.items() if key not in skipped}
    if isinstance(thing, (list, tuple)):
        return [_plain(it) for it in thing]
    if isinstance(thing, str):
        head, between, tail = thing.rpartition("_")
        return head if between and tail.isdigit() else thing
    if thing is None or isinstance(thing, (bool, int, float)):
        return thing
    if isinstance(thing, (set, frozenset)):
        return sorted((_plain(it) for it in thing), key=repr)
    if isinstance(thing, (complex, bytes)):
        return repr(thing)
    if isinstance(thing, (np.ndarray, np.generic)) or _is_tensor(thing):
        return _hash([np.asarray(thing)])
    thing = _unwrapped(thing)
    if inspect.isroutine(thing) or inspect.isclass(thing):
        return _source(thing)
    if isinstance(thing, functools.partial):
        return [_plain(it) for it in (thing.func, thing.args, thing.keywords)]
    held = [it for it in getattr(thing, "__dict__", {}).values() if callable(it) and _is_own(it)]
    return [*_config(thing), *_own(thing), *map(_own, held)]


def _unwrapped(thing):
    """Return the function within a `tf.function`."""
    return getattr(thing, "python_function", thing)


def _config(thing):
    """Return an object's kind, and what it says of its settings."""
    settings = {}
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a lambda
        settings = thing.get_config()  # which not every model, loss or metric has
    unsaid = getattr(thing, "_fn_kwargs", {})  # of which Huber keeps its delta to itself
    return [type(thing).__name__, _plain(settings), _numbers(unsaid)]


def _own(thing, known=()):
    """Return the code of a function or of an object's class, and the numbers that it was given."""
    if inspect.isroutine(thing) or inspect.isclass(thing):
        return _source(thing, known)
    if isinstance(thing, functools.partial):
        given = dict(enumerate(thing.args)) | thing.keywords
        return [_own(thing.func, known), _numbers({str(name): it for name, it in given.items()})]
    if not _is_own(thing):
        return []
    return [_source(type(thing), known), _numbers(_given(thing, known))]


def _given(thing, users=()):
    """Return the attributes that an object got when it was made, or later from outside.

    Not those that its methods change, or functions that use it, nor what Keras writes on it.
    """
    first, later = set(), set().union(*map(_counted, users))
    for method in _methods(type(thing)):
        (first if method.__name__ == "__init__" else later).update(_names(method, "STORE_ATTR"))
    held = getattr(thing, "__dict__", {})
    outside = {name for name in held if name[0] != "_"} - _written_by_keras(type(thing))
    return {name: held[name] for name in sorted((first | outside) - later) if name in held}


def _counted(function):
    """Return the names of attributes that a function changes, as one that counts its calls."""
    if not isinstance(function, types.FunctionType) or function.__name__ == "__init__":
        return set()
    return _names(function, "STORE_ATTR")


@functools.cache
def _written_by_keras(kind):
    """Return the names of attributes that methods of Keras's classes write."""
    theirs = [it for it in kind.__mro__ if it.__module__.partition(".")[0] in GIVEN]
    methods = [part for it in theirs for part in vars(it).values() if inspect.isfunction(part)]
    return frozenset(name for method in methods for name in _names(method, "STORE_ATTR"))


def _is_own(thing):
    """Tell whether a function, or the class of something else, is nobody's but the user's."""
    kind = thing if inspect.isroutine(thing) or inspect.isclass(thing) else type(thing)
    return (kind.__module__ or "builtins").partition(".")[0] not in GIVEN


def _methods(kind):
    """Return the methods of a class and of those that it comes from, as far as they're own."""
    own = [it for it in kind.__mro__ if it.__module__.partition(".")[0] not in GIVEN]
    return [part for it in own for part in vars(it).values() if inspect.isfunction(part)]


def _names(function, kind):
    """Return the names in the instructions of a kind, in the functions within a function too."""
    waiting, names = [function.__code__], set()
    while waiting:
        code = waiting.pop()
        names |= {it.argval for it in dis.get_instructions(code) if it.opname == kind}
        waiting += [it for it in code.co_consts if isinstance(it, types.CodeType)]
    return names


def _numbers(things):
    return {name: _number(it) for name, it in things.items() if _is_number(it)}


def _number(thing):
    """Return a number or text, or a list or dict of them, as what JSON can hold."""
    if isinstance(thing, dict):
        return {
            key if isinstance(key, str) else _text(key): _number(it) for key, it in thing.items()
        }
    if isinstance(thing, str) and thing.rpartition("_")[0] not in name_counts():
        return thing  # whole: none of the names that Keras numbers
    return [_number(it) for it in thing] if isinstance(thing, (list, tuple)) else _plain(thing)


def _is_number(thing):
    """Tell whether something is a number, a text or an array, or a list, set or dict of them.

    A dict by function isn't: the text of a function is another one in each process.
    """
    if isinstance(thing, dict):
        return all(map(_is_number, [*thing, *thing.values()]))
    if isinstance(thing, (list, tuple, set, frozenset)):
        return all(map(_is_number, thing))
    numbers = int, float, complex, str, bytes, bool, np.generic, np.ndarray
    return thing is None or isinstance(thing, numbers) or _is_tensor(thing)


def _is_tensor(thing):
    """Tell whether something is a tensor with values, or a variable of TensorFlow."""
    return isinstance(thing, (tf.Tensor, tf.Variable)) and hasattr(thing, "numpy")


def _source(thing, known=()):
    """Return the code of a function or class, and the numbers and texts that it takes elsewhere.

    Also those of the functions, classes and objects beside it that it uses, and of the classes
    that a class comes from, as far as they aren't Keras's.
    """
    if any(thing is it for it in known):
        return []
    if inspect.isclass(thing):
        own = [it for it in thing.__mro__ if it.__module__.partition(".")[0] not in GIVEN]
        methods, known = _methods(thing), [*known, thing]
        written = {name for method in methods for name in _names(method, "STORE_ATTR")}
        held = [{n: it for n, it in vars(kind).items() if n[0] != "_"} for kind in own]
        held = [_numbers({n: it for n, it in each.items() if n not in written}) for each in held]
        return [*map(_code, own or [thing]), held, *(_source(it, known)[1:] for it in methods)]
    function = getattr(thing, "__func__", thing)
    if not isinstance(function, types.FunctionType):
        return [_code(thing)]
    taken, module = _taken(function, known), function.__module__
    beside = [it for _, it in sorted(taken.items()) if getattr(it, "__module__", "") == module]
    beside = [it for it in beside if isinstance(it, (types.FunctionType, type))]
    beside = [it for it in beside if not any(it is other for other in [*known, function])]
    known = [*known, function]
    objects = [thing.__self__] if inspect.ismethod(thing) else []
    objects += [it for _, it in sorted(taken.items()) if not isinstance(it, types.FunctionType)]
    return [
        _code(thing),
        _numbers(taken),
        *(_source(it, [*known, *(other for other in beside if other is not it)]) for it in beside),
        *(_object(it, module, known) for it in objects),
    ]


def _taken(function, users=()):
    """Return what a function takes from elsewhere, by name.

    Not the dicts and sets that it fills, or functions beside it or that use it.
    """
    taken = _all_taken(function)
    near = [function, *taken.values(), *users]
    near += [method for it in users if inspect.isclass(it) for method in _methods(it)]
    filling = [it for it in near if isinstance(it, types.FunctionType) and _fills(it)]
    held = [it for one in filling for it in _all_taken(one).values()]
    filled = [it for it in held if isinstance(it, (dict, set))]
    return {name: it for name, it in taken.items() if not any(it is one for one in filled)}


def _all_taken(function):
    taken = {name: function.__globals__.get(name) for name in _names(function, "LOAD_GLOBAL")}
    with contextlib.suppress(ValueError):  # a place that is still empty
        taken |= inspect.getclosurevars(function).nonlocals
    changed = {*_names(function, "STORE_GLOBAL"), *_names(function, "STORE_DEREF")}
    taken = {name: it for name, it in taken.items() if name not in changed}
    counted = _counted(function)
    for name, it in list(taken.items()):
        if inspect.ismodule(it) and it.__name__.partition(".")[0] not in GIVEN:
            read = _names(function, "LOAD_ATTR") & vars(it).keys() - counted
            taken |= {f"{name}.{one}": vars(it)[one] for one in read}
    defaults = dict(enumerate(function.__defaults__ or ()))
    taken |= {f"default {place}": it for place, it in defaults.items()}
    own = {n: it for n, it in vars(function).items() if n[0] != "_" and n not in counted}
    taken |= (function.__kwdefaults__ or {}) | own
    return {str(name): _unwrapped(it) for name, it in taken.items()}


def _fills(function):
    """Tell whether a function may put something into a dict or a set."""
    called = {*_names(function, "LOAD_METHOD"), *_names(function, "LOAD_ATTR")}
    return bool(_names(function, "STORE_SUBSCR") or called & {"add", "setdefault", "update"})


def _object(thing, module, known):
    """Return what tells an object that a function of a module uses from others, if it's known."""
    kind = type(thing)
    if isinstance(thing, types.SimpleNamespace) or kind.__module__ == module:
        return (
            _own(thing, known)
            if not any(kind is it for it in known)
            else _numbers(_given(thing, known))
        )
    if _is_own(thing) or isinstance(thing, (type, keras.Layer, keras.Variable)):
        return []
    return _config(thing) if hasattr(thing, "get_config") else []


def _builder(build_model):
    """Return a builder's code alone: what it takes from elsewhere shows in its models."""
    while isinstance(build_model, functools.partial):
        build_model = build_model.func
    return _code(build_model) if inspect.isroutine(build_model) else build_model


def _code(thing):
    """Return the source of a function or class, or its name where there is no source."""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(thing)
    return getattr(thing, "__qualname__", type(thing).__name__)


def _hash_of_data(data):
    if isinstance(data, Stream):
        return _hash_of_stream(data)
    return _hash(tf.nest.flatten(data.parts))


def _hash_of_stream(data):
    """Return what tells a stream of batches from another one, as far as it's the same each time.

    Of a stream that comes in a new order each time, it's the set of its examples; of one whose
    examples change too, the number of its batches.
    """
    (ordered, examples, count), again = (_two_hashes(data) for _ in range(2))
    kept = ordered if ordered == again[0] else examples if examples == again[1] else "changing"
    return f"{count} batches of {data.specs()}: {kept}"


def _two_hashes(data):
    """Return the hash of batches in their order, that of their examples in any, and how many."""
    batches, examples, count = hashlib.sha256(), [], 0
    for batch in data.batches():
        count += 1
        arrays = [it.numpy() for it in tf.nest.flatten(batch, expand_composites=True)]
        batches.update(_hash(arrays).encode())
        lengths = {array.shape[:1] for array in arrays}
        rows = zip(*arrays) if len(lengths) == 1 and () not in lengths else [arrays]
        examples += [_hash(row) for row in rows]
    together = hashlib.sha256("".join(sorted(examples)).encode())
    return batches.hexdigest(), together.hexdigest(), count


def _hash(arrays):
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes())
    return digest.hexdigest()
