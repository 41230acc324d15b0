"""Early stopping and falling rates: each copy by itself, as `fit` does it with the same callback."""

import keras
import numpy as np
import pytest
from plain import difference, fit, history_of

from lrsweep import _stopping, sweep_learning_rates

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


def assert_like_fit(result, make, places):
    """Compare trainings of a sweep with `fit`, each with a new callback."""
    lengths = set()
    for rate, seed in places:
        callback = make()
        right = fitted(rate, seed, callback)
        right.pop("learning_rate", None)
        done = len(right["loss"])
        whole = history_of(result, rate, seed)
        assert difference({name: v[:done] for name, v in whole.items()}, right) < 1e-5
        assert all(np.isnan(values[done:]).all() for values in whole.values())
        row = RATES.index(rate)
        restored = getattr(callback, "best_weights", None) is not None
        assert result.last_epochs[row, seed] == (callback.best_epoch if restored else done - 1)
        assert not result.diverged[row, seed]
        lengths.add(done)
    return lengths


@pytest.mark.parametrize("name", STOPPING)
def test_each_copy_stops_as_in_fit(name):
    result = sweep(early_stopping=EarlyStopping(**STOPPING[name]))
    assert result.engine == "vectorized"
    lengths = assert_like_fit(
        result, lambda: EarlyStopping(**STOPPING[name]), [(0.3, 0), (0.003, 1)]
    )
    done = np.isfinite(result.metrics["loss"]).sum(axis=2)
    assert lengths <= set(done.ravel().tolist())
    if name != "start after the end":
        assert len(np.unique(done)) > 1


@pytest.mark.parametrize("name", PLATEAU)
def test_each_copy_s_rate_falls_as_in_fit(name):
    result = sweep(reduce_on_plateau=ReduceLROnPlateau(**PLATEAU[name]))
    assert result.engine == "vectorized"
    assert_like_fit(result, lambda: ReduceLROnPlateau(**PLATEAU[name]), [(1.0, 0), (0.03, 1)])


@pytest.mark.parametrize(
    "arguments",
    [
        {"early_stopping": EarlyStopping(patience=2, min_delta=0.01, restore_best_weights=True)},
        {"reduce_on_plateau": ReduceLROnPlateau(patience=0, cooldown=1, min_lr=0.01, factor=0.4)},
        {
            "early_stopping": EarlyStopping(monitor="val_area", patience=3),
            "reduce_on_plateau": ReduceLROnPlateau(monitor="loss", patience=0, factor=0.5),
        },
    ],
    ids=lambda arguments: " and ".join(arguments),
)
def test_both_engines_decide_alike(arguments):
    rates = RATES[::2]
    together, alone = (sweep(builder(eager), rates, **arguments) for eager in (False, True))
    assert (together.engine, alone.engine) == ("vectorized", "sequential")
    for name in together.metrics:
        np.testing.assert_allclose(together.metrics[name], alone.metrics[name], atol=1e-5)
    np.testing.assert_array_equal(together.last_epochs, alone.last_epochs)


def test_both_callbacks_at_once_as_in_fit():
    def callbacks():
        return EarlyStopping(patience=4), ReduceLROnPlateau(patience=1, factor=0.3)

    stopping, plateau = callbacks()
    result = sweep(early_stopping=stopping, reduce_on_plateau=plateau)
    for rate, seed in ((0.3, 1), (0.03, 0)):
        right = fitted(rate, seed, *callbacks())
        right.pop("learning_rate")
        done = {n: v[: len(right["loss"])] for n, v in history_of(result, rate, seed).items()}
        assert difference(done, right) < 1e-5


def test_a_sweep_ends_when_all_copies_have_stopped(monkeypatch):
    from lrsweep import _copies, _vectorized

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


def test_a_callback_is_left_as_it_was():
    callback = EarlyStopping(patience=1, restore_best_weights=True)
    fitted(0.1, 0, callback, epochs=4)  # used before, it holds a model
    before = dict(vars(callback))
    first = sweep(rates=RATES[:2], early_stopping=callback)
    assert vars(callback) == before
    second = sweep(rates=RATES[:2], early_stopping=EarlyStopping(1 * "val_loss", patience=1))
    np.testing.assert_array_equal(first.metrics["loss"], second.metrics["loss"])


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


def test_a_schedule_can_not_fall_too():
    ramp = keras.optimizers.schedules.CosineDecay(0.1, 100)
    build = builder(optimizer=lambda: keras.optimizers.SGD(ramp))
    with pytest.raises(ValueError, match="reduce_on_plateau needs an optimizer made with a number"):
        sweep(build, reduce_on_plateau=ReduceLROnPlateau())
