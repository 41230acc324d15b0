"""The learning-rate range test: one short training in which the rate rises all the time.

Each mini-batch gets one update at its own learning rate; the rates form an exponential ramp.
The loss falls while the rate is useful and rises when it is too large. Afterwards the model is
as it was before.

The test was proposed by L. N. Smith, "Cyclical Learning Rates for Training Neural Networks",
2017. What its curve says, and what not, is written in `lrsweep._curve`.
"""

import numpy as np

from lrsweep._curve import RangeTest, smooth
from lrsweep._validation import positive_number, share_below_one, whole_number


def range_test(
    model,
    data,
    lowest=1e-5,
    highest=10.0,
    updates=100,
    batch_size=32,
    memory=0.9,
    explosion=4.0,
    seed=0,
):
    """Train on one mini-batch per learning rate and record the losses; then undo it all.

    Parameters
    ----------
    model : keras.Model
        Compiled. Its weights and all other variables, its optimizer's variables, iteration
        count and learning rate (or schedule) are the same afterwards, bit for bit.
    data : pair of arrays
        Inputs and targets, with one row for each example. Gone through as often as needed,
        each time in a new order.
    lowest, highest : float
        The ends of the ramp.
    updates : int
        Its length; the longer, the gentler.
    batch_size : int
        At most the number of examples; an incomplete last batch is left out.
    memory : float
        The share of the past in the moving average, see `RangeTest.smoothed`.
    explosion : float
        The test ends when the smoothed loss exceeds this multiple of its best.
    seed : int
        For the order of the examples.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError
        Before training, if an argument is not as described; or if the very first loss is not
        a finite number.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", loss="mse")
    >>> x = np.ones((64, 1))
    >>> test = range_test(model, (x, 3 * x), 1e-3, 10.0, updates=60, memory=0)
    >>> test.stopped
    'loss exploded'
    >>> round(test.suggest(), 1)  # a tenth of 2 / curvature; (w - 3)² has the curvature 2
    0.1
    """
    from lrsweep._examples import check_examples
    from lrsweep._experiment import traced_step
    from lrsweep._model_checks import check_compiled, check_labels
    from lrsweep._restore import restored

    check_compiled(model)
    examples = check_examples("data", data)
    rates = _ramp(lowest, highest, updates)
    batch_size = whole_number("batch_size", batch_size)
    if batch_size > len(examples):
        raise ValueError(
            f"batch_size must not exceed the {len(examples)} examples, got {batch_size}"
        )
    memory = share_below_one("memory", memory)
    explosion = positive_number("explosion", explosion)
    seed = whole_number("seed", seed, minimum=0)
    x, y, *weights = examples.rows(slice(0, batch_size))
    model._symbolic_build(data_batch=(x, y, weights[0] if weights else None))
    check_labels(model, examples, "data")
    losses, stopped = [], "end of the ramp"
    with restored(model) as set_rate:
        update = traced_step(model.train_step, examples, model.run_eagerly)
        for rate, rows in zip(rates, _batches(len(examples), batch_size, seed)):
            set_rate(rate)
            model.reset_metrics()
            loss = float(update(*examples.rows(rows))["loss"])
            if not np.isfinite(loss):
                stopped = "loss not finite"
                break
            losses.append(loss)
            smoothed = smooth(losses, memory)
            if smoothed[-1] > explosion * abs(smoothed.min()):
                stopped = "loss exploded"
                break
    if not losses:
        raise ValueError("the loss is not a finite number before the first update")
    return RangeTest(rates[: len(losses)], np.array(losses), stopped, memory)


def _ramp(lowest, highest, updates):
    """Return learning rates that rise by the same factor each time, of shape (updates,)."""
    lowest = positive_number("lowest", lowest)
    highest = positive_number("highest", highest)
    updates = whole_number("updates", updates, minimum=2)
    if lowest >= highest:
        raise ValueError(f"lowest must be below highest, got {lowest!r} and {highest!r}")
    return np.geomspace(lowest, highest, updates)


def _batches(examples, batch_size, seed):
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(examples)
        for start in range(0, examples - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
