"""What the lessons say about Keras, tried on the Keras that is installed.

Each test is a canary: it guards a sentence of a lesson, not our own code. When one turns
red, Keras has changed, and the message says which lesson is no longer right and what to
do about it. A canary quotes a piece of the lesson, and a test looks it up, so that no canary
guards a sentence that is gone; those that no lesson states (yet) say so. K1 to K24 are the
traps, P10 to P18 the numbers. Everything was seen with Keras 3.15.1 and tried with 3.13.2
too, the one that Colab has; what 3.13 lacks is skipped there.
"""

import functools
import math

import keras
import nbformat
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from keras import ops

SEEN = "3.15.1"
OPT = keras.optimizers
S = keras.optimizers.schedules
APPENDIX = "the appendix to lesson 4"
NOWHERE = "no lesson (yet)"
QUOTED = []  # (name, place, a piece of its text) of each canary


def canary(name, lesson, said, sentence, repair):
    """Give a test the message that it fails with: what a lesson says is no longer true.

    `lesson` is a number, APPENDIX or NOWHERE; `said` is a piece of its text, code or output.
    """
    QUOTED.append((name, lesson, said))
    place = f"Lesson {lesson}" if isinstance(lesson, int) else lesson.capitalize()

    def decorate(test):
        @functools.wraps(test)
        def checked(*args, **kwargs):
            try:
                return test(*args, **kwargs)
            except (Exception, pytest.fail.Exception) as error:
                raise AssertionError(
                    f"{name}: true of Keras {SEEN}, no longer of {keras.__version__}: "
                    f"{sentence} {place} says so. To do: {repair}"
                ) from error

        return checked

    return decorate


def test_each_lesson_says_what_its_canaries_guard():
    missing = []
    for name, lesson, said in QUOTED:
        if lesson == NOWHERE:
            assert said is None, name
            continue
        found = ROOT / "notebooks" / "appendix" / "schedules_in_keras.ipynb"
        if lesson != APPENDIX:
            (found,) = ROOT.glob(f"notebooks/{lesson:02d}_*.ipynb")
        cells = nbformat.read(found, as_version=4).cells
        shown = [output.get("text", "") for cell in cells for output in cell.get("outputs", [])]
        if said not in "\n".join([cell.source for cell in cells] + shown):
            missing.append(f"{name}: {said!r} is not in lesson {lesson}")
    assert missing == []


def only_with(name):
    """Skip a test where this Keras has no such optimizer."""
    return pytest.mark.skipif(
        not hasattr(OPT, name), reason=f"Keras {keras.__version__} has no keras.optimizers.{name}"
    )


def moves(optimizer, gradients, start=0.0, rates=None):
    """Return how far each update moves one weight against its gradient."""
    weight = keras.Variable(np.array([start], dtype="float32"))
    steps = []
    for k, gradient in enumerate(gradients):
        if rates is not None:
            optimizer.learning_rate = rates[k]
        before = weight.numpy().item()
        optimizer.apply([ops.array([gradient], dtype="float32")], [weight])
        steps.append(before - weight.numpy().item())
    return steps


def one_weight_model(optimizer):
    """Return a model w·x, from w = 0, whose gradient is −1 for ever."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])
    model.compile(optimizer, loss=lambda y, prediction: -prediction)
    return model


def train(model, epochs=1, callbacks=(), **options):
    """Train for 4 updates per epoch and return Keras's record."""
    data = np.ones((8, 1))
    options = {"batch_size": 2, "verbose": 0, **options}
    return model.fit(data, data, epochs=epochs, callbacks=list(callbacks), **options).history


def weight_of(model):
    return model.get_weights()[0].item()


class RateLog(keras.callbacks.Callback):
    """Note the learning rate before each update, and how many epochs were finished."""

    def on_train_begin(self, logs=None):
        self.rates, self.epochs = [], 0

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


# --- arguments and attributes (lesson 3) ------------------------------------------------------


@canary(
    "K1",
    lesson=3,
    said="SGD(lr=0.1)",
    sentence="SGD(lr=0.1) and Adam(lr=0.1) raise a ValueError.",
    repair="rewrite the cell that runs the old tutorial's code and the error it shows.",
)
def test_k1_lr_is_not_an_argument():
    for optimizer in (OPT.SGD, OPT.Adam):
        with pytest.raises(ValueError, match=r"not recognized: \{'lr': 0.1\}"):
            optimizer(lr=0.1)


@canary(
    "K2",
    lesson=3,
    said="learning_rate=0.1, decay=0.01",
    sentence="SGD(learning_rate=0.1, decay=0.01) only warns, and the rate stays constant.",
    repair="if it raises now, the trap is gone: keep it as history, and drop the check of it.",
)
def test_k2_decay_is_ignored():
    with pytest.warns(UserWarning, match="`decay` is no longer supported and will be ignored"):
        optimizer = OPT.SGD(learning_rate=0.1, decay=0.01)
    assert moves(optimizer, [1.0] * 10) == pytest.approx([0.1] * 10, rel=1e-5)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)


@canary(
    "K3",
    lesson=3,
    said="optimizers exist in name only",
    sentence="keras.optimizers.legacy.SGD is there to be found but raises an ImportError.",
    repair="say that the name is gone altogether, or what it does now.",
)
def test_k3_legacy_optimizers_cannot_be_made():
    with pytest.raises(ImportError, match="not supported in Keras 3"):
        OPT.legacy.SGD(0.1)


