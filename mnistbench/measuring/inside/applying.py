"""The ways to apply a network: one class here for each entry of `results.inference.WAYS`.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.inside.backends.base import Jit
from mnistbench.measuring.inside.execution import keras_jit
from mnistbench.measuring.inside.framework import backend
from mnistbench.results import inference

Array = npt.NDArray[Any]


class Way(ABC):
    """A way to apply a model: arrays of NumPy in, arrays of NumPy out, so that nothing is left."""

    jit: Jit

    @abstractmethod
    def __init__(
        self, model: keras.Model, config: RunConfig, device: str, batch_size: int, images: Array
    ) -> None:
        """`device` is `cpu` or `gpu`, as resolved; `images` some as it will be given."""

    @abstractmethod
    def one(self, images: Array) -> Array:
        """Return the outputs of one query: a batch."""

    @abstractmethod
    def offline(self, images: Array) -> Array:
        """Return the outputs of all images, batch by batch; they are whole batches."""


class Predict(Way):
    """Keras's own `predict`, without its progress bar, which would take longer than the network."""

    def __init__(
        self, model: keras.Model, config: RunConfig, device: str, batch_size: int, images: Array
    ) -> None:
        """`model` is compiled: whether by XLA is then known."""
        self._model = model
        self._batch_size = batch_size
        self.jit = keras_jit(model, config)

    def one(self, images: Array) -> Array:
        """Call `model.predict`."""
        return np.asarray(self._model.predict(images, batch_size=self._batch_size, verbose=0))

    def offline(self, images: Array) -> Array:
        """Call `model.predict` once: it cuts the batches itself."""
        return self.one(images)


class Call(Way):
    """The model called: operation by operation, without what `predict` does around."""

    jit = Jit(False, "the model called is run operation by operation")

    def __init__(
        self, model: keras.Model, config: RunConfig, device: str, batch_size: int, images: Array
    ) -> None:
        """Nothing is prepared."""
        self._model = model
        self._batch_size = batch_size

    def one(self, images: Array) -> Array:
        """Call the model."""
        return np.asarray(keras.ops.convert_to_numpy(self._model(images, training=False)))

    def offline(self, images: Array) -> Array:
        """Call the model for each batch; results are fetched when all were asked for."""
        parts = _batches(images, self._batch_size)
        return _fetched([self._model(part, training=False) for part in parts])


class Compiled(Way):
    """The model as one program of the framework, made for batches of this size."""

    def __init__(
        self, model: keras.Model, config: RunConfig, device: str, batch_size: int, images: Array
    ) -> None:
        """Trace the model."""
        self._batch_size = batch_size
        batch = images[:batch_size]
        self._program, self.jit = backend().one_program(model, batch, config, device)

    def one(self, images: Array) -> Array:
        """Call the program."""
        return np.asarray(keras.ops.convert_to_numpy(self._program(images)))

    def offline(self, images: Array) -> Array:
        """Call the program for each batch; results are fetched when all were asked for."""
        return _fetched([self._program(part) for part in _batches(images, self._batch_size)])


WAYS: dict[str, type[Way]] = {
    inference.PREDICT: Predict,
    inference.CALL: Call,
    inference.COMPILED: Compiled,
}
"""Each way; a new one is a class above, an entry here and one of `results.inference.WAYS`."""


def _batches(images: Array, size: int) -> Iterator[Array]:
    return (images[start : start + size] for start in range(0, len(images), size))


def _fetched(outputs: list[Any]) -> Array:
    return np.concatenate([keras.ops.convert_to_numpy(each) for each in outputs])
