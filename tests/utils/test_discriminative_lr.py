"""Two learning rates in one model: Keras's MultiOptimizer and our own give the same weights."""

import keras
import numpy as np
import pytest

from utils import discriminative_lr
from utils.discriminative_lr import OwnMultiOptimizer, OwnOptimizerMap, discriminative_optimizer

KERAS = keras.optimizers
ADAM = KERAS.Adam
MOMENTUM = lambda rate: KERAS.SGD(rate, momentum=0.9, nesterov=True)  # noqa: E731
OWN = {"MultiOptimizer": OwnMultiOptimizer, "OptimizerMap": OwnOptimizerMap}
KINDS = [
    pytest.param(
        {name: getattr(KERAS, name, None) for name in OWN},
        id="Keras's",
        marks=pytest.mark.skipif(
            not hasattr(KERAS, "MultiOptimizer"), reason="Keras has it from 3.15 on"
        ),
    ),
    pytest.param(OWN, id="own"),
]


@pytest.fixture(params=KINDS)
def kind(request, monkeypatch):
    for name, found in request.param.items():
        monkeypatch.setattr(discriminative_lr, name, found)
    return request.param


def examples(rows=40):
    random = np.random.default_rng(0)
    return random.normal(size=(rows, 6)).astype("float32"), random.integers(0, 3, rows)


def network(seed=0):
    """Return a base in which something is normalised, and the whole model around it."""
    keras.utils.set_random_seed(seed)
    inner = [keras.layers.Dense(5, "tanh", name="lower"), keras.layers.BatchNormalization()]
    base = keras.Sequential([keras.Input((6,)), *inner], name="base")
    inputs = keras.Input((6,))
    outputs = keras.layers.Dense(3, name="head")(base(inputs))
    return base, keras.Model(inputs, outputs)


def fit(model, optimizer, epochs=3, **named):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **named)
    history = model.fit(*examples(), 8, epochs, shuffle=False, verbose=0)
    return history.history["loss"], [v.numpy() for v in model.weights]


def same(one, other, tolerance=1e-6):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("optimizer", [ADAM, MOMENTUM, KERAS.RMSprop, KERAS.AdamW])
@pytest.mark.skipif(not hasattr(KERAS, "MultiOptimizer"), reason="Keras has it from 3.15 on")
def test_own_and_keras_give_the_same_weights(optimizer, monkeypatch):
    found = []
    for classes in (OWN, {name: getattr(KERAS, name) for name in OWN}):
        for name, value in classes.items():
            monkeypatch.setattr(discriminative_lr, name, value)
        base, model = network()
        found.append(fit(model, discriminative_optimizer(base, 0.001, 0.05, optimizer)))
    (losses, weights), (keras_losses, keras_weights) = found
    assert losses == keras_losses
    for one, other in zip(weights, keras_weights):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("optimizer", [ADAM, MOMENTUM])
def test_one_rate_twice_is_one_optimizer(kind, optimizer):
    base, model = network()
    split = fit(model, discriminative_optimizer(base, 0.02, 0.02, optimizer))
    plain = fit(network()[1], optimizer(0.02))
    same(split[0], plain[0])
    same(split[1], plain[1])


def test_each_part_moves_at_its_own_rate(kind):
    base, model = network()
    before = [v.numpy() for v in model.trainable_variables]
    optimizer = discriminative_optimizer(base, 1e-4, 1e-2)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.train_on_batch(*examples())
    moved = [np.abs(v.numpy() - b).max() for v, b in zip(model.trainable_variables, before)]
    rates = [1e-4 if any(v is w for w in base.weights) else 1e-2 for v in model.trainable_variables]
    assert sorted(set(rates)) == [1e-4, 1e-2]
    np.testing.assert_allclose(moved, rates, rtol=1e-3)  # Adam's first step is its rate
    assert [float(o.learning_rate) for o in optimizer.optimizers] == pytest.approx([1e-4, 1e-2])
    assert int(optimizer.iterations) == 1
    known = {id(v) for v in optimizer.variables}
    assert all(id(v) in known for each in optimizer.optimizers for v in each.variables)


def test_the_rate_of_the_base_may_change_on_the_way(kind):
    base, model = network()
    optimizer = discriminative_optimizer(base, 0.1, 0.1, KERAS.SGD)
    fit(model, optimizer, epochs=1)
    optimizer.optimizers[0].learning_rate = 0.0
    before = [v.numpy() for v in base.trainable_variables]
    model.fit(*examples(), epochs=1, verbose=0)
    same(before, base.trainable_variables, tolerance=0)


def test_a_schedule_for_the_base(kind):
    base, model = network()
    fall = KERAS.schedules.PiecewiseConstantDecay([4], [0.1, 0.0])

    def optimizer(rate):
        return KERAS.SGD(fall if rate == 0.1 else rate)

    fit(model, discriminative_optimizer(base, 0.1, 0.2, optimizer), epochs=1)
    before = [v.numpy() for v in base.trainable_variables]
    model.fit(*examples(), epochs=1, verbose=0)
    same(before, base.trainable_variables, tolerance=0)


def test_keys_fit_whole_paths(kind):
    slow, fast, exact = KERAS.SGD(0.1), KERAS.SGD(0.2), KERAS.SGD(0.3)
    chosen = kind["OptimizerMap"](fast, {"block1.*": slow})
    chosen["block1/bias"] = exact
    assert chosen["block1/kernel"] is slow
    assert chosen["block1/bias"] is exact  # the path itself before any pattern
    assert chosen["my_block1/kernel"] is fast
    assert chosen["head/kernel"] is fast
    with pytest.raises(ValueError, match="block1"):
        chosen["block1.*"] = fast
    chosen[".*kernel"] = exact
    with pytest.raises(ValueError, match="block1/kernel"):
        chosen["block1/kernel"]


def test_no_single_learning_rate(kind):
    base, _ = network()
    optimizer = discriminative_optimizer(base, 0.1, 0.2)
    assert not hasattr(optimizer, "learning_rate")
    with pytest.raises(AttributeError):
        optimizer.learning_rate = 0.1


def test_saved_and_continued(kind, tmp_path):
    base, model = network()
    fit(model, discriminative_optimizer(base, 0.01, 0.05), epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    rates = [float(o.learning_rate) for o in again.optimizer.optimizers]
    assert rates == pytest.approx([0.01, 0.05])
    for one in (model, again):
        one.fit(*examples(), epochs=1, shuffle=False, verbose=0)
    same([v.numpy() for v in model.weights], [v.numpy() for v in again.weights])


def test_frozen_layers_inside_the_base(kind):
    base, model = network()
    base.layers[1].trainable = False
    before = [v.numpy() for v in base.layers[1].weights]
    fit(model, discriminative_optimizer(base, 0.01, 0.05))
    same(before, base.layers[1].weights, tolerance=0)


def test_bad_input(kind):
    base, _ = network()
    with pytest.raises(ValueError, match="base_rate must be a positive number"):
        discriminative_optimizer(base, 0, 0.1)
    with pytest.raises(ValueError, match="head_rate must be a positive number"):
        discriminative_optimizer(base, 0.1, "0.1")
    base.trainable = False
    with pytest.raises(ValueError, match="set its trainable to True first"):
        discriminative_optimizer(base, 0.1, 0.1)