@canary(
    "K4",
    lesson=3,
    said="np.float32(0.1)): ValueError",
    sentence="the learning rate must be a Python float or np.float64; −0.1 and nan are taken.",
    repair="correct the table of what SGD(...) accepts, and the advice to write float(...).",
)
def test_k4_which_numbers_are_taken_as_a_rate():
    refused = (1, np.float32(0.1), np.array(0.1), tf.constant(0.1))
    for value in refused:
        with pytest.raises(ValueError, match="`learning_rate` should be float"):
            OPT.SGD(value)
    for value in (np.float64(0.1), np.logspace(-3, 0, 4)[1], -0.1, math.nan):
        OPT.SGD(value)


@canary(
    "K5",
    lesson=3,
    said="accepted.learning_rate = 1",
    sentence="a whole number is refused when an optimizer is made, but can be assigned later.",
    repair="correct the same table; Keras may have become consistent.",
)
def test_k5_an_integer_can_be_assigned():
    optimizer = OPT.SGD(0.1)
    optimizer.learning_rate = 1
    assert moves(optimizer, [1.0]) == pytest.approx([1.0])


@canary(
    "print",
    lesson=3,
    said="0.009999999776482582",
    sentence="optimizer.learning_rate is a Variable of float32; optimizer.lr does not exist, and "
    "assigning it changes nothing.",
    repair="rewrite the cells that read the rate; float(...) may no longer be needed.",
)
def test_print_the_rate_is_a_variable():
    optimizer = OPT.SGD(0.01)
    assert isinstance(optimizer.learning_rate, keras.Variable)
    assert "value=0.009999999776482582" in str(optimizer.learning_rate)
    assert float(optimizer.learning_rate) != 0.01
    assert float(optimizer.learning_rate) == np.float32(0.01)
    assert not hasattr(optimizer, "lr")
    optimizer.lr = 0.5
    assert float(optimizer.learning_rate) == np.float32(0.01)


@canary(
    "input_shape",
    lesson=3,
    said="`input_dim=` and `input_shape=` work, with a warning",
    sentence="Dense(..., input_shape=(1,)) and input_dim=1 still work, with a warning.",
    repair="if it raises now, the first tutorial's model needs mending before it runs at all.",
)
def test_input_shape_warns():
    for arguments in ({"input_shape": (1,)}, {"input_dim": 1}):
        with pytest.warns(UserWarning, match="Do not pass an `input_shape`/`input_dim`"):
            keras.layers.Dense(2, **arguments)


@canary(
    "P18",
    lesson=3,
    said="it is 0.0012",
    sentence="on the probabilities of two sigmoid outputs, sparse categorical cross-entropy has "
    "half the gradient that it has on softmax's at logits 0, and almost none at logits 6.",
    repair="the puzzle of the halved learning rate needs new numbers.",
)
def test_p18_on_probabilities_sigmoid_halves_the_gradient_of_softmax():
    loss = keras.losses.SparseCategoricalCrossentropy()
    for logits, sigmoid, softmax in (((0.0, 0.0), 0.25, 0.5), ((6.0, 6.0), 0.001236, 0.5)):
        for activation, expected in ((ops.sigmoid, sigmoid), (ops.softmax, softmax)):
            z = tf.Variable([logits])
            with tf.GradientTape() as tape:
                probabilities = tf.identity(activation(z))  # a tensor that hides its logits
                value = loss(tf.constant([0]), probabilities)
            gradient = tape.gradient(value, z).numpy()[0]
            assert gradient == pytest.approx([-expected, expected], rel=2e-3)


@canary(
    "sigmoid in fit",
    lesson=3,
    said="Keras looked behind the activation",
    sentence="inside fit and evaluate, Keras on TensorFlow finds the logits from which a "
    "sigmoid layer computed its output and trains as if the layer were softmax, without a "
    "word; predict gives the sigmoids, which do not add up to 1.",
    repair="the gradient in fit may be the halved one of P18 now: compare, and correct the text.",
)
def test_in_fit_a_sigmoid_layer_trains_like_softmax(recwarn):
    def results(activation):
        layer = keras.layers.Dense(2, activation, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((1,)), layer])
        layer.bias.assign([2.0, 1.0])
        model.compile(OPT.SGD(1.0), loss="sparse_categorical_crossentropy")
        x, y = np.zeros((1, 1)), np.array([0])
        predicted, loss = model.predict(x, verbose=0)[0], model.evaluate(x, y, verbose=0)
        model.fit(x, y, verbose=0)
        return predicted, loss, layer.bias.numpy() - [2.0, 1.0]

    predicted, loss, step = results("sigmoid")
    assert predicted == pytest.approx([0.88080, 0.73106], abs=1e-5)
    assert loss == pytest.approx(0.31326, abs=1e-5)
    assert step == pytest.approx([0.26894, -0.26894], abs=1e-5)
    predicted, loss, step = results("softmax")
    assert predicted == pytest.approx([0.73106, 0.26894], abs=1e-5)
    assert loss == pytest.approx(0.31326, abs=1e-5)
    assert step == pytest.approx([0.26894, -0.26894], abs=1e-5)
    assert not [w for w in recwarn if w.category is UserWarning]


# --- schedules against other ways of setting the rate (lesson 4 and its appendix) -------------


