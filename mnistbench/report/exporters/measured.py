"""What an exporter is given: runs with their times, each once, whatever files they came from."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from mnistbench.analysis.identity import flattened
from mnistbench.config.files import read_mapping
from mnistbench.config.temporary import temporary_folder
from mnistbench.errors import InputError
from mnistbench.results.merge import merge
from mnistbench.results.phases import ENDED_WHOLE, STATUS_INHERITED
from mnistbench.results.tables import MACHINE, METRICS, TIMINGS, config_file

_FACTS = (
    "dataset", "data_digest", "model", "backend", "device", "precision", "epochs", "batch_size",
    "tag", "user",
)  # fmt: skip
"""Columns of timings that say the same in every row of a run."""

_Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Time:
    """How long a phase of a repeat took."""

    seconds: float
    cpu_seconds: float | None
    """None if unknown."""
    start: datetime | None
    """In UTC; None if unknown."""
    seed: int | None


@dataclass(frozen=True)
class MetricValue:
    """A figure of a repeat beside its times."""

    value: float
    unit: str


@dataclass(frozen=True)
class MeasuredRun:
    """One config on one machine, measured in one go."""

    run_id: str
    config: str
    config_digest: str
    node: str
    facts: Mapping[str, str]
    """Columns of its timings, and attributes of its machine; what is unknown is not there."""
    settings: Mapping[str, str]
    """Fields of its config by their dotted names; empty if it is not there."""
    times: dict[str, dict[int, Time]] = field(default_factory=dict)
    """Phase to repeat to its time."""
    metrics: dict[str, dict[int, MetricValue]] = field(default_factory=dict)
    """Metric to repeat to its number."""

    @property
    def start(self) -> datetime | None:
        """Return when its first phase began."""
        starts = [time.start for repeats in self.times.values() for time in repeats.values()]
        return min((start for start in starts if start), default=None)


@dataclass
class Measured:
    """All that was given."""

    folder: Path
    """Merged tables, there while it is exported."""
    runs: tuple[MeasuredRun, ...]
    notes: list[str]
    """What is not in it, or only once, a line for each."""


@contextmanager
def measured(given: Sequence[str]) -> Iterator[Measured]:
    """Give the runs of RESULTS as `merge` reads them; raise InputError if nothing was measured."""
    with temporary_folder() as parent:
        merged = merge(given, parent / "merged")
        notes = [note for note in merged.notes if not note.startswith("not merged")]
        runs = _runs(merged.output, notes)
        if not runs:
            problem = "; ".join(["holds no time of a finished repeat", *notes])
            raise InputError(problem, source=" ".join(given))
        yield Measured(merged.output, runs, notes)


def _runs(folder: Path, notes: list[str]) -> tuple[MeasuredRun, ...]:
    facts: dict[str, dict[str, str]] = {}
    for row in _rows(folder / MACHINE):
        if row["value"]:
            facts.setdefault(row["run_id"], {})[row["attribute"]] = row["value"]
    runs: dict[_Key, MeasuredRun] = {}
    unused: list[Mapping[str, str]] = []
    for row in _rows(folder / TIMINGS):
        time = _time(row)
        if time is None:
            # What a process inherited from the one before it is no time that is left out.
            unused += [row] if row["status"] != STATUS_INHERITED else []
            continue
        key = row["run_id"], row["config"], row["config_digest"], row["node"]
        if key not in runs:
            runs[key] = _run(folder, row, facts.get(row["run_id"], {}))
        # Where a training was resumed, the first is what the unbroken process measured.
        runs[key].times.setdefault(row["phase"], {}).setdefault(int(row["repeat"]), time)
    _add_metrics(folder, runs.values())
    if unused:
        notes.append(_unused(unused))
    return tuple(runs.values())


def _rows(file: Path) -> Iterator[dict[str, str]]:
    if file.is_file():
        with file.open(newline="", encoding="utf-8") as text:
            yield from csv.DictReader(text)


def _time(row: Mapping[str, str]) -> Time | None:
    """Return what a row measured; None if it is not the time of a finished phase."""
    seconds, repeat = number(row["seconds"]), row["repeat"]
    if row["status"] not in ENDED_WHOLE or not seconds or seconds < 0:
        return None
    if not repeat.isdecimal() or not row["phase"]:
        return None
    seed = row["seed"]
    return Time(
        seconds,
        number(row["cpu_seconds"]),
        moment(row["start_utc"]),
        int(seed) if seed.isdecimal() else None,
    )


def _run(folder: Path, row: Mapping[str, str], machine: Mapping[str, str]) -> MeasuredRun:
    own = {name: row[name] for name in _FACTS if row[name]}
    config = config_file(folder, row["run_id"])
    return MeasuredRun(
        run_id=row["run_id"],
        config=row["config"],
        config_digest=row["config_digest"],
        node=row["node"],
        facts={**machine, **own},
        settings=flattened(read_mapping(config)) if config.is_file() else {},
    )


def _add_metrics(folder: Path, runs: Iterable[MeasuredRun]) -> None:
    by_id: dict[str, list[MeasuredRun]] = {}
    for run in runs:
        by_id.setdefault(run.run_id, []).append(run)
    for row in _rows(folder / METRICS):
        value = number(row["value"])
        if value is None or not row["repeat"].isdecimal():
            continue
        for run in by_id.get(row["run_id"], ()):
            values = run.metrics.setdefault(row["metric"], {})
            values.setdefault(int(row["repeat"]), MetricValue(value, row["unit"]))


def _unused(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the line that counts rows without a time of a finished phase."""
    row = rows[0]
    are = "row that tells no time of a finished phase is" if len(rows) == 1 else (
        "rows that tell no time of a finished phase are"
    )  # fmt: skip
    where = f"run {row['run_id']!r}, repeat {row['repeat']}, phase {row['phase']}"
    return (
        f"{len(rows)} {are} left out, the first: {where}: {row['status']} {row['seconds']}".rstrip()
    )


def number(cell: str) -> float | None:
    """Return a finite number; None if the cell holds none."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def moment(cell: str) -> datetime | None:
    """Return an ISO time in UTC, as which one without a zone is taken; None if there is none."""
    try:
        value = datetime.fromisoformat(cell.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
