"""How far a session is, in words: what a log tells of each event."""

from __future__ import annotations

import sys

from mnistbench.analysis.learning import broken_loss
from mnistbench.measuring.jobs import Downloading, InferenceResult, StopRequested
from mnistbench.report.terminal import seconds_text
from mnistbench.report.values import seconds_text as precise_text
from mnistbench.results.inference import InferenceRow
from mnistbench.results.phases import STATUS_OK, TEST, TRAIN
from mnistbench.results.rows import HistoryRow
from mnistbench.session.events import Gauging, News, TurnEnded

if sys.version_info >= (3, 11):
    from typing import assert_never
else:
    from typing_extensions import assert_never

_MEGABYTE = 1_000_000


def download_text(event: Downloading) -> str:
    """Return what a log tells of a download that begins."""
    return f"Downloading {event.title}, {event.total_bytes // _MEGABYTE} MB ..."


def event_text(event: HistoryRow | StopRequested | Gauging | News) -> str:
    """Return what a log tells of an event, in one line."""
    match event:
        case News():
            return event.text
        case Gauging():
            return f"Measuring this machine's peak, {event.moment} the repeats ..."
        case StopRequested():
            return "Stopping; what the finished epochs taught is kept. Ctrl-C again: stop at once."
        case HistoryRow():
            return _epoch_text(event)
        case _:
            assert_never(event)


def _epoch_text(row: HistoryRow) -> str:
    text = f"epoch {row.epoch}: loss {row.loss:.4f}, accuracy {row.accuracy:.4f}"
    if row.val_loss is not None and row.val_accuracy is not None:
        text += f", validation loss {row.val_loss:.4f}, accuracy {row.val_accuracy:.4f}"
    return f"{text}, {row.seconds:.1f} s"


def turn_text(event: TurnEnded) -> str:
    """Return what a repeat measured, in one line."""
    turn, record = event.record.turn, event.record
    which = f"warm-up {turn.repeat}" if turn.is_warmup else f"repeat {turn.repeat}"
    if record.status != STATUS_OK:
        return f"{event.config} {which}: {record.status}, {record.reason}"
    mark = ", contended" if record.is_contended else ""
    if isinstance(record.result, InferenceResult):
        return f"{event.config} {which}: {_applied_text(record.result.row)}{mark}"
    main = TRAIN if any(phase.phase == TRAIN for phase in record.phases) else TEST
    seconds = next(phase.seconds for phase in record.phases if phase.phase == main)
    split, accuracy = next(
        (m.name.split("_")[0], m.value)
        for m in record.metrics
        if m.name in ("test_accuracy", "train_accuracy")
    )
    times = f"{main} {seconds_text(seconds)} s"
    broken = broken_loss({metric.name: metric.value for metric in record.metrics})
    mark = f", {broken}{mark}" if broken else mark
    return f"{event.config} {which}: {times}, {split} accuracy {accuracy:.4f}{mark}"


def _applied_text(row: InferenceRow) -> str:
    """Return what was measured of one way to apply a network."""
    return (
        f"{row.execution}, batch size {row.batch_size}: {precise_text(row.latency_seconds)} a "
        f"query, {row.samples_per_second:,.0f} images/s offline"
    )
