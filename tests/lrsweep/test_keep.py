"""A sweep kept in a folder: killed at any moment it goes on, and nothing else gets in."""

import functools
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import types
from concurrent.futures import Executor, Future

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from plain import mostly_long

from lrsweep import _keep, _sequential, _vectorized, sweep_learning_rates
from lrsweep._copies import Copies
from lrsweep._examples import Stream
from lrsweep._experiment import Trial
from lrsweep._prepare import prepare

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype("float32")
Y = (X[:, 0] > X[:, 1]).astype("int32")
TRAIN, HELD_OUT = (X[:90], Y[:90]), (X[90:], Y[90:])
ENGINES = {"vectorized": False, "sequential": True}


def builder(
    drop=0.2, optimizer=lambda: keras.optimizers.Adam(), loss="sparse_categorical_crossentropy",
    metrics=("accuracy",), eager=False, dtype=None, hidden=0.0,
):  # fmt: skip
    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "tanh", dtype=dtype)])
        model.add(keras.layers.Dropout(drop))
        model.add(keras.layers.Dense(2, activation=lambda x: keras.ops.softmax(x * (1 + hidden))))
        model.compile(optimizer(), loss, metrics=list(metrics), run_eagerly=eager)
        return model

    return build


def sweep(folder, build=None, rates=(0.1, 0.01), train=TRAIN, **arguments):
    arguments = {"epochs": 4, "seeds": 2, "progress": False, "keep": folder} | arguments
    return sweep_learning_rates(build or builder(), rates, train, HELD_OUT, **arguments)


@functools.cache
def fresh(eager=False):
    """Return a sweep that is not kept."""
    return sweep(None, builder(eager=eager))


def assert_equal(one, other, rtol=0.0):
    assert one.metrics.keys() == other.metrics.keys()
    for name in one.metrics:
        np.testing.assert_allclose(one.metrics[name], other.metrics[name], rtol, err_msg=name)
    np.testing.assert_array_equal(one.diverged, other.diverged)
    np.testing.assert_array_equal(one.last_epochs, other.last_epochs)
    assert (one.interrupted, one.engine) == (other.interrupted, other.engine)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("engine", mostly_long(ENGINES, "vectorized"))
def test_what_is_done_is_not_done_again(engine, tmp_path, monkeypatch):
    build, whole = builder(eager=ENGINES[engine]), fresh(ENGINES[engine])
    assert whole.engine == engine
    assert_equal(sweep(tmp_path / "new" / "folder", build), whole)
    assert files(tmp_path / "new" / "folder")[0] == "experiment.json"
    assert len(files(tmp_path / "new" / "folder")) == 1 + 4

    def trained(*args):
        raise AssertionError("something is trained again")

    monkeypatch.setattr(Copies, "train", trained)
    monkeypatch.setattr(_sequential, "train_one", trained)
    assert_equal(sweep(str(tmp_path / "new" / "folder"), build), whole)


# --- killed, interrupted ----------------------------------------------------------------------

CHILD = """
import test_keep
from lrsweep import _copies, _keep, _sequential, _vectorized
from lrsweep._experiment import Trial
from lrsweep._prepare import prepare

log = open("log", "a", buffering=1)


def note(owner, name, before=None, after=None):
    own = getattr(owner, name)

    def noting(*args):
        if before:
            print(before(*args), file=log)
        result = own(*args)
        if after:
            print(after(result, *args), file=log)
        return result

    setattr(owner, name, noting)


_vectorized.BLOCK, _vectorized.WRITING = 0.02, 1.0
note(_copies.Copies, "train", before=lambda copies, state, epochs: f"block {epochs[0]}")
note(_keep.Keeper, "load_part", after=lambda kept, *args: f"part {kept[0] if kept else 0}")
note(_keep.Keeper, "save", after=lambda _, it, trial, outcome: f"saved {it.folder.name} {trial}")
note(
    _sequential,
    "train_one",
    before=lambda it, rate, seed, *rest: f"begun sequential {Trial(rate, seed)}",
)
print("ready", flush=True)
test_keep.save_both()
print("done", flush=True)
"""


def long_sweep(engine, folder=True):
    """Sweep for some seconds."""
    rates, epochs = ((0.1, 0.01), 300) if engine == "vectorized" else ((0.1, 0.03, 0.01), 2)
    build = builder(eager=ENGINES[engine])
    return sweep(engine if folder else None, build, rates, epochs=epochs)


def save_both():
    """Sweep with each engine, in a folder of its name, and write down the results."""
    results = {engine: long_sweep(engine) for engine in ENGINES}
    assert all(result.engine == engine for engine, result in results.items())
    named = {f"{e}/{name}": v for e, it in results.items() for name, v in it.metrics.items()}
    np.savez("end.npz", **named)


def start(folder):
    """Start a process that sweeps, and wait until it begins."""
    paths = ROOT, ROOT / "tests", ROOT / "tests" / "lrsweep"
    named = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdout": subprocess.PIPE, "stderr": (folder / "errors").open("w"), "text": True}
    command = [sys.executable, "-c", CHILD]
    child = subprocess.Popen(command, cwd=folder, env=os.environ | named, **pipes)
    assert child.stdout.readline() == "ready\n", (folder / "errors").read_text()
    return child


KILLS = 20


