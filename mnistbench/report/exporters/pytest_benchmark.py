"""JSON as `pytest --benchmark-json` writes it, for `pytest-benchmark compare`."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mnistbench import __version__
from mnistbench.report.exporters.measured import Measured, MeasuredRun
from mnistbench.report.exporters.series import Group, groups, quartiles

_MACHINE = {
    "node": "node",
    "system": "system",
    "release": "kernel",
    "machine": "cpu_architecture",
    "python_version": "python_version",
    "python_implementation": "python_implementation",
    "python_compiler": "python_compiler",
}
"""A key of pytest-benchmark's machine, and the fact that says it."""


def as_json(measured: Measured) -> str:
    """Return each phase of each config as a benchmark, its repeats as the rounds."""
    starts = [run.start for run in measured.runs if run.start]
    content = {
        "machine_info": _machine(measured.runs),
        "commit_info": {"id": _common(measured.runs, "mnistbench_git_commit"), "dirty": None},
        "benchmarks": [
            _benchmark(group, phase) for group in groups(measured.runs) for phase in group.phases
        ],
        "datetime": min(starts).isoformat() if starts else None,
        "version": __version__,
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _machine(runs: Sequence[MeasuredRun]) -> dict[str, Any]:
    """Return what all runs agree on of their machine."""
    machine: dict[str, Any] = {key: _common(runs, fact) for key, fact in _MACHINE.items()}
    machine["cpu"] = {"brand_raw": _common(runs, "cpu_model")}
    return machine


def _common(runs: Sequence[MeasuredRun], fact: str) -> str | None:
    values = {run.node if fact == "node" else run.facts.get(fact) for run in runs}
    return values.pop() if len(values) == 1 else None


def _benchmark(group: Group, phase: str) -> dict[str, Any]:
    parameters = {"config": group.config, "phase": phase, **group.parts}
    return {
        "group": f"{group.label} {phase}",
        "name": f"{phase}[{group.label}]",
        "fullname": f"mnistbench::{phase}[{group.label}]",
        "params": {name: value for name, value in parameters.items() if value},
        "param": group.label,
        "extra_info": {"runs": [run.run_id for run in group.runs]},
        "options": {},
        "stats": _stats(group.seconds(phase)),
    }


def _stats(seconds: Sequence[float]) -> Mapping[str, Any]:
    mean, median = statistics.fmean(seconds), statistics.median(seconds)
    # pytest-benchmark gives a single round a spread of 0 too.
    deviation = statistics.stdev(seconds) if len(seconds) > 1 else 0.0
    low, high = quartiles(seconds)
    fence = 1.5 * (high - low)
    inside = [value for value in seconds if low - fence <= value <= high + fence]
    beyond = sum(abs(value - mean) > deviation for value in seconds)
    return {
        "min": min(seconds),
        "max": max(seconds),
        "mean": mean,
        "stddev": deviation,
        "rounds": len(seconds),
        "median": median,
        "iqr": high - low,
        "q1": low,
        "q3": high,
        "iqr_outliers": len(seconds) - len(inside),
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{len(seconds) - len(inside)}",
        "ld15iqr": min(inside),
        "hd15iqr": max(inside),
        "ops": 1 / mean,
        "total": sum(seconds),
        "data": list(seconds),
        "iterations": 1,
    }
