"""The works of `benchmarks.sweep` with Keras on JAX: vmap and scan over `stateless_call`, in jit.

Started by `benchmarks.sweep --jax PYTHON` in an environment of its own. It reads from its standard
input: first the name of a file with the data, then the name of a work for each sweep. For each
it prints a line of JSON: seconds, seconds of the processor, and the best loss of all.
"""

import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import keras
import numpy as np

from benchmarks.works import BATCH_SIZE, WORKS


def values_of_copies(models, rates):
    """Return the variables of all copies, each with the copies in front."""

    def stack(lists):
        return [jnp.repeat(jnp.stack([v.value for v in same]), rates, 0) for same in zip(*lists)]

    return (
        stack([model.trainable_variables for model in models]),
        stack([model.non_trainable_variables for model in models]),
        stack([model.optimizer.variables for model in models]),
    )


def sweep(work, train, held_out):
    """Train all copies; return the losses of the validation, of shape (copies, epochs)."""
    models = []
    for seed in range(work.seeds):
        keras.utils.set_random_seed(seed)
        models.append(work.build())
        models[-1].optimizer.build(models[-1].trainable_variables)
    model, optimizer = models[0], models[0].optimizer
    weights, others, memory = values_of_copies(models, work.rates)
    place = [v is optimizer._learning_rate for v in optimizer.variables].index(True)
    memory[place] = jnp.tile(jnp.asarray(work.learning_rates, "float32"), work.seeds)
    x, y, x_held_out, y_held_out = map(jnp.asarray, (*train, *held_out))
    count = len(x)
    whole = count // BATCH_SIZE * BATCH_SIZE

    def loss_of(weights, others, x, y, training):
        predicted, others, losses = model.stateless_call(
            weights, others, x, training=training, return_losses=True
        )
        loss = jnp.mean(keras.losses.sparse_categorical_crossentropy(y, predicted))
        return loss + sum(losses), (others, predicted)

    def update(state, rows):
        weights, others, memory = state
        slope = jax.value_and_grad(loss_of, has_aux=True)
        (loss, (others, predicted)), gradients = slope(weights, others, x[rows], y[rows], True)
        weights, memory = optimizer.stateless_apply(memory, gradients, weights)
        right = jnp.sum(jnp.argmax(predicted, -1) == y[rows])
        return (weights, others, memory), (loss * len(rows), right)

    def epoch(state, order):
        state, sums = jax.lax.scan(update, state, order[:whole].reshape(-1, BATCH_SIZE))
        loss, right = (jnp.sum(it) for it in sums)
        if whole < count:
            state, (last_loss, last_right) = update(state, order[whole:])
            loss, right = loss + last_loss, right + last_right
        held_out, (_, predicted) = loss_of(*state[:2], x_held_out, y_held_out, False)
        accuracy = jnp.mean(jnp.argmax(predicted, -1) == y_held_out)
        return state, (loss / count, right / count, held_out, accuracy)

    def training(weights, others, memory, orders):
        return jax.lax.scan(epoch, (weights, others, memory), orders)[1]

    def order(seed, epoch):
        return np.random.default_rng((seed, epoch)).permutation(count)

    orders = [[order(seed, it) for it in range(work.epochs)] for seed in range(work.seeds)]
    orders = jnp.asarray(np.repeat(orders, work.rates, axis=0))
    logs = jax.jit(jax.vmap(training))(weights, others, memory, orders)
    return [np.asarray(values) for values in logs][2]


def main():
    data = dict(np.load(sys.stdin.readline().strip()))
    jax.jit(lambda x: x + 1)(1.0)  # JAX's own start-up
    for line in sys.stdin:
        name, _, size = line.strip().partition(" ")
        work = WORKS[name]
        if size == "small":
            work = work._replace(rates=2, seeds=1, epochs=1)
        parts = [data[f"{work.data}/{i}"] for i in range(4)]
        parts = [v.astype("float32") if v.dtype == float else v for v in parts]
        start, busy = time.perf_counter(), time.process_time()
        losses = sweep(work, parts[:2], parts[2:])
        spent = time.perf_counter() - start, time.process_time() - busy
        print(json.dumps([*spent, float(np.nanmin(losses))]), flush=True)


if __name__ == "__main__":
    main()
