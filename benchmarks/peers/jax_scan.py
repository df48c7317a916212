"""A plain JAX program with Optax: each epoch one jitted scan over the steps, buffers donated.

    python benchmarks/peers/jax_scan.py [CONFIG] [--set training.epochs=1]

On a CPU the gradients of XLA's own convolutions are slow, and slower inside a loop. A 3x3
convolution is therefore written as what it is: the nine shifted images beside each other, times
one matrix. The program is compiled ahead of its first call, so that this is timed apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from common import PRECISE, Task, Timers, load_task, parser

from mnistbench.config import network as plan

Weights = list[tuple[jax.Array, jax.Array]]
"""Matrix and bias of each layer that learns."""
State = tuple[Weights, Any, jax.Array]
"""Weights, the optimizer's state and a random key."""

ACTIVATIONS = {"relu": jax.nn.relu, "linear": lambda values: values}
TEST_BATCH = 1000


def initial_weights(task: Task, key: jax.Array) -> Weights:
    weights, shape = [], task.x_train.shape[1:]
    for layer in task.layers:
        if isinstance(layer, plan.Dense | plan.Convolution):
            key, own = jax.random.split(key)
            weights.append(_drawn(layer, shape, own))
        shape = layer.output_shape(shape)
    return weights


def _drawn(
    layer: plan.Dense | plan.Convolution, shape: tuple[int, ...], key: jax.Array
) -> tuple[jax.Array, jax.Array]:
    glorot = jax.nn.initializers.glorot_uniform()
    if isinstance(layer, plan.Dense):
        return glorot(key, (shape[0], layer.units)), jnp.zeros(layer.units)
    kernel = (layer.kernel_size, layer.kernel_size, shape[2], layer.filters)
    return glorot(key, kernel), jnp.zeros(layer.filters)


def convolved(images: jax.Array, kernel: jax.Array, padding: str) -> jax.Array:
    size = kernel.shape[0]
    if padding == "same":
        before, after = (size - 1) // 2, size // 2
        images = jnp.pad(images, ((0, 0), (before, after), (before, after), (0, 0)))
    height, width = (side - size + 1 for side in images.shape[1:3])
    shifted = [
        images[:, row : row + height, column : column + width]
        for row in range(size)
        for column in range(size)
    ]
    return jnp.concatenate(shifted, axis=3) @ kernel.reshape(-1, kernel.shape[3])


def pooled(images: jax.Array, size: int) -> jax.Array:
    """Return the largest of each square; by reshaping, whose gradient is quick on a CPU."""
    count, height, width, channels = images.shape
    height, width = height // size, width // size
    whole = images[:, : height * size, : width * size]
    return whole.reshape(count, height, size, width, size, channels).max(axis=(2, 4))


def logits_of(
    layers: list[plan.Layer], weights: Weights, values: jax.Array, key: jax.Array | None
) -> jax.Array:
    """Return the scores of the classes; with a key as in training, dropping out by it."""
    learnt = iter(weights)
    for layer in layers:
        if isinstance(layer, plan.Dense):
            matrix, bias = next(learnt)
            values = ACTIVATIONS[layer.activation](values @ matrix + bias)
        elif isinstance(layer, plan.Convolution):
            kernel, bias = next(learnt)
            sums = convolved(values, kernel, layer.padding) + bias
            values = ACTIVATIONS[layer.activation](sums)
        elif isinstance(layer, plan.MaxPooling):
            values = pooled(values, layer.size)
        elif isinstance(layer, plan.Flatten):
            values = values.reshape(len(values), -1)
        elif isinstance(layer, plan.Dropout) and key is not None:
            kept = jax.random.bernoulli(key, 1 - layer.rate, values.shape)
            values = jnp.where(kept, values / (1 - layer.rate), 0)
    return values


def optimizer_of(task: Task) -> optax.GradientTransformation:
    rate = task.learning_rate
    return {
        "adam": lambda: optax.adam(rate, eps=PRECISE),
        "rmsprop": lambda: optax.rmsprop(rate, decay=0.9, eps=PRECISE),
        "sgd": lambda: optax.sgd(rate),
    }[task.optimizer]()


def scores(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the sum of the losses and the number of right guesses."""
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return losses.sum(), (logits.argmax(axis=1) == labels).sum()


def evaluate(
    layers: list[plan.Layer], weights: Weights, images: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return mean loss and accuracy, batch by batch."""
    logits = jax.lax.map(
        lambda image: logits_of(layers, weights, image[None], None)[0],
        images,
        batch_size=TEST_BATCH,
    )
    loss, right = scores(logits, labels)
    return loss / len(labels), right / len(labels)


def step_of(task: Task, images: jax.Array, labels: jax.Array) -> Callable[..., Any]:
    optimizer = optimizer_of(task)

    def step(state: State, chosen: jax.Array) -> tuple[State, tuple[jax.Array, jax.Array]]:
        weights, memory, key = state
        key, own = jax.random.split(key)

        def loss_of(weights: Weights) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
            found = scores(logits_of(task.layers, weights, images[chosen], own), labels[chosen])
            return found[0] / len(chosen), found

        gradients, found = jax.grad(loss_of, has_aux=True)(weights)
        updates, memory = optimizer.update(gradients, memory, weights)
        return (optax.apply_updates(weights, updates), memory, key), found

    return step


def epoch_of(task: Task) -> Callable[..., Any]:
    def epoch(state: State, *data: jax.Array) -> tuple[State, tuple[Any, ...]]:
        images, labels, test_images, test_labels = data
        step = step_of(task, images, labels)
        weights, memory, key = state
        key, own = jax.random.split(key)
        order = jax.random.permutation(own, len(images))
        batches = order[: task.full_steps * task.batch_size].reshape(-1, task.batch_size)
        state, found = jax.lax.scan(step, (weights, memory, key), batches)
        loss, right = (figure.sum() for figure in found)
        if task.steps > task.full_steps:
            state, rest = step(state, order[task.full_steps * task.batch_size :])
            loss, right = loss + rest[0], right + rest[1]
        told: tuple[Any, ...] = (loss / len(images), right / len(images))
        if task.validates:
            told += evaluate(task.layers, state[0], test_images, test_labels)
        return state, told

    return epoch


def train(task: Task, state: State, data: list[jax.Array], timers: Timers) -> tuple[Weights, int]:
    with timers.phase("compile"):
        epoch = jax.jit(epoch_of(task), donate_argnums=0).lower(state, *data).compile()
    steps = 0
    for number in range(task.epochs):
        state, told = epoch(state, *data)
        steps += task.steps
        print(f"epoch {number + 1}:", *(f"{float(figure):.4f}" for figure in told))
    return jax.block_until_ready(state[0]), steps


def main() -> None:
    options = parser(__doc__).parse_args()
    timers = Timers()
    task = load_task(options.config, options.set, options.seed, timers)
    data = [
        jax.device_put(part.astype("int32") if part.ndim == 1 else part)
        for part in (task.x_train, task.y_train, task.x_test, task.y_test)
    ]
    drawing, training = jax.random.split(jax.random.key(options.seed))
    weights = initial_weights(task, drawing)
    state = jax.block_until_ready((weights, optimizer_of(task).init(weights), training))
    with timers.phase("train"):
        weights, steps = train(task, state, data, timers)
    with timers.phase("test"):
        evaluated = jax.jit(lambda *given: evaluate(task.layers, *given))
        accuracy = float(evaluated(weights, *data[2:])[1])
    timers.report(accuracy, steps)


if __name__ == "__main__":
    main()