@canary(
    "K6",
    lesson=APPENDIX,
    said="it fails only when it *first wants to act*",
    sentence="with a schedule, the rate cannot be assigned, nor set by LearningRateScheduler or "
    "ReduceLROnPlateau; the last fails only when it first wants to act.",
    repair="if they work together now, say which of them wins.",
)
def test_k6_a_schedule_excludes_every_other_way():
    schedule = S.ExponentialDecay(0.1, 10, 0.5)
    optimizer = OPT.SGD(schedule)
    with pytest.raises(TypeError, match="learning rate is not settable"):
        optimizer.learning_rate = 0.1
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate)
    with pytest.raises(TypeError, match="learning rate is not settable"):
        train(one_weight_model(OPT.SGD(schedule)), callbacks=[scheduler])
    log = RateLog()
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=3, min_delta=1e9)
    with pytest.raises(TypeError, match="learning rate is not settable"):
        train(one_weight_model(OPT.SGD(schedule)), epochs=9, callbacks=[log, plateau])
    assert log.epochs == 4  # three epochs without improvement after the first, then the error


@canary(
    "K7",
    lesson=APPENDIX,
    said="you may assign a schedule to an optimizer that was built with a number",
    sentence="a schedule can be assigned to an optimizer that was made with a number.",
    repair="recommend to make a new optimizer instead.",
)
def test_k7_a_schedule_can_be_assigned_later():
    optimizer = OPT.SGD(0.5)
    optimizer.learning_rate = S.InverseTimeDecay(0.2, 1, 1.0)
    assert moves(optimizer, [1.0] * 3) == pytest.approx([0.2, 0.1, 0.2 / 3])


@canary(
    "K7, after training",
    lesson=APPENDIX,
    said="it goes on using the old rate, while the optimizer shows the new one",
    sentence="a schedule that is assigned once a model has trained is shown, but not used until "
    "the model is compiled again, whatever the optimizer was built with; only a batch of another "
    "size uses it.",
    repair="if it is used at once now, drop the advice to compile again.",
)
@pytest.mark.parametrize("first", [0.1, S.CosineDecay(0.1, 10**6)])
def test_k7_a_schedule_assigned_after_training_waits_for_compile(first):
    model = one_weight_model(OPT.SGD(first))
    train(model)
    model.optimizer.learning_rate = S.CosineDecay(0.4, 10**6)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.4, rel=1e-4)
    train(model)
    assert weight_of(model) == pytest.approx(8 * 0.1, rel=1e-4)
    model.compile(model.optimizer, loss=lambda y, prediction: -prediction)
    train(model)
    assert weight_of(model) == pytest.approx(8 * 0.1 + 4 * 0.4, rel=1e-4)
    model = one_weight_model(OPT.SGD(first))
    for batch, rate in ((4, 0.1), (4, 0.1), (3, 0.4), (4, 0.1)):
        before = weight_of(model)
        model.train_on_batch(np.ones((batch, 1)), np.ones((batch, 1)))
        assert weight_of(model) - before == pytest.approx(rate, rel=1e-4)
        model.optimizer.learning_rate = S.CosineDecay(0.4, 10**6)


@canary(
    "K8",
    lesson=APPENDIX,
    said="Keras computes in whole numbers",
    sentence="a whole number as initial_learning_rate is taken without a word and computes in "
    "whole numbers: ExponentialDecay drops to 0, InverseTimeDecay cuts its decay rate down, "
    "CosineDecay takes π for 3, PolynomialDecay ends at 0 instead of 0.0001. Restarts and mixed "
    "steps raise.",
    repair="correct the table; Keras may now refuse or convert whole numbers.",
)
def test_k8_an_integer_rate_breaks_schedules_silently():
    def rates(schedule, updates):
        return [float(schedule(t)) for t in updates]

    assert rates(S.ExponentialDecay(1, 10, 0.5), [0, 1, 2]) == [1, 0, 0]
    assert rates(S.InverseTimeDecay(1, 10, 0.5), [0, 1, 10, 1000]) == [1, 1, 1, 1]
    assert rates(S.InverseTimeDecay(1, 10, 1.9), [0, 10]) == [1, 0.5]  # 1.9 counts as 1
    with pytest.raises(TypeError):
        S.CosineDecayRestarts(1, 10)(3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        S.PiecewiseConstantDecay([5], [1, 0.1])(3)
    with_three = [(1 + math.cos(3 * t / 10)) / 2 for t in (0, 5, 10)]
    assert rates(S.CosineDecay(1, 10), [0, 5, 10]) == pytest.approx(with_three, abs=1e-6)
    assert rates(S.PolynomialDecay(1, 10), [10]) == [0]
    assert rates(S.ExponentialDecay(1.0, 10, 0.5), [0, 10]) == [1, 0.5]
    assert rates(S.InverseTimeDecay(1.0, 10, 0.5), [0, 20]) == [1, 0.5]
    assert rates(S.CosineDecay(1.0, 10), [5, 10]) == pytest.approx([0.5, 0], abs=1e-6)
    assert rates(S.PolynomialDecay(1.0, 10), [10]) == pytest.approx([0.0001])


@canary(
    "K9",
    lesson=APPENDIX,
    said="`initial_learning_rate = 0`",
    sentence="the warm-up example in the documentation of CosineDecay, with "
    "initial_learning_rate = 0, raises; with 0.0 it works, and the first update has rate 0.",
    repair="the documentation's example may have been mended: drop the warning about it.",
)
def test_k9_the_documented_warm_up_fails_for_an_integer_zero():
    with pytest.raises(tf.errors.InvalidArgumentError):
        S.CosineDecay(0, 1000, warmup_target=0.1, warmup_steps=1000)(0)
    assert "initial_learning_rate = 0\n" in S.CosineDecay.__doc__
    schedule = S.CosineDecay(0.0, 1000, warmup_target=0.1, warmup_steps=1000)
    rates = [float(schedule(t)) for t in (0, 500, 1000, 1500, 2000)]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.05, 0], abs=1e-7)