@pytest.mark.long
def test_a_kill_at_any_moment_loses_at_most_the_block_in_work(tmp_path):
    choose, longest = random.Random(KILLS), 2.0
    for _ in range(KILLS):
        child, began = start(tmp_path), time.perf_counter()
        try:
            child.wait(choose.uniform(0, longest))
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        else:  # it came to its end: from the beginning again, in new folders
            longest = time.perf_counter() - began
            check_end(tmp_path, child)
            for name in ("log", *ENGINES):
                shutil.rmtree(tmp_path / name) if name != "log" else (tmp_path / name).unlink()
        longest *= 1.5
    child = start(tmp_path)
    child.wait()
    check_end(tmp_path, child)


def check_end(folder, child):
    """Check that a child has ended well, and what was lost before."""
    assert (child.returncode, child.stdout.read()) == (0, "done\n"), (folder / "errors").read_text()
    begun, saved = 0, set()
    for line in (folder / "log").read_text().splitlines():
        kind, _, what = line.partition(" ")
        if kind == "block":
            begun = int(what)
            assert not all_together(saved), "copies that were kept were trained again"
        elif kind == "part":
            assert int(what) >= begun, "more than the block in work was lost"
        elif kind == "begun":
            assert what not in saved, "a training that was kept was trained again"
        else:
            saved.add(what)
    assert len(saved) == 4 + 6
    with np.load(folder / "end.npz") as end:
        for engine in ENGINES:
            for name, values in undisturbed(engine).metrics.items():
                np.testing.assert_allclose(end[f"{engine}/{name}"], values, 1e-6, err_msg=name)
    for engine in ENGINES:
        assert len(files(folder / engine)) == 1 + (4 if engine == "vectorized" else 6)


def all_together(saved):
    """Tell whether all the copies that are trained together have been kept."""
    return sum(what.startswith("vectorized") for what in saved) == 4


@functools.cache
def undisturbed(engine):
    return long_sweep(engine, folder=False)


@pytest.mark.parametrize("engine", mostly_long(ENGINES, "vectorized"))
def test_the_call_goes_on_after_ctrl_c(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(_vectorized, "BLOCK", 0.0)  # one epoch in each block
    build, whole, count = builder(eager=ENGINES[engine]), fresh(ENGINES[engine]), 0

    def interrupting(own, at):
        def wrapped(*args):
            nonlocal count
            count += 1
            if count in at:
                signal.raise_signal(signal.SIGINT)
            return own(*args)

        return wrapped

    monkeypatch.setattr(Copies, "train", interrupting(Copies.train, (3, 5)))
    one = interrupting(_sequential.train_one, (3, 4))
    monkeypatch.setattr(_sequential, "train_one", one)
    for done in ((2, 3), (2, 2))[engine == "sequential"]:
        result = sweep(tmp_path, build)
        assert result.interrupted
        finished = np.isfinite(result.metrics["loss"])
        assert finished.sum() == 4 * done
    assert_equal(sweep(tmp_path, build), whole)
    assert count == {"vectorized": 6, "sequential": 6}[engine]


class Here(Executor):
    """Runs each training at once, but is interrupted at one of them."""

    def __init__(self, stop_at):
        self.begun, self.stop_at = 0, stop_at

    def submit(self, function, *args):
        self.begun += 1
        if self.begun == self.stop_at:
            raise KeyboardInterrupt
        future = Future()
        future.set_result(function(*args))
        return future


@pytest.mark.long
def test_trainings_in_an_executor_are_kept_as_they_come(tmp_path):
    pytest.importorskip("cloudpickle")
    build = builder(eager=True)
    whole = sweep(None, build, epochs=2)
    assert sweep(tmp_path, build, epochs=2, executor=Here(99)).engine == "sequential"
    (tmp_path / files(tmp_path)[1]).unlink()
    executor = Here(99)
    assert_equal(sweep(tmp_path, build, epochs=2, executor=executor), whole)
    assert executor.begun == 1


@pytest.mark.long
@pytest.mark.parametrize("name", ["early_stopping", "reduce_on_plateau"])
def test_what_callbacks_have_seen_is_seen_again(name, tmp_path, monkeypatch):
    monkeypatch.setattr(_vectorized, "BLOCK", 0.0)
    callback = {
        "early_stopping": keras.callbacks.EarlyStopping(patience=2, min_delta=0.02),
        "reduce_on_plateau": keras.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.02),
    }[name]
    arguments = {"epochs": 10, "rates": (1.0, 0.1, 0.001), name: callback}
    whole = sweep(None, **arguments)
    own, count = Copies.train, 0

    def interrupted(*args):
        nonlocal count
        count += 1
        if count in (3, 6):
            raise KeyboardInterrupt
        return own(*args)

    monkeypatch.setattr(Copies, "train", interrupted)
    assert sweep(tmp_path, **arguments).interrupted
    assert sweep(tmp_path, **arguments).interrupted
    assert_equal(sweep(tmp_path, **arguments), whole)


