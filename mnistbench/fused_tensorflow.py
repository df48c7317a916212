"""A training epoch and a test as TensorFlow programs: one call for all their batches.

What a step computes is Keras's: the model's call, its loss, its metrics, its optimizer. What is
left out is Python between the steps, and the float copy of the images.

Imports TensorFlow: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from mnistbench.config import RunConfig
from mnistbench.data import RawImages

_Step = Callable[[Any, Any], Any]


class TensorFlowPrograms:
    """The programs of one model over images that lie on the device."""

    def __init__(self, model: keras.Model, config: RunConfig, jit: bool) -> None:
        """`model` is compiled; `jit`: by XLA, or as a graph."""
        self._model = model
        self._batch_size = config.training.batch_size
        self._classes = None if config.training.loss.startswith("sparse_") else config.facts.classes
        self._jit = jit
        self._epoch: Any = None
        self._tests: list[tuple[RawImages, Any]] = []
        self._samples = 0

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device and compile all that an epoch calls."""
        self._samples = len(images.images)
        self._model.optimizer.build(self._model.trainable_variables)
        placed = _placed(images)
        program = self._compiled(self._epoch_program(images))
        self._epoch = lambda order, steps: program(*placed, order, steps)
        # No step is taken: what a program without steps needs is its tracing and compiling.
        self._epoch(tf.zeros([self._samples], tf.int32), tf.constant(-1)).numpy()
        if validated_on is not None:
            self._test_of(validated_on)(tf.constant(-1)).numpy()

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy."""
        self._model.reset_metrics()
        steps = tf.constant(self._samples // self._batch_size)
        loss = float(self._epoch(tf.constant(order), steps)) / self._samples
        return self._logs(loss)

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""
        program = self._test_of(images)
        self._model.reset_metrics()
        count = len(images.images)
        return self._logs(float(program(tf.constant(count // self._batch_size))) / count)

    def _logs(self, loss: float) -> dict[str, float]:
        results = self._model.get_metrics_result()
        return {**{name: float(value) for name, value in results.items()}, "loss": loss}

    def _compiled(self, program: Callable[..., Any]) -> Any:
        return tf.function(program, jit_compile=self._jit, autograph=False)

    def _test_of(self, images: RawImages) -> Any:
        """Return the test over these images; it is made once."""
        for of, made in self._tests:
            if of is images:
                return made
        placed = _placed(images)
        program = self._compiled(self._test_program(images))
        self._tests.append((images, lambda steps: program(*placed, steps)))
        return self._tests[-1][1]

    def _epoch_program(self, raw: RawImages) -> Callable[..., Any]:
        numbers, size, count = self._numbers(raw), self._batch_size, len(raw.images)

        def epoch(images: Any, labels: Any, order: Any, steps: Any) -> Any:
            def batch(start: Any, length: int) -> tuple[Any, Any]:
                places = tf.slice(order, [start], [length])
                return numbers(tf.gather(images, places), tf.gather(labels, places))

            return _over_batches(batch, self._train_step, steps, count, size)

        return epoch

    def _test_program(self, raw: RawImages) -> Callable[..., Any]:
        numbers, size, count = self._numbers(raw), self._batch_size, len(raw.images)
        sample = [0] * (raw.images.ndim - 1), list(raw.images.shape[1:])

        def test(images: Any, labels: Any, steps: Any) -> Any:
            def batch(start: Any, length: int) -> tuple[Any, Any]:
                part = tf.slice(images, [start, *sample[0]], [length, *sample[1]])
                return numbers(part, tf.slice(labels, [start], [length]))

            return _over_batches(batch, self._test_step, steps, count, size)

        return test

    def _numbers(self, raw: RawImages) -> Callable[[Any, Any], tuple[Any, Any]]:
        def numbers(images: Any, labels: Any) -> tuple[Any, Any]:
            normalized = (tf.cast(images, tf.float32) - raw.offset) / raw.scale
            if self._classes is not None:
                return normalized, tf.one_hot(labels, self._classes)
            return normalized, labels

        return numbers

    def _train_step(self, images: Any, labels: Any) -> Any:
        model = self._model
        with tf.GradientTape() as tape:
            guesses = model(images, training=True)
            loss = model.compute_loss(x=images, y=labels, y_pred=guesses, training=True)
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        model.compute_metrics(images, labels, guesses)
        return loss

    def _test_step(self, images: Any, labels: Any) -> Any:
        model = self._model
        guesses = model(images, training=False)
        loss = model.compute_loss(x=images, y=labels, y_pred=guesses, training=False)
        model.compute_metrics(images, labels, guesses)
        return loss


def _placed(raw: RawImages) -> tuple[Any, Any]:
    return tf.constant(raw.images), tf.constant(raw.labels)


def _over_batches(
    batch: Callable[[Any, int], tuple[Any, Any]], step: _Step, steps: Any, count: int, size: int
) -> Any:
    """Return the sum of the losses over `steps` full batches and the partial last one.

    With a negative number of steps nothing is done, and all is compiled.
    """

    def one_more(number: Any, total: Any) -> tuple[Any, Any]:
        loss = step(*batch(number * size, size))
        return number + 1, total + size * tf.cast(loss, tf.float32)

    first = tf.constant(0), tf.constant(0.0)
    _, total = tf.while_loop(
        lambda number, total: number < steps, one_more, first, parallel_iterations=1
    )
    rest = count % size
    if not rest:
        return total

    def last() -> Any:
        loss = step(*batch(tf.constant(count - rest), rest))
        return total + rest * tf.cast(loss, tf.float32)

    return tf.cond(steps >= 0, last, lambda: total)
