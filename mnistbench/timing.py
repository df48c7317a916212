"""The clock: named phases, measured by the monotonic clock and reported as they start and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

IMPORT = "import"
DATA_LOAD = "data-load"
PREPROCESS = "preprocess"
BUILD = "build"
COMPILE = "compile"
TRAIN = "train"
TEST = "test"
TOTAL = "total"

PHASES = (IMPORT, DATA_LOAD, PREPROCESS, BUILD, COMPILE, TRAIN, TEST, TOTAL)

DATA_DOWNLOAD = "data-download"
"""Not of every repeat: before the first one of a session whose data had to be downloaded."""

STATUS_OK = "ok"
STATUS_FAILED = "failed"
STATUS_INHERITED = "inherited"
STATUS_NOT_RUN = "not-run"


@dataclass(frozen=True)
class PhaseStarted:
    """A phase began; sent before its clock starts, so that a killed process tells where it was."""

    phase: str


@dataclass(frozen=True)
class PhaseRecord:
    """One phase of one repeat, as measured inside the process that ran it."""

    phase: str
    seconds: float | None
    """Wall time by `time.perf_counter_ns`, in seconds; None if the phase did not end."""
    cpu_seconds: float | None
    """User and system time of all threads of the process, in seconds."""
    start_utc: str
    """Start by the wall clock, ISO 8601 in UTC; empty if the phase did not start."""
    status: str
    """`ok`, `failed`, `killed:SIGNAL`, `inherited` or `not-run`."""


Listener = Callable[[object], None]


class PhaseClock:
    """Times phases one after another, and tells a listener of each."""

    def __init__(self, listener: Listener) -> None:
        """`listener` receives a PhaseStarted before, and a PhaseRecord after, each phase."""
        self._listener = listener
        self.records: dict[str, PhaseRecord] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block under `name`; a block that raises is recorded as failed, and raises."""
        self._listener(PhaseStarted(name))
        start_utc = utc_now()
        status = STATUS_FAILED
        cpu_start = time.process_time_ns()
        start = time.perf_counter_ns()
        try:
            yield
            status = STATUS_OK
        finally:
            end = time.perf_counter_ns()
            cpu_end = time.process_time_ns()
            record = PhaseRecord(
                name, (end - start) / 1e9, (cpu_end - cpu_start) / 1e9, start_utc, status
            )
            self.records[name] = record
            self._listener(record)

    def total(self) -> None:
        """Record `total`: the sum of the phases so far, without what lay between them."""
        parts = list(self.records.values())
        record = PhaseRecord(
            TOTAL,
            sum(part.seconds or 0.0 for part in parts),
            sum(part.cpu_seconds or 0.0 for part in parts),
            parts[0].start_utc,
            STATUS_OK,
        )
        self.records[TOTAL] = record
        self._listener(record)


def utc_now() -> str:
    """Return the wall-clock time as ISO 8601 in UTC with microseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")
