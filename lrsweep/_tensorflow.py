"""All that the vectorized engine asks of TensorFlow beyond its public functions.

`tf.vectorized_map` has a rule for each kind of operation that says how it is done for all copies
at once; an operation without a rule is repeated for each copy, which is right but slow. The rules
live in a private registry. Those that TensorFlow lacks are added here, each only where it is
missing. If the registry is gone, nothing is added, and models are trained sequentially.
"""

import contextlib
import inspect

import tensorflow as tf

try:
    from tensorflow.python.ops.parallel_for import pfor as _pfor

    _REGISTRY = _pfor._pfor_converter_registry
    _wrap = _pfor.wrap
except (ImportError, AttributeError):
    _REGISTRY = None

RANDOM = ("StatelessRandomUniformV2", "StatelessRandomNormalV2", "StatelessTruncatedNormalV2")
SEEDS = "StatelessRandomGetKeyCounter"
ADDED = ("Bitcast", SEEDS, *RANDOM)  # rules that TensorFlow lacked when this was written
CALLS = {"StatefulPartitionedCall", "While", "If", "Case", "ReadVariableOp"}
FUNCTION_CALLS = "PartitionedCall", "StatefulPartitionedCall"
SAME_GRADIENTS = (__name__, "tensorflow.python.ops.nn_impl")  # ours, and that of tf.nn.silu
REPLACED = ("Conv2D",)  # a rule that it has, but only for a kernel that all copies share


def can_vectorize():
    """Tell whether this TensorFlow lets rules be added."""
    return _REGISTRY is not None


def impure_operations(graph):
    """Return the kinds of a graph's operations whose result depends on more than their inputs.

    Those that only call others are looked into, and not counted themselves.
    """
    graphs = [graph, *(function.graph for function in _functions(graph))]
    operations = [operation for it in graphs for operation in it.get_operations()]
    kinds = {it.type for it in operations if it.op_def is not None and it.op_def.is_stateful}
    return sorted(kinds - CALLS)


def hides_variables(graph):
    """Tell whether a graph uses variables within a function that it calls, as with `tf.function`.

    The values that a copy gives to them don't reach such a function.
    """
    graphs = [graph, *(function.graph for function in _functions(graph))]
    calls = [it for own in graphs for it in own.get_operations() if it.type in FUNCTION_CALLS]
    return any(tensor.dtype == tf.resource for it in calls for tensor in it.inputs)


def own_gradients(graph):
    """Return from which modules a graph has gradients that replace those of its operations.

    As with `tf.custom_gradient`: `tf.vectorized_map` would forget them. Left out are those that
    are what the operations have anyway.
    """
    graphs = [graph, *(function.graph for function in _functions(graph))]
    operations = [it for own in graphs for it in own.get_operations() if it.type == "IdentityN"]
    return sorted({_module_of_gradient(it) for it in operations} - {"", *SAME_GRADIENTS})


def _module_of_gradient(operation):
    """Return in which module an operation's gradient was written; "" if it has no other one."""
    try:
        name = operation.get_attr("_gradient_op_type").decode()
    except ValueError:
        return ""
    try:
        from tensorflow.python.framework.ops import gradient_registry

        function = gradient_registry.lookup(name)
        while "grad_fn" not in (known := inspect.getclosurevars(function).nonlocals):
            function = known["tape_grad_fn"]
        return known["grad_fn"].__module__
    except (AttributeError, ImportError, LookupError, TypeError):
        return "a place unknown"


def _functions(graph):
    """Return the functions of a graph, those of functions among them."""
    names = [function.name for function in graph._functions.values()]
    found = [graph._get_function(name) for name in names]
    return [function for function in found if getattr(function, "graph", None) is not None]


@contextlib.contextmanager
def quiet_and_direct():
    """Silence TensorFlow, and skip its graph optimizer: it takes longer here than it saves."""
    logger, options = tf.get_logger(), tf.config.optimizer
    level, before = logger.level, options.get_experimental_options()
    logger.setLevel("CRITICAL")
    options.set_experimental_options({"disable_meta_optimizer": True})
    try:
        yield
    finally:
        logger.setLevel(level)
        before.setdefault("disable_meta_optimizer", False)
        options.set_experimental_options(before)


@contextlib.contextmanager
def rules():
    """Add what is missing for as long as the context lasts; TensorFlow is as before afterwards."""
    added = {name: make(name) for name, make in _MAKERS.items() if name not in _REGISTRY}
    replaced = {name: _REGISTRY[name] for name in REPLACED if name in _REGISTRY}
    _REGISTRY.update(added)
    _REGISTRY.update({name: _conv2d_or(own) for name, own in replaced.items()})
    try:
        yield
    finally:
        for name in added:
            del _REGISTRY[name]
        _REGISTRY.update(replaced)


def _bitcast(name):
    def convert(loop):
        return _wrap(tf.bitcast(loop.stacked_input(0), loop.get_attr("type")), True)

    return convert


def _seeds(name):
    """Return a rule that makes key and counter once of each different seed."""
    make = getattr(tf.raw_ops, name)

    def convert(loop):
        loop.stack_inputs([0])
        made = _of_each_different(
            loop.stacked_input(0), lambda seed: tuple(make(seed=seed)), (tf.uint64, tf.uint64)
        )
        return [_wrap(values, True) for values in made]

    return convert


