"""CSV for Apache Otava, which looks for changes over time: a file a config, a row a run."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence
from pathlib import Path

import yaml

from mnistbench.errors import InputError
from mnistbench.report.exporters.folders import new_folder
from mnistbench.report.exporters.measured import Measured, MeasuredRun
from mnistbench.report.exporters.series import Group, file_names, groups

_FACTS = {
    "run_id": "run_id",
    "commit": "mnistbench_git_commit",
    "version": "mnistbench_version",
    "tensorflow": "tensorflow_version",
    "tag": "tag",
}
"""A column that Otava shows beside a change, and the fact that says it."""
CONFIG = "otava.yaml"


def write_folder(measured: Measured, folder: Path) -> None:
    """Write the medians of each run's phases, oldest first, and Otava's config beside them.

    Raises InputError for a run of which nobody knows when it was.
    """
    tests = {}
    found = groups(measured.runs)
    with new_folder(folder) as partial:
        for group, name in zip(found, file_names(found), strict=True):
            # Otava reads no empty cell, so only what every run has is a series.
            phases = [phase for phase in group.phases if all(phase in r.times for r in group.runs)]
            (partial / f"{name}.csv").write_bytes(_table(group, phases).encode())
            tests[name] = _test(folder.resolve() / f"{name}.csv", phases)
        content = yaml.safe_dump({"tests": tests}, sort_keys=False, allow_unicode=True)
        (partial / CONFIG).write_text(content, encoding="utf-8")


def _table(group: Group, phases: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", *_FACTS, *phases])
    writer.writerows(sorted(_row(run, phases) for run in group.runs))
    return text.getvalue()


def _row(run: MeasuredRun, phases: Sequence[str]) -> list[str]:
    if run.start is None:
        raise InputError(
            "does not tell when it was measured (start_utc), and Otava looks for changes over time",
            source=f"run {run.run_id!r}",
            hint="leave it out",
        )
    facts = {**run.facts, "run_id": run.run_id}
    medians = [
        statistics.median(time.seconds for time in run.times[phase].values()) for phase in phases
    ]
    cells = [facts.get(fact, "") for fact in _FACTS.values()]
    return [run.start.isoformat(timespec="seconds"), *cells, *map(repr, medians)]


def _test(file: Path, phases: Sequence[str]) -> dict[str, object]:
    return {
        "type": "csv",
        "file": str(file),
        "time_column": "time",
        "attributes": [*_FACTS],
        "metrics": {phase: {"column": phase, "direction": -1} for phase in phases},
    }
