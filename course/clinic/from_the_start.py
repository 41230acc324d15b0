"""The first ward: patients that never learn. Here are the answers!"""

import keras
import numpy as np
from keras.optimizers import schedules

from course.clinic.examples import agreement_of_neighbours, data, with_shuffled_labels
from course.clinic.models import ADAM, SGD, built, dense, network, softmax
from course.clinic.patient import ACCURACY, Finding, Patient, fit_with, joined, scheduled, shown
from lrsweep import CurvatureMeter


class OnDigits(Patient):
    """A network on handwritten digits, standardised."""

    hidden = (dense(32),)

    def optimizer(self):
        """Return the owner's optimizer, new."""
        return ADAM(0.003)

    def examples(self):
        return data("digits", self.seed)

    def build(self, optimizer=None):
        parts = *self.hidden, softmax(10)
        return built(optimizer or self.optimizer, *parts, shape=(64,), metrics=ACCURACY)()


class RawInputs(Patient):
    """The rate is far above the limit that inputs of hundreds set."""

    says = "Three growers of wine, 13 measurements of each bottle. A rate of 0.05 is what I use."
    cause = "the rate is above the limit, because the inputs are raw"
    fit = fit_with(epochs=20)

    def examples(self):
        return data("wine", self.seed, scaled=False)

    def build(self):
        case = network("wine", lambda: SGD(0.05), seed=self.seed, scaled=False, metrics=ACCURACY)
        return case.model()

    def check(self):
        keras.utils.set_random_seed(self.seed)
        model = self.build()
        curvature = CurvatureMeter(model, *self.train).largest()
        ratio = float(model.optimizer.learning_rate) * curvature / 2
        return Finding(ratio, ratio > 10, f"the rate is {ratio:.3g} times 2/L at the start")

    def cured(self):
        train, validation = data("wine", self.seed)
        return self.fresh(train=train, validation=validation)


class TooSmall(OnDigits):
    """The rate is a thousandth of a good one."""

    says = "Ten digits, gradient descent. Small steps are safe steps, aren't they?"
    cause = "the rate is far too small"

    def optimizer(self):
        return SGD(0.0001)

    def check(self):
        own = self.history["loss"]
        loss = self.cured()[1]["loss"]
        gain = (own[0] - own[-1]) / (own[0] - loss[-1])
        return Finding(gain, gain < 0.2, f"it gains {gain:.1%} of what 1000 times its rate gains")

    def cured(self):
        return self.fresh(build=lambda: self.build(lambda: SGD(0.1)))


class DeadUnits(OnDigits):
    """A first epoch at a rate of 1 has killed the relu units of a layer."""

    says = "The first epoch had a slip in its rate. It's been 0.003 since, as with everybody else."
    cause = "the relu units are dead since a large step"
    hidden = dense(32), dense(32)
    fit = fit_with(epochs=5)

    def training(self):
        keras.utils.set_random_seed(self.seed)
        model = self.build()
        model.optimizer.learning_rate = 1.0
        slip = self.go_on(model, epochs=1)
        model.optimizer.learning_rate = 0.003
        return model, joined(slip, self.go_on(model))

    def check(self):
        share = max(dead_shares(self.model, self.train[0]))
        return Finding(share, share > 0.6, f"{share:.0%} of a layer's units give 0 for all digits")

    def cured(self):
        return self.fresh()


def dead_shares(model, x):
    """Return for each hidden layer the share of its units that give 0 for every example."""
    shares = []
    for layer in model.layers[:-1]:
        outputs = keras.Model(model.inputs[0], layer.output)(x)
        shares.append(float(np.mean(np.max(np.asarray(outputs), axis=0) == 0)))
    return shares


class WholeNumber(Patient):
    """The schedule's rate is the integer 1, so Keras computes in integers, and it drops to 0."""

    says = "Three kinds of Iris. Adam was no better, so I went back to SGD with a gentle decay."
    cause = "a whole number makes the schedule drop to 0"
    fit = fit_with(epochs=20)
    rate = 1

    def examples(self):
        return data("iris", self.seed)

    def build(self, rate=1):
        def optimizer():
            return SGD(schedules.ExponentialDecay(rate, 40, 0.9))

        return built(optimizer, dense(32), softmax(3), shape=(4,), metrics=ACCURACY)()

    def check(self):
        keras.utils.set_random_seed(self.seed)
        rates = scheduled(self.build(), (0, 1, 80))
        return Finding(rates[1], rates[1] == 0, "rate at updates 0, 1 and 80: " + shown(rates))

    def cured(self):
        return self.fresh(build=lambda: self.build(1.0))


class ShuffledLabels(OnDigits):
    """The labels belong to other digits."""

    says = "Ten digits, Adam. It learns, if slowly. I'm about to try a larger rate."
    cause = "the labels were shuffled by accident"
    rates_fault = False

    def examples(self):
        return with_shuffled_labels(data("digits", self.seed), self.seed)

    def check(self):
        share = agreement_of_neighbours(*(part[:500] for part in self.train))
        text = f"the nearest other digit has the same label in {share:.0%} of cases"
        return Finding(share, share < 0.2, text)

    def cured(self):
        train, validation = data("digits", self.seed)
        return self.fresh(train=train, validation=validation)
