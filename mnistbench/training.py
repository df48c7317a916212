"""One repeat, inside its own process: load, preprocess, build, compile, train, test.

The steps are here for `benchmark` and `train` alike; what `train` adds comes as callbacks.
Imports TensorFlow: only measuring processes import this module.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from statistics import mean
from typing import Any

import keras
import psutil
import tensorflow as tf

from mnistbench import data, models, timing
from mnistbench.config import RunConfig
from mnistbench.tasks import EpochEnded, Metric, RepeatJob, RepeatResult
from mnistbench.tensorflow_process import choose_device
from mnistbench.timing import Listener, PhaseClock, PhaseRecord


@dataclass(frozen=True)
class Prepared:
    """A network ready to learn, and what it learns from."""

    clock: PhaseClock
    device: str
    """`cpu` or `gpu`, as resolved."""
    startup_seconds: float
    identity: data.DataIdentity
    numbers: data.NetworkData
    model: keras.Model


def run_repeat(job: RepeatJob, import_phase: PhaseRecord, tell: Listener) -> RepeatResult:
    """Run every phase once, telling `tell` of each as it starts and ends.

    Raises InputError for data that cannot be read and for a GPU that is not there.
    """
    prepared = prepare(job, tell)
    epochs = EpochClock(tell)
    history = train(prepared, job.config, [epochs])
    numbers = prepared.numbers
    tested = test(prepared.clock, prepared.model, numbers.x_test, numbers.y_test, job.config)
    return repeat_result(job, prepared, epochs, history, tested, import_phase)


def prepare(job: RepeatJob, tell: Listener) -> Prepared:
    """Go through the phases up to `compile`."""
    started = time.perf_counter()
    device = choose_device(job.device)
    start_from(job.seed, job.config)
    startup_seconds = time.perf_counter() - started

    clock = PhaseClock(tell)
    whole = load(clock, job.config)
    identity = data.identify(whole, job.config)
    dataset = data.select(whole, job.config)
    del whole
    numbers = _preprocess(clock, dataset, job.config)
    del dataset
    model = _build(clock, job.config)
    _compile(clock, model, job.config)
    return Prepared(clock, device, startup_seconds, identity, numbers, model)


def repeat_result(
    job: RepeatJob,
    prepared: Prepared,
    epochs: EpochClock,
    history: dict[str, list[float]],
    tested: dict[str, float],
    import_phase: PhaseRecord,
    finished_epochs: int = 0,
) -> RepeatResult:
    """Sum up the phases and return them with everything else that was measured."""
    prepared.clock.total()
    samples = training_samples(prepared, job.config)
    first = finished_epochs + 1
    metrics = [
        *_learning_metrics(history, tested, prepared.model, first),
        *_speed_metrics(prepared.clock, epochs, samples, job.config, first),
        *process_metrics(),
        Metric("startup_seconds", prepared.startup_seconds, "s"),
        Metric("jit_compile", bool(prepared.model.jit_compile), ""),
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


def training_samples(prepared: Prepared, config: RunConfig) -> int:
    """Return how many images an epoch trains on."""
    samples = len(prepared.numbers.x_train)
    if isinstance(config.training.validation, float):
        samples = int(samples * (1 - config.training.validation))
    return samples


def start_from(seed: int, config: RunConfig) -> None:
    """Seed every generator and make TensorFlow's devices."""
    keras.utils.set_random_seed(seed)
    if config.training.deterministic:
        tf.config.experimental.enable_op_determinism()
    # TensorFlow makes its devices and threads at the first operation: not a phase's doing.
    tf.constant(0.0).numpy()


def load(clock: PhaseClock, config: RunConfig) -> data.Dataset:
    """Read the data under its phase."""
    with clock.phase(timing.DATA_LOAD):
        return data.load(config)


def _preprocess(clock: PhaseClock, dataset: data.Dataset, config: RunConfig) -> data.NetworkData:
    with clock.phase(timing.PREPROCESS):
        return data.network_data(dataset, config)


def _build(clock: PhaseClock, config: RunConfig) -> keras.Model:
    with clock.phase(timing.BUILD):
        model = models.build_model(config)
        _wait_for_device()
    return model


def _compile(clock: PhaseClock, model: keras.Model, config: RunConfig) -> None:
    with clock.phase(timing.COMPILE):
        models.compile_model(model, config)


def train(
    prepared: Prepared,
    config: RunConfig,
    callbacks: list[keras.callbacks.Callback],
    finished_epochs: int = 0,
) -> dict[str, list[float]]:
    """Train the epochs that are left under the phase; return Keras's history of them."""
    training, numbers = config.training, prepared.numbers
    validation: dict[str, Any] = {}
    if training.validation == "test":
        validation = {"validation_data": (numbers.x_test, numbers.y_test)}
    elif isinstance(training.validation, float):
        validation = {"validation_split": training.validation}
    with prepared.clock.phase(timing.TRAIN):
        history = prepared.model.fit(
            numbers.x_train,
            numbers.y_train,
            epochs=training.epochs,
            initial_epoch=finished_epochs,
            batch_size=training.batch_size,
            shuffle=training.shuffle,
            callbacks=callbacks,
            **validation,
        )
        _wait_for_device()
    return dict(history.history)


def test(
    clock: PhaseClock, model: keras.Model, images: Any, labels: Any, config: RunConfig
) -> dict[str, float]:
    """Return loss and accuracy on images as the network takes them, under the phase."""
    with clock.phase(timing.TEST):
        tested = model.evaluate(
            images, labels, batch_size=config.training.batch_size, return_dict=True
        )
        _wait_for_device()
    return dict(tested)


def _wait_for_device() -> None:
    """Return when every operation sent to the device has finished."""
    tf.test.experimental.sync_devices()


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
        if self.first_step_seconds is None:
            self._time_first_step()

    def on_test_begin(self, logs: object = None) -> None:
        """Note where training ends and validation begins."""
        self._training_end = time.perf_counter_ns()
        if self.first_step_seconds is None:
            self._time_first_step()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Stop the epoch's clock and tell."""
        end = time.perf_counter_ns()
        if self.first_step_seconds is None:
            self._time_first_step()
        self.epoch_seconds.append((end - self._epoch_start) / 1e9)
        training_end = self._training_end or end
        self.training_seconds.append((training_end - self._epoch_start) / 1e9)
        self._tell(EpochEnded(epoch + 1))

    def _time_first_step(self) -> None:
        now = time.perf_counter_ns()
        if self._first_step_start is None:
            self._first_step_start = now
        else:
            self.first_step_seconds = (now - self._first_step_start) / 1e9


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


def _steady_step_seconds(epochs: EpochClock, steps: int) -> float | None:
    """Return the mean over all steps but the first, which holds tracing and XLA."""
    if steps < 2 or epochs.first_step_seconds is None:
        return None
    return (sum(epochs.training_seconds) - epochs.first_step_seconds) / (steps - 1)


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
