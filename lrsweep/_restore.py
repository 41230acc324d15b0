"""A model that can be trained for a while and is afterwards what it was, bit for bit.

What training may change hangs on the model: variables of layers, metrics and optimizer, also
those that Keras does not list, numbers that Python code counts, arrays, random generators.
`Snapshot` goes through all of it and can put it back. What can't be put back is refused.
"""

import array
import collections
import contextlib
import copy
import functools
import io
import queue
import random
import sys
import types

import keras
import numpy as np
import tensorflow as tf

from lrsweep._examples import words_for_size
from lrsweep._experiment import check_no_strategy, in_words, own_learning_rate
from lrsweep._surroundings import as_before, python_as_before

# Instances of classes of these packages are not looked into, but for those that `_keep` knows.
_CLOSED = frozenset({"tensorflow", "numpy", *sys.stdlib_module_names}) - {"collections", "types"}
_OWN = random.Random("lrsweep")  # never put back, so that no seed comes twice
_PLAIN = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, np.generic)
_EMPTY = object()
_Table = tf.lookup.experimental.MutableHashTable
_ONE_WAY = (
    *(collections.abc.Iterator, queue.Queue, queue.SimpleQueue),
    *(tf.queue.QueueBase, tf.lookup.experimental.DenseHashTable),
)


class Snapshot:
    """What a model is at one moment, as far as it can be put back.

    Parameters
    ----------
    model : keras.Model
    *others
        Also put back.
    only_built : bool
        For the time in which Keras builds what it has not built yet, which is not to be undone:
        leaves out the latter, and variables and random generators, which building may make.

    Attributes
    ----------
    objects : list
        Everything that was looked at.

    Raises
    ------
    ValueError
        If something hangs on the model that can't be put back.
    """

    def __init__(self, model, *others, only_built=False):
        self._only_built = only_built
        self._seen, self._undo = {}, []
        self._go_through([("the model", model), *(("", other) for other in others)])

    def add(self, things):
        """Remember some more things as they are now."""
        self._go_through([("", thing) for thing in things])

    def _go_through(self, waiting):
        while waiting:
            path, thing = waiting.pop()
            if isinstance(thing, _PLAIN) or id(thing) in self._seen:
                continue
            self._seen[id(thing)] = thing
            waiting += [(path + name, part) for name, part in self._keep(path, thing)]

    @property
    def objects(self):
        return list(self._seen.values())

    @property
    def variables(self):
        """The variables among the objects, by identity."""
        kinds = keras.Variable, tf.Variable
        return {key: it for key, it in self._seen.items() if isinstance(it, kinds)}

    def put_back(self):
        """Make everything what it was; a Ctrl-C waits until that is done."""
        try:
            self._put_back()
        except KeyboardInterrupt:
            self._put_back()
            raise

    def _put_back(self):
        for undo in self._undo:
            undo()

    def _keep(self, path, thing):
        """Remember how to put one thing back; return the things that it consists of."""
        if isinstance(thing, (keras.Variable, tf.Variable)):
            if not self._only_built and getattr(thing, "_value", True) is not None:
                value = tf.identity(thing.value if isinstance(thing, keras.Variable) else thing)
                self._undo.append(functools.partial(thing.assign, value))
            return []
        if isinstance(thing, np.ndarray):
            return self._keep_array(thing)
        if isinstance(thing, tf.random.Generator):
            return [(".state", thing.state)]
        for kind, get, put in _GENERATORS:
            if isinstance(thing, kind):
                self._undo.append(functools.partial(put, thing, get(thing)))
                return []
        if isinstance(thing, _ONE_WAY) and not isinstance(thing, io.IOBase):
            if _root(thing) == "keras":  # what an interrupted `fit` has left, never used again
                return []
            raise ValueError(
                f"{path} is a {type(thing).__name__}, and a range test could not put it "
                "back. Keep it outside the model, or keep a number that counts"
            )
        if isinstance(thing, (dict, list)) and _root(thing) == "tensorflow":  # its wrappers
            inner = getattr(thing, "__wrapped__", None)
            return self._keep_attributes(thing) if inner is None else [("", inner)]
        for kind, fill in _CONTAINERS:
            if isinstance(thing, kind):
                return self._keep_container(thing, fill)
        if isinstance(thing, (tuple, frozenset)):
            return [(f"[{place}]", part) for place, part in enumerate(thing)]
        return self._keep_object(thing)

    def _keep_array(self, array):
        if array.flags.writeable:
            self._undo.append(functools.partial(np.copyto, array, array.copy()))
        if array.dtype.hasobject:
            return [(f"[{place}]", part) for place, part in enumerate(array.flat)]
        return []

    def _keep_container(self, container, fill):
        kept = fill.copy(container)
        self._undo.append(functools.partial(_refill, container, kept, fill))
        if isinstance(kept, dict):
            return [*((f"[{key!r}]", part) for key, part in kept.items()), (" keys", tuple(kept))]
        return [(f"[{place}]", part) for place, part in enumerate(kept)]

    def _keep_object(self, thing):
        if isinstance(thing, types.MethodType):
            return [("", thing.__self__), ("", thing.__func__)]
        if isinstance(thing, functools.partial):
            return [("", thing.func), ("", thing.args), ("", thing.keywords)]
        if isinstance(thing, types.FunctionType):
            if thing.__module__ and thing.__module__.partition(".")[0] in {"keras", "tensorflow"}:
                return []
            cells = zip(thing.__code__.co_freevars, thing.__closure__ or ())
            return [
                *(part for name, cell in cells for part in self._keep_cell(name, cell)),
                ("", thing.__defaults__),
                ("", thing.__kwdefaults__),
                *self._keep_attributes(thing),
            ]
        if _root(thing) in _CLOSED:
            return []
        if self._only_built and getattr(thing, "built", True) is False:
            return []
        attributes = self._keep_attributes(thing) if hasattr(thing, "__dict__") else []
        return [*attributes, *self._keep_slots(thing)]

    def _keep_slots(self, thing):
        """Keep the attributes for which a class has places, named in its `__slots__`."""
        found = []
        for kind in type(thing).__mro__:
            for name, place in vars(kind).items() if "__slots__" in vars(kind) else ():
                if isinstance(place, types.MemberDescriptorType):
                    value = _held(thing, place)
                    self._undo.append(functools.partial(_fill, thing, place, value))
                    found.append((f".{name}", value))
        return found

    def _keep_cell(self, name, cell):
        """Keep what a function knows from the one around it."""
        try:
            value = cell.cell_contents
        except ValueError:  # empty
            return []
        self._undo.append(functools.partial(setattr, cell, "cell_contents", value))
        return [(f" ({name})", value)]

    def _keep_attributes(self, thing):
        attributes = vars(thing)
        kept = dict(attributes)
        self._undo.append(functools.partial(_rebind, attributes, kept))
        return [(f".{name}", value) for name, value in kept.items()]


