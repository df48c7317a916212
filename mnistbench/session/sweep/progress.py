"""How far a sweep is: what the folders of its points hold, and points.csv, their index.

The folders are the truth: a repeat counts if all its rows are there. The index is written whole,
often enough to be of use and seldom enough that ten thousand points cost ten thousand times one.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mnistbench.analysis.sweeps import (
    BEST,
    Findings,
    Point,
    RepeatFigures,
    findings_of,
    point_row,
    sweep_rows,
)
from mnistbench.config.run_config import RunConfig
from mnistbench.config.sweep_space import Settings, settings_text
from mnistbench.errors import InputError
from mnistbench.machine import host
from mnistbench.machine.evidence import CONTENDED, CONTENTION
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import (
    PHASES,
    STATUS_OK,
    STATUS_PARALLEL,
    TOTAL,
    TRAIN,
    is_measured,
)
from mnistbench.results.phrases import duration
from mnistbench.results.rows import TimingRow
from mnistbench.results.tables import FINDINGS, METRICS, POINTS, TIMINGS, read_table
from mnistbench.session.records import RepeatRecord
from mnistbench.session.sweep.plan import SweepPlan

ATTEMPT = "attempt"
"""The metric that names the process of a repeat that was measured elsewhere."""
_LAST_METRIC = CONTENTION
"""With it the rows of a repeat are whole: it is the last of those that are written last."""
_INDEX_SHARE = 100
"""The index is written after every so-manieth part of the points."""


class SweepProgress:
    """The points of a sweep with the repeats that have ended."""

    def __init__(self, plan: SweepPlan, folder: RunFolder) -> None:
        """Every point begins without a repeat; `read` looks into the folders."""
        self.plan, self._folder = plan, folder
        self._since_index = 0
        self._index_step = max(1, plan.planned // _INDEX_SHARE)
        self._torn: dict[int, set[int]] = {}
        self.points = [self._point(index) for index in range(len(plan.points))]

    def _point(self, index: int) -> Point:
        text = settings_text(self.plan.points[index])
        return Point(index + 1, text, self.plan.values_of(index), self.plan.run_id(index))

    def add_point(self, settings: Settings, config: RunConfig) -> None:
        """Take one more point that a search has chosen."""
        self.plan = self.plan.with_point(settings, config)
        self.points.append(self._point(len(self.points)))

    def read(self) -> None:
        """Take what the folders hold; half-written repeats are passed over."""
        for index in range(len(self.points)):
            self.read_point(index)

    def read_point(self, index: int) -> None:
        """Take what the folder of one point holds."""
        point = self.points[index]
        folder = self._folder.path / point.folder
        if folder.is_dir():
            whole, torn = repeats_in(folder)
            self.points[index] = replace(point, repeats=tuple(whole))
            self._torn[index] = torn

    def repair(self) -> list[str]:
        """Take half-written repeats out of the folders that were read; return a line for each.

        A folder without a whole repeat goes as it was made: its point begins anew.
        """
        lines = []
        for index, torn in self._torn.items():
            point = self.points[index]
            folder = self._folder.path / point.folder
            if not point.repeats:
                shutil.rmtree(folder)
                lines.append(f"point {point.number} had no whole repeat: it begins anew")
            elif torn:
                keep_only(folder, {repeat.repeat for repeat in point.repeats})
                names = ", ".join(map(str, sorted(torn)))
                lines.append(
                    f"point {point.number}: repeat {names} was half written: measured anew"
                )
        self._torn.clear()
        return lines

    def add(self, record: RepeatRecord) -> None:
        """Take a repeat that has ended, and write the index if it is time."""
        index = record.turn.config_index
        point = self.points[index]
        self.points[index] = replace(point, repeats=(*point.repeats, _figures_of(record)))
        self._since_index += 1
        if self._since_index >= self._index_step:
            self.write_index()

    def write_index(self, findings: Findings | None = None) -> None:
        """Write points.csv whole; with the findings, the test accuracies they let be seen."""
        self._since_index = 0
        shown = shown_points(self.plan, findings)
        rows = [
            point_row(point, self.plan.repeats, shown is None or point.number in shown)
            for point in self.points
        ]
        self._folder.write_table(POINTS, rows)

    def write_findings(self) -> Findings:
        """Write sweep.csv and points.csv; return what they show."""
        findings = findings_of(self.points, self.plan.fields, self.plan.select_on)
        self._folder.write_table(FINDINGS, sweep_rows(findings))
        self.write_index(findings)
        return findings

    def done(self) -> set[tuple[int, int]]:
        """Return the repeats that have ended, by the point's place and their number."""
        return {
            (index, repeat.repeat)
            for index, point in enumerate(self.points)
            for repeat in point.repeats
        }

    def missing(self) -> list[Point]:
        """Return the points of which something is left to measure."""
        return [point for point in self.points if not point.is_done(self.plan.repeats)]

    def is_whole(self) -> bool:
        """Return whether nothing is left to measure."""
        return len(self.points) >= self.plan.planned and not self.missing()


