"""Early stopping and falling rates: each copy by itself, as `fit` does it with a callback."""

import functools

import keras
import numpy as np
import pytest
from plain import difference, fit, history_of, mostly_long

from lrsweep import _copies, _experiment, _gate, _stopping, _vectorized, sweep_learning_rates
from lrsweep._prepare import prepare
from lrsweep._vectorized import train_vectorized

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 4)).astype("float32")
Y = (X[:, :1] * X[:, 1:2] + 0.5 * RNG.normal(size=(100, 1)) > 0).astype("float32")
TRAIN, HELD_OUT = (X[:70], Y[:70]), (X[70:], Y[70:])
RATES, SEEDS, EPOCHS = (1.0, 0.3, 0.03, 0.003), 2, 14
EarlyStopping = keras.callbacks.EarlyStopping
ReduceLROnPlateau = keras.callbacks.ReduceLROnPlateau


def builder(eager=False, optimizer=keras.optimizers.Adam):
    def build():
        hidden = keras.layers.Dense(8, "tanh")
        model = keras.Sequential(
            [keras.Input((4,)), hidden, keras.layers.Dropout(0.1), keras.layers.Dense(1, "sigmoid")]
        )
        metrics = ["accuracy", keras.metrics.AUC(name="area")]
        model.compile(optimizer(), "binary_crossentropy", metrics=metrics, run_eagerly=eager)
        return model

    return build


def sweep(build=None, rates=RATES, **arguments):
    arguments = {"epochs": EPOCHS, "seeds": SEEDS, "progress": False} | arguments
    return sweep_learning_rates(build or builder(), rates, TRAIN, HELD_OUT, **arguments)


def fitted(rate, seed, *callbacks, epochs=EPOCHS):
    return fit(builder(), rate, seed, TRAIN, HELD_OUT, epochs, 32, callbacks=list(callbacks))


STOPPING = {
    "as it comes": {},
    "patience": {"patience": 3},
    "a metric, more is better": {"monitor": "val_area", "patience": 2},
    "a metric, mode": {"monitor": "val_accuracy", "mode": "min", "patience": 1},
    "of the training": {"monitor": "loss", "min_delta": 0.01},
    "min_delta": {"monitor": "val_loss", "min_delta": 0.02, "patience": 1},
    "min_delta, more is better": {"monitor": "val_area", "min_delta": 0.02, "patience": 2},
    "baseline": {"baseline": 0.6, "patience": 2},
    "baseline, more is better": {"monitor": "val_area", "baseline": 0.6, "patience": 1},
    "start_from_epoch": {"start_from_epoch": 4},
    "start after the end": {"start_from_epoch": EPOCHS, "restore_best_weights": True},
    "restored": {"patience": 3, "restore_best_weights": True},
    "restored, more is better": {
        "monitor": "val_area",
        "patience": 2,
        "restore_best_weights": True,
        "start_from_epoch": 2,
    },
    "everything": {
        "monitor": "accuracy",
        "mode": "max",
        "min_delta": 0.01,
        "patience": 2,
        "baseline": 0.55,
        "start_from_epoch": 1,
        "restore_best_weights": True,
    },
}
PLATEAU = {
    "as it comes": {"patience": 1},
    "patience 0": {"patience": 0, "factor": 0.5},
    "cooldown": {"patience": 0, "cooldown": 2, "factor": 0.3},
    "min_lr": {"patience": 0, "factor": 0.3, "min_lr": 0.01},
    "min_delta": {"patience": 1, "min_delta": 0.05},
    "a metric, more is better": {"monitor": "val_area", "patience": 1, "factor": 0.7},
    "a metric, mode": {"monitor": "accuracy", "mode": "min", "patience": 2, "factor": 0.2},
}


class Several(keras.callbacks.Callback):
    """Some callbacks for early stopping that watch one `fit` and don't end it.

    A training that stops is one that doesn't, up to there: so one `fit` answers for all of them.
    `stopped` has the number of epochs after which each would have ended it.
    """

    def __init__(self, callbacks):
        super().__init__()
        self.callbacks, self.stopped = callbacks, {}

    def on_train_begin(self, logs=None):
        for callback in self.callbacks.values():
            callback.set_model(self.model)
            callback.on_train_begin()

    def on_epoch_end(self, epoch, logs=None):
        for name in self.callbacks.keys() - self.stopped.keys():
            self.callbacks[name].on_epoch_end(epoch, dict(logs))
            if self.model.stop_training:
                self.stopped[name] = epoch + 1
            self.model.stop_training = False


@functools.cache
def fitted_with_all(rate, seed):
    """Return the history of a whole `fit`, and what all of `STOPPING` decided in it."""
    several = Several({name: EarlyStopping(**it) for name, it in STOPPING.items()})
    return fitted(rate, seed, several), several


