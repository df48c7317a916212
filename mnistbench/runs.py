"""One config's run: its folder, its repeats in fresh processes, and the rows they become.

What `benchmark`, `train` and `evaluate` share: they differ in the task that a repeat is.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mnistbench import data, evidence, machine, readings
from mnistbench.backends import BACKENDS
from mnistbench.config import RunConfig
from mnistbench.drift import Trend
from mnistbench.errors import InputError, RunError
from mnistbench.measuring_process import inherited, measuring_environment
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
)
from mnistbench.roofline import Peak, work_metrics
from mnistbench.tasks import Metric, Probe, RepeatResult, Stopped, probe
from mnistbench.timing import (
    IMPORT,
    PHASES,
    STATUS_INTERRUPTED,
    STATUS_NOT_RUN,
    STATUS_OK,
    TOTAL,
    TRAIN,
    Listener,
    PhaseRecord,
    PhaseStarted,
    utc_now,
)
from mnistbench.worker import StartMethod, Task, TaskFailure, Workers


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
class Measurement:
    """What a fresh process is asked for in one repeat."""

    task: Task
    job: object
    phases: tuple[str, ...] = PHASES
    """The phases it times, in order, `import` and `total` included."""
    stops_on_interrupt: bool = False
    """Whether Ctrl-C asks the task to stop, instead of ending its process."""


@dataclass(frozen=True)
class RepeatRecord:
    """What is known of one repeat, finished or not."""

    turn: Turn
    phases: tuple[PhaseRecord, ...]
    """One for each phase, in order; before them the download of the data, if there was one."""
    metrics: tuple[Metric, ...]
    status: str
    """`ok`, `failed`, `interrupted` or `killed:SIGNAL`."""
    reason: str = ""
    """Why it did not finish, in one line."""
    result: RepeatResult | None = None
    wrong_input: bool = False
    """Whether it did not finish because of what it was given."""

    @property
    def is_contended(self) -> bool:
        """Return whether the evidence says that something else disturbed it."""
        return evidence.is_contended(self.metrics)


@dataclass
class Run:
    """One config's share of a session: its folder and the repeats so far."""

    config: RunConfig
    run_id: str
    folder: RunFolder
    identity: data.DataIdentity
    device: str = ""
    """`cpu` or `gpu`, as resolved; empty until the framework was asked."""
    download: PhaseRecord | None = None
    """The download of its data, if this session had to and this is the first run of it."""
    repeats: list[RepeatRecord] = field(default_factory=list)
    tag: str = ""
    """The user's word for every row."""
    phases: tuple[str, ...] = PHASES
    """The phases that its repeats time, in order."""
    peaks: Mapping[str, Peak] = field(default_factory=dict)
    """Workload to its peak on this run's device; empty without `--roofline`."""
    trend: Trend | None = None
    """Of the train phase over the finished run; None if the repeats were too few to tell."""


@dataclass(frozen=True)
class Gauging:
    """The machine's peak is about to be measured, which takes some seconds."""

    moment: str
    """`before` the first repeat or `after` the last."""


@dataclass(frozen=True)
class TurnStarted:
    """A repeat is about to begin."""

    config: str
    turn: Turn
    turns: int
    """Turns of the whole session, as far as can be told."""
    epochs: int


@dataclass(frozen=True)
class TurnEnded:
    """A repeat has ended and its rows are on the disk."""

    config: str
    record: RepeatRecord


@dataclass(frozen=True)
class News:
    """What a user wants to know while the session goes on."""

    text: str
    """One line."""


