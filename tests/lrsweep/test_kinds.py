"""The ten kinds of silent errors: what happens now, and what happened if the guard were not there.

Each guard is taken away by planting the fault that it is for; what is compared with plain Keras
then differs. Kinds 5 and 6 are also those of the range test, see test_range_test.py.
"""

import contextlib
import itertools
import logging
import multiprocessing
import random
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from configurations import (
    Lowest,
    OwnLoss,
    OwnLossOldStyle,
    OwnReport,
    OwnResult,
    OwnTracker,
    Penalty,
)
from keras import layers, losses, metrics, ops, optimizers
from plain import TOLERANCE, difference, fit, history_of, mostly_long

from lrsweep import (
    _copies,
    _examples,
    _experiment,
    _gate,
    _model_checks,
    _one_copy,
    _prepare,
    _probe,
    _stopping,
    _surroundings,
    choose_learning_rate,
    range_test,
    sweep_learning_rates,
)
from lrsweep._patient import planned_rates

X = np.random.default_rng(0).normal(size=(44, 4))
CLASSES = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
TRAIN, HELD_OUT = (X[:30], CLASSES[:30]), (X[30:], CLASSES[30:])
YES_NO = tuple((x, (y > 0).astype(int)) for x, y in (TRAIN, HELD_OUT))
NUMBERS = tuple((x, (x[:, :1] - x[:, 1:2])) for x, _ in (TRAIN, HELD_OUT))
ONE_HOT = tuple((x, np.eye(3)[y]) for x, y in (TRAIN, HELD_OUT))


def builder(
    optimizer=lambda: optimizers.SGD(),
    loss="sparse_categorical_crossentropy",
    measured=(),
    units=3,
    activation="softmax",
    more=(),
    kind=keras.Model,
    **compiled,
):
    def build():
        inputs = keras.Input((4,))
        features = layers.Dense(6, "tanh")(inputs)
        for layer in more:
            features = layer()(features)
        model = kind(inputs, layers.Dense(units, activation)(features))
        model.compile(optimizer(), loss, metrics=list(measured), **compiled)
        return model

    return build


def yes_or_no(**arguments):
    return builder(loss="binary_crossentropy", units=1, activation="sigmoid", **arguments)


def sweep(build, rates=(0.1, 0.01), data=(TRAIN, HELD_OUT), **arguments):
    arguments = {"epochs": 3, "batch_size": 8, "seeds": 2, "progress": False} | arguments
    keras.utils.clear_session(free_memory=False)
    return sweep_learning_rates(build, rates, *data, **arguments)


def assert_equals_fit(result, build, rate=0.01, seed=1, data=(TRAIN, HELD_OUT), epochs=3, **named):
    right = fit(build, rate, seed, *data, epochs=epochs, batch_size=8, **named)
    assert difference(history_of(result, rate, seed), right) < TOLERANCE


def check(build, engine="vectorized", **arguments):
    """Sweep and compare with plain Keras; return the result."""
    result = sweep(build, **arguments)
    assert result.engine == engine, result.reason
    compared = {name: arguments[name] for name in ("data", "epochs") if name in arguments}
    assert_equals_fit(result, build, **compared)
    return result


def no_gate(patch):
    """Let every copy through, whatever it does."""
    patch.setattr(_gate, "check_copies", lambda *_: None)
    patch.setattr(_gate, "check_seeds", lambda *_: None)


def plant_in_step(patch, fault):
    """Let a fault be there while the copies' optimizer works, and only then."""
    right = _one_copy.OneCopy.step

    def step(copy, *arguments):
        with fault(copy.model.optimizer):
            return right(copy, *arguments)

    patch.setattr(_one_copy.OneCopy, "step", step)


# Kind 1: meaning read off a name


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


SCORES = {
    "auc": lambda: metrics.AUC(name="auc"),
    "mean_io_u": lambda: metrics.BinaryIoU(name="mean_io_u"),
    "fbeta_score": lambda: metrics.FBetaScore(name="fbeta_score", average="micro"),
    "recall": lambda: metrics.Recall(name="recall"),
    "accuracy": lambda: "accuracy",
    "mae": lambda: "mae",
    "hinge": lambda: metrics.Hinge(name="hinge"),
}
DOWN = "loss", "mae", "hinge"


def test_which_way_is_better_is_what_the_metric_says():
    def accuracy(y_true, y_pred):
        return ops.mean(y_pred)

    missed = metrics.MeanMetricWrapper(accuracy, name="in_accuracy")
    measured = [make() for make in SCORES.values()] + [accuracy, missed]
    build = yes_or_no(measured=measured)
    result = sweep(build, data=[(x, y[:, None]) for x, y in YES_NO], epochs=1)
    wanted = {name: "min" if name in DOWN else "max" for name in ["loss", *SCORES]}
    assert result.directions == wanted | {f"val_{name}": way for name, way in wanted.items()}
    with pytest.raises(ValueError, match="which way val_in_accuracy is better"):
        choose_learning_rate(result, "val_in_accuracy")


class Closeness(metrics.MeanAbsoluteError):
    """Has another function than the class that it comes from, and the opposite direction."""

    def __init__(self):
        super().__init__(name="closeness")
        self._fn = lambda y_true, y_pred: -ops.abs(y_true - y_pred)


def test_the_way_of_a_metric_with_another_function_is_not_known():
    model = builder(loss="mse", units=1, activation=None, measured=["mae", Closeness()])()
    model.evaluate(*NUMBERS[0], verbose=0)
    known = _model_checks.directions(model, ["loss", "mae", "closeness"])
    assert known == {"loss": "min", "mae": "min"}


class StrictRecall(metrics.Recall):
    """Computes what the class that it comes from computes, which has no function to look at."""

    def __init__(self):
        super().__init__(thresholds=0.9, name="strict")


def test_the_way_of_a_metric_with_a_setting_of_its_own_is_known():
    model = yes_or_no(measured=[StrictRecall()])()
    x, y = YES_NO[0]
    model.evaluate(x, y[:, None], verbose=0)
    assert _model_checks.directions(model, ["strict"]) == {"strict": "max"}


@pytest.mark.long
def test_which_way_is_better_with_several_outputs():
    def build():
        inputs = keras.Input((4,))
        outputs = {name: layers.Dense(1, "sigmoid", name=name)(inputs) for name in ("a", "recall")}
        model = keras.Model(inputs, outputs)
        measured = {"a": [metrics.Recall(name="recall")], "recall": ["mse"]}
        model.compile("sgd", "binary_crossentropy", metrics=measured)
        return model

    data = tuple((x, {"a": y, "recall": y}) for x, y in YES_NO)
    ways = sweep(build, data=data, epochs=1).directions
    assert {name for name, way in ways.items() if way == "max"} == {"a_recall", "val_a_recall"}
    assert {"loss", "a_loss", "recall_loss", "recall_mse"} <= set(ways)


@pytest.mark.long
def test_a_direction_guessed_from_the_name_is_noticed(monkeypatch):
    def guess(model, names):
        return {name: "max" if "acc" in name else "min" for name in names}

    monkeypatch.setattr(_prepare, "directions", guess)
    with pytest.raises(AssertionError):
        test_which_way_is_better_is_what_the_metric_says()


@pytest.mark.parametrize("kind", mostly_long([keras.Model, OwnStep], keras.Model))
def test_metrics_have_one_name_however_often_the_model_is_built(kind):
    build = named_anew(yes_or_no(kind=kind))
    stopping = keras.callbacks.EarlyStopping("val_auc", patience=0, mode="max")
    result = sweep(build, data=YES_NO, epochs=6, early_stopping=stopping)
    names = "loss", "auc", "precision"
    assert set(result.metrics) == {f"{part}{name}" for part in ("", "val_") for name in names}
    assert not result.diverged.any()
    stopped = np.isfinite(result.metrics["loss"]).sum(axis=2)
    for name in names:
        for part in (name, f"val_{name}"):
            np.testing.assert_array_equal(np.isfinite(result.metrics[part]).sum(axis=2), stopped)
    callback = keras.callbacks.EarlyStopping("val_auc", patience=0, mode="max")
    right = fit(build, 0.1, 1, *YES_NO, 6, 8, callbacks=[callback])
    assert len(right["loss"]) == stopped[0, 1]


