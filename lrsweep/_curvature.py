"""The curvature of a Keras model's loss, measured by Hessian products.

A network's Hessian has far too many entries to write down. Its product with a direction costs
about two gradients (B. Pearlmutter, "Fast exact multiplication by the Hessian", 1994), and power
iteration needs no more. What training does to the curvature: J. Cohen et al., "Gradient descent
on neural networks typically occurs at the edge of stability", 2021, and "Adaptive gradient
methods at the edge of stability", 2022.
"""

import numpy as np

from lrsweep._validation import array, positive_number, true_or_false, whole_number

FRESH = 0.03  # how much of a new direction a warm start gets, to notice one that became steepest


def hessian_product(model, x, y, direction, training=False):
    """Multiply the Hessian of a model's loss on a batch by a direction.

    Parameters
    ----------
    model, x, y, training
        As for `CurvatureMeter`.
    direction : list of array
        One for each of `model.trainable_variables`, of its shape.

    Returns
    -------
    list of array
        Of the same shapes.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    The loss w² has the curvature 2.

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", loss="mse")
    >>> hessian_product(model, np.ones((4, 1)), np.zeros((4, 1)), [np.array([[3.0]])])[0].item()
    6.0
    """
    meter = CurvatureMeter(model, x, y, training=training)
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]
    is_list = isinstance(direction, (list, tuple))
    got = [np.shape(piece) for piece in direction] if is_list else repr(direction)
    if got != shapes:
        raise ValueError(f"direction must be a list of arrays of shapes {shapes}, got {got}")
    product = meter.product(np.concatenate([np.ravel(piece) for piece in direction]))
    parts = np.split(product, np.cumsum(meter.sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes)]


class CurvatureMeter:
    """Measures the largest curvature of a model's loss on one batch, again and again.

    Each reading starts from the direction in which the last one ended, and leaves no trace:
    weights, optimizer, metrics, seed generators and random state are as before.

    Parameters
    ----------
    model : keras.Model
        Compiled and built.
    x, y : array, or nested as the model and its loss take them
        The batch. The loss is `model.compute_loss`, with the penalties of the layers (but not
        the weight decay of an optimizer, which is in no loss).
    preconditioned : bool
        Whether to measure what Adam or AdamW meets: D^(-1/2) H D^(-1/2), which has the
        eigenvalues of D^(-1) H, where D = (√v + ε)/√(1 − β₂ᵗ) is what Keras's Adam divides by.
    training : bool
        Whether to measure the model as `fit` sees it, not as it predicts: BatchNormalization
        with the batch's own mean and variance, Dropout with the mask that it would draw next,
        the same one for every product.
    seed : int
        For the first direction.

    Attributes
    ----------
    direction, residual, products : array of shape (weights,), float, int
        Of the last reading: the unit vector d where it ended; |Hd − λd|/|λ|, which is small if d
        has settled; and how many Hessian products it took.

    Raises
    ------
    ValueError
        If the model is not compiled and built, the batch does not fit it, or the model has not
        been trained with Adam or AdamW although `preconditioned` is set.

    Examples
    --------
    The loss is (3w₁)²/2 + w₂²/2, averaged over two examples.

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", loss="mse")
    >>> meter = CurvatureMeter(model, np.array([[3.0, 0.0], [0.0, 1.0]]), np.zeros((2, 1)))
    >>> print(f"{meter.largest():.2f}, so plain gradient descent is stable below 2/9")
    9.00, so plain gradient descent is stable below 2/9
    """

    def __init__(self, model, x, y, preconditioned=False, training=False, seed=0):
        import keras
        import tensorflow as tf

        preconditioned = true_or_false("preconditioned", preconditioned)
        _check_model(model, preconditioned)
        self._rng = np.random.default_rng(whole_number("seed", seed, minimum=0))
        self.model, self.preconditioned = model, preconditioned
        self.training = true_or_false("training", training)
        self.x, self.y = (keras.tree.map_structure(_as_tensor, part) for part in (x, y))
        self.sizes = [int(np.prod(variable.shape)) for variable in model.trainable_variables]
        self.direction, self.residual, self.products = self._random_direction(), np.inf, 0
        self._product = self._power = None  # traced here and now, so that TensorFlow doesn't warn
        try:
            self._product = _traced(self._multiply, _as_tensor(self.direction))
            self._product(_as_tensor(self.direction))
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(f"x and y must fit the model and its loss, got {error}") from error

    def product(self, direction):
        """Return the (preconditioned) Hessian times a direction, both of shape (weights,).

        Examples
        --------
        >>> import keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", loss="mse")
        >>> meter = CurvatureMeter(model, np.ones((4, 1)), np.zeros((4, 1)))
        >>> meter.product([3.0]).item()
        6.0
        """
        direction = array("direction", direction, dimensions=1)
        if len(direction) != sum(self.sizes):
            raise ValueError(f"direction must be {sum(self.sizes)} numbers, got {len(direction)}")
        return self._product(_as_tensor(direction)).numpy()

    def largest(self, iterations=1000, tolerance=1e-3):
        """Return the largest curvature: the largest eigenvalue, not the largest in size.

        Power iteration goes to the eigenvalue that is largest in size. If that turns out to be
        negative, or if the direction does not settle, as between two of equal size and opposite
        sign, then it is repeated with all eigenvalues raised by that size, H + |Hd|, which makes
        the largest one the largest in size, too. Each of the two takes at most `iterations`
        products and stops when the residual is below `tolerance`. What comes out is (apart from
        rounding) never above the largest eigenvalue; it is nan if the loss is.

        Examples
        --------
        >>> import keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
        >>> model.compile("sgd", loss="mse")
        >>> meter = CurvatureMeter(model, np.ones((4, 1)), np.zeros((4, 1)))
        >>> round(meter.largest(), 4)
        2.0
        """
        iterations = whole_number("iterations", iterations)
        tolerance = positive_number("tolerance", tolerance)
        start, raised, self.products = self.direction, 0.0, 0
        for share in (FRESH, 1.0):
            start = start + share * self._random_direction()
            arguments = start / np.linalg.norm(start), iterations, tolerance, raised
            arguments = [_as_tensor(argument) for argument in arguments]
            self._power = self._power or _traced(self._iterate, *arguments)
            found = self._power(*arguments)
            direction, value, size, residual, products = (tensor.numpy() for tensor in found)
            self.products += int(products)
            if size == 0 or not np.isfinite(value):
                return float(value)
            if value > 0 and residual <= tolerance:
                break
            start, raised = direction, float(size)
        self.direction, self.residual = direction, float(residual)
        return float(value)

    def _random_direction(self):
        direction = self._rng.normal(size=sum(self.sizes))
        return direction / np.linalg.norm(direction)

    def _loss(self, values):
        """Return the loss where the weights have these values; no variable changes."""
        from lrsweep._stateless import Scope

        mapping = list(zip(self.model.trainable_variables, values))
        with Scope(mapping, collect_losses=True):
            y_pred = self.model(self.x, training=self.training)
            return self.model._compute_loss(
                x=self.x, y=self.y, y_pred=y_pred, training=self.training
            )

    def _multiply(self, direction):
        import tensorflow as tf

        values = [tf.identity(variable.value) for variable in self.model.trainable_variables]
        roots = _adam_roots(self.model.optimizer) if self.preconditioned else [1.0] * len(values)
        pieces = zip(tf.split(direction, self.sizes), values, roots)
        pieces = [tf.cast(tf.reshape(p, v.shape), v.dtype) * root for p, v, root in pieces]
        with tf.GradientTape() as outer:
            outer.watch(values)
            with tf.GradientTape() as inner:
                inner.watch(values)
                loss = self._loss(values)
            slopes = inner.gradient(loss, values, unconnected_gradients="zero")
            along = sum(tf.reduce_sum(tf.convert_to_tensor(s) * p) for s, p in zip(slopes, pieces))
        products = outer.gradient(along, values, unconnected_gradients="zero")
        products = map(tf.convert_to_tensor, products)  # an Embedding's are IndexedSlices
        flat = [tf.reshape(product * root, [-1]) for product, root in zip(products, roots)]
        return tf.concat([tf.cast(part, direction.dtype) for part in flat], axis=0)

    def _iterate(self, direction, iterations, tolerance, raised):
        import tensorflow as tf

        def unsettled(k, direction, value, size, residual):
            return (k < iterations) & (residual > tolerance) & (size > 0)

        def multiply(k, direction, *_):
            product = self._product.traced(direction)  # which is not traced anew
            value, size = tf.reduce_sum(direction * product), tf.norm(product)
            residual = tf.math.divide_no_nan(tf.norm(product - value * direction), tf.abs(value))
            turned, _ = tf.linalg.normalize(product + raised * direction)
            return k + 1, turned, value, size, residual

        one = tf.ones_like(raised)
        state = tf.zeros_like(iterations), direction, one, one, np.inf * one
        products, *found = tf.while_loop(unsettled, multiply, state)
        return *found, products


