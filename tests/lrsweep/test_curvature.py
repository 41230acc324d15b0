"""Hessian products and largest curvatures: against exact Hessians, Lanczos, and without a trace."""

import random
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.sparse.linalg import LinearOperator, eigsh

from lrsweep import _curvature as curvature
from utils import data, descent

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3)).astype("float32")
CLASSES = RNG.integers(0, 3, size=20)


def regression():
    """tanh with two penalties, of its weights and of its activations, and mean squared error."""
    hidden = layers.Dense(
        4,
        activation="tanh",
        kernel_regularizer=keras.regularizers.L2(0.1),
        activity_regularizer=keras.regularizers.L2(0.05),
    )
    model = keras.Sequential([keras.Input((3,)), hidden, layers.Dense(1)])
    model.compile("adam", loss="mse")
    return model, X, X[:, :1] * X[:, 1:2]


def classifier():
    """A softmax classifier behind BatchNormalization."""
    stack = [layers.Dense(5), layers.BatchNormalization(), layers.Activation("tanh")]
    model = keras.Sequential([keras.Input((3,)), *stack, layers.Dense(3)])
    model.compile(
        keras.optimizers.AdamW(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model, X, CLASSES


def two_outputs():
    """A model with named inputs and outputs, one of them looked up in an Embedding."""
    number, kind = keras.Input((3,), name="number"), keras.Input((), dtype="int32", name="kind")
    joined = layers.Concatenate()([layers.Dense(3, "gelu")(number), layers.Embedding(3, 2)(kind)])
    outputs = {
        "size": layers.Dense(1, name="size")(joined),
        "sign": layers.Dense(1, activation="sigmoid", name="sign")(joined),
    }
    model = keras.Model({"number": number, "kind": kind}, outputs)
    losses = {"size": "mse", "sign": "binary_crossentropy"}
    model.compile("adam", loss=losses, loss_weights={"size": 1.0, "sign": 0.5})
    targets = {"size": X[:, :1], "sign": (X[:, 1:2] > 0).astype("float32")}
    return model, {"number": X, "kind": CLASSES.astype("int32")}, targets


def with_dropout():
    """A convolution with Dropout and BatchNormalization, on pictures."""
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(3, 3, activation="tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.4),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )
    model.compile("adam", loss="mse", metrics=["mae"])
    rng = np.random.default_rng(1)
    return model, rng.normal(size=(9, 6, 6, 1)).astype("float32"), rng.normal(size=(9, 2))


MODELS = (regression, classifier, two_outputs)


def slowly(value):
    """Return a case that is left to the long tests."""
    return pytest.param(value, marks=pytest.mark.long)


models = pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)


def trained(build, updates=3):
    keras.utils.set_random_seed(0)
    model, x, y = build()
    for _ in range(updates):
        model.train_on_batch(x, y)
    return model, x, y


def exact_hessian(model, x, y, training=False):
    """Return the whole Hessian, by the Jacobian of the gradient at the real variables."""
    moving = [(v, v.numpy()) for v in model.non_trainable_variables]
    weights = [v.value for v in model.trainable_variables]
    with tf.GradientTape(persistent=True) as outer:
        with tf.GradientTape() as inner:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x, training=training))
        gradients = [tf.convert_to_tensor(g) for g in inner.gradient(loss, weights)]
    rows = [
        [tf.reshape(block, (size(g), -1)) for block in outer.jacobian(
            g, weights, unconnected_gradients="zero", experimental_use_pfor=False)]
        for g in gradients
    ]  # fmt: skip
    for variable, value in moving:
        variable.assign(value)
    return np.block([[block.numpy() for block in row] for row in rows]).astype(float)


def size(array):
    return int(np.prod(array.shape))


@cache
def prepared(build):
    """Return a model that was trained a little, its batch and its exact Hessian; only to read."""
    model, x, y = trained(build)
    return model, x, y, exact_hessian(model, x, y)


