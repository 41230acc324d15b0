"""Where to begin a sweep: the factors, their product, and what is refused."""

import numpy as np
import pytest
from keras import optimizers

from utils.first_sweep import CENTRES, first_sweep


@pytest.mark.parametrize("optimizer", CENTRES)
def test_rates_go_from_a_thirtieth_to_thirty_times_the_centre(optimizer):
    start = first_sweep(optimizer)
    assert start.centre == CENTRES[optimizer]
    assert len(start.learning_rates) == 8
    np.testing.assert_allclose(
        start.learning_rates[[0, -1]], [start.centre / 30, start.centre * 30]
    )
    np.testing.assert_allclose(np.ptp(np.diff(np.log(start.learning_rates))), 0, atol=1e-12)


def test_the_centre_is_the_product_of_the_factors():
    start = first_sweep("Adam", 128, 512, 50, fine_tuning=True)
    assert start.centre == pytest.approx(np.prod([size for _, size, _ in start.factors]))
    assert start.centre == pytest.approx(0.01 * 2 / 8 * 3 / 30)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: optimizers.SGD(), "SGD"),
        (lambda: optimizers.SGD(0.1, momentum=0.5), "SGD"),
        (lambda: optimizers.SGD(0.1, momentum=0.9), "momentum"),
        (lambda: optimizers.Adam(), "Adam"),
        (lambda: optimizers.AdamW(), "Adam"),
        (lambda: optimizers.RMSprop(), "Adam"),
        (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1)), "SGD"),
    ],
)
def test_an_optimizer_of_keras_is_told_by_what_it_is(made, kind):
    assert str(first_sweep(made(), 64)) == str(first_sweep(kind, 64))


def test_an_optimizer_without_a_centre_is_named():
    with pytest.raises(ValueError, match="must be one of Adam, SGD, momentum, got 'Lion'"):
        first_sweep(optimizers.Lion())


CASES = [  # the argument, and the factor for SGD and for Adam
    ({"batch_size": 64}, 2, 2**0.5),
    ({"batch_size": 2}, 1 / 16, 1 / 4),
    ({"batch_size": 1024}, 4, 32**0.5),  # SGD's rule is capped
    ({"width": 256}, 1, 1 / 4),
    ({"width": 16}, 1, 1),
    ({"updates": 50}, 3, 3),
    ({"updates": 100_000}, 1 / 3, 1 / 3),
    ({"fine_tuning": True}, 1 / 30, 1 / 30),
]


@pytest.mark.parametrize(("changed", "sgd", "adam"), CASES, ids=[str(it[0]) for it in CASES])
def test_each_factor(changed, sgd, adam):
    for optimizer, factor in (("SGD", sgd), ("momentum", sgd), ("Adam", adam)):
        centre = first_sweep(optimizer, **changed).centre
        assert centre == pytest.approx(factor * CENTRES[optimizer])


def test_it_says_each_factor_and_its_reason():
    text = str(first_sweep("SGD", batch_size=256))
    assert "4        batch: in proportion, up to 4 times (7)" in text
    assert "1        fine-tuning: as usual" in text  # a factor of 1 has no reason
    assert text.splitlines()[-1] == "centre 0.4: sweep 0.013 to 12"


REFUSED = [
    ({"optimizer": "Adagrad"}, "optimizer must be one of Adam, SGD, momentum, got 'Adagrad'"),
    ({"batch_size": 0.5}, "batch_size must be a whole number of at least 1, got 0.5"),
    ({"width": -1}, "width must be a whole number of at least 1, got -1"),
    ({"updates": None}, "updates must be a whole number of at least 1, got None"),
    ({"fine_tuning": "yes"}, "fine_tuning must be True or False, got 'yes'"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[str(it[0]) for it in REFUSED])
def test_what_is_not_allowed_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        first_sweep(**{"optimizer": "SGD", **arguments})
