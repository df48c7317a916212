"""The clock: named phases, measured by the monotonic clock and told as they start and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mnistbench.measuring.jobs import Listener
from mnistbench.results.phases import (
    STATUS_FAILED,
    STATUS_OK,
    TOTAL,
    PhaseRecord,
    PhaseStarted,
    utc_now,
)


class PhaseClock:
    """Times phases one after another, and tells a listener of each."""

    def __init__(
        self, listener: Listener, teardown_seconds: Callable[[], float | None] = lambda: None
    ) -> None:
        """`listener` receives a PhaseStarted before, and a PhaseRecord after, each phase.

        `teardown_seconds` returns what releasing input pipelines took so far, if that is known.
        """
        self._listener = listener
        self._paused_ns = self._paused_cpu_ns = 0
        self._teardown_seconds = teardown_seconds
        self.records: dict[str, PhaseRecord] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time the block under `name`; a block that raises is recorded as failed, and raises."""
        self._listener(PhaseStarted(name))
        start_utc = utc_now()
        status = STATUS_FAILED
        self._paused_ns = self._paused_cpu_ns = 0
        teardown_start = self._teardown_seconds()
        cpu_start = time.process_time_ns()
        start = time.perf_counter_ns()
        try:
            yield
            status = STATUS_OK
        finally:
            end = time.perf_counter_ns() - self._paused_ns
            cpu_end = time.process_time_ns() - self._paused_cpu_ns
            record = PhaseRecord(
                name,
                (end - start) / 1e9,
                (cpu_end - cpu_start) / 1e9,
                start_utc,
                status,
                _between(teardown_start, self._teardown_seconds()),
            )
            self.records[name] = record
            self._listener(record)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the block, in which nothing that is measured goes on, out of the present phase."""
        cpu_start, start = time.process_time_ns(), time.perf_counter_ns()
        try:
            yield
        finally:
            self._paused_ns += time.perf_counter_ns() - start
            self._paused_cpu_ns += time.process_time_ns() - cpu_start

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


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start
