"""JSON for github-action-benchmark, `tool: customSmallerIsBetter`: medians of phases in seconds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence

from mnistbench.report.exporters.measured import Measured
from mnistbench.report.exporters.series import Group, groups


def as_json(measured: Measured) -> str:
    """Return the median of each phase of each config, in the action's own form."""
    return json.dumps(
        [_entry(group, phase) for group in groups(measured.runs) for phase in group.phases],
        indent=2,
        allow_nan=False,
    )


def _entry(group: Group, phase: str) -> dict[str, str | float]:
    seconds = group.seconds(phase)
    return {
        "name": f"{group.label} {phase}",
        "unit": "s",
        "value": statistics.median(seconds),
        "range": _range(seconds),
        "extra": f"median of {len(seconds)}\nruns: {', '.join(run.run_id for run in group.runs)}",
    }


def _range(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.6g} to {max(seconds):.6g}"
