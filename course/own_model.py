"""Looks at what a reader's own model gives, before lesson 8 examines it, and says what to mend."""

import numpy as np

EXAMPLES = 64
PAIRED = 12  # examples whose losses are taken one by one
ROUNDING = 1e-6  # a softmax of one unit gives 0.99999994 on some processors
ONE_SIDED = ("exponential", "hard_sigmoid", "relu", "relu6", "sigmoid", "softmax", "softplus")
BOUNDED = ("hard_tanh", "softsign", "tanh")  # from -1 to 1; those above are never negative
CATEGORICAL = ("categorical_crossentropy", "sparse_categorical_crossentropy")
BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
FOCAL = "categorical_focal_crossentropy"
FAR = 50.0  # so far from 0 a sigmoid gives 0 or 1
OF_POSITIVE = {
    "Poisson": "poisson",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
}
OF_ANOTHER_MEAN = ("mape", "msle", *(it.lower() for it in OF_POSITIVE))
OF_ROWS = {
    "categoricalaccuracy": "take 'accuracy', or ",
    "topkcategoricalaccuracy": "take 'sparse_top_k_categorical_accuracy', or ",
    "f1score": "",
    "fbetascore": "",
}
OF_ONE_UNIT = {"precision": "Precision", "recall": "Recall", "auc": "AUC"}
OF_NUMBERS = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")


def check_outputs(build_model, x, y, targets):
    """Refuse a model whose last layer does not suit its loss or the targets.

    Only one output of shape (examples, units) with one of Keras's usual losses is judged; a loss
    of the reader's own may want anything.

    Parameters
    ----------
    build_model : callable
        Returns a new compiled Keras model.
    x, y : array
        Training examples, as they are passed to `fit`.
    targets : str
        "classes", "numbers" or "labels".

    Raises
    ------
    ValueError
        Says what does not fit, and what to do.
    """
    if not callable(build_model) or hasattr(build_model, "layers"):
        raise ValueError(
            "build_model must be the function that builds a model, without parentheses, got "
            f"{type(build_model).__name__}"
        )
    model = _built(build_model, x)
    _check_input(model, x)
    _check_one_output(model)
    _check_words(model, x)
    _check_channels(model, x)
    loss, from_logits = _loss(model)
    kind = loss or type(getattr(model, "loss", None)).__name__
    if from_logits:
        _check_logits(model, x)
    several = y.ndim == 2 and y.shape[1] > 1
    margin = "hinge" in kind.lower() and "categorical" not in kind.lower()
    margin = margin and _activation(model) not in ONE_SIDED
    _check_metrics(model, targets, several, margin or (from_logits and "binary" in kind.lower()))
    of_one = (*OF_ONE_UNIT, "binaryaccuracy")
    wrong = [name for name, _ in _metrics(model) if _plain(name) in of_one]
    if loss == CATEGORICAL[1] and wrong:
        raise ValueError(
            f"the metric {wrong[0]} wants a single unit, for two classes: take Dense(1, "
            "activation='sigmoid') and 'binary_crossentropy', or 'accuracy' as the metric"
        )
    if loss is None:
        _check_pairs(model, x, y)
        return
    outputs = model(x[:EXAMPLES], training=False)
    if isinstance(outputs, (list, tuple, dict)) or len(outputs.shape) < 2:
        return
    if len(outputs.shape) > 2:
        raise ValueError(
            f"the last layer gives an array of shape {tuple(outputs.shape[1:])} for each example, "
            "not one row: flatten or pool before it, such as by keras.layers.Flatten(), and let "
            "the last recurrent layer go without return_sequences"
        )
    outputs = np.asarray(outputs, float)
    if targets == "numbers":
        _check_numbers(model, loss, outputs, y)
    elif targets == "labels":
        _check_labels(model, loss, outputs, y, from_logits)
    elif loss in (*CATEGORICAL, FOCAL):
        _check_categorical(model, loss, outputs, y, from_logits)
    elif loss in BINARY or loss in OF_NUMBERS:
        _check_units(loss, outputs.shape[1], y)
        if loss in BINARY:
            _check_probabilities(loss, outputs, from_logits)