def _traced(function, *tensors):
    """Return a function traced for tensors like these, after which all variables are as before.

    Those of Keras are, because nothing leaves its scope; a layer may assign to TensorFlow's.
    """
    import tensorflow as tf

    from lrsweep._experiment import unchanged
    from lrsweep._tensorflow import impure_operations

    traced = tf.function(function, autograph=False).get_concrete_function(*tensors)
    changing = traced.variables if impure_operations(traced.graph) else ()

    def run(*arguments):
        with unchanged(changing):
            return traced(*arguments)

    run.traced = traced
    return run


def _adam_roots(adam):
    import tensorflow as tf

    squares = adam._velocity_hats if adam.amsgrad else adam._velocities
    updates = tf.cast(tf.convert_to_tensor(adam.iterations), "float32")
    young = tf.sqrt(1 - adam.beta_2**updates)
    return [tf.sqrt(tf.cast(young, v.dtype) / (tf.sqrt(v.value) + adam.epsilon)) for v in squares]


def _as_tensor(values):
    import keras

    from lrsweep._examples import as_array  # here, because it starts TensorFlow

    if values is None:  # a model may need no targets
        return None
    values = as_array(values)
    dtype = keras.config.floatx() if values.dtype.kind == "f" else None
    return keras.ops.convert_to_tensor(values, dtype)


def _check_model(model, preconditioned):
    import keras

    if not isinstance(model, keras.Model) or not model.compiled or model.loss is None:
        raise ValueError(f"model must be a keras.Model compiled with a loss, got {model!r}")
    if not model.built or not model.trainable_variables:
        raise ValueError(f"model must be built, with weights to train, got {model!r}")
    adam, weights = model.optimizer, [id(variable) for variable in model.trainable_variables]
    known = isinstance(adam, keras.optimizers.Adam) and int(adam.iterations) and adam.built
    if preconditioned and not (known and [id(v) for v in adam._trainable_variables] == weights):
        raise ValueError(
            "model must have trained these weights with Adam or AdamW for preconditioned=True, "
            f"got {type(adam).__name__} after {int(adam.iterations)} updates"
        )
