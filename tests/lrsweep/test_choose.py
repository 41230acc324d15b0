"""What is chosen from a sweep and why, what is refused, and results kept in a file."""

import json
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from lrsweep import SweepResult, _choose, choose_learning_rate


def table(values, rates=None, metric="val_loss", **more):
    """Return a result of one epoch from a table of shape (rates, seeds)."""
    values = np.array(values, dtype=float)
    rates = np.geomspace(0.001, 1, len(values)) if rates is None else np.array(rates, dtype=float)
    more = {"diverged": np.isnan(values)} | more
    return SweepResult(rates, np.arange(values.shape[1]), {metric: values[:, :, None]}, **more)


# --- Which way is better ---


@pytest.mark.parametrize("metric", ["val_acc", "val_auc", "val_my_error", "f1", "val_accuracy"])
def test_nobody_guesses_which_way_a_metric_is_better(metric):
    values = [[0.2, 0.2], [0.9, 0.8], [0.5, 0.6], [0.1, 0.0], [0.3, 0.3]]
    rates = [1.0, 2.0, 3.0, 4.0, 5.0]
    with pytest.raises(ValueError, match=f"which way {metric} is better.*mode='max'.*mode='min'"):
        choose_learning_rate(table(values, rates, metric), metric)
    for way, best in (("max", 2.0), ("min", 4.0)):
        known = table(values, rates, metric, directions={metric: way})
        assert choose_learning_rate(known, metric).best == best
        assert choose_learning_rate(table(values, rates, metric), metric, mode=way).best == best
        other = {"max": "min", "min": "max"}[way]
        assert choose_learning_rate(known, metric, mode=other).best != best  # what is said counts


def test_a_mode_against_a_known_direction_is_not_taken_in_silence(caplog):
    values = [[0.2, 0.2], [0.9, 0.8], [0.5, 0.6], [0.1, 0.0], [0.3, 0.3]]
    known = table(values, metric="val_auc", directions={"val_auc": "max"})
    assert "although" not in choose_learning_rate(known, "val_auc", mode="max").explanation
    assert not caplog.messages
    said = "mode='min' was given, although val_auc is known to be better if it is large."
    explanation = choose_learning_rate(known, "val_auc", mode="min").explanation
    assert explanation.splitlines()[-1] == said
    assert caplog.messages == [said]


@pytest.mark.parametrize("metric", ["loss", "val_loss"])
def test_a_loss_is_to_be_small(metric):
    values = [[3.0, 3.1], [1.0, 1.1], [2.0, 2.1]]
    assert choose_learning_rate(table(values, [1, 2, 3], metric), metric).best == 2.0
    with pytest.raises(ValueError, match=f"mode must be 'min' for {metric}"):
        choose_learning_rate(table(values, [1, 2, 3], metric), metric, mode="max")
    with pytest.raises(ValueError, match="mode must be one of max, min, got 'up'"):
        choose_learning_rate(table(values, [1, 2, 3], metric), metric, mode="up")


# --- The plateau ---


