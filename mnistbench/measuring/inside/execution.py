"""How the epochs of a training are run: one class here for each `training.execution`.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from mnistbench import data
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import planned_steps
from mnistbench.data import Dataset, RawImages, Split
from mnistbench.measuring.inside.backends.base import Jit, Replicas, wanted_jit
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.inside.replicas import OneReplica
from mnistbench.measuring.inside.script_stack import as_from_a_script


@dataclass(frozen=True)
class Learned:
    """What a training tells of itself."""

    history: dict[str, list[float]]
    """Loss and accuracy after each epoch: `loss`, `accuracy`, `val_loss`, `val_accuracy`."""
    compile_seconds: float | None
    """Tracing and compiling the epoch's program; None where it cannot be told from a step."""


class Execution(ABC):
    """A way to train and test a compiled model."""

    jit: Jit

    @abstractmethod
    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        device: str,
        seed: int,
        replicas: Replicas | None = None,
    ) -> None:
        """`model` is compiled; `device` is `cpu` or `gpu`, as resolved; `seed` is the repeat's.

        `replicas` are what the model was made on; None for one device.
        """

    @staticmethod
    @abstractmethod
    def images(
        dataset: Dataset,
        config: RunConfig,
        split: Split,
        trained_on: npt.NDArray[np.uint8] | None = None,
    ) -> Any:
        """Return a split as `train` and `test` take it.

        `trained_on` are the images that the network learns from, where not the data set's own.
        """

    @abstractmethod
    def train(
        self,
        images: Any,
        test_images: Any,
        callbacks: Sequence[keras.callbacks.Callback],
        finished_epochs: int,
    ) -> Learned:
        """Train the epochs that are left."""

    @abstractmethod
    def train_further(
        self, images: Any, test_images: Any, callbacks: Sequence[keras.callbacks.Callback]
    ) -> None:
        """Train one more epoch of the same kind, which nobody times; `train` came before."""

    @abstractmethod
    def test(self, images: Any) -> dict[str, float]:
        """Return `loss` and `accuracy`."""


