"""One model at many learning rates, several times each: what is good, and how sure are we?

`sweep_learning_rates` trains ordinary Keras models. Within one seed every learning rate
starts from the same weights and sees the same batches, so that rates are compared with each
other and not with luck; several seeds say how much luck there is.
"""

from lrsweep._validation import check_rates, check_seeds, whole_number


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
):
    """Train a model at every learning rate, with every seed.

    Models whose copies can be trained all at once are "vectorized", which takes little more
    time than a single one; all others are trained "sequential", one after another. The result
    says which and why.

    Parameters
    ----------
    build_model : callable
        Takes nothing, returns a new compiled Keras model; called after the random seeds of
        Python, NumPy and Keras have been set.
    learning_rates : array-like of shape (rates,)
        Positive floats, rising or falling. They replace the optimizer's own rate. A schedule
        keeps its shape: it is multiplied so that its largest value is the rate.
    train_data, validation_data : pair of arrays
        Inputs and targets, with one row for each example.
    epochs, batch_size : int
        As for Keras's `fit`.
    seeds : int or sequence of int
        How many, or which.
    shuffle : bool
        Whether the training examples come in a new order in each epoch.
    executor : concurrent.futures.Executor, optional
        Where sequential trainings run, several at a time; in this process if there is none.
    progress : bool
        Whether to show a bar that counts the epochs of all trainings.

    Returns
    -------
    SweepResult
        Also after Ctrl-C, with what was done by then.

    Raises
    ------
    ValueError
        Before any training, if an argument is not as described or does not fit the others.
    ImportError
        Before any training, if there is an executor to use but no cloudpickle.
    RuntimeError
        If a training in an executor fails, or loses its worker again and again.

    Notes
    -----
    At most 1 GiB of copies is trained together; what does not fit waits its turn. The logger
    "lrsweep" warns when trainings are sequential, and why.

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
    from lrsweep._engines import Sweep  # here, because it starts TensorFlow
    from lrsweep._experiment import Experiment
    from lrsweep._model_checks import (
        check_builder,
        check_examples,
        check_fresh,
        constant_scores,
        rehearse,
    )

    check_builder(build_model)
    rates, seeds = check_rates(learning_rates), check_seeds(seeds)
    experiment = Experiment(
        build_model,
        *check_examples("train_data", train_data),
        *check_examples("validation_data", validation_data),
        epochs=whole_number("epochs", epochs),
        batch_size=whole_number("batch_size", batch_size),
        shuffle=bool(shuffle),
    )
    model, other = experiment.build(int(seeds[0])), experiment.build(int(seeds[-1]))
    check_fresh(model, other)
    names = rehearse(model, experiment)
    sweep = Sweep(experiment, rates, seeds, names)
    sweep.run(model, executor, progress)
    return sweep.result(constant_scores(model, experiment, names))