def landscape(seed, flat, seeds, slope=3.0, seed_effect=3.0, rates=21, base=100.0):
    """Return losses of a flat region in the middle, walls beside it, and the region's ends.

    A single training scatters with standard deviation 1; the walls rise by `slope` at each rate.
    """
    draw = np.random.default_rng(seed)
    off = np.maximum(np.abs(np.arange(rates) - rates // 2) - flat // 2, 0)
    losses = slope * off[:, None] + draw.normal(size=(rates, seeds))
    losses += seed_effect * draw.normal(size=seeds)
    return base + losses, (int(np.argmin(off)), rates - 1 - int(np.argmin(off)))


def plateaus(flat, seeds, sweeps=60, change=lambda losses: None, **named):
    """Return the ends of the plateaus found in several sweeps, as places, and the true ones."""
    found = []
    for seed in range(sweeps):
        losses, true = landscape(seed, flat, seeds, **named)
        change(losses)
        choice = choose_learning_rate(table(losses, np.arange(1.0, 22.0)))
        found.append([int(rate) - 1 for rate in choice.plateau])
    return np.array(found), true


def widths(found):
    return np.mean(found[:, 1] - found[:, 0] + 1)


@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
@pytest.mark.parametrize("flat", [1, 5, 9])
def test_a_flat_region_is_found_whole_however_many_seeds_there_are(flat, seeds):
    found, (low, high) = plateaus(flat, seeds)
    whole = (found[:, 0] <= low) & (found[:, 1] >= high)
    assert np.mean(whole) > 0.85  # 95 % are aimed at
    assert flat - 1 < widths(found) < flat + 1.1


def test_two_seeds_are_enough_for_an_idea():
    found, (low, high) = plateaus(5, 2)
    assert np.mean((found[:, 0] <= low) & (found[:, 1] >= high)) > 0.85
    assert widths(found) < 9


def test_what_a_seed_gives_to_all_rates_cancels():
    quiet, _ = plateaus(5, 5, seed_effect=0.0, base=-1e5)  # below zero there are no ratios
    loud, _ = plateaus(5, 5, seed_effect=1000.0, base=-1e5)
    np.testing.assert_array_equal(quiet, loud)


def test_a_factor_that_a_seed_gives_to_all_rates_cancels():
    """In ratios as in differences: a plateau of small losses isn't widened by it."""
    means = np.array([1.0, 0.3, 0.1, 0.03, 0.013, 0.01, 0.011, 0.1, 1.0])
    scatter = np.exp(0.1 * np.random.default_rng(0).normal(size=(9, 5)))
    factors = np.array([0.2, 0.5, 1.0, 2.0, 5.0])
    for losses in (means[:, np.newaxis] * scatter, means[:, np.newaxis] * scatter * factors):
        assert choose_learning_rate(table(losses, np.arange(1.0, 10.0))).plateau == (6.0, 7.0)


def test_one_noisy_rate_does_not_widen_the_plateau():
    def fail_once(losses):
        losses[13, 1] += 40  # a rate on the cliff: one seed in five fails

    found, _ = plateaus(5, 5)
    noisy, _ = plateaus(5, 5, change=fail_once)
    assert widths(noisy) == pytest.approx(widths(found), abs=0.2)
    assert noisy[:, 1].max() < 13


# Losses of SGD on Iris without hidden layers, seeds 5 to 9, from 2.15 to 100: chaos above 20
CHAOTIC = [
    [0.0791, 0.0811, 0.0876, 0.0842, 0.0783],
    [0.0713, 0.0726, 0.0800, 0.0759, 0.0703],
    [0.0644, 0.0649, 0.0733, 0.0685, 0.0631],
    [0.0584, 0.0578, 0.0673, 0.0620, 0.0565],
    [0.0536, 0.0512, 0.0619, 0.0566, 0.0505],
    [0.0505, 0.0449, 0.0568, 0.0527, 0.0449],
    [0.0494, 0.0390, 0.0517, 0.0505, 0.0398],
    [0.0527, 0.0336, 0.0464, 0.0505, 0.0353],
    [0.0643, 0.0287, 0.0409, 0.0524, 0.0310],
    [0.0927, 0.0243, 0.0371, 0.0552, 0.0268],
    [0.1503, 0.0203, 0.0427, 0.0583, 0.0225],
    [0.2270, 0.0165, 0.0502, 0.0612, 0.0181],
    [0.2884, 0.0127, 0.0216, 0.0635, 0.0132],
    [0.3055, 0.0081, 0.0109, 0.0667, 0.0082],
    [0.4474, 0.0043, 0.0068, 0.0743, 0.0044],
    [0.2788, 0.0035, 0.0028, 0.1065, 0.0047],
    [0.3033, 0.0136, 0.0012, 0.1190, 0.0016],
    [0.2304, 0.0003, 0.0313, 0.1103, 0.0011],
    [0.0063, 0.0021, 0.0002, 0.1507, 0.0002],
    [0.7319, 0.3281, 0.0055, 0.2728, 0.0267],
    [1.6011, 0.2409, 0.0006, 0.1580, 0.0024],
    [0.0016, 0.3287, 0.0001, 0.2257, 0.0207],
]


def test_a_lucky_rate_beyond_the_cliff_is_not_chosen():
    rates = np.geomspace(2.154, 100, 22)
    choice = choose_learning_rate(table(CHAOTIC, rates))
    assert choice.best == rates[8]
    assert 3 < choice.plateau[0] < choice.learning_rate < choice.plateau[1] < 15
    lines = choice.explanation.splitlines()
    assert lines[0].startswith("57.8 has val_loss 0.0319 ± 0.03, but scatters more than 5 times")
    assert lines[1].startswith("9.29 has the best val_loss 0.04346")
    clearly = [*CHAOTIC[:18], [0.011, 0.0001, 0.0001, 0.031, 0.0001], *CHAOTIC[19:]]
    assert choose_learning_rate(table(clearly, rates)).best == rates[18]


def test_an_error_names_two_lucky_rates_in_sentences():
    losses = np.linspace(0.1, 0.8, 8)[:, None] + 0.001 * np.random.default_rng(0).normal(
        size=(8, 5)
    )
    lucky = [[0.0001, 0.25, 0.0001, 0.15, 0.02], [0.25, 0.0001, 0.02, 0.0001, 0.18]]
    with pytest.raises(ValueError, match="is the best and the smallest of the sweep") as caught:
        choose_learning_rate(table([*losses, *lucky]))
    assert str(caught.value).count("left out.") == 2
    assert ".." not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_equally_good_rates_are_hardly_ever_left_out_as_lucky():
    said = []
    for seed in range(200):
        losses, _ = landscape(seed, 9, 3 + seed % 3)
        said.append(choose_learning_rate(table(losses, np.arange(1.0, 22.0))).explanation)
    assert sum("left out" in it for it in said) <= 1


@pytest.mark.parametrize("seeds", [3, 5])
def test_of_three_rates_one_may_have_a_failed_seed(seeds):
    """Its scatter isn't the others', and puts neither itself nor the third one into the plateau."""
    losses = 0.01 * np.random.default_rng(0).normal(size=(3, seeds)) + [[0.5], [0.3], [0.32]]
    losses[2, 1] += 2
    assert choose_learning_rate(table(losses)).plateau == pytest.approx((0.0316, 0.0316), rel=1e-2)
    losses[2, 1] -= 2
    assert choose_learning_rate(table(losses)).plateau[0] == pytest.approx(0.0316, rel=1e-2)


def test_where_large_losses_scatter_more_the_plateau_is_no_wider():
    """Differences alone take the lower end for as good in most sweeps; a paired test doesn't."""
    means, worse = np.array([0.68, 0.3, 0.09, 0.03, 0.013, 0.009, 0.08, 0.55]), 0
    for seed in range(20):
        draw = np.random.default_rng(seed).normal(size=(8, 5))
        losses = means[:, np.newaxis] * np.exp(draw / 2)
        best = losses.mean(axis=1).argmin()
        low, high = choose_learning_rate(table(losses, np.arange(1.0, 9.0))).plateau
        assert means[int(low) - 1] < 0.1
        assert high < 8
        apart = losses[int(low) - 1] - losses[best]
        worse += apart.mean() > 2.8 * apart.std(ddof=1) / np.sqrt(5)
    assert worse < 5


def test_rates_that_scatter_more_than_most_are_not_judged_by_the_others_ratios():
    """Losses of RMSprop on Iris: left of the best rate they are alike, around it they aren't."""
    values = [
        [0.9, 0.8, 0.9, 1.0, 0.9],
        [0.035, 0.092, 0.051, 0.102, 0.053],
        [0.032, 0.093, 0.044, 0.112, 0.046],
        [0.027, 0.092, 0.041, 0.135, 0.041],
        [0.024, 0.087, 0.039, 0.143, 0.038],
        [0.019, 0.09, 0.038, 0.188, 0.038],
        [0.02, 0.078, 0.038, 0.183, 0.037],
        [0.021, 0.093, 0.041, 0.185, 0.035],
        [0.024, 0.091, 0.036, 0.176, 0.033],
        [0.019, 0.114, 0.031, 0.159, 0.041],
        [0.027, 0.113, 0.035, 0.183, 0.048],
        [0.07, 0.089, 0.038, 0.198, 0.052],
        [0.067, 0.082, 0.035, 0.135, 0.058],
        [0.017, 0.098, 0.049, 0.057, 0.045],
        [0.125, 0.088, 0.027, 0.189, 0.056],
        [0.014, 0.097, 0.041, 0.187, 0.049],
        [0.024, 0.1, 0.034, 0.095, 0.039],
        [0.9, 1.0, 0.9, 0.8, 0.9],
    ]
    low, high = choose_learning_rate(table(values, np.arange(1.0, 19.0))).plateau
    assert low < 5
    assert high == 17


def test_a_loss_of_exactly_zero_does_not_widen_the_plateau():
    """Such as a lucky seed's beyond the cliff: the other rates' ratios count all the same."""
    means = np.array([1.0, 0.3, 0.1, 0.03, 0.013, 0.01, 0.011, 0.1, 1.0])
    losses = means[:, np.newaxis] * np.exp(np.random.default_rng(0).normal(size=(9, 5)) / 10)
    losses *= np.array([0.2, 0.5, 1.0, 2.0, 5.0])
    for place in (0, 5, 8):
        lucky = losses.copy()
        lucky[place, 2] = 0.0
        low, high = choose_learning_rate(table(lucky, np.arange(1.0, 10.0))).plateau
        assert 5 <= low <= high <= 7


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_rates_that_rounding_alone_tells_apart_are_as_good_whatever_the_losses_size(size):
    means = np.array([16.0, 8.0, 4.0, 4.0, 4.0, 4.0, 4.0, 8.0, 16.0]) + 1e-14 * np.arange(9)
    losses = size * means[:, np.newaxis] * np.array([0.1, 0.3, 1.0, 3.0, 10.0])
    assert choose_learning_rate(table(losses, np.arange(1.0, 10.0))).plateau == (3.0, 7.0)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_where_all_losses_scatter_alike_ratios_rarely_cut_a_flat_region(seeds):
    """Steep walls: large losses' ratios scatter less than those of the small ones between them."""
    off = np.maximum(np.abs(np.arange(15) - 7) - 2, 0)
    whole = 0
    for seed in range(100):
        scatter = 0.1 * np.random.default_rng(seed).normal(size=(15, seeds))
        losses = 2.0 ** off[:, np.newaxis] + scatter
        low, high = choose_learning_rate(table(losses, np.arange(1.0, 16.0))).plateau
        whole += low <= 6 and high >= 10
    assert whole >= 79  # 95 if differences alone were compared


def test_noise_of_the_best_rate_alone_does_not_widen_the_plateau():
    def scatter(losses):
        losses[10] += [-5, 5, -5, 5, -1]  # mean -0.2

    found, _ = plateaus(5, 5)
    noisy, _ = plateaus(5, 5, change=scatter)
    assert widths(noisy) == pytest.approx(widths(found), abs=0.5)


def test_rates_worse_than_a_constant_answer_do_not_widen_the_plateau():
    """Eight rates, three of them beyond the cliff: losses of a small network on digits."""
    values = [
        [2.06, 2.09, 2.09, 2.05, 2.06],
        [1.84, 1.85, 1.83, 1.80, 1.81],
        [1.61, 1.61, 1.54, 1.54, 1.51],
        [1.45, 1.58, 1.49, 1.46, 1.36],
        [0.94, 0.82, 0.65, 0.63, 0.53],
        [5.72, 6.91, 0.92, 3.90, 3.17],
        [9.95, 11.16, 17.03, 11.73, 2.57],
        [23.45, 33.85, 65.25, 2.9, 17.16],
    ]
    choice = choose_learning_rate(table(values, chance={"val_loss": 2.302}))
    assert choice.plateau == (choice.best, choice.best)


def test_where_one_rate_alone_beats_a_constant_answer_the_next_best_say_what_luck_does():
    values = [[2.5, 2.4], [2.0, 2.4], [2.6, 2.5], [9.0, 30.0]]
    choice = choose_learning_rate(table(values, chance={"val_loss": 2.45}))
    assert choice.plateau[0] < choice.plateau[1] < 1
    assert choice.learning_rate == choice.best  # the others are no better than a constant answer


@pytest.mark.parametrize(
    ("chance", "said"),
    [
        (2.0, "is better than a constant answer (val_loss 2): the best is 0.01 with"),
        (2.3, "is surely better than a constant answer"),
        (2.3, r"± 0.2, no more than its standard error below that"),
    ],
)
def test_a_best_rate_that_luck_may_have_put_below_a_constant_answer_is_not_called_worse(
    chance, said
):
    values = [[2.5, 2.4], [2.0, 2.4], [2.6, 2.5], [9.0, 30.0]]
    with pytest.raises(ValueError, match="no learning rate") as caught:
        choose_learning_rate(table(values, chance={"val_loss": chance}))
    assert said in str(caught.value)
    assert ("no more than" in str(caught.value)) == (chance == 2.3)


def test_a_best_accuracy_is_said_to_be_within_its_error_above_a_constant_answer():
    values = 1 - np.array([[2.5, 2.4], [2.0, 2.4], [2.6, 2.5], [9.0, 30.0]]) / 100
    result = table(values, metric="val_accuracy", chance={"val_accuracy": 0.977})
    with pytest.raises(ValueError, match="no more than its standard error above that"):
        choose_learning_rate(result, "val_accuracy", mode="max")


def test_a_slope_is_seen_with_more_seeds():
    few, many = (widths(plateaus(1, seeds, slope=0.5)[0]) for seeds in (3, 30))
    assert many < 0.6 * few


def test_the_choice_is_nearest_to_the_middle_whatever_the_order():
    values = [[2.0, 2.2], [1.02, 1.1], [1.0, 1.1], [1.04, 1.05], [1.01, 1.11], [3.0, 3.0]]
    rates = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
    for order in (slice(None), slice(None, None, -1)):
        choice = choose_learning_rate(table(values[order], rates[order]))
        assert choice.best == 0.03
        assert choice.mean == pytest.approx(1.045)
        assert choice.standard_error == pytest.approx(0.005)
        assert choice.plateau == (0.003, 0.1)
        assert choice.learning_rate == 0.03  # the better of the two beside the middle
        assert "0.03 is the better of the two in their middle." in choice.explanation
        said = choice.explanation
        assert "0.03 has the best val_loss 1.045 ± 0.005, the mean and standard error of 2" in said
        assert "rates from 0.003 to 0.1 are at most 0.015 behind it" in said


def test_of_two_equally_near_and_equally_good_it_is_the_smaller():
    values = [[3.0, 3.1], [1.0, 1.1], [1.1, 1.0], [3.0, 3.1]]
    choice = choose_learning_rate(table(values, [0.001, 0.01, 0.1, 1.0]))
    assert choice.plateau == (0.01, 0.1)
    assert choice.learning_rate == 0.01
    assert "0.01 is the smaller of the two in their middle." in choice.explanation


def test_the_choice_is_better_than_a_constant_answer():
    """The middle of a wide plateau may be worse, where the best is only just better."""
    values = [[1.2, 1.3], [0.7, 0.9], [0.9, 1.3], [0.8, 1.3], [1.2, 1.3]]
    rates = [0.001, 0.003, 0.01, 0.03, 0.1]
    result = table(values, rates)
    assert choose_learning_rate(result).learning_rate == 0.01
    result.chance["val_loss"] = 1.0
    choice = choose_learning_rate(result)
    assert choice.learning_rate == 0.003
    assert "nearest to their middle that is better than a constant" in choice.explanation


def test_a_plateau_of_one_rate_says_so():
    losses, _ = landscape(0, 1, 5, slope=30)
    choice = choose_learning_rate(table(losses))
    assert choice.plateau == (choice.best, choice.best)
    assert "further behind than luck alone puts them" in choice.explanation


def test_a_plateau_at_the_end_says_so():
    values = [[1.02, 1.1], [1.0, 1.08], [1.04, 1.05], [1.01, 1.11]]
    choice = choose_learning_rate(table(values, [0.1, 0.2, 0.4, 0.8]))
    assert (choice.best, choice.plateau) == (0.2, (0.1, 0.8))
    assert "The plateau reaches the end of the sweep and may go on." in choice.explanation


def test_luck_is_tukey_s_studentized_range():
    stats = pytest.importorskip("scipy.stats")
    for count in (8, 11, 20):  # with many seeds it hardly matters how the scatter is measured
        expected = stats.studentized_range.ppf(0.95, count, 1000)
        assert _choose._luck(count, min(count - 1, 10), 100) == pytest.approx(expected, rel=0.12)


# --- One seed, equal seeds, ties ---


def test_a_single_seed_gives_neither_error_nor_plateau():
    accuracy = [[0.7889], [0.8240], [0.8240], [0.7889]]
    result = table(accuracy, [1e-4, 1e-3, 1e-2, 1e-1], metric="val_accuracy")
    choice = choose_learning_rate(result, "val_accuracy", mode="max")
    assert (choice.learning_rate, choice.plateau) == (1e-3, (1e-3, 1e-3))
    assert np.isnan(choice.standard_error)
    assert "with a single seed, so nobody knows what luck did" in choice.explanation
    assert "±" not in choice.explanation


def test_identical_seeds_count_as_one():
    """A builder that sets a seed gives "0.403 ± 0, the mean and standard error of 10 seeds"."""
    values = np.repeat([[0.9], [0.403], [0.41], [0.9]], 10, axis=1)
    choice = choose_learning_rate(table(values))
    assert choice.plateau == (choice.best, choice.best)
    assert np.isnan(choice.standard_error)
    assert "all 10 seeds gave identical numbers and count as one" in choice.explanation
    assert "±" not in choice.explanation


def test_seeds_that_agree_in_the_best_metric_only_are_not_called_identical():
    accuracy = np.array([[0.5, 0.6], [1.0, 1.0], [1.0, 1.0], [0.9, 0.8]])
    loss = np.array([[2.0, 2.1], [0.3, 0.4], [0.2, 0.2], [0.5, 0.4]])
    metrics = {"val_accuracy": accuracy[:, :, None], "val_loss": loss[:, :, None]}
    result = SweepResult(np.array([0.1, 0.2, 0.4, 0.8]), np.arange(2), metrics, accuracy < 0)
    choice = choose_learning_rate(result, "val_accuracy", mode="max")
    assert choice.best == 0.4
    assert choice.standard_error == 0
    said = choice.explanation
    assert "2 learning rates share the best val_accuracy, 1: 0.2 and 0.4." in said
    assert "0.4 is the one of them with the smallest val_loss, 0.2." in said
    assert "0.4 has the best val_accuracy 1, the same with each of 2 seeds." in said
    assert "±" not in said


def test_a_tie_without_a_loss_goes_to_the_smaller_rate():
    values = [[0.5, 0.6], [0.8, 0.9], [0.9, 0.8], [0.8, 0.9], [0.1, 0.2]]
    result = table(values, [1, 2, 4, 8, 16], "val_accuracy")
    choice = choose_learning_rate(result, "val_accuracy", mode="max")
    assert choice.best == 2
    assert "3 learning rates share the best val_accuracy, 0.85: 2, 4 and 8." in choice.explanation
    assert "2 is the smallest of them." in choice.explanation
    assert "are as good" in choice.explanation


# --- What is not a finite number ---


def test_a_rate_with_one_diverged_seed_is_not_chosen():
    values = [[1.0, 1.0], [0.1, np.nan], [0.9, 0.95], [1.0, 1.1]]
    choice = choose_learning_rate(table(values, [0.1, 0.2, 0.3, 0.4]))
    assert choice.learning_rate == 0.3
    assert "not a finite number" not in choice.explanation


@pytest.mark.filterwarnings("error")
def test_a_rate_beside_which_all_others_diverged_is_a_plateau_by_itself():
    values = [[np.nan, 1.0], [0.3, 0.4], [np.nan, np.nan]]
    choice = choose_learning_rate(table(values, [0.1, 0.2, 0.3]))
    assert choice.plateau == (0.2, 0.2)
    assert "the rates next to it, 0.1 and 0.3, have no finite val_loss with" in choice.explanation
    assert "luck" not in choice.explanation


def test_what_luck_cannot_do_is_said_of_rates_that_have_a_mean_only():
    values = [[np.nan, 1.0, 1.1], [0.3, 0.31, 0.29], [1.3, 1.32, 1.31], [2.0, 2.1, 2.05]]
    text = choose_learning_rate(table(values, [0.1, 0.2, 0.3, 0.4])).explanation
    assert "0.3 is further behind than luck alone puts it, and 0.1 has no finite val_loss" in text


def test_a_metric_that_is_to_be_large_has_no_ratios():
    """As in the docstring, also where it's never above 0."""
    losses = np.array([[9, 8.5], [0.01, 0.012], [0.1, 0.103], [0.9, 0.6], [4, 4.9], [7, 7.9]])
    high = table(-losses, metric="score")
    shifted = table(1000 - losses, metric="score")
    one, other = (choose_learning_rate(it, "score", "max") for it in (high, shifted))
    assert one.plateau == other.plateau


def test_a_metric_that_is_nan_is_not_called_diverged():
    auc = [[0.6, 0.6], [0.8, 0.9], [np.nan, 0.99], [0.7, np.nan], [0.5, 0.5]]
    result = table(auc, [1, 2, 3, 4, 5], "val_auc", diverged=np.zeros((5, 2), bool))
    choice = choose_learning_rate(result, "val_auc", mode="max")
    assert choice.best == 2
    assert "val_auc is not a finite number with some seed at 3 and 4, although the loss is" in (
        choice.explanation
    )
    everywhere = table(np.full((5, 2), np.nan), None, "val_auc", diverged=np.zeros((5, 2), bool))
    message = "val_auc is not a finite number .* at 5 rates from 0.001 to 1, although the loss"
    with pytest.raises(ValueError, match=message) as refusal:
        choose_learning_rate(everywhere, "val_auc", mode="max")
    assert "diverged" not in str(refusal.value)


def test_nan_and_divergence_are_told_apart():
    diverged = np.array([[False, False], [True, False], [True, True]])
    result = table(np.full((3, 2), np.nan), [1, 2, 3], "val_auc", diverged=diverged)
    message = "val_auc is not .* at 1, although .* At 2 and 3 a training diverged"
    with pytest.raises(ValueError, match=message):
        choose_learning_rate(result, "val_auc", mode="max")


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        ([[1.0], [2.0], [3.0]], {}, "the smallest of the sweep: sweep smaller ones"),
        ([[3.0], [2.0], [1.0]], {}, "the largest of the sweep: sweep larger ones"),
        ([[np.nan], [np.nan], [np.nan]], {}, "every learning rate diverged"),
        ([[1.2], [1.099], [1.2]], {"chance": {"val_loss": 1.0986}}, "better than a constant"),
        ([[1.2], [0.5], [1.2]], {"interrupted": True}, "interrupted"),
    ],
)
def test_there_is_no_choice_without_evidence(values, more, message):
    with pytest.raises(ValueError, match=message):
        choose_learning_rate(table(values, [0.01, 0.1, 1.0], **more))
    with pytest.raises(ValueError, match="metric must be one of"):
        choose_learning_rate(table(values, [0.01, 0.1, 1.0], **more), "speed")


