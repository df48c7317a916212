"""A training epoch and a test in PyTorch: Keras's step traced once, and replayed batch by batch.

PyTorch has no program for a whole epoch, so that Python goes from step to step; no step waits on
the host for another. What a step computes is Keras's: the model's call, its loss, its metrics are
recorded as PyTorch's own operations, so that Keras's Python runs once and not for every batch;
its optimizer is called as it is. Imports PyTorch: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mnistbench.config.network import Dropout
from mnistbench.config.run_config import RunConfig
from mnistbench.data import RawImages
from mnistbench.measuring.inside.backends.base import one_hot_classes

_Step = Callable[..., Any]


class TorchPrograms:
    """The steps of one model over images that lie on the device."""

    def __init__(self, model: keras.Model, config: RunConfig, jit: bool) -> None:
        """`model` is compiled for Keras; `jit`: whether `torch.compile` takes the full batches."""
        self._model = model
        self._batch_size = config.training.batch_size
        self._classes = one_hot_classes(config)
        self._jit = jit
        # A replayed step would draw the numbers of the first again.
        self._traces_training = not config.has(Dropout)
        self._placed: list[tuple[RawImages, tuple[Any, Any]]] = []
        self._steps: dict[tuple[int, int, bool], _Step] = {}
        self._learnt_from: RawImages

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device and trace all that an epoch calls."""
        self._learnt_from = images
        self._model.optimizer.build(self._model.trainable_variables)
        self._prepare(images, training=True)
        if validated_on is not None:
            self._prepare(validated_on, training=False)

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy."""
        self._model.train()
        results = self._over_batches(self._learnt_from, torch.from_numpy(order), training=True)
        self._model.eval()
        return results

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""
        order = torch.arange(len(images.images), dtype=torch.int32)
        return self._over_batches(images, order, training=False)

    def _over_batches(self, raw: RawImages, order: Any, training: bool) -> dict[str, float]:
        self._prepare(raw, training)  # before the first batch: tracing leaves no metrics behind
        images, labels = self._on_device(raw)
        self._model.reset_metrics()
        total = torch.zeros((), device=images.device)
        weights = self._model.trainable_variables
        for places in order.to(images.device).split(self._batch_size):
            step = self._step(raw, len(places), training)
            with torch.set_grad_enabled(training and not self._traces_training):
                gradients = step(images, labels, places, total)
            if training:
                self._model.optimizer.apply(list(gradients), weights)
        return self._logs(total, len(order))

    def _logs(self, total: Any, count: int) -> dict[str, float]:
        results = self._model.get_metrics_result()
        told = {name: float(value) for name, value in results.items()}
        return {**told, "loss": float(total) / count}

    def _prepare(self, raw: RawImages, training: bool) -> None:
        """Make the steps of both sizes of batches."""
        count = len(raw.images)
        self._on_device(raw)
        for length in {min(self._batch_size, count), count % self._batch_size} - {0}:
            self._step(raw, length, training)

    def _step(self, raw: RawImages, length: int, training: bool) -> _Step:
        """Return the step over batches of this length of these images; it is made once."""
        key = id(raw), length, training
        if key not in self._steps:
            step = self._training_step(raw) if training else self._testing_step(raw)
            if not training or self._traces_training:
                step = self._traced(step, raw, length)
            self._steps[key] = step
        return self._steps[key]

    def _traced(self, step: _Step, raw: RawImages, length: int) -> _Step:
        """Run the step once, recording it; what it did to the metrics is undone."""
        images, labels = self._on_device(raw)
        device = images.device
        places = torch.zeros(length, dtype=torch.int32, device=device)
        arguments = images, labels, places, torch.zeros((), device=device)
        traced: _Step = make_fx(step)(*arguments)
        if self._jit and length == self._batch_size:
            traced = torch.compile(traced)
            with torch.no_grad():
                traced(*arguments)
        self._model.reset_metrics()
        return traced

    def _training_step(self, raw: RawImages) -> _Step:
        def step(images: Any, labels: Any, places: Any, total: Any) -> Any:
            batch = self._numbers(raw, images[places], labels[places])
            loss = self._loss(*batch, total, training=True)
            weights = [weight.value for weight in self._model.trainable_variables]
            return torch.autograd.grad(self._model.optimizer.scale_loss(loss), weights)

        return step

    def _testing_step(self, raw: RawImages) -> _Step:
        def step(images: Any, labels: Any, places: Any, total: Any) -> None:
            with torch.no_grad():
                batch = self._numbers(raw, images[places], labels[places])
                self._loss(*batch, total, training=False)

        return step

    def _loss(self, images: Any, labels: Any, total: Any, training: bool) -> Any:
        model = self._model
        guesses = model(images, training=training)
        loss = model.compute_loss(x=images, y=labels, y_pred=guesses, training=training)
        with torch.no_grad():
            model.compute_metrics(images, labels, guesses)
            total.add_(loss, alpha=len(images))
        return loss

    def _on_device(self, raw: RawImages) -> tuple[Any, Any]:
        """Return the images and labels there; they are brought once."""
        for of, placed in self._placed:
            if of is raw:
                return placed
        device = keras.ops.convert_to_tensor(0.0).device
        placed = torch.from_numpy(raw.images).to(device), torch.from_numpy(raw.labels).to(device)
        self._placed.append((raw, placed))
        return placed

    def _numbers(self, raw: RawImages, images: Any, labels: Any) -> tuple[Any, Any]:
        normalized = (images.to(torch.float32) - raw.offset) / raw.scale
        if self._classes is not None:
            # Not `one_hot`, which looks at the values and so waits for the device.
            return normalized, torch.eye(self._classes, device=labels.device)[labels.int()]
        return normalized, labels
