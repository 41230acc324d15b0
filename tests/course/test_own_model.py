"""What lesson 8's template says of a reader's last layer and loss, before any training."""

import re

import keras
import numpy as np
import pytest

from course.own_model import _loss, check_outputs, optimizer_in_words
from utils.data import standardise

X = np.random.default_rng(0).normal(size=(40, 3))
TWO, THREE, ONE_HOT = np.arange(40) % 2, np.arange(40) % 3, np.eye(3)[np.arange(40) % 3]
LABELS = np.column_stack([TWO, 1 - TWO, THREE > 1])
NUMBERS = X[:, 0] - X[:, 0].mean()
SPARSE, DENSE = "sparse_categorical_crossentropy", "categorical_crossentropy"
BINARY = "binary_crossentropy"


def compiled(units, activation, loss):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(8, "relu")
    model = keras.Sequential([keras.Input((3,)), hidden, keras.layers.Dense(units, activation)])
    model.compile("adam", loss)
    return model


def small_sigmoid(x):
    return keras.activations.sigmoid(0.01 * x)


small_sigmoid.__name__ = "sigmoid"


def nearly_one(x):
    return keras.ops.full_like(x, 0.99999994)


def quantile(y, prediction):
    return keras.ops.mean(keras.ops.abs(y[:, None] - prediction), axis=-1)


GOOD = [
    (3, "softmax", SPARSE, THREE),
    (4, "softmax", keras.losses.SparseCategoricalCrossentropy(), THREE),
    (3, None, keras.losses.SparseCategoricalCrossentropy(from_logits=True), THREE),
    (3, "softmax", DENSE, ONE_HOT),
    (3, "sigmoid", BINARY, ONE_HOT),
    (1, "sigmoid", BINARY, TWO),
    (1, None, keras.losses.BinaryCrossentropy(from_logits=True), TWO),
    (1, "sigmoid", "mse", TWO),
    (3, "softmax", "mse", ONE_HOT),
    (3, None, quantile, THREE),
]


@pytest.mark.parametrize(("units", "activation", "loss", "y"), GOOD)
def test_what_suits_classes_passes(units, activation, loss, y):
    check_outputs(lambda: compiled(units, activation, loss), X, y, "classes")


@pytest.mark.parametrize("loss", [BINARY, "mse", quantile])
def test_several_labels_have_a_unit_each(loss):
    check_outputs(lambda: compiled(3, "sigmoid", loss), X, LABELS, "labels")
    logits = keras.losses.BinaryCrossentropy(from_logits=True)
    check_outputs(lambda: compiled(3, None, logits), X, LABELS, "labels")


WITH_LABELS = {
    "softmax": (3, "softmax", BINARY, "activation='sigmoid' .*, got softmax and binary"),
    "of one class": (3, "sigmoid", DENSE, f"'binary_crossentropy', got sigmoid and {DENSE}"),
    "two units": (2, "sigmoid", BINARY, "has 2 units, y 3 columns: one unit for each"),
    "no sigmoid": (3, None, BINARY, "takes probabilities"),
}


@pytest.mark.parametrize(("units", "activation", "loss", "words"), WITH_LABELS.values())
def test_a_last_layer_that_does_not_fit_labels_is_refused(units, activation, loss, words):
    with pytest.raises(ValueError, match=words):
        check_outputs(lambda: compiled(units, activation, loss), X, LABELS, "labels")


def test_half_precision_rounds_probabilities():
    def rounded():
        keras.utils.set_random_seed(0)
        last = keras.layers.Dense(3, "softmax", dtype="mixed_bfloat16")
        model = keras.Sequential([keras.Input((3,)), last])
        model.compile("adam", SPARSE)
        return model

    off = np.abs(np.asarray(rounded()(X), float).sum(axis=1) - 1).max()
    assert 1e-3 < off < 0.05
    check_outputs(rounded, X, THREE, "classes")


@pytest.mark.parametrize("loss", ["mse", "mae", keras.losses.Huber(), quantile])
def test_what_suits_numbers_passes(loss):
    check_outputs(lambda: compiled(1, None, loss), X, NUMBERS, "numbers")
    check_outputs(lambda: compiled(1, "tanh", loss), X, np.tanh(NUMBERS), "numbers")


def test_a_loss_of_ones_own_may_want_anything():
    check_outputs(lambda: compiled(3, None, quantile), X, NUMBERS, "numbers")


def test_the_function_itself_is_asked_for():
    with pytest.raises(ValueError, match="without parentheses, got Sequential"):
        check_outputs(compiled(1, None, "mse"), X, NUMBERS, "numbers")


