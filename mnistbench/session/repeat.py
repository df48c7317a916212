"""One repeat in a fresh process, with the evidence beside it; a failure is a record too."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from mnistbench.analysis.roofline import work_metrics
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError, RunError
from mnistbench.machine import evidence, readings
from mnistbench.measuring.executor import Executor, TaskFailure
from mnistbench.measuring.jobs import Listener, Message, RepeatResult, Stopped
from mnistbench.measuring.startup import wanted_onednn
from mnistbench.results.phases import (
    IMPORT,
    STATUS_INHERITED,
    STATUS_INTERRUPTED,
    STATUS_NOT_RUN,
    STATUS_OK,
    STATUS_PRUNED,
    TOTAL,
    TRAIN,
    PhaseRecord,
    PhaseStarted,
)
from mnistbench.results.rows import Metric
from mnistbench.results.tables import LOG
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn


def measure(
    turn: Turn, run: Run, executor: Executor, wanted: Measurement, tell: Listener
) -> RepeatRecord:
    """Run one repeat in a fresh process, with evidence; a failure is a record too."""
    before = readings.take(executor.cpu_seconds())
    record = measured(turn, run, executor, wanted, tell)
    after = readings.take(executor.cpu_seconds())
    return replace(record, metrics=(*record.metrics, *evidence.repeat_metrics(before, after)))


def measured(
    turn: Turn, run: Run, executor: Executor, wanted: Measurement, tell: Listener
) -> RepeatRecord:
    """Run one repeat in a fresh process, without evidence; a failure is a record too."""
    phases: dict[str, PhaseRecord] = {}
    running: list[str] = []

    def listen(message: Message) -> None:
        if isinstance(message, PhaseStarted):
            running.append(message.phase)
        elif isinstance(message, PhaseRecord):
            phases[message.phase] = message
        tell(message)

    log = run.folder.path / LOG
    run.folder.log(f"repeat {turn.repeat} begins, seed {turn.seed}, order {turn.order}")
    start = time.perf_counter()
    try:
        result = executor.run(
            wanted.task, wanted.job, log, listen, wanted.stops_on_interrupt, wanted.answer
        )
    except (TaskFailure, InputError, RunError) as failure:
        status = failure.status if isinstance(failure, TaskFailure) else "failed"
        record = _unfinished(turn, phases, running, wanted.phases, status, str(failure))
        return replace(record, wrong_input=isinstance(failure, InputError))
    if isinstance(result, Stopped):
        reason = f"stopped by the user after epoch {result.epoch}"
        return _unfinished(turn, phases, running, wanted.phases, STATUS_INTERRUPTED, reason)
    wall_seconds = time.perf_counter() - start
    # Forked repeats share the import of their server: it was measured once, and counts once.
    shared = executor.forks and any(record.status == STATUS_OK for record in run.repeats)
    phases[IMPORT] = inherited(result.import_phase) if shared else result.import_phase
    own_import = 0.0 if executor.forks else result.import_phase.seconds or 0.0
    outside_seconds = wall_seconds - (phases[TOTAL].seconds or 0.0) - own_import
    return _ended(turn, run.config, phases, wanted.phases, result, outside_seconds)


def _ended(
    turn: Turn,
    config: RunConfig,
    phases: Mapping[str, PhaseRecord],
    names: tuple[str, ...],
    result: RepeatResult,
    outside_seconds: float,
) -> RepeatRecord:
    """Return the record of a repeat whose process came to its end."""
    extra = (
        # The process itself sees the variable, and not who set it.
        Metric("onednn_reason", wanted_onednn(config).reason, ""),
        Metric("outside_phases_seconds", outside_seconds, "s"),
        Metric("order", turn.order, ""),
    )
    if result.pruned_epoch is not None:
        return _pruned(turn, config, phases, names, result, extra)
    work = _work_metrics(config, result, phases)
    ordered = tuple(phases[name] for name in names)
    return RepeatRecord(turn, ordered, (*result.metrics, *work, *extra), STATUS_OK, result=result)


def _work_metrics(
    config: RunConfig, result: RepeatResult, phases: Mapping[str, PhaseRecord]
) -> list[Metric]:
    """Return the operations and bytes of the train phase, if there is one."""
    if TRAIN not in phases:
        return []
    return work_metrics(config, result.metrics, phases[TRAIN].seconds, result.precision)


def _pruned(
    turn: Turn,
    config: RunConfig,
    phases: Mapping[str, PhaseRecord],
    names: tuple[str, ...],
    result: RepeatResult,
    extra: tuple[Metric, ...],
) -> RepeatRecord:
    """Return the record of a training that a search ended after an epoch: its time is a part's."""
    partial = {
        **phases,
        TRAIN: replace(phases[TRAIN], status=STATUS_PRUNED),
        TOTAL: PhaseRecord(TOTAL, None, None, "", STATUS_PRUNED),
    }
    not_run = {name: PhaseRecord(name, None, None, "", STATUS_NOT_RUN) for name in names}
    ordered = tuple((not_run | partial)[name] for name in names)
    epoch = Metric("pruned_epoch", result.pruned_epoch, "1")
    reason = f"after epoch {result.pruned_epoch} of {config.training.epochs}"
    metrics = (*result.metrics, epoch, *extra)
    return RepeatRecord(turn, ordered, metrics, STATUS_PRUNED, reason, result)


def _unfinished(
    turn: Turn,
    phases: Mapping[str, PhaseRecord],
    running: list[str],
    names: tuple[str, ...],
    status: str,
    reason: str,
) -> RepeatRecord:
    """Return the record of a repeat that broke off: what ended, what ran, what never did."""
    ordered = []
    for name in names:
        if name in phases and phases[name].status == STATUS_OK:
            ordered.append(phases[name])
        elif name == TOTAL or (running and name == running[-1]):
            ordered.append(PhaseRecord(name, None, None, "", status))
        else:
            ordered.append(PhaseRecord(name, None, None, "", STATUS_NOT_RUN))
    return RepeatRecord(turn, tuple(ordered), (Metric("order", turn.order, ""),), status, reason)


def inherited(record: PhaseRecord) -> PhaseRecord:
    """Return the import's record for a repeat that did not import anything itself."""
    return PhaseRecord(IMPORT, None, None, record.start_utc, STATUS_INHERITED)