class FitExecution(Execution):
    """Keras's own loop: a call from Python for every step."""

    images = staticmethod(data.numbers)

    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        device: str,
        seed: int,
        replicas: Replicas | None = None,
    ) -> None:
        """`model` is compiled; it was seeded before it was built, and needs no seed here."""
        self._model = model
        self._config = config
        self._replicas = replicas or OneReplica()
        # Of several processes each brings its part of a batch; on one Keras shares it out.
        self._batch_size = config.training.batch_size // self._replicas.processes
        self.jit = keras_jit(model, config)

    def train(
        self,
        images: data.Numbers,
        test_images: data.Numbers,
        callbacks: Sequence[keras.callbacks.Callback],
        finished_epochs: int,
    ) -> Learned:
        """Call `model.fit`."""
        epochs = self._config.training.epochs
        history = self._fit(images, test_images, callbacks, finished_epochs, epochs)
        return Learned(dict(history.history), None)

    def train_further(
        self,
        images: data.Numbers,
        test_images: data.Numbers,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Call `model.fit` for one epoch."""
        self._fit(images, test_images, callbacks, 0, 1)

    def _fit(
        self,
        images: data.Numbers,
        test_images: data.Numbers,
        callbacks: Sequence[keras.callbacks.Callback],
        finished_epochs: int,
        epochs: int,
    ) -> keras.callbacks.History:
        training, part = self._config.training, self._replicas.part
        validation: dict[str, Any] = {}
        if training.validation == "test":
            validation = {
                "validation_data": (*map(part, (test_images.images, test_images.labels)),)
            }
        elif isinstance(training.validation, float):
            validation = {"validation_split": training.validation}
        return as_from_a_script(
            self._model.fit,
            part(images.images),
            part(images.labels),
            epochs=epochs,
            initial_epoch=finished_epochs,
            batch_size=self._batch_size,
            shuffle=training.shuffle,
            callbacks=list(callbacks),
            **validation,
        )

    def test(self, images: data.Numbers) -> dict[str, float]:
        """Call `model.evaluate`."""
        return dict(
            as_from_a_script(
                self._model.evaluate,
                self._replicas.part(images.images),
                self._replicas.part(images.labels),
                batch_size=self._batch_size,
                return_dict=True,
            )
        )


class FusedExecution(Execution):
    """The images on the device as bytes, and the batches of an epoch as one compiled program."""

    images = staticmethod(data.raw_images)

    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        device: str,
        seed: int,
        replicas: Replicas | None = None,
    ) -> None:
        """`device` is `cpu` or `gpu`, as resolved; the order of the images is by `seed`.

        `replicas` are one: the config of a fused epoch has one device.
        """
        self._model = model
        self._config = config
        self._seed = seed
        self.jit = wanted_jit(
            config, backend().automatic_jit(config, device, planned_steps(config))
        )
        self._programs = backend().programs(model, config, self.jit.is_on)

    def train(
        self,
        images: RawImages,
        test_images: RawImages,
        callbacks: Sequence[keras.callbacks.Callback],
        finished_epochs: int,
    ) -> Learned:
        """Compile the epoch's program, then call it once an epoch."""
        learnt_from, validated_on = _with_validation(images, test_images, self._config)
        start = time.perf_counter()
        self._programs.compile_training(learnt_from, validated_on)
        compile_seconds = time.perf_counter() - start
        listeners = keras.callbacks.CallbackList(callbacks, model=self._model)
        history: dict[str, list[float]] = {}
        self._model.stop_training = False
        listeners.on_train_begin()
        for epoch in range(finished_epochs, self._config.training.epochs):
            listeners.on_epoch_begin(epoch)
            logs = self._programs.train(self._order(len(learnt_from.images), epoch))
            if validated_on is not None:
                listeners.on_test_begin()
                tested = self._programs.test(validated_on)
                logs |= {f"val_{name}": value for name, value in tested.items()}
                listeners.on_test_end()
            for name, value in logs.items():
                history.setdefault(name, []).append(value)
            listeners.on_epoch_end(epoch, logs)
            if self._model.stop_training:
                break
        listeners.on_train_end()
        return Learned(history, compile_seconds)

    def train_further(
        self,
        images: RawImages,
        test_images: RawImages,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Call the epoch's program once more: it cannot be left before its end."""
        learnt_from, validated_on = _with_validation(images, test_images, self._config)
        self._programs.train(self._order(len(learnt_from.images), self._config.training.epochs))
        if validated_on is not None:
            self._programs.test(validated_on)

    def test(self, images: RawImages) -> dict[str, float]:
        """Test in one program over all batches."""
        return self._programs.test(images)

    def _order(self, count: int, epoch: int) -> npt.NDArray[np.int32]:
        """Return the order of an epoch's images: its own, and the same after a resume."""
        if not self._config.training.shuffle:
            return np.arange(count, dtype=np.int32)
        generator = np.random.default_rng([self._seed, epoch])
        return generator.permutation(count).astype(np.int32)


EXECUTIONS: dict[str, type[Execution]] = {
    "fit": FitExecution,
    "fused": FusedExecution,
}
"""Each `training.execution`; a new one is a class above and an entry here."""


def training_samples(images: data.Numbers | RawImages, config: RunConfig) -> int:
    """Return how many images an epoch trains on: what a validation fraction leaves."""
    return data.learnt_count(len(images.images), config)


def _with_validation(
    images: RawImages, test_images: RawImages, config: RunConfig
) -> tuple[RawImages, RawImages | None]:
    """Return what is trained on, and what each epoch is validated on; None for no validation."""
    if config.training.validation == "test":
        return images, test_images
    if isinstance(config.training.validation, float):
        count = training_samples(images, config)
        return images.part(0, count), images.part(count, None)
    return images, None


def keras_jit(model: keras.Model, config: RunConfig) -> Jit:
    """Return whether Keras's own loops have the compiled model compiled by XLA, and why."""
    is_on = bool(model.jit_compile)
    return Jit(is_on, wanted_jit(config, Jit(is_on, "Keras's own choice")).reason)
