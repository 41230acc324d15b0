"""Whether a step is the same each time it is traced.

TensorFlow runs Python once, while it traces a step, and then without Python what that has noted
down. So what Python counts or draws in there depends on how often Keras traces, which nobody
promises, and a sweep can't promise what `fit` gives.
"""

import collections

from lrsweep._experiment import traced_step

# What is numbered anew each time: names of functions and of tensors from outside, tokens, seeds of
# operations without a state
NUMBERED = (
    *("_gradient_op_type", "_user_specified_name", "token", "shared_name", "container"),
    *("_class", "seed", "seed2"),
)


def check_traces(model, step, run, examples, own_code):
    """Refuse a model whose step is another one when it is traced again.

    Parameters
    ----------
    model : keras.Model
    step : callable
        The model's `train_step` or `test_step`.
    run : callable
        What `traced_step` has made of it.
    examples : Examples or Stream
        Where the batches come from.
    own_code : bool
        Whether some code is not Keras's. If all of it is and has drawn no random numbers, the step
        isn't traced again.

    Raises
    ------
    ValueError
        Says what to do instead.
    """
    if run.graph is None or not (own_code or run.drew):
        return
    if operations(run.graph) != operations(traced_step(step, examples, model).graph):
        raise ValueError(
            "the model is another one each time Keras traces it: its Python code counts, or draws "
            "random numbers, which is done while it's traced, and not in each update. Count in a "
            "variable (`add_weight`), draw with keras.random and a SeedGenerator, or compile it "
            "with run_eagerly=True"
        )


def operations(graph):
    """Return how often a graph has each kind of operation with each setting or constant."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(it for own in definition.library.function for it in own.node_def)]
    return collections.Counter((node.op, *_settings(node)) for node in nodes)


def _settings(node):
    return sorted(
        (name, value.SerializeToString(deterministic=True))
        for name, value in node.attr.items()
        if name not in NUMBERED and value.WhichOneof("value") != "func" and not value.list.func
    )