@pytest.fixture(scope="module")
def copies():
    """Return copies for all rates and seeds, as a sweep makes them."""
    seeds = np.arange(SEEDS)
    what = prepare(builder(), TRAIN, HELD_OUT, seeds, EPOCHS, 32, True, None, None, None, None)
    trials = [_experiment.Trial(rate, seed) for seed in range(SEEDS) for rate in RATES]
    return _gate.trusted_copies(what.experiment, what.models, trials, what.names, what.probe)


def watched(copies, callback):
    """Train all copies, watched by a callback, as a sweep does; return outcomes by trial."""
    outcomes = {}
    train_vectorized(copies, [callback], outcomes.__setitem__, lambda epochs: None)
    return outcomes


def assert_like_fit(outcome, right, callback):
    """Compare a training with the history of a `fit`."""
    done = len(right["loss"])
    assert {len(values) for values in outcome.history.values()} == {done}
    assert difference(outcome.history, right) < 1e-5
    restored = getattr(callback, "best_weights", None) is not None
    assert outcome.last_epoch == (callback.best_epoch if restored else done - 1)
    assert not outcome.diverged


@pytest.mark.parametrize("name", STOPPING)
def test_each_copy_stops_as_in_fit(name, copies):
    outcomes = watched(copies, EarlyStopping(**STOPPING[name]))
    for trial in (0.3, 0), (0.003, 1):
        whole, several = fitted_with_all(*trial)
        done = several.stopped.get(name, EPOCHS)
        right = {key: values[:done] for key, values in whole.items()}
        assert_like_fit(outcomes[trial], right, several.callbacks[name])
    if name != "start after the end":
        assert len({len(outcome.history["loss"]) for outcome in outcomes.values()}) > 1


@pytest.mark.parametrize("name", mostly_long(PLATEAU, "cooldown"))
def test_each_copy_s_rate_falls_as_in_fit(name, copies):
    outcomes = watched(copies, ReduceLROnPlateau(**PLATEAU[name]))
    for trial in (0.3, 0), (0.03, 1):
        callback = ReduceLROnPlateau(**PLATEAU[name])
        right = fitted(*trial, callback)
        assert len(set(right.pop("learning_rate"))) > 1
        assert_like_fit(outcomes[trial], right, callback)


BOTH = {
    "stopping": lambda: {
        "early_stopping": EarlyStopping(patience=2, min_delta=0.01, restore_best_weights=True)
    },
    "falling": lambda: {
        "reduce_on_plateau": ReduceLROnPlateau(patience=0, cooldown=1, min_lr=0.01, factor=0.4)
    },
    "both": lambda: {
        "early_stopping": EarlyStopping(monitor="val_area", patience=3),
        "reduce_on_plateau": ReduceLROnPlateau(monitor="loss", patience=0, factor=0.5),
    },
}


@pytest.mark.long
@pytest.mark.parametrize("name", BOTH)
def test_both_engines_decide_alike(name):
    arguments = BOTH[name]()
    together, alone = (
        sweep(builder(eager), RATES[1:3], seeds=1, epochs=8, **arguments) for eager in (False, True)
    )
    assert (together.engine, alone.engine) == ("vectorized", "sequential")
    for name in together.metrics:
        np.testing.assert_allclose(together.metrics[name], alone.metrics[name], atol=1e-5)
    np.testing.assert_array_equal(together.last_epochs, alone.last_epochs)


def test_both_callbacks_at_once_as_in_fit():
    def callbacks():
        return EarlyStopping(patience=4), ReduceLROnPlateau(patience=1, factor=0.3)

    stopping, plateau = callbacks()
    result = sweep(early_stopping=stopping, reduce_on_plateau=plateau)
    assert result.engine == "vectorized"
    right = fitted(0.3, 1, *callbacks())
    assert len(set(right.pop("learning_rate"))) > 1
    whole, epochs = history_of(result, 0.3, 1), len(right["loss"])
    assert difference({name: values[:epochs] for name, values in whole.items()}, right) < 1e-5
    assert all(np.isnan(values[epochs:]).all() for values in whole.values())
    assert result.last_epochs[1, 1] == epochs - 1 < EPOCHS - 1


def test_a_sweep_ends_when_all_copies_have_stopped(monkeypatch):
    monkeypatch.setattr(_vectorized, "BLOCK", 0.0)
    own, trained = _copies.Copies.train, []

    def train(self, state, epochs):
        trained.extend(epochs)
        return own(self, state, epochs)

    monkeypatch.setattr(_copies.Copies, "train", train)
    stopping = EarlyStopping(min_delta=1e9)  # the first epoch is the best, nothing is better
    result = sweep(early_stopping=stopping)
    assert np.isfinite(result.metrics["loss"]).sum() == len(RATES) * SEEDS * len(trained)
    assert trained == [0, 1]


def test_a_callback_is_left_as_it_was(copies):
    callback = EarlyStopping(patience=1, restore_best_weights=True)
    fitted(0.1, 0, callback, epochs=4)  # used before, it holds a model
    before = dict(vars(callback))
    first = watched(copies, callback)
    assert vars(callback) == before
    second = watched(copies, EarlyStopping(patience=1, restore_best_weights=True))
    for trial in first:
        np.testing.assert_equal(first[trial]._asdict(), second[trial]._asdict())