def test_variables_of_all_types_are_kept(tmp_path):
    """Also those that NumPy can't write: a model in bfloat16 is trained sequentially, but has
    variables that a rule of one's own may stack."""
    numbers = tf.constant([[0.1, -2.0, np.inf], [np.nan, 1e30, 0.0]])
    kinds = "bfloat16", "float16", "float32", "float64", "int8", "uint32", "int64", "bool"
    state = [tf.cast(tf.where(tf.abs(numbers) < 9, numbers, 0), kind) for kind in kinds]
    state += [numbers, tf.cast(numbers, "bfloat16"), tf.constant(7, tf.int64)]
    trials = [Trial(0.1, 0), Trial(0.1, 1)]
    with _keep.Keeper(tmp_path, {}) as keeper:
        keeper.save_part(trials, 3, {"loss": np.ones((3, 2))}, state)
        done, logs, again = keeper.load_part(trials, state)
    assert (done, logs["loss"].shape) == (3, (3, 2))
    for one, other in zip(state, again):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.numpy().tobytes() == other.numpy().tobytes()


@pytest.mark.long
def test_variables_of_other_types_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(_vectorized, "BLOCK", 0.0)
    build = builder(dtype="float64")
    whole = sweep(None, build)
    assert whole.engine == "vectorized"
    own, count = Copies.train, 0

    def interrupted(*args):
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt
        return own(*args)

    monkeypatch.setattr(Copies, "train", interrupted)
    assert sweep(tmp_path, build).interrupted
    assert_equal(sweep(tmp_path, build), whole)


@pytest.mark.long
def test_little_time_is_spent_on_writing(tmp_path, monkeypatch):
    own, written = _keep.Keeper.save_part, 0

    def slow(*args):
        nonlocal written
        written += 1
        time.sleep(0.2)
        own(*args)

    monkeypatch.setattr(_keep.Keeper, "save_part", slow)
    monkeypatch.setattr(_vectorized, "BLOCK", 0.01)
    sweep(tmp_path, epochs=100)
    assert 1 <= written <= 4


# --- files ------------------------------------------------------------------------------------


def interrupt_while_writing(monkeypatch, name):
    """Let the process die while a file is written whose name begins so."""
    own = np.savez

    def dying(file, **arrays):
        own(file, **{key: arrays[key] for key in list(arrays)[:2]})
        raise Killed

    monkeypatch.setattr(np, "savez", dying)


class Killed(BaseException):
    pass


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_while_writing(patch, "")
        with pytest.raises(Killed):
            sweep(tmp_path)
    assert files(tmp_path) == ["experiment.json"]
    assert_equal(sweep(tmp_path), fresh())


def test_what_a_kill_left_is_removed(kept, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".lrsweep_abc.tmp").write_bytes(b"half")  # killed before there was anything else
    _keep.Keeper(folder, {}).close()
    assert files(folder) == ["experiment.json"]
    shutil.rmtree(folder)
    shutil.copytree(kept({}), folder)
    (folder / ".lrsweep_xyz.tmp").write_bytes(b"half")
    (folder / ".DS_Store").write_bytes(b"not ours")
    sweep(folder)
    assert [name for name in files(folder) if name[0] == "."] == [".DS_Store"]


def damage_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_one_bit(path):
    content = bytearray(path.read_bytes())
    place = content.index(np.load(path)["history/loss"].tobytes())
    content[place + 3] ^= 16
    path.write_bytes(bytes(content))


def damage_all(path):
    path.write_bytes(b"")


def damage_by_another(path):
    path.write_bytes(next(it for it in path.parent.glob("seed*") if it != path).read_bytes())


def damage_by_shorter(path):
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"history/loss": arrays["history/loss"][:1]}))


def damage_by_less(path):
    arrays = dict(np.load(path))
    del arrays["diverged"]
    np.savez(path, **arrays)


DAMAGES = [name for name in globals() if name.startswith("damage_")]


@pytest.mark.parametrize("name", mostly_long(DAMAGES, "damage_half", "damage_one_bit"))
def test_a_damaged_file_is_named(name, kept, tmp_path):
    shutil.copytree(kept({}), tmp_path / "folder")
    path = tmp_path / "folder" / files(tmp_path / "folder")[2]
    globals()[name](path)
    with pytest.raises(ValueError, match=r"is damaged .*delete this file, and the same") as said:
        sweep(path.parent)
    assert path.name in str(said.value)


def test_a_deleted_file_is_trained_again(kept, tmp_path):
    shutil.copytree(kept({}), tmp_path / "folder")
    path = tmp_path / "folder" / files(tmp_path / "folder")[2]
    path.unlink()
    assert_equal(sweep(path.parent), fresh())
    assert path.exists()


@pytest.mark.long
def test_a_damaged_part_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(_vectorized, "BLOCK", 0.0)
    monkeypatch.setattr(_keep.Keeper, "forget_part", lambda *args: None)
    sweep(tmp_path)
    (part,) = tmp_path.glob("unfinished_*")
    arrays = dict(np.load(part))
    for path in tmp_path.glob("seed_*"):
        path.unlink()
    for change in ({"state/0": arrays["state/0"][:-4]}, {"done": 1}, {"state/1": None}):
        np.savez(part, **{k: v for k, v in (arrays | change).items() if v is not None})
        with pytest.raises(ValueError, match=r"unfinished_.* is damaged .*delete this file"):
            sweep(tmp_path)
    damage_half(part)
    with pytest.raises(ValueError, match=r"unfinished_.* is damaged .*delete this file"):
        sweep(tmp_path)


