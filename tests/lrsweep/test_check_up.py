"""The check-up: each measure on a healthy and a sick model, no trace, the budget, the report."""

import contextlib
import math
import random
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_digits

import lrsweep
from lrsweep import CheckUp, _check_up, _measures, _related, check_up
from lrsweep import _measures_of_gradients as of_gradients
from lrsweep import _measures_of_rate as of_rate
from lrsweep._activity import look_through
from lrsweep._examples import Examples, check_examples
from lrsweep._patient import Patient
from lrsweep._report import CAUSES, Measure, NotKnown
from lrsweep._restore import Snapshot, restored
from lrsweep._trials import FACTORS, Trial

layers, optimizers = keras.layers, keras.optimizers
schedules = optimizers.schedules
RANDOM = np.random.default_rng(0)
CENTRES = 2 * RANDOM.normal(size=(3, 4))
Y = RANDOM.integers(3, size=160)
X = CENTRES[Y] + RANDOM.normal(size=(160, 4))
X /= X.std(axis=0)
DATA, HELD_OUT = (X[:120], Y[:120]), (X[120:], Y[120:])


def network(optimizer=None, hidden=(), loss="sparse_categorical_crossentropy", kind=None, **more):
    keras.utils.set_random_seed(0)
    hidden = hidden or [layers.Dense(8, "relu")]
    model = (kind or keras.Sequential)([keras.Input((4,)), *hidden, layers.Dense(3, "softmax")])
    model.compile(optimizer or optimizers.SGD(0.1), loss, **more)
    return model


def line(curvature=2.0, optimizer=None, start="ones"):
    """A model and data whose loss is λw²/2 exactly."""
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1, None, False, start)])
    model.compile(optimizer or optimizers.SGD(0.1), "mse")
    return model, (np.full((64, 1), np.sqrt(curvature / 2)), np.zeros((64, 1)))


@contextlib.contextmanager
def patient(model, data=DATA, held_out=HELD_OUT, **changes):
    """A patient, as `check_up` makes it."""
    train = check_examples("train_data", data)
    held_out = held_out and check_examples("validation_data", held_out)
    named = {
        "batch_size": 16, "epochs": 20, "shuffled": True, "seed": 0, "planned": 160,
        "deadline": time.monotonic() + 60,
    } | changes  # fmt: skip
    with restored(model, train, named["batch_size"]) as (kept, set_rate):
        yield Patient(model, train, held_out, kept, set_rate, **named)


def measured(measure, *arguments, **changes):
    with patient(*arguments, **changes) as one:
        return measure(one)


def trained(model, epochs=5, data=DATA, **more):
    keras.utils.set_random_seed(1)
    model.fit(*data, epochs=epochs, verbose=0, **more)
    return model


# --- Each measure, healthy and sick ---


def test_a_new_classifier_starts_near_guessing():
    found = measured(_measures.start, network())
    guess = -sum(p * math.log(p) for p in np.bincount(DATA[1]) / 120)
    assert found.verdict == "healthy"
    with patient(network()) as one:
        assert one.guess == pytest.approx(guess)
        assert found.value == pytest.approx(one.start / guess)


def test_targets_far_away_and_ruined_weights_are_alarming():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(optimizers.SGD(0.01), "mse")
    far = (X[:120], 400.0 + 77 * X[:120, 0])
    found = measured(_measures.start, model, far, None)
    assert (found.verdict, found.cause) == ("ALARM", "targets")
    assert found.value > _measures.FAR
    ruined = trained(network(optimizers.SGD(0.1)), epochs=1)
    ruined.layers[-1].bias.assign([50.0, -50.0, 0.0])
    assert measured(_measures.start, ruined).cause == "start"


def test_a_training_that_has_hardly_begun_is_not_said_to_have_ruined_the_weights():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(optimizers.SGD(1e-5), "mse")
    far = (X[:120], 400.0 + 77 * X[:120, 0])
    found = measured(_measures.start, trained(model, 1, far), far, None)
    assert found.cause == "targets"
    model = network()
    model.layers[-1].kernel.assign(6 * model.layers[-1].kernel)
    found = measured(_measures.start, trained(model, 1, (X[:16], Y[:16])))
    assert _measures.RUINED < found.value < _measures.FAR
    assert "if the loss was falling, train on" in found.advice
    assert "ruined" not in CAUSES["start"]


def test_rare_classes_are_no_targets_to_standardise():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    rare = (np.arange(120) > 0).astype("float32")[:, None]
    found = measured(_measures.start, model, (X[:120], rare), None)
    assert found.value > _measures.FAR
    assert (found.verdict, found.cause) == ("look", "")
    assert "standardise" not in found.advice


def test_where_guessing_is_no_measure_it_is_not_known():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(NotKnown, match="all targets are the same"):
        measured(_measures.start, model, (X[:120], np.ones((120, 1))), None)

    words = np.where(np.arange(6) < 2, Y[:120, None] + 1, 0)
    model = keras.Sequential([layers.Embedding(4, 3, mask_zero=True), layers.Dense(4, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(NotKnown, match="masks some outputs"):
        measured(_measures.start, model, (words, words), None)


def test_penalties_count_as_part_of_guessing():
    hidden = [layers.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(10.0))]
    with patient(network(hidden=hidden)) as one:
        assert one.penalty > 20
        assert one.start / one.guess == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1, "healthy"), (5, "look"), (100, "ALARM"), (0.001, "ALARM")]
)
def test_inputs_are_measured_where_they_enter_weights(factor, verdict):
    raw = (factor * X[:120], DATA[1])
    found = measured(_measures.inputs, network(), raw, None)
    assert found.verdict == verdict
    rms = np.sqrt(np.mean(raw[0] ** 2, axis=0)).max()
    assert found.value == pytest.approx(rms, rel=1e-3)  # all 120 are in the sample
    scaled = layers.Normalization()
    scaled.adapt(raw[0])
    inside = measured(_measures.inputs, network(hidden=[scaled, layers.Dense(8)]), raw, None)
    assert inside.verdict == "healthy"