def _built(build_model, x):
    """Return the reader's model, or say why it can't be built, if that has to do with x."""
    try:
        return build_model()
    except UnboundLocalError as error:
        if "'x'" not in str(error):
            raise
        raise ValueError(
            "build_model has an x of its own, so its x.shape can't be that of your array: give "
            "what its layers return another name, as in h = keras.layers.Dense(32)(inputs)"
        ) from error
    except ValueError as error:
        few_rows = x.ndim > 2 and x.shape[1] < min(x.shape[2:])
        if few_rows and "output size would be" in str(error):
            raise ValueError(
                f"{error}. Keras takes the last axis of x for the channels, and an example has the "
                f"shape {x.shape[1:]}: if its channels come first, such as the colours, let "
                "my_arrays return np.moveaxis(x, 1, -1)"
            ) from error
        one_axis_short = f"ndim={x.ndim + 1}, found ndim={x.ndim}. Full shape received: (None, "
        if one_axis_short + ", ".join(map(str, x.shape[1:])) not in str(error):  # not about x
            raise
        raise ValueError(
            f"{error}. This counts an axis for the batch; an example of x has the shape "
            f"{x.shape[1:]}. If it's a series or a grey picture, let my_arrays return x[..., None]"
        ) from error


def optimizer_in_words(optimizer):
    """Return an optimizer's name, and that of its schedule, if it has one.

    Parameters
    ----------
    optimizer : keras.Optimizer

    Returns
    -------
    str
    """
    import keras

    inner = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    name = type(inner).__name__
    if momentum := getattr(inner, "momentum", 0):
        name += f" (momentum {momentum:g})"
    rate = inner._learning_rate  # `learning_rate` is the schedule's value, a number
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        kind = type(rate).__name__
        return f"{name} with {kind} (the rate is the largest of the schedule)"
    return name


def _loss(model):
    """Return the name of a model's loss in Keras and whether it takes logits, or None."""
    import keras

    try:
        loss = keras.losses.get(getattr(model, "loss", None))
    except (TypeError, ValueError):  # one for each output
        return None, False
    names = {"BinaryCrossentropy": "binary_crossentropy", "Huber": "huber", "LogCosh": "log_cosh",
             "CategoricalCrossentropy": CATEGORICAL[0], "MeanAbsoluteError": OF_NUMBERS[1],
             "SparseCategoricalCrossentropy": CATEGORICAL[1], "MeanSquaredError": OF_NUMBERS[0],
             "Hinge": "hinge", "SquaredHinge": "squared_hinge",
             "BinaryFocalCrossentropy": BINARY[1], "CategoricalFocalCrossentropy": FOCAL,
    } | OF_POSITIVE  # fmt: skip
    known = isinstance(loss, keras.losses.Loss)
    name = names.get(type(loss).__name__) if known else getattr(loss, "__name__", None)
    name = name if known or getattr(keras.losses, str(name), None) is loss else None
    return name, getattr(loss, "from_logits", False)


def _check_pairs(model, x, y):
    """Refuse a loss that compares each target with the outputs of all examples."""
    try:
        outputs = model(x[:PAIRED], training=False)
        if y.ndim > 1 or tuple(outputs.shape[1:]) != (1,):
            return
        flat, column = (_apart(model, it, outputs) for it in (y[:PAIRED], y[:PAIRED, None]))
        paired = flat and not column and _is_of_all_pairs(model, y[:PAIRED], outputs)
    except Exception:  # what a loss of the reader's own raises, the check-up will raise
        return
    if paired:
        raise ValueError(
            "your loss compares each target with the outputs of all examples, since y_true has "
            "the shape (examples,), and y_pred (examples, 1): begin it with "
            "y_true = keras.ops.reshape(y_true, keras.ops.shape(y_pred))"
        )


def _apart(model, y, outputs):
    """Tell whether a batch's loss differs from the mean of its examples' losses."""
    rows = [slice(it, it + 1) for it in range(len(y))]
    singles = [float(model.compute_loss(y=y[row], y_pred=outputs[row])) for row in rows]
    whole = float(model.compute_loss(y=y, y_pred=outputs))
    return not np.isclose(whole, np.mean(singles), rtol=1e-3)


def _is_of_all_pairs(model, y, outputs):
    """Tell whether a batch's loss is the mean over all pairs of a target and an output."""
    turned = [np.roll(y, it)[:, None] for it in range(len(y))]
    pairs = [float(model.compute_loss(y=it, y_pred=outputs)) for it in turned]
    return np.isclose(float(model.compute_loss(y=y, y_pred=outputs)), np.mean(pairs), rtol=1e-3)


