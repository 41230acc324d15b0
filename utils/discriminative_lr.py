"""Discriminative learning rates: a small one for a pretrained base, a larger one for a new head.

Lesson 6.

Keras can give each weight its own optimizer from version 3.15 on: `MultiOptimizer` with an
`OptimizerMap`. Colab's Keras is older, so the same is written here once more in a few lines.
The lessons import both names from here and get Keras's own where there are some.
"""

import re

import keras

from utils import checks


@keras.saving.register_keras_serializable(package="learning_rate_course")
class OwnOptimizerMap:
    """Says which optimizer a weight gets.

    Parameters
    ----------
    default_optimizer : keras.optimizers.Optimizer
        For all weights that no key fits.
    optimizer_map : dict, optional
        From a weight's path, such as "block1_conv1/kernel", or a pattern that fits the whole
        path (`re.fullmatch`), to an optimizer.
    """

    def __init__(self, default_optimizer, optimizer_map=None):
        self.default_optimizer = default_optimizer
        self.optimizer_map = dict(optimizer_map or {})

    def __setitem__(self, key, optimizer):
        if key in self.optimizer_map:
            raise ValueError(f"{key!r} has an optimizer already")
        self.optimizer_map[key] = optimizer

    def __getitem__(self, path):
        """Return the optimizer for a path: that of the path itself, else of the one pattern."""
        if path in self.optimizer_map:
            return self.optimizer_map[path]
        found = [key for key in self.optimizer_map if re.fullmatch(key, path)]
        if len(found) > 1:
            raise ValueError(f"{path} must fit one key of the map, it fits {', '.join(found)}")
        return self.optimizer_map[found[0]] if found else self.default_optimizer

    def __call__(self, variable):
        return self[variable.path]

    def values(self):
        """Return the optimizers of the keys."""
        return self.optimizer_map.values()

    def get_config(self):
        """Return what a saved model needs to build the same map again."""
        return {
            "default_optimizer": keras.saving.serialize_keras_object(self.default_optimizer),
            "optimizer_map": keras.saving.serialize_keras_object(self.optimizer_map),
        }

    @classmethod
    def from_config(cls, config):
        """Build the map from the result of `get_config`."""
        return cls(*(keras.saving.deserialize_keras_object(part) for part in config.values()))


@keras.saving.register_keras_serializable(package="learning_rate_course")
class OwnMultiOptimizer(keras.optimizers.Optimizer):
    """Hands each weight, with its gradient, to the optimizer that the map gives it.

    Parameters
    ----------
    optimizer_map : OwnOptimizerMap
    """

    def __init__(self, optimizer_map, name="multi_optimizer"):
        super().__init__(learning_rate=0.0, name=name)
        self.optimizer_map = optimizer_map
        everyone = [*optimizer_map.values(), optimizer_map.default_optimizer]
        self.optimizers = list({id(optimizer): optimizer for optimizer in everyone}.values())

    def build(self, variables):
        """Sort the weights by optimizer, and let each optimizer prepare for its own."""
        if not self.built:
            for optimizer, places in self._shares(variables):
                optimizer.build([variables[i] for i in places])
            super().build(variables)

    def apply(self, grads, trainable_variables=None):
        """Let each optimizer update its weights once."""
        variables = trainable_variables or self._trainable_variables
        self.build(variables)
        for optimizer, places in self._shares(variables):
            optimizer.apply([grads[i] for i in places], [variables[i] for i in places])
        self.iterations.assign_add(1)

    def _shares(self, variables):
        chosen = [self.optimizer_map(variable) for variable in variables]
        for optimizer in self.optimizers:
            places = [i for i, other in enumerate(chosen) if other is optimizer]
            if places:
                yield optimizer, places

    @property
    def variables(self):
        """The counter of updates, and all that the optimizers remember."""
        return super().variables + [v for each in self.optimizers for v in each.variables]

    @property
    def learning_rate(self):
        """There is none; ask each of `optimizers` for its own."""
        raise AttributeError("each of the optimizers has its own learning rate")

    @learning_rate.setter
    def learning_rate(self, value):
        raise AttributeError("each of the optimizers has its own learning rate")

    def get_config(self):
        """Return what a saved model needs to build the same optimizer again."""
        parts = keras.saving.serialize_keras_object(self.optimizer_map)
        return {"optimizer_map": parts, "name": self.name}

    @classmethod
    def from_config(cls, config):
        """Build the optimizer from the result of `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["optimizer_map"]), config["name"])


MultiOptimizer = getattr(keras.optimizers, "MultiOptimizer", OwnMultiOptimizer)
OptimizerMap = getattr(keras.optimizers, "OptimizerMap", OwnOptimizerMap)


def discriminative_optimizer(base, base_rate, head_rate, optimizer=keras.optimizers.Adam):
    """Return an optimizer with one learning rate for a base and another for all other weights.

    Parameters
    ----------
    base : keras.Model or keras.layers.Layer
        Part of the model that is going to be compiled; already unfrozen.
    base_rate, head_rate : float
        Positive.
    optimizer : callable
        Takes a learning rate, returns a Keras optimizer.

    Returns
    -------
    MultiOptimizer
        Its `optimizers` are the base's and the head's, in this order.
    """
    base_rate = checks.positive_number("base_rate", base_rate)
    head_rate = checks.positive_number("head_rate", head_rate)
    top = f"{base.name}/"  # stands before the paths of some bases, but not after loading
    paths = [re.escape(v.path.removeprefix(top)) for v in base.trainable_variables]
    if not paths:
        raise ValueError("base must have weights to train: set its trainable to True first")
    slow = {f"({re.escape(top)})?({'|'.join(paths)})": optimizer(base_rate)}
    return MultiOptimizer(OptimizerMap(optimizer(head_rate), slow))
