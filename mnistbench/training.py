"""One repeat, inside its own process: load, preprocess, build, compile, train, test.

The steps are here for `benchmark` and `train` alike; what `train` adds comes as callbacks.
Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from statistics import mean
from typing import Any

import keras
import psutil

from mnistbench import data, models, timing
from mnistbench.config import RunConfig
from mnistbench.execution import EXECUTIONS, Execution, Learned, training_samples
from mnistbench.measuring_process import backend
from mnistbench.tasks import EpochEnded, Metric, RepeatJob, RepeatResult
from mnistbench.timing import Listener, PhaseClock, PhaseRecord


@dataclass(frozen=True)
class Prepared:
    """A network ready to learn, and what it learns from."""

    clock: PhaseClock
    device: str
    """`cpu` or `gpu`, as resolved."""
    startup_seconds: float
    identity: data.DataIdentity
    model: keras.Model
    execution: Execution
    train_images: Any
    """As the execution takes them."""
    test_images: Any


def run_repeat(job: RepeatJob, import_phase: PhaseRecord, tell: Listener) -> RepeatResult:
    """Run every phase once, telling `tell` of each as it starts and ends.

    Raises InputError for data that cannot be read and for a GPU that is not there.
    """
    prepared = prepare(job, tell)
    epochs = EpochClock(tell)
    learned = train(prepared, [epochs, *target_callbacks(job.config)])
    tested = test(prepared.clock, prepared.execution, prepared.test_images)
    return repeat_result(job, prepared, epochs, learned, tested, import_phase)


def prepare(job: RepeatJob, tell: Listener) -> Prepared:
    """Go through the phases up to `compile`."""
    started = time.perf_counter()
    device = start(job.device, job.seed, job.config)
    startup_seconds = time.perf_counter() - started

    clock = PhaseClock(tell)
    whole = load(clock, job.config)
    identity = data.identify(whole, job.config)
    dataset = data.select(whole, job.config)
    del whole
    way = EXECUTIONS[job.config.training.execution]
    with clock.phase(timing.PREPROCESS):
        train_images = way.images(dataset, job.config, "train")
        test_images = way.images(dataset, job.config, "test")
    del dataset
    model = _build(clock, job.config)
    _compile(clock, model, job.config)
    execution = way(model, job.config, device, job.seed)
    return Prepared(
        clock, device, startup_seconds, identity, model, execution, train_images, test_images
    )


def repeat_result(
    job: RepeatJob,
    prepared: Prepared,
    epochs: EpochClock,
    learned: Learned,
    tested: dict[str, float],
    import_phase: PhaseRecord,
    finished_epochs: int = 0,
) -> RepeatResult:
    """Sum up the phases and return them with everything else that was measured."""
    prepared.clock.total()
    samples = training_samples(prepared.train_images, job.config)
    first = finished_epochs + 1
    jit = prepared.execution.jit
    metrics = [
        *_learning_metrics(learned.history, tested, prepared.model, first),
        *_speed_metrics(prepared.clock, epochs, samples, job.config, first),
        *_target_metrics(prepared.clock, learned.history, job.config, finished_epochs),
        Metric("trace_compile_seconds", learned.compile_seconds, "s"),
        *process_metrics(),
        Metric("validation_samples", _validated(prepared, job.config), "1"),
        Metric("startup_seconds", prepared.startup_seconds, "s"),
        Metric("execution", job.config.training.execution, ""),
        Metric("jit_compile", jit.is_on, ""),
        Metric("jit_reason", jit.reason, ""),
        Metric("xla_flags", os.environ.get("XLA_FLAGS"), ""),
        Metric("intra_op_threads", backend().threads(), "1"),
        Metric("seed", job.seed, ""),
        Metric("seed_root", job.config.training.seed, ""),
    ]
    return RepeatResult(
        metrics=tuple(metrics),
        device=prepared.device,
        precision=keras.config.dtype_policy().name,
        identity=prepared.identity,
        import_phase=import_phase,
    )


def _validated(prepared: Prepared, config: RunConfig) -> int:
    """Return how many images each epoch ends with a test of."""
    if config.training.validation == "test":
        return len(prepared.test_images.images)
    whole = len(prepared.train_images.images)
    return whole - training_samples(prepared.train_images, config)


def start(wanted_device: str, seed: int, config: RunConfig) -> str:
    """Choose the device, set the precision, seed every generator; return the device.

    Devices and threads are made here: they are not a phase's doing.
    """
    framework = backend()
    if config.training.deterministic:
        framework.be_deterministic()
    if config.training.execution == "fused":
        framework.prepare_fused(config)
    device = framework.choose_device(wanted_device)
    keras.config.set_dtype_policy(config.training.precision)
    keras.utils.set_random_seed(seed)
    framework.start()
    return device


def load(clock: PhaseClock, config: RunConfig) -> data.Dataset:
    """Read the data under its phase."""
    with clock.phase(timing.DATA_LOAD):
        return data.load(config)


def _build(clock: PhaseClock, config: RunConfig) -> keras.Model:
    with clock.phase(timing.BUILD):
        model = models.build_model(config)
        backend().wait()
    return model


def _compile(clock: PhaseClock, model: keras.Model, config: RunConfig) -> None:
    with clock.phase(timing.COMPILE):
        models.compile_model(model, config)


def train(
    prepared: Prepared, callbacks: list[keras.callbacks.Callback], finished_epochs: int = 0
) -> Learned:
    """Train the epochs that are left under the phase."""
    with prepared.clock.phase(timing.TRAIN):
        learned = prepared.execution.train(
            prepared.train_images, prepared.test_images, callbacks, finished_epochs
        )
        backend().wait()
    return learned


def test(clock: PhaseClock, execution: Execution, images: Any) -> dict[str, float]:
    """Return loss and accuracy on images as the execution takes them, under the phase."""
    with clock.phase(timing.TEST):
        tested = execution.test(images)
        backend().wait()
    return tested


def target_callbacks(config: RunConfig) -> list[keras.callbacks.Callback]:
    """Return what ends the training at the config's target accuracy, if it has one."""
    target = config.training.target_accuracy
    return [] if target is None else [_UntilAccurate(target)]


