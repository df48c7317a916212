"""The main job: several configs, repeat by repeat in fresh processes, every row on disk at once."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mnistbench import data, machine
from mnistbench.config import RunConfig
from mnistbench.errors import InputError, RunError
from mnistbench.fetching import fetch_missing
from mnistbench.results import (
    LOG,
    MACHINE,
    METRICS,
    TIMINGS,
    MachineRow,
    MetricRow,
    RunFolder,
    TimingRow,
    cell,
    new_run_id,
)
from mnistbench.tasks import Metric, Probe, RepeatJob, RepeatResult, probe, repeat
from mnistbench.tensorflow_process import inherited, measuring_environment
from mnistbench.timing import (
    IMPORT,
    PHASES,
    STATUS_NOT_RUN,
    STATUS_OK,
    TOTAL,
    PhaseRecord,
    PhaseStarted,
    utc_now,
)
from mnistbench.worker import StartMethod, TaskFailure, Workers

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
class Turn:
    """One repeat of one config, at its place in the order of the whole session."""

    config_index: int
    repeat: int
    """From 1; warm-ups count up to 0."""
    seed: int
    order: int
    """Place in the session, from 1, warm-ups included."""

    @property
    def is_warmup(self) -> bool:
        """Return whether its result is discarded."""
        return self.repeat < 1


@dataclass(frozen=True)
class RepeatRecord:
    """What is known of one repeat, finished or not."""

    turn: Turn
    phases: tuple[PhaseRecord, ...]
    """One for each phase, in order; before them the download of the data, if there was one."""
    metrics: tuple[Metric, ...]
    status: str
    """`ok`, `failed` or `killed:SIGNAL`."""
    reason: str = ""
    """Why it did not finish, in one line."""
    result: RepeatResult | None = None


@dataclass
class Run:
    """One config's share of a session: its folder and the repeats so far."""

    config: RunConfig
    run_id: str
    folder: RunFolder
    identity: data.DataIdentity
    device: str = ""
    """`cpu` or `gpu`, as resolved; empty until TensorFlow was asked."""
    download: PhaseRecord | None = None
    """The download of its data, if this session had to and this is the first run of it."""
    repeats: list[RepeatRecord] = field(default_factory=list)


@dataclass(frozen=True)
class TurnStarted:
    """A repeat is about to begin."""

    config: str
    turn: Turn
    turns: int
    """Turns of the whole session."""
    epochs: int


@dataclass(frozen=True)
class TurnEnded:
    """A repeat has ended and its rows are on the disk."""

    config: str
    record: RepeatRecord


@dataclass(frozen=True)
class BenchmarkResult:
    """The session: every run, and what was measured on."""

    runs: tuple[Run, ...]
    facts: Mapping[str, object]
    """Attributes of the machine."""
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
    environment = dict(os.environ)
    downloads = fetch_missing(plan.configs, tell)
    runs = _create_runs(plan)
    _assign_downloads(downloads, runs)
    workers = Workers(measuring_environment(_common_device(plan.configs)), plan.start_method)
    try:
        facts = {**machine.machine_facts(environment), **_probe_devices(runs, workers)}
        _describe(runs, plan, facts, workers)
        interrupted = _take_turns(plan, runs, workers, tell)
        for run in runs:
            _write_cloudmesh_report(run, plan)
    finally:
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


def planned_turns(plan: BenchmarkPlan) -> list[Turn]:
    """Return every repeat in the order it will run: round by round, each round shuffled.

    Configs measured in blocks would be confounded with drift of the machine; the order within a
    round is drawn from the first config's seed, so that it is recorded and can be had again.
    """
    turns: list[Turn] = []
    for number in range(1 - plan.warmup, plan.repeats + 1):
        indices = list(range(len(plan.configs)))
        random.Random(f"{plan.configs[0].training.seed}:{number}").shuffle(indices)
        for index in indices:
            root = plan.configs[index].training.seed
            turns.append(Turn(index, number, derived_seed(root, number), len(turns) + 1))
    return turns


