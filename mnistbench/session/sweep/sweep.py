"""A sweep: many points of one config in one session, kept as they end, to be gone on with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mnistbench.analysis.sweeps import Findings, Point, findings_of
from mnistbench.config.frameworks import check_installed
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import needed_bytes
from mnistbench.errors import InputError
from mnistbench.machine import host, readings
from mnistbench.machine.warnings import warnings_before
from mnistbench.measuring.executor import Executor, StartMethod
from mnistbench.results.folder import RunFolder
from mnistbench.results.rows import TimingRow
from mnistbench.results.tables import CLOUDMESH, LOG, SWEEP_PLAN, TIMINGS, read_table
from mnistbench.session.crews import executor_of
from mnistbench.session.events import Event, Listener, News, TurnEnded
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.plan import SweepPlan, plan_text, read_plan
from mnistbench.session.sweep.progress import (
    SweepProgress,
    expected_seconds,
    plan_line,
    repeat_seconds,
)
from mnistbench.session.sweep.rounds import Ending, Rounds
from mnistbench.session.sweep.stations import (
    ExecutorOf,
    PointRuns,
    check_data,
    data_key,
    open_stations,
)
from mnistbench.session.turns import InTurn, take_turns


@dataclass(frozen=True)
class Terms:
    """How one call measures: what may differ when a sweep is gone on with."""

    start_method: StartMethod = "auto"
    max_seconds: float | None = None
    """From the call's beginning; None for no limit."""
    calibrate: bool = True
    """Whether to measure the machine's rates before and after."""
    executor_of: ExecutorOf | None = None
    """What makes processes; None for real ones."""


@dataclass(frozen=True)
class SweepResult:
    """How far a sweep is, and what it shows."""

    plan: SweepPlan
    folder: Path
    points: tuple[Point, ...]
    findings: Findings
    ending: Ending | Literal["planned", "running"]
    """How the call ended; `planned` and `running` of one that only looked."""

    @property
    def missing(self) -> list[Point]:
        """Return the points with fewer repeats than planned."""
        return [point for point in self.points if len(point.repeats) < self.plan.repeats]

    @property
    def ended(self) -> int:
        """Return the repeats that have ended."""
        return sum(len(point.repeats) for point in self.points)

    @property
    def failed(self) -> list[Point]:
        """Return the points with a repeat that did not come to its end."""
        return [point for point in self.points if len(point.finished) < len(point.repeats)]

    @property
    def expected_seconds(self) -> float | None:
        """Return what is left to measure, by what was measured; None before anything was."""
        return expected_seconds(self.plan, self.points)


def start_sweep(plan: SweepPlan, output: Path, terms: Terms, tell: Listener) -> SweepResult:
    """Measure a plan in a folder of its own below `output`.

    Raises InputError and OutputError before anything is measured, and OutputError if the disk
    fills meanwhile. A repeat that fails is recorded, and the others go on.
    """
    folder = RunFolder.make(output, plan.sweep_id)
    try:
        folder.write(SWEEP_PLAN, plan_text(plan))
        return _measure(plan, folder, terms, tell)
    finally:
        if not any(folder.path.glob(f"*/{TIMINGS}")):
            folder.remove()


def resume_sweep(folder: Path, terms: Terms, tell: Listener) -> SweepResult:
    """Go on with a sweep, however it ended: what has ended is kept, and nothing measured twice.

    Raises as `start_sweep`, and InputError where there is no sweep, or one that is running.
    """
    return _measure(read_plan(folder), RunFolder(folder), terms, tell)


def look_at_sweep(folder: Path) -> SweepResult:
    """Return how far a sweep is, running or not; nothing is written. Raises InputError."""
    progress = SweepProgress(read_plan(folder), RunFolder(folder))
    progress.read()
    running = lock.is_running(folder)
    return _result(progress, folder, "running" if running else "planned")


def preview(plan: SweepPlan, folder: Path) -> SweepResult:
    """Return a plan as a sweep that has not begun."""
    return _result(SweepProgress(plan, RunFolder(folder)), folder, "planned")


def stop_sweep(folder: Path) -> None:
    """Let a running sweep end after the repeat that runs now; raise InputError if none runs."""
    read_plan(folder)
    if not lock.is_running(folder):
        raise InputError(
            "no sweep is running in it", source=folder,
            hint=f"to go on with it: mnistbench sweep --resume {folder}",
        )  # fmt: skip
    lock.ask_to_stop(folder)


def _measure(plan: SweepPlan, folder: RunFolder, terms: Terms, tell: Listener) -> SweepResult:
    deadline = None if terms.max_seconds is None else time.monotonic() + terms.max_seconds
    with lock.held(folder.path):
        progress = SweepProgress(plan, folder)
        progress.read()

        def tell_and_log(news: News) -> None:
            tell(news)
            folder.log(news.text)

        for line in progress.repair():
            tell_and_log(News(line))
        progress.write_index()
        tell_and_log(News(plan_line(plan, progress.points)))
        ending: Ending = "finished"
        if progress.missing():
            ending = _Call(progress, folder, terms, tell, tell_and_log).run(deadline)
        progress.write_findings()
    return _result(progress, folder.path, ending)


