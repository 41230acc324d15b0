"""The surroundings of a call as it found them: random numbers, and the names that Keras gives."""

import collections
import contextlib
import random
import threading

import numpy as np

THREADS = (
    "executor must run trainings in other processes or on other computers, not in threads: the "
    "random seeds of Keras belong to the whole process"
)


_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def as_before():
    """Put the random states of Python, NumPy, Keras and TensorFlow back at the end.

    They belong to the whole process, so a call from another thread waits until then.
    """
    with _ONE_AT_A_TIME, python_as_before(), _seeds_of_keras():
        yield


@contextlib.contextmanager
def python_as_before():
    """Put the random states of Python and NumPy back at the end."""
    kept = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])


def random_numbers():
    """Return the random states of Python and NumPy, to be compared."""
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tobytes(), rest


@contextlib.contextmanager
def _seeds_of_keras():
    """Put Keras's and TensorFlow's global seeds back, which have no public way of being read."""
    state = _global_state()
    try:
        from tensorflow.python.eager.context import context
    except ImportError:
        state = None
    if state is None:
        yield
        return
    eager, names = context(), ("global_random_seed", "global_seed_generator")
    kept = {name: state.get_global_attribute(name) for name in names}
    seed, generator = eager._seed, getattr(eager, "_rng", None)
    numbers = generator.getstate() if generator is not None else None
    try:
        yield
    finally:
        for name, value in kept.items():
            state.set_global_attribute(name, value)
        eager._seed = seed
        if generator is not None:
            generator.setstate(numbers)
            eager._rng = generator


def name_counts():
    """Return how many things of each kind Keras has given a name, such as "auc" or "auc_1"."""
    state = _global_state()
    counts = state.get_global_attribute("object_name_uids") if state else None
    return dict(counts or {})


@contextlib.contextmanager
def numbered_from(counts):
    """Let Keras go on from these counts for as long as this lasts, then from its own again."""
    state = _global_state()
    if state is None:
        yield
        return
    before = state.get_global_attribute("object_name_uids")
    state.set_global_attribute("object_name_uids", collections.defaultdict(int, counts))
    try:
        yield
    finally:
        state.set_global_attribute("object_name_uids", before)


def _global_state():
    """Return the module in which Keras keeps what is global, which is not public, or None."""
    with contextlib.suppress(ImportError):
        from keras.src.backend.common import global_state

        return global_state
    return None
