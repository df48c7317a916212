"""The main job: several configs, repeat by repeat in fresh processes, every row on disk at once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.analysis import drift
from mnistbench.config.devices import refuse_several
from mnistbench.config.frameworks import BACKENDS, check_installed
from mnistbench.config.run_config import RunConfig
from mnistbench.config.temporary import temporary_folder
from mnistbench.config.work import needed_bytes
from mnistbench.errors import MnistbenchError
from mnistbench.machine import host, readings
from mnistbench.machine.warnings import logical_devices, warnings_before
from mnistbench.measuring.executor import StartMethod
from mnistbench.measuring.interpreters import Interpreter, check_packages
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.workers import Workers
from mnistbench.results.phases import STATUS_OK, TRAIN
from mnistbench.results.tables import LOG
from mnistbench.session.crews import Crew, crews_of, probe_device, probe_devices
from mnistbench.session.duet import AtOnce, Duet, check_devices, check_possible
from mnistbench.session.events import Listener, News
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.files import (
    add_facts,
    create_runs,
    describe,
    kept_if_measured,
    write_cloudmesh_report,
)
from mnistbench.session.gauge import MachineGauge
from mnistbench.session.rates import AFTER, BEFORE
from mnistbench.session.records import RepeatRecord, Run
from mnistbench.session.schedule import FixedRepeats, Schedule
from mnistbench.session.turns import InTurn, take_turns

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
    at_once: AtOnce | None = None
    """How the two configs are measured at the same time: each on half of the cores, or both on one;
    None for in turn."""
    against: Interpreter | None = None
    """Another Python, by which the last of the configs is measured; None for this one."""


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


@dataclass(frozen=True)
class Surroundings:
    """What the session was started in, before anything of it ran."""

    environment: Mapping[str, str]
    first_reading: readings.Reading


def run_benchmark(plan: BenchmarkPlan, tell: Listener) -> BenchmarkResult:
    """Measure the plan, telling `tell` of each turn, phase and epoch as it happens.

    Raises InputError and OutputError before anything is measured, and OutputError if the disk
    fills meanwhile. A repeat that fails is recorded, and the others go on.
    """
    check_installed(config.backend for config in plan.configs)
    if plan.against is not None:
        check_packages(plan.against, BACKENDS[plan.configs[-1].backend].packages)
    _check_devices_fit(plan)
    surroundings = Surroundings(dict(os.environ), readings.take())
    downloads = fetch_missing(plan.configs, tell)
    runs = create_runs(plan.configs, plan.output, plan.tag, downloads)
    runs[-1].interpreter = plan.against
    with kept_if_measured(runs):
        duet = Duet(runs, plan.start_method, plan.at_once) if plan.at_once else None
        crews = duet.crews if duet else crews_of(runs, plan.start_method)
        facts = _describe(crews, plan, surroundings)
        warnings = _warn(plan, runs, facts, surroundings, tell)
        # Half of the cores is not the machine: a duet's times are held against no rate of it.
        gauge = MachineGauge(crews, plan.calibrate and duet is None, plan.roofline, tell)
        gauge.measure(BEFORE)
        schedule = _schedule(plan, runs, tell)
        executors = {run.run_id: crew.executor for crew in crews for run in crew.runs}
        in_turn = InTurn(lambda run: executors[run.run_id])
        try:
            finished = take_turns(schedule, runs, duet or in_turn, tell)
        except MnistbenchError:
            with suppress(MnistbenchError):  # the first one is told
                _conclude(schedule, runs)
            raise
        outcome = _conclude(schedule, runs)
        finished = _gauge_after(gauge, plan, finished)
    kept = tuple(run for run in runs if run.repeats)
    return BenchmarkResult(kept, facts, not finished, tuple(warnings), outcome if kept else None)


def _check_devices_fit(plan: BenchmarkPlan) -> None:
    """Raise InputError where options of the plan and the devices of a config exclude each other."""
    if plan.at_once:
        check_possible(plan.configs, plan.roofline, plan.at_once)
    if plan.roofline:
        refuse_several(
            plan.configs,
            "the peak that is measured is that of one",
            "--roofline",
            "leave it out, or set training.devices=1",
        )


def describe_machine() -> Mapping[str, object]:
    """Return every attribute of this machine, the reference framework's included."""
    environment = dict(os.environ)
    workers = Workers(measuring_environment("auto"), "auto")
    with temporary_folder() as scratch:
        answer = probe_device(workers, "auto", scratch / LOG)
    return {**host.machine_facts(environment), **answer.facts}


def _gauge_after(gauge: MachineGauge, plan: BenchmarkPlan, finished: bool) -> bool:
    """Measure a finished session's machine once more; return whether it still is finished."""
    # One repeat of a second or two is not worth a second measurement of the machine.
    once = plan.repeats == 1 and not plan.roofline
    try:
        if finished and not once:
            gauge.measure(AFTER)
    except KeyboardInterrupt:
        return False
    finally:
        gauge.conclude()
    return finished


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


def _conclude(schedule: Schedule, runs: Sequence[Run]) -> TargetOutcome | None:
    """Write down trends, reports, and how a target was reached or missed; None without one."""
    outcome = schedule.outcome()
    for run in runs:
        if outcome is not None:
            _record_outcome(run, outcome)
        _record_trend(run)
        write_cloudmesh_report(run)
    return outcome


def _record_outcome(run: Run, outcome: TargetOutcome) -> None:
    from mnistbench.session.target import facts_after, outcome_lines

    add_facts(run, facts_after(outcome))
    run.folder.log("\n".join(outcome_lines(outcome)))


def _describe(
    crews: Sequence[Crew], plan: BenchmarkPlan, surroundings: Surroundings
) -> Mapping[str, object]:
    """Resolve every run's device and describe it; return the facts of the first."""
    session_id = secrets.token_hex(6)
    machine_facts = host.machine_facts(surroundings.environment)
    repeats, asked = _asked(plan)
    facts = []
    for crew in crews:
        facts.append({**machine_facts, **probe_devices(crew)})
        describe(crew, repeats, plan.warmup, {**facts[-1], **asked}, session_id)
    if plan.at_once:
        check_devices([run for crew in crews for run in crew.runs], plan.at_once)
    return facts[0]


def _asked(plan: BenchmarkPlan) -> tuple[int | None, Mapping[str, object]]:
    """Return the repeats, None where a rule decides, and what is known of the rule before."""
    design = {"design": plan.at_once} if plan.at_once else {}
    if plan.target is None:
        return plan.repeats, design
    from mnistbench.session.target import facts_before

    return None, {**facts_before(plan.target), **design}


def _warn(
    plan: BenchmarkPlan,
    runs: Sequence[Run],
    facts: Mapping[str, object],
    surroundings: Surroundings,
    tell: Listener,
) -> list[str]:
    """Tell what will disturb the run, and log it."""
    needed = max(needed_bytes(config) for config in plan.configs)
    now = readings.take()
    threads = [config.training.threads for config in plan.configs]
    warnings = warnings_before(
        facts, needed, plan.repeats, surroundings.first_reading, now, threads
    )
    warnings += logical_devices((run.config, run.device) for run in runs)
    for text in warnings:
        tell(News(f"warning: {text}"))
        for run in runs:
            run.folder.log(f"warning: {text}")
    return warnings


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
