"""A sweep: many points of one config in one session, kept as they end, to be gone on with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from mnistbench.analysis.sweeps import Findings, Point, findings_of
from mnistbench.errors import InputError
from mnistbench.results.folder import RunFolder
from mnistbench.results.phases import STATUS_PARALLEL
from mnistbench.results.tables import ATTEMPTS, LAUNCHED, SWEEP_PLAN, TIMINGS
from mnistbench.session.events import Listener, News
from mnistbench.session.sweep import lock
from mnistbench.session.sweep.attempts import attempt_folders, new_attempt
from mnistbench.session.sweep.collecting import collect
from mnistbench.session.sweep.elsewhere import Elsewhere
from mnistbench.session.sweep.here import Here
from mnistbench.session.sweep.launchers import slurm
from mnistbench.session.sweep.launchers.engine import (
    Engine,
    Launched,
    TaskState,
    detaches,
    open_engine,
    read_launched,
)
from mnistbench.session.sweep.machines import machines_line
from mnistbench.session.sweep.plan import SweepPlan
from mnistbench.session.sweep.plan_file import plan_text, read_plan, read_point
from mnistbench.session.sweep.progress import (
    SweepProgress,
    expected_seconds,
    plan_line,
    repeats_in,
)
from mnistbench.session.sweep.rounds import Ending
from mnistbench.session.sweep.search import check_installed
from mnistbench.session.sweep.terms import Terms

State = Ending | Literal["planned", "running"]
"""How a call ended; `planned` and `running` of one that only looked."""


@dataclass(frozen=True)
class SweepResult:
    """How far a sweep is, and what it shows."""

    plan: SweepPlan
    folder: Path
    points: tuple[Point, ...]
    findings: Findings
    ending: State
    tasks: Mapping[int, TaskState] = field(default_factory=dict)
    """What others were given and has not ended, by the number of its point."""
    uncollected: int = 0
    """Attempts of others that have ended and wait to be collected."""
    machines: str = ""
    """What is told of several machines that it was measured on; empty for one."""

    @property
    def missing(self) -> list[Point]:
        """Return the points of which something is left to measure."""
        return [point for point in self.points if not point.is_done(self.plan.repeats)]

    @property
    def is_whole(self) -> bool:
        """Return whether nothing is left to measure."""
        return len(self.points) >= self.plan.planned and not self.missing

    @property
    def ended(self) -> int:
        """Return the repeats that have ended."""
        return sum(len(point.repeats) for point in self.points)

    @property
    def failed(self) -> list[Point]:
        """Return the points with a repeat that broke off."""
        return [point for point in self.points if point.failed]

    @property
    def pruned(self) -> list[Point]:
        """Return the points whose training a search ended early."""
        return [point for point in self.points if point.is_pruned]

    @property
    def expected_seconds(self) -> float | None:
        """Return what is left to measure, by what was measured; None before anything was."""
        return expected_seconds(self.plan, self.points)


def start_sweep(plan: SweepPlan, output: Path, terms: Terms, tell: Listener) -> SweepResult:
    """Measure a plan in a folder of its own below `output`.

    Raises InputError and OutputError before anything is measured, and OutputError if the disk
    fills meanwhile. A repeat that fails is recorded, and the others go on.
    """
    if plan.search is not None:
        check_installed(plan.search)
        _check_alone(terms)
    folder = write_plan(plan, output)
    try:
        return _measure(plan, folder, terms, tell)
    finally:
        if not (any(folder.path.glob(f"*/{TIMINGS}")) or (folder.path / LAUNCHED).exists()):
            folder.remove()


def _check_alone(terms: Terms) -> None:
    """Raise InputError where others, or several at a time, would measure a search."""
    if terms.launch is not None or terms.parallel > 1:
        source = "--parallel" if terms.launch is None else f"--launcher {terms.launch.name}"
        raise InputError(
            "each point of a search is chosen by those before it: here, one after the other",
            source=source, hint="leave it out",
        )  # fmt: skip


def write_plan(plan: SweepPlan, output: Path) -> RunFolder:
    """Make a sweep's folder with nothing but its plan; raise OutputError if it cannot be."""
    folder = RunFolder.make(output, plan.sweep_id)
    folder.write(SWEEP_PLAN, plan_text(plan))
    return folder


def resume_sweep(folder: Path, terms: Terms, tell: Listener) -> SweepResult:
    """Go on with a sweep, however it ended: what has ended is kept, and nothing measured twice.

    Raises as `start_sweep`, and InputError where there is no sweep, or one that is running.
    """
    plan = read_plan(folder)
    if plan.search is not None:
        check_installed(plan.search)
        _check_alone(terms)
    if terms.launch is None and (tasks := _tasks_of(folder)):
        job = next(iter(tasks.values())).job
        raise InputError(
            f"{len(tasks)} of its points wait or run elsewhere, job {job}",
            source=folder,
            hint=f"wait for them, or end them with mnistbench sweep stop {folder}",
        )
    return _measure(plan, RunFolder(folder), terms, tell)