class Pinball(keras.losses.Loss):
    def __init__(self, mended):
        super().__init__()
        self.mended = mended

    def call(self, y_true, y_pred):
        if self.mended:
            y_true = keras.ops.reshape(y_true, keras.ops.shape(y_pred))
        error = keras.ops.cast(y_true, y_pred.dtype) - y_pred
        return keras.ops.mean(keras.ops.maximum(0.8 * error, -0.2 * error), axis=-1)


def test_a_loss_that_pairs_each_target_with_all_outputs_is_refused():
    """Keras spreads y of shape (n,) against (n, 1): the model learnt a constant, in silence."""
    with pytest.raises(ValueError, match=r"all examples, .*begin it with y_true = keras\.ops\.re"):
        check_outputs(lambda: compiled(1, None, Pinball(mended=False)), X, NUMBERS, "numbers")
    check_outputs(lambda: compiled(1, None, Pinball(mended=True)), X, NUMBERS, "numbers")
    check_outputs(lambda: compiled(3, None, Pinball(mended=False)), X, NUMBERS, "numbers")


class Correlation(keras.losses.Loss):
    def call(self, y_true, y_pred):
        y, z = (it - keras.ops.mean(it) for it in (keras.ops.cast(y_true, "float32"), y_pred[:, 0]))
        size = keras.ops.sqrt(keras.ops.sum(y * y) * keras.ops.sum(z * z) + 1e-6)
        return 1 - keras.ops.sum(y * z) / size


def test_a_loss_that_a_single_example_does_not_have_is_not_refused():
    """A batch's correlation pairs no target with all outputs; with columns it would."""
    check_outputs(lambda: compiled(1, None, Correlation()), X, NUMBERS, "numbers")


METRICS = {
    "per cent of numbers": ("numbers", None, "mape", "mean 0: take 'mae'"),
    "the same as a class": (
        "numbers",
        None,
        keras.metrics.MeanAbsolutePercentageError(),
        "mean 0: take 'mae'",
    ),
    "the same as a function": (
        "numbers",
        None,
        keras.metrics.mean_squared_logarithmic_error,
        "mean 0: take 'mae'",
    ),
    "hits of numbers": ("numbers", None, "accuracy", "is for classes: take 'mae'"),
    "largest of labels": ("labels", "sigmoid", "accuracy", "right, take 'binary_accuracy'"),
    "labels' logits": ("labels", None, "acc", r"right, take .*BinaryAccuracy\(threshold=0\)"),
    "logits": ("classes", None, "accuracy", r"above 0\.5 .*BinaryAccuracy\(threshold=0\)"),
    "logits, as a class": (
        "classes",
        None,
        keras.metrics.BinaryAccuracy(),
        r"above 0\.5 .*BinaryAccuracy\(threshold=0\)",
    ),
    "precision of logits": ("classes", None, "precision", r"Precision\(thresholds=0\)"),
    "recall of logits": ("labels", None, keras.metrics.Recall(), r"Recall\(thresholds=0\)"),
    "ranks of logits": ("classes", None, keras.metrics.AUC(), r"take .*AUC\(from_logits=True\)"),
    "ranks of numbers": ("numbers", None, "auc", "is for classes: take 'mae'"),
    "halves of numbers": ("numbers", None, "binary_accuracy", "is for classes: take 'mae'"),
    "largest of class numbers": ("classes", "sigmoid", "categorical_accuracy", "take 'accuracy'"),
    "F1 of class numbers": ("classes", "sigmoid", keras.metrics.F1Score(), "to_categorical"),
}


@pytest.mark.parametrize(
    "metric", [keras.metrics.Precision(), keras.metrics.AUC(), "recall", "binary_accuracy"]
)
def test_metrics_of_one_unit_are_refused_for_class_numbers_and_two(metric):
    """TensorFlow would stop at their shapes in the middle of a graph."""

    def build(*last):
        model = compiled(*last)
        model.compile("adam", last[-1], metrics=[metric])
        return model

    with pytest.raises(ValueError, match=r"a single unit, .*Dense\(1, .*'binary_crossentropy'"):
        check_outputs(lambda: build(2, "softmax", SPARSE), X, TWO, "classes")
    check_outputs(lambda: build(1, "sigmoid", BINARY), X, TWO, "classes")


def with_metric(targets, activation, metric):
    y, loss = {
        "numbers": (NUMBERS, "mse"),
        "labels": (LABELS, keras.losses.BinaryCrossentropy(from_logits=activation is None)),
        "classes": (TWO, keras.losses.BinaryCrossentropy(from_logits=activation is None)),
    }[targets]

    def build():
        model = compiled(3 if targets == "labels" else 1, activation, loss)
        model.compile("adam", loss, metrics=[metric])
        return model

    check_outputs(build, X, y, targets)


