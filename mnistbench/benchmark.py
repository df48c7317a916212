"""The main job: several configs, repeat by repeat in fresh processes, every row on disk at once."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench import machine
from mnistbench.backends import check_installed
from mnistbench.config import RunConfig
from mnistbench.fetching import fetch_missing
from mnistbench.measuring_process import measuring_environment
from mnistbench.results import LOG, RunFolder, new_run_id
from mnistbench.runs import (
    Measurement,
    RepeatRecord,
    Run,
    TurnEnded,
    TurnStarted,
    assign_downloads,
    checked_identity,
    crews,
    describe,
    keep,
    measure,
    probe_device,
    probe_devices,
    write_cloudmesh_report,
)
from mnistbench.schedule import FixedRepeats, Schedule
from mnistbench.tasks import RepeatJob, repeat
from mnistbench.timing import STATUS_OK
from mnistbench.worker import StartMethod, Workers

Listener = Callable[[object], None]


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure, how often, and where the files go."""

    configs: tuple[RunConfig, ...]
    repeats: int
    """Recorded repeats of each config, each in a fresh process."""
    warmup: int
    """Repeats of each config that run first and are discarded."""
    output: Path
    """The folder that receives a folder for each config."""
    tag: str = ""
    start_method: StartMethod = "auto"


@dataclass(frozen=True)
class BenchmarkResult:
    """The session: every run, and what was measured on."""

    runs: tuple[Run, ...]
    facts: Mapping[str, object]
    """Attributes of the machine, and of the first config's framework."""
    interrupted: bool

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
    downloads = fetch_missing(plan.configs, tell)
    runs = _create_runs(plan)
    assign_downloads(downloads, runs)
    made: list[tuple[Workers, list[Run]]] = []
    try:
        made = crews(runs, plan.start_method)
        facts = _describe(made, plan, machine.machine_facts(environment))
        by_run = {run.run_id: workers for workers, crew in made for run in crew}
        interrupted = _take_turns(_schedule(plan), runs, by_run, tell)
        for run in runs:
            write_cloudmesh_report(run)
    finally:
        for workers, _ in made:
            workers.close()
        for run in runs:
            if not run.repeats:
                run.folder.remove()
    kept = tuple(run for run in runs if run.repeats)
    return BenchmarkResult(kept, facts, interrupted)


def describe_machine() -> Mapping[str, object]:
    """Return every attribute of this machine, TensorFlow's included."""
    environment = dict(os.environ)
    workers = Workers(measuring_environment("auto"), "auto")
    try:
        with tempfile.TemporaryDirectory(prefix="mnistbench-") as scratch:
            told = probe_device(workers, "auto", Path(scratch) / LOG)
    finally:
        workers.close()
    return {**machine.machine_facts(environment), **told.facts}


def _create_runs(plan: BenchmarkPlan) -> list[Run]:
    """Check every config's data and make every run's folder; on an error, none is left."""
    identities = [checked_identity(config) for config in plan.configs]
    runs: list[Run] = []
    try:
        for config, identity in zip(plan.configs, identities, strict=True):
            run_id = new_run_id(config.name, machine.node())
            folder = RunFolder.create(plan.output, run_id, config.to_yaml())
            runs.append(Run(config, run_id, folder, identity, tag=plan.tag))
    except BaseException:
        for run in runs:
            run.folder.remove()
        raise
    return runs


def _schedule(plan: BenchmarkPlan) -> Schedule:
    return FixedRepeats(plan.configs, plan.repeats, plan.warmup)


def _describe(
    made: Sequence[tuple[Workers, list[Run]]], plan: BenchmarkPlan, machine_facts: machine.Facts
) -> Mapping[str, object]:
    """Resolve every run's device and describe it; return the facts of the first."""
    session_id = secrets.token_hex(6)
    told = []
    for workers, crew in made:
        told.append({**machine_facts, **probe_devices(crew, workers)})
        describe(crew, plan.repeats, plan.warmup, told[-1], workers, session_id)
    return told[0]


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
