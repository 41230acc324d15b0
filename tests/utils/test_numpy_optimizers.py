"""The optimizers written out, against Keras; and the theory of momentum."""

import math

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from utils import numpy_optimizers as optimizers
from utils.descent import (
    convergence_rate,
    fastest_learning_rate,
    gradient_descent,
    stability_limit,
)
from utils.losses import ravine_gradient

IN_KERAS = {
    "sgd": (optimizers.sgd(0.05), lambda: keras.optimizers.SGD(0.05)),
    "momentum": (
        optimizers.momentum(0.05, 0.8),
        lambda: keras.optimizers.SGD(0.05, momentum=0.8),
    ),
    "rmsprop": (
        optimizers.rmsprop(0.01, 0.8, 1e-3),
        lambda: keras.optimizers.RMSprop(0.01, rho=0.8, epsilon=1e-3),
    ),
    "adam": (
        optimizers.adam(0.01, 0.8, 0.99, 1e-3),
        lambda: keras.optimizers.Adam(0.01, beta_1=0.8, beta_2=0.99, epsilon=1e-3),
    ),
    "adam, its defaults, tiny gradients": (optimizers.adam(), keras.optimizers.Adam),
    "rmsprop, its defaults, tiny gradients": (optimizers.rmsprop(), keras.optimizers.RMSprop),
}


def momentum_multiplier(learning_rate, beta, curvature):
    """Return the larger |σ| of σ² − (1 + β − ηλ)σ + β = 0: the factor per update."""
    middle = 1 + beta - learning_rate * curvature
    under_root = middle**2 - 4 * beta
    if under_root < 0:
        return math.sqrt(beta)
    return (abs(middle) + math.sqrt(under_root)) / 2


@pytest.mark.parametrize("name", IN_KERAS)
def test_fifty_updates_of_three_tensors_agree_with_keras(name):
    """The gradients follow the weights, so that an early error would grow."""
    step, make = IN_KERAS[name]
    scale = 1e-6 if "tiny" in name else 1.0
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=shape) for shape in ((), (4,), (3, 2))]
    noises = [[scale * generator.normal(size=w.shape) for w in weights] for _ in range(50)]
    variables = [keras.Variable(w.astype("float32")) for w in weights]
    in_keras, states = make(), [None] * 3
    for noise in noises:
        gradients = [
            (scale * v + n).astype("float32") for v, n in zip([v.numpy() for v in variables], noise)
        ]
        in_keras.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        moves = [
            step(state, scale * weight + n) for state, weight, n in zip(states, weights, noise)
        ]
        states = [state for state, _ in moves]
        weights = [weight + change for weight, (_, change) in zip(weights, moves)]
    for weight, variable in zip(weights, variables):
        np.testing.assert_allclose(weight, variable.numpy(), rtol=1e-6, atol=1e-6)


def test_the_defaults_are_those_of_keras():
    def defaults(function):
        return dict(zip(function.__code__.co_varnames, function.__defaults__))

    ours = {name: defaults(getattr(optimizers, name)) for name in ("sgd", "rmsprop", "adam")}
    sgd, rmsprop, adam = keras.optimizers.SGD(), keras.optimizers.RMSprop(), keras.optimizers.Adam()
    assert ours["sgd"]["learning_rate"] == pytest.approx(float(sgd.learning_rate))
    assert ours["rmsprop"] == pytest.approx(
        {
            "learning_rate": float(rmsprop.learning_rate),
            "rho": rmsprop.rho,
            "epsilon": rmsprop.epsilon,
        }
    )
    assert ours["adam"] == pytest.approx(
        {
            "learning_rate": float(adam.learning_rate),
            "beta_1": adam.beta_1,
            "beta_2": adam.beta_2,
            "epsilon": adam.epsilon,
        }
    )


@pytest.mark.parametrize(
    "step",
    [
        optimizers.sgd(),
        optimizers.momentum(),
        optimizers.rmsprop(),
        optimizers.adam(),
    ],
    ids=["sgd", "momentum", "rmsprop", "adam"],
)
def test_a_step_changes_nothing_in_place(step):
    gradient = np.array([1.0, -2.0])
    state, first = step(None, gradient)
    kept = first.copy()
    once = step(state, gradient)
    again = step(state, gradient)
    np.testing.assert_array_equal(once[1], again[1])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(gradient, [1.0, -2.0])