@canary(
    "arrays",
    lesson=APPENDIX,
    said="must be asked for one update at a time",
    sentence="CosineDecay with a warm-up cannot be called with an array of updates; other "
    "schedules can.",
    repair="the cells that draw Keras schedules may drop their loops.",
)
def test_arrays_only_cosine_with_warm_up_refuses_them():
    t = np.arange(5)
    with pytest.raises(ValueError, match="truth value of an array"):
        S.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=5)(t)
    for schedule in (
        S.CosineDecay(0.1, 10),
        S.CosineDecayRestarts(0.1, 10),
        S.ExponentialDecay(0.1, 10, 0.5),
        S.InverseTimeDecay(0.1, 10, 0.5),
        S.PolynomialDecay(0.1, 10),
        S.PiecewiseConstantDecay([2], [0.1, 0.2]),
    ):
        one_by_one = [float(schedule(k)) for k in t]
        assert ops.convert_to_numpy(schedule(ops.array(t))) == pytest.approx(one_by_one, abs=1e-8)


@canary(
    "K10",
    lesson=APPENDIX,
    said="`lr * ops.exp(-0.1)`",
    sentence="the example in the documentation of LearningRateScheduler, which returns "
    "rate * ops.exp(-0.1), raises a ValueError; with math.exp it works; returning 1 raises.",
    repair="the documentation's example may have been mended: drop the warning about it.",
)
def test_k10_learning_rate_scheduler_wants_a_python_float():
    def after(epochs, function):
        model = one_weight_model(OPT.SGD(0.01))
        train(model, epochs, [keras.callbacks.LearningRateScheduler(function)])
        return float(model.optimizer.learning_rate)

    assert "lr * ops.exp(-0.1)" in keras.callbacks.LearningRateScheduler.__doc__
    for wrong in (lambda epoch, rate: rate * ops.exp(-0.1), lambda epoch, rate: 1):
        with pytest.raises(ValueError, match="should be a float"):
            after(1, wrong)
    right = after(15, lambda epoch, rate: rate if epoch < 10 else rate * math.exp(-0.1))
    assert right == pytest.approx(0.01 * math.exp(-0.5), rel=1e-5)


@canary(
    "K11",
    lesson=APPENDIX,
    said="The boundary still belongs to the rate *before* it",
    sentence="PiecewiseConstantDecay keeps the rate before a boundary at the boundary itself.",
    repair="change the appendix and `utils.schedules.piecewise`.",
)
def test_k11_at_a_boundary_the_rate_before_it_holds():
    schedule = S.PiecewiseConstantDecay([10, 20], [0.1, 0.01, 0.001])
    rates = [float(schedule(t)) for t in (10, 11, 20, 21)]
    assert rates == pytest.approx([0.1, 0.01, 0.01, 0.001])


@canary(
    "K12",
    lesson=4,
    said="The count lives in the **optimizer**",
    sentence="a second fit, or compiling again with the same optimizer, continues the schedule.",
    repair="correct the trace of rates and the advice to make a new optimizer.",
)
def test_k12_a_second_fit_continues_the_schedule():
    log = RateLog()
    optimizer = OPT.SGD(S.InverseTimeDecay(0.2, 1, 0.01))
    model = one_weight_model(optimizer)
    train(model, callbacks=[log])
    assert log.rates == pytest.approx([0.2, 0.19802, 0.19608, 0.19417], abs=5e-6)
    train(model, callbacks=[log])
    assert log.rates[:2] == pytest.approx([0.19231, 0.19048], abs=5e-6)
    model.compile(optimizer, loss="mse")
    train(model, callbacks=[log])
    assert log.rates[0] == pytest.approx(0.2 / 1.08)


@canary(
    "K12, the count",
    lesson=4,
    said="set the count to 0",
    sentence="optimizer.iterations.assign(0) starts a schedule over, and the next update uses its "
    "first rate; the velocity stays, which only a new optimizer forgets.",
    repair="say how a schedule is started over now.",
)
def test_k12_the_count_can_be_set_back():
    model = one_weight_model(OPT.SGD(S.PiecewiseConstantDecay([3], [0.2, 0.0])))
    train(model)
    train(model)
    assert weight_of(model) == pytest.approx(4 * 0.2)
    model.optimizer.iterations.assign(0)
    train(model)
    assert weight_of(model) == pytest.approx(8 * 0.2)
    heavy = OPT.SGD(1.0, momentum=0.9)
    moves(heavy, [1.0])
    velocity = heavy.variables[-1].numpy().item()
    heavy.iterations.assign(0)
    assert velocity == pytest.approx(-1)
    assert heavy.variables[-1].numpy().item() == velocity


