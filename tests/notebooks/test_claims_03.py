"""Sentences of lesson 3, each tried where it would fail.

A test is named after the lesson and after the sentence it holds. Where a sentence has a condition
("on TensorFlow", "along a steady slope", "here"), the test also shows that it fails without: then
the condition must stay in the sentence.
"""

import re
import warnings

import keras
import nbformat
import numpy as np
import numpy_networks as networks
import pytest
from claims import fallen_for_traps
from conftest import ROOT
from keras import layers, ops

from course.views import optimizers as views
from utils import data, descent, numpy_optimizers
from utils.losses import ravine_gradient, ravine_loss

DIGITS = data.load_split("digits", standardised=True)
PER_EPOCH = -(-len(DIGITS.x_train) // 32)


def train(rates, sizes=(64, 64, 64, 10), seeds=12, **options):
    """Train digits networks of other seeds, and in other arithmetic, than the lesson's."""
    weights = networks.start(sizes, seeds)
    return networks.train(weights, rates, DIGITS.x_train, DIGITS.y_train, **options)


def prose(lesson):
    """Return the text of a lesson's Markdown cells."""
    notebook = nbformat.read(next((ROOT / "notebooks").glob(f"0{lesson}_*.ipynb")), as_version=4)
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def walk(optimizer, slopes, start=0.0):
    weight = keras.Variable(start)
    optimizer.build([weight])
    path = [start]
    for slope in slopes:
        optimizer.apply([ops.convert_to_tensor(float(slope))])
        path.append(float(weight))
    return np.array(path)


def test_the_numpy_networks_train_as_keras_does():
    keras.utils.set_random_seed(0)
    hidden = [layers.Dense(5, activation="relu"), layers.Dense(4, activation="relu")]
    model = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), loss=loss)
    pairs = [tuple(array[None] for array in layer.get_weights()) for layer in model.layers]
    weights = [(kernel, bias[:, None]) for kernel, bias in pairs]
    x, y = DIGITS.x_train[:40], DIGITS.y_train[:40]
    assert y.max() == 9
    weights, _ = networks.train(weights, [0.1] * 3, x, y, batch=40, momentum=0.5)
    for _ in range(3):
        model.train_on_batch(x, y)
    for layer, (kernel, bias) in zip(model.layers, weights):
        np.testing.assert_allclose(layer.get_weights()[0], kernel[0], atol=1e-5)
        np.testing.assert_allclose(layer.get_weights()[1], bias[0, 0], atol=1e-5)


# --- what the rate does to a loss curve ----------------------------------------------------------


def test_lesson_3_at_0001_it_crawls_at_01_it_falls_at_1_it_jumps_at_2_5_it_never_learns():
    curves = {rate: train(np.full(8 * PER_EPOCH, rate))[1] for rate in (0.001, 0.1, 1.0, 2.5)}
    ups = {rate: np.sum(np.diff(curve, axis=0) > 0, axis=0) for rate, curve in curves.items()}
    assert np.all(curves[0.001][-1] > 1.8)
    assert np.all(ups[0.001] == 0)
    assert np.all(curves[0.1][-1] < 0.1)
    assert np.all(ups[0.1] == 0)
    assert np.sum(ups[1.0] > 0) >= 9  # of 12 seeds
    assert not np.any(curves[2.5][-1] < 2.2)
    assert np.any(np.isnan(curves[2.5][-1])), "'or the loss became nan' has to stay"
    dead_at_last = np.sum(curves[1.0][-1] > 2)
    assert 0 < dead_at_last < 12, "'with this seed' has to stay"


def test_lesson_3_after_a_drop_of_the_rate_a_jumping_network_settles():
    rates = np.r_[np.full(2 * PER_EPOCH, 1.0), np.full(4 * PER_EPOCH, 0.1)]
    curves = train(rates)[1]
    assert np.sum(curves[2] < curves[1]) >= 10  # at once, in most of 12 seeds
    assert np.all(curves[-1] < 0.25 * curves[1])


def test_lesson_3_a_jumping_network_can_be_rescued_only_if_you_catch_it_in_time():
    rates = np.r_[np.full(8 * PER_EPOCH, 1.0), np.full(3 * PER_EPOCH, 0.1)]
    curves = train(rates)[1]
    assert np.any(curves[-1] > 2)


