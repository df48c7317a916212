"""The lessons' figures beside those measured here, row by row, with a verdict on each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from mnistbench.analysis.lessons import LESSONS, LessonReport
from mnistbench.config.loading import load_config
from mnistbench.errors import InputError
from mnistbench.results.tables import METRICS, TIMINGS

REPRODUCED = "reproduced"
MISSING = "not measured"


@dataclass(frozen=True)
class Duration:
    """One time that a lesson prints, and the same measured here."""

    quantity: str
    """A phase, or a metric in seconds."""
    lesson_seconds: float
    here_seconds: float | None


@dataclass(frozen=True)
class ReproductionRow:
    """One lesson's network: what it reports, what was measured, and whether they agree."""

    report: LessonReport
    repeats: int
    """Finished repeats that were found."""
    parameters: int | None
    accuracy: float | None
    """Test accuracy, the median over repeats."""
    durations: tuple[Duration, ...]
    verdict: str

    @property
    def accuracy_difference(self) -> float | None:
        """Return measured less reported accuracy; None where either is unknown."""
        if self.accuracy is None or self.report.accuracy is None:
            return None
        return self.accuracy - self.report.accuracy


def reproduction(folders: Sequence[Path]) -> list[ReproductionRow]:
    """Return a row for each lesson from the run folders that measured its config."""
    by_config: dict[str, list[_Measured]] = {}
    for folder in folders:
        measured = _read(folder)
        by_config.setdefault(measured.config, []).append(measured)
    return [_row(report, by_config.get(config, [])) for config, report in LESSONS.items()]


def run_folders(parent: Path) -> list[Path]:
    """Return the run folders directly below a folder; raise InputError if there are none."""
    found = sorted(file.parent for file in parent.glob(f"*/{TIMINGS}"))
    if not found:
        raise InputError("holds no run", source=parent, hint="see: mnistbench reproduce --help")
    return found


def to_csv(rows: Sequence[ReproductionRow]) -> str:
    """Return a line for each figure: config, quantity, lesson, here, verdict of the config."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["config", "quantity", "lesson", "here", "verdict"])
    for row in rows:
        figures: list[tuple[str, object, object]] = [
            ("parameters", row.report.parameters, row.parameters),
            ("test_accuracy", row.report.accuracy, row.accuracy),
            *((d.quantity, d.lesson_seconds, d.here_seconds) for d in row.durations),
        ]
        for quantity, lesson, here in figures:
            cells = ["" if value is None else value for value in (lesson, here)]
            writer.writerow([row.report.config, quantity, *cells, row.verdict])
    return text.getvalue()


@dataclass(frozen=True)
class _Measured:
    config: str
    config_digest: str
    values: Mapping[str, Sequence[float]]
    """Phase or metric to its values over the finished repeats."""


def _read(folder: Path) -> _Measured:
    timings, metrics = _table(folder / TIMINGS), _table(folder / METRICS)
    if not timings:
        return _Measured("", "", {})
    values: dict[str, list[float]] = {}
    for row in timings:
        if row["status"] == "ok" and row["seconds"]:
            values.setdefault(row["phase"], []).append(float(row["seconds"]))
    for row in metrics:
        if row["unit"] in ("1", "s") and row["value"]:
            values.setdefault(row["metric"], []).append(float(row["value"]))
    return _Measured(timings[0]["config"], timings[0]["config_digest"], values)


def _table(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(newline="", encoding="utf-8") as text:
            return list(csv.DictReader(text))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=file) from None


def _row(report: LessonReport, found: Sequence[_Measured]) -> ReproductionRow:
    digest = load_config(report.config).digest()
    same = [measured for measured in found if measured.config_digest == digest]
    accuracies = _values(same, "test_accuracy")
    parameters = _values(same, "parameters")
    row = ReproductionRow(
        report,
        len(accuracies),
        int(parameters[0]) if parameters else None,
        median(accuracies) if accuracies else None,
        tuple(
            Duration(quantity, seconds, _median(_values(same, quantity)))
            for quantity, seconds in report.seconds.items()
        ),
        "",
    )
    verdict = "measured with other settings" if found and not same else _verdict(row)
    return replace(row, verdict=verdict)


def _values(found: Sequence[_Measured], name: str) -> list[float]:
    return [value for measured in found for value in measured.values.get(name, ())]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _verdict(row: ReproductionRow) -> str:
    report = row.report
    if row.accuracy is None or row.parameters is None:
        return MISSING
    if row.parameters != report.parameters:
        return f"differs: {row.parameters:,} parameters"
    if row.accuracy < report.lowest:
        return f"differs: accuracy below {report.lowest:.4g}"
    if row.accuracy > report.highest:
        return f"differs: accuracy above {report.highest:.4g}"
    return REPRODUCED