# --- The end of training ---


def stopped_early():
    losses = np.array(
        [
            [[3.0, 2.0, 1.9], [3.0, 2.5, 2.0]],
            [[2.0, 0.5, np.nan], [2.0, 0.3, 0.6]],  # stopped; the best epoch restored
            [[2.0, 1.0, 0.9], [2.0, np.nan, np.nan]],  # one diverged
            [[2.0, 1.5, 1.4], [2.0, 1.5, 1.3]],
        ]
    )
    diverged = np.zeros((4, 2), bool)
    diverged[2, 1] = True
    last = np.array([[2, 2], [1, 1], [2, 0], [2, 2]])
    rates = np.array([0.1, 0.2, 0.4, 0.8])
    return SweepResult(rates, np.arange(2), {"val_loss": losses}, diverged, last_epochs=last)


def test_the_last_epoch_that_counts_is_used():
    result = stopped_early()
    expected = [[1.9, 2.0], [0.5, 0.3], [0.9, np.nan], [1.4, 1.3]]
    np.testing.assert_array_equal(result.final("val_loss"), expected)
    choice = choose_learning_rate(result)
    assert (choice.best, choice.mean) == (0.2, pytest.approx(0.4))
    with pytest.raises(ValueError, match="metric must be one of val_loss, got 'loss'"):
        result.final("loss")