def _held(thing, place):
    """Return what an object holds in a place of its class; `_EMPTY` if there's nothing."""
    try:
        return place.__get__(thing)
    except AttributeError:
        return _EMPTY


def _fill(thing, place, value):
    """Put back what `_held` returned."""
    if value is not _EMPTY:
        place.__set__(thing, value)
    elif _held(thing, place) is not _EMPTY:
        place.__delete__(thing)


def _root(thing):
    return type(thing).__module__.partition(".")[0]


def _rebind(attributes, kept):
    """Give an object the attributes that it had, past any `__setattr__`."""
    for name in attributes.keys() - kept.keys():
        del attributes[name]
    for name, value in kept.items():
        if name not in attributes or attributes[name] is not value:
            attributes[name] = value


class _Dict:
    """How a dict is copied and filled; Keras's tracked one as if it were not tracked."""

    copy = staticmethod(dict)

    @staticmethod
    def fill(container, kept):
        own = type(container) if _root(container) != "keras" else dict
        own.clear(container)
        own.update(container, kept)


class _List:
    copy = staticmethod(list)

    @staticmethod
    def fill(container, kept):
        list.__setitem__(container, slice(None), kept)


class _Set:
    copy = staticmethod(set)

    @staticmethod
    def fill(container, kept):
        set.clear(container)
        set.update(container, kept)


class _Deque:
    copy = staticmethod(list)

    @staticmethod
    def fill(container, kept):
        container.clear()
        container.extend(kept)


class _Flat:
    copy = staticmethod(copy.copy)

    @staticmethod
    def fill(container, kept):
        container[:] = kept


_CONTAINERS = (
    (dict, _Dict),
    (list, _List),
    (set, _Set),
    (collections.deque, _Deque),
    (bytearray, _Flat),
    (array.array, _Flat),
)