def _random(name):
    """Return a rule that draws once for each different seed.

    Copies with one seed get the same numbers, as they would alone, and so stay comparable.
    """
    draw = getattr(tf.raw_ops, name)

    def convert(loop):
        loop.stack_inputs([1, 2])
        shape, algorithm = loop.unstacked_input(0), loop.unstacked_input(3)
        dtype = loop.get_attr("dtype")
        states = tf.concat([loop.stacked_input(1), loop.stacked_input(2)], axis=1)

        def draw_once(state):
            state = tf.bitcast(state, tf.uint64)
            return draw(shape=shape, key=state[:1], counter=state[1:], alg=algorithm, dtype=dtype)

        return _wrap(_of_each_different(tf.bitcast(states, tf.int64), draw_once, dtype), True)

    return convert


def _of_each_different(rows, function, dtypes):
    """Return a function of each row, called once for rows that are equal."""
    different, which = tf.raw_ops.UniqueV2(x=rows, axis=[0])
    made = tf.map_fn(function, different, fn_output_signature=dtypes, parallel_iterations=1)
    return tf.nest.map_structure(lambda values: tf.gather(values, which), made)


_MAKERS = {"Bitcast": _bitcast, SEEDS: _seeds, **dict.fromkeys(RANDOM, _random)}


def _conv2d_or(own):
    """Return TensorFlow's rule for Conv2D, and ours where each copy has a kernel of its own."""

    def convert(loop):
        images = loop.input(0)[0]
        kernel, kernel_differs, _ = loop.input(1)
        attributes = {
            name: loop.get_attr(name) for name in ("strides", "padding", "dilations", "data_format")
        }
        simple = (
            list(attributes["strides"]) == [1, 1, 1, 1]
            and list(attributes["dilations"]) == [1, 1, 1, 1]
            and attributes["padding"] in (b"SAME", b"VALID")
            and attributes["data_format"] == b"NHWC"
            and kernel_differs
            and images.shape[-1] == kernel.shape[-2]
            and None not in (*images.shape[-3:], *kernel.shape[-4:])
        )
        if not simple:
            return own(loop)
        loop.stack_inputs([0, 1])
        convolve = _convolution(attributes["padding"].decode())
        return _wrap(convolve(loop.stacked_input(0), loop.stacked_input(1)), True)

    return convert


def _convolution(padding):
    """Return a convolution of stride 1 with a kernel for each copy, as a product of matrices.

    Parameters
    ----------
    padding : str
        "SAME" or "VALID".

    Returns
    -------
    callable
        From images (copies, examples, height, width, channels) and kernels (copies, rows,
        columns, channels, filters) to (copies, examples, height, width, filters).
    """

    @tf.custom_gradient
    def convolve(images, kernel):
        rows, columns, channels, filters = kernel.shape[1:]
        patches, size = _patches(images, rows, columns, padding)
        matrix = tf.reshape(kernel, (-1, rows * columns * channels, filters))
        result = _unflatten(tf.matmul(patches, matrix), tf.shape(images)[1], size, filters)

        def gradient(upstream):
            flat = tf.reshape(upstream, (tf.shape(upstream)[0], -1, filters))
            of_kernel = tf.reshape(tf.matmul(patches, flat, transpose_a=True), tf.shape(kernel))
            return _gradient_of_images(upstream, kernel, padding), of_kernel

        return result, gradient

    return convolve


def _gradient_of_images(upstream, kernel, padding):
    """Return the convolution of what comes from above with the kernels turned round."""
    rows, columns, channels, filters = kernel.shape[1:]
    turned = tf.transpose(tf.reverse(kernel, [1, 2]), (0, 1, 2, 4, 3))
    if padding == "VALID":
        before, after = (rows - 1, columns - 1), (rows - 1, columns - 1)
    else:
        before, after = (rows // 2, columns // 2), ((rows - 1) // 2, (columns - 1) // 2)
    sides = [[0, 0], [0, 0], *([b, a] for b, a in zip(before, after)), [0, 0]]
    patches, size = _patches(tf.pad(upstream, sides), rows, columns, "VALID")
    matrix = tf.reshape(turned, (-1, rows * columns * filters, channels))
    return _unflatten(tf.matmul(patches, matrix), tf.shape(upstream)[1], size, channels)


def _patches(images, rows, columns, padding):
    """Cut images into the patches that a kernel sees, as the rows of a matrix for each copy."""
    height, width, channels = images.shape[2:]
    flat = tf.reshape(images, (-1, height, width, channels))
    if rows == columns == 1:
        patches, size = flat, (height, width)
    else:
        patches = tf.image.extract_patches(
            flat, (1, rows, columns, 1), (1, 1, 1, 1), (1, 1, 1, 1), padding
        )
        size = patches.shape[1:3]
    copies = tf.shape(images)[0]
    return tf.reshape(patches, (copies, -1, rows * columns * channels)), size


def _unflatten(product, examples, size, channels):
    return tf.reshape(product, (tf.shape(product)[0], examples, *size, channels))