@pytest.mark.parametrize(("targets", "last", "metric", "words"), METRICS.values(), ids=METRICS)
def test_a_metric_that_would_mean_something_else_is_refused(targets, last, metric, words):
    """The report gave a number of that name, and nobody asked what it was."""
    with pytest.raises(ValueError, match=words):
        with_metric(targets, last, metric)


def test_keras_accuracy_of_labels_and_logits_is_what_the_messages_say():
    given = LABELS.astype("float32"), np.random.default_rng(1).random((40, 3), "float32")
    for y, outputs in (given, (TWO[:, None].astype("float32"), given[1][:, :1])):
        model = keras.Sequential([keras.Input(y.shape[1:]), keras.layers.Identity()])
        model.compile(loss="mse", metrics=["accuracy"])
        _, measured = model.evaluate(outputs, y, verbose=0)
        largest, half = outputs.argmax(axis=1) == y.argmax(axis=1), (outputs > 0.5) == y
        assert measured == pytest.approx(np.mean(largest if y.shape[1] > 1 else half))
        assert abs(measured - np.mean((outputs > 0) == y)) > 0.01


@pytest.mark.parametrize("loss", ["hinge", keras.losses.SquaredHinge()], ids=["hinge", "squared"])
def test_hits_of_a_hinge_are_counted_from_0_on(loss):
    """Its outputs go from -1 to 1, and Keras's accuracy took those up to 0.5 for a 0."""

    def build(last, metric):
        model = compiled(1, last, loss)
        model.compile("adam", loss, metrics=[metric])
        return model

    for last in (None, "tanh"):
        with pytest.raises(ValueError, match=r"above 0\.5 .*BinaryAccuracy\(threshold=0\)"):
            check_outputs(lambda last=last: build(last, "accuracy"), X, TWO, "classes")
    above_0 = keras.metrics.BinaryAccuracy(threshold=0)
    check_outputs(lambda: build(None, above_0), X, TWO, "classes")
    check_outputs(lambda: build("sigmoid", "accuracy"), X, TWO, "classes")
    with pytest.raises(ValueError, match=r"hinge, which is for classes"):
        check_outputs(lambda: build(None, "mae"), X, np.where(TWO, 1.5, -0.5), "numbers")


def test_metrics_that_mean_what_they_say_pass():
    whole = keras.metrics.BinaryAccuracy(threshold=0)
    for metric in ("mae", keras.metrics.R2Score(), lambda y, prediction: prediction):
        with_metric("numbers", None, metric)
    for targets in ("labels", "classes"):
        with_metric(targets, None, whole)
        with_metric(targets, "sigmoid", "binary_accuracy")
    with_metric("classes", "sigmoid", "accuracy")
    for targets in ("labels", "classes"):
        for metric in (keras.metrics.Precision(thresholds=0), keras.metrics.AUC(from_logits=True)):
            with_metric(targets, None, metric)
        with_metric(targets, "sigmoid", "recall")


def test_keras_takes_logits_for_probabilities_unless_its_metrics_are_told():
    """The report gave an area under the curve of 0.65 for 0.71."""
    outputs = np.random.default_rng(0).normal(size=400) * 3
    y = (outputs + np.random.default_rng(1).normal(size=400) * 3 > 0) * 1
    area, precision = keras.metrics.AUC, keras.metrics.Precision
    ranks, hits = (outputs[y == 1][:, None] > outputs[y == 0]).mean(), y[outputs > 0].mean()
    for metric, value, told in [
        (area(), ranks, False),
        (area(from_logits=True), ranks, True),
        (precision(), hits, False),
        (precision(thresholds=0), hits, True),
    ]:
        assert (abs(float(metric(y, outputs)) - value) < 0.01) == told


def test_weighted_metrics_are_judged_as_others():
    def build():
        model = compiled(1, None, BINARY)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile("adam", loss, weighted_metrics=["accuracy"])
        return model

    with pytest.raises(ValueError, match=r"BinaryAccuracy\(threshold=0\)"):
        check_outputs(build, X, TWO, "classes")


def accuracy(y, outputs):
    right = keras.ops.equal(keras.ops.cast(y, "bool"), outputs > 0)
    return keras.ops.mean(keras.ops.cast(right, "float32"), axis=-1)


class Accuracy(keras.metrics.MeanMetricWrapper):
    def __init__(self):
        super().__init__(accuracy)


def test_metrics_of_the_readers_own_may_have_a_name_of_keras():
    for metric in (accuracy, Accuracy()):
        for targets in ("numbers", "labels", "classes"):
            with_metric(targets, None, metric)