def _result(
    progress: SweepProgress, folder: Path, ending: Ending | Literal["planned", "running"]
) -> SweepResult:
    plan, points = progress.plan, tuple(progress.points)
    findings = findings_of(points, plan.fields, plan.select_on)
    return SweepResult(plan, folder, points, findings, ending)


@dataclass
class _Call:
    """One call that measures what is missing of a sweep."""

    progress: SweepProgress
    folder: RunFolder
    terms: Terms
    tell: Listener
    tell_and_log: Callable[[News], None]

    def run(self, deadline: float | None) -> Ending:
        """Measure; return how it ended."""
        runs = self._prepare()
        schedule = self._schedule(deadline)

        def listen(event: Event) -> None:
            self.tell(event)
            if isinstance(event, TurnEnded):
                self._keep(event, runs)

        try:
            is_whole = take_turns(schedule, runs, InTurn(runs.executor_of), listen)
        finally:
            runs.remove_empty()
        ending = schedule.ending if is_whole else "interrupted"
        if ending == "finished" and not self._calibrate(runs):
            ending = "interrupted"
        for point in self._unreported(runs):
            self._report(point)
        return ending

    def _prepare(self) -> PointRuns:
        """Have ready what every turn needs, so that what is wrong comes before the first one."""
        plan = self.progress.plan
        configs = [plan.configs[point.number - 1] for point in self.progress.missing()]
        check_installed({config.backend for config in configs})
        first_reading = readings.take()
        of_each_data = list({data_key(config): config for config in configs}.values())
        downloads = fetch_missing(of_each_data, self.tell)
        identities = check_data(of_each_data)
        make = self.terms.executor_of or self._real_executor
        log = self.folder.path / LOG
        stations = open_stations(configs, make, log, self.terms.calibrate)
        facts = next(iter(stations.values())).facts
        needed = max(map(needed_bytes, configs))
        now = readings.take()
        for text in warnings_before(facts, needed, plan.repeats, first_reading, now):
            self.tell_and_log(News(f"warning: {text}"))
        self._tell_of_other_machines()
        begun = {point.number - 1 for point in self.progress.points if point.repeats}
        return PointRuns(plan, self.folder.path, stations, identities, downloads, begun)

    def _tell_of_other_machines(self) -> None:
        nodes = {repeat.node for point in self.progress.points for repeat in point.repeats}
        if others := sorted(nodes - {host.node()}):
            self.tell_and_log(
                News(
                    f"warning: it was begun on {', '.join(others)}, and goes on on {host.node()}: "
                    "what a setting does is told within each alone, medians are over both"
                )
            )

    def _real_executor(self, config: RunConfig) -> Executor:
        return executor_of(config, self.terms.start_method)

    def _schedule(self, deadline: float | None) -> Rounds:
        plan, progress = self.progress.plan, self.progress
        seconds = {
            point.number - 1: seconds
            for point in progress.points
            if (seconds := repeat_seconds(point))
        }
        return Rounds(
            plan.configs,
            plan.repeats,
            progress.done(),
            seconds,
            deadline,
            lambda: lock.is_asked_to_stop(self.folder.path),
            self.tell_and_log,
        )

    def _keep(self, event: TurnEnded, runs: PointRuns) -> None:
        """Take a repeat whose rows are on the disk; let go of all but its figures."""
        index = event.record.turn.config_index
        self.progress.add(event.record)
        runs[index].repeats[-1] = replace(event.record, metrics=(), result=None)
        point = self.progress.points[index]
        if len(point.repeats) == self.progress.plan.repeats:
            self._report(point)

    def _calibrate(self, runs: PointRuns) -> bool:
        """Measure the machine once more; return whether the user let it."""
        # One repeat of a second or two is not worth a second measurement of the machine.
        if self.progress.plan.turns == 1:
            return True
        try:
            runs.calibrate_again()
        except KeyboardInterrupt:
            return False
        return True

    def _unreported(self, runs: PointRuns) -> list[Point]:
        """Return the points whose reports lack repeats: of this call, or of one that was killed."""
        return [
            point
            for index, point in enumerate(self.progress.points)
            if point.repeats
            and not (
                (self.folder.path / point.folder / CLOUDMESH).is_file()
                and (index not in runs.used or len(point.repeats) == self.progress.plan.repeats)
            )
        ]

    def _report(self, point: Point) -> None:
        """Write cloudmesh.log of a point's repeats so far."""
        # Imported here: it takes 0.2 s and changes PyYAML for the whole process.
        from mnistbench.results.cloudmesh_report import write_report

        folder = self.folder.path / point.folder
        write_report(RunFolder(folder), read_table(folder, TIMINGS, TimingRow))