def derived_seed(root: int, repeat: int) -> int:
    """Return the seed of one repeat, below 2**32, from the root seed of its config."""
    digest = hashlib.sha256(f"mnistbench:{root}:{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _create_runs(plan: BenchmarkPlan) -> list[Run]:
    """Check every config's data and make every run's folder; on an error, none is left."""
    identities = [_checked_identity(config) for config in plan.configs]
    runs: list[Run] = []
    try:
        for config, identity in zip(plan.configs, identities, strict=True):
            run_id = new_run_id(config.name, machine.node())
            folder = RunFolder.create(plan.output, run_id, config.to_yaml())
            runs.append(Run(config, run_id, folder, identity))
    except BaseException:
        for run in runs:
            run.folder.remove()
        raise
    return runs


def _checked_identity(config: RunConfig) -> data.DataIdentity:
    whole = data.load(config)
    data.select(whole, config)  # only a user's own copy can hold fewer images than were checked
    return data.identify(whole, config)


def _assign_downloads(downloads: Mapping[str, PhaseRecord], runs: list[Run]) -> None:
    for name, phase in downloads.items():
        first = next(run for run in runs if run.config.dataset_label == name)
        first.download = phase


def _common_device(configs: tuple[RunConfig, ...]) -> str:
    devices = {config.device for config in configs}
    return devices.pop() if len(devices) == 1 else "auto"


def _probe_devices(runs: list[Run], workers: Workers) -> Mapping[str, object]:
    """Ask a measuring process for each run's device, and return what TensorFlow tells."""
    told: dict[str, Probe] = {}
    for run in runs:
        wanted = run.config.device
        if wanted not in told:
            told[wanted] = probe_device(workers, wanted, run.folder.path / LOG)
        run.device = told[wanted].device
    return next(iter(told.values())).facts


def probe_device(workers: Workers, device: str, log: Path) -> Probe:
    """Return what a fresh measuring process tells of TensorFlow; raise RunError if it fails."""
    try:
        answer: Probe = workers.run(probe, device, log, lambda message: None)
    except TaskFailure as failure:
        said = [path.read_text(errors="replace") for path in (workers.startup_log, log)]
        raise RunError(failure.reason, details="".join(said)) from None
    return answer


def _describe(
    runs: list[Run], plan: BenchmarkPlan, facts: Mapping[str, object], workers: Workers
) -> None:
    """Write machine.csv and begin the log of every run."""
    session = {
        "session": secrets.token_hex(6),
        "started_utc": utc_now(),
        "repeats_planned": plan.repeats,
        "warmup_discarded": plan.warmup,
        "start_method": "fork" if workers.forks else "spawn",
    }
    said = workers.startup_log.read_text(errors="replace")
    for run in runs:
        told = {**facts, **session, **_data_facts(run.identity)}
        rows = [MachineRow(run.run_id, name, cell(value)) for name, value in told.items()]
        run.folder.append(MACHINE, rows)
        run.folder.log(f"TensorFlow said while it was imported:\n{said or '(nothing)'}")
        run.folder.log(
            f"{run.config.name}: {plan.repeats} repeats, {plan.warmup} warm-ups, on {run.device}"
        )


def _data_facts(identity: data.DataIdentity) -> Mapping[str, object]:
    return {
        "dataset_source": identity.source,
        "dataset_canonical": identity.canonical,
        **{f"dataset_{name}_sha256": digest for name, digest in identity.digests.items()},
    }


def _take_turns(plan: BenchmarkPlan, runs: list[Run], workers: Workers, tell: Listener) -> bool:
    """Run every turn; return whether the user interrupted."""
    turns = planned_turns(plan)
    for turn in turns:
        run = runs[turn.config_index]
        tell(TurnStarted(run.config.name, turn, len(turns), run.config.training.epochs))
        try:
            record = _take_turn(turn, run, workers, tell)
        except KeyboardInterrupt:
            run.folder.log(f"repeat {turn.repeat} interrupted by the user")
            return True
        if not turn.is_warmup:
            _keep(record, run, plan)
        tell(TurnEnded(run.config.name, record))
    return False


def _take_turn(turn: Turn, run: Run, workers: Workers, tell: Listener) -> RepeatRecord:
    phases: dict[str, PhaseRecord] = {}
    running: list[str] = []

    def listen(message: object) -> None:
        if isinstance(message, PhaseStarted):
            running.append(message.phase)
        elif isinstance(message, PhaseRecord):
            phases[message.phase] = message
        tell(message)

    job = RepeatJob(run.config, run.config.device, turn.seed)
    log = run.folder.path / LOG
    run.folder.log(f"repeat {turn.repeat} begins, seed {turn.seed}, order {turn.order}")
    start = time.perf_counter()
    try:
        result: RepeatResult = workers.run(repeat, job, log, listen)
    except (TaskFailure, InputError) as failure:
        status = failure.status if isinstance(failure, TaskFailure) else "failed"
        return _unfinished(turn, phases, running, status, str(failure))
    wall_seconds = time.perf_counter() - start
    total = phases[TOTAL].seconds or 0.0
    # Forked repeats share the import of their server: it was measured once, and counts once.
    shared = workers.forks and any(record.status == STATUS_OK for record in run.repeats)
    phases[IMPORT] = inherited(result.import_phase) if shared else result.import_phase
    own_import = 0.0 if workers.forks else result.import_phase.seconds or 0.0
    extra = (
        Metric("outside_phases_seconds", wall_seconds - total - own_import, "s"),
        Metric("order", turn.order, ""),
    )
    ordered = tuple(phases[name] for name in PHASES)
    return RepeatRecord(turn, ordered, (*result.metrics, *extra), STATUS_OK, result=result)


def _unfinished(
    turn: Turn, phases: Mapping[str, PhaseRecord], running: list[str], status: str, reason: str
) -> RepeatRecord:
    """Return the record of a repeat that broke off: what ended, what ran, what never did."""
    ordered = []
    for name in PHASES:
        if name in phases and phases[name].status == STATUS_OK:
            ordered.append(phases[name])
        elif name == TOTAL or (running and name == running[-1]):
            ordered.append(PhaseRecord(name, None, None, "", status))
        else:
            ordered.append(PhaseRecord(name, None, None, "", STATUS_NOT_RUN))
    return RepeatRecord(turn, tuple(ordered), (Metric("order", turn.order, ""),), status, reason)


def _keep(record: RepeatRecord, run: Run, plan: BenchmarkPlan) -> None:
    """Write the repeat's rows to the disk."""
    if run.download is not None and not run.repeats:
        record = replace(record, phases=(run.download, *record.phases))
    run.folder.append(TIMINGS, _timing_rows(record, run, plan))
    number = record.turn.repeat
    run.folder.append(
        METRICS,
        [MetricRow(run.run_id, number, m.name, m.value, m.unit) for m in record.metrics],
    )
    run.repeats.append(record)
    run.folder.log(f"repeat {number} ended: {record.status} {record.reason}")


def _timing_rows(record: RepeatRecord, run: Run, plan: BenchmarkPlan) -> list[TimingRow]:
    config, result = run.config, record.result
    return [
        TimingRow(
            run_id=run.run_id,
            config=config.name,
            config_digest=config.digest(),
            dataset=config.dataset_label,
            data_digest=result.identity.digest if result else run.identity.digest,
            model=config.model.family,
            backend="tensorflow",
            device=result.device if result else run.device,
            precision=result.precision if result else "",
            epochs=config.training.epochs,
            batch_size=config.training.batch_size,
            repeat=record.turn.repeat,
            seed=record.turn.seed,
            phase=phase.phase,
            seconds=phase.seconds,
            cpu_seconds=phase.cpu_seconds,
            start_utc=phase.start_utc,
            status=phase.status,
            tag=plan.tag,
            node=machine.node(),
            user=machine.user(),
        )
        for phase in record.phases
    ]


def _write_cloudmesh_report(run: Run, plan: BenchmarkPlan) -> None:
    if not run.repeats:
        return
    # Imported here: it takes 0.2 s and changes PyYAML for the whole process.
    from mnistbench.cloudmesh_report import write_report

    rows = [row for record in run.repeats for row in _timing_rows(record, run, plan)]
    write_report(run.folder, rows)