def test_lesson_3_lowering_the_rate_does_not_revive_dead_units():
    weights, _ = train(np.full(3 * PER_EPOCH, 2.5))
    hidden = networks.forward(weights, DIGITS.x_train)[0][-1]
    all_dead = np.all(hidden == 0, axis=(1, 2))
    assert np.sum(all_dead) >= 3
    dead = [tuple(part[all_dead] for part in pair) for pair in weights]
    one_hot = np.eye(10)[DIGITS.y_train]
    *inner, last = networks.gradients(dead, DIGITS.x_train, one_hot)
    assert all(np.all(part == 0) for pair in inner for part in pair)
    assert np.all(last[0] == 0)  # the last layer's kernel is stuck, too: only its biases learn
    assert np.any(last[1] != 0)
    after, _ = networks.train(dead, np.full(4 * PER_EPOCH, 0.1), DIGITS.x_train, DIGITS.y_train)
    losses = networks.losses(after, DIGITS.x_train, DIGITS.y_train)
    assert np.all(np.abs(losses - np.log(10)) < 0.05)


def test_lesson_3_while_others_in_the_layer_live_a_dead_unit_may_come_back():
    weights, dead, back = networks.start((64, 64, 64, 10), 4), np.zeros((4, 64), bool), 0
    for _ in range(6):
        rates, before = np.full(PER_EPOCH, 1.0), dead
        weights, _ = networks.train(weights, rates, DIGITS.x_train, DIGITS.y_train)
        dead = np.all(networks.forward(weights, DIGITS.x_train)[0][-1] == 0, axis=1)
        back += np.sum(before & ~dead)
    assert np.all(np.mean(dead, axis=1) < 0.5)
    assert back >= 3, "'a layer of dead units' has to stay"


def test_lesson_3_a_crawl_near_guessing_has_no_dead_units_and_falls_faster_at_ten_times_the_rate():
    ends = {}
    for rate in (1e-4, 1e-3):
        weights, curve = train(np.full(4 * PER_EPOCH, rate), seeds=4)
        hidden = networks.forward(weights, DIGITS.x_train)[0][-1]
        assert not np.any(np.all(hidden == 0, axis=1))
        ends[rate] = curve[-1]
    assert np.all(np.abs(ends[1e-4] - np.log(10)) < 0.4)
    assert np.all(ends[1e-3] < ends[1e-4])


def train_sigmoids(rate, epochs=5, seeds=4):
    """Train sigmoid networks on digits with Adam; return losses and shares of units that give 0."""
    weights = [part for pair in networks.start((64, 64, 64, 10), seeds) for part in pair]
    adam, states, one_hot = numpy_optimizers.adam(rate), [None] * 6, np.eye(10)[DIGITS.y_train]
    order = np.random.default_rng(1).permutation(len(one_hot))

    def forward(layer):
        layers_ = [layer]
        for kernel, bias in zip(weights[0:4:2], weights[1:4:2]):
            layers_.append(1 / (1 + np.exp(-(layers_[-1] @ kernel + bias))))
        return layers_, networks.log_softmax(layers_[-1] @ weights[4] + weights[5])

    with np.errstate(over="ignore"):
        for first in np.tile(np.arange(0, len(order), 32), epochs):
            rows, slopes = order[first : first + 32], []
            inputs, logs = forward(DIGITS.x_train[rows])
            error = (np.exp(logs) - one_hot[rows]) / len(rows)
            for layer, kernel in zip(inputs[::-1], weights[4::-2]):
                slopes = [layer.mT @ error, error.sum(axis=-2, keepdims=True), *slopes]
                error = error @ kernel.mT * layer * (1 - layer)
            for i, slope in enumerate(slopes):
                states[i], change = adam(states[i], slope)
                weights[i] = weights[i] + change
        inputs, logs = forward(DIGITS.x_train)
    return -np.sum(logs * one_hot, axis=-1).mean(axis=-1), np.all(inputs[-1] == 0, axis=1).mean()


def test_lesson_3_near_guessing_without_dead_units_the_cure_may_be_a_tenth_of_the_rate():
    (loss, dead), (lower, _), (higher, _) = (train_sigmoids(rate) for rate in (0.3, 0.03, 3.0))
    assert dead == 0
    assert np.all(np.abs(loss - np.log(10)) < 1)
    assert np.all(lower < 0.1), "'try a tenth of the rate, too' has to stay"
    assert np.all(higher > 10)