def named_anew(build):
    """Let the metrics be made in the builder, as `keras.metrics.AUC()`, whose name is numbered."""

    def build_named():
        model = build()
        measured = [metrics.AUC(), metrics.Precision()]
        model.compile(model.optimizer, model.loss, metrics=measured)
        return model

    return build_named


@pytest.mark.long
def test_names_that_go_on_counting_are_noticed(monkeypatch):
    monkeypatch.setattr(_experiment, "numbered_from", lambda _: contextlib.nullcontext())
    with pytest.raises(AssertionError):
        test_metrics_have_one_name_however_often_the_model_is_built(OwnStep)


@pytest.mark.long
def test_a_loss_that_is_called_like_another_is_not_taken_for_it():
    class Other(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.square(y_pred - y_true), axis=-1)

    build = builder(loss=Other(name="sparse_categorical_crossentropy"), units=1, activation=None)
    result = check(build, data=NUMBERS)
    assert result.chance == {}


# Kind 2: rebuilt from a configuration, or from zeros, what holds more


def without_biases(decay, kind=optimizers.SGD):
    def make():
        optimizer = kind(weight_decay=decay)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    return make


@contextlib.contextmanager
def nothing_excluded(optimizer):
    """What an optimizer is that was made again from its configuration."""
    optimizer._use_weight_decay = lambda variable: True
    yield
    del optimizer._use_weight_decay