def test_a_condition_number_that_is_not_computed_is_not_printed_as_one():
    wide = np.random.default_rng(0).normal(size=(120, 1001)).astype("float32")
    dense = [layers.Dense(8), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((1001,)), *dense])
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    said = measured(_measures.inputs, model, (wide, DATA[1]), None).measured
    assert said.endswith("condition number not computed for more than 1000 features")


def test_the_condition_number_is_that_of_the_inputs_with_a_one():
    (inputs,), _ = look_through(network(), DATA[0])
    columns = np.column_stack([DATA[0], np.ones(120)])
    assert inputs.condition == pytest.approx(np.linalg.cond(columns.T @ columns), rel=1e-3)


def test_hidden_layers_are_no_inputs_and_indices_are_none():
    hidden = [layers.Dense(8, "relu", bias_initializer="ones"), layers.Dense(8)]
    found, _ = look_through(network(hidden=hidden), 10 * X)
    assert [it.layer for it in found] == [hidden[0].name]
    texts = keras.Sequential([keras.Input((4,)), layers.Embedding(9, 3), layers.Flatten()])
    texts.add(layers.Dense(3, "softmax"))
    texts.compile("adam", "sparse_categorical_crossentropy")
    words = RANDOM.integers(9, size=(120, 4))
    with pytest.raises(NotKnown, match="no layer with a kernel gets plain numbers"):
        measured(_measures.inputs, texts, (words, DATA[1]), None)


def test_dead_units_are_counted_in_the_worst_layer():
    for dead, verdict in ((0, "healthy"), (3, "look"), (6, "ALARM")):
        model = network()
        model.layers[0].bias.assign([-100.0] * dead + [3.0] * (8 - dead))
        found = measured(_measures.units, model)
        assert (found.value, found.verdict) == (dead / 8, verdict)
    with pytest.raises(NotKnown, match="no layer is seen to use relu"):
        measured(_measures.units, network(hidden=[layers.Dense(8, "tanh")]))


def test_units_of_a_layer_that_is_partly_dead_can_come_back():
    """So the check-up doesn't say that no rate revives them."""
    keras.utils.set_random_seed(2)  # before the layers draw the seeds of their weights
    model = network(optimizers.Adam(0.01), [layers.Dense(8, "relu"), layers.Dense(8, "relu")])
    model.layers[1].bias.assign([-4.0] * 6 + [3.0] * 2)
    found = measured(_measures.units, model)
    assert found.verdict == "ALARM"
    assert "no gradient reaches them" in found.advice
    assert measured(_measures.units, trained(model, 60)).value < found.value


@pytest.mark.parametrize("layer", [layers.ReLU, lambda: layers.Activation("relu")])
def test_units_of_layers_that_are_relu_are_seen(layer):
    hidden = [layers.Dense(8, bias_initializer=keras.initializers.Constant(-99.0)), layer()]
    assert measured(_measures.units, network(hidden=hidden)).value == 1


def shared(hidden, frozen=False):
    """A model of two inputs that go through the same layers."""
    keras.utils.set_random_seed(0)
    hidden.trainable = not frozen
    given = keras.Input((4,)), keras.Input((4,))
    model = keras.Model(given, layers.Dense(3, "softmax")(layers.add([*map(hidden, given)])))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_a_shared_layer_is_judged_by_all_its_calls():
    model, data = shared(layers.Dense(8, "relu")), ([0 * DATA[0], DATA[0]], DATA[1])
    assert measured(_measures.units, model, data, None).value < 0.5
    found = measured(_measures.inputs, model, data, None)
    rms = np.sqrt(np.mean(DATA[0] ** 2, axis=0) / 2)
    assert found.value == pytest.approx(rms.max(), rel=1e-5)


def test_a_relu_that_is_used_again_has_other_units_each_time():
    relu, dying = layers.ReLU(), keras.initializers.Constant(-99.0)
    hidden = [layers.Dense(8), relu, layers.Dense(6, bias_initializer=dying), relu]
    assert measured(_measures.units, network(hidden=hidden)).value == 1


def test_units_that_are_frozen_have_not_died_of_training():
    dead = layers.Dense(8, "relu", bias_initializer=keras.initializers.Constant(-99.0))
    data = ([DATA[0], DATA[0]], DATA[1])
    with pytest.raises(NotKnown, match="no layer is seen to use relu after weights that are tr"):
        measured(_measures.units, shared(dead, frozen=True), data, None)


def test_a_deep_model_is_not_gone_back_through_for_each_of_its_layers(monkeypatch):
    asked, gradient = [], tf.GradientTape.gradient

    def noting(tape, *args, **kwargs):
        asked.append(args)
        return gradient(tape, *args, **kwargs)

    hidden = [it for _ in range(9) for it in (layers.Dense(8), layers.ReLU(), layers.Dropout(0.1))]
    model = network(hidden=hidden)
    monkeypatch.setattr(tf.GradientTape, "gradient", noting)
    inputs, dead = look_through(model, DATA[0])
    assert (len(inputs), len(dead)) == (1, 9)
    assert len(asked) <= 2  # for the first layer, whose input no weight has made


