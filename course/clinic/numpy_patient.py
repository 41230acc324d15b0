"""What the patients of exercises 8 have in common: causes, checks, and how a check is made.

They are small networks in NumPy, so that six of them train in a second or two. Answers inside!
"""

import numpy as np

from course.clinic import numpy_network as network
from course.clinic.examples import agreement_of_neighbours
from utils.data import load_split

CAUSES = {
    "raw inputs": "the rate is above its limit, because of the size of the inputs",
    "too small": "the rate is far too small",
    "dead units": "a large step has left relu units that give 0 for every example",
    "noise floor": "a constant rate's noise is all that's left of the loss",
    "decay per update": "the rate decays in each update and was meant to in each epoch",
    "second fit": "the schedule had ended before the second fit began",
    "after a drop": "momentum carries the large rate on after it was cut",
    "whole number": "a whole number in the schedule has cut the rate to 0",
    "sorted": "the examples come sorted, and nothing shuffles them",
    "shuffled labels": "the labels belong to other examples",
}
CHECKS = {
    "tenfold": "the same training again, at ten times the rate",
    "limit": "the rate against 2/L, L being the largest curvature at the start",
    "units": "the share of a hidden layer's units that give 0 for every example",
    "tenth": "five more epochs from where it ended, at a tenth of the last rate",
    "rate": "the rate that each update really had",
    "memory": "momentum's velocity against the one that the last rate could keep up",
    "order": "how many kinds of labels are among the first 100, as they come",
    "labels": "how often the example nearest to another one has the same label",
}
DECISIVE = {  # any of these tells the cause from the others
    "raw inputs": ("limit",),
    "too small": ("tenfold", "limit"),
    "dead units": ("units",),
    "noise floor": ("tenth",),
    "decay per update": ("rate",),
    "second fit": ("rate",),
    "whole number": ("rate",),
    "after a drop": ("memory",),
    "sorted": ("order",),
    "shuffled labels": ("labels",),
}

HINTS = {  # what speaks for each cause, and against the others
    "raw inputs": "Look at the size of its losses. Guessing among ten kinds costs 2.3.",
    "too small": "Its loss falls in every epoch, evenly, and is nowhere near its end.",
    "dead units": "Its rate has been fine since the second epoch. What did the first one break?",
    "noise floor": "It fell fast and has been level since, with jumps. What sets that level?",
    "decay per update": "It stops early, far from a good loss, and without jumps.",
    "second fit": "Look at the second fit: the validation loss doesn't move at all.",
    "whole number": "After the first epoch nothing moves at all.",
    "after a drop": "Look at the epochs after the rate was cut: the loss goes up, not down.",
    "sorted": "Don't blame the rate. It knows the digits that it has just seen: which came last?",
    "shuffled labels": "Don't blame the rate. On held-out digits it stays worse than guessing.",
}


class NewPatient:
    """A model with one thing wrong, trained as its owner trained it.

    Attributes
    ----------
    says : str
        What its owner tells you.
    history : dict of str to list of float
        "loss" and "val_loss" of each epoch.
    """

    rate, epochs, batch, momentum, shuffle = 0.1, 10, 32, 0.0, True
    sizes = 64, 32, 10

    def __init__(self, seed):
        self._seed = seed
        self._data, self._held_out = self._examples()
        self._run = self._train()
        self.history = self._run.history

    def __repr__(self):
        return "a patient"

    def has(self, cause):
        """Tell whether this is the cause."""
        return self._cause == cause

    def hint(self):
        """Say what speaks for the cause, without naming it."""
        return HINTS[self._cause]

    def settled_by(self, check):
        """Tell whether a check tells the cause from all others."""
        return check in DECISIVE[self._cause]

    def examine(self, check):
        """Return what a check finds, in words."""
        return getattr(self, "_" + check.replace(" ", "_"))()

    def _examples(self):
        split = load_split("digits", standardised=True, seed=self._seed)
        return (split.x_train[:600], split.y_train[:600]), (split.x_test, split.y_test)

    def _parts(self):
        """Return the epochs, the rates and the number of examples of one `fit` or several."""
        return [(self.epochs, lambda t: self.rate, None)]

    def _train(self, factor=1.0, parts=None):
        rng = np.random.default_rng(self._seed)
        run, history, rates = None, {"loss": [], "val_loss": []}, []
        weights, velocities = network.start(self.sizes, rng), None
        for epochs, rate, count in parts or self._parts():
            run = network.train(
                *(weights, tuple(it[:count] for it in self._data), self._held_out),
                *(lambda t, rate=rate: factor * rate(t), rng, epochs, self.batch, self.momentum),
                *(self.shuffle, len(rates), velocities),
            )
            weights, velocities = run.weights, run.velocities
            history = {name: history[name] + run.history[name] for name in history}
            rates += list(run.rates)
        return network.Run(weights, velocities, history, np.array(rates))

    def _limit(self):
        weights = network.start(self.sizes, np.random.default_rng(self._seed))
        largest = network.largest_curvature(weights, *self._data)
        return f"the rate is {self._run.rates[0] * largest / 2:.2g} times 2/L at the start"

    def _tenfold(self):
        loss = self._train(factor=10.0).history["loss"][-1]
        ends = f"{loss:.3g}" if np.isfinite(loss) else "infinity"
        return f"at ten times the rate the loss ends at {ends}, not {self._last:.3g}"

    def _units(self):
        if len(self.sizes) == 2:
            return "there is no hidden layer"
        share = self._dead_share(self._run.weights)
        return f"{share:.0%} of a hidden layer's units give 0 for every example"

    def _dead_share(self, weights):
        """Return the largest share of dead units that a hidden layer has with these weights."""
        with np.errstate(all="ignore"):
            entering = network.layers(weights, self._data[0])[0][1:]
        return max(np.mean(np.nan_to_num(it).max(axis=0) == 0) for it in entering)

    def _tenth(self):
        rate = self._run.rates[-1] / 10
        rng = np.random.default_rng(self._seed)
        go_on = network.train(
            *(self._run.weights, self._data, self._held_out, lambda t: rate, rng, 5, self.batch),
            shuffle=self.shuffle,
        )
        return f"the loss is {go_on.history['loss'][-1]:.3g} after that, not {self._last:.3g}"

    def _rate(self):
        rates = self._run.rates
        each = -(-len(self._data[0]) // self.batch)
        places = [0, each, len(rates) // 2, len(rates) - 1]
        said = ", ".join(f"{rates[it]:.2g}" for it in places)
        return f"the rates of updates {', '.join(map(str, places))}: {said}"

    def _memory(self):
        return "there is no momentum"

    def _order(self):
        return f"{len(np.unique(self._data[1][:100]))} kinds among the first 100 labels"

    def _labels(self):
        x, y = self._data
        if y.dtype.kind == "f":
            return "the targets are numbers, not kinds"
        share = agreement_of_neighbours(x, y)
        return f"the nearest other example has the same label in {share:.0%} of cases"

    @property
    def _last(self):
        return self.history["loss"][-1]