def compiled_with_accuracy(units, last, loss):
    model = compiled(units, last, loss)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def test_accuracy_is_judged_by_what_keras_makes_of_it():
    """One label is not asked after its largest output, and classes in a row are."""
    probabilities, logits = (keras.losses.BinaryCrossentropy(from_logits=it) for it in (0, 1))
    one = TWO[:, None].astype("float32")
    check_outputs(lambda: compiled_with_accuracy(1, "sigmoid", probabilities), X, one, "labels")
    check_outputs(lambda: compiled_with_accuracy(3, None, logits), X, ONE_HOT, "classes")
    with pytest.raises(ValueError, match=r"above 0\.5"):
        check_outputs(lambda: compiled_with_accuracy(1, None, logits), X, one, "labels")
    focal = keras.losses.BinaryFocalCrossentropy(from_logits=True)
    with pytest.raises(ValueError, match=r"BinaryAccuracy\(threshold=0\)"):
        check_outputs(lambda: compiled_with_accuracy(3, None, focal), X, LABELS, "labels")


@pytest.mark.parametrize(
    ("units", "activation", "loss", "y"),
    [
        (1, "sigmoid", keras.losses.BinaryCrossentropy(from_logits=True), TWO),
        (3, "softmax", keras.losses.SparseCategoricalCrossentropy(from_logits=True), THREE),
    ],
)
def test_probabilities_are_no_logits(units, activation, loss, y):
    """The metric's advice for logits, a threshold of 0, called every probability a 1."""
    with pytest.raises(ValueError, match=f"{activation}, gives prob.* leave from_logits=True out"):
        check_outputs(lambda: compiled_with_accuracy(units, activation, loss), X, y, "classes")


@pytest.mark.parametrize("metric", [None, "accuracy"])
@pytest.mark.parametrize(("units", "squash"), [(1, "sigmoid"), (3, "softmax")])
def test_probabilities_are_no_logits_whatever_layer_gives_them(units, squash, metric):
    """The check-up found nothing, and the metric's advice called every probability a 1."""
    losses = keras.losses.BinaryCrossentropy, keras.losses.SparseCategoricalCrossentropy

    def build(squashed=True):
        keras.utils.set_random_seed(0)
        last = [keras.layers.Lambda(getattr(keras.ops, squash))] * squashed
        hidden = keras.layers.Dense(8, "tanh")
        layers = [keras.Input((3,)), hidden, keras.layers.Dense(units), *last]
        model = keras.Sequential(layers)
        model.compile("adam", losses[units > 1](from_logits=True), metrics=[metric] * bool(metric))
        return model

    y = TWO if units == 1 else THREE
    with pytest.raises(ValueError, match=r"between 0 and 1, .* leave from_logits=True out"):
        check_outputs(build, X, y, "classes")
    if units > 1 or not metric:
        check_outputs(lambda: build(squashed=False), X, y, "classes")
        check_outputs(lambda: build(squashed=False), 0 * X, y, "classes")  # all logits are 0


@pytest.mark.parametrize("units", [1, 3])
def test_logits_may_all_be_0_at_the_start(units):
    """A last kernel of zeros, without biases, was taken for a sigmoid or softmax."""
    last = keras.layers.Dense(units, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(8, "relu"), last])
    losses = keras.losses.BinaryCrossentropy, keras.losses.SparseCategoricalCrossentropy
    model.compile("adam", losses[units > 1](from_logits=True))
    check_outputs(lambda: model, X, TWO if units == 1 else THREE, "classes")


@pytest.mark.parametrize("targets", ["classes", "labels"])
def test_logits_may_all_lie_above_1(targets):
    """A first bias of log(9), for nine 1s in ten, was taken for a sigmoid that gives 1."""
    y = TWO if targets == "classes" else LABELS[:, :1]
    last = keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(9.0))
    model = keras.Sequential([keras.Input((3,)), last])
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))
    check_outputs(lambda: model, X, y, targets)
    model.compile("adam", BINARY)
    with pytest.raises(ValueError, match="takes probabilities, the last layer gives numbers from"):
        check_outputs(lambda: model, X, y, targets)


class OutFirst(keras.Model):
    """Lists its last layer before the hidden one."""

    def __init__(self, units, hidden):
        super().__init__()
        self.out = keras.layers.Dense(units)
        self.hidden = keras.layers.Dense(8, hidden)

    def call(self, inputs):
        return self.out(self.hidden(inputs))