@canary(
    "get_config",
    lesson=4,
    said="with some missing, it can't be loaded, or silently gets the defaults",
    sentence="a model cannot be saved with a schedule that has no get_config, and not be loaded "
    "with one whose get_config leaves out an argument, unless that has a default: then it counts.",
    repair="correct the sentence, and exercise 4.2.",
)
def test_a_schedule_without_get_config_cannot_be_saved_nor_loaded_with_half_of_it(tmp_path):
    class Half(S.LearningRateSchedule):
        def __init__(self, initial, updates, end=0.0):
            self.initial, self.updates, self.end = initial, updates, end

        def __call__(self, step):
            return self.end + self.initial * (1 - ops.cast(step, "float32") / self.updates)

    def saved(kind):
        model = one_weight_model("sgd")
        model.compile(OPT.SGD(kind(0.1, 100, end=0.2)), loss="mse")
        train(model)
        model.save(tmp_path / "model.keras")
        return tmp_path / "model.keras"

    with pytest.raises(NotImplementedError, match="must override `get_config"):
        saved(Half)
    Half.get_config = lambda self: {"initial": self.initial}
    path = saved(Half)
    with pytest.raises(TypeError, match="updates"):
        keras.saving.load_model(path, custom_objects={"Half": Half})
    Half.get_config = lambda self: {"initial": self.initial, "updates": self.updates}
    loaded = keras.saving.load_model(saved(Half), custom_objects={"Half": Half})
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.1 * (1 - 4 / 100))


@canary(
    "zero rate",
    lesson=4,
    said="such as a layer's running means, still change",
    sentence="at a rate of zero, training still moves BatchNormalization's means.",
    repair="drop the bracket.",
)
def test_at_a_rate_of_zero_the_means_of_batch_normalization_still_move():
    normalise = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((1,)), normalise, keras.layers.Dense(1)])
    model.compile(OPT.SGD(0.0), loss="mse")
    before = model.layers[1].get_weights()[0].copy()
    train(model)
    assert normalise.moving_mean.numpy().item() != 0
    assert model.layers[1].get_weights()[0] == before


@canary(
    "K13",
    lesson=APPENDIX,
    said="after $k$ updates `optimizer.learning_rate` shows η(k)",
    sentence="the first update uses schedule(0), and after k updates the rate shown is "
    "schedule(k), the one still to be used.",
    repair="correct the table of updates and rates, and what `utils.schedules` says about t = 0.",
)
def test_k13_the_first_update_uses_schedule_of_zero():
    schedule = S.InverseTimeDecay(0.2, 1, 1.0)
    optimizer = OPT.SGD(schedule)
    assert moves(optimizer, [1.0] * 3) == pytest.approx([0.2, 0.1, 0.2 / 3])
    assert float(optimizer.learning_rate) == pytest.approx(float(schedule(3)))


@canary(
    "P10",
    lesson=4,
    said="0.1786",
    sentence="InverseTimeDecay(0.2, 1, 0.01) is the decay of old Keras: 0.1923, 0.1852, 0.1786, "
    "0.1724, 0.1667 after epochs of 4 updates.",
    repair="correct the comparison with the published table.",
)
def test_p10_inverse_time_decay():
    schedule = S.InverseTimeDecay(0.2, decay_steps=1, decay_rate=0.01)
    rates = [float(schedule(4 * epoch)) for epoch in range(1, 6)]
    assert rates == pytest.approx([0.2 / (1 + 0.04 * epoch) for epoch in range(1, 6)], abs=1e-7)
    assert np.round(rates, 4).tolist() == [0.1923, 0.1852, 0.1786, 0.1724, 0.1667]


@canary(
    "polynomial",
    lesson=APPENDIX,
    said="`PolynomialDecay` ends at 0.0001",
    sentence="PolynomialDecay ends at 0.0001 unless it is told 0.0.",
    repair="linear to zero no longer needs end_learning_rate=0.0.",
)
def test_polynomial_decay_does_not_end_at_zero_by_default():
    assert float(S.PolynomialDecay(0.1, 10)(10)) == pytest.approx(0.0001)
    assert float(S.PolynomialDecay(0.1, 10, 0.0)(10)) == 0


@canary(
    "K14",
    lesson=3,
    said="remembers which model it belongs to",
    sentence="an optimizer that has trained one model raises when it is to train another.",
    repair="making a new optimizer inside the function may no longer be necessary.",
)
def test_k14_an_optimizer_serves_one_model():
    optimizer = OPT.SGD(0.1)
    train(one_weight_model(optimizer))
    with pytest.raises(ValueError, match="Unknown variable"):
        train(one_weight_model(optimizer))


@canary(
    "K15",
    lesson=APPENDIX,
    said="It reads the function when it *compiles* an update",
    sentence="a rate given as a function is read when an update is compiled, at the first batch "
    "and at the first of another size; eagerly at every update; a number cannot be assigned.",
    repair="if a changed value is seen now, a function has become a way of changing the rate.",
)
def test_k15_a_function_is_read_when_an_update_is_compiled():
    knob = {"rate": 0.5}

    def update(model, rate, batch):
        before, knob["rate"] = weight_of(model), rate
        model.train_on_batch(np.ones((batch, 1)), np.ones((batch, 1)))
        return weight_of(model) - before

    model = one_weight_model(OPT.SGD(lambda: knob["rate"]))
    asked = [(0.25, 4), (0.0, 4), (0.0, 3), (0.125, 3), (0.125, 4)]
    assert [update(model, *it) for it in asked] == [0.25, 0.25, 0, 0, 0.25]
    model.compile(model.optimizer, loss=lambda y, prediction: -prediction)
    assert update(model, 0.125, 4) == 0.125
    with pytest.raises(AttributeError, match="no attribute 'assign'"):
        model.optimizer.learning_rate = 0.1
    eager = one_weight_model(OPT.SGD(lambda: knob["rate"]))
    eager.compile(eager.optimizer, loss=lambda y, prediction: -prediction, run_eagerly=True)
    assert [update(eager, *it) for it in asked[:2]] == [0.25, 0]
    knob["rate"], model = 0.25, one_weight_model(OPT.SGD(lambda: knob["rate"]))
    change = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: knob.update(rate=0.0)
    )
    model.fit(np.ones((10, 1)), np.ones((10, 1)), batch_size=4, callbacks=[change], verbose=0)
    assert weight_of(model) == 3 * 0.25  # in fit the smaller last batch isn't compiled anew
    model = one_weight_model(OPT.SGD(0.5))
    train(model)
    model.optimizer.learning_rate = 0.0
    train(model)
    assert weight_of(model) == pytest.approx(4 * 0.5)


