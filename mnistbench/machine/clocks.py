"""The clocks that durations and time stamps are by."""

from __future__ import annotations

import time

from mnistbench.errors import InputError
from mnistbench.results import wall_clock

_LOOKS = 3
_FIRST_YEAR_OF_ZIP = 1980


def clock_resolution_seconds() -> float:
    """Return the smallest step that the clock of all durations was seen to take."""
    return min(_step_ns() for _ in range(_LOOKS)) / 1e9


def _step_ns() -> int:
    start = now = time.perf_counter_ns()
    while now == start:
        now = time.perf_counter_ns()
    return now - start


def check_archives_can_be_dated(what: str) -> None:
    """Raise InputError where the wall clock is before the first date that a zip archive can hold.

    A machine without a battery for its clock starts in 1970. `what` is the archive to be written.
    """
    now = wall_clock.utc()
    if now.year < _FIRST_YEAR_OF_ZIP or now.astimezone().year < _FIRST_YEAR_OF_ZIP:
        raise InputError(
            f"this machine's clock says {now:%Y-%m-%d}, and {what} is a zip archive, whose dates "
            f"begin with {_FIRST_YEAR_OF_ZIP}",
            hint="set the clock, as with: date --set",
        )