EXCLUDED = {
    "SGD": builder(without_biases(0.1)),
    "AdamW": builder(without_biases(0.004, optimizers.AdamW)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", EXCLUDED)
def test_weights_without_decay_stay_without(name):
    check(EXCLUDED[name])


@pytest.mark.long
def test_decay_of_excluded_weights_is_noticed(monkeypatch):
    plant_in_step(monkeypatch, nothing_excluded)
    with monkeypatch.context() as patch:
        no_gate(patch)
        with pytest.raises(AssertionError):
            check(EXCLUDED["SGD"])
    assert "bias differently" in check(EXCLUDED["SGD"], "sequential").reason


@pytest.mark.long
def test_metrics_that_do_not_start_at_zero():
    result = check(builder(measured=[Lowest(), Lowest("copied", itself=False)]))
    assert np.all(result.metrics["val_lowest"] > 0)


@pytest.mark.long
def test_metrics_that_are_taken_to_start_at_zero_are_noticed(monkeypatch):
    def from_zeros(copies, state):
        return state._replace(metrics=[tf.zeros_like(value) for value in state.metrics])

    monkeypatch.setattr(_copies.Copies, "_reset", from_zeros)
    build = builder(measured=[Lowest()])
    with monkeypatch.context() as patch:
        no_gate(patch)
        with pytest.raises(AssertionError):
            check(build)
    assert "lowest/low differently" in check(build, "sequential").reason


@pytest.mark.long
def test_a_metric_that_is_never_reset_goes_on():
    class Ever(Lowest):
        def reset_state(self):
            pass

    check(builder(measured=[Ever(itself=False)]))


@pytest.mark.long
@pytest.mark.parametrize("kind", [OwnReport, OwnResult, OwnTracker])
def test_reports_of_a_model_s_own(kind):
    check(builder(kind=kind, measured=["accuracy"]))


@pytest.mark.long
def test_a_report_that_reads_weights_and_the_learning_rate():
    class Telling(keras.Model):
        def get_metrics_result(self):
            norm = ops.sqrt(sum(ops.sum(ops.square(v)) for v in self.trainable_variables))
            rate = self.optimizer.learning_rate
            return super().get_metrics_result() | {"norm": norm, "rate": rate + 0.0}

    result = check(builder(kind=Telling))
    np.testing.assert_allclose(result.metrics["rate"][:, :, 0], [[0.1, 0.1], [0.01, 0.01]])
    assert np.unique(result.metrics["norm"]).size == result.metrics["norm"].size


def test_a_schedule_goes_on_from_the_updates_that_were_made():
    class Telling(keras.Model):
        def get_metrics_result(self):
            return super().get_metrics_result() | {"rate": self.optimizer.learning_rate + 0.0}

    def build():
        decay = optimizers.schedules.ExponentialDecay(1.0, 4, 0.5)
        model = builder(lambda: optimizers.SGD(decay), kind=Telling)()
        model.optimizer.build(model.trainable_variables)
        model.optimizer.iterations.assign(8)
        return model

    result = sweep(build, epochs=1, seeds=1)  # 4 updates
    np.testing.assert_allclose(result.metrics["rate"][:, 0, 0], [0.05, 0.005], rtol=1e-5)


@pytest.mark.long
def test_optimizers_that_override_apply_gradients():
    class Centred(optimizers.SGD):
        """Looks back every fifth time: later than any probe goes."""

        def apply_gradients(self, pairs):
            pairs = list(pairs)
            every = ops.cast(self._iterations % 5 == 4, "float32")
            return super().apply_gradients([(g * (1 + every), v) for g, v in pairs])

    check(builder(Centred))


class CountsTwice(optimizers.SGD):
    """Counts an update as two, which a slow schedule hardly shows in the first ones."""

    def apply(self, gradients, variables=None):
        if not self.built:
            self.build(variables)
        self._backend_apply_gradients(gradients, variables)
        self._iterations.assign_add(2)


class CountsAnew(optimizers.Adam):
    """Counts to 5, and begins anew: later than any probe goes."""

    def apply(self, gradients, variables=None):
        super().apply(gradients, variables)
        self._iterations.assign(self._iterations.value % 5)


class BeginsAnew(optimizers.Adam):
    """Counts to 5 in a single assignment, and begins anew."""

    def apply(self, gradients, variables=None):
        if not self.built:
            self.build(variables)
        self._backend_apply_gradients(gradients, variables)
        self._iterations.assign((self._iterations.value + 1) % 5)


class CountsWhatIsFinite(optimizers.Adam):
    """Counts no update whose gradients aren't finite."""

    def apply(self, gradients, variables=None):
        if not self.built:
            self.build(variables)
        self._backend_apply_gradients([ops.nan_to_num(it) for it in gradients], variables)
        counts = ops.all(ops.stack([ops.all(ops.isfinite(it)) for it in gradients]))
        self._iterations.assign_add(ops.cast(counts, "int32"))


class Remembers(optimizers.SGD):
    """Takes its steps relative to the rate that it was built with."""

    def build(self, variables):
        super().build(variables)
        self.first = self.add_variable((), initializer=self.at_first, name="first")

    def at_first(self, shape, dtype=None):
        return ops.cast(self.learning_rate, dtype)

    def update_step(self, gradient, variable, learning_rate):
        variable.assign(variable * (1 - 0.01 * learning_rate / self.first))
        super().update_step(gradient, variable, learning_rate)


class RemembersElsewhere(Remembers):
    """Keeps that rate in a variable of TensorFlow."""

    def build(self, variables):
        if not self.built:
            self.first = tf.Variable(self.learning_rate.value)
        optimizers.SGD.build(self, variables)


class LooksAhead(optimizers.SGD):
    """Keeps slow weights in variables of TensorFlow, which start from the weights."""

    def build(self, variables):
        if not self.built:
            self.slow = [tf.Variable(variable.value) for variable in variables]
        super().build(variables)

    def apply(self, gradients, variables=None):
        super().apply(gradients, variables)
        for slow, variable in zip(self.slow, self._trainable_variables):
            slow.assign_add(0.5 * (variable.value - slow))
            variable.assign(slow)


@pytest.mark.parametrize(
    ("optimizer", "why"),
    [
        (
            lambda: CountsTwice(optimizers.schedules.CosineDecay(1.0, 2000)),
            "changes counts_twice/iteration",
        ),
        (CountsAnew, "changes counts_anew/iteration"),
        (BeginsAnew, "changes begins_anew/iteration"),
        (CountsWhatIsFinite, "changes counts_what_is_finite/iteration"),
        (Remembers, "its optimizer remembers the learning rate that it was built with"),
        (RemembersElsewhere, "its optimizer remembers the learning rate that it was built with"),
        (LooksAhead, "AssignAddVariableOp"),
    ],
    ids=[
        "counts",
        "counts anew",
        "begins anew",
        "counts what is finite",
        "rate",
        "rate elsewhere",
        "slow weights",
    ],
)
def test_what_optimizers_of_one_s_own_keep(optimizer, why):
    assert why in check(builder(optimizer), "sequential").reason


def test_a_builder_that_alternates_is_not_taken_for_an_optimizer_that_remembers():
    calls = itertools.count()

    def build():
        parts = layers.Dropout((0.1, 0.5)[next(calls) % 2]), layers.Dense(3, "softmax")
        model = keras.Sequential([keras.Input((4,)), *parts])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    with pytest.raises(ValueError, match="with equal weights, their results differ"):
        sweep(build, seeds=1)


def test_a_model_may_hold_its_optimizer_s_rate():
    class Holding(keras.Model):
        def compile(self, *args, **kwargs):
            super().compile(*args, **kwargs)
            self.rate = self.optimizer.learning_rate

    check(builder(kind=Holding))


def test_each_seed_s_model_is_looked_at():
    """A builder that draws a constant, which no variable holds."""

    def build():
        factor = float(np.random.uniform(0.5, 2))
        return builder(more=[lambda: layers.Lambda(lambda x: factor * x)])()

    reason = check(build, "sequential").reason
    assert "build_model draws more than first weights" in reason


class OnlyEvaluated(layers.Layer):
    """Scales by a constant of its own, but not in training."""

    def __init__(self):
        super().__init__()
        self.factor = float(np.random.uniform(0.5, 2))

    def call(self, inputs, training=False):
        return inputs if training else inputs * self.factor


class Scaled(metrics.Mean):
    """The mean output times a constant of its own."""

    def __init__(self):
        super().__init__(name="scaled")
        self.factor = float(np.random.uniform(0.5, 2))

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(y_pred)

    def result(self):
        return super().result() * self.factor


@pytest.mark.parametrize("name", ["evaluation", "metric"])
def test_each_seed_s_evaluation_is_looked_at(name):
    def build():
        if name == "metric":
            return builder(measured=[Scaled()])()
        return builder(more=[OnlyEvaluated])()

    reason = check(build, "sequential").reason
    assert "build_model draws more than first weights" in reason


@pytest.mark.long
def test_each_seed_s_optimizer_is_looked_at():
    def build():
        return builder(lambda: optimizers.SGD(momentum=np.random.uniform(0, 0.9)))()

    check(build, "sequential")


@pytest.mark.long
def test_a_constant_of_the_first_seed_s_model_is_noticed(monkeypatch):
    no_gate(monkeypatch)
    with pytest.raises(AssertionError):
        test_each_seed_s_model_is_looked_at()


@pytest.mark.long
def test_a_builder_that_draws_the_number_of_units():
    def build():
        return builder(more=[lambda: layers.Dense(np.random.randint(3, 30))])()

    assert "models of different shapes" in check(build, "sequential").reason


# Kind 3: a probe that is the weaker, the less there is to see


@contextlib.contextmanager
def slightly_more_momentum(optimizer):
    optimizer.momentum *= 1.001
    yield
    optimizer.momentum /= 1.001


@contextlib.contextmanager
def slightly_more_decay(optimizer):
    optimizer.weight_decay *= 1.5
    yield
    optimizer.weight_decay /= 1.5


SMALL = {
    "momentum": (slightly_more_momentum, lambda: optimizers.SGD(momentum=0.9)),
    "decay": (slightly_more_decay, lambda: optimizers.AdamW(weight_decay=0.004)),
    "excluded": (nothing_excluded, without_biases(0.004, optimizers.AdamW)),
    "accumulated": (
        slightly_more_momentum,
        lambda: optimizers.SGD(momentum=0.9, gradient_accumulation_steps=7),
    ),
    "scheduled": (
        slightly_more_momentum,
        lambda: optimizers.SGD(
            optimizers.schedules.PiecewiseConstantDecay([6, 9], [0.0, 1.0, 0.1]), momentum=0.9
        ),
    ),
}


@pytest.mark.parametrize("rates", mostly_long([(1e-6, 1e-5), (10.0, 100.0)], (1e-6, 1e-5)))
@pytest.mark.parametrize("name", mostly_long(SMALL, "excluded"))
def test_the_gate_sees_small_faults_at_any_rates(name, rates, monkeypatch):
    fault, optimizer = SMALL[name]
    build = builder(optimizer)
    assert sweep(build, rates, epochs=5, seeds=1).engine == "vectorized"
    plant_in_step(monkeypatch, fault)
    result = sweep(build, rates, epochs=5, seeds=1)
    assert (result.engine, "differently" in result.reason) == ("sequential", True)


@pytest.mark.long
def test_a_probe_at_the_sweep_s_own_rates_is_blind(monkeypatch):
    right = _probe.Probe.find_rate

    def find_rate(probe, seed):
        found = right(probe, seed)
        probe.rate = 1e-6
        return found

    monkeypatch.setattr(_probe.Probe, "find_rate", find_rate)
    plant_in_step(monkeypatch, slightly_more_decay)
    assert sweep(builder(SMALL["decay"][1]), seeds=1).engine == "vectorized"


# Kind 4: never asking whether the thing that varies did anything


class OwnOptimizer(keras.Model):
    """Steps an optimizer of its own, as GANs do."""

    def compile(self, *arguments, **named):
        super().compile(*arguments, **named)
        self.own = optimizers.SGD(0.1)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.own.apply(gradients, self.trainable_variables)
        return {"loss": loss}


def test_a_learning_rate_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match=r"changing the learning rate .* changes nothing"):
        sweep(builder(kind=OwnOptimizer))

    def build_frozen():
        model = builder()()
        model.trainable = False
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    with pytest.raises(ValueError, match="is every weight frozen"):
        sweep(build_frozen)


class OwnOptimizerWithNoise(OwnOptimizer):
    """Draws numbers that are others in each try, so that no two tries give the same."""

    used = False  # whether its compiled optimizer updates some of the weights

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            noise = 0.1 * tf.random.normal(tf.shape(x))
            loss = self.compute_loss(x, y, self(x + noise, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        pairs = list(zip(gradients, self.trainable_variables))
        self.own.apply_gradients(pairs[:-1] if self.used else pairs)
        if self.used:
            self.optimizer.apply_gradients(pairs[-1:])
        return {"loss": loss}


class TwoOptimizersWithNoise(OwnOptimizerWithNoise):
    used = True


def built_for_all(kind):
    def build():
        model = builder(kind=kind)()
        model.own.build(model.trainable_variables)
        return model

    return build


def test_noise_is_not_taken_for_an_effect_of_the_learning_rate():
    with pytest.raises(ValueError, match=r"changing the learning rate .* changes nothing"):
        sweep(built_for_all(OwnOptimizerWithNoise))


def test_a_rate_of_some_weights_beside_noise_is_not_refused():
    measured = sweep(built_for_all(TwoOptimizersWithNoise)).metrics
    first, second = measured["val_loss"][:, 0, -1]
    assert first != second


@pytest.mark.long
def test_without_asking_all_rows_are_equal(monkeypatch):
    monkeypatch.setattr(_probe.Probe, "find_rate", lambda *_: True)
    losses_ = sweep(builder(kind=OwnOptimizer)).metrics["loss"]
    np.testing.assert_array_equal(losses_[0], losses_[1])


@pytest.mark.long
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(gradient_accumulation_steps=7),
        lambda: optimizers.SGD(optimizers.schedules.PiecewiseConstantDecay([9], [0.0, 1.0])),
        lambda: optimizers.Adadelta(epsilon=1e-12),
    ],
)
def test_a_rate_that_matters_late_or_little_is_not_refused(optimizer):
    check(builder(optimizer), epochs=3)


def seeded(build):
    def build_seeded():
        keras.utils.set_random_seed(42)
        return build()

    return build_seeded


ONE_ORDER = {
    "in order": {"shuffle": False},
    "one batch": {"batch_size": 30},
    "one small batch": {"batch_size": 99},
}


@pytest.mark.parametrize("name", mostly_long(ONE_ORDER, "one batch"))
def test_seeds_that_change_nothing_are_refused(name):
    arguments = ONE_ORDER[name]
    with pytest.raises(ValueError, match=r"the seeds change nothing.*seeds=1"):
        sweep(seeded(builder()), **arguments)
    assert sweep(seeded(builder()), seeds=1, **arguments).engine == "vectorized"


def test_seeds_that_change_the_order_only_are_told(caplog):
    check(seeded(builder()))
    assert "the seeds differ in the order of the batches only" in caplog.text


@pytest.mark.long
def test_seeds_that_change_the_order_only_are_told_with_dropout(caplog):
    check(seeded(builder(more=[lambda: layers.Dropout(0.5)])), epochs=1)
    assert "order of the batches only" in caplog.text


@pytest.mark.long
def test_without_asking_the_seeds_are_equal(monkeypatch):
    monkeypatch.setattr(_prepare, "_check_seeds_matter", lambda *_: None)
    values = sweep(seeded(builder()), shuffle=False).metrics["loss"]
    np.testing.assert_array_equal(values[:, 0], values[:, 1])


def test_a_builder_with_random_numbers_of_its_own_is_refused():
    def build():
        model = builder()()
        model.layers[1].kernel.assign(np.random.default_rng().normal(size=(4, 6)))
        return model

    with pytest.raises(ValueError, match=r"give the same model whenever .*kernel differs"):
        sweep(build)


def draws_a_rate(rate):
    return lambda: builder(more=[lambda: layers.Dropout(rate())])()


def test_a_builder_with_random_numbers_of_its_own_beside_the_weights_is_refused():
    own = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"give the same model whenever .*their results differ"):
        sweep(draws_a_rate(lambda: own.uniform(0.1, 0.8)))