def test_a_series_that_begins_with_padding_is_no_input_that_is_not_scaled():
    x = np.concatenate([np.zeros((120, 3, 4)), DATA[0][:, None]], axis=1)
    model = keras.Sequential([keras.Input((4, 4)), layers.GRU(4), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    found = measured(_measures.inputs, model, (x, DATA[1]), None)
    assert found.value == pytest.approx(np.sqrt(np.mean(DATA[0] ** 2, axis=0) / 4).max(), rel=1e-5)


def test_sorted_examples_are_alarming_unless_they_are_shuffled():
    place = np.argsort(DATA[1])
    by_class = DATA[0][place], DATA[1][place]
    for data, shuffled, verdict in (
        (by_class, False, "ALARM"),
        (by_class, None, "ALARM"),
        (by_class, True, "healthy"),
        (DATA, False, "healthy"),
    ):
        found = measured(_measures.order, network(), data, None, shuffled=shuffled)
        assert found.verdict == verdict
    first = X, np.zeros(160, int)  # of a dataset that is longer than what is looked at
    found = measured(_measures.order, network(), first, None, shuffled=None, planned=20 * 400)
    assert found.verdict == "ALARM"
    rising = (np.linspace(-1, 1, 64).reshape(-1, 1), np.linspace(-1, 1, 64))
    assert measured(_measures.order, line()[0], rising, None, shuffled=False).verdict == "ALARM"


SCHEDULES = {
    "constant": (None, "healthy"),
    "cosine": (lambda: schedules.CosineDecay(0.1, 160), "healthy"),
    "warm-up": (
        lambda: schedules.CosineDecay(0.0, 100, warmup_target=0.1, warmup_steps=60), "healthy"),
    "per update": (lambda: schedules.ExponentialDecay(0.1, 1, 0.9), "ALARM"),
    "per epoch": (lambda: schedules.ExponentialDecay(0.1, 8, 0.9), "healthy"),
    "whole number": (lambda: schedules.ExponentialDecay(1, 10, 0.5), "ALARM"),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_read_ahead(name):
    make, verdict = SCHEDULES[name]
    found = measured(_measures.schedule, network(optimizers.SGD(make() if make else 0.1)))
    assert found.verdict == verdict
    assert ("floats" in found.advice) == (name == "whole number")
    assert ("updates, not epochs: one epoch here has 8" in found.advice) == (name == "per update")


def test_a_schedule_that_is_shorter_than_the_training_may_be_meant():
    """Twenty epochs are planned, if check_up isn't told; a whole number does no harm here."""
    for short in (schedules.CosineDecay(0.1, 40), schedules.PolynomialDecay(1, 40, 0.0)):
        found = measured(_measures.schedule, network(optimizers.SGD(short)))
        assert found.verdict == "ALARM"
        assert "20 epochs are planned. If you mean fewer, give epochs to check_up" in found.advice


def test_a_second_fit_goes_on_where_the_schedule_has_ended():
    model = trained(network(optimizers.SGD(schedules.CosineDecay(0.1, 20))), epochs=5)
    assert int(model.optimizer.iterations) == 20
    found = measured(_measures.schedule, model)
    assert found.cause == "schedule"
    assert "it is over after 20 updates" in found.advice


def test_weights_without_their_optimizers_memory():
    model = trained(network(optimizers.Adam(0.05)), epochs=30)
    assert measured(_measures.memory, model).verdict == "healthy"
    resumed = network(optimizers.Adam(0.05))
    assert measured(_measures.memory, resumed).verdict == "healthy"
    resumed.set_weights(model.get_weights())
    assert measured(_measures.memory, resumed).cause == "memory"
    plain = network(optimizers.SGD(0.1))  # has nothing to lose
    plain.set_weights(model.get_weights())
    assert measured(_measures.memory, plain).verdict == "healthy"


def unfrozen(seed):
    """A network trained for ten classes, with a new head for two that was trained alone."""
    x, y = load_digits(return_X_y=True)
    x, pairs = ((x - x.mean()) / x.std())[:600], y[:600] % 2
    keras.utils.set_random_seed(seed)
    base = keras.Sequential([keras.Input((64,)), layers.Dense(32, "relu")])
    for classes, rate, labels in ((10, 0.001, y[:600]), (2, 0.01, pairs)):
        model = keras.Sequential([keras.Input((64,)), base, layers.Dense(classes, "softmax")])
        model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy")
        model.fit(x, labels, epochs=8, verbose=0)
        base.trainable = not base.trainable
    model.compile(optimizers.Adam(1e-4), "sparse_categorical_crossentropy")
    return model, (x, pairs)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_that_was_just_unfrozen_has_a_new_optimizer_on_purpose(seed):
    assert measured(_measures.memory, *unfrozen(seed)).verdict == "healthy"


def test_velocity_from_a_larger_rate():
    model = trained(network(optimizers.SGD(0.05, 0.9)))
    calm = measured(_measures.memory, model)
    assert calm.verdict == "healthy"
    model.optimizer.learning_rate = 0.0005
    found = measured(_measures.memory, model)
    assert found.cause == "memory"
    assert found.value == pytest.approx(100 * calm.value, rel=1e-3)
    for velocity in model.optimizer.momentums:
        velocity.assign(velocity / 100)  # the cure
    assert measured(_measures.memory, model).verdict == "healthy"


def test_velocity_from_larger_gradients_is_not_called_one_from_a_larger_rate():
    """A weight that swings through its minimum is fast where the gradient is small."""
    model, data = line(2.0, optimizers.SGD(0.02, 0.9))
    for _ in range(8):
        model.train_on_batch(*data)
    found = measured(_measures.memory, model, data, None, batch_size=64)
    assert found.value > _measures.STALE
    assert "if not, gradients were larger a moment ago" in found.advice


def test_averages_that_have_not_settled():
    raw = (500 + 100 * X[:120], DATA[1])
    for momentum, verdict in ((0.99, "ALARM"), (0.8, "healthy")):
        hidden = [layers.BatchNormalization(momentum=momentum), layers.Dense(8, "relu")]
        found = measured(_measures.averages, network(hidden=hidden), raw, raw, planned=40)
        assert found.verdict == verdict
    assert measured(_measures.averages, network()).value is None


def test_averages_that_fall_behind_the_weights_are_worth_a_look():
    """They have left their start by the last update, but not by the end of the trial."""
    hidden = [layers.BatchNormalization(momentum=0.999), layers.Dense(8, "relu")]
    raw = (500 + 100 * X[:120], DATA[1])
    found = measured(_measures.averages, network(hidden=hidden), raw, raw, planned=2500)
    assert found.value > 2
    assert found.verdict == "look"


def test_updates_are_compared_with_the_weights():
    model, data = line(8.0)  # the loss 4w², so w loses the share 8η at each update
    found = measured(of_gradients.updates, model, data, None)
    assert found.value == pytest.approx(0.8, rel=1e-5)
    assert found.verdict == "look"
    assert measured(of_gradients.updates, network()).verdict == "healthy"


@pytest.mark.parametrize("updates_made", [0, 3])
def test_what_begins_at_zero_does_not_make_small_updates_look_healthy(updates_made):
    """The biases of a GRU have two axes; a tenth update is a tenth of them, at any rate."""
    hidden = [layers.Reshape((2, 2)), layers.GRU(4), layers.Dense(8, kernel_initializer="zeros")]
    model = network(optimizers.Adam(1e-7), hidden)
    if updates_made:
        trained(model, epochs=1, batch_size=40)
        model.layers[-2].kernel.assign(keras.ops.zeros((4, 8)))
    found = measured(of_gradients.updates, model)
    assert found.value < 1e-5
    assert found.verdict == "look"


OPTIMIZERS = {
    "plain": lambda rate: optimizers.SGD(rate),
    "momentum": lambda rate: optimizers.SGD(rate, 0.9),
    "nesterov": lambda rate: optimizers.SGD(rate, 0.9, nesterov=True),
}


@pytest.mark.parametrize(
    "name", [pytest.param(it, marks=[pytest.mark.long] * (it != "nesterov")) for it in OPTIMIZERS]
)
def test_the_limit_is_where_keras_flies_apart(name):
    make = OPTIMIZERS[name]
    model, data = line(3.0, make(0.1))
    with patient(model, data, None) as one:
        curvature = of_gradients.curvature(one)
        one.taken = {"curvature": curvature}.__getitem__
        limit = of_gradients.limit(one)
    assert curvature.value == pytest.approx(3, rel=1e-4)
    for share, grows in ((0.8, False), (1.2, True)):
        weight, optimizer = keras.Variable(1.0), make(share * 0.1 / limit.value)
        for _ in range(60):
            optimizer.apply([3 * weight.value], [weight])
        assert (not abs(float(weight)) <= 1) == grows  # nan has grown


def test_adams_curvature_is_divided_by_its_own_denominator():
    model, data = line(3.0, optimizers.Adam(0.01, 0.9, 0.99))
    for _ in range(3):
        model.train_on_batch(*data)
    with patient(model, data, None) as one:
        found = of_gradients.curvature(one)
        one.taken = {"curvature": found}.__getitem__
        limit = of_gradients.limit(one)
    v = next(it for it in model.optimizer.variables if it.path.endswith("velocity")).numpy().item()
    assert found.value == pytest.approx(3 / np.sqrt(v / (1 - 0.99**3)), rel=1e-3)
    assert limit.value == pytest.approx(0.01 * found.value / 38, rel=1e-6)


def test_a_model_for_one_size_of_batches():
    inputs = keras.Input(batch_shape=(8, 4))
    outputs = layers.Dense(3)(layers.Flatten()(keras.ops.reshape(inputs, (8, 2, 2))))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizers.SGD(0.1), loss)
    with patient(model, DATA, None, batch_size=8) as one:
        labels = np.unique(one.train.y, return_counts=True)[1] / len(one.train)
        assert one.guess == pytest.approx(-np.sum(labels * np.log(labels)))
        assert one.activity is not None


def test_a_loss_of_keras_with_an_option_is_still_called_one():
    smoothed = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    examples = X[:120], np.eye(3)[Y[:120]]
    why = "isn't one of Keras's own, without options, for one"
    with patient(network(loss=smoothed), examples, None) as one, pytest.raises(NotKnown, match=why):
        one.guess  # noqa: B018


def test_limits_that_are_not_known_say_why():
    for model, why in (
        (network(optimizers.RMSprop(0.01)), "the limit of RMSprop isn't"),
        (network(optimizers.SGD(0.1, clipnorm=1.0)), "the gradients are clipped"),
    ):
        with pytest.raises(NotKnown, match=why):
            measured(of_gradients.curvature, model)
    weighted = (*DATA, np.ones(120))
    with pytest.raises(NotKnown, match="the examples are weighted"):
        measured(of_gradients.curvature, network(), weighted, None)


def test_the_noise_scale_is_that_of_the_examples_gradients():
    model, _ = line(start="zeros")  # loss (w - y)² on average: gradient 2(w - y)
    y = np.random.default_rng(0).normal(0.5, 1.0, size=(1600, 1))
    found = measured(of_gradients.noise, model, (np.ones((1600, 1)), y), None, batch_size=100)
    assert found.value == pytest.approx(y.var() / y.mean() ** 2, rel=0.6)
    pure = measured(of_gradients.noise, model, (np.ones((1600, 1)), y - y.mean()), None)
    assert pure.value > 50 * found.value


# --- What trials say ---


class Tried:
    """A patient whose trials are given: losses that go from the start to each end."""

    def __init__(self, ends, start=2.3, guess=2.3, updates_made=0, planned=200):
        self.rate, self.start, self.guess = 0.1, start, guess
        self.updates_made, self.planned, self.trials = updates_made, planned, self
        self.ends = {factor: self.trial(factor, end) for factor, end in ends.items()}

    def trial(self, factor, end):
        lost = end == math.inf
        losses = np.geomspace(self.start, self.start if lost else end, 200)
        return Trial(0.1 * factor, losses, [self.start, end], lost)

    def all(self):
        return self.ends


def ends(*values):
    return dict(zip(sorted(FACTORS), values))


TRIALS = {
    "the best is at the rate": (Tried(ends(2.2, 2, 1, 0.1, 0.5, 2, math.inf)), ""),
    "ten times it would be better": (Tried(ends(2.3, 2.2, 2, 0.8, 0.1, 2, 9)), ""),
    "lost": (Tried(ends(2, 1, 0.1, math.inf, math.inf, math.inf, math.inf)), "too large"),
    "at guessing": (Tried(ends(2, 1, 0.1, 2.3, 5, 9, 9)), "too large"),
    "a tenth is better, yet most is gained": (Tried(ends(2.2, 1, 0.3, 0.9, 2, 9, 9)), ""),
    "a tenth gains more than twice as much": (Tried(ends(2.2, 1, 0.1, 1.3, 2, 9, 9)), "too large"),
    "ten times it gains half": (Tried(ends(2.3, 2.3, 2.3, 2.29, 0.9, 0.2, 0.1)), ""),
    "too small": (Tried(ends(2.3, 2.3, 2.3, 2.29, 2.2, 0.5, 0.1)), "too small"),
    "only a few of many updates": (
        Tried(ends(2.3, 2.3, 2.3, 2.29, 2.2, 0.5, 0.1), planned=200_000), ""),
    "no rate helps": (Tried(ends(2.3, 2.3, 2.3, 2.3, 2.3, 2.3, 2.3)), ""),
    "noise": (Tried(ends(0.29, 0.2, 0.1, 0.3, 1, 9, 9), start=0.3, updates_made=500), "noise"),
    "new and at once where it stays": (
        Tried(ends(0.29, 0.2, 0.1, 0.3, 1, 9, 9), start=0.3), "too large"),
    "trained and still falling": (
        Tried(ends(0.3, 0.29, 0.2, 0.1, 0.2, 9, 9), start=0.3, updates_made=500), ""),
    "trained, falling, and faster at a tenth": (
        Tried(ends(0.3, 0.2, 0.1, 0.17, 1, 9, 9), start=0.3, updates_made=500), ""),
    "noise that isn't worth the trouble": (
        Tried(ends(0.003, 0.002, 0.001, 0.003, 1, 9, 9), start=0.003, updates_made=500), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", TRIALS)
def test_trials_tell_too_large_too_small_and_noise_apart(name):
    tried, cause = TRIALS[name]
    found = of_rate.rate(tried)
    assert found.cause == cause
    assert (found.verdict == "ALARM") == bool(cause)


class Contrasting(keras.Sequential):
    """Its loss is in its train_step alone, so it can't be evaluated."""

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(data[0], training=True) - 1) ** 2)
        slopes = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(slopes, self.trainable_variables)
        return {"loss": loss}


def test_a_model_that_can_not_be_evaluated_is_tried_at_several_rates():
    hidden = [layers.BatchNormalization(), layers.Dense(3)]
    model = Contrasting([keras.Input((4,)), *hidden])
    model.compile(optimizers.SGD(1e-5))
    assert measured(of_rate.rate, model).cause == "too small"
    with pytest.raises(NotKnown, match="the model can't be evaluated"):
        measured(_measures.averages, model)


def test_a_rate_is_not_called_healthy_where_the_loss_falls_at_none():
    found = measured(of_rate.rate, network(optimizers.SGD(1e-9)))
    assert (found.verdict, found.cause) == ("look", "")
    assert "hardly falls at any of these rates" in found.advice


def test_weights_that_a_new_model_has_loaded_are_not_said_to_find_nothing():
    model = network(optimizers.SGD(1e-9))
    model.set_weights(trained(network(), 60).get_weights())
    assert measured(of_rate.rate, model).verdict == "healthy"


def test_trials_train_as_fit_would_and_leave_nothing():
    model = trained(network(optimizers.Adam(0.01)), epochs=2)
    before = state(model)
    with patient(model, deadline=time.monotonic() + 600) as one:  # on a busy computer, too
        trial = one.trials.at(1.0)
        assert one.trials.at(1.0) is trial
        assert state(model) == before
    assert len(trial.losses) == 160
    assert len(trial.held_out) == 6
    assert trial.end < one.start
    assert trial.end == pytest.approx(np.mean(trial.losses[-32:]))


def test_labels_that_have_nothing_to_do_with_the_inputs():
    mixed = np.random.default_rng(5).permutation(Y)
    for y, verdict in ((Y, "healthy"), (mixed, "ALARM")):
        data = ((X[:120], y[:120]), (X[120:], y[120:]))
        assert measured(of_rate.labels, network(), *data, planned=60).verdict == verdict


def weak(share, examples=500):
    """Return examples whose first input explains a share of the targets' variance."""
    random = np.random.default_rng(1)
    x = random.normal(size=(examples, 8)).astype("float32")
    noise = random.normal(size=examples)
    return x, (np.sqrt(share) * x[:, 0] + np.sqrt(1 - share) * noise).astype("float32")


def test_labels_with_a_weak_signal_or_the_wrong_last_layer_are_not_called_shuffled():
    x, y = weak(0.05)
    for targets, loss, verdict in (
        (y, "mse", "look"),
        (np.random.default_rng(2).permutation(y), "mse", "ALARM"),
        ((x[:, 1] > 1.7).astype("float32"), "binary_crossentropy", "look"),  # rare, no sigmoid
    ):
        model = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(1)])
        model.compile("adam", loss=loss)
        model.build((None, 8))
        parts = (x[:400], targets[:400]), (x[400:], targets[400:])
        found = measured(of_rate.labels, model, *parts, planned=60)
        assert found.verdict == verdict, targets[:3]
        assert ("aren't all shuffled" in found.advice) == (verdict == "look")