def derived_seed(root: int, repeat: int) -> int:
    """Return the seed of one repeat, below 2**32, from the root seed of its config."""
    digest = hashlib.sha256(f"mnistbench:{root}:{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def crews(runs: Sequence[Run], start_method: StartMethod) -> list[tuple[Workers, list[Run]]]:
    """Return what makes the processes of each run, with the runs that share it.

    A backend and a device are one environment. A process has one fork server, and so one
    environment to fork from: with several, each process starts from nothing.
    Raises InputError where forking is asked for and not possible.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.config.device, run.config.backend), []).append(run)
    if len(groups) > 1:
        if start_method == "fork":
            raise InputError(
                "'fork' is for configs of one backend and one device",
                source="--start-method",
                hint="leave it out",
            )
        start_method = "spawn"
    return [
        (Workers(measuring_environment(*key), start_method), group) for key, group in groups.items()
    ]


def assign_downloads(downloads: Mapping[str, PhaseRecord], runs: Sequence[Run]) -> None:
    """Give each download, by data set, to the first run of that data."""
    for name, phase in downloads.items():
        first = next(run for run in runs if run.config.dataset_label == name)
        first.download = phase


def checked_identity(config: RunConfig) -> data.DataIdentity:
    """Return the digests of the config's data; raise InputError if it cannot be read whole."""
    whole = data.load(config)
    data.select(whole, config)  # only a user's own copy can hold fewer images than were checked
    return data.identify(whole, config)


def probe_devices(runs: Sequence[Run], workers: Workers) -> Mapping[str, object]:
    """Ask a measuring process for each run's device, and return what the framework tells."""
    told: dict[str, Probe] = {}
    for run in runs:
        wanted = run.config.device
        if wanted not in told:
            told[wanted] = probe_device(workers, wanted, run.folder.path / LOG)
        run.device = told[wanted].device
    return next(iter(told.values())).facts


def probe_device(workers: Workers, device: str, log: Path) -> Probe:
    """Return what a fresh measuring process tells of its framework; raise RunError if it fails."""
    try:
        answer: Probe = workers.run(probe, device, log, lambda message: None)
    except TaskFailure as failure:
        said = [path.read_text(errors="replace") for path in (workers.startup_log, log)]
        raise RunError(failure.reason, details="".join(said)) from None
    return answer


def describe(
    runs: Sequence[Run],
    repeats: int | None,
    warmup: int,
    facts: Mapping[str, object],
    workers: Workers,
    session_id: str = "",
) -> None:
    """Write machine.csv and begin the log of every run; runs of one call share the session.

    `repeats` is None where a rule decides.
    """
    session = {
        "session": session_id or secrets.token_hex(6),
        "started_utc": utc_now(),
        "repeats_planned": repeats,
        "warmup_discarded": warmup,
        "start_method": "fork" if workers.forks else "spawn",
    }
    said = workers.startup_log.read_text(errors="replace")
    for run in runs:
        add_facts(run, {**facts, **session, **_data_facts(run.identity)})
        title = BACKENDS[run.config.backend].title
        run.folder.log(f"{title} said while it was imported:\n{said or '(nothing)'}")
        often = "repeats until precise" if repeats is None else f"{repeats} repeats"
        run.folder.log(f"{run.config.name}: {often}, {warmup} warm-ups, on {run.device}")


def add_facts(run: Run, facts: Mapping[str, object]) -> None:
    """Add attributes to the run's machine.csv."""
    rows = [MachineRow(run.run_id, name, cell(value)) for name, value in facts.items()]
    run.folder.append(MACHINE, rows)


def _data_facts(identity: data.DataIdentity) -> Mapping[str, object]:
    return {
        "dataset_source": identity.source,
        "dataset_canonical": identity.canonical,
        **{f"dataset_{name}_sha256": digest for name, digest in identity.digests.items()},
    }


def measure(
    turn: Turn, run: Run, workers: Workers, wanted: Measurement, tell: Listener
) -> RepeatRecord:
    """Run one repeat in a fresh process, with evidence; a failure is a record too."""
    before = readings.take(workers.cpu_seconds())
    record = _measured(turn, run, workers, wanted, tell)
    after = readings.take(workers.cpu_seconds())
    return replace(record, metrics=(*record.metrics, *evidence.repeat_metrics(before, after)))


def _measured(
    turn: Turn, run: Run, workers: Workers, wanted: Measurement, tell: Listener
) -> RepeatRecord:
    phases: dict[str, PhaseRecord] = {}
    running: list[str] = []

    def listen(message: object) -> None:
        if isinstance(message, PhaseStarted):
            running.append(message.phase)
        elif isinstance(message, PhaseRecord):
            phases[message.phase] = message
        tell(message)

    log = run.folder.path / LOG
    run.folder.log(f"repeat {turn.repeat} begins, seed {turn.seed}, order {turn.order}")
    start = time.perf_counter()
    try:
        result = workers.run(wanted.task, wanted.job, log, listen, wanted.stops_on_interrupt)
    except (TaskFailure, InputError) as failure:
        status = failure.status if isinstance(failure, TaskFailure) else "failed"
        record = _unfinished(turn, phases, running, wanted.phases, status, str(failure))
        return replace(record, wrong_input=isinstance(failure, InputError))
    if isinstance(result, Stopped):
        reason = f"stopped by the user after epoch {result.epoch}"
        return _unfinished(turn, phases, running, wanted.phases, STATUS_INTERRUPTED, reason)
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
    work = _work_metrics(run.config, result, phases)
    ordered = tuple(phases[name] for name in wanted.phases)
    return RepeatRecord(turn, ordered, (*result.metrics, *work, *extra), STATUS_OK, result=result)


def _work_metrics(
    config: RunConfig, result: RepeatResult, phases: Mapping[str, PhaseRecord]
) -> list[Metric]:
    """Return the operations and bytes of the train phase, if there is one."""
    if TRAIN not in phases:
        return []
    return work_metrics(config, result.metrics, phases[TRAIN].seconds, result.precision)


def _unfinished(
    turn: Turn,
    phases: Mapping[str, PhaseRecord],
    running: list[str],
    names: tuple[str, ...],
    status: str,
    reason: str,
) -> RepeatRecord:
    """Return the record of a repeat that broke off: what ended, what ran, what never did."""
    ordered = []
    for name in names:
        if name in phases and phases[name].status == STATUS_OK:
            ordered.append(phases[name])
        elif name == TOTAL or (running and name == running[-1]):
            ordered.append(PhaseRecord(name, None, None, "", status))
        else:
            ordered.append(PhaseRecord(name, None, None, "", STATUS_NOT_RUN))
    return RepeatRecord(turn, tuple(ordered), (Metric("order", turn.order, ""),), status, reason)


def keep(record: RepeatRecord, run: Run) -> None:
    """Write the repeat's rows to the disk."""
    if run.download is not None and not run.repeats:
        record = replace(record, phases=(run.download, *record.phases))
    run.folder.append(TIMINGS, timing_rows(record, run))
    run.repeats.append(record)  # from here on its folder is kept, whatever fails next
    number = record.turn.repeat
    run.folder.append(
        METRICS,
        [MetricRow(run.run_id, number, m.name, m.value, m.unit) for m in record.metrics],
    )
    run.folder.log(f"repeat {number} ended: {record.status} {record.reason}")


def timing_rows(record: RepeatRecord, run: Run) -> list[TimingRow]:
    """Return one row for each phase of the repeat."""
    config, result = run.config, record.result
    return [
        TimingRow(
            run_id=run.run_id,
            config=config.name,
            config_digest=config.digest(),
            dataset=config.dataset_label,
            data_digest=result.identity.digest if result else run.identity.digest,
            model=config.model.family,
            backend=config.backend,
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
            tag=run.tag,
            node=machine.node(),
            user=machine.user(),
        )
        for phase in record.phases
    ]


def write_cloudmesh_report(run: Run) -> None:
    """Write cloudmesh.log of the repeats so far, if there is any."""
    if not run.repeats:
        return
    # Imported here: it takes 0.2 s and changes PyYAML for the whole process.
    from mnistbench.cloudmesh_report import write_report

    rows = [row for record in run.repeats for row in timing_rows(record, run)]
    write_report(run.folder, rows)