# --- what the number means to each optimizer (lesson 3) ---------------------------------------


@canary(
    "K16, P14",
    lesson=3,
    said="the lower rate applies to the old velocity as well, and the second step is only 0.19",
    sentence="momentum keeps the old rate in its velocity: with gradient 1, β = 0.9 and a drop "
    "from 1.0 to 0.1 the steps are 1.0 and 1.0, where PyTorch's form makes 1.0 and 0.19.",
    repair="correct the table and `utils.numpy_optimizers.momentum`.",
)
def test_k16_momentum_after_a_drop_of_the_rate():
    steps = moves(OPT.SGD(1.0, momentum=0.9), [1.0, 1.0, 1.0], rates=[1.0, 0.1, 0.1])
    assert steps == pytest.approx([1.0, 1.0, 1.0], abs=1e-6)
    without_drop = moves(OPT.SGD(1.0, momentum=0.9), [1.0, 1.0], rates=[1.0, 1.0])
    assert without_drop == pytest.approx([1.0, 1.9], abs=1e-6)
    velocity, pytorch = 0.0, []
    for rate in (1.0, 0.1):
        velocity = 0.9 * velocity + 1.0
        pytorch.append(rate * velocity)
    assert pytorch == pytest.approx([1.0, 0.19])


# How far the first update moves a weight of 0, at learning rate 0.001, by the gradient.
FIRST_STEP = {
    # gradient:   0.01       1.0        100.0
    "SGD": (1.0e-5, 1.0e-3, 1.0e-1),  # η·g
    "Adadelta": (1.4003e-6, 1.4142e-6, 1.4142e-6),  # η·√ε/√(1 − ρ) for large g
    "Adafactor": (1e-6, 1e-6, 1e-6),  # in shares of the weight, at least 0.001
    "Adagrad": (3.1607e-5, 9.5346e-4, 1e-3),  # η·g/√(0.1 + g²)
    "Adam": (9.9968e-4, 1e-3, 1e-3),  # η·g/(g + ε/√(1 − β₂))
    "AdamW": (9.9968e-4, 1e-3, 1e-3),
    "Adamax": (1e-3, 1e-3, 1e-3),
    "Ftrl": (3.1607e-5, 9.5346e-4, 1e-3),
    "Lamb": (1e-3, 1e-3, 1e-3),  # times the weight's length, unless that is 0
    "Lion": (1e-3, 1e-3, 1e-3),  # η·sign(g), exactly
    "Muon": (9.9968e-4, 1e-3, 1e-3),  # Adam for weights that are no matrix
    "Nadam": (1.0628e-3, 1.0628e-3, 1.0628e-3),
    "RMSprop": (3.1466e-3, 3.1623e-3, 3.1623e-3),  # η/√(1 − ρ) for large g
    "ScheduleFreeAdamW": (1e-3, 1e-3, 1e-3),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=only_with(name)) for name in FIRST_STEP])
@canary(
    "K17, P12, P13",
    lesson=3,
    said="Adadelta     1.4e-06",
    sentence="the table of first steps shows how far eight optimizers move a weight at 0.001 (and "
    "FIRST_STEP here, how far all do).",
    repair="correct the optimizer's row in the table and the formula next to it.",
)
def test_k17_the_first_step_of_every_optimizer(name):
    steps = [moves(getattr(OPT, name)(learning_rate=0.001), [g])[0] for g in (0.01, 1.0, 100.0)]
    assert steps == pytest.approx(FIRST_STEP[name], rel=1e-4)


@canary(
    "K17",
    lesson=NOWHERE,
    said=None,
    sentence="FIRST_STEP here holds every optimizer that Keras has.",
    repair="add the new one, or take out the one that is gone.",
)
def test_k17_the_table_is_complete():
    not_for_the_table = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}
    classes = {name for name in dir(OPT) if isinstance(getattr(OPT, name), type)}
    optimizers = {name for name in classes if issubclass(getattr(OPT, name), OPT.Optimizer)}
    assert optimizers - not_for_the_table <= set(FIRST_STEP)
    assert set(FIRST_STEP) - optimizers <= {"ScheduleFreeAdamW"}  # which Keras 3.13 lacks


@canary(
    "P12",
    lesson=3,
    said="\\varepsilon/\\sqrt{1-\\beta_2}",
    sentence="Adam's first step is η·|g|/(|g| + ε/√(1 − β₂)) with ε = 1e-7.",
    repair="correct the formula in the lesson and `utils.numpy_optimizers.adam`.",
)
def test_p12_the_first_step_of_adam():
    gradients = np.logspace(-8, 1, 10)
    steps = [moves(OPT.Adam(0.001), [g])[0] for g in gradients]
    bound = 1e-7 / math.sqrt(1 - 0.999)
    # 1 − 0.999 in float32 is wrong in the fifth digit, hence not closer
    assert steps == pytest.approx(0.001 * gradients / (gradients + bound), rel=2e-5)