def measure_point(folder: Path, number: int, terms: Terms, tell: Listener) -> SweepResult:
    """Measure one point of a sweep, in a folder of its own that is to be collected.

    Raises as `start_sweep`.
    """
    plan = read_point(folder, number)
    place = folder / plan.run_id(0)
    whole = repeats_in(place)[0] if place.is_dir() else []
    if len(whole) >= plan.repeats:
        tell(News(f"point {number} is measured already"))
        return preview(plan, folder)
    kept = frozenset(repeat.repeat for repeat in whole)
    attempt = replace(new_attempt(os.environ), kept=kept)
    own = RunFolder.make(folder / ATTEMPTS, attempt.key)
    return _measure(plan, own, replace(terms, attempt=attempt), tell)


def collect_sweep(folder: Path, tell: Listener) -> SweepResult:
    """Take what others have measured of a sweep; raise InputError and OutputError."""
    plan = read_plan(folder)
    with lock.held(folder):
        progress = _read(plan, RunFolder(folder), tell)
        progress.write_findings()
    tasks = _tasks_of(folder)
    return _result(
        progress, folder, "running" if tasks and progress.missing() else "planned", tasks
    )


def look_at_sweep(folder: Path) -> SweepResult:
    """Return how far a sweep is, running or not; nothing is written. Raises InputError."""
    progress = SweepProgress(read_plan(folder), RunFolder(folder))
    progress.read()
    tasks = _tasks_of(folder)
    running = lock.is_running(folder) or tasks
    return _result(progress, folder, "running" if running else "planned", tasks)


def preview(plan: SweepPlan, folder: Path) -> SweepResult:
    """Return a plan as a sweep that has not begun."""
    return _result(SweepProgress(plan, RunFolder(folder)), folder, "planned")


def stop_sweep(folder: Path) -> str:
    """Let a running sweep end; return when it will. Raises InputError if none runs."""
    read_plan(folder)
    launched = read_launched(folder)
    if lock.is_running(folder):
        lock.ask_to_stop(folder)
        if launched is None:
            return "the sweep ends after the repeat that runs now"
        return "its jobs are cancelled; what has ended is kept"
    engine = _asked(folder, launched)
    tasks = engine.states() if engine else {}
    if engine is None or not tasks:
        raise InputError(
            "no sweep is running in it", source=folder,
            hint=f"to go on with it: mnistbench sweep --resume {folder}",
        )  # fmt: skip
    engine.cancel(waiting_only=False)
    noun = "point is" if len(tasks) == 1 else "points are"
    kept = f"what had ended is kept: mnistbench sweep collect {folder}"
    return f"{len(tasks)} {noun} cancelled; {kept}"


def _asked(folder: Path, launched: Launched | None) -> Engine | None:
    """Return what can tell of tasks that were given away; None where nothing can."""
    if launched is None or not detaches(launched.launch.name):
        return None
    try:
        return open_engine(folder, launched)
    except InputError:  # not a machine that could ask
        return None


def _tasks_of(folder: Path) -> dict[int, TaskState]:
    engine = _asked(folder, read_launched(folder))
    return engine.states() if engine else {}


def _measure(plan: SweepPlan, folder: RunFolder, terms: Terms, tell: Listener) -> SweepResult:
    deadline = None if terms.max_seconds is None else time.monotonic() + terms.max_seconds
    with lock.held(folder.path):

        def tell_and_log(news: News) -> None:
            tell(news)
            folder.log(news.text)

        progress = _read(plan, folder, tell_and_log)
        _check_design(progress, folder.path, terms)
        progress.write_index()
        tell_and_log(News(plan_line(plan, progress.points)))
        ending: Ending = "finished"
        if not progress.is_whole():
            call = (
                Here(progress, folder, terms, tell, tell_and_log)
                if terms.launch is None
                else Elsewhere(progress, folder, terms, tell, tell_and_log, slurm.live_jobs)
            )
            ending = call.run(deadline)
        # Of an attempt they are the sign that it came to its own end.
        if terms.attempt is None or ending == "finished":
            progress.write_findings()
    return _result(progress, folder.path, ending)


def _read(plan: SweepPlan, folder: RunFolder, tell: Callable[[News], None]) -> SweepProgress:
    """Return how far a sweep is: half-written repeats are taken out, others' attempts collected."""
    progress = SweepProgress(plan, folder)
    progress.read()
    for line in (*progress.repair(), *collect(progress, folder.path, slurm.live_jobs)):
        tell(News(line))
    return progress


def _check_design(progress: SweepProgress, folder: Path, terms: Terms) -> None:
    """Raise InputError where repeats would stand in one run that cannot be compared."""
    wanted = f"{STATUS_PARALLEL}{terms.parallel}" if terms.parallel > 1 else ""
    for point in progress.points:
        for repeat in point.repeats:
            if repeat.design != wanted:
                before = repeat.design.removeprefix(STATUS_PARALLEL) or "1"
                way = f"go on with --parallel {before}" if before != "1" else "leave out --parallel"
                raise InputError(
                    f"its repeats were measured {before} at a time, and would be {terms.parallel}: "
                    "their times cannot be compared",
                    source=folder,
                    hint=way,
                )


def _result(
    progress: SweepProgress, folder: Path, ending: State,
    tasks: Mapping[int, TaskState] | None = None,
) -> SweepResult:  # fmt: skip
    plan, points = progress.plan, tuple(progress.points)
    findings = findings_of(points, plan.fields, plan.select_on)
    settled = sum(attempt.has_ended for attempt in attempt_folders(folder))
    machines = machines_line(points, folder)
    return SweepResult(plan, folder, points, findings, ending, tasks or {}, settled, machines)
