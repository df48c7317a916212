"""The main job: several configs, repeat by repeat in fresh processes, every row on disk at once."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.analysis import drift
from mnistbench.config.frameworks import check_installed
from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import needed_bytes
from mnistbench.machine import host, readings
from mnistbench.machine.system_files import Facts
from mnistbench.machine.warnings import warnings_before
from mnistbench.measuring.jobs import RepeatJob
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import repeat
from mnistbench.measuring.workers import StartMethod, Workers
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.phases import STATUS_OK, TRAIN
from mnistbench.results.tables import LOG
from mnistbench.session.crews import crews, probe_device, probe_devices
from mnistbench.session.events import Listener, News, TurnEnded, TurnStarted
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.files import (
    add_facts,
    assign_downloads,
    checked_identity,
    describe,
    keep,
    write_cloudmesh_report,
)
from mnistbench.session.gauge import MachineGauge
from mnistbench.session.rates import AFTER, BEFORE
from mnistbench.session.records import Measurement, RepeatRecord, Run
from mnistbench.session.repeat import measure
from mnistbench.session.schedule import FixedRepeats, Schedule

if TYPE_CHECKING:
    from mnistbench.session.target import Target, TargetOutcome


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure, how often, and where the files go."""

    configs: tuple[RunConfig, ...]
    repeats: int
    """Recorded repeats of each config, each in a fresh process; with a target, the fewest."""
    warmup: int
    """Repeats of each config that run first and are discarded."""
    output: Path
    """The folder that receives a folder for each config."""
    tag: str = ""
    start_method: StartMethod = "auto"
    calibrate: bool = True
    """Whether to measure the machine's rates shortly before and after the repeats."""
    roofline: bool = False
    """Whether to measure its peak too, and each repeat's share of it."""
    rerun_contended: int = 0
    """Most further repeats of each config, in place of those that something else disturbed."""
    target: Target | None = None
    """Repeats go on until this is reached; None for a fixed number."""


@dataclass(frozen=True)
class BenchmarkResult:
    """The session: every run, and what was measured on."""

    runs: tuple[Run, ...]
    facts: Mapping[str, object]
    """Attributes of the machine, and of the first config's framework."""
    interrupted: bool
    warnings: tuple[str, ...] = ()
    """What was found before the run that will have disturbed it."""
    target: TargetOutcome | None = None
    """How repeats until precise ended."""

    @property
    def failures(self) -> list[RepeatRecord]:
        """Return the recorded repeats that did not finish."""
        return [record for run in self.runs for record in run.repeats if record.status != STATUS_OK]


def run_benchmark(plan: BenchmarkPlan, tell: Listener) -> BenchmarkResult:
    """Measure the plan, telling `tell` of each turn, phase and epoch as it happens.

    Raises InputError and OutputError before anything is measured, and OutputError if the disk
    fills meanwhile. A repeat that fails is recorded, and the others go on.
    """
    check_installed(config.backend for config in plan.configs)
    environment = dict(os.environ)
    first_reading = readings.take()
    downloads = fetch_missing(plan.configs, tell)
    runs = _create_runs(plan)
    assign_downloads(downloads, runs)
    made: list[tuple[Workers, list[Run]]] = []
    try:
        made = crews(runs, plan.start_method)
        facts = _describe(made, plan, host.machine_facts(environment))
        warnings = _warn(plan, runs, facts, first_reading, tell)
        gauge = MachineGauge(made, plan.calibrate, plan.roofline, tell)
        gauge.measure(BEFORE)
        schedule = _schedule(plan, runs, tell)
        by_run = {run.run_id: workers for workers, crew in made for run in crew}
        interrupted = _take_turns(schedule, runs, by_run, tell)
        outcome = _conclude(schedule, runs)
        for run in runs:
            _record_trend(run)
            write_cloudmesh_report(run)
        try:
            # One repeat of a second or two is not worth a second measurement of the machine.
            once = plan.repeats == 1 and not plan.roofline
            interrupted = interrupted or not (once or _gauged_after(gauge))
        finally:
            gauge.conclude()
    finally:
        for workers, _ in made:
            workers.close()
        for run in runs:
            if not run.repeats:
                run.folder.remove()
    kept = tuple(run for run in runs if run.repeats)
    return BenchmarkResult(kept, facts, interrupted, tuple(warnings), outcome if kept else None)


def describe_machine() -> Mapping[str, object]:
    """Return every attribute of this machine, TensorFlow's included."""
    environment = dict(os.environ)
    workers = Workers(measuring_environment("auto"), "auto")
    try:
        with tempfile.TemporaryDirectory(prefix="mnistbench-") as scratch:
            told = probe_device(workers, "auto", Path(scratch) / LOG)
    finally:
        workers.close()
    return {**host.machine_facts(environment), **told.facts}