def gated(units, gate, times=1):
    inputs = keras.Input((3,))
    gate = keras.layers.Dense(units, gate)(inputs)
    return keras.Model(inputs, times * keras.layers.Dense(units)(inputs) * gate)


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize("build", [OutFirst, gated])
def test_a_sigmoid_within_may_give_logits(build, units):
    """The layer that a model lists last needn't be the one that gives its outputs."""
    losses = keras.losses.BinaryCrossentropy, keras.losses.SparseCategoricalCrossentropy
    for seed in range(5):
        keras.utils.set_random_seed(seed)
        model = build(units, "sigmoid")
        model.compile("adam", losses[units > 1](from_logits=True))
        check_outputs(lambda m=model: m, X, TWO if units == 1 else THREE, "classes")


def test_a_tanh_within_does_not_bound_numbers():
    inputs = keras.Input((3,))
    wide = keras.Model(inputs, 100 * keras.layers.Dense(1, "tanh")(inputs))
    for model in (OutFirst(1, "tanh"), wide):
        model.compile("adam", "mse")
        check_outputs(lambda m=model: m, 3 * X, 5 * NUMBERS, "numbers")


@pytest.mark.parametrize("as_string", [True, False])
def test_focal_losses_take_probabilities_too(as_string):
    binary, categorical = "binary_focal_crossentropy", "categorical_focal_crossentropy"
    if not as_string:
        binary = keras.losses.BinaryFocalCrossentropy()
        categorical = keras.losses.CategoricalFocalCrossentropy()
    for units, loss, y, targets in [
        (1, binary, TWO, "classes"),
        (3, binary, LABELS, "labels"),
        (3, categorical, ONE_HOT, "classes"),
    ]:
        with pytest.raises(ValueError, match=r"focal_crossentropy takes probabilities"):
            check_outputs(lambda u=units, k=loss: compiled(u, None, k), X, y, targets)
        last = "sigmoid" if loss is binary else "softmax"
        check_outputs(lambda u=units, k=loss, a=last: compiled(u, a, k), X, y, targets)


def test_an_activation_may_be_a_layer_of_its_own():
    dense, relu, softmax = (getattr(keras.layers, it) for it in ("Dense", "ReLU", "Softmax"))

    def build(units, last, loss):
        model = keras.Sequential([keras.Input((3,)), dense(units), last()])
        model.compile("adam", loss)
        return model

    with pytest.raises(ValueError, match="relu, never gives a negative"):
        check_outputs(lambda: build(1, relu, "mse"), X, NUMBERS, "numbers")
    with pytest.raises(ValueError, match=r"activation='sigmoid' .*, got softmax and b"):
        check_outputs(lambda: build(3, softmax, BINARY), X, LABELS, "labels")


def test_what_the_check_up_refuses_in_words_is_left_to_it():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    check_outputs(lambda: model, X, NUMBERS, "numbers")  # not compiled
    check_outputs(lambda: None, X, NUMBERS, "numbers")
    assert _loss(model) == _loss(None) == (None, False)


BAD = {
    "softmax for numbers": (3, "softmax", "mse", NUMBERS, "gives 3 numbers .* target is one"),
    "classes' loss": (
        3,
        "softmax",
        SPARSE,
        NUMBERS,
        f"the loss is {SPARSE}.*Dense\\(1\\) and 'mse'",
    ),
    "sigmoid's loss": (1, "sigmoid", BINARY, NUMBERS, r"for classes.*TARGETS = 'classes'"),
    "counts": (1, "exponential", "poisson", NUMBERS, r"above 0.*'mse' and Dense\(1\),.*log1p"),
    "counts, still": (1, "exponential", "mse", NUMBERS, "exponential, never gives a negative"),
    "bounded": (1, "tanh", "mse", NUMBERS, "tanh, gives numbers from -1 to 1, .* between -"),
    "percent": (
        1,
        None,
        keras.losses.MeanAbsolutePercentageError(),
        NUMBERS,
        "percentage_error is",
    ),
    "logarithms": (1, None, "msle", NUMBERS, "mean_squared_logarithmic_error is for"),
    "relu for numbers": (1, "relu", "mse", NUMBERS, "relu, never gives a negative"),
    "two units": (2, "softmax", BINARY, TWO, f"wants one unit, the last layer has 2.*'{SPARSE}'"),
    "softmax of one": (1, "softmax", BINARY, TWO, "1 for every example: activation='sigmoid'"),
    "softmax of one, rounded": (1, nearly_one, BINARY, TWO, "1 for every example: activation="),
    "no sigmoid": (1, None, BINARY, TWO, "takes probabilities, .* activation='sigmoid'"),
    "no softmax": (3, None, SPARSE, THREE, "sum to 1, .*activation='softmax'"),
    "two sigmoid units": (2, "sigmoid", SPARSE, TWO, "sum to 1, .*activation='softmax'"),
    "small sigmoid units": (2, small_sigmoid, SPARSE, TWO, "sum to 1, .*activation='softmax'"),
    "too few units": (2, "softmax", SPARSE, THREE, r"has 2, y 3 classes: Dense\(3, "),
    "too few for one-hot": (2, "softmax", DENSE, ONE_HOT, r"has 2, y 3 classes: Dense\(3, "),
    "too many for one-hot": (4, "softmax", DENSE, ONE_HOT, r"has 4, y 3 classes: Dense\(3, "),
    "one sigmoid for three": (1, "sigmoid", BINARY, THREE, f"from 0 to 2: .*Dense\\(3.*'{SPARSE}'"),
    "three for binary": (3, "softmax", BINARY, THREE, f"from 0 to 2: .*Dense\\(3.*'{SPARSE}'"),
    "mse of classes": (3, "softmax", "mse", THREE, "3 numbers, each with that of a class"),
    "mse of one unit": (1, None, "mse", THREE, r"one number with that of a class, .*Dense\(3"),
    "one unit": (1, "sigmoid", SPARSE, TWO, f"a unit for each class.*'{BINARY}'"),
    "whole classes": (3, "softmax", DENSE, THREE, f"number of a class .*'{SPARSE}'"),
    "one-hot classes": (3, "softmax", SPARSE, ONE_HOT, f"a row of 0s and a 1 .* '{DENSE}'"),
}


