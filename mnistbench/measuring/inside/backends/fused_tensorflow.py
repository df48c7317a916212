"""A training epoch and a test as TensorFlow programs: one call for all their batches.

What a step computes is Keras's: the model's call, its loss, its metrics, its optimizer. What is
left out is Python between the steps, and the float copy of the images. A graph takes the
optimizer's step by TensorFlow's own kernels, where XLA would make one of Keras's operations.

Imports TensorFlow: only measuring processes import this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnistbench.config.run_config import RunConfig
from mnistbench.data import RawImages, can_be_lent
from mnistbench.measuring.inside.backends.updates_tensorflow import Update, update_of

_Step = Callable[[Any, Any], Any]
_Batch = Callable[[Any, Any, Any, Any, Any], tuple[Any, Any]]

_LARGEST_TEST_BATCH = 512
_AS_THEY_LIE = np.zeros(0, np.int32)
"""The order of a test's images, of which a test needs none."""


class TensorFlowPrograms:
    """The programs of one model over images that lie on the device."""

    def __init__(self, model: keras.Model, config: RunConfig, jit: bool) -> None:
        """`model` is compiled; `jit`: its training by XLA, or as a graph."""
        self._model = model
        self._batch_size = config.training.batch_size
        self._classes = None if config.training.loss.startswith("sparse_") else config.facts.classes
        self._jit = jit
        self._update: Update = model.optimizer.apply if jit else update_of(model.optimizer)
        self._epoch: _Pass | None = None
        self._tests: list[tuple[RawImages, _Pass]] = []

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device and compile all that an epoch calls."""
        self._model.optimizer.build(self._model.trainable_variables)
        self._build_metrics()
        batch = self._of_bytes(images, _shuffled)
        self._epoch = _Pass(images, self._batch_size, batch, self._train_step, self._jit)
        self._epoch.compile(np.zeros(len(images.images), np.int32))
        if validated_on is not None:
            self._test_of(validated_on).compile(_AS_THEY_LIE)

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy.

        `compile_training` comes first.
        """
        assert self._epoch is not None
        self._model.reset_metrics()
        return self._logs(self._epoch.mean_loss(order))

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""
        program = self._test_of(images)
        self._model.reset_metrics()
        return self._logs(program.mean_loss(_AS_THEY_LIE))

    def _build_metrics(self) -> None:
        """Make the metrics' variables: made while a program is traced, it is traced twice."""
        labels = keras.KerasTensor((None,) if self._classes is None else (None, self._classes))
        guesses = keras.KerasTensor(self._model.output_shape)
        for metric in self._model.metrics:
            if not getattr(metric, "built", True):  # the one that holds those of `compile`
                metric.build(labels, guesses)

    def _logs(self, loss: float) -> dict[str, float]:
        results = self._model.get_metrics_result()
        return {**{name: float(value) for name, value in results.items()}, "loss": loss}

    def _test_of(self, images: RawImages) -> _Pass:
        """Return the test over these images; it is made once."""
        for of, made in self._tests:
            if of is images:
                return made
        size = _test_batch(len(images.images), self._batch_size)
        # Its steps are few and large: XLA would take longer to compile them than it saves.
        made = _Pass(images, size, self._of_bytes(images, _in_place), self._test_step, jit=False)
        self._tests.append((images, made))
        return made

    def _of_bytes(self, raw: RawImages, cut: _Batch) -> _Batch:
        """Return what cuts a batch out of the bytes and makes numbers of it."""

        def batch(images: Any, labels: Any, order: Any, start: Any, size: int) -> tuple[Any, Any]:
            part, truth = cut(images, labels, order, start, size)
            normalized = (tf.cast(part, tf.float32) - raw.offset) / raw.scale
            if self._classes is not None:
                return normalized, tf.one_hot(truth, self._classes)
            return normalized, truth

        return batch

    def _train_step(self, images: Any, labels: Any) -> Any:
        model = self._model
        with tf.GradientTape() as tape:
            guesses = model(images, training=True)
            loss = model.compute_loss(x=images, y=labels, y_pred=guesses, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        self._update(gradients, model.trainable_variables)
        model.compute_metrics(images, labels, guesses)
        return loss

    def _test_step(self, images: Any, labels: Any) -> Any:
        model = self._model
        guesses = model(images, training=False)
        loss = model.compute_loss(x=images, y=labels, y_pred=guesses, training=False)
        model.compute_metrics(images, labels, guesses)
        return loss


class _Pass:
    """A step over all batches by one program.

    XLA must know every size: its programs leave out a partial last batch, which is taken op by op.
    A second program would take a quarter of a second to trace, and save a hundredth in each epoch.
    """

    def __init__(
        self, raw: RawImages, batch_size: int, batch: _Batch, step: _Step, jit: bool
    ) -> None:
        self._images = _on_device(raw.images)
        self._labels = _on_device(raw.labels)
        self._count = len(raw.images)
        # A program cannot even be traced that cuts more out of the images than there are.
        self._size = min(batch_size, self._count)
        self._steps = self._count // self._size if jit else math.ceil(self._count / self._size)
        self._left_out = max(0, self._count - self._steps * self._size)
        self._batch = batch
        self._step = step
        self._program = tf.function(self._batches, jit_compile=jit, autograph=False)

    def compile(self, order: npt.NDArray[np.int32]) -> None:
        """Trace and compile for such an order: told to take no step, a program does just that."""
        self._loss_of(tf.constant(order), 0)

    def mean_loss(self, order: npt.NDArray[np.int32]) -> float:
        """Take every step, the images in this order; return the mean loss."""
        placed = tf.constant(order)
        total = self._loss_of(placed, self._steps)
        if self._left_out:
            total += self._loss_of_left_out(placed)
        return float(total) / self._count

    def _loss_of(self, order: Any, steps: int) -> Any:
        return self._program(self._images, self._labels, order, tf.constant(steps))

    def _loss_of_left_out(self, order: Any) -> Any:
        start, size = self._count - self._left_out, self._left_out
        batch = self._batch(self._images, self._labels, order, start, size)
        return size * tf.cast(self._step(*batch), tf.float32)

    def _batches(self, images: Any, labels: Any, order: Any, steps: Any) -> Any:
        def one_more(number: Any, total: Any) -> tuple[Any, Any]:
            start, size = number * self._size, self._size
            if self._steps * self._size > self._count:
                size = tf.minimum(size, self._count - start)
            loss = tf.cast(self._step(*self._batch(images, labels, order, start, size)), tf.float32)
            return number + 1, total + tf.cast(size, tf.float32) * loss

        first = tf.constant(0), tf.constant(0.0)
        _, total = tf.while_loop(
            lambda number, total: number < steps, one_more, first, parallel_iterations=1
        )
        return total


def _on_device(array: npt.NDArray[np.uint8]) -> Any:
    """Return the array as a tensor: on a CPU the very bytes, if they lie as its programs need."""
    on_cpu = not tf.config.get_visible_devices("GPU")
    if on_cpu and can_be_lent(array):
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    return tf.constant(array)


def _shuffled(images: Any, labels: Any, order: Any, start: Any, size: Any) -> tuple[Any, Any]:
    places = tf.slice(order, [start], [size])
    return tf.gather(images, places), tf.gather(labels, places)


def _in_place(images: Any, labels: Any, order: Any, start: Any, size: Any) -> tuple[Any, Any]:
    return images[start : start + size], labels[start : start + size]


def _test_batch(count: int, batch_size: int) -> int:
    """Return how many images a test step takes: as many as leave none over, if they are many.

    A test's result does not depend on it, and kernels that are made for a size are made once.
    """
    most = max(batch_size, min(count, _LARGEST_TEST_BATCH))
    even = next(size for size in range(most, 0, -1) if count % size == 0)
    return even if even >= batch_size else most