def _create_runs(plan: BenchmarkPlan) -> list[Run]:
    """Check every config's data and make every run's folder; on an error, none is left."""
    identities = [checked_identity(config) for config in plan.configs]
    runs: list[Run] = []
    try:
        for config, identity in zip(plan.configs, identities, strict=True):
            run_id = new_run_id(config.name, host.node())
            folder = RunFolder.create(plan.output, run_id, config.to_yaml())
            runs.append(Run(config, run_id, folder, identity, tag=plan.tag))
    except BaseException:
        for run in runs:
            run.folder.remove()
        raise
    return runs


def _gauged_after(gauge: MachineGauge) -> bool:
    """Measure the machine once more; return False if the user interrupted that."""
    try:
        gauge.measure(AFTER)
    except KeyboardInterrupt:
        return False
    return True


def _schedule(plan: BenchmarkPlan, runs: list[Run], tell: Listener) -> Schedule:
    if plan.target is None:
        return FixedRepeats(plan.configs, plan.repeats, plan.warmup, plan.rerun_contended)
    # Imported here: only this needs SciPy, which takes a third of a second.
    from mnistbench.session.until_precise import UntilPrecise

    def tell_and_log(event: News) -> None:
        tell(event)
        for run in runs:
            run.folder.log(event.text)

    return UntilPrecise(plan.configs, plan.target, plan.warmup, tell_and_log, plan.repeats)


def _conclude(schedule: Schedule, runs: list[Run]) -> TargetOutcome | None:
    """Write down how a target was reached or missed; None where there was none."""
    outcome = schedule.outcome()
    if outcome is None:
        return None
    from mnistbench.session.target import facts_after, outcome_lines

    for run in runs:
        add_facts(run, facts_after(outcome))
        run.folder.log("\n".join(outcome_lines(outcome)))
    return outcome


def _describe(
    made: Sequence[tuple[Workers, list[Run]]],
    plan: BenchmarkPlan,
    machine_facts: Facts,
) -> Mapping[str, object]:
    """Resolve every run's device and describe it; return the facts of the first."""
    session_id = secrets.token_hex(6)
    repeats, asked = _asked(plan)
    told = []
    for workers, crew in made:
        told.append({**machine_facts, **probe_devices(crew, workers)})
        describe(crew, repeats, plan.warmup, {**told[-1], **asked}, workers, session_id)
    return told[0]


def _asked(plan: BenchmarkPlan) -> tuple[int | None, Mapping[str, object]]:
    """Return the repeats, None where a rule decides, and what is known of the rule before."""
    if plan.target is None:
        return plan.repeats, {}
    from mnistbench.session.target import facts_before

    return None, facts_before(plan.target)


def _warn(
    plan: BenchmarkPlan,
    runs: list[Run],
    facts: Mapping[str, object],
    first: readings.Reading,
    tell: Listener,
) -> list[str]:
    """Tell what will disturb the run, and log it."""
    needed = max(needed_bytes(config) for config in plan.configs)
    found = warnings_before(facts, needed, plan.repeats, first, readings.take())
    for text in found:
        tell(News(f"warning: {text}"))
        for run in runs:
            run.folder.log(f"warning: {text}")
    return found


def _take_turns(
    schedule: Schedule, runs: list[Run], workers: Mapping[str, Workers], tell: Listener
) -> bool:
    """Run every turn; return whether the user interrupted."""
    while (turn := schedule.next_turn()) is not None:
        run = runs[turn.config_index]
        epochs = run.config.training.epochs
        tell(TurnStarted(run.config.name, turn, schedule.expected_turns, epochs))
        try:
            job = RepeatJob(run.config, run.config.device, turn.seed)
            record = measure(turn, run, workers[run.run_id], Measurement(repeat, job), tell)
        except KeyboardInterrupt:
            run.folder.log(f"repeat {turn.repeat} interrupted by the user")
            return True
        if not turn.is_warmup:
            keep(record, run)
        schedule.ended(record)
        tell(TurnEnded(run.config.name, record))
    return False


def _record_trend(run: Run) -> None:
    """Test whether the train phase got slower or faster as the run went on, and write it down."""
    times = [
        (record.turn.order, phase.seconds)
        for record in run.repeats
        for phase in record.phases
        if phase.phase == TRAIN and phase.status == STATUS_OK and phase.seconds is not None
    ]
    run.trend = drift.trend([order for order, _ in times], [seconds for _, seconds in times])
    if run.trend is None:
        return
    add_facts(run, {f"drift_{TRAIN}_{name}": value for name, value in vars(run.trend).items()})
