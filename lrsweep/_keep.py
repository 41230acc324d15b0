"""A sweep kept in a folder as it is done, so that the same call goes on where it was.

A file appears complete or not at all. The folder belongs to one experiment; another one is
refused. Nothing in it is ever executed: arrays and text only.
"""

import contextlib
import hashlib
import inspect
import json
import os
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lrsweep._examples import Stream
from lrsweep._experiment import Outcome


class Keeper:
    """What is done of a sweep, in a folder.

    Parameters
    ----------
    folder : str or path
        Made if it isn't there.
    description : dict
        What makes the experiment what it is, see `describe`.

    Raises
    ------
    ValueError
        If the folder holds another experiment, or other files.
    """

    def __init__(self, folder, description):
        self.folder = Path(folder)
        text = json.dumps(description, indent=1, sort_keys=True)
        sheet = self.folder / "experiment.json"
        if sheet.exists():
            _check_same(self.folder, json.loads(sheet.read_text(encoding="utf-8")), description)
            return
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise ValueError(
                f"keep must be a new or empty folder, {str(folder)!r} holds other files"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with _whole(sheet) as file:
            file.write(text.encode())

    def save(self, trial, outcome):
        """Keep what a finished training reported."""
        arrays = {f"history/{name}": np.asarray(v) for name, v in outcome.history.items()}
        rest = {"diverged": outcome.diverged, "last_epoch": outcome.last_epoch}
        with _whole(self._file(trial)) as file:
            np.savez(file, **arrays, **rest)

    def load(self, trial):
        """Return the outcome of a training that is done, or None."""
        path = self._file(trial)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            history = {
                name.removeprefix("history/"): arrays[name]
                for name in arrays.files
                if name.startswith("history/")
            }
            return Outcome(history, bool(arrays["diverged"]), int(arrays["last_epoch"]))

    def save_part(self, trials, done, logs, state):
        """Keep how far a group of copies has come: epochs done, their logs, all variables."""
        arrays = {f"log/{name}": values for name, values in logs.items()}
        arrays |= {f"state/{i}": tf.convert_to_tensor(v).numpy() for i, v in enumerate(state)}
        with _whole(self._part(trials)) as file:
            np.savez(file, done=done, **arrays)

    def load_part(self, trials):
        """Return (epochs done, logs, list of arrays) of a group of copies, or None."""
        path = self._part(trials)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            logs = {n.removeprefix("log/"): arrays[n] for n in arrays.files if n[:4] == "log/"}
            count = sum(name.startswith("state/") for name in arrays.files)
            return int(arrays["done"]), logs, [arrays[f"state/{i}"] for i in range(count)]

    def forget_part(self, trials):
        """Remove what `save_part` wrote, once the trainings are kept."""
        self._part(trials).unlink(missing_ok=True)

    def _file(self, trial):
        return self.folder / f"seed_{trial.seed}_rate_{float(trial.learning_rate).hex()}.npz"

    def _part(self, trials):
        names = json.dumps([[float(rate).hex(), seed] for rate, seed in trials])
        return self.folder / f"unfinished_{hashlib.sha256(names.encode()).hexdigest()[:16]}.npz"


@contextlib.contextmanager
def _whole(path):
    """Give a file to write to, which gets its name when it is complete."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
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


def _check_same(folder, kept, now):
    different = sorted(key for key in kept.keys() | now.keys() if kept.get(key) != now.get(key))
    if different:
        raise ValueError(
            f"keep={str(folder)!r} holds another experiment: {', '.join(different)} differ. "
            "Give this one a folder of its own, or delete that one"
        )


def describe(experiment, model, rates, seeds, callbacks):
    """Return what makes an experiment what it is, in a form that JSON can hold."""
    return {
        "learning_rates": [float(rate) for rate in rates],
        "seeds": [int(seed) for seed in seeds],
        "epochs": experiment.epochs,
        "batch_size": experiment.batch_size,
        "shuffle": experiment.shuffle,
        "train_data": _hash_of_data(experiment.train),
        "validation_data": _hash_of_data(experiment.validation),
        "first weights": _hash(v.numpy() for v in model.variables),
        "optimizer": _text(model.optimizer.get_config()),
        "loss and metrics": _text(model.get_compile_config() or {}),
        "build_model": _source(experiment.build_model),
        "callbacks": [_text(_settings(callback)) for callback in callbacks],
        "versions": [keras.version(), tf.__version__],
    }


def _settings(callback):
    plain = (int, float, str, bool, type(None))
    return {key: v for key, v in vars(callback).items() if isinstance(v, plain) and key[0] != "_"}


def _text(config):
    """Return a configuration as text, without the names that Keras numbers on."""
    return json.dumps(_nameless(config), sort_keys=True, default=lambda it: type(it).__name__)


def _nameless(config):
    if isinstance(config, dict):
        return {key: _nameless(value) for key, value in config.items() if key != "name"}
    return [_nameless(it) for it in config] if isinstance(config, (list, tuple)) else config


def _source(function):
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(function)
    return getattr(function, "__qualname__", type(function).__name__)


def _hash_of_data(data):
    if isinstance(data, Stream):
        return f"a stream of {data.specs()}"
    return _hash(tf.nest.flatten(data.parts))


def _hash(arrays):
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