@pytest.mark.parametrize(("units", "activation", "loss", "y", "words"), BAD.values(), ids=BAD)
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")
def test_a_last_layer_that_does_not_fit_is_refused(units, activation, loss, y, words):
    targets = "numbers" if y is NUMBERS else "classes"
    with pytest.raises(ValueError, match=words):
        check_outputs(lambda: compiled(units, activation, loss), X, y, targets)


@pytest.mark.parametrize("loss", [SPARSE, "mse"])
def test_a_row_of_answers_for_each_example_is_refused(loss):
    """Keras's mse would compare each of them with the one target, and say nothing."""

    def build():
        last = keras.layers.Dense(3 if loss == SPARSE else 1, "softmax" if loss == SPARSE else None)
        model = keras.Sequential(
            [keras.Input((3, 1)), keras.layers.GRU(2, return_sequences=True), last]
        )
        model.compile("adam", loss)
        return model

    y, targets = (THREE, "classes") if loss == SPARSE else (NUMBERS, "numbers")
    with pytest.raises(ValueError, match=r"shape \(3, \d\) for .*Flatten.* return_sequences"):
        check_outputs(build, X[..., None], y, targets)


def test_a_model_for_other_inputs_is_refused():
    with pytest.raises(ValueError, match=r"shape \(3,\), those of x have \(2,\): .*keras\.Input"):
        check_outputs(lambda: compiled(1, None, "mse"), X[:, :2], NUMBERS, "numbers")
    with pytest.raises(ValueError, match=r"shape \(3,\), those of x have \(3, 1, 1\)"):
        check_outputs(lambda: compiled(1, None, "mse"), X[..., None, None], NUMBERS, "numbers")

    def two(loss):
        inputs = [keras.Input((3,)), keras.Input((3,))]
        model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Add()(inputs)))
        model.compile("adam", loss)
        return model

    for loss in ("mse", quantile):  # whatever it compares
        with pytest.raises(ValueError, match=r"model has 2 inputs, .*whole\[:, :6\]"):
            check_outputs(lambda loss=loss: two(loss), X, NUMBERS, "numbers")


def test_an_axis_lost_inside_the_model_is_not_blamed_on_the_examples():
    series = np.zeros((8, 5, 3))

    def two_layers():
        layers = [keras.layers.LSTM(4), keras.layers.LSTM(2), keras.layers.Dense(1)]
        return keras.Sequential([keras.Input(series.shape[1:]), *layers])

    with pytest.raises(ValueError, match=r"expected ndim=3, found ndim=2") as caught:
        check_outputs(two_layers, series, NUMBERS[:8], "numbers")
    assert "my_arrays" not in str(caught.value)  # x[..., None] would only add an axis too many


def test_a_series_layer_on_a_table_is_told_the_shape_it_gets():
    def build(x):
        layers = [keras.layers.LSTM(2), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input(x.shape[1:]), *layers])
        model.compile("adam", "mse")
        return model

    with pytest.raises(ValueError, match=r"ndim=3.* shape \(3,\)\. .*return x\[\.\.\., None"):
        check_outputs(lambda: build(X), X, NUMBERS, "numbers")
    check_outputs(lambda: build(X[..., None]), X[..., None], NUMBERS, "numbers")

    def unfinished():
        raise ValueError("my own")

    with pytest.raises(ValueError, match=r"^my own$"):
        check_outputs(unfinished, X, NUMBERS, "numbers")


