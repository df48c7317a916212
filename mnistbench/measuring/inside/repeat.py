"""One repeat, inside its own process: load, preprocess, build, compile, train, test.

The steps are here for `benchmark` and `train` alike; what `train` adds comes as callbacks.
Imports Keras: only measuring processes import this module.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import Any

import keras

from mnistbench import data
from mnistbench.config.devices import is_parallel
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import fresh_bytes
from mnistbench.errors import RunError
from mnistbench.measuring.child import wait_for
from mnistbench.measuring.clock import PhaseClock
from mnistbench.measuring.inside import memory, models
from mnistbench.measuring.inside.backends.base import Replicas
from mnistbench.measuring.inside.execution import EXECUTIONS, Execution, Learned, training_samples
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.inside.measures import (
    EpochClock,
    learning_metrics,
    process_metrics,
    speed_metrics,
    target_metrics,
)
from mnistbench.measuring.inside.replicas import (
    check_counts,
    check_in_sync,
    make_replicas,
    replica_metrics,
)
from mnistbench.measuring.jobs import (
    EpochLearnt,
    GoOn,
    Listener,
    Member,
    Prune,
    RepeatJob,
    RepeatResult,
)
from mnistbench.results.phases import (
    BUILD,
    COMPILE,
    DATA_LOAD,
    PREPROCESS,
    TEST,
    TRAIN,
    PhaseRecord,
)
from mnistbench.results.rows import Metric


@dataclass(frozen=True)
class Prepared:
    """A network ready to learn, and what it learns from."""

    clock: PhaseClock
    device: str
    """`cpu` or `gpu`, as resolved."""
    startup_seconds: float
    memory_seconds: float | None
    """Bringing in the memory that it will need; None where that is not possible."""
    identity: data.DataIdentity
    model: keras.Model
    execution: Execution
    train_images: Any
    """As the execution takes them."""
    test_images: Any
    replicas: Replicas


def run_repeat(job: RepeatJob, import_phase: PhaseRecord, tell: Listener) -> RepeatResult:
    """Run every phase once, telling `tell` of each as it starts and ends.

    A training that was pruned is not tested. Raises InputError for data that cannot be read and for
    a GPU that is not there.
    """
    prepared = prepare(job, tell)
    epochs = EpochClock(tell)
    asking = _Asking(prepared.clock, job.config.training.epochs, tell) if job.asks else None
    callbacks = [epochs, *target_callbacks(job.config), *([asking] if asking else [])]
    learned = train(prepared, callbacks)
    tested = None
    if asking is None or asking.pruned_epoch is None:
        tested = test(prepared.clock, prepared.execution, prepared.test_images)
    result = repeat_result(job, prepared, epochs, learned, tested, import_phase)
    prepared.replicas.leave()
    return result if asking is None else asking.told_in(result)


def prepare(job: RepeatJob, tell: Listener) -> Prepared:
    """Go through the phases up to `compile`."""
    started = time.perf_counter()
    device = start(job.device, job.seed, job.config, job.member)
    replicas = make_replicas(job.config, device)
    startup_seconds = time.perf_counter() - started
    memory_seconds = memory.bring_in(fresh_bytes(job.config))

    clock = PhaseClock(tell, backend().teardown_seconds)
    whole = load(clock, job.config)
    identity = data.identify(whole, job.config)
    dataset = data.select(whole, job.config)
    del whole
    way = EXECUTIONS[job.config.training.execution]
    with clock.phase(PREPROCESS):
        train_images = way.images(dataset, job.config, "train")
        test_images = way.images(dataset, job.config, "test")
    del dataset
    memory.drop_as_a_script_does()
    check_counts(replicas, job.config, len(train_images.images), len(test_images.images))
    with replicas.scope():
        model = _build(clock, job.config)
        _compile(clock, model, job.config)
    execution = way(model, job.config, device, job.seed, replicas)
    return Prepared(
        clock, device, startup_seconds, memory_seconds,
        identity, model, execution, train_images, test_images, replicas,
    )  # fmt: skip


def repeat_result(
    job: RepeatJob,
    prepared: Prepared,
    epochs: EpochClock,
    learned: Learned,
    tested: dict[str, float] | None,
    import_phase: PhaseRecord,
    finished_epochs: int = 0,
) -> RepeatResult:
    """Sum up the phases and return them with everything else that was measured.

    Raises RunError where replicas were not in sync.
    """
    prepared.clock.total()
    check_in_sync(prepared.replicas, prepared.model)
    samples = training_samples(prepared.train_images, job.config)
    first = finished_epochs + 1
    metrics = [
        *learning_metrics(learned.history, tested, prepared.model, first),
        *speed_metrics(prepared.clock, epochs, samples, job.config, first),
        *target_metrics(prepared.clock, learned.history, job.config, finished_epochs),
        Metric("trace_compile_seconds", learned.compile_seconds, "s"),
        *process_metrics(),
        Metric("validation_samples", _validated(prepared, job.config), "1"),
        Metric("test_samples", len(prepared.test_images.images), "1"),
        Metric("startup_seconds", prepared.startup_seconds, "s"),
        Metric("memory_seconds", prepared.memory_seconds, "s"),
        *_settings(job, prepared),
    ]
    return RepeatResult(
        metrics=tuple(metrics),
        backend=keras.backend.backend(),
        device=prepared.device,
        precision=keras.config.dtype_policy().name,
        identity=prepared.identity,
        import_phase=import_phase,
    )


def _settings(job: RepeatJob, prepared: Prepared) -> list[Metric]:
    """Return how it was run: what was asked for, and what became of it here."""
    jit = prepared.execution.jit
    return [
        *replica_metrics(prepared.replicas, job.config),
        Metric("execution", job.config.training.execution, ""),
        Metric("jit_compile", jit.is_on, ""),
        Metric("jit_reason", jit.reason, ""),
        Metric("onednn", backend().has_onednn(), ""),
        Metric("xla_flags", os.environ.get("XLA_FLAGS"), ""),
        Metric("intra_op_threads", backend().threads(), "1"),
        Metric("seed", job.seed, ""),
        Metric("seed_root", job.config.training.seed, ""),
    ]


def _validated(prepared: Prepared, config: RunConfig) -> int:
    """Return how many images each epoch ends with a test of."""
    if config.training.validation == "test":
        return len(prepared.test_images.images)
    whole = len(prepared.train_images.images)
    return whole - training_samples(prepared.train_images, config)


def start(wanted_device: str, seed: int, config: RunConfig, member: Member | None = None) -> str:
    """Choose the device, set the precision, seed every generator; return the device.

    Devices and threads are made here: they are not a phase's doing. Raises RunError in a process of
    another framework: its times would be given out as those of the config's.
    """
    framework = backend()
    if keras.backend.backend() != config.backend:
        raise RunError(
            f"this process trains with {keras.backend.backend()}, and {config.backend} was asked "
            "for; nothing was measured"
        )
    if config.training.deterministic:
        framework.be_deterministic()
    if config.training.execution == "fused":
        framework.prepare_fused(config)
    if isinstance(config.training.threads, int):
        framework.set_threads(config.training.threads)
    if is_parallel(config):
        framework.prepare_replicas(config, wanted_device, member)
    device = framework.choose_device(wanted_device)
    keras.config.set_dtype_policy(config.training.precision)
    keras.utils.set_random_seed(seed)
    framework.start()
    return device


def load(clock: PhaseClock, config: RunConfig) -> data.Dataset:
    """Read the data under its phase."""
    with clock.phase(DATA_LOAD):
        return data.load(config)


def _build(clock: PhaseClock, config: RunConfig) -> keras.Model:
    with clock.phase(BUILD):
        model = models.build_model(config)
        backend().wait()
    return model


def _compile(clock: PhaseClock, model: keras.Model, config: RunConfig) -> None:
    with clock.phase(COMPILE):
        models.compile_model(model, config)


def train(
    prepared: Prepared, callbacks: list[keras.callbacks.Callback], finished_epochs: int = 0
) -> Learned:
    """Train the epochs that are left under the phase."""
    with prepared.clock.phase(TRAIN):
        learned = prepared.execution.train(
            prepared.train_images, prepared.test_images, callbacks, finished_epochs
        )
        backend().wait()
    return learned


def test(clock: PhaseClock, execution: Execution, images: Any) -> dict[str, float]:
    """Return loss and accuracy on images as the execution takes them, under the phase."""
    with clock.phase(TEST):
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


class _Asking(keras.callbacks.Callback):  # type: ignore[misc]
    """Asks after each epoch but the last if the training is to go on; no phase counts the wait."""

    def __init__(self, clock: PhaseClock, epochs: int, tell: Listener) -> None:
        super().__init__()
        self._clock, self._epochs, self._tell = clock, epochs, tell
        self.waited_seconds = 0.0
        self.pruned_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        ended = epoch + 1
        if ended == self._epochs or self.model.stop_training:
            return
        start = time.perf_counter()
        with self._clock.paused():
            self._tell(EpochLearnt(ended, float((logs or {})["val_accuracy"])))
            said = wait_for(GoOn(ended), Prune(ended))
        self.waited_seconds += time.perf_counter() - start
        if said == Prune(ended):
            self.pruned_epoch = ended
            self.model.stop_training = True

    def told_in(self, result: RepeatResult) -> RepeatResult:
        """Return what was measured, with the wait and the epoch that it ended after."""
        waited = Metric("pruning_seconds", self.waited_seconds, "s")
        return replace(result, metrics=(*result.metrics, waited), pruned_epoch=self.pruned_epoch)