def shown_points(plan: SweepPlan, findings: Findings | None) -> set[int] | None:
    """Return the points whose test accuracy may be seen; None for all.

    Where the best is chosen on images held out, the test set is for the chosen one alone: a look
    at the others' accuracies would be another choice.
    """
    if plan.select_on == "test":
        return None
    best = findings.choice(BEST) if findings else None
    return {best.point.number} if best else set()


def _figures_of(record: RepeatRecord) -> RepeatFigures:
    metrics = {metric.name: metric.value for metric in record.metrics}
    seconds = {phase.phase: phase.seconds for phase in record.phases}
    design = _design_of(phase.status for phase in record.phases)
    return _figures(record.turn.repeat, record.status, host.node(), seconds, metrics, design)


def _design_of(statuses: Iterable[str]) -> str:
    return next((each for each in statuses if each.startswith(STATUS_PARALLEL)), "")


def _figures(
    repeat: int,
    status: str,
    node: str,
    seconds: Mapping[str, float | None],
    metrics: Mapping[str, object],
    design: str,
) -> RepeatFigures:
    def number(name: str) -> float | None:
        value = metrics.get(name)
        return None if value in (None, "") else float(str(value))

    return RepeatFigures(
        repeat,
        status,
        node,
        seconds.get(TRAIN),
        seconds.get(TOTAL),
        number("repeat_wall_seconds"),
        number("test_accuracy"),
        number("validation_accuracy"),
        number("time_to_accuracy_seconds"),
        str(metrics.get(CONTENDED)).lower() == "true",
        design,
        str(metrics.get(ATTEMPT) or ""),
    )


def repeats_in(folder: Path) -> tuple[list[RepeatFigures], set[int]]:
    """Return the whole repeats of a run's folder, and the numbers of others; raise InputError."""
    try:
        return _whole_repeats(folder)
    except (ValueError, csv.Error):
        raise InputError(
            "holds a table that is damaged", source=folder, hint="delete it: its point begins anew"
        ) from None


def _whole_repeats(folder: Path) -> tuple[list[RepeatFigures], set[int]]:
    """Return the repeats whose rows are all in a point's folder, and the numbers of others."""
    timings, metrics = _read(folder / TIMINGS), _read(folder / METRICS)
    phases: dict[int, dict[str, tuple[str, str, str]]] = {}
    for repeat, phase, *cells in timings.cells("repeat", "phase", "status", "seconds", "node"):
        status, seconds, node = cells
        phases.setdefault(int(repeat), {})[phase] = (status, seconds, node)
    values: dict[int, dict[str, str]] = {}
    for repeat, metric, value in metrics.cells("repeat", "metric", "value"):
        values.setdefault(int(repeat), {})[metric] = value
    whole = [
        number
        for number, rows in phases.items()
        if set(PHASES) <= set(rows) and _LAST_METRIC in values.get(number, {})
    ]
    torn = (set(phases) | set(values)) - set(whole)
    if (timings.is_cut or metrics.is_cut) and not torn:
        torn = {max(whole, default=0) + 1}
    return [_figures_of_rows(number, phases[number], values[number]) for number in whole], torn