def test_without_last_epochs_the_last_of_all_counts():
    result = stopped_early()
    plain = SweepResult(result.learning_rates, result.seeds, result.metrics, result.diverged)
    np.testing.assert_array_equal(plain.final("val_loss"), result.metrics["val_loss"][:, :, -1])


def test_an_epoch_that_was_cut_off_means_the_last_one():
    result = stopped_early()
    shorter = {"val_loss": result.metrics["val_loss"][:, :, :2]}
    cut = SweepResult(
        result.learning_rates,
        result.seeds,
        shorter,
        result.diverged,
        last_epochs=result.last_epochs,
    )
    assert cut.final("val_loss")[0].tolist() == [2.0, 2.5]
    none = replace(result, last_epochs=np.full((4, 2), -1))
    assert np.isnan(none.final("val_loss")).all()


def test_a_figure_shows_the_end_of_each_training():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = pyplot.figure().subplots()
    stopped_early().plot(axes=axes)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1.95, 0.4, np.nan, 1.35])
    assert "at the end of each training" in axes.alt_text
    second = pyplot.figure().subplots()
    stopped_early().plot(axes=second, epoch=1)
    assert "after epoch 2" in second.alt_text
    pyplot.close("all")


# --- Results made by hand ---


def test_a_result_can_be_made_from_lists():
    losses = [[[0.9], [0.8]], [[0.3], [0.31]], [[0.7], [0.5]]]
    by_hand = SweepResult(
        [0.01, 0.1, 1.0], [0, 1], {"val_loss": losses}, [[False] * 2] * 3, last_epochs=[[0, 0]] * 3
    )
    made = table(np.array(losses)[:, :, 0], [0.01, 0.1, 1.0])
    assert choose_learning_rate(by_hand) == choose_learning_rate(made)
    np.testing.assert_array_equal(by_hand.final("val_loss"), made.final("val_loss"))
    values = np.ones((1, 1, 2))
    assert SweepResult([0.1], [0], {"loss": values}, [[0]]).metrics["loss"] is values


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learning_rates": 0.1}, r"learning_rates must have one axis, got one of shape \(\)"),
        ({"metrics": [1.0]}, r"metrics must be a dict of arrays by name, got \[1.0\]"),
        (
            {"metrics": {"loss": [[1.0], [2.0]]}},
            r"'loss' .*epochs\), here \(2, 1, ...\), .*\(2, 1\)",
        ),
        ({"metrics": {"loss": [[["a"]], [["b"]]]}}, "'loss' of metrics must hold numbers"),
        ({"metrics": {"loss": [[[1.0]], [[1.0, 2.0]]]}}, "'loss' .* rows of unequal length"),
        (
            {"diverged": [False, True]},
            r"diverged must have the shape \(rates, seeds\), here \(2, 1\)",
        ),
        ({"diverged": None}, r"diverged must have the shape .* got one of shape \(\)"),
        ({"learning_rates": ["0.1", "1"]}, "learning_rates must hold numbers"),
        ({"learning_rates": [0.1, 0.0]}, r"learning_rates must be positive numbers, got .*0\. "),
        ({"learning_rates": [0.1, np.nan]}, "learning_rates must be positive numbers, got .*nan"),
        ({"metrics": {}}, r"metrics must hold the same epochs, one at least, .* got \{\}"),
        ({"metrics": {"loss": [[[]], [[]]]}}, r"the same epochs, one at least, .*\{'loss': 0\}"),
        (
            {"metrics": {"loss": [[[1.0]], [[2.0]]], "a": [[[1.0, 2.0]], [[2.0, 3.0]]]}},
            r"the same epochs, .*\{'loss': 1, 'a': 2\}",
        ),
        ({"directions": {"loss": "down"}}, r"of 'min' or 'max' by metric, got \{'loss': 'down'\}"),
        ({"directions": None}, "directions must be a dict of 'min' or 'max' by metric, got None"),
        ({"chance": None}, "chance must be a dict of numbers by metric, got None"),
        (
            {"chance": {"loss": "1"}},
            "chance must be a dict of numbers by metric, got {'loss': '1'}",
        ),
        (
            {"seeds": [], "metrics": {"loss": np.ones((2, 0, 1))}, "diverged": np.ones((2, 0))},
            "learning_rates and seeds must hold one each, at least, got 2 and 0 of them",
        ),
        (
            {"last_epochs": [[0]]},
            r"last_epochs must have .*here \(2, 1\), got one of shape \(1, 1\)",
        ),
    ],
)
def test_a_result_made_by_hand_says_what_does_not_fit(changed, said):
    given = {
        "learning_rates": [0.1, 1.0],
        "seeds": [0],
        "metrics": {"loss": [[[1.0]], [[2.0]]]},
        "diverged": [[False], [False]],
    }
    with pytest.raises(ValueError, match=said):
        SweepResult(**given | changed)