@canary(
    "P13",
    lesson=3,
    said="**RMSprop** steps 3.2 times as far",
    sentence="the first steps of RMSprop, Lion and Nadam are 3.1623·η, η and 1.0628·η.",
    repair="correct the numbers, in the text and in the table.",
)
def test_p13_the_first_steps_of_rmsprop_lion_and_nadam():
    assert moves(OPT.RMSprop(0.01), [1.0])[0] == pytest.approx(0.01 / math.sqrt(0.1), rel=1e-3)
    assert moves(OPT.Lion(0.01), [1.0])[0] == pytest.approx(0.01, rel=1e-6)
    assert moves(OPT.Nadam(0.01), [1.0])[0] == pytest.approx(0.010628, rel=1e-3)


@canary(
    "K17",
    lesson=NOWHERE,
    said=None,
    sentence="Adafactor and Lamb scale their steps with the weight.",
    repair="correct their rows in FIRST_STEP.",
)
def test_k17_adafactor_and_lamb_scale_with_the_weight():
    for name in ("Adafactor", "Lamb"):
        optimizer = getattr(OPT, name)
        steps = [moves(optimizer(learning_rate=0.001), [1.0], start=w)[0] for w in (1.0, 10.0)]
        assert steps == pytest.approx([0.001, 0.01], rel=1e-3)


@canary(
    "K18, P15",
    lesson=3,
    said="with the **current** learning rate",
    sentence="weight decay is multiplied by the current rate: without a gradient, η = 0.1 and "
    "weight_decay = 0.5 turn 10 into 9.5; so a schedule also schedules the decay.",
    repair="correct the numbers.",
)
def test_k18_weight_decay_is_multiplied_by_the_rate():
    for optimizer in (OPT.AdamW, OPT.SGD):
        steps = moves(optimizer(learning_rate=0.1, weight_decay=0.5), [0.0], start=10.0)
        assert 10 - steps[0] == pytest.approx(9.5, abs=1e-6)
    falling = OPT.SGD(S.PiecewiseConstantDecay([0], [0.1, 0.05]), weight_decay=0.5)
    steps = moves(falling, [0.0, 0.0], start=10.0)
    assert 10 - sum(steps) == pytest.approx(10 * (1 - 0.1 * 0.5) * (1 - 0.05 * 0.5), abs=1e-5)


@canary(
    "defaults",
    lesson=3,
    said="SGD       default learning rate 0.01",
    sentence="SGD starts at 0.01, the other seven of the lesson's table at 0.001; of the rest only "
    "ScheduleFreeAdamW differs, with 0.0025.",
    repair="correct the sentence; the lesson's table itself is read from Keras.",
)
def test_defaults_of_every_optimizer():
    expected = dict.fromkeys(FIRST_STEP, 0.001) | {"SGD": 0.01, "ScheduleFreeAdamW": 0.0025}
    for name, rate in expected.items():
        if hasattr(OPT, name):
            assert float(getattr(OPT, name)().learning_rate) == pytest.approx(rate), name


# --- optimizers of today ----------------------------------------------------------------------


@only_with("MultiOptimizer")
@canary(
    "K19",
    lesson=6,
    said="MultiOptimizer",
    sentence="MultiOptimizer gives layers rates of their own, by patterns that must match the "
    "whole path of a variable; the callbacks log one rate per optimizer.",
    repair="correct the cell, and the remark that the Keras on Colab does not have it.",
)
def test_k19_multi_optimizer_matches_whole_paths():
    base = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="base")
    model = keras.Sequential([keras.Input((1,)), base, keras.layers.Dense(1, name="head")])
    body, head = base.trainable_variables[0], model.layers[-1].trainable_variables[0]

    def chosen(pattern):
        rates = OPT.OptimizerMap(OPT.SGD(0.1, name="fast"), {pattern: OPT.SGD(0.0, name="slow")})
        return rates(body).name, rates(head).name

    assert chosen(".*base.*") == ("slow", "fast")
    assert chosen("base") == ("fast", "fast")  # matches no whole path, and says nothing
    slow, fast = OPT.SGD(0.0, name="slow"), OPT.SGD(0.1, name="fast")
    optimizer = OPT.MultiOptimizer(OPT.OptimizerMap(fast, {".*base.*": slow}))
    model.compile(optimizer, loss="mse")
    before = body.numpy().item(), head.numpy().item()
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="loss")
    history = train(model, callbacks=[plateau])
    assert body.numpy().item() == before[0]
    assert head.numpy().item() != before[1]
    assert {"learning_rate_slow", "learning_rate_fast"} <= set(history)
    with pytest.raises(AttributeError, match="cannot be accessed on a MultiOptimizer"):
        _ = optimizer.learning_rate


@only_with("ScheduleFreeAdamW")
@canary(
    "K20",
    lesson=NOWHERE,
    said=None,
    sentence="ScheduleFreeAdamW is experimental: fit does not end by switching to the averaged "
    "weights, and on TensorFlow beta_1 changes nothing, because the old momentum is read after "
    "it was overwritten; the weights are the plain mean of the points z, here 0.25.",
    repair="0.265 would mean that the interpolation y works now, 0.25 for every beta_1 and a "
    "finalize_variable_values of its own that fit switches; drop what is mended.",
)
@pytest.mark.parametrize("beta_1", [0.9, 0.5])
def test_k20_schedule_free_is_experimental(beta_1):
    model = one_weight_model(OPT.ScheduleFreeAdamW(0.1, beta_1=beta_1))
    train(model)
    z = np.array([0.1, 0.2, 0.3, 0.4])  # with a gradient of −1 for ever each step is 0.1
    assert weight_of(model) == pytest.approx(z.mean(), abs=1e-5)
    assert "finalize_variable_values" not in vars(OPT.ScheduleFreeAdamW)