# --- the loss you asked for ----------------------------------------------------------------------


def bias_step(
    *last_layers, loss="sparse_categorical_crossentropy", start=0.0, optimizer=keras.optimizers.SGD
):
    scores = layers.Dense(2, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), scores, *last_layers])
    scores.bias.assign([start, start])
    model.compile(optimizer(1.0), loss=loss, run_eagerly=True)
    model.train_on_batch(np.ones((4, 1)), np.zeros(4))
    return scores.bias.numpy()[0] - start


class OwnLoss(keras.losses.Loss):
    def call(self, truth, outputs):
        share = outputs / ops.sum(outputs, axis=-1, keepdims=True)
        return -ops.log(share[:, 0])


def test_lesson_3_keras_cannot_look_behind_a_layer_such_as_rescaling():
    sigmoid = layers.Activation("sigmoid")
    assert bias_step(sigmoid, layers.Rescaling(1.0)) == pytest.approx(0.25, abs=1e-6)
    assert bias_step(sigmoid, layers.Reshape((2,))) == pytest.approx(0.25, abs=1e-6)
    assert bias_step(sigmoid, loss=OwnLoss()) == pytest.approx(0.25, abs=1e-6)
    for formula, step in ((ops.sigmoid, 0.5), (lambda z: 1 / (1 + ops.exp(-z)), 0.25)):
        own = layers.Lambda(lambda z, formula=formula: formula(z))
        assert bias_step(own) == pytest.approx(step, abs=1e-6), (
            "'a formula of your own' says too much"
        )
    for behind in (layers.Identity(), layers.Dropout(0.0), layers.Activation("linear")):
        step = bias_step(sigmoid, behind)
        assert step == pytest.approx(0.5, abs=1e-6), "'one more layer' would say too much"
    kerass = keras.losses.sparse_categorical_crossentropy
    step = bias_step(sigmoid, loss=lambda truth, outputs: kerass(truth, outputs))
    assert step == pytest.approx(0.5, abs=1e-6), "'a loss of your own' would say too much"


def test_lesson_3_where_keras_cannot_look_behind_softmax_is_applied_twice_without_a_word():
    softmax, logits = layers.Activation("softmax"), keras.losses.SparseCategoricalCrossentropy
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        twice = bias_step(softmax, layers.Rescaling(1.0), loss=logits(from_logits=True))
        assert twice == pytest.approx(0.25, abs=1e-6)
        with pytest.raises(UserWarning, match="from_logits"):
            bias_step(softmax, loss=logits(from_logits=True))


def test_lesson_3_scores_taken_for_probabilities_have_no_slope_outside_0_to_1_and_one_within():
    for start in (2.0, -3.0):
        assert bias_step(start=start) == 0
    assert bias_step(start=0.4) == pytest.approx(0.5 / 0.4, rel=1e-4), "'outside' has to stay"


def test_lesson_3_with_binary_crossentropy_one_sigmoid_is_a_right_way_too():
    score = layers.Dense(1, "sigmoid", kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), score])
    model.compile(keras.optimizers.SGD(1.0), loss="binary_crossentropy")
    model.train_on_batch(np.ones((4, 1)), np.ones(4))
    assert score.bias.numpy()[0] == pytest.approx(0.5, abs=1e-6), "'with this loss' has to stay"


def test_lesson_3_the_slope_is_exactly_half_at_0_and_not_elsewhere():
    sigmoid = layers.Activation("sigmoid")
    at_one = bias_step(sigmoid, layers.Rescaling(1.0), start=1.0)
    assert at_one == pytest.approx(0.5 * (1 - 1 / (1 + np.exp(-1))), abs=1e-6)
    assert at_one < 0.14


