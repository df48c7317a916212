"""Runs as cloudmesh logs tell of them: one for each machine below each header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mnistbench.errors import InputError
from mnistbench.results import left_out
from mnistbench.results.cloudmesh_log import LoggedTime, OddLine, machine_of, read_log
from mnistbench.results.left_out import LeftOut
from mnistbench.results.runs import LoadedRuns
from mnistbench.results.text import read_text

WHAT = "give a run folder, a timings.csv, a glob in quotes, or a cloudmesh log"


def load_logs(paths: Sequence[Path], phases: Sequence[str] | None) -> LoadedRuns:
    """Read cloudmesh logs; `phases` are those to keep, None keeps all.

    Raises InputError for two values of one phase of one repeat of a run.
    """
    facts: dict[tuple[object, ...], dict[str, str]] = {}
    zeros: dict[tuple[object, ...], set[str]] = {}
    rows: list[tuple[int, LoggedTime]] = []
    odd: dict[str, list[tuple[Path, OddLine]]] = {}
    times, odd_lines = _once(paths)
    for path, line in odd_lines:
        if phases is None or line.timer in phases or not line.timer:
            odd.setdefault(line.reason, []).append((path, line))
    for path, time in times:
        if phases is not None and time.timer not in phases:
            continue
        key = _run_of(path, time)
        facts.setdefault(key, _facts(path, time.fields))
        if time.seconds:
            rows.append((list(facts).index(key), time))
        else:
            zeros.setdefault(key, set()).add(time.timer)
            line = OddLine(left_out.ZERO, time.timer, time.line, f"{time.timer} {time.seconds}")
            odd.setdefault(left_out.ZERO, []).append((path, line))
    return LoadedRuns(
        facts=tuple(facts.values()),
        run=np.array([number for number, _ in rows], dtype=np.int64),
        repeat=np.array([time.repeat for _, time in rows], dtype=np.int64),
        phase=np.array([time.timer for _, time in rows], dtype=np.str_),
        seconds=np.array([time.seconds for _, time in rows], dtype=np.float64),
        accuracies=((),) * len(facts),
        unfinished=(0,) * len(facts),
        pruned=(0,) * len(facts),
        zeros=tuple(frozenset(zeros.get(key, ())) for key in facts),
        left_out=tuple(
            LeftOut(reason, len(lines), lines[0][0], lines[0][1].line, lines[0][1].value)
            for reason, lines in sorted(odd.items())
        ),
        contended=(frozenset(),) * len(facts),
    )


def timers_of(paths: Sequence[Path]) -> list[str]:
    """Return every timer that the logs name."""
    return sorted({time.timer for path in paths for time in read_log(read_text(path, WHAT)).times})


def _once(
    paths: Sequence[Path],
) -> tuple[list[tuple[Path, LoggedTime]], list[tuple[Path, OddLine]]]:
    """Return each line once, and the odd ones: StopWatch prints all anew each time it is asked."""
    times: list[tuple[Path, LoggedTime]] = []
    odd: list[tuple[Path, OddLine]] = []
    known: dict[tuple[object, ...], LoggedTime] = {}
    for path in paths:
        log = read_log(read_text(path, WHAT))
        odd += [(path, line) for line in log.odd]
        for time in log.times:
            first = known.setdefault(_measurement(path, time), time)
            if first is time:
                times.append((path, time))
            elif first.seconds != time.seconds:
                raise _two_values(path, first, time)
            else:
                value = f"{time.timer}, {time.seconds} s"
                odd.append((path, OddLine(left_out.TWICE, time.timer, time.line, value)))
    return times, odd


def _measurement(path: Path, time: LoggedTime) -> tuple[object, ...]:
    """Return what only one measurement has: its run and number, or all that its line says."""
    fields = time.fields
    if fields.get("run_id") and fields.get("repeat"):
        return (*_run_of(path, time), time.timer, time.repeat)
    # Without the time it started at, two lines of one text may well be two measurements.
    return (time.text,) if fields.get("start") else (path, time.line)


def _two_values(path: Path, first: LoggedTime, second: LoggedTime) -> InputError:
    return InputError(
        f"run {second.fields['run_id']!r}, repeat {second.repeat}, phase {second.timer} is there "
        f"twice with different values: {first.seconds} s, {second.seconds} s",
        source=path,
        field=f"row {second.line}",
        hint="keep the right one",
    )


def _run_of(path: Path, time: LoggedTime) -> tuple[object, ...]:
    machine = machine_of(time.fields)
    if run_id := time.fields.get("run_id"):
        return (run_id, time.fields.get("config", ""), *machine)
    return (path, time.table, *machine)


def _facts(path: Path, fields: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in fields.items() if "." not in name}
    return {**own, "node": machine_of(fields)[0], "file": str(path)}