@pytest.mark.parametrize("text", mostly_long(["", "{", "[1]", "null", "\0"], "{"))
def test_a_damaged_description_is_refused(text, tmp_path):
    (tmp_path / "experiment.json").write_text(text)
    with pytest.raises(
        ValueError, match=r"experiment.json' is damaged .*give this one a new folder"
    ):
        sweep(tmp_path)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_the_folder_is_executed(kept, tmp_path):
    shutil.copytree(kept({}), tmp_path / "folder")
    path = tmp_path / "folder" / files(tmp_path / "folder")[1]
    bomb = Bomb(tmp_path / "boom")
    np.savez(path, **(dict(np.load(path)) | {"history/loss": np.array([bomb])}))
    with pytest.raises(ValueError, match="damaged"):
        sweep(path.parent)
    path.write_bytes(pickle.dumps(bomb))
    with pytest.raises(ValueError, match="damaged"):
        sweep(path.parent)
    assert not (tmp_path / "boom").exists()
    pickle.loads(pickle.dumps(bomb))
    assert (tmp_path / "boom").exists()


# --- whose folder -----------------------------------------------------------------------------

SGD = keras.optimizers.SGD
RAMP = keras.optimizers.schedules.PolynomialDecay


class Hidden(keras.layers.Layer):
    """A layer that does not tell its settings."""

    factor = 1.0

    def call(self, x):
        return x * self.factor


def with_hidden(factor):
    def build():
        model = builder()()
        layer = Hidden()
        layer.factor = factor
        model = keras.Sequential([keras.Input((4,)), layer, model])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


def own_loss(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred) * 1.0


def limited(most):
    """Return a loss whose limit no first update reaches."""

    def loss(y_true, y_pred):
        return keras.ops.minimum(own_loss(y_true, y_pred), most)

    return loss


def steps(place):
    return keras.optimizers.schedules.PiecewiseConstantDecay([place], [1.0, 0.01])


def decaying(without):
    """Return a maker of an optimizer that spares some weights, which no settings tell."""

    def make():
        optimizer = SGD(weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_names=without)
        return optimizer

    return make


def stepping(factor):
    """Return a builder of a model whose step's class inherits a number of the script."""

    class Own(keras.Model):
        def train_step(self, data):
            x, y = data
            with tf.GradientTape() as tape:
                loss = self.compute_loss(x, y, self(x, training=True))
            slopes = tape.gradient(loss, self.trainable_variables)
            pairs = zip([factor * slope for slope in slopes], self.trainable_variables)
            self.optimizer.apply_gradients(pairs)
            return {"loss": loss}

    class Heir(Own):
        pass

    def build():
        inputs = keras.Input((4,))
        model = Heir(inputs, keras.layers.Dense(2, "softmax")(inputs))
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


class CappedModel(keras.Model):
    """A functional model with a number of its own."""

    def __init__(self, *args, most, **named):
        super().__init__(*args, **named)
        self._most = most

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return keras.ops.minimum(loss, self._most)


class CappedSGD(keras.optimizers.SGD):
    def __init__(self, most):
        super().__init__(0.1)
        self.most = most

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(
            keras.ops.clip(gradient, -self.most, self.most), variable, learning_rate
        )


class Cap(keras.constraints.Constraint):
    def __init__(self, most):
        self.most = most

    def __call__(self, weights):
        return keras.ops.clip(weights, -self.most, self.most)


def capped_in_model(most):
    def build():
        inputs = keras.Input((4,))
        model = CappedModel(inputs, keras.layers.Dense(2, "softmax")(inputs), most=most)
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


def with_dense(**arguments):
    def build():
        first = keras.layers.Dense(2, "softmax", **arguments)
        model = keras.Sequential([keras.Input((4,)), first])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


def penalised(strength):
    return with_dense(kernel_regularizer=lambda weights: strength * keras.ops.sum(weights**2))


def capped_through(most):
    """Return a loss that calls another function, which has the limit within a third."""

    def cap(values):
        return keras.ops.vectorized_map(lambda it: keras.ops.minimum(it, most), values)

    def loss(y_true, y_pred):
        return cap(own_loss(y_true, y_pred))

    return loss


class Bounded(keras.layers.Layer):
    """A layer with a limit, which no first update reaches, by a word."""

    def __init__(self, word):
        super().__init__()
        self.word = word

    def call(self, x):
        return keras.ops.minimum(x, {"limit_40": 40.0, "limit_50": 50.0}[self.word])


def bounded(word):
    def build():
        last = keras.layers.Dense(2, "softmax")
        model = keras.Sequential([keras.Input((4,)), Bounded(word), last])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


def adapted(last):
    """Return a builder of a model with a layer that has learnt words, in no weight."""

    def build():
        layer = keras.layers.IntegerLookup()
        layer.adapt(np.repeat([-1, 0, last, last, last], 9))
        dense = keras.layers.Dense(2, "softmax")
        model = keras.Sequential([keras.Input((4,)), layer, keras.layers.Rescaling(0.1), dense])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    return build


SQUARED, CUBED = (
    lambda values: values**2,
    lambda values: values**3,
)


def through_both(y_true, y_pred):
    return SQUARED(own_loss(y_true, y_pred)) + CUBED(own_loss(y_true, y_pred))


def two_errors():
    model = with_dense()()
    measured = [keras.metrics.SparseCategoricalAccuracy(name=f"score_{i}") for i in (1, 2)]
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=measured)
    return model