# --- Results in a file ---


def full_result():
    draw = np.random.default_rng(0)
    metrics = {
        "val_loss": draw.normal(size=(3, 2, 4)),
        "a/b é": draw.normal(size=(3, 2, 4)).astype("float32"),
    }
    metrics["val_loss"][0, 1, 2:] = np.nan
    return SweepResult(
        learning_rates=np.geomspace(1e-5, 0.3, 3),
        seeds=np.array([7, 2**32 - 1]),
        metrics=metrics,
        diverged=np.isnan(metrics["val_loss"][:, :, -1]),
        engine="sequential",
        reason="zwölf 'Gründe' \N{SNOWMAN}\n",
        interrupted=np.True_,
        chance={"val_loss": 0.1 + 0.2, "a/b é": np.float32(0.1), "c": np.nan},
        directions={"a/b é": "max"},
        last_epochs=np.array([[3, 1], [3, 3], [0, -1]]),
    )


def assert_same(one, other):
    for name, value in vars(one).items():
        twin = vars(other)[name]
        if isinstance(value, np.ndarray):
            assert value.dtype == twin.dtype
        if name == "metrics":
            assert list(value) == list(twin)
            for metric in value:
                assert value[metric].dtype == twin[metric].dtype
                np.testing.assert_array_equal(value[metric], twin[metric])
        else:
            np.testing.assert_equal(twin, value)


