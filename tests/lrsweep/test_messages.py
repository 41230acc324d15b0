"""What is said about bad input: the argument, the value, what is allowed, what to do."""

import concurrent.futures
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrsweep import (
    RangeTest,
    SweepResult,
    check_up,
    choose_learning_rate,
    range_test,
    sweep_learning_rates,
)

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = np.arange(24) % 3
DATA = X, Y


def build(optimizer="sgd", loss="sparse_categorical_crossentropy", measured=(), units=3):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, "softmax")])
    model.compile(optimizer, loss, metrics=list(measured))
    return model


def sweep(**arguments):
    known = {
        "build_model": build,
        "learning_rates": [0.01, 0.1],
        "train_data": DATA,
        "validation_data": DATA,
        "epochs": 1,
        "seeds": 1,
        "progress": False,
    }
    return sweep_learning_rates(**known | arguments)


def dataset(*parts, repeated=False):
    data = tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0]).batch(8)
    return data.repeat() if repeated else data


def with_nan(place=3):
    x = X.copy()
    x[place, 1] = np.nan
    return x, Y


def rate_is_a_function():
    return build(keras.optimizers.SGD(lambda: 0.1))


def two_outputs():
    inputs = keras.Input((4,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model


def needs_units(units, width=3):
    return build(units=units)


model = build()
EarlyStopping = keras.callbacks.EarlyStopping
scheduled = keras.optimizers.schedules.CosineDecay(0.1, 10)

# What to give to a sweep, and what must be said: the argument, the value, what is allowed.
SWEEP = {
    "rates of a string": ({"learning_rates": "0.1"}, "learning_rates 1-D array of numbers '0.1'"),
    "a rate beyond 32 bits": ({"learning_rates": [0.1, 1e39]}, "learning_rates 32-bit 3e+38 1e+39"),
    "empty weights": ({"train_data": (X, Y, {})}, "sample_weight train_data at least one array {}"),
    "rates of whole numbers": ({"learning_rates": [1, 2]}, "learning_rates must be floats 1.0"),
    "negative rate": ({"learning_rates": [-0.5, 0.1]}, "learning_rates must be positive -0.5"),
    "rates in disorder": ({"learning_rates": [0.1, 0.3, 0.2]}, "learning_rates rise or fall 0.2"),
    "rates equal in 32 bits": (
        {"learning_rates": [0.1, 0.1 + 1e-12]},
        "learning_rates must differ as 32-bit numbers 0.100000000001",
    ),
    "a folder in a file": (
        {"keep": Path(__file__) / "runs"},
        "keep must be a folder that can be made test_messages.py Not a directory",
    ),
    "a folder no system takes": (
        {"keep": "a\0b"},
        r"keep must be the name of a folder 'a\x00b' null",
    ),
    "a long name": ({"keep": "a" * 300}, "keep must be the name of a folder 'aaa aa... too long"),
    "no rates": ({"learning_rates": []}, "learning_rates must not be empty"),
    "rate not finite": ({"learning_rates": [0.1, np.inf]}, "learning_rates finite inf"),
    "no epochs": ({"epochs": 0}, "epochs must be a whole number of at least 1 got 0"),
    "half an epoch": ({"epochs": 2.5}, "epochs must be a whole number 2.5"),
    "batch of none": ({"batch_size": -3}, "batch_size must be a whole number at least 1 -3"),
    "batch of text": ({"batch_size": "32"}, "batch_size must be a whole number '32'"),
    "no seeds": ({"seeds": 0}, "seeds must be a whole number at least 1 got 0"),
    "seed twice": ({"seeds": [4, 4]}, "seeds must be different whole numbers [4, 4]"),
    "a small budget": (
        {"learning_rates": None, "budget": 0},
        "budget must be a whole number of at least 1 got 0",
    ),
    "a model": ({"build_model": model}, "build_model must be a function without arguments got"),
    "nothing built": ({"build_model": lambda: None}, "build_model must return a keras.Model None"),
    "not compiled": (
        {"build_model": lambda: keras.Sequential([keras.layers.Dense(1)])},
        "build_model must return a compiled model call model.compile first",
    ),
    "same model": ({"build_model": lambda: model}, "build_model must make a new model each call"),
    "needs arguments": (
        {"build_model": needs_units},
        "build_model without arguments missing a required argument 'units' lambda: build(32)",
    ),
    "a rate that is a function": (
        {"build_model": rate_is_a_function},
        "optimizer must have one learning rate, a number or a schedule SGD",
    ),
    "many numbers": (
        {
            "build_model": lambda: build(
                loss="categorical_crossentropy", measured=[keras.metrics.F1Score()]
            ),
            "train_data": (X, np.eye(3)[Y]),
            "validation_data": (X, np.eye(3)[Y]),
        },
        "metrics must be single numbers f1_score has 3 average",
    ),
    "no pair": ({"train_data": X}, "train_data must be (x, y) or (x, y, sample_weight) ndarray"),
    "four parts": ({"train_data": (X, Y, Y, Y)}, "train_data must be (x, y) or 4 of them"),
    "no targets": ({"validation_data": (X, None)}, "y of validation_data must be an array None"),
    "unequal lengths": (
        {"train_data": (X, Y[:-2])},
        "train_data one row for each example x of train_data has 24 y of train_data has 22",
    ),
    "unequal inputs": (
        {"train_data": ({"a": X, "b": X[:7]}, Y)},
        "train_data one row for each example 24 and 7",
    ),
    "unequal weights": (
        {"train_data": (X, Y, np.ones(5))},
        "one row for each example sample_weight of train_data has 5",
    ),
    "weights for nothing": (
        {"train_data": (X, Y, np.ones((24, 3)))},
        "sample_weight of train_data a number for each example shape (24, 3) y of the shape (24,)",
    ),
    "text": ({"train_data": (X.astype(str), Y)}, "x of train_data must be an array of numbers got"),
    "ragged": ({"train_data": ([[1.0], [1.0, 2.0]], [0, 1])}, "x of train_data unequal length"),
    "no examples": ({"train_data": (X[:0], Y[:0])}, "x of train_data must not be empty (0, 4)"),
    "a number": ({"train_data": (3.0, Y)}, "x of train_data must not be empty got shape ()"),
    "an input of text": (
        {"train_data": ({"a": X, "b": X.astype(str)}, Y)},
        "'b' in x of train_data must be an array of numbers",
    ),
    "nan": (
        {"train_data": with_nan()},
        "loss must be a finite number nan x of train_data holds 1 values that are not finite",
    ),
    "nan of a later batch": (
        {"train_data": with_nan(-1), "shuffle": False, "batch_size": 4},
        "loss must be a finite number nan x of train_data holds 1 values that are not finite",
    ),
    "nan to evaluate on": (
        {"validation_data": with_nan(), "batch_size": 4},
        "loss must be a finite number nan x of validation_data holds 1 values that are not finite",
    ),
    "labels too high": (
        {"train_data": (X, Y + 1)},
        "labels of train_data must be from 0 to 2 sparse_categorical_crossentropy 1 to 3",
    ),
    "labels that are nan": (
        {"train_data": (X, np.where(Y == 1, np.nan, Y))},
        "labels of train_data must be classes 8 of them are nan",
    ),
    "labels of a dataset": (
        {"train_data": dataset(X, Y + 5)},
        "the model fails on the data y of the shape () Received a label value of 7 [0, 3)",
    ),
    "one-hot labels": (
        {"train_data": (X, np.eye(3)[Y]), "validation_data": (X, np.eye(3)[Y])},
        "the model doesn't fit train_data x of the shape (4,) y of the shape (3,) `output` rank",
    ),
    "columns for another model": (
        {"train_data": (X[:, :2], Y), "validation_data": (X[:, :2], Y)},
        "the model doesn't fit train_data x of the shape (2,) Input 0 value 4",
    ),
    "lists of targets": (
        {"train_data": (X, [Y, Y]), "validation_data": (X, [Y, Y])},
        "the model doesn't fit train_data y of the shape () and () different structures",
    ),
    "targets of one output of two": (
        {
            "build_model": two_outputs,
            "train_data": (X, {"a": Y}),
            "validation_data": (X, {"a": Y}),
        },
        "the model doesn't fit train_data y of the shape () outputs are 'a', 'b', y has 'a'",
    ),
    "weights of one output of two": (
        {
            "build_model": two_outputs,
            "train_data": (X, {"a": Y, "b": Y}, {"a": np.ones(24)}),
            "validation_data": (X, {"a": Y, "b": Y}),
        },
        "sample_weight of train_data for each output y has 'a', 'b', sample_weight has 'a'",
    ),
    "weights of an output more": (
        {
            "build_model": two_outputs,
            "train_data": (X, {"a": Y, "b": Y}, dict.fromkeys("abc", np.ones(24))),
            "validation_data": (X, {"a": Y, "b": Y}),
        },
        "sample_weight of train_data for each output y has 'a', 'b', sample_weight has 'b', 'c'",
    ),
    "weights of outputs by number": (
        {
            "build_model": two_outputs,
            "train_data": (X, {"a": Y, "b": Y}, [np.ones(24)]),
            "validation_data": (X, {"a": Y, "b": Y}),
        },
        "sample_weight of train_data for each output y has 'a', 'b', sample_weight has 1 by number",
    ),
    "dataset of single examples": (
        {"train_data": dataset(X, Y).unbatch(), "validation_data": dataset(X, Y).unbatch()},
        "train_data must give batches single examples batch(32)",
    ),
    "dataset with a weight for each batch": (
        {"train_data": dataset(X, Y).map(lambda x, y: (x, y, 2.0))},
        "train_data must give a sample_weight for each example tf.repeat shape=()",
    ),
    "half a class": (
        {"train_data": (X, Y / 2)},
        "labels of train_data must be whole numbers sparse_categorical_crossentropy got 0.5",
    ),
    "other columns": (
        {"validation_data": (X[:, :2], Y)},
        "train_data and validation_data same shape (4,) (2,)",
    ),
    "dataset without end": (
        {"train_data": dataset(X, Y, repeated=True)},
        "train_data never ends take(batches)",
    ),
    "dataset of inputs": ({"train_data": dataset(X)}, "train_data must give (x, y) TensorSpec"),
    "dataset of nothing": (
        {"train_data": dataset(X, Y).take(0)},
        "train_data must not be empty no batch",
    ),
    "weights of a dataset": (
        {"train_data": dataset(X, Y), "class_weight": {0: 2.0}},
        "class_weight needs arrays sample weights",
    ),
    "class weights in a list": (
        {"class_weight": [1.0, 2.0]},
        "class_weight must be a dict of class to weight [1.0, 2.0] {0: 1.0, 1: 5.0}",
    ),
    "weights twice": (
        {"train_data": (X, Y, np.ones(24)), "class_weight": {0: 2.0}},
        "class_weight and sample_weight together multiply",
    ),
    "weights of several classes": (
        {"train_data": (X, np.stack([[Y] * 2] * 2).T), "class_weight": {0: 2.0}},
        "class_weight one class for each example (24, 2, 2) sample_weight",
    ),
    "a list of callbacks": (
        {"early_stopping": [EarlyStopping()]},
        "early_stopping must be a keras.callbacks.EarlyStopping got refused",
    ),
    "patience in words": (
        {"early_stopping": EarlyStopping(patience="3")},
        "early_stopping must have a number for patience '3'",
    ),
    "a difference of nan": (
        {"reduce_on_plateau": keras.callbacks.ReduceLROnPlateau(min_delta=np.nan)},
        "reduce_on_plateau must have a number for min_delta nan",
    ),
    "another callback": (
        {"reduce_on_plateau": keras.callbacks.TerminateOnNaN()},
        "reduce_on_plateau must be a keras.callbacks.ReduceLROnPlateau TerminateOnNaN",
    ),
    "plateau of a schedule": (
        {
            "build_model": lambda: build(keras.optimizers.SGD(scheduled)),
            "reduce_on_plateau": keras.callbacks.ReduceLROnPlateau(),
        },
        "reduce_on_plateau optimizer made with a number schedule",
    ),
    "seeds beyond counting": ({"seeds": 2**33}, "seeds how many 8589934592 seeds=[8589934592]"),
    "order in words": ({"shuffle": "batch"}, "shuffle must be True or False, got 'batch'"),
    "progress in words": ({"progress": None}, "progress must be True or False, got None"),
    "class without a number": (
        {"class_weight": {"cat": 2.0}},
        "class_weight numbers of classes finite weights 'cat': 2.0",
    ),
    "class weight of nothing": ({"class_weight": {0: None}}, "class_weight finite 0: None"),
    "ragged seeds": (
        {"seeds": [[1], [2, 3]]},
        "seeds must be how many unequal [[1], [2, 3]]",
    ),
    "an executor's class": (
        {"executor": concurrent.futures.ProcessPoolExecutor},
        "executor must be a concurrent.futures.Executor got ProcessPoolExecutor",
    ),
    "no executor": ({"executor": 4}, "executor must be a concurrent.futures.Executor got 4"),
}


def assert_says(error, words):
    """Check that a message says all of these, in this order where they are parts of a sentence."""
    message = str(error.value)
    missing = [word for word in words.split(" ") if word not in message]
    assert not missing, f"{missing} not in {message!r}"
    assert len(message) < 450
    assert "\n" not in message
    assert not message[0].isupper()


@pytest.mark.parametrize("name", SWEEP)
def test_a_sweep_says_what_is_wrong(name):
    arguments, words = SWEEP[name]
    with pytest.raises(ValueError, match=words.split()[0]) as error:
        sweep(**arguments)
    assert_says(error, words)


def test_what_is_fine_is_not_refused():
    """The same call with nothing wrong in it, and with what looks wrong and is not."""
    assert sweep().engine == "vectorized"
    assert sweep(train_data=(X.tolist(), Y.tolist()), validation_data=[X, list(Y)]).reason
    assert sweep(build_model=lambda units=3: build(units=units)).reason
    assert sweep(seeds=2, budget=1).reason  # which is for rates that are found


RANGE = {
    "no model": ({"model": build}, "model must be a compiled keras.Model"),
    "not compiled": ({"model": keras.Sequential([keras.layers.Dense(1)])}, "model compiled"),
    "no pair": ({"data": X}, "data must be (x, y) ndarray"),
    "unequal lengths": ({"data": (X, Y[1:])}, "data one row for each example 24 23"),
    "labels": ({"data": (X, Y + 5)}, "labels of data must be from 0 to 2 5 to 7"),
    "ends": ({"lowest": 1.0, "highest": 0.1}, "lowest must be below highest 1.0 0.1"),
    "an end that is 0 in 32 bits": ({"lowest": 1e-50}, "lowest and highest 32-bit 1e-50 to 10"),
    "negative end": ({"lowest": -1.0}, "lowest must be a positive number -1.0"),
    "text": ({"highest": "1"}, "highest must be a positive number '1'"),
    "one update": ({"updates": 1}, "updates must be a whole number of at least 2 got 1"),
    "large batch": ({"batch_size": 99}, "batch_size must not exceed the 24 examples 99"),
    "memory": ({"memory": 1.0}, "memory must be at least 0 and below 1 got 1.0"),
    "explosion": ({"explosion": 0}, "explosion must be a positive number got 0"),
    "seed": ({"seed": -1}, "seed must be a whole number of at least 0 got -1"),
}


@pytest.mark.parametrize("name", RANGE)
def test_a_range_test_says_what_is_wrong(name):
    arguments, words = RANGE[name]
    known = {"model": model, "data": DATA, "updates": 5, "batch_size": 8}
    with pytest.raises(ValueError, match=words.split()[0]) as error:
        range_test(**known | arguments)
    assert_says(error, words)


ONE_OF_TWO = {
    "targets": (
        (X, {"a": Y}),
        "the model doesn't fit y of the shape () for 'a' outputs are 'a', 'b', y has 'a'",
    ),
    "weights": (
        (X, {"a": Y, "b": Y}, {"a": np.ones(24)}),
        "sample_weight for each output y has 'a', 'b', sample_weight has 'a'",
    ),
}


def half_trained():
    """Return a model of which one output alone has a loss."""
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(2, name=name)(inputs) for name in "ab"}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"a": "mse"})
    return model