def test_an_x_within_build_model_is_told_apart_from_the_array():
    """As in many examples of Keras, where x is what the last layer gave."""
    x = X

    def build():
        inputs = keras.Input(x.shape[1:])  # noqa: F823
        x = keras.layers.Dense(4)(inputs)
        return keras.Model(inputs, x)

    with pytest.raises(ValueError, match=r"an x of its own, .* as in h = keras\.layers\.Dense"):
        check_outputs(build, x, NUMBERS, "numbers")

    def other():
        layers += [keras.layers.Dense(1)]  # noqa: F821
        return keras.Sequential(layers)

    with pytest.raises(UnboundLocalError, match="'layers'"):
        check_outputs(other, x, NUMBERS, "numbers")


class OfTwo(keras.Model):
    """Has a loss of its own, as an autoencoder may have."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean((y_pred[0] - y_pred[1]) ** 2)


@pytest.mark.parametrize(
    "loss", ["mse", ["mse", BINARY], [quantile, quantile]], ids=["one", "named", "functions"]
)
def test_one_target_has_one_output(loss):
    def build(kind=keras.Model):
        inputs = keras.Input((3,))
        ends = [keras.layers.Dense(1, last)(inputs) for last in (None, "sigmoid")]
        model = kind(inputs, ends)
        model.compile("adam", loss)
        return model

    with pytest.raises(ValueError, match=r"2 outputs, .* single output"):
        check_outputs(build, X, NUMBERS, "numbers")
    check_outputs(lambda: build(OfTwo), X, NUMBERS, "numbers")


def test_an_input_may_leave_lengths_open():
    def build():
        layers = [keras.layers.GRU(2), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((None, 1)), *layers])
        model.compile("adam", "mse")
        return model

    check_outputs(build, X[..., None], NUMBERS, "numbers")
    check_outputs(build, X, NUMBERS, "numbers")  # Keras adds the last axis, as for grey pictures


def test_keras_takes_a_last_axis_of_one_away():
    check_outputs(lambda: compiled(1, None, "mse"), X[..., None], NUMBERS, "numbers")


def test_colours_come_last_unless_the_model_puts_them_there():
    def build(shape, first=()):
        return compiled_layers(shape, [*first, conv(2, 3), keras.layers.Flatten()])

    conv, pictures = keras.layers.Conv2D, np.zeros((40, 3, 8, 8))
    with pytest.raises(ValueError, match=r"8 channels of 3 by 8 pixels.*transpose\(0, 2, 3, 1\)"):
        check_outputs(lambda: build((3, 8, 8)), pictures, TWO, "classes")
    last = pictures.transpose(0, 2, 3, 1)
    check_outputs(lambda: build((8, 8, 3)), last, TWO, "classes")
    moved = [keras.layers.Permute((2, 3, 1))]
    check_outputs(lambda: build((3, 8, 8), moved), pictures, TWO, "classes")
    check_outputs(lambda: build((3, 3, 8)), np.zeros((40, 3, 3, 8)), TWO, "classes")  # of a base
    grey = [keras.layers.Conv2D(2, 3, padding="same"), keras.layers.Flatten()]
    with pytest.raises(ValueError, match=r"8 channels of 1 by 8 pixels.*transpose\(0, 2, 3, 1\)"):
        check_outputs(lambda: compiled_layers((1, 8, 8), grey), pictures[:, :1], TWO, "classes")


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (3, 8, 12), (2, 30)], ids=str)
def test_channels_that_come_first_are_named_where_nothing_is_left_to_pool(shape):
    """Keras only says that an output's size would be negative."""
    conv, pool = {
        3: (keras.layers.Conv2D, keras.layers.MaxPooling2D),
        2: (keras.layers.Conv1D, keras.layers.MaxPooling1D),
    }[len(shape)]
    x = np.zeros((40, *shape))

    def build():
        return compiled_layers(x.shape[1:], [conv(4, 3), pool(2), keras.layers.Flatten()])

    with pytest.raises(ValueError, match=r"channels, .* shape \(.*let my_arrays return") as said:
        check_outputs(build, x, TWO, "classes")
    x = eval(str(said.value).rpartition("return ")[2], {"np": np, "x": x})
    assert x.shape[1:] == (*shape[1:], shape[0])
    check_outputs(build, x, TWO, "classes")


def test_what_has_become_too_small_with_the_channels_last_is_left_to_keras():
    layers = [keras.layers.Conv2D(4, 9), keras.layers.Flatten()]
    with pytest.raises(ValueError, match="negative") as said:
        check_outputs(lambda: compiled_layers((8, 8, 3), layers), np.zeros((40, 8, 8, 3)), TWO, "")
    assert "moveaxis" not in str(said.value)