def whole(meter):
    """Return the matrix of a meter's products."""
    return np.array([meter.product(unit) for unit in np.eye(sum(meter.sizes))]).T.astype(float)


def adam_denominator(optimizer):
    state = {variable.path: variable.numpy() for variable in optimizer.variables}
    squares = [value for path, value in state.items() if path.endswith("velocity")]
    t = int(optimizer.iterations)
    flat = np.concatenate([np.ravel(square) for square in squares])
    return (np.sqrt(flat) + optimizer.epsilon) / np.sqrt(1 - optimizer.beta_2**t)


# ---------------------------------------------------------------- right


@models
def test_products_are_those_of_the_exact_hessian(build):
    model, x, y, exact = prepared(build)
    np.testing.assert_allclose(exact, exact.T, atol=1e-4 * np.abs(exact).max())
    measured = whole(curvature.CurvatureMeter(model, x, y))
    np.testing.assert_allclose(measured, exact, atol=1e-4 * np.abs(exact).max())


@models
def test_lists_go_in_and_out(build):
    model, x, y, exact = prepared(build)
    rng = np.random.default_rng(2)
    direction = [rng.normal(size=v.shape) for v in model.trainable_variables]
    product = curvature.hessian_product(model, x, y, direction)
    assert [p.shape for p in product] == [d.shape for d in direction]
    flat = [np.concatenate([np.ravel(part) for part in side]) for side in (direction, product)]
    np.testing.assert_allclose(flat[1], exact @ flat[0], atol=1e-4 * np.abs(exact).max())


@models
def test_largest_is_the_largest_eigenvalue(build):
    model, x, y, exact = prepared(build)
    largest = curvature.CurvatureMeter(model, x, y).largest()
    assert largest == pytest.approx(np.linalg.eigvalsh(exact)[-1], rel=1e-3)


@pytest.mark.parametrize("build", [regression, classifier], ids=lambda build: build.__name__)
def test_preconditioned_is_what_adam_divides_by(build):
    model, x, y, exact = prepared(build)
    root = np.sqrt(adam_denominator(model.optimizer))
    wanted = exact / np.outer(root, root)
    meter = curvature.CurvatureMeter(model, x, y, preconditioned=True)
    np.testing.assert_allclose(whole(meter), wanted, atol=2e-4 * np.abs(wanted).max())
    assert meter.largest() == pytest.approx(np.linalg.eigvalsh(wanted)[-1], rel=1e-3)


def test_amsgrad_divides_by_its_largest_squares():
    model, x, y = regression()
    model.compile(keras.optimizers.Adam(0.01, amsgrad=True), loss="mse")
    for factor in (5.0, 0.0):  # large slopes first, then small ones
        model.train_on_batch(x, factor * y)
    state = {v.path: v.numpy() for v in model.optimizer.variables}
    hats = np.concatenate([np.ravel(v) for path, v in state.items() if "velocity_hat" in path])
    root = np.sqrt((np.sqrt(hats) + 1e-7) / np.sqrt(1 - 0.999**2))
    wanted = exact_hessian(model, x, y) / np.outer(root, root)
    meter = curvature.CurvatureMeter(model, x, y, preconditioned=True)
    np.testing.assert_allclose(whole(meter), wanted, atol=2e-4 * np.abs(wanted).max())


def test_training_mode_uses_the_statistics_of_the_batch():
    model, x, y = trained(classifier)
    exact = {mode: exact_hessian(model, x, y, training=mode) for mode in (False, True)}
    assert np.abs(exact[True] - exact[False]).max() > 0.01
    for mode, wanted in exact.items():
        meter = curvature.CurvatureMeter(model, x, y, training=mode)
        np.testing.assert_allclose(whole(meter), wanted, atol=2e-4 * np.abs(wanted).max())


def test_training_mode_keeps_one_mask_of_dropout():
    model, x, y = trained(with_dropout)
    meter = curvature.CurvatureMeter(model, x, y, training=True)
    matrix = whole(meter)
    np.testing.assert_array_equal(matrix, whole(meter))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-4 * np.abs(matrix).max())
    model.layers[2].seed_generator.next()  # the next mask is another one
    assert np.abs(whole(meter) - matrix).max() > 1e-3