# --- callbacks and the rest --------------------------------------------------------------------


@canary(
    "K21",
    lesson=APPENDIX,
    said="Keras's history holds the rates only",
    sentence="history holds 'learning_rate' only with LearningRateScheduler or ReduceLROnPlateau.",
    repair="if it is always there, the lesson's own log of rates can go.",
)
def test_k21_the_history_of_rates():
    schedule = S.ExponentialDecay(0.1, 10, 0.5)
    assert "learning_rate" not in train(one_weight_model(OPT.SGD(0.1)))
    assert "learning_rate" not in train(one_weight_model(OPT.SGD(schedule)))
    for callback in (
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate),
        keras.callbacks.ReduceLROnPlateau(monitor="loss"),
    ):
        history = train(one_weight_model(OPT.SGD(0.1)), callbacks=[callback])
        assert history["learning_rate"] == pytest.approx([0.1])


@canary(
    "K22",
    lesson=3,
    said='`compile("adam")`',
    sentence="compile('sgd') means 0.01 and compile('adam') means 0.001.",
    repair="correct the two numbers.",
)
def test_k22_optimizers_by_name():
    for name, rate in (("sgd", 0.01), ("adam", 0.001)):
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(name, loss="mse")
        assert float(model.optimizer.learning_rate) == pytest.approx(rate)


@canary(
    "K23",
    lesson=APPENDIX,
    said="waits 10 epochs, ignores gains below 0.0001",
    sentence="ReduceLROnPlateau watches val_loss with factor 0.1, patience 10, min_delta 0.0001.",
    repair="correct the numbers in the sentence.",
)
def test_k23_the_defaults_of_reduce_lr_on_plateau():
    callback = keras.callbacks.ReduceLROnPlateau()
    assert (callback.monitor, callback.factor, callback.patience) == ("val_loss", 0.1, 10)
    assert (callback.min_delta, callback.cooldown, callback.min_lr) == (1e-4, 0, 0)


@canary(
    "K24",
    lesson=6,
    said="training=False",
    sentence="base(x, training=False) does not keep BatchNormalization from updating in fit; "
    "base.trainable = False does.",
    repair="if training=False now holds inside fit (keras-team/keras#20285), say so and keep "
    "trainable = False for older versions.",
)
def test_k24_training_false_does_not_freeze_batch_normalization():
    def drift(trainable):
        inputs, normalise = keras.Input((3,)), keras.layers.BatchNormalization()
        base = keras.Model(inputs, normalise(inputs))
        base.trainable = trainable
        inputs = keras.Input((3,))
        model = keras.Model(inputs, keras.layers.Dense(1)(base(inputs, training=False)))
        model.compile(OPT.SGD(0.0), loss="mse")
        data = np.random.default_rng(0).normal(5, 1, size=(64, 3))
        model.fit(data, np.zeros(64), verbose=0)
        return np.abs(normalise.moving_mean.numpy()).max()

    assert drift(trainable=True) > 0.05
    assert drift(trainable=False) == 0


@canary(
    "recompile",
    lesson=6,
    said="compile",
    sentence="after its first fit a compiled model goes on training what it trained there, or "
    "stops with an error; before that, unfreezing takes effect at once.",
    repair="say what happens now after base.trainable = True without compiling.",
)
def test_unfreezing_takes_effect_until_the_first_fit_and_then_when_the_model_is_compiled():
    x, y = np.ones((8, 3)), np.ones(8)

    def frozen():
        base = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
        base.trainable = False
        inputs = keras.Input((3,))
        model = keras.Model(inputs, keras.layers.Dense(1)(base(inputs)))
        model.compile("adam", "mse")
        return base, model

    base, model = frozen()
    before, base.trainable = base.get_weights()[0], True
    model.fit(x, y, verbose=0)
    assert np.any(base.get_weights()[0] != before)
    base, model = frozen()
    model.fit(x, y, verbose=0)
    before, base.trainable = base.get_weights()[0], True
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(base.get_weights()[0], before)
    with pytest.raises(ValueError, match="Unknown variable"):
        model.train_on_batch(x, y)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    assert np.all(base.get_weights()[0] != before)


@canary(
    "paths",
    lesson=6,
    said="path",
    sentence="MultiOptimizer asks its map by a weight's path; in a functional base the paths carry "
    "no name of the base.",
    repair="if the base's name is in the paths now, a pattern such as 'base/.*' does what "
    "discriminative_optimizer does.",
)
def test_weights_of_a_functional_base_do_not_carry_its_name():
    inputs = keras.Input((3,))
    base = keras.Model(inputs, keras.layers.Dense(4, name="inner")(inputs), name="the_base")
    outer = keras.Input((3,))
    model = keras.Model(outer, keras.layers.Dense(1, name="top")(base(outer)))
    assert [w.path for w in model.trainable_variables if "the_base" in w.path] == []
    assert "inner/kernel" in [w.path for w in model.trainable_variables]
