"""JSON as `hyperfine --export-json` writes it: each phase of each config as a command."""

from __future__ import annotations

import json
import statistics
from typing import Any

from mnistbench.report.exporters.measured import Measured
from mnistbench.report.exporters.series import Group, groups
from mnistbench.results.phases import TOTAL


def as_json(measured: Measured) -> str:
    """Return every repeat's time, as hyperfine has them of its runs."""
    results = [_result(group, phase) for group in groups(measured.runs) for phase in group.phases]
    return json.dumps({"results": results}, indent=2, allow_nan=False)


def _result(group: Group, phase: str) -> dict[str, Any]:
    seconds = group.seconds(phase)
    parameters = {"config": group.config, "phase": phase, **group.parts}
    return {
        "command": f"{group.label} {phase}",
        "mean": statistics.fmean(seconds),
        "stddev": statistics.stdev(seconds) if len(seconds) > 1 else None,
        "median": statistics.median(seconds),
        "user": _cpu(group, phase, "cpu_user_seconds"),
        "system": _cpu(group, phase, "cpu_system_seconds"),
        "min": min(seconds),
        "max": max(seconds),
        "times": seconds,
        "exit_codes": [0] * len(seconds),
        "parameters": {name: value for name, value in parameters.items() if value},
    }


def _cpu(group: Group, phase: str, metric: str) -> float | None:
    """Return the mean CPU time of whole repeats; of their phases it is not known which is which."""
    values = [found.value for run in group.runs for found in run.metrics.get(metric, {}).values()]
    return statistics.fmean(values) if phase == TOTAL and values else None