def test_the_first_step_of_each_optimizer():
    gradients = np.array([0.01, 1.0, 100.0])
    first = {
        name: -getattr(optimizers, name)(learning_rate=0.001)(None, gradients)[1]
        for name in ("sgd", "momentum", "rmsprop", "adam")
    }
    np.testing.assert_allclose(first["sgd"], [1e-5, 1e-3, 0.1], rtol=1e-12)
    np.testing.assert_allclose(first["momentum"], first["sgd"], rtol=1e-12)
    np.testing.assert_allclose(first["rmsprop"][1:], 0.001 / math.sqrt(0.1), rtol=1e-6)
    bound = 1e-7 / math.sqrt(1 - 0.999)
    np.testing.assert_allclose(first["adam"], 0.001 * gradients / (gradients + bound), rtol=1e-9)


def test_momentum_keeps_the_old_rate_in_its_velocity():
    velocity, first = optimizers.momentum(1.0)(None, 1.0)
    _, second = optimizers.momentum(0.1)(velocity, 1.0)
    assert (first, second) == pytest.approx((-1.0, -1.0))  # PyTorch's form: −1.0 and −0.19


@pytest.mark.parametrize("name", ["rmsprop", "adam"])
def test_the_scale_of_the_loss_does_not_matter_to_adaptive_optimizers(name):
    step = getattr(optimizers, name)(learning_rate=0.05)
    path = optimizers.follow(step, ravine_gradient, [-4.0, 2.0], 100)
    larger = optimizers.follow(step, lambda x: 1000 * ravine_gradient(x), [-4.0, 2.0], 100)
    np.testing.assert_allclose(larger, path, atol=2e-4)


def test_following_sgd_is_gradient_descent_also_when_it_diverges():
    path = optimizers.follow(optimizers.sgd(0.4), ravine_gradient, [-4.0, 2.0], 50)
    expected = gradient_descent(ravine_gradient, [-4.0, 2.0], 0.4, 50)
    np.testing.assert_allclose(path, expected, rtol=1e-12)
    with np.errstate(over="raise", invalid="raise"):
        path = optimizers.follow(optimizers.momentum(1.0), ravine_gradient, [1.0, 1.0], 2000)
    assert path.shape == (2001, 2)
    assert not np.isfinite(path[-1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.sgd(0), "learning_rate must be a positive number, got 0"),
        (lambda: optimizers.momentum(0.1, 1), "beta must be a number between 0 and 1, got 1"),
        (lambda: optimizers.rmsprop(rho=2), "rho must be a number between 0 and 1, got 2"),
        (lambda: optimizers.rmsprop(epsilon=0), "epsilon must be a positive number, got 0"),
        (
            lambda: optimizers.adam(beta_1=-1),
            "beta_1 must be a number between 0 and 1, got -1",
        ),
        (
            lambda: optimizers.adam(beta_2="x"),
            "beta_2 must be a number between 0 and 1, got 'x'",
        ),
        (lambda: optimizers.adam(epsilon=-1), "epsilon must be a positive number, got -1"),
        (
            lambda: optimizers.follow(optimizers.sgd(), ravine_gradient, 1.0, -1),
            "updates must be a whole number of at least 0, got -1",
        ),
        (
            lambda: optimizers.momentum_stability_limit(4, 1.0),
            "beta must be a number between 0 and 1",
        ),
        (
            lambda: optimizers.momentum_stability_limit(-1, 0.9),
            "largest_curvature must be a positive number, got -1",
        ),
        (lambda: optimizers.fastest_momentum(1, 2), "smallest_curvature must not exceed"),
    ],
)
def test_bad_input_is_named_with_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    assert message in str(error.value)


# --- the theory of momentum ---------------------------------------------------------------

betas = st.floats(0.01, 0.99)
curvatures = st.floats(1e-3, 1e3)


def test_the_worked_numbers_for_condition_number_100():
    rate, beta = optimizers.fastest_momentum(100, 1)
    assert (rate, beta) == pytest.approx((4 / 121, 81 / 121), rel=1e-12)
    assert optimizers.momentum_convergence_rate(100, 1) == pytest.approx(9 / 11, rel=1e-12)
    assert optimizers.momentum_stability_limit(100, beta) == pytest.approx(0.0333884, abs=5e-8)
    decade = -1 / math.log10(optimizers.momentum_convergence_rate(100, 1))
    without = -1 / math.log10(convergence_rate(100, 1))
    assert (decade, without) == pytest.approx((11.47, 115.1), rel=1e-3)


