"""One model at many learning rates, several times each: what is good, and how sure are we?

`sweep_learning_rates` trains ordinary Keras models. Within one seed every learning rate
starts from the same weights and sees the same batches, so that rates are compared with each
other and not with luck; several seeds say how much luck there is.
"""

from lrsweep._validation import (
    check_rates,
    check_seeds,
    folder_name,
    true_or_false,
    whole_number,
)


def sweep_learning_rates(
    build_model,
    learning_rates,
    train_data,
    validation_data,
    epochs=20,
    batch_size=32,
    seeds=5,
    shuffle=True,
    executor=None,
    progress=True,
    *,
    class_weight=None,
    early_stopping=None,
    reduce_on_plateau=None,
    keep=None,
    budget=100,
):
    """Train a model at every learning rate, with every seed.

    Models whose copies can be trained all at once are "vectorized": with a small model, that
    takes little more time than a single training. All others are trained "sequential", one after
    another. The result says which and why.

    Parameters
    ----------
    build_model : callable
        Takes nothing, returns a new compiled Keras model; called after the random seeds of
        Python, NumPy and Keras have been set.
    learning_rates : array-like of shape (rates,), or None
        Positive floats, rising or falling. They replace the optimizer's own rate. A schedule
        keeps its shape: it is multiplied so that its largest value in this training is the
        rate; where a warm-up is longer than the training, that is less than its peak. None: a grid
        around what a range test suggests, widened while the best rate is at its end.
    train_data, validation_data : tuple or tf.data.Dataset
        (x, y) or (x, y, sample_weight) as `fit` takes them, with one row for each example: x and
        y may be lists or dicts of arrays. Or a dataset of such batches, which is gone through
        once in each epoch, as it comes: if it shuffles, in another order in each training.
    epochs, batch_size : int
        As for Keras's `fit`; a dataset has a batch size of its own.
    seeds : int or sequence of int
        How many, or which.
    shuffle : bool
        Whether the training examples come in a new order in each epoch.
    executor : concurrent.futures.Executor, optional
        Where sequential trainings run, several at a time, in other processes or on other
        computers; in this process if there is none. Threads and forks are refused.
    progress : bool
        Whether to show a bar that counts the epochs of all trainings.
    class_weight : dict of int to float, optional
        As for `fit`.
    early_stopping : keras.callbacks.EarlyStopping, optional
        Decides for each training by itself when it stops.
    reduce_on_plateau : keras.callbacks.ReduceLROnPlateau, optional
        Lowers each training's own rate.
    keep : str or path, optional
        A folder for what is done as it is done. The same call goes on from there after a crash.
    budget : int
        With `learning_rates=None`, at most this many trainings.

    Returns
    -------
    SweepResult
        Also after Ctrl-C, with what was done by then.

    Raises
    ------
    ValueError
        Before any training, if an argument is not as described or does not fit the others, or if
        changing the learning rate changes nothing.
    ImportError
        Before any training, if there is an executor to use but no cloudpickle.
    RuntimeError
        If a training in an executor fails, or loses its worker again and again.

    Notes
    -----
    At most 1 GiB of copies is trained together; what does not fit waits its turn. The logger
    "lrsweep" warns when trainings are sequential, and why. The random states of Python, NumPy,
    Keras and TensorFlow are afterwards what they were before.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> train, validation = (x[::2], 3 * x[::2]), (x[1::2], 3 * x[1::2])
    >>> def build_model():
    ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    ...     model.compile("sgd", loss="mse")
    ...     return model
    >>> result = sweep_learning_rates(
    ...     build_model, [0.003, 0.03, 0.3], train, validation, epochs=4, seeds=2, progress=False
    ... )
    >>> result.engine
    'vectorized'
    >>> result.metrics["val_loss"].shape  # rates, seeds, epochs
    (3, 2, 4)
    """
    from lrsweep._prepare import prepare  # here, because it starts TensorFlow
    from lrsweep._surroundings import as_before

    seeds = check_seeds(seeds)
    rates = None if learning_rates is None else check_rates(learning_rates)
    keep = None if keep is None else folder_name("keep", keep)
    shuffle, progress = true_or_false("shuffle", shuffle), true_or_false("progress", progress)
    budget = whole_number("budget", budget, minimum=len(seeds) if rates is None else 1)
    with as_before():
        prepared = prepare(
            build_model,
            train_data,
            validation_data,
            seeds,
            epochs=whole_number("epochs", epochs),
            batch_size=whole_number("batch_size", batch_size),
            shuffle=shuffle,
            class_weight=class_weight,
            early_stopping=early_stopping,
            reduce_on_plateau=reduce_on_plateau,
            executor=executor,
        )
        if rates is None:
            from lrsweep._grid import sweep_a_grid

            return sweep_a_grid(prepared, budget, keep, executor, progress)
        return prepared.sweep(rates, keep, executor, progress)