def test_lesson_3_the_accuracy_will_not_tell_you():
    scores = np.random.default_rng(0).normal(scale=3, size=(1000, 2))
    sigmoid = 1 / (1 + np.exp(-scores))
    np.testing.assert_array_equal(sigmoid.argmax(axis=1), scores.argmax(axis=1))
    large = ops.convert_to_numpy(ops.sigmoid(ops.array([18.0, 30.0])))
    assert large[0] == large[1] == 1, "'unless both round to the same number' has to stay"
    small = ops.convert_to_numpy(ops.sigmoid(ops.array([-110.0, -120.0])))
    assert small[0] == small[1] == 0
    near = ops.convert_to_numpy(ops.sigmoid(ops.array([12.0, 12.002])))
    assert near[0] == near[1] < 1, "'to 1, or both to 0' would be too narrow"


def test_lesson_3_at_6_and_6_sgd_has_all_but_stopped_and_adam_has_not():
    behind = layers.Activation("sigmoid"), layers.Rescaling(1.0)
    assert bias_step(*behind, start=6.0) < 0.002
    assert bias_step(*behind, start=6.0, optimizer=keras.optimizers.Adam) > 0.9


# --- what 0.001 means ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Nadam", "Lion"])
def test_lesson_3_for_four_of_them_the_first_step_is_about_eta_for_all_three_slopes(name):
    for slope in (0.01, 1.0, 100.0, 1e-3, 0.3, -7.0, 1e4):
        step = walk(getattr(keras.optimizers, name)(0.001), [slope])[-1]
        assert abs(step) == pytest.approx(0.001, rel=0.07)
        assert np.sign(step) == -np.sign(slope)


@pytest.mark.long
def test_lesson_3_only_the_first_step_and_only_well_above_epsilon():
    assert abs(walk(keras.optimizers.Adam(0.001), [1e-7])[-1]) < 0.0001
    first = {g: abs(walk(keras.optimizers.Adam(0.001), [g])[-1]) for g in (1e-5, 1e-4, 1e-3)}
    assert first[1e-5] < 0.0008 < 0.00096 < first[1e-4] < 0.00098 < 0.00099 < first[1e-3]
    rng = np.random.default_rng(3)
    lengths = {}
    for mean in (10.0, 3.0, 1.0, 0.3, 0.0):
        path = walk(keras.optimizers.Adam(0.001), mean + rng.standard_normal(1200))
        lengths[mean] = np.abs(np.diff(path))[300:].mean()
    assert list(lengths.values()) == sorted(lengths.values(), reverse=True)
    assert lengths[10.0] > 0.00095
    assert lengths[0.0] < 0.0003


def test_lesson_3_a_sudden_slope_gives_a_step_of_00025_after_1000_slopes_of_0_and_not_after_any():
    steps = {}
    for calm in (100, 1000, 5000):
        run = numpy_optimizers.adam(0.001)
        state = None
        for slope in [0.0] * calm + [1.0]:
            state, change = run(state, slope)
        steps[calm] = abs(change)
    assert steps[1000] == pytest.approx(0.0025, rel=0.01)
    assert steps[100] < 0.001 < 0.003 < steps[5000], "'1000' has to stay"
    assert "after 1000 slopes of 0" in prose(3)


def test_lesson_3_on_equal_slopes_80_updates_of_adam_at_00001_go_0008_far():
    ends = {
        name: -walk(keras.optimizers.Adam(0.0001), slopes)[-1]
        for name, slopes in (("equal", [5.0] * 80), ("growing", range(1, 81)))
    }
    assert ends["equal"] == pytest.approx(0.008, rel=1e-3)
    assert ends["growing"] > 0.01, "'equal' has to stay"


def test_lesson_3_on_a_steady_slope_adagrads_steps_keep_shrinking():
    steps = np.abs(np.diff(walk(keras.optimizers.Adagrad(0.001), [1.0] * 50)))
    np.testing.assert_allclose(steps, 0.001 / np.sqrt(0.1 + np.arange(1, 51)), rtol=1e-4)


def test_lesson_3_adams_rate_hardly_depends_on_the_unit_of_the_loss_while_rmsprops_epsilon_does():
    def end(make, scale):
        path = numpy_optimizers.follow(
            make(0.01), lambda w: scale * ravine_gradient(w), np.array([2.8, 2.8]), 200
        )
        return ravine_loss(path[-1])

    for scale in (1e-2, 1e3, 1e6):
        assert end(numpy_optimizers.adam, scale) == pytest.approx(
            end(numpy_optimizers.adam, 1.0), rel=1e-3
        )
    adam, rmsprop = (
        end(make, 1e-5) / end(make, 1.0)
        for make in (numpy_optimizers.adam, numpy_optimizers.rmsprop)
    )
    assert adam == pytest.approx(1, rel=0.1)
    assert rmsprop > 2, "the sentence has to name Adam, not 'optimizers that divide'"