def test_labels_are_not_blamed_for_averages_that_have_not_settled():
    (x, y), (x_out, y_out) = (100 * X[:120] + 500, Y[:120]), (100 * X[120:] + 500, Y[120:])
    mixed = np.random.default_rng(5).permutation(Y)
    hidden = [layers.BatchNormalization(momentum=0.999), layers.Dense(8, "relu")]
    for train, held_out, verdict in ((y, y_out, "healthy"), (mixed[:120], mixed[120:], "ALARM")):
        with patient(network(hidden=hidden), (x, train), (x_out, held_out), planned=60) as one:
            found = of_rate.labels(one)
            assert one.trials.at(1.0).averages[1] > one.guess  # predicted, training examples, too
        assert found.verdict == verdict


def test_the_range_test_is_the_range_test():
    model = network()
    found = measured(of_rate.range_test, model, batch_size=32)
    test = lrsweep.range_test(model, DATA, 1e-5, 100.0)
    np.testing.assert_allclose(found.value.test.losses, test.losses, rtol=1e-4)
    assert found.value.suggestion == pytest.approx(test.suggest())


# --- The whole ---


def state(model):
    return {key: v.numpy().tobytes() for key, v in Snapshot(model).variables.items()}


def draws():
    tensors = tf.random.normal(()), keras.random.normal(())
    return random.random(), np.random.random(), *(float(tensor) for tensor in tensors)


