"""What a repeat measures beside its phases: learning, speed, memory, and what the kernel did.

Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import math
import sys
import time
from statistics import mean

import keras
import psutil

from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.jobs import EpochEnded, Listener
from mnistbench.results.phases import (
    BUILD,
    COMPILE,
    DATA_LOAD,
    PREPROCESS,
    TEST,
    TRAIN,
)
from mnistbench.results.rows import Metric


class EpochClock(keras.callbacks.Callback):  # type: ignore[misc]
    """What of ours is on the timed path: a timestamp an epoch, and one for the first step.

    `on_train_batch_end` is left alone on purpose: where Keras can call callbacks beside the
    training, one that has it makes it call them all in step.
    """

    def __init__(self, tell: Listener) -> None:
        """`tell` receives an EpochEnded for each epoch."""
        super().__init__()
        self._tell = tell
        self._epoch_start = 0
        self._training_end = 0
        self._teardown_start = 0.0
        self._training_teardown_seconds = 0.0
        self._first_step_start: int | None = None
        self.first_step_seconds: float | None = None
        self.epoch_seconds: list[float] = []
        """Wall time of each epoch, validation included."""
        self.training_seconds: list[float] = []
        """Wall time of the training steps of each epoch, without the release of the last one's
        input pipeline, which falls before the first of them."""

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Start the epoch's clock."""
        self._teardown_start = backend().teardown_seconds() or 0.0
        self._epoch_start = time.perf_counter_ns()
        self._training_end = 0

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """Time from the first step to the second: what the first one took."""
        if self._first_step_start is None:
            self._first_step_start = time.perf_counter_ns()
        else:
            self._end_first_step()

    def on_test_begin(self, logs: object = None) -> None:
        """Note where training ends and validation begins."""
        self._end_training()
        self._end_first_step()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Stop the epoch's clock and tell."""
        end = time.perf_counter_ns()
        self._end_first_step()
        if not self._training_end:
            self._end_training()
        self.epoch_seconds.append((end - self._epoch_start) / 1e9)
        steps_seconds = (self._training_end - self._epoch_start) / 1e9
        self.training_seconds.append(steps_seconds - self._training_teardown_seconds)
        self._tell(EpochEnded(epoch + 1))

    def _end_training(self) -> None:
        self._training_end = time.perf_counter_ns()
        teardown = backend().teardown_seconds() or 0.0
        self._training_teardown_seconds = teardown - self._teardown_start

    def _end_first_step(self) -> None:
        # No step is told of where an epoch is one program.
        if self.first_step_seconds is None and self._first_step_start is not None:
            self.first_step_seconds = (time.perf_counter_ns() - self._first_step_start) / 1e9


def learning_metrics(
    history: dict[str, list[float]],
    tested: dict[str, float] | None,
    model: keras.Model,
    first_epoch: int,
) -> list[Metric]:
    """Return losses and accuracies, of a test if there was one, the training and each epoch."""
    metrics = []
    if tested is not None:
        metrics += [
            Metric("test_loss", tested["loss"], ""),
            Metric("test_accuracy", tested["accuracy"], "1"),
        ]
    metrics += [
        Metric("train_loss", history["loss"][-1], ""),
        Metric("train_accuracy", history["accuracy"][-1], "1"),
    ]
    if "val_loss" in history:
        metrics += [
            Metric("validation_loss", history["val_loss"][-1], ""),
            Metric("validation_accuracy", history["val_accuracy"][-1], "1"),
        ]
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    metrics += [
        Metric("parameters", model.count_params(), "1"),
        Metric("parameters_trainable", trainable, "1"),
    ]
    return [*metrics, *_epoch_metrics(history, first_epoch)]


def _epoch_metrics(history: dict[str, list[float]], first_epoch: int) -> list[Metric]:
    """Return losses and accuracies of each epoch, on the validation set too where there is one."""
    figures = (
        ("train_loss", "loss", ""), ("train_accuracy", "accuracy", "1"),
        ("validation_loss", "val_loss", ""), ("validation_accuracy", "val_accuracy", "1"),
    )  # fmt: skip
    return [
        Metric(f"epoch_{first_epoch + place}_{figure}", history[name][place], unit)
        for place in range(len(history["loss"]))
        for figure, name, unit in figures
        if name in history
    ]


