"""What the peers' programs share: a config's task as plain arrays, and the line they print."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from mnistbench import data
from mnistbench.config.loading import load_config
from mnistbench.config.network import Layer
from mnistbench.config.run_config import RunConfig

LEARNING_RATES = {"adam": 0.001, "rmsprop": 0.001, "sgd": 0.01}
"""Keras's own, where a config names none."""

PRECISE = 1e-7
"""Keras's epsilon; PyTorch, Optax and scikit-learn have 1e-8."""


@dataclass(frozen=True)
class Task:
    """What is to be learnt, from what, and how."""

    layers: list[Layer]
    """From the input to the probabilities of the classes."""
    x_train: npt.NDArray[np.float32]
    """From 0 to 1, (n, values) or (n, height, width, channels)."""
    y_train: npt.NDArray[np.int64]
    """Labels from 0, (n,)."""
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    validates: bool
    """Loss and accuracy of the test set after each epoch, inside the train phase."""
    seed: int

    @property
    def full_steps(self) -> int:
        """Return the steps of an epoch with a whole batch."""
        return len(self.x_train) // self.batch_size

    @property
    def steps(self) -> int:
        """Return the steps of an epoch, the one with the partial batch included."""
        return ceil(len(self.x_train) / self.batch_size)


class Timers:
    """Seconds by phase; `compile` is a share of `train`, known where it can be told apart."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def report(self, accuracy: float, steps: int) -> None:
        """Print one line of JSON on standard error, as the seeds' scripts do."""
        unit_bytes = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes
        line = {
            "seconds": self.seconds, "accuracy": accuracy, "steps": steps, "peak_rss_bytes": peak,
        }  # fmt: skip
        print(json.dumps(line), file=sys.stderr)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the options that every program takes."""
    options = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    options.add_argument("config", nargs="?", default="mnist-dense", help="name of a config")
    options.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE",
                         help="override a field, as in training.epochs=1")  # fmt: skip
    options.add_argument("--seed", type=int, default=0)
    return options


def load_task(name: str, overrides: list[str], seed: int, timers: Timers) -> Task:
    """Read a config and its data under the phases data-load and preprocess."""
    config = load_config(name, overrides)
    with timers.phase("data-load"):
        images = data.select(data.load(config), config)
    with timers.phase("preprocess"):
        shape = config.model.input_shape(config.facts.image_shape)
        x_train, x_test = (
            part.reshape(-1, *shape) / np.float32(255) for part in (images.x_train, images.x_test)
        )
        y_train, y_test = (part.astype(np.int64) for part in (images.y_train, images.y_test))
    return _task(config, seed, x_train, y_train, x_test, y_test)


def _task(
    config: RunConfig, seed: int, x_train: npt.NDArray[np.float32], y_train: npt.NDArray[np.int64],
    x_test: npt.NDArray[np.float32], y_test: npt.NDArray[np.int64],
) -> Task:  # fmt: skip
    training = config.training
    return Task(
        layers=config.model.layers(config.facts.classes),
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
        epochs=training.epochs,
        batch_size=training.batch_size,
        optimizer=training.optimizer,
        learning_rate=training.learning_rate or LEARNING_RATES[training.optimizer],
        validates=training.validation == "test",
        seed=seed,
    )