def noisy(optimizer):
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(8, "relu"), layers.BatchNormalization(), layers.Dropout(0.3)]
    return trained(network(optimizer, hidden, metrics=["accuracy"]), epochs=2)


WHOLE = {
    "Adam": lambda: noisy(optimizers.Adam(0.01)),
    "schedule": lambda: noisy(optimizers.SGD(schedules.CosineDecay(0.1, 200), 0.9)),
    "scaled loss": lambda: noisy(optimizers.LossScaleOptimizer(optimizers.SGD(0.1))),
    "averaged": lambda: noisy(optimizers.Nadam(0.01, use_ema=True)),
}
long = pytest.mark.long


@pytest.mark.parametrize("name", ["Adam", *(pytest.param(it, marks=long) for it in [*WHOLE][1:])])
def test_it_leaves_everything_bit_for_bit_as_it_was(name):
    after = []
    for examined in (False, True):
        model = WHOLE[name]()
        rate, schedule = model.optimizer.learning_rate, model.optimizer._learning_rate
        before = state(model)
        if examined:
            report = check_up(model, DATA, HELD_OUT, batch_size=16)
            assert len(report.measures) == 14
            assert not any("Error" in it.measured for it in report.measures)
        assert state(model) == before
        assert float(model.optimizer.learning_rate) == float(rate)
        assert model.optimizer._learning_rate is schedule
        assert all("call" not in vars(layer) for layer in model.layers)
        model.fit(*DATA, verbose=0)
        known = *model.variables, *model.optimizer.variables, *model.metrics_variables
        after.append(([variable.numpy().tolist() for variable in known], draws()))
    assert after[0] == after[1]