def _check_metrics(model, targets, several, of_logits):
    """Refuse metrics of Keras that would put numbers into the report that mean something else."""
    for name, metric in _metrics(model):
        limit = getattr(metric, "threshold", 0.5)
        found = _misleading(name, targets, several, of_logits and limit == 0.5, of_logits)
        if found := found or (_of_probabilities(name, metric) if of_logits else None):
            raise ValueError(f"the metric {name} {found}")


def _misleading(name, targets, several, half_of_logits, of_logits):
    """Return what a metric would measure, and which to take, or None if it suits the targets."""
    name = _plain(name)
    accuracy, at_0 = name in ("accuracy", "acc"), "keras.metrics.BinaryAccuracy(threshold=0)"
    if targets == "numbers" and name in OF_ANOTHER_MEAN:
        return (
            "wants the targets as they were, and here they are shifted to mean 0: take 'mae', "
            "and multiply it by the number that the report divides the targets by"
        )
    if targets == "numbers" and (accuracy or name in (*OF_ONE_UNIT, "binaryaccuracy")):
        return "is for classes: take 'mae'"
    if targets == "labels" and ((accuracy and several) or name == "categoricalaccuracy"):
        return (
            "asks only which of an example's labels has the largest output: to count the labels "
            f"that are right, take {at_0 if of_logits else repr('binary_accuracy')}"
        )
    if targets == "classes" and not several and name in OF_ROWS:
        return (
            f"wants a row of 0s and a 1 for each example: {OF_ROWS[name]}let my_arrays return "
            "keras.utils.to_categorical(y) as y, and take a softmax unit for each class and "
            f"'{CATEGORICAL[0]}'"
        )
    if half_of_logits and ((accuracy and not several) or name == "binaryaccuracy"):
        return f"takes outputs above 0.5 for a 1, and the loss those above 0: take {at_0}"
    return None


def _of_probabilities(name, metric):
    """Return what precision, recall or AUC makes of logits, and which to take, or None."""
    kind = OF_ONE_UNIT.get(_plain(name))
    if kind == "AUC" and not getattr(metric, "_from_logits", False):
        return (
            "takes outputs for probabilities, and the loss doesn't: take "
            "keras.metrics.AUC(from_logits=True)"
        )
    if kind in ("Precision", "Recall") and getattr(metric, "thresholds", [0.5]) == [0.5]:
        return (
            "takes outputs above 0.5 for a 1, and the loss those above 0: take "
            f"keras.metrics.{kind}(thresholds=0)"
        )
    return None


def _plain(name):
    return name.lower().replace("_", "")


def _metrics(model):
    """Yield the metrics of Keras, each with its name, that a model is compiled with."""
    import keras

    compiled = getattr(model, "_compile_metrics", None)
    given = [getattr(compiled, f"_user_{kind}", None) for kind in ("metrics", "weighted_metrics")]
    for metric in keras.tree.flatten(given):
        if isinstance(metric, str):
            yield metric, metric
        elif str(getattr(metric, "__module__", "")).startswith("keras."):  # others may be anything
            yield getattr(metric, "__name__", "") or type(metric).__name__, metric


def _check_words(model, x):
    """Refuse numbers that an `Embedding` has no row for, or would cut to whole numbers."""
    import keras

    for layer in getattr(model, "layers", []):
        if not isinstance(layer, keras.layers.Embedding):
            continue
        some = _arriving(model, layer, np.asarray(x))
        if (some < 0).any() or (some != np.round(some)).any():
            raise ValueError(
                "the Embedding needs whole numbers from 0 on, it gets numbers from "
                f"{some.min():.2g} to {some.max():.2g}: let `scaled` return `part`, or, if only "
                "the first column is for it, np.column_stack([part[:, :1], "
                "standardise(part[:, 1:], x_train[:, 1:])])"
            )
        if some.max() >= layer.input_dim:
            raise ValueError(
                f"the Embedding takes numbers from 0 to {layer.input_dim - 1}, it gets "
                f"{some.max():.0f}: give it one more than the largest number of all, as in "
                "keras.layers.Embedding(int(x.max()) + 1, 16)"
            )


def _check_channels(model, x):
    """Refuse square pictures with the colours first, which a `Conv2D` takes for rows."""
    import keras

    layers = getattr(model, "layers", [])
    first = next((it for it in layers if isinstance(it, keras.layers.Conv2D)), None)
    if first is None or x.ndim != 4 or x.shape[1] not in (1, 3):
        return
    if not x.shape[1] < x.shape[2] == x.shape[3]:
        return
    if first.data_format == "channels_last" and _arriving(model, first, x[:1]).shape == x[:1].shape:
        raise ValueError(
            f"the Conv2D takes examples of shape {x.shape[1:]} for {x.shape[3]} channels of "
            f"{x.shape[1]} by {x.shape[2]} pixels: let my_arrays return x.transpose(0, 2, 3, 1)"
        )