def digits_network():
    split = data.load_split("digits", standardised=True)
    model = keras.Sequential(
        [keras.Input((64,)), layers.Dense(32, activation="tanh"), layers.Dense(10)]
    )
    model.compile(keras.optimizers.Adam(0.003), loss="mse")
    return model, split.x_train[:200], np.eye(10)[split.y_train[:200]]


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("build", [classifier, slowly(two_outputs), digits_network])
def test_lanczos_agrees(build, preconditioned):
    model, x, y = trained(build)
    meter = curvature.CurvatureMeter(model, x, y, preconditioned=preconditioned)
    largest, n = meter.largest(), sum(meter.sizes)
    for _ in range(2):
        operator = LinearOperator((n, n), matvec=lambda v: meter.product(np.ravel(v)), dtype="f8")
        lanczos = eigsh(operator, k=1, which="LA", return_eigenvectors=False)[0]
        assert largest == pytest.approx(lanczos, rel=1e-3)
        for _ in range(10):
            model.train_on_batch(x, y)
        largest = meter.largest()  # starts where the last one ended


def test_a_warm_start_needs_fewer_products():
    model, x, y = trained(digits_network)
    meter = curvature.CurvatureMeter(model, x, y)
    cold = (meter.largest(), meter.products)
    warm = (meter.largest(), meter.products)
    assert warm[1] < cold[1] / 2
    assert warm[0] == pytest.approx(cold[0], rel=1e-3)
    assert np.linalg.norm(meter.direction) == pytest.approx(1, rel=1e-5)
    assert meter.residual <= 1e-3


def saddle(*curvatures):
    """A model of as many weights as numbers, whose loss has just these curvatures."""

    def loss(truth, weights):
        return keras.ops.sum(np.array(curvatures, "float32") * weights**2, axis=-1) / 2

    dense = layers.Dense(len(curvatures), use_bias=False)
    model = keras.Sequential([keras.Input((1,)), dense])
    model.compile("sgd", loss=loss)
    return curvature.CurvatureMeter(model, np.ones((1, 1)), np.zeros((1, len(curvatures))))


@pytest.mark.parametrize(
    "curvatures", [(-10, 2, 1), (-10, -2, -3), (-6, 6, 1), (-6.01, 6), (3, 2.9, -1), (0, -4)]
)
def test_the_largest_is_not_the_largest_in_size(curvatures):
    meter = saddle(*curvatures)
    for _ in range(2):
        assert meter.largest() == pytest.approx(max(curvatures), rel=2e-3, abs=1e-3)


def test_a_direction_that_becomes_steepest_is_noticed():
    meter = saddle(5.0, 1.0)
    assert meter.largest() == pytest.approx(5, rel=1e-3)
    meter.direction = np.array([0.0, 1.0])  # settled, in what is no longer the steepest
    assert meter.largest() == pytest.approx(5, rel=1e-3)


def test_flat_and_lost_losses():
    assert saddle(0.0, 0.0).largest() == 0
    model, x, y = trained(regression)
    meter = curvature.CurvatureMeter(model, x, y)
    before = meter.largest()
    weights = model.get_weights()
    model.set_weights([np.full_like(w, np.nan) for w in weights])
    assert np.isnan(meter.largest())
    model.set_weights(weights)
    assert meter.largest() == pytest.approx(before, rel=1e-3)


def test_it_is_lesson_2s_power_iteration():
    model, x, y, _ = prepared(regression)
    meter = curvature.CurvatureMeter(model, x, y)
    known = descent.largest_curvature(meter.product, sum(meter.sizes))
    assert meter.largest() == pytest.approx(known, rel=1e-3)