@pytest.mark.long
def test_a_builder_may_draw_from_the_generators_that_are_set():
    check(draws_a_rate(lambda: np.random.uniform(0.1, 0.8)), "sequential")


# Kind 5: nan told as diverged


class Sometimes(metrics.Metric):
    """A metric that is not always a number."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        pass

    def result(self):
        return ops.sqrt(ops.cast(-1.0, "float32"))


def test_a_metric_that_is_nan_is_no_divergence():
    result = check(builder(measured=[Sometimes(name="sometimes")]))
    assert np.isnan(result.metrics["val_sometimes"]).all()
    assert np.isfinite(result.metrics["val_loss"]).all()
    assert not result.diverged.any()


@pytest.mark.long
def test_counting_any_nan_as_divergence_is_noticed(monkeypatch):
    right = _stopping.Watcher.after_epoch

    def any_nan(watcher, epoch, logs):
        right(watcher, epoch, logs | {"loss": sum(logs.values())})

    monkeypatch.setattr(_stopping.Watcher, "after_epoch", any_nan)
    with pytest.raises(AssertionError):
        test_a_metric_that_is_nan_is_no_divergence()


def of_those_that_are_there(y_true, y_pred):
    """The mean square over the targets that aren't missing."""
    there = ops.isfinite(y_true)
    differences = ops.where(there, ops.where(there, y_true, 0.0) - y_pred, 0.0)
    return ops.sum(differences**2) / ops.sum(ops.cast(there, y_pred.dtype))


def test_missing_targets_that_the_loss_leaves_out_are_no_reason_to_refuse():
    """A batch of nothing but missing ones would have no loss; those of training have both."""
    (x, y), held_out = NUMBERS
    y = np.array(y, "float32")
    y[::8] = np.nan
    data = (x, y), held_out
    build = builder(loss=of_those_that_are_there, units=1, activation=None)
    assert np.isfinite(sweep(build, data=data, shuffle=False).metrics["loss"]).all()
    with pytest.raises(ValueError, match="y of train_data holds"):
        sweep(builder(loss="mse", units=1, activation=None), data=data)


def test_divergence_is_a_loss_that_is_not_finite():
    build = builder(loss="mse", units=1, activation=None)
    result = sweep(build, [0.01, 1e20], NUMBERS, epochs=6)
    assert result.diverged.tolist() == [[False, False], [True, True]]
    assert_equals_fit(result, build, 1e20, 1, NUMBERS, 6)


# Kind 6: losses near and below zero


def test_losses_below_zero():
    data = tuple((x, np.full((len(x), 1), 3.0)) for x, _ in (TRAIN, HELD_OUT))
    build = builder(loss="poisson", units=1, activation="softplus")
    stopping = keras.callbacks.EarlyStopping("val_loss", min_delta=0.01)
    result = sweep(build, data=data, epochs=9, early_stopping=stopping)
    assert np.nanmin(result.metrics["loss"]) < 0 < np.nanmax(result.metrics["loss"])
    assert not result.diverged.any()
    callback = keras.callbacks.EarlyStopping("val_loss", min_delta=0.01)
    right = fit(build, 0.1, 1, *data, epochs=9, batch_size=8, callbacks=[callback])
    done = {name: v[: len(right["loss"])] for name, v in history_of(result, 0.1, 1).items()}
    assert difference(done, right) < TOLERANCE


# Kind 7: acting before the snapshot


class Counting(layers.Layer):
    def __init__(self):
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs * (1 + 0.05 * self.calls)


class Centred(layers.Layer):
    """From the ninth update on, assigns what the gradient must not flow through."""

    def __init__(self):
        super().__init__()
        shape = {"initializer": "zeros", "trainable": False}
        self.seen = self.add_weight(shape=(), name="seen", **shape)
        self.mean = self.add_weight(shape=(6,), name="mean", **shape)

    def call(self, inputs, training=False):
        if training:
            self.seen.assign_add(1.0)
            new = ops.mean(inputs, axis=0)
            self.mean.assign(ops.where(self.seen > 8, new, self.mean))
        return inputs - self.mean


class MonteCarlo(layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


class AlwaysTraining(layers.BatchNormalization):
    def call(self, inputs, training=False):
        return super().call(inputs, training=True)


STATEFUL = {
    "counter": Counting,
    "Monte Carlo": lambda: MonteCarlo(0.3),
    "always training": AlwaysTraining,
}


def test_no_gradient_flows_through_what_a_layer_assigns():
    check(builder(more=[Centred]))


@pytest.mark.long
def test_a_gradient_through_what_a_layer_assigns_is_noticed(monkeypatch):
    monkeypatch.setattr(_one_copy, "Scope", keras.StatelessScope)
    with pytest.raises(AssertionError):
        check(builder(more=[Centred]))


class Remembering(losses.Loss):
    """Divides by a mean of what it has seen."""

    def __init__(self):
        super().__init__()
        self.mean = tf.Variable(1.0, trainable=False)

    def call(self, y_true, y_pred):
        errors = losses.sparse_categorical_crossentropy(y_true, y_pred)
        self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(errors))
        return errors / self.mean


