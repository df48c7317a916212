"""How much a network computes and moves, counted layer by layer from its plan.

A multiply-add is two operations. Only products with weights are counted, forward and backward:
biases, activations, pooling, dropout, softmax, the loss, metrics and the optimizer are left out,
as in every "model FLOPs utilisation". A convolution counts its products with padding, as
TensorFlow's profiler does. See docs/roofline.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import prod

from mnistbench.config.devices import counts_of
from mnistbench.config.network import Convolution, Dense, Layer, MaxPooling, layer_table
from mnistbench.config.run_config import RunConfig

_MOVES = (Dense, Convolution, MaxPooling)
"""Layers that read and write memory of their own; the others can be fused into these."""

_VALUE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "float64": 8}
_VARIABLE_BYTES = 4
_PIXEL_BYTES = 1

_SLOTS = {
    "adadelta": 2, "adagrad": 1, "adam": 2, "adamax": 2, "adamw": 2, "ftrl": 2, "lion": 1,
    "nadam": 2, "rmsprop": 1, "sgd": 0,
}  # fmt: skip
"""Values that an optimizer keeps for each parameter, with Keras's default settings."""


@dataclass(frozen=True)
class Work:
    """What some computation takes at least."""

    flops: int
    """Floating-point operations; a multiply-add is two."""
    bytes: int
    """Bytes read and written, if nothing is kept in a cache from one pass to the next."""

    def __add__(self, other: Work) -> Work:
        """Return both together."""
        return Work(self.flops + other.flops, self.bytes + other.bytes)

    def times(self, count: int) -> Work:
        """Return the work of doing it so often."""
        return Work(self.flops * count, self.bytes * count)


@dataclass(frozen=True)
class LayerWork:
    """One layer and what of it a sample needs."""

    layer: Layer
    inputs: int
    """Values that come in."""
    outputs: int
    """Values that go out."""
    parameters: int
    multiply_adds: int
    """Of one sample, forward."""
    learns_first: bool
    """Whether no layer before it has weights: nobody needs the gradient of its input."""

    def forward(self, value_bytes: int) -> Work:
        """Return the work of one sample: the input is read, the output written."""
        moved = self._input_bytes(value_bytes) + self.outputs * value_bytes
        return Work(2 * self.multiply_adds, moved if isinstance(self.layer, _MOVES) else 0)

    def backward(self, value_bytes: int) -> Work:
        """Return the work of one sample: gradients of the weights and of the input.

        The output's gradient and, where there are weights, the input are read, and the input's
        gradient is written.
        """
        gradients = 1 if self.learns_first else 2
        moved = self.outputs * value_bytes if isinstance(self.layer, _MOVES) else 0
        if self.parameters:
            moved += self._input_bytes(value_bytes)
        if moved and not self.learns_first:
            moved += self.inputs * value_bytes
        return Work(gradients * 2 * self.multiply_adds, moved)

    def step_bytes(self, value_bytes: int, slots: int) -> int:
        """Return the bytes of its parameters that a training step moves, whatever the batch.

        They are read forward and, for the input's gradient, backward; their gradient is written
        and read; the optimizer reads and writes the variables and its own values.
        """
        reads = 1 if self.learns_first else 2
        in_float32 = 2 + 2 + 2 * slots
        return self.parameters * (reads * value_bytes + in_float32 * _VARIABLE_BYTES)

    def _input_bytes(self, value_bytes: int) -> int:
        return self.inputs * (_PIXEL_BYTES if self.learns_first else value_bytes)


def layer_works(config: RunConfig) -> list[LayerWork]:
    """Return what each layer of the config's network needs for one sample, forward."""
    shape = config.model.input_shape(config.facts.image_shape)
    works: list[LayerWork] = []
    first = True
    for row in layer_table(config.model, config.facts.image_shape, config.facts.classes):
        works.append(
            LayerWork(
                layer=row.layer,
                inputs=prod(shape),
                outputs=prod(row.output_shape),
                parameters=row.parameters,
                multiply_adds=row.layer.multiply_adds(shape),
                learns_first=first,
            )
        )
        first = first and row.parameters == 0
        shape = row.output_shape
    return works


def forward_flops(config: RunConfig) -> int:
    """Return the operations of one image through the network."""
    return sum(work.forward(_VARIABLE_BYTES).flops for work in layer_works(config))


def training_flops(config: RunConfig) -> int:
    """Return the operations of training on one image: forward, and both gradients."""
    backward = sum(work.backward(_VARIABLE_BYTES).flops for work in layer_works(config))
    return forward_flops(config) + backward


def train_phase_work(
    config: RunConfig, *, steps: int, trained: int, validated: int, precision: str
) -> Work:
    """Return what the whole train phase takes: `trained` images in `steps`, `validated` forward.

    Both count an image as often as it is seen. `precision` is Keras's policy; KeyError for one
    that is not known.
    """
    value_bytes = _VALUE_BYTES[precision.removeprefix("mixed_")]
    slots = _SLOTS[config.training.optimizer]
    layers = layer_works(config)
    nothing = Work(0, 0)
    forward = sum((layer.forward(value_bytes) for layer in layers), nothing)
    backward = sum((layer.backward(value_bytes) for layer in layers), nothing)
    parameters = sum(layer.step_bytes(value_bytes, slots) for layer in layers)
    return (
        forward.times(trained + validated) + backward.times(trained) + Work(0, parameters * steps)
    )


# Peaks of repeats of the seven lessons (`peak_rss_bytes`): TensorFlow, and the images as numbers
# between two and three times over.
_BASE_BYTES = 350 * 1000**2
_COPIES = 2.7


_STEP_BYTES = 64 * 1024**2
"""What steps need at once, of the lessons' networks."""


def planned_steps(config: RunConfig) -> int | None:
    """Return how many steps the training takes if no target ends it sooner.

    None with a copy of the user's own: its number of images is known once it is read.
    """
    samples = counts_of(config).get("training set")
    if samples is None:
        return None
    return config.training.epochs * -(-samples // config.training.batch_size)


def needed_bytes(config: RunConfig) -> int:
    """Return about how much memory a repeat of a config takes."""
    return _BASE_BYTES + _images_bytes(config)


def fresh_bytes(config: RunConfig) -> int:
    """Return about how much memory a repeat takes that it had not when it began."""
    return _STEP_BYTES + _images_bytes(config)


def _images_bytes(config: RunConfig) -> int:
    facts = config.facts
    images = (config.dataset.train_samples or facts.train_count) + (
        config.dataset.test_samples or facts.test_count
    )
    value_bytes = _VALUE_BYTES[config.dataset.image_dtype]
    return int(_COPIES * images * math.prod(facts.image_shape) * value_bytes)