@given(st.floats(0.01, 3), betas, curvatures)
def test_the_multiplier_is_the_spectral_radius_of_the_two_step_matrix(share, beta, curvature):
    rate = share / curvature
    matrix = [[1 + beta - rate * curvature, -beta], [1, 0]]
    radius = np.abs(np.linalg.eigvals(matrix)).max()
    # near a double root a rounding error of 1e-16 moves the root by its square root
    assert momentum_multiplier(rate, beta, curvature) == pytest.approx(radius, abs=1e-7)


@given(st.floats(0.01, 4), betas)
def test_complex_roots_shrink_like_the_root_of_beta(share, beta):
    assume((1 + beta - share) ** 2 < 4 * beta)
    multiplier = momentum_multiplier(share, beta, 1.0)
    assert multiplier == pytest.approx(math.sqrt(beta), rel=1e-12)


@given(betas, curvatures)
def test_at_the_stability_limit_the_multiplier_passes_one(beta, largest):
    limit = optimizers.momentum_stability_limit(largest, beta)
    assert momentum_multiplier(limit, beta, largest) == pytest.approx(1, rel=1e-9)
    assert momentum_multiplier(0.999 * limit, beta, largest) < 1
    assert momentum_multiplier(1.001 * limit, beta, largest) > 1


@given(st.floats(1, 1e4), curvatures)
def test_fastest_momentum_shrinks_both_ends_alike_and_nothing_nearby_is_faster(ratio, smallest):
    largest = ratio * smallest
    rate, beta = optimizers.fastest_momentum(largest, smallest)
    factor = optimizers.momentum_convergence_rate(largest, smallest)
    kappa = math.sqrt(ratio)
    assert factor == pytest.approx((kappa - 1) / (kappa + 1), abs=1e-12)
    assert beta == pytest.approx(factor**2, rel=1e-12, abs=1e-300)

    def slowest(rate, beta):
        ends = (largest, smallest)
        return max(momentum_multiplier(rate, beta, curvature) for curvature in ends)

    # both ends sit on a double root, where rounding acts through a square root
    assert slowest(rate, beta) == pytest.approx(factor, abs=1e-6)
    for other_rate in (0.9, 1.0, 1.1):
        for other_beta in (0.9, 1.0, 1.1):
            if other_beta * beta < 1:
                assert slowest(rate * other_rate, beta * other_beta) >= factor - 1e-9


@given(curvatures, st.floats(1, 1e4))
def test_without_momentum_the_theory_is_that_of_gradient_descent(smallest, ratio):
    largest = ratio * smallest
    assert optimizers.momentum_stability_limit(largest, 0) == stability_limit(largest)
    rate = fastest_learning_rate(largest, smallest)
    multiplier = momentum_multiplier(rate, 0, largest)
    assert multiplier == pytest.approx(convergence_rate(largest, smallest), abs=1e-12)


def test_a_run_shrinks_at_the_predicted_rate_and_diverges_beyond_the_limit():
    rate, beta = optimizers.fastest_momentum(4.0, 0.2)
    path = optimizers.follow(optimizers.momentum(rate, beta), ravine_gradient, [1.0, 1.0], 300)
    measured = np.abs(path[300, 1] / path[200, 1]) ** (1 / 100)
    assert measured == pytest.approx(optimizers.momentum_convergence_rate(4.0, 0.2), rel=0.01)
    limit = optimizers.momentum_stability_limit(4.0, 0.9)
    for share, smaller in ((0.99, True), (1.01, False)):
        step = optimizers.momentum(share * limit, 0.9)
        path = optimizers.follow(step, ravine_gradient, [1.0, 1.0], 2000)
        assert (abs(path[-1, 0]) < 1) == smaller


def test_along_a_constant_slope_the_steps_grow_to_the_effective_rate():
    path = optimizers.follow(optimizers.momentum(0.01, 0.9), lambda x: 1.0, 0.0, 300)
    assert path[-2] - path[-1] == pytest.approx(0.01 / (1 - 0.9))
