"""The second ward: patients that stop at a level. Here are the answers!"""

import keras
import numpy as np
from keras.optimizers import schedules

from course.clinic.examples import least_squares
from course.clinic.from_the_start import OnDigits
from course.clinic.models import SGD, built, dense
from course.clinic.patient import (
    Finding,
    Patient,
    fit_with,
    joined,
    scheduled,
    shown,
    updates_per_epoch,
)


class OnALine(Patient):
    """Least squares with batches of 4, at a rate whose noise shows."""

    fit = fit_with(epochs=6, batch_size=4)
    rate = 0.06

    def examples(self):
        return least_squares(self.seed)

    def build(self, rate=None):
        rate = self.rate if rate is None else rate
        return built(lambda: SGD(rate), dense(1, None), shape=(20,), loss="mse")()


class NoiseFloor(OnALine):
    """The constant rate's noise is all that is left."""

    says = "A straight line through 20 measurements, batches of 4. It fell fast, and then it stuck."
    cause = "the constant rate's noise floor: it has no decay"

    def check(self):
        before = self.model.get_weights()
        self.model.optimizer.learning_rate = self.rate / 10
        loss = self.go_on(self.model, epochs=1)["loss"][-1]
        self.model.set_weights(before)
        self.model.optimizer.learning_rate = self.rate
        ratio = loss / float(np.mean(self.history["loss"][-3:]))
        text = f"an epoch at a tenth of the rate has {ratio:.2g} times the loss"
        return Finding(ratio, ratio < 0.8, text)

    def cured(self):
        updates = self.fit["epochs"] * updates_per_epoch(self)
        decay = schedules.PolynomialDecay(self.rate, updates, 0.0)
        return self.fresh(build=lambda: self.build(decay))


class Overruled(OnALine):
    """Each epoch a scheduler puts back the rate that ReduceLROnPlateau has cut."""

    says = "A warm-up for two epochs, and ReduceLROnPlateau for later. That takes care of the rate."
    cause = "a scheduler overrules the callback that cuts the rate"

    def callbacks(self):
        """Return the callbacks of the owner."""

        def rate(epoch):
            return self.rate * min(1, (epoch + 1) / 3)

        return [keras.callbacks.LearningRateScheduler(rate), self.plateau()]

    def plateau(self):
        """Return the callback that cuts the rate when the loss stops falling."""
        return keras.callbacks.ReduceLROnPlateau("loss", 0.2, patience=1, min_delta=0.01)

    def training(self):
        return self.fresh(callbacks=self.callbacks())

    def check(self):
        rates = self.history["learning_rate"]
        lowest = min(rates[2:])
        return Finding(lowest, lowest == max(rates), "rates of the epochs: " + shown(rates))

    def cured(self):
        return self.fresh(callbacks=[self.plateau()])


class CompiledAgain(OnALine):
    """The rate was set on an optimizer that a second compile threw away."""

    says = (
        "When it stuck I took a tenth of the rate, compiled with another metric, "
        "and trained on. It made no difference."
    )
    cause = "the new rate was lost when the model was compiled again"
    fit = fit_with(epochs=3, batch_size=4)

    def training(self, compile_first=False):
        model, first = self.fresh()
        steps = [self._lower, self._compile]
        for step in reversed(steps) if compile_first else steps:
            step(model)
        return model, joined(first, self.go_on(model))

    def _lower(self, model):
        model.optimizer.learning_rate = self.rate / 10

    def _compile(self, model):
        model.compile(SGD(self.rate), "mse", metrics=["mae"])

    def check(self):
        rate = float(self.model.optimizer.learning_rate)
        return Finding(rate, rate > self.rate / 2, f"the optimizer's rate is {rate:.3g}")

    def cured(self):
        return self.training(compile_first=True)


class DecayPerUpdate(OnDigits):
    """The rate is multiplied by 0.9 in each update, not in each epoch."""

    says = "Ten digits. The rate falls by 10 % each epoch, as in the paper."
    cause = "the schedule counts updates, but was meant for epochs"

    def optimizer(self, steps=1):
        return SGD(schedules.ExponentialDecay(0.1, steps, 0.9))

    def check(self):
        each = updates_per_epoch(self)
        rates = scheduled(self.model, (0, each, 2 * each))
        text = "rate at the start, and after one and two epochs: " + shown(rates)
        return Finding(rates[1], rates[1] < 0.5 * rates[0], text)

    def cured(self):
        each = updates_per_epoch(self)
        return self.fresh(build=lambda: self.build(lambda: self.optimizer(each)))
