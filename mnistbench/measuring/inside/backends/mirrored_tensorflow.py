"""Several devices on TensorFlow: MirroredStrategy. Only measuring processes import this module."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf


class MirroredReplicas:
    """A copy of the model on each device, the gradients summed after each step.

    The collective is the strategy's default, NCCL between GPUs: Keras calls every step by itself
    here. Several steps in one call (`steps_per_execution`) would need HierarchicalCopyAllReduce.
    """

    def __init__(self, device: str, count: int) -> None:
        """`device` is `cpu` or `gpu`; there are at least `count` of it."""
        names = [f"{device.upper()}:{number}" for number in range(count)]
        self._strategy = tf.distribute.MirroredStrategy(names)
        self.count = int(self._strategy.num_replicas_in_sync)
        self.processes = 1

    def scope(self) -> AbstractContextManager[Any]:
        """Return within what the model is made."""
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def shares(self, batch_size: int) -> list[int]:
        """Return how many images of a batch each replica gets, as TensorFlow deals them out."""
        batches = tf.data.Dataset.range(batch_size).batch(batch_size)
        batch = next(iter(self._strategy.experimental_distribute_dataset(batches)))
        return [len(part) for part in self._strategy.experimental_local_results(batch)]

    def part(self, array: Any) -> Any:
        """Return what this process brings of an array: all of it."""
        return array

    def copies(self, model: Any) -> list[Sequence[npt.NDArray[Any]]]:
        """Return the copies of each weight that training changes."""
        return [
            [np.array(copy) for copy in self._strategy.experimental_local_results(variable.value)]
            for variable in model.trainable_variables
        ]

    def leave(self) -> None:
        """Do nothing: there is one process."""