def _arriving(model, layer, x):
    """Return what a layer gets of x; where Keras can't say, x if it is first, and has no words."""
    import keras

    layers = [it for it in model.layers if not isinstance(it, keras.layers.InputLayer)]
    try:
        if isinstance(model, keras.Sequential):
            if layers[0] is layer:
                return x
            model.build(x.shape)
        given = model.inputs if len(model.inputs) > 1 else model.inputs[0]
        return np.asarray(keras.Model(given, layer.input)(x))
    except Exception:  # such as of a model with a `call` of its own
        whole = ((x >= 0) & (x == np.round(x))).all(axis=0)
        return np.zeros(1) if layers[0] is not layer or whole.any() else x


def _check_input(model, x):
    """Refuse a functional model that was built for other inputs than x."""
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, (list, dict)) and len(shape) > 1:
        raise ValueError(
            f"the model has {len(shape)} inputs, x is one array: cut it apart in build_model, such "
            "as whole[:, :6] of whole = keras.Input(x.shape[1:])"
        )
    if not isinstance(shape, tuple):
        return
    own, given = shape[1:], x.shape[1:]
    # Keras itself adds a last axis of length 1, or takes it away.
    if not any(_fits(*it) for it in ((own, given), (own, (*given, 1)), ((*own, 1), given))):
        raise ValueError(
            f"the model takes examples of shape {own}, those of x have {given}: let it "
            "begin with keras.Input(x.shape[1:])"
        )


def _check_one_output(model):
    """Refuse several outputs, for which there's only one target, unless a model sees to its own."""
    import keras

    outputs = getattr(model, "outputs", None) or ()
    own = (getattr(type(model), it) for it in ("train_step", "compute_loss"))
    if len(outputs) > 1 and list(own) == [keras.Model.train_step, keras.Model.compute_loss]:
        raise ValueError(
            f"the model has {len(outputs)} outputs, and the template one target for each example: "
            "let keras.Model end with a single output, and with one loss. (If each target is 0 or "
            "1, set TARGETS = 'labels' and take one Dense layer with a sigmoid unit for each)"
        )


def _fits(own, given):
    """Tell whether a shape in which `None` means any length is the given one."""
    pairs = zip(own, given, strict=False)
    return len(own) == len(given) and all(left in (None, right) for left, right in pairs)


def _check_numbers(model, loss, outputs, y):
    units = outputs.shape[1]
    if "crossentropy" in loss or "hinge" in loss:
        raise ValueError(
            f"the loss is {loss}, which is for classes: with TARGETS = 'numbers' take Dense(1) and "
            "'mse', or set TARGETS = 'classes'"
        )
    if loss in OF_POSITIVE.values():
        raise ValueError(
            f"the loss {loss} is for targets above 0, and here they are shifted to mean 0: take "
            "'mse' and Dense(1), and if y spans several powers of ten, let my_arrays return "
            "np.log(y), or np.log1p(y) if y can be 0"
        )
    if loss in OF_NUMBERS and units != 1:
        raise ValueError(
            f"the last layer gives {units} numbers for each example, the target is one: Dense(1)"
        )
    activation = _activation(model)
    if activation in ONE_SIDED and outputs.min() >= 0:
        raise ValueError(
            f"the last layer's activation, {activation}, never gives a negative number, and the "
            "targets are shifted to mean 0: leave the activation out"
        )
    if activation in BOUNDED and np.abs(outputs).max() <= 1 < np.abs(y).max():
        raise ValueError(
            f"the last layer's activation, {activation}, gives numbers from -1 to 1, and the "
            f"scaled targets lie between {y.min():.2g} and {y.max():.2g}: end with Dense(1) alone"
        )


def _check_units(loss, units, y):
    """Refuse a last layer that cannot tell the classes apart by this loss."""
    if y.ndim == 1 and y.max() > 1:
        classes = int(y.max()) + 1
        number = "one number" if units == 1 else f"{units} numbers, each"
        raise ValueError(
            f"{loss} compares {number} with that of a class, from 0 to {classes - 1}: take "
            f"Dense({classes}, activation='softmax') and '{CATEGORICAL[1]}'"
        )
    if y.ndim == 1 and units != 1:
        raise ValueError(
            f"{loss} wants one unit, the last layer has {units}: take Dense(1, "
            f"activation='sigmoid'), or keep the layer and take '{CATEGORICAL[1]}'"
        )
    if y.ndim == 2 and units != y.shape[1]:
        raise ValueError(
            f"the last layer has {units} units, y {y.shape[1]} columns: one unit for each column"
        )