def test_lesson_3_an_l2_penalty_through_adam_has_no_strength_where_there_is_no_other_slope():
    def shrink(penalty, other):
        slope = 2 * penalty * 10 + other
        return 10 - walk(keras.optimizers.Adam(0.001), [slope], start=10.0)[-1]

    assert shrink(1.0, 0.0) == pytest.approx(shrink(0.01, 0.0), rel=1e-3)
    assert shrink(1.0, -1.0) > 0 > shrink(0.01, -1.0), "'and no other slope' has to stay"


# --- momentum ------------------------------------------------------------------------------------


def test_lesson_3_when_you_add_momentum_09_divide_the_rate_by_ten():
    plain, heavy = (
        train(np.full(8 * PER_EPOCH, rate), (64, 64, 10), 6, momentum=beta)[1][-1]
        for rate, beta in ((0.1, 0.0), (0.01, 0.9))
    )
    assert np.all(np.abs(np.log(plain / heavy)) < 0.1)


def test_lesson_3_the_rule_needs_more_than_a_few_dozen_updates():
    updates = 4 * 9  # four epochs in batches of 128
    plain, heavy = (
        train(np.full(updates, rate), (64, 64, 10), 6, batch=128, momentum=beta)[1][-1]
        for rate, beta in ((0.1, 0.0), (0.01, 0.9))
    )
    assert np.all(heavy > 1.1 * plain)


def test_lesson_3_near_the_limit_momentum_and_its_effective_rate_part():
    plain, heavy = (
        train(np.full(8 * PER_EPOCH, rate), momentum=beta)[1][-1]
        for rate, beta in ((1.0, 0.0), (0.1, 0.9))
    )
    ratio = np.abs(np.log(plain / heavy))
    assert np.sum(ratio > np.log(3)) >= 6  # of 12 seeds, a factor of three and more


def end(rate, beta, curvature, updates=20_000):
    optimizer = numpy_optimizers.momentum(rate, beta) if beta else numpy_optimizers.sgd(rate)
    return abs(numpy_optimizers.follow(optimizer, lambda w: curvature * w, 1.0, updates)[-1])


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.99])
def test_lesson_3_the_limit_of_momentum_is_2_times_1_plus_beta_over_l(beta):
    for curvature in (0.2, 4.0, 300.0):
        limit = 2 * (1 + beta) / curvature
        ends = [end(factor * limit, beta, curvature) for factor in (0.99, 1.01)]
        assert ends[0] < 1e-3
        assert not ends[1] < 1e3


def test_lesson_3_near_the_limit_the_steep_slope_changes_its_sign_at_every_step():
    optimizer = numpy_optimizers.momentum(0.98 * 0.95, 0.9)
    path = numpy_optimizers.follow(optimizer, lambda w: 4.0 * w, 1.0, 200)
    assert np.mean(np.diff(np.sign(path)) != 0) > 0.9
    slow = numpy_optimizers.follow(
        numpy_optimizers.momentum(0.01, 0.9), lambda w: 4.0 * w, 1.0, 200
    )
    assert np.mean(np.diff(np.sign(slow)) != 0) < 0.1


def test_lesson_3_momentums_steps_across_cancel_only_where_they_go_back_and_forth():
    def across(rate, beta, curvatures):
        path = numpy_optimizers.follow(
            numpy_optimizers.momentum(rate, beta),
            lambda w: np.array(curvatures) * w,
            [2.8, 2.8],
            60,
        )
        return np.diff(path[:, 0])

    swings = across(0.05, 0.9, (4, 0.2))  # the still picture of the race
    assert np.mean(swings[1:] * swings[:-1] < 0) < 0.2
    assert abs(swings).max() > 1.9 * abs(swings[0]), "they add up, too"
    zigzag = across(*numpy_optimizers.fastest_momentum(100, 1), (100, 1))
    assert np.all(zigzag[1:40] * zigzag[:39] < 0)


def slowest(rate, beta, curvatures):
    matrices = [[[1 + beta - rate * c, -beta], [1, 0]] for c in curvatures]
    return max(np.abs(np.linalg.eigvals(matrix)).max() for matrix in matrices)