def test_a_dataset_with_one_weight_for_a_whole_batch_is_refused():
    data = tf.data.Dataset.from_tensor_slices(DATA).batch(16).map(lambda x, y: (x, y, [2.0]))
    with pytest.raises(ValueError, match=r"each batch of train_data must .*\[16, 16, 1\] rows"):
        check_up(network(), data, HELD_OUT)


def test_a_builder_a_dataset_and_a_model_of_ones_own():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.last = layers.Dense(8, "relu"), layers.Dense(3)

        def call(self, x):
            return self.last(keras.ops.relu(self.hidden(x)))

        def train_step(self, data):
            return super().train_step(data)

    def build():
        model = Own()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizers.RMSprop(0.01), loss)
        return model

    keras.utils.set_random_seed(9)
    before = draws()
    keras.utils.set_random_seed(9)
    stream = tf.data.Dataset.from_tensor_slices(DATA).batch(16)
    report = check_up(build, stream)
    assert draws() == before
    assert report.causes == []
    assert report["order"].value < 2
    unknown = {it.name: it.measured for it in report.measures if it.verdict == "not known"}
    assert set(unknown) == {"start", "memory", "labels", "curvature", "limit", "noise"}
    assert not any("Error" in it for it in unknown.values())
    assert "train_step of its own" in unknown["start"]


@pytest.mark.parametrize("size", [1, 4])
def test_large_inputs_come_before_the_rate_that_they_make_too_large(size):
    found = {
        "inputs": measured(_measures.inputs, network(), (size * X, Y), None),
        "rate": Measure("rate", 0.1, "", "", "ALARM", "too large", ""),
    }
    wanted = ["inputs", "too large"] if size == 4 else ["too large"]
    assert CheckUp("m", 1.0, _check_up._together(found)).causes == wanted


@pytest.mark.parametrize("seconds", [1e-9, 1.0])
def test_the_budget_is_kept_and_what_there_was_no_time_for_is_not_known(seconds):
    class Slow(keras.Sequential):
        def train_step(self, data):
            tf.py_function(lambda: time.sleep(0.05), [], [])
            return super().train_step(data)

    began = time.monotonic()
    report = check_up(network(kind=Slow), DATA, HELD_OUT, seconds=seconds)
    assert time.monotonic() - began < seconds + 8  # tracing, and 9 updates to begin with
    for name in ("rate", "range test"):
        assert report[name].verdict == "not known"
        assert "give the check-up more seconds" in report[name].measured


@long
def test_a_sweep_if_asked_for_with_a_builder_only():
    def build():
        return network(optimizers.SGD(0.1))

    report = check_up(build, DATA, HELD_OUT, sweep=True, seconds=60)
    assert 0.001 < report["sweep"].value < 100
    report = check_up(build(), DATA, HELD_OUT, sweep=True)
    assert report["sweep"].measured == "a sweep needs build_model, not a model"


# --- The report ---