def _check_labels(model, loss, outputs, y, from_logits):
    if "categorical" in loss or _activation(model) == "softmax":
        raise ValueError(
            "with TARGETS = 'labels' each unit judges a label by itself: take activation='sigmoid' "
            f"and 'binary_crossentropy', got {_activation(model)} and {loss}"
        )
    _check_units(loss, outputs.shape[1], y)
    if loss in BINARY:
        _check_probabilities(loss, outputs, from_logits)


def _check_logits(model, x):
    """Refuse from_logits=True where the model gives probabilities."""
    if not _stays_between_0_and_1(model, x):
        return
    given = "the model's outputs stay between 0 and 1, as probabilities do"
    if (activation := _activation(model)) in ("sigmoid", "softmax"):
        given = f"the last layer's activation, {activation}, gives probabilities"
    raise ValueError(
        f"{given}, and from_logits=True says that the loss gets the numbers before it: leave "
        "from_logits=True out"
    )


def _stays_between_0_and_1(model, x):
    """Tell whether outputs stay there if all biases are far above 0, or far below."""
    x = x[:EXAMPLES]
    outputs = [model(x, training=False)]
    shifted = [(it, it.numpy()) for it in model.trainable_variables if len(it.shape) == 1]
    for shift in (-FAR, FAR) if shifted else ():
        for bias, value in shifted:
            bias.assign(value + shift)
        outputs.append(model(x, training=False))
    for bias, value in shifted:
        bias.assign(value)
    if any(isinstance(it, (list, tuple, dict)) for it in outputs):
        return False
    inside = np.min(outputs) >= 0 and np.max(outputs) <= 1 + ROUNDING
    told = bool(shifted) and np.any(outputs)  # a last kernel of zeros hides what becomes of them
    return inside and (told or _activation(model) in ("sigmoid", "softmax"))


def _check_probabilities(loss, outputs, from_logits):
    if from_logits:
        return
    if outputs.min() < 0 or outputs.max() > 1 + ROUNDING:
        raise ValueError(
            f"{loss} takes probabilities, the last layer gives numbers from "
            f"{outputs.min():.2g} to {outputs.max():.2g}: activation='sigmoid'"
        )
    if outputs.shape[1] == 1 and (outputs > 1 - ROUNDING).all():
        raise ValueError(
            "the last layer gives 1 for every example: activation='sigmoid' for one unit, and "
            "inputs that are scaled"
        )


def _check_categorical(model, loss, outputs, y, from_logits):
    units = outputs.shape[1]
    if (y.ndim == 1) != loss.startswith("sparse"):
        other = CATEGORICAL[y.ndim == 1]
        kind = "the number of a class" if y.ndim == 1 else "a row of 0s and a 1"
        raise ValueError(f"y holds {kind} for each example, for which the loss is '{other}'")
    if units == 1:
        raise ValueError(
            f"{loss} wants a unit for each class, the last layer has one: for two classes take "
            "Dense(1, activation='sigmoid') and 'binary_crossentropy'"
        )
    classes = int(y.max()) + 1 if y.ndim == 1 else y.shape[1]
    if units < classes or (y.ndim == 2 and units != classes):
        raise ValueError(
            f"{loss} wants a unit for each class, the last layer has {units}, y {classes} classes: "
            f"Dense({classes}, activation='softmax')"
        )
    one_sum = np.allclose(outputs.sum(axis=1), 1, atol=0.05)  # in float16, too
    if not from_logits and (not one_sum or _activation(model) == "sigmoid"):  # 0.5 and 0.5 by luck
        raise ValueError(
            f"{loss} takes probabilities that sum to 1, the last layer's don't: give it "
            "activation='softmax'"
        )


def _activation(model):
    """Return the name of the activation that gives the outputs, or None; if hidden, guess it."""
    layers = getattr(model, "layers", None) or [None]
    output = next(iter(getattr(model, "outputs", None) or ()), None)
    last = getattr(getattr(output, "_keras_history", None), "operation", layers[-1])
    own = {"ReLU": "relu", "Softmax": "softmax"}.get(type(last).__name__)
    return own or getattr(getattr(last, "activation", None), "__name__", None)