def test_a_result_comes_back_exactly(tmp_path):
    for name, result in (("sweep", full_result()), ("ü.npz", stopped_early())):
        result.save(tmp_path / name)
        loaded = SweepResult.load(tmp_path / name)
        assert_same(result, loaded)
        assert type(loaded.interrupted) is bool
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    loaded = table([[1.0]])
    loaded.save(str(tmp_path / "no_last_epochs"))
    assert SweepResult.load(str(tmp_path / "no_last_epochs")).last_epochs is None


def test_nothing_in_the_file_is_pickled(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle, "dump", lambda *args, **named: pytest.fail("pickled"))
    full_result().save(tmp_path / "sweep")
    with np.load(tmp_path / "sweep", allow_pickle=False) as file:
        assert json.loads(str(file["text"]))["format"] == "lrsweep.SweepResult"
        assert not any(file[name].dtype.hasobject for name in file.files)
    with pytest.raises(ValueError, match="some hold objects"):
        SweepResult([0.1], np.array([None]), {"loss": [[[1.0]]]}, [[True]]).save(tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "sweep.npz"
    stopped_early().save(path)
    before = path.read_bytes()

    def interrupt(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        full_result().save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def other_files(folder):
    """Yield files that no sweep was saved to."""
    (folder / "text").write_text("learning_rates")
    (folder / "empty").write_bytes(b"")
    np.save(folder / "array.npy", np.ones(3))
    np.savez(folder / "arrays.npz", learning_rates=np.ones(3))
    (folder / "pickle").write_bytes(pickle.dumps({"a": 1}))
    full_result().save(folder / "whole")
    with np.load(folder / "whole") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["text"] = np.array(str(arrays["text"]).replace("lrsweep.SweepResult", "lrsweep.Other"))
    np.savez(folder / "foreign.npz", **arrays)
    (folder / "half").write_bytes((folder / "whole").read_bytes()[:700])
    (folder / "folder").mkdir()
    return [path for path in folder.iterdir() if path.name != "whole"]


def test_other_files_are_refused(tmp_path):
    files = other_files(tmp_path)
    assert len(files) == 8
    for path in files:
        is_not_one = "is a folder" if path.is_dir() else r"SweepResult\.save wrote, .* is not one"
        with pytest.raises(ValueError, match=is_not_one):
            SweepResult.load(path)
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere"):
        SweepResult.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="path must be in a folder that exists"):
        full_result().save(tmp_path / "nowhere" / "sweep")


def test_a_file_of_a_newer_version_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("lrsweep._result.VERSION", 2)
    full_result().save(tmp_path / "sweep")
    monkeypatch.setattr("lrsweep._result.VERSION", 1)
    with pytest.raises(ValueError, match=r"written by a newer lrsweep: .* version 2"):
        SweepResult.load(tmp_path / "sweep")
