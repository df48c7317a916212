"""The body of `explain`, inside its own process: what `fit` costs where the network costs nothing.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import time
from typing import Any

import keras

from mnistbench import data
from mnistbench.measuring.inside.repeat import start
from mnistbench.measuring.jobs import RepeatJob

_STEPS_A_CALL = 100


def run_input_pipeline(job: RepeatJob) -> float:
    """Return the seconds in which Keras brings an epoch's batches to a step that ignores them.

    Many steps go into one call from Python, so that what is left is the pipeline: shuffling,
    cutting and copying. The first epoch, which traces, is not counted.
    """
    start(job.device, job.seed, job.config)
    dataset = data.select(data.load(job.config), job.config)
    images = data.numbers(dataset, job.config, "train")
    training = job.config.training
    model = _Idle()
    model.compile(steps_per_execution=_STEPS_A_CALL, jit_compile=False)
    clock = _EpochSeconds()
    model.fit(
        images.images,
        images.labels,
        batch_size=training.batch_size,
        shuffle=training.shuffle,
        epochs=2,
        callbacks=[clock],
        verbose=0,
    )
    return clock.seconds[-1]


class _Idle(keras.Model):  # type: ignore[misc]
    """Takes every batch and does nothing with it."""

    def train_step(self, batch: Any) -> dict[str, Any]:
        images, _ = batch
        return {"loss": images[(0,) * images.ndim]}


class _EpochSeconds(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self._start = 0.0
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._start)
