"""Clocks that are wrong, in every process of a command: its Python reads this before a line of it.

    coarse:S   all clocks of durations move S seconds at a time
    begin:T    the wall clock began at T, in seconds since 1970
    set:S      the wall clock is set by S seconds, below 0 back, when `set_now` says so

`time.time` alone is another one: what else asks for the date has the system's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_SITE = """
import os, time

_kind, _, _value = os.environ["FAKE_CLOCK"].partition(":")
_time, _ns, _cpu_ns = time.time, time.perf_counter_ns, time.process_time_ns
_began = _time()

def _offset():
    if _kind == "begin":
        return float(_value) - _began
    return float(_value) if os.path.exists(os.environ["FAKE_CLOCK_SET"]) else 0.0

if _kind == "coarse":
    _step = int(float(_value) * 1e9)
    time.perf_counter_ns = time.monotonic_ns = lambda: _ns() // _step * _step
    time.perf_counter = time.monotonic = lambda: time.perf_counter_ns() / 1e9
    time.process_time_ns = lambda: _cpu_ns() // _step * _step
else:
    time.time = lambda: _time() + _offset()
"""


def environment(kind: str, folder: Path) -> Mapping[str, str]:
    """Return the variables of a command whose clocks are wrong; `folder` holds what is needed."""
    site = folder / "clocks"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE)
    path = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "FAKE_CLOCK": kind,
        "FAKE_CLOCK_SET": str(site / "set"),
        "PYTHONPATH": os.pathsep.join(path),
    }


def set_now(variables: Mapping[str, str]) -> None:
    """Set the wall clock of a command at this moment."""
    Path(variables["FAKE_CLOCK_SET"]).touch()