def speed_metrics(
    clock: PhaseClock,
    epochs: EpochClock,
    samples: int,
    config: RunConfig,
    first_epoch: int,
) -> list[Metric]:
    """Return steps and samples, their rates, and the time of each epoch."""
    steps_per_epoch = -(-samples // config.training.batch_size)
    steps = steps_per_epoch * len(epochs.epoch_seconds)
    train_seconds = clock.records[TRAIN].seconds
    metrics = [
        Metric("train_samples", samples, "1"),
        Metric("steps_per_epoch", steps_per_epoch, "1"),
        Metric("train_steps", steps, "1"),
        Metric("first_step_seconds", epochs.first_step_seconds, "s"),
        Metric("steady_step_seconds", _steady_step_seconds(epochs, steps), "s"),
        Metric("train_cpu_seconds", clock.records[TRAIN].cpu_seconds, "s"),
    ]
    if train_seconds:
        seen = samples * len(epochs.epoch_seconds)
        metrics.append(Metric("train_samples_per_second", seen / train_seconds, "samples/s"))
    metrics += [
        Metric(f"epoch_{epoch}_seconds", seconds, "s")
        for epoch, seconds in enumerate(epochs.epoch_seconds, start=first_epoch)
    ]
    metrics.append(Metric("epoch_mean_seconds", mean(epochs.epoch_seconds), "s"))
    return [*metrics, *_teardown_metrics(clock)]


def _teardown_metrics(clock: PhaseClock) -> list[Metric]:
    """Return what of `train` and `test` went into releasing input pipelines, and what is left."""
    metrics = []
    for phase in (TRAIN, TEST):
        if phase not in clock.records:  # what a search ended early is not tested
            continue
        seconds, teardown = clock.records[phase].seconds, clock.records[phase].teardown_seconds
        left = None if seconds is None or teardown is None else seconds - teardown
        metrics += [
            Metric(f"{phase}_teardown_seconds", teardown, "s"),
            Metric(f"{phase}_without_teardown_seconds", left, "s"),
        ]
    return metrics


def target_metrics(
    clock: PhaseClock, history: dict[str, list[float]], config: RunConfig, finished_epochs: int
) -> list[Metric]:
    """Return whether and when the target accuracy was reached, by MLPerf's rule.

    The clock runs from the first touch of the data, every evaluation inside it, to the end of
    the one that reached the target; a training that never did has no time.
    """
    target = config.training.target_accuracy
    if target is None:
        return []
    reached = history["val_accuracy"][-1] >= target
    # Of a resumed training only a part of the time is known.
    timed = reached and not finished_epochs
    phases = (DATA_LOAD, PREPROCESS, BUILD, COMPILE, TRAIN)
    seconds = sum(clock.records[phase].seconds or 0.0 for phase in phases)
    epochs = finished_epochs + len(history["val_accuracy"])
    return [
        Metric("target_accuracy", target, "1"),
        Metric("target_reached", reached, ""),
        Metric("time_to_accuracy_seconds", seconds if timed else None, "s"),
        Metric("epochs_to_accuracy", epochs if reached else None, "1"),
    ]


def _steady_step_seconds(epochs: EpochClock, steps: int) -> float | None:
    """Return the mean over all steps but the first, which holds tracing and XLA.

    Where an epoch is one program, compiled before, no step is set apart.
    """
    first = epochs.first_step_seconds
    if first is None:
        return sum(epochs.training_seconds) / steps
    return (sum(epochs.training_seconds) - first) / (steps - 1) if steps > 1 else None


def process_metrics() -> list[Metric]:
    """Return processor time, memory, and what the kernel did to this process so far."""
    times = psutil.Process().cpu_times()
    return [
        Metric("cpu_user_seconds", times.user, "s"),
        Metric("cpu_system_seconds", times.system, "s"),
        Metric("peak_rss_bytes", _peak_rss_bytes(), "bytes"),
        *_kernel_counts(),
    ]


def _kernel_counts() -> list[Metric]:
    """Return how often a thread gave up its core, or had to, and how often memory was missing."""
    names = (
        "context_switches_voluntary", "context_switches_involuntary",
        "page_faults_minor", "page_faults_major",
    )  # fmt: skip
    counts: tuple[int | None, ...] = (None,) * len(names)  # Windows counts nothing of the kind
    if sys.platform != "win32":
        import resource

        # psutil has the switches of the first thread only.
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counts = (usage.ru_nvcsw, usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt)
    return [Metric(name, count, "1") for name, count in zip(names, counts, strict=True)]


def _peak_rss_bytes() -> int:
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource

    # The kernel counts kilobytes on Linux and bytes on macOS.
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes
