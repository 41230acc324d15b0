"""Six new patients for each class of exercises 8, and one as an example. Here are the answers!"""

from functools import cached_property

import numpy as np

from course.clinic import numpy_network as network
from course.clinic.examples import least_squares
from course.clinic.numpy_patient import NewPatient
from utils.data import load_split

ALWAYS = "raw inputs", "noise floor", "sorted", "shuffled labels"
SLIPS = 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0, 4.5, 5.0, 5.5, 6.0
MORE = "too small", "dead units", "decay per update", "second fit", "after a drop"


class RawInputs(NewPatient):
    says = "Digits, as the camera gives them, from 0 to 255. The rate is 0.1, as always."
    _cause, sizes = "raw inputs", (64, 10)

    def _examples(self):
        split = load_split("digits", seed=self._seed)
        scale = 255 / 16
        return (
            (scale * split.x_train[:600], split.y_train[:600]),
            (scale * split.x_test, split.y_test),
        )


class TooSmall(NewPatient):
    says = "Digits, scaled. I was told to be careful with the rate, and I am."
    _cause, rate = "too small", 0.0003


class DeadUnits(NewPatient):
    says = "Digits, scaled. A slip of the pen in the first epoch; the rate was 0.05 after that."
    _cause = "dead units"
    sizes = 64, 32, 32, 10

    def _parts(self):
        return [(1, lambda t: self._slip, None), (9, lambda t: 0.05, None)]

    @cached_property
    def _slip(self):
        """The rate that kills the most units, of those after which the losses are not vast."""
        runs = {rate: self._train(parts=[(1, lambda t, rate=rate: rate, None)]) for rate in SLIPS}
        calm = [rate for rate, run in runs.items() if max(run.history["loss"]) < 1000]
        return max(calm, key=lambda rate: self._dead_share(runs[rate].weights))


class OnALine(NewPatient):
    """Least squares with 20 features and noise of variance 0.25."""

    sizes = 20, 1

    def _examples(self):
        return least_squares(self._seed)


class NoiseFloor(OnALine):
    says = "Twenty measurements and a number to predict, with batches of 4. It was quick at first."
    _cause = "noise floor"
    rate, batch = 0.06, 4


class DecayPerUpdate(NewPatient):
    says = (
        "Digits, scaled. The rate begins at 0.1 and falls by a tenth each epoch, as in the paper."
    )
    _cause = "decay per update"

    def _parts(self):
        return [(self.epochs, lambda t: 0.1 * 0.9**t, None)]


class SecondFit(NewPatient):
    says = "Digits, scaled. After ten epochs I got twice as many, and called fit again with all."
    _cause = "second fit"

    def _parts(self):
        updates = 10 * -(-300 // self.batch)

        def cosine(t):
            return 0.05 * (1 + np.cos(np.pi * min(t / updates, 1)))

        return [(10, cosine, 300), (10, cosine, None)]


class WholeNumber(NewPatient):
    says = "Digits, scaled. I gave the schedule a rate of 1 and a decay of 0.9. It won't learn."
    _cause = "whole number"

    def _parts(self):
        return [(self.epochs, lambda t: int(0.9 ** (t / 19)), None)]


class AfterADrop(OnALine):
    says = "Twenty measurements, momentum 0.9. After three epochs I took a hundredth of the rate."
    _cause = "after a drop"
    rate, batch, momentum = 0.05, 180, 0.9

    def _parts(self):
        return [(3, lambda t: self.rate, None), (9, lambda t: self.rate / 100, None)]

    def _memory(self):
        before = self._train(parts=self._parts()[:1])
        slopes = network.gradients(before.weights, *self._data)[1]
        most = self.rate / 100 * np.linalg.norm(network.flat(slopes)) / (1 - self.momentum)
        ratio = np.linalg.norm(network.flat(before.velocities)) / most
        return f"when the rate was cut, the velocity was {ratio:.2g} times that"


class Sorted(NewPatient):
    says = "Digits, scaled. With shuffle=False my runs are comparable. It learns well, doesn't it?"
    _cause, rate, batch, epochs, shuffle = "sorted", 0.2, 4, 4, False

    def _examples(self):
        (x, y), held_out = super()._examples()
        order = np.argsort(y, kind="stable")
        return (x[order], y[order]), held_out


class ShuffledLabels(NewPatient):
    says = "Digits, scaled. It learns, if slowly, so I'm about to raise the rate."
    _cause, epochs = "shuffled labels", 20

    def _examples(self):
        rng = np.random.default_rng(self._seed)
        return tuple((x, rng.permutation(y)) for x, y in super()._examples())


KINDS = {
    kind._cause: kind
    for kind in (
        *(RawInputs, TooSmall, DeadUnits, NoiseFloor, DecayPerUpdate, SecondFit, WholeNumber),
        *(AfterADrop, Sorted, ShuffledLabels),
    )
}


def admit_new(seed):
    """Return {letter: patient}: "A" to "F", whose causes follow the seed, and "Z", the example."""
    rng = np.random.default_rng([8, seed])
    causes = rng.permutation([*ALWAYS, *rng.choice(MORE, 2, replace=False)])
    letters = dict(zip("ABCDEFZ", [*causes, "whole number"]))
    return {letter: KINDS[str(cause)](1000 + seed) for letter, cause in letters.items()}
