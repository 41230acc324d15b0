"""What all patients of lesson 8 have in common: a training that went wrong, a check, a cure."""

import functools
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

ACCURACY = ["accuracy"]


def fit_with(**arguments):
    """Return what a patient's owner gives to `fit`."""
    return arguments


class Finding(NamedTuple):
    """What a decisive check found: the number, whether it's the disease, and both in words."""

    value: float
    sick: bool
    text: str


class Patient:
    """A model with one thing wrong, trained as its owner trained it.

    Attributes
    ----------
    seed : int
        Of the data's split, the weights, the order of examples, and the illness itself.
    says : str
        What its owner tells you.
    cause : str
        What is wrong, in a sentence.
    rates_fault : bool
        Whether it's the learning rate, or what goes with it in the optimizer.
    train, validation : tuple of two arrays
    build : callable
        Builds and compiles a new model as its owner does.
    fit : dict
        What its owner gives to `fit` beside the data.
    history : dict of str to list of float
        "loss" and "val_loss" of each epoch, for classes "accuracy" and "val_accuracy", too.
    model : keras.Model
        As that training left it.

    Notes
    -----
    The training runs when `history` or `model` is first asked for.
    """

    says = cause = ""
    rates_fault = True
    fit = fit_with(epochs=10)

    def __init__(self, seed):
        self.seed = seed
        self.train, self.validation = self.examples()

    def examples(self):
        """Return (x, y) to train on and (x, y) to validate on."""
        raise NotImplementedError

    def build(self):
        """Return a new compiled model."""
        raise NotImplementedError

    @functools.cached_property
    def _trained(self):
        return self.training()

    @property
    def model(self):
        """The model as its owner's training left it."""
        return self._trained[0]

    @property
    def history(self):
        """The curves of its owner's training."""
        return self._trained[1]

    def training(self):
        """Train as its owner did; return the model and its history."""
        return self.fresh()

    def check(self):
        """Make the decisive check and return a `Finding`."""
        raise NotImplementedError

    def cured(self):
        """Train with the cause removed and nothing else changed; return model and history."""
        raise NotImplementedError

    def fresh(self, build=None, train=None, validation=None, **fit):
        """Train a new model from the patient's own start; what isn't given is as its owner had it.

        Returns
        -------
        model : keras.Model
        history : dict of str to list of float
        """
        keras.utils.set_random_seed(self.seed)
        model = (build or self.build)()
        return model, self.go_on(model, train, validation, **fit)

    def go_on(self, model, train=None, validation=None, **fit):
        """Train a model further and return the history of that."""
        held_out = self.validation if validation is None else validation
        data = self.train if train is None else train
        given = {"batch_size": 32, **self.fit, **fit}
        # In each epoch Keras makes two iterators for arrays, which take longer than its updates
        # here; told how many batches there are, it makes one. Evaluating a dataset is cheaper, too.
        given["steps_per_epoch"] = -(-len(data[0]) // given["batch_size"])
        held_out = tf.data.Dataset.from_tensor_slices(held_out).batch(512)
        if model.built and not model.optimizer.built:  # or `fit` traces the first update twice
            model.optimizer.build(model.trainable_variables)
        run = model.fit(*data, validation_data=held_out, verbose=0, **given)
        return {name: list(map(float, values)) for name, values in run.history.items()}


def joined(first, *others):
    """Return the histories of one training after another as one."""
    return {name: sum((other[name] for other in others), first[name]) for name in first}


def updates_per_epoch(patient):
    """Return how many updates an epoch of a patient's training has."""
    return -(-len(patient.train[0]) // patient.fit.get("batch_size", 32))


def rms(values):
    """Return the root of the mean square of all numbers in some arrays."""
    return float(np.sqrt(np.mean(np.concatenate([np.ravel(it) for it in values]) ** 2)))


def scheduled(model, steps):
    """Return the rates that a model's schedule gives at some updates."""
    schedule = model.optimizer._learning_rate
    return [float(schedule(step)) for step in steps]


def shown(rates):
    """Return rates in words."""
    return ", ".join(f"{rate:.3g}" for rate in rates)