def test_the_report_shows_the_likeliest_cause_first_and_fits_a_screen():
    report = check_up(network(optimizers.SGD(100.0)), DATA, HELD_OUT)
    text = str(report)
    assert report.causes == ["too large"]
    assert text.splitlines()[2] == f"Most likely: {CAUSES['too large']}."
    assert text.splitlines()[3].startswith("  Do: take ")
    assert max(map(len, text.splitlines())) <= 98
    assert len(text.splitlines()) < 50
    frame = report.to_frame()
    assert list(frame["measure"]) == [it.name for it in report.measures]
    assert frame.set_index("measure").loc["limit", "value"] == report["limit"].value > 1
    axes = report.plot()
    assert "your rate at 100" in axes.alt_text
    with pytest.raises(ValueError, match=r"^name must be one of averages, .*, got 'rates'"):
        report["rates"]


def test_causes_are_ordered_and_those_of_looks_do_not_count():
    measures = [
        Measure("rate", 1.0, "", "", "ALARM", "too large", "a"),
        Measure("inputs", 4.0, "", "", "look", "", "b"),
        Measure("order", 9.0, "", "", "ALARM", "order", "c"),
    ]
    report = CheckUp("m", 1.0, measures)
    assert report.causes == ["order", "too large"]
    assert CheckUp("m", 1.0, measures[1:2]).causes == []
    assert "Nothing alarming was found" in str(CheckUp("m", 1.0, measures[1:2]))
    with pytest.raises(ValueError, match="no range test to draw: why"):
        CheckUp("m", 1.0, [Measure("range test", None, "why")]).plot()


def test_a_measure_that_fails_is_not_known_with_its_error():
    def broken(patient):
        raise ZeroDivisionError("by nothing")

    with patient(network()) as one:
        found = _check_up._taken(broken, "broken", one)
    assert (found.verdict, found.measured) == ("not known", "ZeroDivisionError: by nothing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": 5}, "model must be a compiled keras.Model, or a function .*, got 5"),
        ({"model": lambda units: units}, "build_model must be a function that can be called"),
        ({"model": lambda: 5}, "build_model must return a keras.Model, got 5"),
        ({"model": keras.Sequential([layers.Dense(1)])}, "model must be a compiled keras.Model"),
        ({"train_data": X}, r"train_data must be \(x, y\)"),
        ({"train_data": (X, Y + 1)}, "labels of train_data must be from 0 to 2"),
        ({"validation_data": (X[:, :3], Y)}, "train_data and validation_data must have examples"),
        ({"validation_data": (X, Y + 1)}, "labels of validation_data must be from 0 to 2"),
        ({"train_data": (np.where(X > 1, np.nan, X), Y)}, "x of train_data holds .* not finite"),
        ({"seconds": 0}, "seconds must be a positive number, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number of at least 1, got 1.5"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"model": None, "train_data": DATA} | changes
    if arguments["model"] is None:
        arguments["model"] = network()
    with pytest.raises(ValueError, match=message):
        check_up(**arguments)


# --- The clinic ---


@long
@pytest.mark.parametrize("seed", [11])
def test_the_clinic_is_diagnosed(seed):
    from benchmarks import check_up as benchmark

    table = benchmark.rows([seed])
    sick = [found == [cause] for _, cause, found, _ in table if cause]
    alarms = [found != [""] for _, cause, found, _ in table if not cause]
    assert len(sick) == len(alarms) == 20
    assert np.mean(sick) >= 0.9
    assert np.mean(alarms) <= 0.05


def test_many_classes_take_no_more_time_than_few(monkeypatch):
    """The shuffles of targets are compared with fewer inputs then."""
    seen = []
    monkeypatch.setattr(
        _related, "_standardised", lambda it: seen.append(it.shape) or np.zeros((len(it), 0))
    )
    for classes in (3, 100):
        y = np.arange(400) % classes
        _related.largest_correlation(Examples(np.zeros((400, 3000), "float32"), y), seed=0)
    for targets in (19, 784):
        y = np.random.default_rng(0).normal(size=(400, targets))
        _related.largest_correlation(Examples(np.zeros((400, 3000), "float32"), y), seed=0)
    columns = [shape[1] for shape in seen]
    assert columns == [2000, 3, 200, 100, 1000, 19, 200, 100]


@pytest.mark.parametrize("scaled", [True, False])
def test_who_has_scaled_the_inputs_is_not_told_to(scaled):
    model = network()
    model.layers[-1].kernel.assign(50.0 * model.layers[-1].kernel)
    x, y = DATA
    found = measured(_measures.start, model, (x if scaled else 10 * x, y))
    assert found.verdict == "look"
    assert ("scale the inputs" in found.advice) is not scaled
    assert "smaller first weights" in found.advice


# --- Models and data that are unlike most ---


def test_targets_that_are_whole_numbers_can_be_far_away():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    prices = np.round(200 + 20 * X[:120, 0]).astype(int)
    assert measured(_measures.start, model, (X[:120], prices), None).cause == "targets"


class ScaledInside(layers.Layer):
    def __init__(self):
        super().__init__()
        self.scale, self.dense = layers.Rescaling(1 / 255), layers.Dense(8)

    def call(self, inputs):
        return self.dense(self.scale(inputs))


def test_layers_of_ones_own_may_scale_what_they_are_given():
    found = measured(_measures.inputs, network(hidden=[ScaledInside()]), (X[:120] * 255, Y[:120]))
    assert found.verdict == "healthy", found.measured

    class Named(layers.Dense):
        """A Dense with defaults of one's own, which scales nothing."""

    found = measured(_measures.inputs, network(hidden=[Named(8)]), (X[:120] * 255, Y[:120]))
    assert found.cause == "inputs"
    with pytest.raises(NotKnown, match="a call of its own, which may scale them"):
        measured(_measures.inputs, network(hidden=[Halved(8)]), (X[:120] * 255, Y[:120]))


class Halved(layers.Dense):
    def call(self, inputs):
        return super().call(inputs / 2)


class HalvedCell(layers.SimpleRNNCell):
    def call(self, inputs, *arguments, **named):
        return super().call(inputs / 2, *arguments, **named)


