"""The surroundings of a call as it found them: random numbers, and nothing else is touched."""

import contextlib
import random

import numpy as np


@contextlib.contextmanager
def as_before():
    """Put the random states of Python, NumPy, Keras and TensorFlow back at the end."""
    kept = random.getstate(), np.random.get_state()
    with _seeds_of_keras():
        try:
            yield
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])


@contextlib.contextmanager
def _seeds_of_keras():
    """Put Keras's and TensorFlow's global seeds back, which have no public way of being read."""
    try:
        from keras.src.backend.common import global_state
        from tensorflow.python.eager.context import context
    except ImportError:
        yield
        return
    eager, names = context(), ("global_random_seed", "global_seed_generator")
    kept = {name: global_state.get_global_attribute(name) for name in names}
    seed, generator = eager._seed, getattr(eager, "_rng", None)
    state = generator.getstate() if generator is not None else None
    try:
        yield
    finally:
        for name, value in kept.items():
            global_state.set_global_attribute(name, value)
        eager._seed = seed
        if generator is not None:
            generator.setstate(state)
            eager._rng = generator