def test_a_model_of_ones_own():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):  # takes no `training`
            return self.dense(x)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 3 * keras.ops.mean((y - y_pred) ** 2)

    model = Own()
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match="model must be built"):
        curvature.CurvatureMeter(model, X, X[:, :2])
    model(X[:1])
    columns = np.column_stack([X, np.ones(len(X))])
    wanted = 3 * np.linalg.eigvalsh(columns.T @ columns / len(X))[-1]
    assert curvature.CurvatureMeter(model, X, X[:, :2]).largest() == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("training", [False, True])
def test_a_compute_loss_of_ones_own_is_called_as_keras_calls_it(training):
    class Own(keras.Sequential):
        def compute_loss(self, x, y, y_pred, sample_weight, training=True):
            return (3 if training else 1) * keras.ops.mean((y - y_pred) ** 2)

    model = Own([keras.Input((3,)), layers.Dense(1, use_bias=False)])
    model.compile("sgd", loss="mse")
    wanted = (3 if training else 1) * 2 * np.linalg.eigvalsh(X.T @ X / len(X))[-1]
    meter = curvature.CurvatureMeter(model, X, X[:, :1], training=training)
    assert meter.largest() == pytest.approx(wanted, rel=1e-3)


def test_what_a_layer_assigns_is_a_number_for_the_gradient():
    """As for a tape around Keras: no gradient flows through a variable that was assigned to."""

    class Centred(layers.Layer):
        def __init__(self):
            super().__init__()
            self.mean = self.add_weight(shape=(1,), initializer="zeros", trainable=False)

        def call(self, x):
            self.mean.assign(keras.ops.mean(x, axis=0))
            return x - self.mean

    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, use_bias=False), Centred()])
    model.compile("sgd", loss="mse")
    weights = model.trainable_variables[0].value
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = tf.reduce_mean((model(X) - X[:, :1]) ** 2)
        slope = inner.gradient(loss, weights)
    wanted = tf.reshape(outer.jacobian(slope, weights), (3, 3)).numpy()
    meter = curvature.CurvatureMeter(model, X, X[:, :1])
    found = [meter.product(direction) for direction in np.eye(3)]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- without a trace


def everything(model):
    """Return all that a model, its optimizer, its metrics and the random generators know.

    (But what the last call left in `model.losses`, which every call of a model replaces.)
    """
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return {
        "variables": [variable.numpy().tolist() for variable in variables],
        "numpy": [np.array(part).tolist() for part in np.random.get_state()],
        "python": random.getstate(),
        "keras": [v.numpy().tolist() for v in _global_seeds()],
    }


def _global_seeds():
    from keras.src.backend.common import global_state

    generator = global_state.get_global_attribute("global_seed_generator")
    return [] if generator is None else [generator.state]


@pytest.mark.parametrize("training", [slowly(False), True])
@pytest.mark.parametrize("build", [*map(slowly, MODELS), with_dropout])
def test_nothing_has_changed(build, training):
    model, x, y = trained(build)
    keras.random.normal((1,))  # the global seed generator exists
    before = everything(model)
    for preconditioned in (False, True):
        meter = curvature.CurvatureMeter(model, x, y, preconditioned, training)
        meter.largest(iterations=20)
    direction = [np.ones(v.shape) for v in model.trainable_variables]
    curvature.hessian_product(model, x, y, direction, training)
    assert everything(model) == before


def test_a_variable_of_tensorflow_has_not_changed():
    class Counting(layers.Layer):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0.0, trainable=False)

        def call(self, x):
            self.calls.assign_add(1.0)
            return x

    counting = Counting()
    model = keras.Sequential([keras.Input((3,)), counting, layers.Dense(1)])
    model.compile("sgd", loss="mse")
    meter = curvature.CurvatureMeter(model, X, X[:, :1])
    meter.largest(iterations=3)
    assert counting.calls.numpy() == 0