@pytest.mark.parametrize(
    "within",
    [
        lambda: layers.TimeDistributed(Halved(4)),
        lambda: layers.SpectralNormalization(Halved(4)),
        lambda: layers.RNN(HalvedCell(4), return_sequences=True),
    ],
    ids=["TimeDistributed", "SpectralNormalization", "RNN"],
)
def test_what_keras_s_layers_hold_may_scale_what_they_are_given(within):
    model = keras.Sequential([keras.Input((6, 3)), within(), layers.Flatten(), layers.Dense(3)])
    assert look_through(model, np.full((8, 6, 3), 200.0, "float32"))[0] == []


@keras.saving.register_keras_serializable("check_up")
class Bent(layers.Layer):
    def call(self, inputs):
        return keras.ops.tanh(inputs)


class BentTwice(layers.Layer):
    """An activation that is made of another one."""

    def __init__(self):
        super().__init__()
        self.inner = Bent()

    def call(self, inputs):
        return self.inner(self.inner(inputs))


@pytest.mark.parametrize(
    "bending",
    [
        lambda: layers.Dense(4, Bent()),
        lambda: layers.Dense(4, BentTwice()),
        lambda: layers.TimeDistributed(layers.Dense(4, Bent())),
        lambda: layers.LSTM(4, recurrent_activation=Bent()),
        lambda: layers.Bidirectional(layers.GRU(4, Bent(), Bent())),
    ],
    ids=["Dense", "of two", "TimeDistributed", "LSTM", "Bidirectional"],
)
def test_an_activation_of_one_s_own_leaves_the_inputs_as_they_are(bending):
    model = keras.Sequential([keras.Input((6, 3)), bending(), layers.Flatten(), layers.Dense(3)])
    x = np.full((8, 6, 3), 2.0, "float32")
    x[:, 5] = 200  # what is given to a layer at its first step doesn't tell
    assert max(it.largest for it in look_through(model, x)[0]) > 50


def test_few_examples_kill_no_units():
    model = network()
    model.layers[0].bias.assign(np.full(8, -100.0))
    assert measured(_measures.units, model).cause == "units"
    eight = measured(_measures.units, model, (X[:8], Y[:8]), None, batch_size=8)
    assert eight.cause == "units"
    with pytest.raises(NotKnown, match="only 5 examples go through"):
        measured(_measures.units, model, (X[:5], Y[:5]), None, batch_size=5)


def test_targets_that_are_all_the_same_are_not_sorted():
    data = tf.data.Dataset.from_tensor_slices((X[:120], np.zeros((120, 1)))).shuffle(120).batch(16)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert check_up(model, data, seconds=1)["order"].measured == "all targets are the same"


def adds_to_its_inputs():
    inputs = keras.Input((4,))
    change = layers.Dense(4, kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, inputs + change)
    model.compile("adam", "mse")
    return model


def test_a_builders_model_may_be_good_without_training():
    data = X[:120], X[:120] + 0.01 * X[120:121]
    found = measured(_measures.memory, adds_to_its_inputs(), data, None)
    assert found.cause == "memory"
    assert "as one that adds to its inputs may be" in found.advice
    assert check_up(adds_to_its_inputs, data, seconds=1)["memory"].verdict == "healthy"


def test_a_rate_is_not_healthy_where_all_are_lost():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile(optimizers.SGD(1e20), "mse")
    found = measured(of_rate.rate, model, (X[:120], X[:120, 0]), (X[120:], X[120:, 0]))
    assert (found.verdict, found.cause) == ("ALARM", "too large")


def test_a_velocity_is_not_compared_with_a_rate_of_0():
    over = schedules.PolynomialDecay(0.1, 20, 0.0)
    model = trained(network(optimizers.SGD(over, momentum=0.9)))
    with pytest.raises(NotKnown, match="the rate or the gradient is 0 now"):
        measured(_measures.memory, model)


class Root(layers.Layer):
    """The root of 0, with a slope that is infinite."""

    def call(self, inputs):
        return inputs + keras.ops.sqrt(0.0 * inputs)


def spoilt_memory():
    model = trained(network(optimizers.Adam(0.01)))
    model.optimizer._momentums[0].assign(np.full((4, 8), np.nan))
    return model


def frozen():
    model = network()
    model.trainable = False
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (lambda: network(hidden=[layers.Dense(8), Root()]), "even at a billionth of the rate"),
        (spoilt_memory, "and at the optimizer's memory"),
        (frozen, "the model has no weights to train"),
        (lambda: network(optimizers.SGD(0.0)), "the learning rate must be positive, it is 0"),
        (lambda: network(optimizers.SGD(lambda: 0.1)), "must be a number or a schedule, it is <"),
    ],
    ids=["slope", "memory", "frozen", "rate", "function"],
)
def test_models_that_can_not_be_examined_are_refused(model, why):
    model = model()
    before = [variable.numpy() for variable in model.variables + model.optimizer.variables]
    with pytest.raises(ValueError, match=why):
        check_up(model, DATA, seconds=1)
    after = [variable.numpy() for variable in model.variables + model.optimizer.variables]
    assert all(map(np.array_equal, before, after, [True] * len(before)))


def test_a_recurrent_model_with_a_state_is_tried_at_several_rates():
    model = keras.Sequential(
        [keras.Input(batch_shape=(8, 4, 1)), layers.LSTM(3, stateful=True), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    with patient(
        model, *((it[..., None], it[:, :1]) for it in (X[:120], X[120:])), batch_size=8
    ) as one:
        assert all(np.isfinite(it.end) for it in one.trials.all().values())
        with pytest.raises(NotKnown, match="no trial tells the loss of held-out examples"):
            of_rate.labels(one)
        one.shuffled = False
        with pytest.raises(NotKnown, match="so the order may be meant"):
            _measures.order(one)