def test_lesson_3_no_other_pair_of_rate_and_beta_is_faster_on_a_quadratic():
    for largest, smallest in ((4, 0.2), (100, 1), (30, 20)):
        rate, beta = numpy_optimizers.fastest_momentum(largest, smallest)
        best = slowest(rate, beta, (largest, smallest))
        claimed = numpy_optimizers.momentum_convergence_rate(largest, smallest)
        assert best == pytest.approx(claimed, abs=1e-6)
        assert best < descent.convergence_rate(largest, smallest)
        for other_rate in rate * np.linspace(0.7, 1.3, 13):
            for other_beta in np.clip(beta + np.linspace(-0.2, 0.2, 13), 0, 0.999):
                assert slowest(other_rate, other_beta, (largest, smallest)) > best - 1e-6


def test_lesson_3_momentum_09_helps_in_a_long_ravine_and_not_in_one_of_kappa_20():
    rates = np.geomspace(0.001, 3.79, 300)
    for kappa, helps in ((20, False), (100, True)):
        best = min(slowest(rate, 0.9, (1, 1 / kappa)) for rate in rates)
        assert best >= np.sqrt(0.9) - 1e-9
        assert (best < descent.convergence_rate(kappa, 1)) == helps, "'can' has to stay"


def test_lesson_3_in_a_ravine_plain_descent_creeps_or_goes_back_and_forth():
    for rate, turns in ((0.1, False), (0.45, True)):
        path = descent.gradient_descent(ravine_gradient, np.array([3.0, 3.0]), rate, 20)
        assert (path[1, 0] < 0) == turns
        assert path[-1, 1] > 0.4, "and along the valley it is late"


def test_lesson_3_one_hidden_layer_stands_a_rate_of_1_and_two_may_not():
    rates = np.full(8 * PER_EPOCH, 1.0)
    one = train(rates, (64, 64, 10), 6)[1]
    two = train(rates, (64, 64, 64, 10), 60)[1]  # rounding decides which of them are lost
    assert np.all(one[-1] < 0.02)
    assert np.any(two[-1] > 2), "'with one hidden layer' has to stay"
    assert np.mean(np.any(np.diff(two, axis=0) > 0, axis=0)) >= 4 / 6  # of the seeds jump


def test_lesson_3_each_further_tenth_takes_11_5_updates_and_the_first_takes_30():
    rate, beta = numpy_optimizers.fastest_momentum(100, 1)
    factor = numpy_optimizers.momentum_convergence_rate(100, 1)
    optimizer, start = numpy_optimizers.momentum(rate, beta), np.array([1.0, 1.0])
    path = numpy_optimizers.follow(optimizer, lambda w: np.array([100.0, 1.0]) * w, start, 1200)
    left = np.linalg.norm(path, axis=1) / np.linalg.norm(start)
    assert left.max() == pytest.approx(2.68, abs=0.01)
    below = [1 + np.flatnonzero(left > 10.0**-k).max() for k in range(1, 90)]
    assert below[0] == 30
    assert np.mean(np.diff(below)[-40:]) == pytest.approx(np.log(0.1) / np.log(factor), abs=0.15)
    t = np.array([200, 400, 800])
    np.testing.assert_allclose(left[t] / factor**t / t, 1.295, rtol=0.005)  # it grows like t


def test_lesson_3_the_first_cut_is_slow_even_where_the_distance_does_not_grow():
    rate, beta = numpy_optimizers.fastest_momentum(100, 1)
    optimizer, floor = numpy_optimizers.momentum(rate, beta), np.array([0.0, 1.0])
    path = numpy_optimizers.follow(optimizer, lambda w: np.array([100.0, 1.0]) * w, floor, 60)
    left = np.linalg.norm(path, axis=1)
    assert left.max() == 1
    assert np.argmax(left <= 0.1) == 19, "so its growth is not all that makes a first cut slow"


# --- the race ------------------------------------------------------------------------------------