def stream(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(32)


CALLBACK = keras.callbacks.EarlyStopping
OTHERS = {  # what differs: the first call's arguments, the second's, a word of the message
    "rates": ({}, {"rates": (0.1, 0.02)}, "learning_rates"),
    "more rates": ({}, {"rates": (0.1, 0.01, 0.001)}, "learning_rates"),
    "seeds": ({}, {"seeds": 3}, "seeds"),
    "epochs": ({}, {"epochs": 5}, r"epochs \(4, now 5\)"),
    "batch size": ({}, {"batch_size": 8}, r"batch_size \(32, now 8\)"),
    "order": ({}, {"shuffle": False}, "shuffle"),
    "one number": ({}, {"train": (X[:90] + np.eye(90, 4, dtype="float32"), Y[:90])}, "train_data"),
    "class weights": ({}, {"class_weight": {1: 2.0}}, "train_data"),
    "dropout": ({}, {"build": builder(drop=0.3)}, "layers"),
    "a constant": ({}, {"build": builder(hidden=0.1)}, "first update"),
    "a hidden constant": (
        {"build": with_hidden(1.0)}, {"build": with_hidden(1.1)}, "first update"),
    "optimizer": ({}, {"build": builder(optimizer=lambda: "nadam")}, "optimizer"),
    "momentum": (
        {"build": builder(optimizer=lambda: SGD(momentum=0.8))},
        {"build": builder(optimizer=lambda: SGD(momentum=0.9))}, "optimizer"),
    "schedule": (
        {"build": builder(optimizer=lambda: SGD(RAMP(1.0, 9)))},
        {"build": builder(optimizer=lambda: SGD(RAMP(1.0, 10)))}, "schedule"),
    "a step of a schedule": (
        {"build": builder(optimizer=lambda: SGD(steps(4)))},
        {"build": builder(optimizer=lambda: SGD(steps(8)))}, "schedule"),
    "decay": (
        {"build": builder(optimizer=decaying(["bias"]))},
        {"build": builder(optimizer=decaying(["other"]))}, "optimizer"),
    "a number in a step": ({"build": stepping(1.0)}, {"build": stepping(2.0)}, "layers"),
    "loss": ({}, {"build": builder(loss=own_loss)}, "loss and metrics"),
    "a limit of a loss": (
        {"build": builder(loss=limited(50.0))},
        {"build": builder(loss=limited(40.0))}, "loss and metrics"),
    "a limit of a loss's function": (
        {"build": builder(loss=capped_through(50.0))},
        {"build": builder(loss=capped_through(40.0))}, "loss and metrics"),
    "a limit of a model": (
        {"build": capped_in_model(50.0)}, {"build": capped_in_model(40.0)}, "layers"),
    "a limit of an optimizer": (
        {"build": builder(optimizer=lambda: CappedSGD(50.0))},
        {"build": builder(optimizer=lambda: CappedSGD(40.0))}, "optimizer"),
    "a limit of a constraint": (
        {"build": with_dense(kernel_constraint=Cap(50.0))},
        {"build": with_dense(kernel_constraint=Cap(40.0))}, "layers"),
    "a small penalty": ({"build": penalised(1e-6)}, {"build": penalised(1e-7)}, "layers"),
    "less precision": (
        {"build": with_dense()}, {"build": with_dense(dtype="mixed_bfloat16")}, "layers"),
    "a word with a number": (
        {"build": bounded("limit_40")}, {"build": bounded("limit_50")}, "layers"),
    "learnt words": ({"build": adapted(50)}, {"build": adapted(60)}, "layers"),
    "what is watched": (
        {"build": two_errors, "early_stopping": CALLBACK("val_score_1")},
        {"build": two_errors, "early_stopping": CALLBACK("val_score_2")}, "callbacks"),
    "metrics": ({}, {"build": builder(metrics=())}, "loss and metrics"),
    "a longer stream": (
        {"train": stream(*TRAIN).take(2)}, {"train": stream(*TRAIN)}, "train_data"),
    "callback": ({}, {"early_stopping": CALLBACK()}, "callbacks"),
    "patience": (
        {"early_stopping": CALLBACK(patience=1)},
        {"early_stopping": CALLBACK(patience=2)}, "callbacks"),
}  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return a function that gives the folder of a sweep with these arguments."""
    folders = {}

    def of(arguments):
        if str(arguments) not in folders:
            folders[str(arguments)] = tmp_path_factory.mktemp("kept")
            sweep(folders[str(arguments)], **arguments)
        return folders[str(arguments)]

    return of


@pytest.mark.parametrize(
    "name",
    mostly_long(OTHERS, "rates", "one number", "a constant", "a limit of a loss"),
)
def test_another_experiment_is_refused(name, kept):
    first, second, word = OTHERS[name]
    folder = kept(first)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=f"holds another experiment, which differs in.*{word}"):
        sweep(folder, **second)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def of_stream(data):
    return _keep._hash_of_data(Stream(data))


def test_a_stream_is_known_by_what_it_gives():
    x, y = TRAIN
    whole = of_stream(stream(x, y))
    assert whole == of_stream(stream(x.copy(), y).prefetch(1))
    later = x + np.eye(90, 4, -80, dtype="float32")  # other numbers in the last batch only
    others = stream(x, y).take(2), stream(later, y), stream(x[::-1], y[::-1])
    assert len({whole, *map(of_stream, others)}) == 4


def test_a_stream_that_is_shuffled_is_known_by_its_examples():
    x, y = TRAIN

    def shuffled(x, y):
        return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(90).batch(32)

    assert of_stream(shuffled(x, y)) == of_stream(shuffled(x, y))
    assert of_stream(shuffled(x, y)) != of_stream(shuffled(x + np.eye(90, 4, dtype="float32"), y))


def test_a_text_of_digits_is_no_number_of_keras():
    assert _keep._text(["5"]) != _keep._text(["6"])
    assert _keep._text(["dense_5"]) == _keep._text(["dense_6"])


def test_texts_are_known_by_what_they_say():
    one, same, other = (np.array([f"{word} text"], object) for word in ("a", "a", "no"))
    assert _keep._hash([one]) == _keep._hash([same]) != _keep._hash([other])


def functional():
    left, right = keras.Input((2,)), keras.Input((2,))
    x = keras.layers.Concatenate()([keras.layers.Dense(4)(left), keras.layers.Dense(4)(right)])
    model = keras.Model([left, right], keras.layers.Dense(2, "softmax")(x))
    model.compile("adam", own_loss, metrics=[keras.metrics.SparseCategoricalAccuracy()])
    return model


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2, "softmax")

    def call(self, x):
        return self.dense(x)


def subclassed():
    model = Subclass()
    model.compile("adam", lambda y, p: own_loss(y, p) * 2)
    return model


def scheduled():
    model = builder(optimizer=lambda: SGD(RAMP(1.0, 9), momentum=0.5))()
    return model


def described(build, early_stopping=None):
    """Return what tells an experiment from others, without any sweep."""
    prepared = prepare(
        build, TRAIN, HELD_OUT, np.arange(1), 2, 32, True, None, early_stopping, None, None
    )
    return _keep.describe(prepared.probe, np.array([0.1]), prepared.seeds, prepared.callbacks)


QUICK = (
    "a limit of a loss's function", "a limit of a model", "a limit of an optimizer",
    "a limit of a constraint", "a small penalty", "what is watched", "less precision",
    "a word with a number", "learnt words",
)  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_what_no_first_update_shows_is_described(name):
    first, second, word = OTHERS[name]
    one, other, again = (described(**it) for it in (first, second, first))
    assert one == again
    different = {key for key in one if one[key] != other[key]}
    assert word in different


class NamedAlone:
    """What has settings with a name alone, as Keras allows, which it may have numbered."""

    def get_config(self):
        return {"name": self.name}


class NamedLayer(NamedAlone, keras.layers.Layer):
    def call(self, x):
        return x


class NamedMetric(NamedAlone, keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)


class Tagged(keras.layers.Layer):
    """A layer that keeps the name that Keras gave to a layer within it."""

    def __init__(self):
        super().__init__()
        self.inner = keras.layers.Dense(4)
        self.tag = self.inner.name

    def call(self, x):
        return self.inner(x)


class Spelt(keras.layers.Layer):
    """A layer with a method that only sounds like that of one of Keras's."""

    def call(self, x):
        return x

    def get_vocabulary(self, language):
        return [language]


def with_layer(make, metric=lambda: "accuracy"):
    def build():
        dense = keras.layers.Dense(2, "softmax")
        model = keras.Sequential([keras.Input((4,)), make(), dense])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric()])
        return model

    return build


