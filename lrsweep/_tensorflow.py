"""What the vectorized engine asks of TensorFlow beyond calling it."""

import contextlib

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor


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


# vectorized_map has no rule for Bitcast, which Keras's argmax and so accuracy needs. Operations
# without a rule are repeated for each copy, which is right but slow.
if "Bitcast" not in pfor._pfor_converter_registry:

    @pfor.RegisterPFor("Bitcast")
    def _bitcast(loop):
        return pfor.wrap(tf.bitcast(loop.stacked_input(0), loop.get_attr("type")), True)
