"""One model or several copies of it in step: how many, what each gets, and whether it is so.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.config.devices import (
    check_even,
    check_seen,
    devices_a_process,
    is_parallel,
    split_counts,
)
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import RunError
from mnistbench.measuring.inside.backends.base import Replicas
from mnistbench.measuring.inside.framework import backend
from mnistbench.results.rows import Metric


class OneReplica:
    """A model on one device."""

    count = 1
    processes = 1

    def scope(self) -> AbstractContextManager[Any]:
        """Return within what the model is made."""
        return nullcontext()

    def shares(self, batch_size: int) -> list[int]:
        """Return the images of a batch."""
        return [batch_size]

    def part(self, array: Any) -> Any:
        """Return all of an array."""
        return array

    def copies(self, model: Any) -> list[Sequence[npt.NDArray[Any]]]:
        """Return nothing: nobody else has a copy."""
        return []

    def leave(self) -> None:
        """Do nothing."""


def make_replicas(config: RunConfig, device: str) -> Replicas:
    """Return what a config asks for, on `cpu` or `gpu`; the devices have been made.

    Raises InputError for more than there are, and RunError where the framework takes another
    number of them, or deals out a batch unequally: figures of that would be given out as others.
    """
    if not is_parallel(config):
        return OneReplica()
    seen = backend().device_count(device)
    check_seen(config, device, seen)
    a_process, training = devices_a_process(config, seen), config.training
    replicas = backend().replicas(device, a_process)
    wanted = a_process * training.processes
    if (replicas.count, replicas.processes) != (wanted, training.processes):
        raise RunError(
            f"{wanted} replicas in {training.processes} processes were asked for, and "
            f"{backend().title} has {replicas.count} in {replicas.processes}; nothing was measured"
        )
    shares = replicas.shares(training.batch_size)
    if shares != [training.batch_size // wanted] * wanted:
        raise RunError(
            f"{backend().title} deals out {training.batch_size} images as {shares} to {wanted} "
            "replicas; nothing was measured"
        )
    return replicas


def check_counts(replicas: Replicas, config: RunConfig, train: int, test: int) -> None:
    """Raise InputError where the images read, of a user's own copy, make unequal batches."""
    if replicas.count > 1:
        check_even(config, replicas.count, split_counts(config, train, test))


def check_in_sync(replicas: Replicas, model: Any) -> None:
    """Raise RunError unless every replica has a copy of the trained weights, and all are equal."""
    if replicas.count == 1:
        return
    for copies in replicas.copies(model):
        if len(copies) != replicas.count:
            raise RunError(
                f"{replicas.count} replicas were asked for, and weights have {len(copies)} copies: "
                "the training was not distributed"
            )
        if not all(np.array_equal(copies[0], copy, equal_nan=True) for copy in copies[1:]):
            raise RunError("the replicas' weights differ after the training: it was not in sync")


def replica_metrics(replicas: Replicas, config: RunConfig) -> list[Metric]:
    """Return how many replicas trained, and what each got of a batch."""
    batch_size = config.training.batch_size
    return [
        Metric("replicas_in_sync", replicas.count, "1"),
        Metric("training_processes", replicas.processes, "1"),
        Metric("global_batch_size", batch_size, "1"),
        Metric("replica_batch_size", batch_size // replicas.count, "1"),
    ]