@pytest.mark.parametrize(
    ("columns", "said"), [(3, "must be equal"), (4, "is incompatible with the layer")]
)
def test_targets_for_some_outputs_are_not_blamed_for_another_fault(columns, said):
    data = np.ones((24, columns)), {"a": np.ones((24, 2 if columns == 4 else 5))}
    for call in (
        lambda: range_test(half_trained(), data, updates=5, batch_size=8),
        lambda: sweep_learning_rates(half_trained, [0.1], data, data, progress=False),
    ):
        with pytest.raises(ValueError, match=said):
            call()


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("name", ONE_OF_TWO)
def test_what_is_given_for_one_output_of_two_is_named(name, trained):
    data, words = ONE_OF_TWO[name]
    model = two_outputs()
    if trained:
        model.fit(X, {"a": Y, "b": Y}, verbose=0)
    for call in (
        lambda: range_test(model, data, updates=5, batch_size=8),
        lambda: check_up(model, data),
    ):
        with pytest.raises(ValueError, match=words.split()[0]) as error:
            call()
        assert_says(error, words)


CURVES = {
    "text": (["a"], [1.0], {}, "learning_rates array of numbers 'a'"),
    "lengths": ([0.1, 0.2], [1.0], {}, "learning_rates and losses same length 2 and 1"),
    "nan": ([0.1, 0.2], [1.0, np.nan], {}, "losses finite nan"),
    "no losses": ([], [], {}, "learning_rates must not be empty"),
    "falling": ([0.2, 0.1], [1.0, 2.0], {}, "learning_rates positive and rising [0.2, 0.1]"),
    "memory": ([0.1, 0.2], [1.0, 2.0], {"memory": -1}, "memory at least 0 and below 1 -1"),
}


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_says_what_is_wrong(name):
    rates, losses, arguments, words = CURVES[name]
    with pytest.raises(ValueError, match=words.split()[0]) as error:
        RangeTest(rates, losses, **arguments)
    assert_says(error, words)


