"""A sweep as programs read it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from mnistbench.analysis.sweep_rows import finding_rows
from mnistbench.analysis.sweeps import point_row
from mnistbench.report.summary import json_value
from mnistbench.results.rows import PointRow, to_csv
from mnistbench.session.sweep.progress import shown_points
from mnistbench.session.sweep.sweep import SweepResult


def as_csv(result: SweepResult) -> str:
    """Return the points, as points.csv has them."""
    return to_csv(_rows(result), PointRow)


def as_json(result: SweepResult) -> str:
    """Return everything known of the sweep."""
    plan = result.plan
    content = {
        "folder": str(result.folder),
        "ending": result.ending,
        "repeats": plan.repeats,
        "select_on": plan.select_on,
        "search": plan.search.as_written() if plan.search else None,
        "expected_seconds": 0.0 if result.is_whole else result.expected_seconds,
        "points": [
            _point_as_json(result, *each) for each in zip(plan.points, _rows(result), strict=True)
        ],
        "findings": [
            asdict(row) for row in finding_rows(result.findings, result.points, plan.fields)
        ],
        "missing": [point.number for point in result.missing],
        "tasks": [{"point": number, **asdict(task)} for number, task in result.tasks.items()],
        "uncollected": result.uncollected,
    }
    return json.dumps(content, indent=2, default=str, allow_nan=False)


def _point_as_json(result: SweepResult, settings: Any, row: PointRow) -> dict[str, Any]:
    figures = {name: json_value(value) for name, value in asdict(row).items()}
    return {**figures, "settings": dict(settings), "front": row.point in result.findings.front}


def _rows(result: SweepResult) -> list[PointRow]:
    shown = shown_points(result.plan, result.findings)
    return [
        point_row(point, result.plan.repeats, shown is None or point.number in shown)
        for point in result.points
    ]