def _refill_table(table, kept):
    """Give a table of TensorFlow the keys and values that it had."""
    table.remove(table.export()[0])
    table.insert(*kept)


_GENERATORS = (  # kind, how its state is read, how it is put back
    (_Table, _Table.export, _refill_table),
    (
        np.random.Generator,
        lambda it: it.bit_generator.state,
        lambda it, state: setattr(it.bit_generator, "state", state),
    ),
    (np.random.RandomState, np.random.RandomState.get_state, np.random.RandomState.set_state),
    (random.Random, random.Random.getstate, random.Random.setstate),
)


def _refill(container, kept, fill):
    """Give a container the contents that it had, unless it still has them."""
    now = fill.copy(container)
    same = len(now) == len(kept)
    if isinstance(now, dict):
        same = same and all(a is b for a, b in zip([*now, *now.values()], [*kept, *kept.values()]))
    elif isinstance(now, list):
        same = same and all(a is b for a, b in zip(now, kept))
    else:
        same = same and now == kept
    if not same:
        fill.fill(container, kept)


def _global_generators():
    """Return the random generators of Keras and TensorFlow, or None for one that doesn't exist."""
    found = []
    with contextlib.suppress(ImportError):
        from keras.src.backend.common import global_state

        found.append(global_state.get_global_attribute("global_seed_generator"))
    with contextlib.suppress(ImportError):
        from tensorflow.python.ops import stateful_random_ops

        found.append(getattr(stateful_random_ops, "global_generator", None))
    return found


@contextlib.contextmanager
def _other_seeds_for_operations():
    """Let TensorFlow's eager operations draw from seeds that nobody else uses.

    TensorFlow keeps how much was drawn from a seed, without a way of putting that back.
    """
    try:
        from tensorflow.python.eager.context import context
    except ImportError:
        yield
        return
    eager = context()
    before = getattr(eager, "_rng", None)
    if before is not None:
        eager._rng = random.Random(_OWN.random())
    try:
        yield
    finally:
        if before is not None:
            eager._rng = before


@contextlib.contextmanager
def restored(model, examples, batch_size=1):
    """Let a model be trained, and make it at the end what it was, after an error too.

    What Keras has not built yet is built first, without calling a layer on numbers, and stays so.

    Parameters
    ----------
    model : keras.Model
        Compiled.
    examples : Examples
    batch_size : int
        Of the batches that it will be trained on: a model may have been made for that size only.

    Yields
    ------
    snapshot : Snapshot
    set_rate : callable
        Sets the learning rate, also in place of a schedule.

    Raises
    ------
    ValueError
        If its optimizer has no learning rate of its own, or if something hangs on the model that
        can't be put back.
    """
    set_rate, variable = _rate_setter(model.optimizer)
    before = Snapshot(model, only_built=True)
    try:
        with python_as_before():
            build(model, examples, batch_size)
        before.put_back()  # what Python counts while it builds
        with as_before(), _other_seeds_for_operations():
            built = Snapshot(model, variable, *_global_generators())
            try:
                yield built, set_rate
            finally:
                built.put_back()
    finally:
        before.put_back()


def build(model, examples, batch_size=1):
    """Build what is missing of a model, its metrics and its optimizer, from shapes alone."""
    check_no_strategy(model)
    x, y, *weights = examples.rows(slice(0, batch_size))
    try:
        with (
            words_for_size(model, min(batch_size, len(examples))),
            in_words("the model doesn't fit the data", examples, model=model),
        ):
            model._symbolic_build(data_batch=(x, y, weights[0] if weights else None))
    except Exception:
        if type(model).train_step is keras.Model.train_step:
            raise
        # A train_step of its own need not call the model: then the layers have to be built.
        if not model.optimizer.built and model.trainable_variables:
            model.optimizer.build(model.trainable_variables)


def _rate_setter(optimizer):
    """Return a function that sets an optimizer's learning rate, and the variable that holds it."""
    own = own_learning_rate(optimizer)
    if own is None:
        raise ValueError(
            "the optimizer must have one learning rate for the test to raise, a number or a "
            f"schedule; this {type(optimizer).__name__} has no learning rate of its own"
        )
    if isinstance(own, keras.Variable):
        return own.assign, own
    rate = tf.Variable(0.0)

    def held():
        return rate

    def set_rate(value):
        optimizer.learning_rate = held  # again each time: the schedule may have been put back
        rate.assign(value)

    return set_rate, rate