@pytest.mark.parametrize("eager", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_state_that_the_models_share_is_refused_and_put_back(eager):
    shared = Remembering()
    said = r"share a variable outside of them, .*build_model, anew .*keras\.random\.SeedGenerator"
    with pytest.raises(ValueError, match=said):
        sweep(builder(loss=shared, run_eagerly=eager))
    assert shared.mean.numpy() == 1


@pytest.mark.long
def test_without_asking_trainings_go_on_from_each_other(monkeypatch):
    monkeypatch.setattr(_probe.Probe, "shared_with", lambda *_: [])
    shared = Remembering()
    result = sweep(builder(loss=shared))
    with pytest.raises(AssertionError):
        assert_equals_fit(result, lambda: builder(loss=Remembering())())


@pytest.mark.long
def test_a_state_outside_of_each_model_is_fine():
    check(lambda: builder(loss=Remembering())(), "sequential")


@pytest.mark.long
def test_a_model_run_eagerly_may_hold_what_only_goes_forward():
    class Going(losses.Loss):
        def __init__(self):
            super().__init__()
            self.numbers = itertools.count()

        def call(self, y_true, y_pred):
            next(self.numbers)
            return losses.sparse_categorical_crossentropy(y_true, y_pred)

    check(lambda: builder(loss=Going(), run_eagerly=True)(), "sequential", seeds=[1], epochs=1)


@pytest.mark.long
def test_a_constant_that_the_models_share_is_fine():
    scale = tf.Variable(2.0)
    loss = losses.sparse_categorical_crossentropy
    check(builder(loss=lambda y, y_pred: scale * loss(y, y_pred)))


class Falling(optimizers.schedules.LearningRateSchedule):
    """Counts how often it is asked, not the updates."""

    def __init__(self):
        self.rate = tf.Variable(0.1, trainable=False)

    def __call__(self, step):
        return self.rate.assign(0.9 * self.rate).read_value()


def test_a_schedule_with_a_state_is_refused():
    with pytest.raises(ValueError, match=r"schedule must depend on .*this Falling changes a var"):
        sweep(builder(lambda: optimizers.SGD(Falling())), seeds=1)


def test_a_schedule_that_says_nan_is_not_said_to_count():
    schedule = optimizers.schedules.ExponentialDecay(0.1, 10, decay_rate=-0.5)  # to a power
    with pytest.raises(ValueError, match="largest learning rate must be positive, got nan"):
        sweep(builder(lambda: optimizers.SGD(schedule)), seeds=1)


class InPython(optimizers.schedules.LearningRateSchedule):
    """Looks its rates up in a list of Python, which can't be traced."""

    def __init__(self):
        self.rates, self.asked = [0.2, 0.1, 0.05], 0

    def __call__(self, step):
        return self.rates[min(int(step) // 3, 2)]


class CountsInPython(InPython):
    def __call__(self, step):
        self.asked += 1
        return super().__call__(int(step) + self.asked)


def test_a_schedule_of_python_s_own_in_a_model_run_eagerly():
    build = builder(lambda: optimizers.SGD(InPython()), run_eagerly=True)
    data = tuple((x[:12], y[:12]) for x, y in (TRAIN, HELD_OUT))
    check(build, "sequential", data=data, rates=(0.01,), seeds=[1], epochs=2)
    assert planned_rates(build().optimizer, 0, 4).tolist() == pytest.approx([0.2, 0.2, 0.2, 0.1])


def test_a_schedule_that_counts_in_python_is_refused():
    with pytest.raises(ValueError, match="must depend on the number of the update alone"):
        sweep(builder(lambda: optimizers.SGD(CountsInPython()), run_eagerly=True))


@pytest.mark.long
@pytest.mark.parametrize("name", STATEFUL)
def test_what_evaluations_change_is_carried_on(name):
    check(builder(more=[STATEFUL[name]]))


@pytest.mark.long
@pytest.mark.parametrize("name", STATEFUL)
def test_forgetting_what_an_evaluation_changed_is_noticed(name, monkeypatch):
    right = _copies.Copies._evaluate

    def forgetting(copies, ends, state):
        after, report = right(copies, ends, state)
        return after._replace(others=state.others), report

    monkeypatch.setattr(_copies.Copies, "_evaluate", forgetting)
    build = builder(more=[STATEFUL[name]])
    check(build, "sequential")
    no_gate(monkeypatch)
    if name != "always training":  # what it averages is used nowhere
        with pytest.raises(AssertionError):
            check(build)


def test_models_are_untouched_before_they_are_trained():
    built = []

    def build():
        built.append(builder(more=[Counting, lambda: layers.Dropout(0.3)])())
        return built[-1]

    check(build)
    assert float(built[0].layers[2].calls) == 0
    assert int(built[0].optimizer.iterations) == 0


@pytest.mark.long
def test_a_probe_that_leaves_traces_is_noticed(monkeypatch):
    monkeypatch.setattr(_probe.Probe, "put_back", lambda _: None)
    with pytest.raises(AssertionError):
        test_models_are_untouched_before_they_are_trained()


# Kind 8: methods that may be overridden, called otherwise than Keras calls them


@pytest.mark.long
@pytest.mark.parametrize("kind", [OwnLoss, OwnLossOldStyle])
def test_a_compute_loss_of_a_model_s_own(kind):
    check(builder(kind=kind))


@pytest.mark.long
def test_calling_compute_loss_more_narrowly_is_noticed(monkeypatch):
    right = _one_copy.OneCopy.forward

    def narrowly(copy, values, updates, batch, training):
        return right(copy, values, updates, batch, training=True)

    monkeypatch.setattr(_one_copy.OneCopy, "forward", narrowly)
    with monkeypatch.context() as patch:
        no_gate(patch)
        with pytest.raises(AssertionError):
            check(builder(kind=OwnLoss))
    check(builder(kind=OwnLoss), "sequential")


class Silent(keras.Model):
    def train_step(self, data):
        super().train_step(data)
        return {"energy": ops.sum(self.trainable_variables[0])}


class OtherNames(keras.Model):
    """Reports one thing in training and another in evaluations."""

    def train_step(self, data):
        return {"loss": super().train_step(data)["loss"], "rate": self.optimizer.learning_rate + 0}

    def test_step(self, data):
        report = super().test_step(data)
        return {"loss": report["loss"], "double": 2 * report["loss"], "same": report["loss"]}


def returns_a_number(model, data):
    return keras.Model.train_step(model, data)["loss"]


@pytest.mark.parametrize("name", ["train_step", "test_step"])
def test_a_step_that_returns_a_number_is_refused_in_words(name):
    kind = type("Mine", (keras.Model,), {name: returns_a_number})
    with pytest.raises(ValueError, match=r"train_step and test_step must return a dict .*loss"):
        sweep(builder(kind=kind), seeds=1)


def test_a_step_without_a_loss_is_refused_in_words():
    with pytest.raises(ValueError, match=r"train_step must report 'loss'.*it reports energy"):
        sweep(builder(kind=Silent))


@pytest.mark.long
def test_steps_that_report_different_things():
    result = check(builder(kind=OtherNames), "sequential")
    assert set(result.metrics) == {"loss", "rate", "val_loss", "val_double", "val_same"}


@pytest.mark.parametrize("name", ["fit", "evaluate", "make_train_function", "make_test_function"])
def test_a_loop_of_a_model_s_own_is_refused(name):
    def own(self, *arguments, **named):
        return getattr(keras.Model, name)(self, *arguments, **named)

    kind = type("Mine", (keras.Model,), {name: own})
    with pytest.raises(ValueError, match=f"Mine with its own {name}, .*train_step or test_step"):
        sweep(builder(kind=kind))


@pytest.mark.long
def test_steps_that_belong_to_one_model_only():
    def build():
        model = builder()()
        right = model.train_step
        model.train_step = lambda data: right((data[0] * 2, data[1]))
        return model

    assert "own train_step" in check(build, "sequential").reason


@pytest.mark.long
def test_what_xla_compiles_draws_other_numbers():
    build = builder(more=[lambda: layers.Dropout(0.5)], jit_compile=True)
    check(build, "sequential", rates=(0.01,), seeds=[1], epochs=1)


# Kind 9: better than a constant answer?

NO_CHANCE = {
    "label smoothing": (
        builder(loss=losses.CategoricalCrossentropy(label_smoothing=0.2), measured=["accuracy"]),
        ONE_HOT,
    ),
    "sum": (builder(loss=losses.SparseCategoricalCrossentropy(reduction="sum")), None),
    "loss weights": (builder(loss_weights=[0.1]), None),
    "penalty": (
        builder(more=[lambda: layers.Dense(3, kernel_regularizer="l2")], measured=["accuracy"]),
        None,
    ),
    "activity": (
        builder(more=[lambda: layers.Dense(3, activity_regularizer="l2")], measured=["accuracy"]),
        None,
    ),
    "added": (builder(more=[Penalty]), None),
    "own compute_loss": (builder(kind=OwnLoss), None),
    "own loss": (
        builder(loss=lambda y, p: ops.mean(ops.square(p - y), -1), units=1, activation=None),
        NUMBERS,
    ),
}


def chance_of(build, data=(TRAIN, HELD_OUT)):
    """Return what a sweep would say of the best constant answer."""
    seeds = np.arange(1)
    return _prepare.prepare(build, *data, seeds, 1, 8, True, None, None, None, None).chance


@pytest.mark.parametrize("name", NO_CHANCE)
def test_where_chance_is_not_known_nothing_is_said_of_the_loss(name):
    build, data = NO_CHANCE[name]
    assert "val_loss" not in chance_of(build, data or (TRAIN, HELD_OUT))


@pytest.mark.parametrize("name", ["penalty", "activity"])
def test_a_penalty_takes_nothing_from_the_accuracy_of_a_constant_answer(name):
    share = np.bincount(HELD_OUT[1]).max() / len(HELD_OUT[1])
    assert chance_of(NO_CHANCE[name][0]) == {"val_accuracy": pytest.approx(share)}


def test_what_a_mask_leaves_out_is_no_part_of_chance():
    words = np.where(np.arange(6) < 2, np.random.default_rng(0).integers(1, 9, (14, 6)), 0)
    data = (words, words % 3), (words, words % 3)

    def build(masked, whole):
        body = [layers.Embedding(9, 4, mask_zero=masked), layers.LSTM(3, return_sequences=whole)]
        model = keras.Sequential([keras.Input((6,)), *body, layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert chance_of(lambda: build(True, True), data) == {}
    assert set(chance_of(lambda: build(False, True), data)) == {"val_loss", "val_accuracy"}
    data = (words, words[:, 0] % 3), (words, words[:, 0] % 3)  # an LSTM's last output has no mask
    assert set(chance_of(lambda: build(True, False), data)) == {"val_loss", "val_accuracy"}


@pytest.mark.long
def test_one_hot_with_sigmoid_is_no_accuracy_of_single_labels():
    build = builder(loss="binary_crossentropy", activation="sigmoid", measured=["accuracy"])
    chance = chance_of(build, ONE_HOT)
    assert "val_accuracy" not in chance
    labels = np.stack([np.full(14, 1), np.arange(14) % 2], axis=1)
    many = builder(loss="binary_crossentropy", activation="sigmoid", units=2, measured=["accuracy"])
    data = (X[:14], labels), (X[:14], labels)
    assert "val_accuracy" not in chance_of(many, data)


def for_eights():
    """Return a model that takes batches of 8 examples and no others."""
    inputs = keras.Input(batch_shape=(8, 4))
    outputs = layers.Dense(3, "softmax")(layers.Flatten()(ops.reshape(inputs, (8, 2, 2))))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_chance_is_known_of_a_model_for_one_size_of_batches():
    data = (X[:16], CLASSES[:16]), (X[16:32], CLASSES[16:32])
    assert set(chance_of(for_eights, data)) == {"val_loss", "val_accuracy"}


@pytest.mark.parametrize(
    ("count", "held_out", "batch_size", "said"),
    [
        (16, 16, 16, "batches have 16: let them have 8"),
        (20, 16, 8, "the last batch of train_data has 4: leave out 4 examples"),
        (16, 19, 8, "the last batch of validation_data has 3: leave out 3 examples"),
    ],
)
def test_batches_of_a_size_that_a_model_was_not_made_for(count, held_out, batch_size, said):
    data = [(X[:size], CLASSES[:size]) for size in (count, held_out)]
    with pytest.raises(ValueError, match=f"made for batches of 8 .*{said}"):
        sweep(for_eights, data=data, epochs=1, batch_size=batch_size, seeds=1)


def test_where_chance_is_known_it_is_that_of_the_best_constant():
    chance = sweep(builder(measured=["accuracy"]), epochs=1, seeds=1).chance
    assert chance == chance_of(builder(measured=["accuracy"]))
    shares = np.bincount(HELD_OUT[1]) / len(HELD_OUT[1])
    assert chance["val_accuracy"] == shares.max()
    assert chance["val_loss"] == pytest.approx(-np.sum(shares * np.log(shares)))


@pytest.mark.long
def test_looking_at_the_loss_s_kind_only_is_noticed(monkeypatch):
    monkeypatch.setattr(_model_checks, "own_loss", lambda model: type(model.loss))
    with pytest.raises(AssertionError):
        test_where_chance_is_not_known_nothing_is_said_of_the_loss("sum")


# Kind 10: promises about the surroundings


class Threads(Executor):
    """Threads in disguise."""

    def submit(self, function, *arguments):
        future = Future()

        def work():
            future.set_result(function(*arguments))

        threading.Thread(target=work).start()
        return future


def test_threads_are_refused():
    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="not in threads"):
        sweep(builder(), executor=pool)
    with pytest.raises(ValueError, match="not in threads"):
        sweep(builder(kind=OwnStep), executor=Threads())


def test_processes_that_fork_are_refused():
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool,
        pytest.raises(ValueError, match=r"executor must not fork, .*get_context\(\"spawn\"\)"),
    ):
        sweep(builder(), executor=pool)


def test_calls_from_two_threads_wait_for_each_other():
    ended = threading.Event()

    def other():
        with _surroundings.as_before():
            ended.set()

    thread = threading.Thread(target=other, daemon=True)
    with _surroundings.as_before(), _surroundings.as_before():  # one thread may nest them
        thread.start()
        assert not ended.wait(0.1)
    assert ended.wait(10)


@pytest.mark.parametrize("kind", mostly_long([keras.Model, OwnStep], keras.Model))
def test_random_numbers_go_on_as_if_nothing_had_been(kind):
    def numbers():
        return [
            random.random(),
            np.random.normal(),
            float(tf.random.normal(())),
            float(keras.random.normal(())),
            float(keras.initializers.RandomNormal()(())),
        ]

    def after(between):
        keras.utils.set_random_seed(7)
        first = numbers()
        between()
        return first + numbers()

    build = builder(kind=kind, more=[lambda: layers.Dropout(0.2)])
    wanted = after(lambda: None)
    assert after(lambda: sweep_without_clearing(build)) == wanted
    assert after(lambda: refused(kind)) == wanted


def sweep_without_clearing(build, data=(TRAIN, HELD_OUT)):
    sweep_learning_rates(build, [0.1, 0.01], *data, epochs=1, batch_size=8, seeds=2, progress=False)


def refused(kind):
    with pytest.raises(ValueError, match="must return"):
        sweep_without_clearing(lambda: None)


@pytest.mark.long
def test_reseeding_is_noticed(monkeypatch):
    monkeypatch.setattr(_surroundings, "as_before", contextlib.nullcontext)
    with pytest.raises(AssertionError):
        test_random_numbers_go_on_as_if_nothing_had_been(keras.Model)


def test_names_and_loggers_are_left_alone():
    keras.utils.clear_session(free_memory=False)
    logger = logging.getLogger("lrsweep")
    handlers, level = list(logger.handlers), logger.level
    sweep_without_clearing(named_anew(yes_or_no()), YES_NO)
    assert keras.layers.Dense(1).name == "dense"
    assert metrics.AUC().name == "auc"
    assert (logger.handlers, logger.level) == (handlers, level)


@pytest.mark.long
def test_images_stay_bytes():
    images = np.random.default_rng(0).integers(256, size=(12, 4, 4, 1)).astype("uint8")
    examples = _examples.check_examples("train_data", (images, np.arange(12) % 2))
    assert examples.x is images or np.shares_memory(examples.x, images)
    seen = []

    class Seeing(layers.Layer):
        def call(self, inputs):
            seen.append(inputs.dtype)
            return layers.Rescaling(1 / 255)(inputs)

    def build():
        inputs = keras.Input((4, 4, 1), dtype="uint8")
        features = layers.Flatten()(Seeing(dtype="uint8")(inputs))
        model = keras.Model(inputs, layers.Dense(2, "softmax")(features))
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    data = (images, np.arange(12) % 2)
    result = sweep(build, data=(data, data), epochs=2)
    assert result.engine == "vectorized", result.reason
    assert {str(keras.backend.standardize_dtype(dtype)) for dtype in seen} == {"uint8"}
    assert_equals_fit(result, build, data=(data, data), epochs=2)


def test_floats_are_not_copied_where_they_fit():
    x = X.astype("float32")
    assert _examples.check_examples("train_data", (x, CLASSES)).x is x


# What Python does while Keras traces a step, or in each step that is run eagerly


class Python(layers.Layer):
    """Scales by what Python gives it each time that it runs."""

    def __init__(self, draw):
        super().__init__()
        self.draw, self.calls = draw, 0

    def call(self, inputs):
        self.calls += 1
        return inputs * (1 + 0.1 * self.draw(self))


class PythonMean(metrics.Metric):
    """Divides by a number that Python counts."""

    def __init__(self):
        super().__init__(name="python_mean")
        self.count, self.sum = 0, self.add_variable((), "zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count += 1
        self.sum.assign_add(ops.max(y_pred))

    def result(self):
        return self.sum / self.count


DRAWS = {"counts": lambda layer: layer.calls, "draws": lambda _: float(np.random.uniform())}


@pytest.mark.parametrize("name", DRAWS)
def test_what_python_does_while_a_step_is_traced_is_refused(name):
    with pytest.raises(ValueError, match=r"another one each time Keras traces it: .*add_weight"):
        sweep(builder(more=[lambda: Python(DRAWS[name])]))


def test_a_metric_that_counts_in_python_is_refused():
    with pytest.raises(ValueError, match=r"another one each time Keras traces it"):
        sweep(lambda: builder(measured=[PythonMean()])())


def test_a_count_that_nothing_depends_on_is_fine():
    check(builder(more=[lambda: Python(lambda _: 1)]), epochs=2)


class Compiled(layers.Layer):
    """Does everything within a function of TensorFlow, which holds what it finds at first."""

    def __init__(self, rate):
        super().__init__()
        self.dense, self.dropout = layers.Dense(6, "tanh"), layers.Dropout(rate)

    def build(self, shape):
        self.dense.build(shape)

    @tf.function
    def call(self, inputs, training=False):
        return self.dropout(self.dense(inputs), training=training)


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_what_hides_variables_in_a_function_is_trained_sequentially(rate):
    result = check(builder(more=[lambda: Compiled(rate)]), "sequential", epochs=2)
    assert "variables within a function of its own, with @tf.function" in result.reason


class CompiledMean(metrics.Mean):
    @tf.function
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(tf.reduce_sum(y_pred))
        self.count.assign_add(1.0)


def test_a_metric_that_counts_in_a_function_is_refused_in_words():
    said = r"^a layer, metric or loss .* leave out @tf\.function"
    with pytest.raises(ValueError, match=said):
        sweep(lambda: builder(measured=[CompiledMean()])())
    with pytest.raises(ValueError, match=said):
        range_test(builder(measured=[CompiledMean()])(), TRAIN, batch_size=8)


def test_a_model_made_under_a_strategy_is_refused_in_words():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])

    def build():
        with strategy.scope():
            return builder()()

    with pytest.raises(ValueError, match=r"tf\.distribute .*: make it without strategy\.scope"):
        sweep(build)
    with pytest.raises(ValueError, match=r"tf\.distribute .*: make it without strategy\.scope"):
        range_test(build(), TRAIN, batch_size=8)


CLIPS = {"clipnorm": 1e3, "global_clipnorm": 1e3, "clipvalue": 1e3}


@pytest.mark.parametrize("name", mostly_long(CLIPS, "global_clipnorm"))
def test_gathered_gradients_that_might_be_clipped_are_left_to_keras(monkeypatch, name):
    """However rarely: 1000 is far above anything that an update tried before would show."""

    def build():
        model = keras.Sequential([keras.Input((6,)), layers.Embedding(9, 4), layers.Flatten()])
        model.add(layers.Dense(3, "softmax"))
        model.compile(optimizers.SGD(**{name: CLIPS[name]}), "sparse_categorical_crossentropy")
        return model

    tokens = [(np.arange(6 * len(y)).reshape(-1, 6) % 9, y) for _, y in (TRAIN, HELD_OUT)]
    result = check(build, "sequential", data=tokens, epochs=1, seeds=[1])
    assert "more than once" in result.reason

    def copies(*_):
        raise AssertionError("copies take long to make")

    monkeypatch.setattr(_gate, "Copies", copies)
    assert "more than once" in sweep(build, epochs=1, seeds=1, data=tokens).reason


class Breaks(keras.Model):
    """Stops with an error of TensorFlow's in its tenth update."""

    def train_step(self, data):
        tf.debugging.assert_less(
            tf.cast(self.optimizer.iterations.value, "int64"), tf.constant(9, "int64")
        )
        return super().train_step(data)


def test_an_error_in_the_middle_says_in_which_training():
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        sweep(builder(kind=Breaks), seeds=[4])
    told = "This came from the training at learning rate 0.1 with seed 4."
    assert caught.value.__notes__ == [told]


def test_a_convolution_in_groups_beside_own_code_is_fine():
    """Keras compiles it, and a tensor from outside is numbered at each tracing."""
    convolution = [lambda: layers.Reshape((6, 1, 1)), lambda: layers.Conv2D(4, 1)]
    convolution += [lambda: layers.Conv2D(4, 1, groups=2), layers.Flatten]
    build = builder(more=[lambda: Python(lambda _: 1), *convolution])
    assert_equals_fit(sweep(build, epochs=2, seeds=[1]), build, epochs=2)


@pytest.mark.parametrize("name", mostly_long(DRAWS, "counts"))
def test_what_python_does_in_eager_steps_is_as_in_fit(name):
    build = builder(more=[lambda: Python(DRAWS[name])], run_eagerly=True)
    check(build, "sequential", epochs=2, seeds=[1], rates=[0.01])


@pytest.mark.long
def test_what_only_the_first_step_builds_is_as_in_fit():
    def build():
        model = keras.Sequential([Python(DRAWS["counts"]), layers.Dense(3, "softmax")])
        loss = "sparse_categorical_crossentropy"
        model.compile("adam", loss, metrics=["accuracy"], run_eagerly=True)
        return model

    check(build, "sequential", epochs=2, seeds=[1], rates=[0.01])


def test_a_count_that_the_models_share_is_refused():
    numbers = itertools.count()

    def loss(y_true, y_pred):
        return losses.sparse_categorical_crossentropy(y_true, y_pred) * (1 + next(numbers) / 100)

    with pytest.raises(ValueError, match=r"go on from each other: .*Make that in build_model"):
        sweep(builder(loss=loss, run_eagerly=True))


class Enough(keras.Model):
    def train_step(self, data):
        self.stop_training = int(self.optimizer.iterations) >= 5
        return super().train_step(data)


def test_a_step_may_stop_the_training():
    build = builder(kind=Enough, run_eagerly=True)
    result = sweep(build, rates=[0.01], seeds=[1])
    history = history_of(result, 0.01, 1)
    right = fit(build, 0.01, 1, TRAIN, HELD_OUT, epochs=3, batch_size=8)
    assert len(right["loss"]) == 2
    assert np.isnan(history["loss"][2])
    assert difference({name: it[:2] for name, it in history.items()}, right) < TOLERANCE


@tf.custom_gradient
def clipped(values):
    return tf.identity(values), lambda slopes: tf.clip_by_value(slopes, -3.0, 3.0)


def test_a_gradient_of_its_own_that_clips_nothing_at_first_is_not_vectorized():
    more = [lambda: layers.Lambda(clipped)]
    result = sweep(builder(more=more), epochs=1)
    assert result.engine == "sequential"
    assert "would forget a gradient of its own, written in test_kinds" in result.reason


def test_gradients_that_keras_and_the_package_write_are_vectorized():
    assert sweep(builder(more=[lambda: layers.Activation("silu")]), epochs=1).engine == "vectorized"


# Names and directions that don't say what they seem to


class Error(metrics.SparseCategoricalAccuracy):
    def result(self):
        return 1 - super().result()


class Told(Error):
    def __init__(self, **arguments):
        super().__init__(**arguments)
        self._direction = "down"


class Renamed(metrics.SparseCategoricalAccuracy):
    pass


def test_a_metric_that_turns_another_one_round_has_no_direction():
    measured = [Error(name="error"), Told(name="told"), Renamed(name="renamed")]
    result = sweep(builder(measured=measured), epochs=1)
    ways = [result.directions.get(f"val_{name}") for name in ("error", "told", "renamed")]
    assert ways == [None, "min", "max"]
    with pytest.raises(ValueError, match="nobody said which way val_error is better"):
        choose_learning_rate(result, "val_error")


def test_a_metric_by_the_name_of_the_loss_is_refused():
    accuracy = metrics.SparseCategoricalAccuracy(name="loss")
    with pytest.raises(ValueError, match=r"must have different names, .*got 'loss' twice"):
        sweep(builder(measured=[accuracy]))


# Data that are not what NumPy makes of them


class Difference(losses.Loss):
    def call(self, y_true, y_pred):
        return ops.square(y_true - y_pred)


def test_a_series_is_a_column_as_in_fit():
    pandas = pytest.importorskip("pandas")
    data = [(pandas.DataFrame(x), pandas.Series(y[:, 0])) for x, y in NUMBERS]
    build = builder(loss=Difference(), units=1, activation=None)
    result = sweep(build, rates=[0.01], seeds=[1], data=data, shuffle=False)
    keras.utils.set_random_seed(1)
    model = build()
    model.optimizer.learning_rate = 0.01
    (x, y), held_out = data
    right = model.fit(
        x, y, batch_size=8, epochs=3, shuffle=False, validation_data=held_out, verbose=0
    )
    assert difference(history_of(result, 0.01, 1), right.history) < TOLERANCE


class Static(layers.Layer):
    """Asks Python how many examples there are."""

    def call(self, inputs):
        return inputs * (1.0 if inputs.shape[0] is None else 0.5)


def batches(x, y, drop=True):
    return tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(7, drop)


def test_a_stream_with_batches_of_one_size_is_traced_for_that_size():
    data, build = [batches(*part) for part in (TRAIN, HELD_OUT)], builder(more=[Static])
    result = sweep(build, rates=[0.01], seeds=[1], data=data)
    keras.utils.set_random_seed(1)
    model = build()
    model.optimizer.learning_rate = 0.01
    right = model.fit(data[0], epochs=3, validation_data=data[1], verbose=0)
    assert difference(history_of(result, 0.01, 1), right.history) < TOLERANCE


@pytest.mark.parametrize("name", ["SGD", "Lion", "Adam", "RMSprop", "Adagrad"])
def test_squares_of_a_word_that_comes_twice_are_why_an_embedding_is_sequential(name):
    """What the README says: Keras with sparse gradients, and with the same ones made dense."""

    def update(words, dense):
        embedding = layers.Embedding(6, 3)
        embedding.build()
        embedding.embeddings.assign(np.ones((6, 3)))
        optimizer = getattr(optimizers, name)(0.1)
        for number in (1.0, 2.0):
            with tf.GradientTape() as tape:
                loss = number * tf.reduce_sum(embedding(words) * [[1.0], [2.0]])
            slope = tape.gradient(loss, embedding.embeddings.value)
            slope = tf.convert_to_tensor(slope) if dense else slope
            optimizer.apply([slope], [embedding.embeddings])
        states = [part for part in optimizer.variables if part.shape == (6, 3)]
        return np.array([embedding.embeddings, *states])

    for words, square in ((np.array([0, 1]), False), (np.array([2, 2]), True)):
        same = np.allclose(update(words, False), update(words, True), atol=1e-6)
        assert same != (square and name in ("Adam", "RMSprop", "Adagrad"))


@pytest.mark.parametrize("place", [0, 1])
def test_a_stream_that_comes_to_its_end_is_refused(place):
    data = [batches(*part, drop=False) for part in (TRAIN, HELD_OUT)]
    going, spec = iter(data[place]), data[place].element_spec
    data[place] = tf.data.Dataset.from_generator(lambda: going, output_signature=spec)
    with pytest.raises(ValueError, match=r"must give its batches each time .*no more"):
        sweep(builder(), data=data)


@pytest.mark.parametrize(("place", "name"), enumerate(["train_data", "validation_data"]))
def test_a_stream_with_a_later_batch_that_is_not_finite_is_refused(place, name):
    """Else all trainings would be called diverged, and their rates blamed."""
    parts = [(x.copy(), y) for x, y in (TRAIN, HELD_OUT)]
    parts[place][0][9, 2] = np.nan
    said = f"x of {name} holds 1 values that are not finite, in batch 2"
    with pytest.raises(ValueError, match=f"loss must be a finite number .*it is nan: {said}"):
        sweep(builder(), data=[batches(*part) for part in parts])


def test_missing_targets_in_a_stream_that_the_loss_leaves_out_are_fine():
    def known_only(y_true, y_pred):
        known = tf.math.is_finite(y_true)
        return tf.where(known, tf.square(tf.where(known, y_true, 0.0) - y_pred), 0.0)

    parts = [(x, y.astype("float32")) for x, y in NUMBERS]
    parts[0][1][9] = np.nan
    build = builder(loss=known_only, units=1, activation=None)
    result = sweep(build, epochs=1, seeds=1, data=[batches(*part) for part in parts])
    assert not result.diverged.any()


class Conditional(optimizers.SGD):
    """Assigns in a condition, where TensorFlow's loop over copies fails in a way of its own."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)

        def halve():
            variable.assign(variable * 0.5)

        ops.cond(ops.equal((self.iterations + 1) % 6, 0), halve, lambda: None)


def test_whatever_tensorflow_fails_with_the_model_is_trained_sequentially():
    assert "cannot carry it over copies" in check(builder(Conditional), "sequential").reason


def test_a_model_that_can_only_be_trained_traced():
    """The gradients of Keras's float8 fail eagerly."""

    def build():
        model = builder()()
        model.layers[1].quantize("float8")
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    check(build, "sequential")