def test_lesson_3_rmsprop_and_adam_do_not_notice_any_position_of_the_slider():
    plain = views.race_numbers(0.05, 1.0)["losses"]
    for scale in (0.01, 0.1, 10.0, 100.0):
        losses = views.race_numbers(0.05, scale)["losses"]
        for runner, name in enumerate(views.RACERS):
            change = abs(np.log(losses[runner][-1] / plain[runner][-1]))
            noticed = not change < 0.02
            assert noticed == name.startswith("SGD"), (name, scale)


def test_lesson_3_at_006_adam_is_ahead_of_sgd_and_at_005_it_is_not():
    for rate, ahead in ((0.05, "SGD"), (0.06, "Adam")):
        losses = dict(zip(views.RACERS, views.race_numbers(rate, 1.0)["losses"]))
        assert min(("SGD", "Adam"), key=lambda name: losses[name][-1]) == ahead


def test_lesson_3_momentum_is_lowest_at_the_end_and_sgd_is_often_ahead_in_the_first_half_only():
    losses = np.array(views.race_numbers(0.05, 1.0)["losses"])
    first = np.array(list(views.RACERS))[losses.argmin(axis=0)]
    assert np.mean(first[1:31] == "SGD") > 0.5
    assert set(first[35:]) == {"SGD, momentum 0.9"}
    assert "in the first half SGD is often ahead" in prose(3)


def test_lesson_3_the_stops_next_to_the_answers_of_the_race_show_the_same():
    near = min(10.0 ** (np.arange(-120, 1) / 40), key=lambda rate: abs(rate - 0.06))
    scales = 10.0 ** (np.arange(-20, 21) / 10)
    below, above = scales[scales < 0.5 / 0.06][-1], scales[scales > 0.5 / 0.06][0]
    for wanted, stop in ((0.06, near), (8, below), (8.6, above)):
        assert abs(stop / wanted - 1) > 1e-3, "or the sentence about the sliders can go"
    for scale, arrives in ((below, True), (above, False)):
        loss = views.race_numbers(near, scale)["losses"][0][-1]
        assert (loss < 1e-3) == arrives
    assert "the stops next to them show the same" in prose(3)


def test_lesson_3_turned_by_45_degrees_the_ravine_looks_round_no_more():
    start, turn = np.array([2.8, 2.8]), np.array([[1, -1], [1, 1]]) / np.sqrt(2)

    def run(make, turned):
        if not turned:
            return numpy_optimizers.follow(make(0.1), ravine_gradient, start, 60)
        path = numpy_optimizers.follow(
            make(0.1), lambda w: turn @ ravine_gradient(turn.T @ w), turn @ start, 60
        )
        return path @ turn

    for name, make in views.RACERS.items():
        ends = [ravine_loss(run(make, turned)[-1]) for turned in (False, True)]
        paths = [run(make, turned) for turned in (False, True)]
        straight = [
            np.linalg.norm(path[-1] - path[0]) / np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
            for path in paths
        ]
        if name.startswith("SGD"):
            assert ends[1] == pytest.approx(ends[0], rel=1e-6)
        else:
            assert ends[1] > 5 * ends[0]
            assert straight[1] < 0.8 < 0.95 < straight[0]
            round_start = numpy_optimizers.follow(
                make(0.1), lambda w: turn @ ravine_gradient(turn.T @ w), start, 60
            )
            length = np.linalg.norm(np.diff(round_start, axis=0), axis=1).sum()
            assert np.linalg.norm(round_start[-1] - start) > 0.95 * length, "'start and all'"


def test_exercises_3_epsilon_more_than_halves_the_step_of_each_class_s_tiny_slope():
    """It said that ε "begins to matter" there."""
    path = ROOT / "exercises" / "source" / "03_keras_optimizers" / "exercises_03.ipynb"
    cells = {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}
    assert "for which ε more than halves the step" in cells["story_3_test"]
    tiny = re.search(r"TINY = float\(rng\.choice\(\[(.+?)\]", cells["given"])[1].split(", ")
    for slope in map(float, tiny):
        path = numpy_optimizers.follow(numpy_optimizers.adam(0.003), lambda w: w, [slope, 1.0], 1)
        short, usual = np.abs(np.diff(path, axis=0)[0])
        assert 0.2 < short / usual < 0.5


# --- questions -----------------------------------------------------------------------------------


def test_lesson_3_no_victim_of_a_trap_is_congratulated():
    assert fallen_for_traps("03_keras_optimizers", at_least=6) == []