def _figures_of_rows(
    number: int, phases: Mapping[str, tuple[str, str, str]], metrics: Mapping[str, str]
) -> RepeatFigures:
    status, _, node = phases[TOTAL]
    seconds = {
        phase: float(text) if text and is_measured(phase_status) else None
        for phase, (phase_status, text, _) in phases.items()
    }
    design = _design_of(phase_status for phase_status, _, _ in phases.values())
    whole = STATUS_OK if is_measured(status) else status
    return _figures(number, whole, node, seconds, metrics, design)


@dataclass(frozen=True)
class _Table:
    """A CSV file as far as it is whole."""

    header: list[str]
    rows: list[list[str]]
    is_cut: bool
    """Whether its last line was cut short: it is none of the rows."""

    def cells(self, *names: str) -> Iterator[list[str]]:
        """Give the named cells of each row; raise ValueError for a table without them."""
        places = [self.header.index(name) for name in names] if self.rows else []
        return ([row[place] for place in places] for row in self.rows)


def _read(file: Path) -> _Table:
    """Return a table of a run; an empty one where the file is not there, or holds no header."""
    try:
        text = file.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return _Table([], [], False)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=file) from None
    end = text.rfind("\n") + 1
    header, *rows = list(csv.reader(io.StringIO(text[:end], newline=""))) or [[]]
    if any(len(row) != len(header) for row in rows):
        raise ValueError(file)
    return _Table(header, rows, end < len(text))


def keep_only(folder: Path, repeats: Iterable[int]) -> None:
    """Write both tables of a point anew, with the rows of these repeats alone."""
    kept = set(map(str, repeats))
    for name in (TIMINGS, METRICS):
        table = _read(folder / name)
        place = table.header.index("repeat")
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(table.header)
        writer.writerows(row for row in table.rows if row[place] in kept)
        RunFolder(folder).write(name, text.getvalue())


def repeat_seconds(point: Point) -> float | None:
    """Return what a repeat of a point takes, by those that ended; None before one has."""
    return point.median("wall_seconds")


def expected_seconds(plan: SweepPlan, points: Sequence[Point]) -> float | None:
    """Return what is left to measure, by what was measured; None before anything was."""
    known = [seconds for point in points if (seconds := repeat_seconds(point))]
    if not known:
        return None
    mean = sum(known) / len(known)
    not_begun = (plan.planned - len(points)) * plan.repeats * mean
    return not_begun + sum(
        (repeat_seconds(point) or mean) * (plan.repeats - len(point.repeats))
        for point in points
        if not point.is_done(plan.repeats)
    )


def plan_line(plan: SweepPlan, points: Sequence[Point]) -> str:
    """Return what is going to be measured, and how long it will take if that is known."""
    left = turns_left(plan, points)
    repeats = "once" if plan.repeats == 1 else f"{plan.repeats:,} times"
    order = "round by round" if plan.search is None else f"chosen by {plan.search.text}"
    text = f"{plan.planned:,} points, each {repeats}, {order}: {left:,} trainings"
    text += "" if left == plan.turns else f" of {plan.turns:,} are left"
    if not left:
        return text
    seconds = expected_seconds(plan, points)
    if seconds is None:
        return f"{text}; how long they take is known once every point was measured"
    return f"{text}; about {duration(seconds)} by those that have ended"


def turns_left(plan: SweepPlan, points: Sequence[Point]) -> int:
    """Return the repeats that are left to measure; a point that was pruned has none."""
    done = sum(
        plan.repeats if point.is_done(plan.repeats) else len(point.repeats) for point in points
    )
    return plan.turns - done


def write_report_of(folder: Path) -> None:
    """Write cloudmesh.log of a point's repeats so far."""
    # Imported here: it takes 0.2 s and changes PyYAML for the whole process.
    from mnistbench.results.cloudmesh_report import write_report

    write_report(RunFolder(folder), read_table(folder, TIMINGS, TimingRow))
