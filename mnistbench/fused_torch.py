"""A training epoch and a test in PyTorch: no step waits for another on the host.

PyTorch has no program for a whole epoch, so that Python goes from step to step, on images that
lie on the device as bytes. What a step computes is Keras's: the model's call, its loss, its
metrics, its optimizer. Imports PyTorch: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import torch

from mnistbench.backends.base import one_hot_classes
from mnistbench.config import RunConfig
from mnistbench.data import RawImages


class TorchPrograms:
    """The loops of one model over images that lie on the device."""

    def __init__(self, model: keras.Model, config: RunConfig, jit: bool) -> None:
        """`model` is compiled for Keras; `jit`: the forward and backward by `torch.compile`."""
        self._model = model
        self._batch_size = config.training.batch_size
        self._classes = one_hot_classes(config)
        self._forward: Callable[..., Any] = self._guess_and_loss
        if jit:
            self._forward = torch.compile(self._guess_and_loss)
        self._placed: list[tuple[RawImages, tuple[Any, Any]]] = []
        self._learnt_from: RawImages

    def compile_training(self, images: RawImages, validated_on: RawImages | None) -> None:
        """Bring the images to the device; `torch.compile` works at the first step of its kind."""
        self._learnt_from = images
        self._model.optimizer.build(self._model.trainable_variables)
        self._on_device(images)
        if validated_on is not None:
            self._on_device(validated_on)

    def train(self, order: npt.NDArray[np.int32]) -> dict[str, float]:
        """Train an epoch on the images in this order; return its mean loss and accuracy."""
        images, labels = self._on_device(self._learnt_from)
        self._model.reset_metrics()
        self._model.train()
        total = torch.zeros((), device=images.device)
        for places in torch.as_tensor(order, device=images.device).split(self._batch_size):
            batch = self._numbers(self._learnt_from, images[places], labels[places])
            total += len(places) * self._train_step(*batch)
        self._model.eval()
        return self._logs(total, len(order))

    def test(self, images: RawImages) -> dict[str, float]:
        """Return mean loss and accuracy over the images."""
        self._model.reset_metrics()
        total = torch.zeros((), device=self._on_device(images)[0].device)
        with torch.no_grad():
            for numbers, labels in self._batches(images):
                guesses, loss = self._forward(numbers, labels, False)
                self._model.compute_metrics(numbers, labels, guesses)
                total += len(numbers) * loss
        return self._logs(total, len(images.images))

    def _batches(self, raw: RawImages) -> Iterator[tuple[Any, Any]]:
        parts = (array.split(self._batch_size) for array in self._on_device(raw))
        for images, labels in zip(*parts, strict=True):
            yield self._numbers(raw, images, labels)

    def _train_step(self, images: Any, labels: Any) -> Any:
        model = self._model
        guesses, loss = self._forward(images, labels, True)
        model.zero_grad()
        model.optimizer.scale_loss(loss).backward()
        weights = model.trainable_variables
        with torch.no_grad():
            model.optimizer.apply([weight.value.grad for weight in weights], weights)
            model.compute_metrics(images, labels, guesses)
        return loss.detach()

    def _guess_and_loss(self, images: Any, labels: Any, training: bool) -> tuple[Any, Any]:
        guesses = self._model(images, training=training)
        loss = self._model.compute_loss(x=images, y=labels, y_pred=guesses, training=training)
        return guesses, loss

    def _logs(self, total: Any, count: int) -> dict[str, float]:
        results = self._model.get_metrics_result()
        return {
            **{name: float(value) for name, value in results.items()},
            "loss": float(total) / count,
        }

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
            return normalized, torch.nn.functional.one_hot(labels.long(), self._classes).float()
        return normalized, labels