@pytest.mark.parametrize(
    "build",
    [with_layer(NamedLayer), with_layer(NamedLayer, NamedMetric), with_layer(Tagged)],
    ids=["a layer's name alone", "a metric's name alone", "a layer's name kept"],
)
def test_names_that_keras_has_numbered_on_are_no_part_of_the_description(build):
    one = described(build)
    build(), Tagged()  # as other cells of a notebook do
    assert described(build) == one


def test_a_method_of_ones_own_with_the_name_of_keras_is_left_alone():
    assert described(with_layer(Spelt)) == described(with_layer(Spelt))


@pytest.mark.parametrize(
    ("name", "value"), [("epsilon", 1e-3), ("image_data_format", "channels_first")]
)
def test_the_settings_of_keras_are_described(name, value):
    kept, one = getattr(keras.config, name)(), described(with_dense())
    try:
        getattr(keras.config, f"set_{name}")(value)
        other = described(with_dense())
    finally:
        getattr(keras.config, f"set_{name}")(kept)
    assert {key for key in one if one[key] != other[key]} == {"settings of Keras"}


class Share:
    """A metric that a script writes as an object: how many outputs are above a limit."""

    def __init__(self, **settings):
        self.settings = settings

    def measure(self, y_true, y_pred):
        return keras.ops.mean(y_pred > self.settings["limit"])

    __call__ = measure


class ShareMetric(keras.metrics.Mean):
    def __init__(self, limit):
        super().__init__()
        self.limit = tf.constant(limit)

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred > self.limit)


def share_by_default(limit):
    return lambda y_true, y_pred, limit=limit: keras.ops.mean(y_pred > limit)


def share_by_keyword(limit):
    def share(y_true, y_pred, *, limit=limit):
        return keras.ops.mean(y_pred > limit)

    return share