class _UntilAccurate(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends the training after the first epoch whose validation reaches the target."""

    def __init__(self, target: float) -> None:
        super().__init__()
        self._target = target

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if (logs or {})["val_accuracy"] >= self._target:
            self.model.stop_training = True


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
        self._first_step_start: int | None = None
        self.first_step_seconds: float | None = None
        self.epoch_seconds: list[float] = []
        """Wall time of each epoch, validation included."""
        self.training_seconds: list[float] = []
        """Wall time of the training steps of each epoch."""

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Start the epoch's clock."""
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
        self._training_end = time.perf_counter_ns()
        self._end_first_step()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Stop the epoch's clock and tell."""
        end = time.perf_counter_ns()
        self._end_first_step()
        self.epoch_seconds.append((end - self._epoch_start) / 1e9)
        training_end = self._training_end or end
        self.training_seconds.append((training_end - self._epoch_start) / 1e9)
        self._tell(EpochEnded(epoch + 1))

    def _end_first_step(self) -> None:
        # No step is told of where an epoch is one program.
        if self.first_step_seconds is None and self._first_step_start is not None:
            self.first_step_seconds = (time.perf_counter_ns() - self._first_step_start) / 1e9


def _learning_metrics(
    history: dict[str, list[float]],
    tested: dict[str, float],
    model: keras.Model,
    first_epoch: int,
) -> list[Metric]:
    metrics = [
        Metric("test_loss", tested["loss"], ""),
        Metric("test_accuracy", tested["accuracy"], "1"),
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
    for epoch, (loss, accuracy) in enumerate(
        zip(history["loss"], history["accuracy"], strict=True), start=first_epoch
    ):
        metrics += [
            Metric(f"epoch_{epoch}_train_loss", loss, ""),
            Metric(f"epoch_{epoch}_train_accuracy", accuracy, "1"),
        ]
    return metrics


def _speed_metrics(
    clock: PhaseClock,
    epochs: EpochClock,
    samples: int,
    config: RunConfig,
    first_epoch: int,
) -> list[Metric]:
    steps_per_epoch = -(-samples // config.training.batch_size)
    steps = steps_per_epoch * len(epochs.epoch_seconds)
    train_seconds = clock.records[timing.TRAIN].seconds
    metrics = [
        Metric("train_samples", samples, "1"),
        Metric("steps_per_epoch", steps_per_epoch, "1"),
        Metric("train_steps", steps, "1"),
        Metric("first_step_seconds", epochs.first_step_seconds, "s"),
        Metric("steady_step_seconds", _steady_step_seconds(epochs, steps), "s"),
    ]
    if train_seconds:
        seen = samples * len(epochs.epoch_seconds)
        metrics.append(Metric("train_samples_per_second", seen / train_seconds, "samples/s"))
    metrics += [
        Metric(f"epoch_{epoch}_seconds", seconds, "s")
        for epoch, seconds in enumerate(epochs.epoch_seconds, start=first_epoch)
    ]
    metrics.append(Metric("epoch_mean_seconds", mean(epochs.epoch_seconds), "s"))
    return metrics


def _target_metrics(
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
    phases = (timing.DATA_LOAD, timing.PREPROCESS, timing.BUILD, timing.COMPILE, timing.TRAIN)
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
