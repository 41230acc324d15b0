"""Patients of the third and fourth ward: trained on, or odd on held-out data. Answers inside!"""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.optimizers import schedules

from course.clinic.examples import data
from course.clinic.from_the_start import OnDigits
from course.clinic.models import ADAM, CROSSENTROPY, SGD, built, dense, softmax
from course.clinic.patient import (
    ACCURACY,
    Finding,
    Patient,
    fit_with,
    joined,
    rms,
    scheduled,
    updates_per_epoch,
)
from course.clinic.stuck import OnALine


class SecondFit(OnDigits):
    """The second `fit` goes on where the first one's schedule has ended, at a rate of 0."""

    says = "It trained well on 300 digits. Now I have 1000 more; I called fit again, with all."
    cause = "the schedule goes on where the first fit has ended it"
    few = 300

    def optimizer(self):
        return SGD(schedules.CosineDecay(0.1, self.fit["epochs"] * -(-self.few // 32)))

    def first(self):
        """Return the part of the examples that its owner had at first."""
        return tuple(part[: self.few] for part in self.train)

    def training(self, between=None):
        model, before = self.fresh(train=self.first())
        if between:
            between(model)
        return model, joined(before, self.go_on(model))

    def check(self):
        made = self.fit["epochs"] * -(-self.few // 32)
        (rate,) = scheduled(self.model, [made])
        text = f"after {made} updates, where the second fit begins, the rate is {rate:.3g}"
        return Finding(rate, rate < 1e-4, text)

    def cured(self):
        def new_optimizer(model):
            steps = self.fit["epochs"] * updates_per_epoch(self)
            model.compile(SGD(schedules.CosineDecay(0.1, steps)), model.loss, metrics=ACCURACY)

        return self.training(new_optimizer)


class WeightsOnly(OnDigits):
    """It was resumed with its weights, but Adam's averages began at zero."""

    says = "The computer went off after 15 epochs. No harm: I load the weights and go on."
    cause = "resumed with the weights only: the optimizer's memory is gone"
    fit = fit_with(epochs=15)
    rate = 0.01

    def examples(self):
        (x, y), validation = super().examples()
        return (x[:450], y[:450]), validation

    def optimizer(self):
        return ADAM(self.rate)

    def training(self, whole=False):
        model, before = self.fresh()
        resumed = self.build()
        resumed.set_weights(model.get_weights())
        if whole:  # as model.save and load_model do
            resumed.optimizer.build(resumed.trainable_variables)
            for new, old in zip(resumed.optimizer.variables, model.optimizer.variables):
                new.assign(old)
        return resumed, joined(before, self.go_on(resumed))

    def check(self):
        made = int(self.model.optimizer.iterations.numpy())
        share = made / (2 * self.fit["epochs"] * updates_per_epoch(self))
        text = f"the optimizer remembers {made} updates, {share:.0%} of those that were made"
        return Finding(share, share < 0.9, text)

    def cured(self):
        return self.training(whole=True)


class AfterADrop(OnALine):
    """The rate is a hundredth now, but the velocity is still that of the old rate."""

    says = "A line again, with momentum: a fast start, then a hundredth of the rate to settle down."
    cause = "momentum still carries the rate from before the drop"
    fit = fit_with(epochs=12, batch_size=180)
    rate, momentum, drop = 0.05, 0.9, 0.01
    before = 3  # epochs

    def build(self):
        def optimizer():
            return SGD(self.rate, self.momentum)

        return built(optimizer, dense(1, None), shape=(20,), loss="mse")()

    def training(self, rescale=False):
        model, first = self.fresh(epochs=self.before)
        model.optimizer.learning_rate = self.rate * self.drop
        if rescale:
            for velocity in model.optimizer.momentums:
                velocity.assign(velocity * self.drop)
        return model, joined(first, self.go_on(model))

    def check(self):
        model, _ = self.fresh(epochs=self.before)
        x, y = (np.asarray(part, "float32") for part in self.train)
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=x, y=y, y_pred=model(x))
        slope = rms(it.numpy() for it in tape.gradient(loss, model.trainable_variables))
        most = self.rate * self.drop * slope / (1 - self.momentum)
        ratio = rms(it.numpy() for it in model.optimizer.momentums) / most
        text = f"at the drop the velocity is {ratio:.0f} times the most that the new rate keeps up"
        return Finding(ratio, ratio > 5, text)

    def cured(self):
        return self.training(rescale=True)


class HeadsRate(Patient):
    """The base is trained on at the rate that suits the new head."""

    says = "A base that knows the digits, and a new head: odd or even? It went well; I unfroze all."
    cause = "the base is trained at the head's rate"
    fit = fit_with(epochs=10)
    rate, few = 0.1, 60

    def examples(self):
        (x, y), (x_out, y_out) = data("digits", self.seed)
        return (x[: self.few], y[: self.few] % 2), (x_out, y_out % 2)

    def base(self):
        """Return a new base, without weights of its own yet, and a head for ten digits."""
        hidden = [dense(64)(), dense(32)()]
        whole = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, "softmax")])
        return keras.Sequential([keras.Input((64,)), *hidden], name="base"), whole

    @functools.cached_property
    def pretrained(self):
        """The weights of a base that was trained to tell all ten of the other digits apart."""
        (x, y), _ = data("digits", self.seed)
        keras.utils.set_random_seed(self.seed)
        base, whole = self.base()
        whole.compile(ADAM(0.003), CROSSENTROPY)
        whole.fit(x[self.few :], y[self.few :], epochs=8, verbose=0)
        return base.get_weights()

    def build(self):
        weights = self.pretrained
        keras.utils.set_random_seed(self.seed)
        base, _ = self.base()
        base.set_weights(weights)
        base.trainable = False
        model = keras.Sequential([keras.Input((64,)), base, layers.Dense(2, "softmax")])
        model.compile(ADAM(self.rate), CROSSENTROPY, metrics=ACCURACY)
        return model

    def training(self, rate=None):
        model, first = self.fresh()
        model.layers[0].trainable = True
        optimizer = ADAM(self.rate if rate is None else rate)
        model.compile(optimizer, CROSSENTROPY, metrics=ACCURACY)
        self.before = model.layers[0].get_weights()
        return model, joined(first, self.go_on(model))

    def check(self):
        after = self.model.layers[0].get_weights()
        kernels = [(old, new) for old, new in zip(self.before, after) if old.ndim == 2]
        change = rms(new - old for old, new in kernels) / rms(old for old, _ in kernels)
        text = f"the base's kernels changed by {change:.0%} of their size"
        return Finding(change, change > 0.3, text)

    def cured(self):
        return self.training(rate=self.rate / 100)


class Sorted(OnDigits):
    """The digits come sorted, and nothing shuffles them."""

    says = "I keep shuffle=False, so that runs are comparable. Training goes well, doesn't it?"
    cause = "the examples are sorted by class and nothing shuffles them"
    rates_fault = False
    fit = fit_with(epochs=3, batch_size=4, shuffle=False)

    def optimizer(self):
        return SGD(0.1)

    def examples(self):
        (x, y), validation = data("digits", self.seed)
        order = np.argsort(y, kind="stable")
        return (x[order], y[order]), validation

    def check(self):
        kinds = len(set(self.train[1][:100]))
        return Finding(kinds, kinds < 5, f"the first 100 labels are of {kinds} kind(s)")

    def cured(self):
        return self.fresh(shuffle=True)


class Averages(Patient):
    """BatchNormalization predicts with averages that 50 updates have not brought to their place."""

    says = "Wine again, raw, but a BatchNormalization comes first. Overfitting, I suppose?"
    cause = "BatchNormalization's running averages haven't settled"
    rates_fault = False
    fit = fit_with(epochs=10)

    def examples(self):
        return data("wine", self.seed, scaled=False)

    def build(self, momentum=0.99, rate=0.01):
        def first():
            return layers.BatchNormalization(momentum=momentum)

        parts = first, dense(32), softmax(3)
        return built(lambda: ADAM(rate), *parts, shape=(13,), metrics=ACCURACY)()

    def check(self):
        x, y = self.train
        outputs = [self.model(x, training=as_in_fit) for as_in_fit in (False, True)]
        entropy = keras.losses.sparse_categorical_crossentropy
        losses = [float(np.mean(entropy(y, output))) for output in outputs]
        text = f"the same examples: loss {losses[0]:.3g} as in predict, {losses[1]:.3g} as in fit"
        return Finding(losses[0] / losses[1], losses[0] > 2 * losses[1], text)

    def cured(self):
        return self.fresh(build=lambda: self.build(momentum=0.8))