def share_of(held, key=None):
    """Return a metric that takes its limit out of something that it holds."""

    def share(y_true, y_pred):
        limit = max(held) if key is None else held[key]
        return keras.ops.mean(y_pred > limit)

    return share


MAKERS = {  # from a limit that no output is near to a metric
    "a default": share_by_default,
    "a keyword's default": share_by_keyword,
    "a dict": lambda limit: share_of({"limit": limit}, "limit"),
    "a set": lambda limit: share_of({0.5, limit}),
    "a tensor": lambda limit: share_of(tf.constant([limit]), 0),
    "a variable": lambda limit: share_of(tf.Variable([limit]), 0),
    "a method": lambda limit: Share(limit=limit).measure,
    "an object": lambda limit: Share(limit=limit),
    "another function's default": lambda limit: through(share_by_default(limit)),
    "an object in a function": lambda limit: through(Share(limit=limit)),
    "a partial function in a metric": lambda limit: keras.metrics.MeanMetricWrapper(
        functools.partial(share_by_default(0.0), limit=limit)
    ),
    "a metric with a tensor": ShareMetric,
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_value_is_described_wherever_a_function_has_it_from(name):
    one, same, other = (_keep._text([MAKERS[name](limit)]) for limit in (0.97, 0.97, 0.98))
    assert one == same != other


def test_a_dict_that_a_function_fills_is_no_part_of_the_description():
    seen = {}

    def loss(y_true, y_pred):
        seen[len(seen)] = 1.0
        return own_loss(y_true, y_pred)

    before = _keep._text(loss)
    loss(Y[:2], X[:2, :2])
    assert _keep._text(loss) == before


def counting(way):
    """Return a loss that counts its calls, in one of the ways that there are."""
    calls, seen, place = 0, {}, types.SimpleNamespace(count=0)

    def note():
        seen["count"] = seen.get("count", 0) + 1

    def loss(y_true, y_pred, kept={"count": 0}):  # noqa: B006
        nonlocal calls
        if way == "variable":
            calls += 1
        elif way == "function":
            loss.count += 1
        elif way == "object":
            place.count += 1
        elif way == "default":
            kept["count"] += 1
        else:
            note()
        return own_loss(y_true, y_pred) * (1 if seen else 1.0)

    return given(loss, count=0)


@pytest.mark.parametrize("way", ["variable", "function", "object", "default", "beside"])
def test_a_loss_that_counts_its_calls_is_known_again(way):
    loss = counting(way)
    before = _keep._text(loss)
    loss(Y[:2], X[:2, :2])
    assert _keep._text(loss) == before


def test_a_dict_that_another_method_fills_is_no_part_of_the_description():
    seen = {}

    class Notes(Capped):
        def call(self, y_true, y_pred):
            seen["count"] = seen.get("count", 0) + 1
            return super().call(y_true, y_pred)

        def report(self):
            return len(seen)

    loss = given(Notes(), most=7.0)
    before = _keep._text(loss)
    loss(*(np.zeros(shape) for shape in (2, (2, 3))))
    assert seen
    assert _keep._text(loss) == before


def test_places_in_memory_are_no_part_of_the_description():
    """Each process has others, so nothing that was kept would be known again."""
    ways = []
    for _ in range(2):
        shares = {(lambda values: values): 0.5, frozenset({"a", "b"}): 1.0}
        ways.append(_keep._text(from_settings(shares, lambda it: max(it.values()))))
        exported = functools.wraps(given(lambda: None, _id=id(shares)))(through(own_loss))
        ways.append(_keep._text(exported))
    assert ways[:2] == ways[2:]
    assert all(" at 0x" not in way for way in ways)


def test_an_object_that_knows_itself_is_described():
    share = Share(limit=0.97)
    share.again = through(share)
    assert "limit" in _keep._text(share)


class Capped(keras.losses.Loss):
    """A loss whose limit is set from outside."""

    def call(self, y_true, y_pred):
        return keras.ops.minimum(own_loss(y_true, y_pred), self.most)

    def other(self, y_true, y_pred):
        return self.call(y_true, y_pred) * 2


class Counts(Capped):
    def call(self, y_true, y_pred):
        self.asked = getattr(self, "asked", 0) + 1
        return super().call(y_true, y_pred)


class CappedByClass(Capped):
    most = 1.0


class HiddenLoss:
    def __call__(self, y_true, y_pred):
        return keras.ops.minimum(own_loss(y_true, y_pred), self.most)


def given(thing, **attributes):
    vars(thing).update(attributes)
    return thing


def of_its_own(most):
    def loss(y_true, y_pred):
        return keras.ops.minimum(own_loss(y_true, y_pred), loss.most)

    return given(loss, most=most)


def by_default(most):
    def loss(y_true, y_pred, most=most):
        return keras.ops.minimum(own_loss(y_true, y_pred), most)

    return loss


def from_settings(settings, read):
    def loss(y_true, y_pred):
        return keras.ops.minimum(own_loss(y_true, y_pred), read(settings))

    return loss


def through(inner):
    def loss(y_true, y_pred):
        return inner(y_true, y_pred) * 2

    return loss


def of_its_class(most):
    CappedByClass.most = most
    return CappedByClass()


SETTINGS = types.ModuleType("settings_of_the_script")


def from_module(y_true, y_pred):
    return keras.ops.minimum(own_loss(y_true, y_pred), SETTINGS.most)


FROM_OUTSIDE = {
    "tf.function": lambda most: tf.function(limited(most)),
    "loss": lambda most: given(Capped(), most=most),
    "object": lambda most: given(HiddenLoss(), most=most),
    "layer": lambda most: given(Hidden(), factor=most),
    "method": lambda most: given(Capped(), most=most).other,
    "function": of_its_own,
    "class": of_its_class,
    "default": by_default,
    "dict": lambda most: from_settings({"name": most}, lambda it: it["name"]),
    "namespace": lambda most: from_settings(types.SimpleNamespace(a=most), lambda it: it.a),
    "module": lambda most: given(SETTINGS, most=most) and from_module,
    "loss in a loss": lambda most: through(given(Capped(), most=most)),
    "Keras's loss": keras.losses.Huber,
    "Keras's loss in a loss": lambda most: through(keras.losses.Huber(most)),
}


@pytest.mark.parametrize("name", FROM_OUTSIDE)
def test_a_number_from_outside_is_part_of_the_description(name):
    one, again, other = (_keep._text(FROM_OUTSIDE[name](most)) for most in (7.0, 7.0, 7.001))
    assert one == again
    assert one != other


def test_what_a_loss_counts_is_no_part_of_the_description():
    counts, before = given(Counts(), most=7.0), _keep._text(given(Counts(), most=7.0))
    counts(*(np.zeros(shape) for shape in (2, (2, 3))))
    assert counts.asked == 1
    assert _keep._text(counts) == before


def test_objects_and_functions_that_use_each_other_are_described():
    loss = given(Capped(), most=1.0)

    class Own(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return loss(y_true, y_pred) + back(y_true, y_pred)

    def back(y_true, y_pred):
        return other(y_true, y_pred)

    other = Own()
    assert "back" in _keep._text(other)
    assert "back" in _keep._text(back)


def test_the_order_of_a_set_of_names_is_no_part_of_the_description(monkeypatch):
    """Python's sets of texts have another order in each process."""
    names, seen = _keep._names, []
    for turned in (False, True):
        monkeypatch.setattr(
            _keep, "_names", lambda *it, turned=turned: sorted(names(*it), reverse=turned)
        )
        seen.append(_keep._text(through_both))
    assert seen[0] == seen[1]
    assert "values**2" in seen[0]
    assert "values**3" in seen[0]


def test_a_callback_is_what_it_was_made_with():
    callback = CALLBACK(patience=1, min_delta=0.1)
    before = described(with_dense(), callback)
    model = with_dense()()
    model.fit(*TRAIN, epochs=4, validation_data=HELD_OUT, callbacks=[callback], verbose=0)
    assert described(with_dense(), callback) == before


@pytest.mark.long
@pytest.mark.parametrize("build", [functional, subclassed, scheduled])
def test_the_same_experiment_is_known_again(build, tmp_path):
    train = TRAIN
    held_out = HELD_OUT
    if build is functional:
        train = [X[:90, :2], X[:90, 2:]], Y[:90]
        held_out = [X[90:, :2], X[90:, 2:]], Y[90:]
    arguments = {"epochs": 2, "seeds": 2, "progress": False, "keep": tmp_path}
    first = sweep_learning_rates(build, [0.1, 0.01], train, held_out, **arguments)
    for _ in range(3):
        build()  # Keras numbers names on
    again = sweep_learning_rates(build, [0.1, 0.01], train, held_out, **arguments)
    assert_equal(again, first)


def test_other_files_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(ValueError, match=r"keep must be a new or empty folder, .* other files"):
        sweep(tmp_path)
    assert files(tmp_path) == ["thesis.txt"]


@pytest.mark.parametrize("folder", ["", 5, True, b"folder", ["a"]])
def test_what_is_no_folder_is_refused(folder):
    with pytest.raises(ValueError, match="keep must be the name of a folder, got"):
        sweep(folder)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match=r"keep must be a folder, .*file' is a file"):
        sweep(tmp_path / "file")


@pytest.mark.skipif(_keep.fcntl is None, reason="no locks on this system")
def test_two_calls_at_once_in_one_folder_are_refused(tmp_path):
    with _keep.Keeper(tmp_path, {"first update": [1.0]}):
        (tmp_path / ".lrsweep_abc.tmp").write_bytes(b"being written")
        with pytest.raises(ValueError, match="is in use by another sweep: wait for it, or give"):
            sweep(tmp_path)
        assert (tmp_path / ".lrsweep_abc.tmp").exists()
    with pytest.raises(ValueError, match="another experiment"):
        sweep(tmp_path)


def test_a_folder_is_let_go_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="boom"), _keep.Keeper(tmp_path, {"first update": [1.0]}):
        raise ValueError("boom")
    _keep.Keeper(tmp_path, {"first update": [1.0 + 1e-5]}).close()
    with pytest.raises(ValueError, match="another experiment"):
        _keep.Keeper(tmp_path, {"first update": [1.0 + 1e-2]})
    with pytest.raises(ValueError, match="another experiment"):
        _keep.Keeper(tmp_path, {"first update": [1.0, 2.0]})
    assert json.loads((tmp_path / "experiment.json").read_text()) == {"first update": [1.0]}