def test_a_training_that_diverges_is_no_reason_to_go_on():
    def build():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    result = sweep(build, (1e30, 0.1), early_stopping=EarlyStopping(patience=EPOCHS))
    assert result.diverged.tolist() == [[True, True], [False, False]]
    assert (result.last_epochs[0] < EPOCHS - 1).all()


def test_the_rate_is_a_32_bit_float_as_in_keras():
    """Ten falls of a rate: what Keras's variable holds, not what a Python float would."""
    watcher = _stopping.Watcher([ReduceLROnPlateau(patience=0, factor=0.1)], builder()(), 0.1)
    variable = keras.Variable(0.1, dtype="float32")
    for epoch in range(10):
        watcher.after_epoch(epoch, {"loss": 1.0, "val_loss": 1.0})
        if epoch:
            variable.assign(float(variable.numpy()) * 0.1)
        assert watcher.learning_rate == float(variable.numpy())


@pytest.mark.parametrize(
    ("one", "other"), [(0.1, 0.1 + 1e-9), (0.1 + 1e-9, 0.1), (1.0, 2.0), (2.0, 1.0), (np.nan, 1.0)]
)
def test_numbers_are_compared_as_keras_does(one, other):
    for compare in (keras.ops.less, keras.ops.greater):
        fast = _stopping._without_tensors(compare)
        assert fast is not compare
        assert bool(fast(one, other)) == bool(compare(one, other))


class Own(EarlyStopping):
    pass


@pytest.mark.parametrize("name", ["early_stopping", "reduce_on_plateau"])
@pytest.mark.parametrize(
    "callback",
    [
        keras.callbacks.ModelCheckpoint("best.keras"),
        keras.callbacks.LambdaCallback(),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1),
        Own(),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_other_callbacks_are_refused_by_name(name, callback):
    kind = {"early_stopping": "EarlyStopping", "reduce_on_plateau": "ReduceLROnPlateau"}[name]
    wanted = f"{name} must be a keras.callbacks.{kind}, got a .*{type(callback).__name__}. Other"
    with pytest.raises(ValueError, match=wanted):
        sweep(**{name: callback})


def test_the_two_are_not_exchanged():
    with pytest.raises(ValueError, match=r"early_stopping must be .*got a .*ReduceLROnPlateau"):
        sweep(early_stopping=ReduceLROnPlateau())


@pytest.mark.parametrize(
    ("name", "callback"),
    [
        ("early_stopping", EarlyStopping("val_f1")),
        ("reduce_on_plateau", ReduceLROnPlateau("val_f1")),
    ],
)
def test_what_is_not_reported_can_not_be_watched(name, callback):
    wanted = f"{name} watches 'val_f1', which the model does not report: .*one of .*val_area"
    with pytest.raises(ValueError, match=wanted):
        sweep(**{name: callback})


class Share(keras.metrics.Mean):
    """A metric that does not say whether more is better."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_pred)


def test_a_metric_without_a_direction_needs_a_mode():
    def build():
        model = builder()()
        model.compile("sgd", "binary_crossentropy", metrics=[Share(name="share")])
        return model

    wanted = (
        "early_stopping watches 'val_share', and Keras does not know .*mode='min' or mode='max'"
    )
    with pytest.raises(ValueError, match=wanted):
        sweep(build, early_stopping=EarlyStopping("val_share"))
    sweep(build, RATES[:1], epochs=3, early_stopping=EarlyStopping("val_share", mode="max"))


def test_a_metric_of_one_of_several_outputs_needs_a_mode(monkeypatch):
    """Keras does not find it by the name under which it reports it, and `fit` ends in an error."""

    def build():
        inputs = keras.Input((4,))
        outputs = [keras.layers.Dense(1, "sigmoid", name=name)(inputs) for name in ("a", "b")]
        model = keras.Model(inputs, outputs)
        model.compile("sgd", "binary_crossentropy", metrics=[["accuracy"], ["accuracy"]])
        return model

    monkeypatch.setattr(_copies.Copies, "train", lambda *_: pytest.fail("training began"))
    data = tuple((x, [y, y]) for x, y in (TRAIN, HELD_OUT))
    wanted = "early_stopping watches 'val_a_accuracy', and Keras does not know .*mode='min' or"
    with pytest.raises(ValueError, match=wanted):
        sweep_learning_rates(
            build, RATES, *data, progress=False, early_stopping=EarlyStopping("val_a_accuracy")
        )


def test_a_schedule_can_not_fall_too():
    ramp = keras.optimizers.schedules.CosineDecay(0.1, 100)
    build = builder(optimizer=lambda: keras.optimizers.SGD(ramp))
    with pytest.raises(ValueError, match="reduce_on_plateau needs an optimizer made with a number"):
        sweep(build, reduce_on_plateau=ReduceLROnPlateau())