@pytest.mark.parametrize("build", [slowly(classifier), slowly(two_outputs), with_dropout])
def test_a_training_goes_on_as_if_unmeasured(build):
    ends = []
    for measured in (False, True):
        keras.utils.set_random_seed(0)
        model, x, y = build()
        if measured:
            curvature.CurvatureMeter(model, x, y, training=True).largest(iterations=5)
        for _ in range(2):
            history = model.fit(x, y, batch_size=5, verbose=0).history
            if measured:
                curvature.CurvatureMeter(model, x, y, True, True).largest(iterations=5)
        ends.append((history, [w.tolist() for w in model.get_weights()]))
    assert ends[0] == ends[1]


# ---------------------------------------------------------------- refused


def test_bad_models_are_named():
    uncompiled = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    unbuilt = keras.Sequential([layers.Dense(1)])
    unbuilt.compile("sgd", loss="mse")
    frozen, x, y = regression()
    frozen.trainable = False
    sgd, _, _ = regression()
    sgd.compile("sgd", loss="mse")
    fresh, _, _ = regression()
    thawed, _, _ = regression()
    thawed.train_on_batch(x, y)
    thawed.layers[0].trainable = False  # Adam remembers weights that no longer train
    cases = [
        (None, {}, "compiled with a loss, got None"),
        (uncompiled, {}, "compiled with a loss, got <Sequential"),
        (unbuilt, {}, "be built, with weights to train, got <Sequential"),
        (frozen, {}, "be built, with weights to train, got"),
        (sgd, {"preconditioned": True}, "Adam or AdamW for preconditioned=True, got SGD after 0"),
        (fresh, {"preconditioned": True}, "got Adam after 0 updates"),
        (thawed, {"preconditioned": True}, "got Adam after 1 updates"),
    ]
    for model, options, message in cases:
        with pytest.raises(ValueError, match=f"^model must .*{message}"):
            curvature.CurvatureMeter(model, x, y, **options)


def test_bad_batches_are_named():
    model, x, y = regression()
    for bad_x, bad_y in [(x[:, :2], y), (x, y[:7]), (x[:, :2], None), ("text", y)]:
        with pytest.raises(ValueError, match=r"^x and y must fit the model and its loss, got "):
            curvature.CurvatureMeter(model, bad_x, bad_y)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "0", True])
def test_bad_seeds_are_named(seed):
    with pytest.raises(ValueError, match=r"^seed must be a whole number of at least 0, got"):
        curvature.CurvatureMeter(*regression(), seed=seed)


def test_bad_directions_and_limits_are_named():
    model, x, y = regression()
    meter = curvature.CurvatureMeter(model, x, y)
    for direction in (np.ones(20), np.ones(22)):
        with pytest.raises(ValueError, match=f"direction must be 21 numbers, got {len(direction)}"):
            meter.product(direction)
    for direction in (np.ones((21, 1)), np.full(21, np.nan), "abc", None):
        with pytest.raises(ValueError, match=r"^direction must "):
            meter.product(direction)
    for direction in (
        None,
        3,
        "abc",
        [],
        [np.ones((3, 4))],
        [np.ones(12), np.ones(4), np.ones(4), np.ones(1)],
    ):
        with pytest.raises(ValueError, match=r"^direction must be a list of arrays of shapes \["):
            curvature.hessian_product(model, x, y, direction)
    for options in ({"iterations": 0}, {"iterations": 1.5}, {"tolerance": 0}, {"tolerance": None}):
        (argument,) = options
        with pytest.raises(ValueError, match=f"^{argument} must be "):
            meter.largest(**options)


def test_importing_it_starts_no_tensorflow():
    import subprocess
    import sys
    from pathlib import Path

    code = "import sys, lrsweep; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    root = Path(curvature.__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert ran.stdout.split() == ["False", "False"]


def test_a_series_is_a_column_as_in_fit():
    pandas = pytest.importorskip("pandas")

    class Difference(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return keras.ops.square(y_true - y_pred)

    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, "tanh"), layers.Dense(1)])
    model.compile("sgd", Difference())
    column, series = X[:, :1], pandas.Series(X[:, 0])
    ends = [curvature.CurvatureMeter(model, X, y).largest() for y in (column, series)]
    assert ends[0] == pytest.approx(ends[1])
