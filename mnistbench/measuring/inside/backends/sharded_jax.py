"""Several devices on JAX: Keras's DataParallel. Only measuring processes import this module."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import keras
import numpy as np
import numpy.typing as npt
from jax.experimental import multihost_utils

from mnistbench.errors import RunError


def join_others(coordinator: str, processes: int, number: int) -> None:
    """Make this process one of several, before any device is made.

    `coordinator` is the address at which process 0 listens, and `number` this one's, from 0.
    """
    # What sums gradients between CPUs; JAX's older versions have none by default.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(coordinator, processes, number)


class ShardedReplicas:
    """A copy of the weights on each device; XLA sums the gradients within the step."""

    def __init__(self, a_process: int) -> None:
        """`a_process` devices of each process take part; each has at least as many."""
        self.processes = jax.process_count()
        self._devices = [
            device
            for process in range(self.processes)
            for device in [d for d in jax.devices() if d.process_index == process][:a_process]
        ]
        names = [f"{device.platform}:{device.id}" for device in self._devices]
        # Each process brings its own part of the images: `part`.
        self._distribution = keras.distribution.DataParallel(
            devices=names, auto_shard_dataset=False
        )
        # For the process, as it also holds for what is saved and loaded later.
        keras.distribution.set_distribution(self._distribution)
        self.count = int(self._distribution.num_model_replicas)

    def scope(self) -> AbstractContextManager[Any]:
        """Return within what the model is made: nothing special, as all of the process is."""
        return nullcontext()

    def shares(self, batch_size: int) -> list[int]:
        """Return how many images of a batch each replica gets, by the layout that `fit` uses."""
        layout = self._distribution.get_data_layout((batch_size, 1)).backend_layout
        of_devices = layout.devices_indices_map((batch_size, 1))
        return [len(range(batch_size)[of_devices[device][0]]) for device in self._devices]

    def part(self, array: Any) -> Any:
        """Return what this process brings of an array: every so many-th image."""
        return array if self.processes == 1 else array[jax.process_index() :: self.processes]

    def copies(self, model: Any) -> list[Sequence[npt.NDArray[Any]]]:
        """Return the copies of each weight that training changes, those of other processes too.

        Raises RunError for a weight that is cut among devices, or differs in another process.
        """
        return [self._copies(variable) for variable in model.trainable_variables]

    def _copies(self, variable: Any) -> list[npt.NDArray[Any]]:
        value = variable.value
        if not value.is_fully_replicated:
            raise RunError(f"{variable.path} is cut among devices, and not copied to each")
        mine = [np.asarray(shard.data) for shard in value.addressable_shards]
        others = len(value.sharding.device_set) - len(mine)
        if self.processes > 1:
            # Fails in all of them where it is not.
            multihost_utils.assert_equal(mine[0], f"{variable.path} differs between processes")
        return [*mine, *[mine[0]] * others]

    def leave(self) -> None:
        """Let the other processes go: whoever ended before the last would break off the rest."""
        if self.processes > 1:
            jax.distributed.shutdown()
