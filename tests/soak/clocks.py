"""Clocks that are wrong, in every process of a command: its Python reads this before a line of it.

coarse:S   all clocks of durations move S seconds at a time
begin:T    the wall clock began at T, in seconds since 1970
set:S      the wall clock is set by S seconds, below 0 back, when `set_now` says so
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_SITE = """
import datetime, os, time

_kind, _, _value = os.environ["FAKE_CLOCK"].partition(":")
_real_time, _real_datetime = time.time, datetime.datetime
_began = _real_time()

def _offset():
    if _kind == "begin":
        return float(_value) - _began
    return float(_value) if os.path.exists(os.environ["FAKE_CLOCK_SET"]) else 0.0

class _Any(type):
    def __instancecheck__(cls, instance):
        return isinstance(instance, _real_datetime)

class _Datetime(_real_datetime, metaclass=_Any):
    @classmethod
    def now(cls, tz=None):
        return _real_datetime.fromtimestamp(time.time(), tz)

if _kind == "coarse":
    _step, _ns, _cpu_ns = int(float(_value) * 1e9), time.perf_counter_ns, time.process_time_ns
    time.perf_counter_ns = time.monotonic_ns = lambda: _ns() // _step * _step
    time.perf_counter = time.monotonic = lambda: time.perf_counter_ns() / 1e9
    time.process_time_ns = lambda: _cpu_ns() // _step * _step
else:
    time.time = lambda: _real_time() + _offset()
    time.time_ns = lambda: int(time.time() * 1e9)
    datetime.datetime = _Datetime
"""


def environment(kind: str, folder: Path) -> Mapping[str, str]:
    """Return the variables of a command whose clocks are wrong; `folder` holds what is needed."""
    site = folder / "clocks"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE)
    before = os.environ.get("PYTHONPATH")
    return {
        "FAKE_CLOCK": kind,
        "FAKE_CLOCK_SET": str(site / "set"),
        "PYTHONPATH": os.pathsep.join([str(site), *([before] if before else [])]),
    }


def set_now(variables: Mapping[str, str]) -> None:
    """Let the wall clock of a command be set at this moment."""
    Path(variables["FAKE_CLOCK_SET"]).touch()