def test_a_suggestion_says_what_is_wrong():
    curve = RangeTest([0.001, 0.01, 0.1, 1.0], [4.0, 3.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"rule must be one of .*minimum.*got 'best'"):
        curve.suggest("best")
    with pytest.raises(ValueError, match=r"never falls.*start the ramp lower"):
        RangeTest([0.001, 0.01, 0.1, 1.0], [1.0, 2.0, 3.0, 4.0]).suggest("minimum")


def result(values, **more):
    values = np.array(values, float)
    return SweepResult(
        np.array([0.01, 0.1, 1.0]),
        np.arange(values.shape[1]),
        {"val_loss": values[:, :, None], "val_auc": values[:, :, None]},
        np.isnan(values),
        **more,
    )


GOOD = [[3.0, 3.1], [1.0, 1.1], [2.0, 2.1]]
CHOICES = {
    "metric": (GOOD, {}, {"metric": "speed"}, "metric must be one of val_auc, val_loss 'speed'"),
    "direction": (GOOD, {}, {"metric": "val_auc"}, "val_auc better mode='max' mode='min'"),
    "mode": (GOOD, {}, {"mode": "up"}, "mode must be one of max, min 'up'"),
    "wrong mode": (GOOD, {}, {"mode": "max"}, "mode must be 'min' for val_loss"),
    "interrupted": (GOOD, {"interrupted": True}, {}, "sweep must be complete interrupted"),
    "smallest": ([[1, 1.1], [2, 2.1], [3, 3.1]], {}, {}, "0.01 smallest sweep smaller ones"),
    "largest": ([[3, 3.1], [2, 2.1], [1, 1.1]], {}, {}, "1 largest sweep larger ones"),
    "diverged": ([[np.nan] * 2] * 3, {}, {}, "diverged sweep smaller"),
    "chance": (GOOD, {"chance": {"val_loss": 0.9}}, {}, "no better than a constant answer 0.9"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_says_what_is_wrong(name):
    values, more, arguments, words = CHOICES[name]
    with pytest.raises(ValueError, match=words.split()[0]) as error:
        choose_learning_rate(result(values, **more), **arguments)
    assert_says(error, words)


LOUD = [[2.0, 2.1, 2.2], [3.0, 0.1, 0.2], [4.0, 4.1, 4.2], [5.0, 5.1, 5.2]]  # the second one


@pytest.mark.parametrize(
    ("rows", "chance"),
    [(LOUD, {}), (LOUD[::-1], {}), ([[9.0, 9.1, 9.2], *LOUD], {"val_loss": 1.9})],
)
def test_a_refusal_to_choose_says_which_better_mean_was_left_out(rows, chance):
    losses = np.array(rows)[:, :, None]
    rates = np.geomspace(0.01, 1, len(losses))
    lost = np.zeros(losses.shape[:2], bool)
    made = SweepResult(rates, np.arange(3), {"val_loss": losses}, lost, chance=chance)
    loud = rates[np.argmin(losses.mean(axis=(1, 2)))]
    with pytest.raises(ValueError, match=rf"{loud:.3g} has val_loss 1.1 ± 0.95, .* left out\.$"):
        choose_learning_rate(made)


@pytest.mark.parametrize("other", [None, "sweep.npz", {"val_loss": 1.0}])
def test_a_choice_from_something_else_says_so(other):
    with pytest.raises(ValueError, match=r"^result must be a SweepResult, .* got ") as error:
        choose_learning_rate(other)
    assert repr(other) in str(error.value)


def test_a_figure_says_what_is_wrong():
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match="metric must be one of val_auc, val_loss, got 'speed'"):
        result(GOOD).plot("speed")
    with pytest.raises(ValueError, match="epoch must be from -1 to 0, got 7"):
        result(GOOD).plot(epoch=7)
    with pytest.raises(ValueError, match="axes must be Matplotlib's, or left out, got 3"):
        result(GOOD).plot(axes=3)


def test_a_file_says_what_is_wrong(tmp_path):
    for act in (result(GOOD).save, SweepResult.load):
        for bad in (None, 3, "", tmp_path):
            with pytest.raises(ValueError, match=r"^path must be the name of a file, "):
                act(bad)
    with pytest.raises(ValueError, match=r"path must be .*a folder that exists.*nowhere"):
        result(GOOD).save(tmp_path / "nowhere" / "sweep.npz")
    other = tmp_path / "other.txt"
    other.write_text("hello")
    with pytest.raises(ValueError, match=r"path must be a file that SweepResult.save wrote.*other"):
        SweepResult.load(other)


@pytest.mark.parametrize(
    ("look", "said"),
    [
        ({"marks": [0.1]}, r"marks must be a dict of labels and learning rates, .*got \[0\.1\]"),
        ({"marks": {"here": "x"}}, r"marks\['here'\] must be a positive number, got 'x'"),
        ({"band": (0.1,)}, r"band must be two learning rates, .*got \(0\.1,\)"),
        ({"band": (0.0, 1.0)}, r"each end of band must be a positive number, got 0\.0"),
    ],
)
def test_a_range_test_says_what_can_t_be_drawn(look, said):
    with pytest.raises(ValueError, match=said):
        RangeTest([0.1, 0.2, 0.3], [3.0, 2.0, 1.0]).plot(**look)


def test_a_sweep_says_what_can_t_be_drawn():
    with pytest.raises(ValueError, match="show_seeds must be True or False, got 'x'"):
        result(GOOD).plot(show_seeds="x")