def compiled_layers(shape, layers):
    last = keras.layers.Dense(1, "sigmoid")
    model = keras.Sequential([keras.Input(shape), *layers, last])
    model.compile("adam", BINARY)
    return model


def test_an_embedding_gets_whole_numbers():
    def build():
        layers = [keras.layers.Embedding(9, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile("adam", "mse")
        return model

    words = np.arange(120).reshape(40, 3) % 9
    check_outputs(build, words, NUMBERS, "numbers")
    check_outputs(build, words.astype(float), NUMBERS, "numbers")
    for scaled in (X, words / 3, -words):
        with pytest.raises(
            ValueError, match=r"Embedding needs whole .*: let `scaled` return `part`"
        ):
            check_outputs(build, scaled, NUMBERS, "numbers")


def test_an_embedding_has_a_row_for_the_largest_number():
    """TensorFlow would stop at indices[5,5] = 9, or on a GPU take 0 without a word."""

    def build(words):
        layers = [keras.layers.Embedding(words, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile("adam", "mse")
        return model

    x = np.zeros((100, 3), int)
    x[99, 2] = 9  # not among the first examples
    with pytest.raises(ValueError, match=r"from 0 to 8, it gets 9: .*Embedding\(int") as said:
        check_outputs(lambda: build(9), x, np.arange(100.0), "numbers")
    largest = eval(re.search(r"Embedding\((.*?), 16", str(said.value))[1], {"x": x})
    check_outputs(lambda: build(largest), x, np.arange(100.0), "numbers")


class OfWords(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.last = keras.layers.Embedding(9, 4), keras.layers.Dense(1)

    def call(self, x):
        words = keras.layers.Flatten()(self.embedding(x[:, :1]))
        return self.last(keras.ops.concatenate([words, x[:, 1:]], axis=-1))


class InBins(keras.Model):
    def __init__(self):
        super().__init__()
        self.edges, self.words, self.flat, self.last = bins()

    def call(self, x):
        return self.last(self.flat(self.words(self.edges(x))))


def bins():
    edges = keras.layers.Discretization(bin_boundaries=[-1.0, 0.0, 1.0])
    words = keras.layers.Embedding(4, 2)
    return [edges, words, keras.layers.Flatten(), keras.layers.Dense(1)]


@pytest.mark.parametrize(
    "model",
    [
        lambda: keras.Sequential(bins()),
        lambda: keras.Sequential([keras.Input((3,)), *bins()]),
        InBins,
    ],
    ids=["not built", "built", "a call of its own"],
)
def test_an_embedding_behind_bins_gets_whole_numbers(model):
    def build():
        made = model()
        made.compile("adam", "mse")
        return made

    check_outputs(build, X, NUMBERS, "numbers")


@pytest.mark.parametrize("functional", [True, False])
def test_an_embedding_beside_numbers_gets_whole_numbers_by_the_mend(functional):
    """Whoever did what the message says met the same message again."""

    def build():
        model = OfWords()
        if functional:
            whole = keras.Input((3,))
            words = keras.layers.Flatten()(keras.layers.Embedding(9, 4)(whole[:, :1]))
            joined = keras.layers.Concatenate()([words, whole[:, 1:]])
            model = keras.Model(whole, keras.layers.Dense(1)(joined))
        model.compile("adam", "mse")
        return model

    x_train = np.column_stack([np.arange(40) % 9, 5 + 2 * X[:, 1:]])
    with pytest.raises(ValueError, match="Embedding needs whole") as said:
        check_outputs(build, standardise(x_train, x_train), NUMBERS, "numbers")
    mend = str(said.value).partition("first column is for it, ")[2]
    mended = eval(mend, {"np": np, "standardise": standardise, "part": x_train, "x_train": x_train})
    assert np.array_equal(mended[:, 0], x_train[:, 0])
    assert abs(mended[:, 1:].mean()) < 1e-6
    check_outputs(build, mended, NUMBERS, "numbers")


def test_a_schedule_is_named_beside_its_optimizer():
    optimizers = keras.optimizers
    assert optimizer_in_words(optimizers.Adam(0.1)) == "Adam"
    assert optimizer_in_words(optimizers.SGD(0.1, 0.9)) == "SGD (momentum 0.9)"  # another best rate
    decayed = optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 30))
    for optimizer in (decayed, optimizers.LossScaleOptimizer(decayed)):
        assert optimizer_in_words(optimizer).startswith(
            "SGD with CosineDecay (the rate is the large"
        )
