"""One training that leaves a folder: the model, how it was learnt, pictures, and its times."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mnistbench.config.devices import refuse_several
from mnistbench.config.frameworks import BACKENDS, TENSORBOARD, check_installed, install_command
from mnistbench.config.loading import load_config
from mnistbench.config.network import layer_table
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.machine import host
from mnistbench.machine.clocks import check_archives_can_be_dated
from mnistbench.measuring.executor import Executor, StartMethod
from mnistbench.measuring.interrupts import held_back
from mnistbench.measuring.jobs import Message, TrainJob
from mnistbench.measuring.tasks import train
from mnistbench.results.checkpoints import checkpoint_epoch, last_checkpoint
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.phases import (
    STATUS_INTERRUPTED,
    STATUS_OK,
    STATUS_RESUMED,
    TOTAL,
    TRAIN,
    PhaseRecord,
)
from mnistbench.results.rows import HistoryRow, MachineRow, MetricRow, TimingRow
from mnistbench.results.tables import (
    ARCHITECTURE,
    CONFIG,
    CURVES,
    HISTORY,
    MACHINE,
    METRICS,
    MODEL,
    SCHEMA_FACT,
    TIMINGS,
    check_schema,
    read_table,
)
from mnistbench.session.crews import Crew, executor_of, probe_devices
from mnistbench.session.events import Listener, TurnStarted
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.files import (
    assign_downloads,
    checked_identity,
    describe,
    keep,
    write_cloudmesh_report,
)
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn, derived_seed
from mnistbench.session.repeat import measure


@dataclass(frozen=True)
class TrainPlan:
    """What to train, and what to keep of it."""

    config: RunConfig
    output: Path
    """The folder that receives the run's folder."""
    resume: Path | None = None
    """The folder of a run to go on with; `config` is the one in it."""
    tag: str = ""
    start_method: StartMethod = "auto"
    checkpoint_every: int | None = None
    """Epochs between two checkpoints; None for none."""
    tensorboard: bool = False


@dataclass(frozen=True)
class TrainResult:
    """The run, and whether it came to its end."""

    run: Run
    record: RepeatRecord
    epochs: int
    """Epochs behind the kept model."""

    @property
    def interrupted(self) -> bool:
        """Return whether the user stopped it."""
        return self.record.status == STATUS_INTERRUPTED


def run_training(plan: TrainPlan, tell: Listener) -> TrainResult:
    """Train once, telling `tell` of each phase and epoch; the files are written as it goes.

    Raises InputError and OutputError before the training, and KeyboardInterrupt at a second
    Ctrl-C. A first one ends the training early and is told by the result.
    """
    _check_possible(plan)
    environment = dict(os.environ)
    downloads = fetch_missing([plan.config], tell)
    run = _create(plan) if plan.resume is None else _reopen(plan.resume, plan)
    assign_downloads(downloads, [run])
    checkpoint = last_checkpoint(run.folder.path)
    with _kept_if_learnt(run):
        crew = Crew(executor_of(plan.config, plan.start_method), (run,))
        framework_facts = probe_devices(crew)
        if checkpoint is None:
            describe(crew, 1, 0, {**host.machine_facts(environment), **framework_facts})
            _begin(run)
        else:
            run.folder.log(f"resumed from {checkpoint.name}, on {host.node()}, {run.device}")
        record = _train(plan, run, crew.executor, checkpoint, tell)
        return _finish(run, record if checkpoint is None else _without_comparison(record))


def _check_possible(plan: TrainPlan) -> None:
    """Raise InputError for what this machine, or the backend, has not."""
    if plan.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "needs the package tensorboard",
            source="--tensorboard",
            hint=install_command(TENSORBOARD),
        )
    check_installed([plan.config.backend])
    check_archives_can_be_dated("a kept model")
    refuse_several(
        [plan.config],
        "one process keeps the model",
        "train",
        "add --set training.processes=1",
        processes_alone=True,
    )
    if plan.tensorboard and not BACKENDS[plan.config.backend].writes_tensorboard:
        raise InputError(
            f"Keras writes these logs by TensorFlow, and the backend is {plan.config.backend}",
            source="--tensorboard",
            hint="leave it out; history.csv has the same figures",
        )


@contextmanager
def _kept_if_learnt(run: Run) -> Iterator[None]:
    """Remove, however the block ends, a folder made for this training that learnt nothing."""
    try:
        yield
    finally:
        if not run.repeats and not read_table(run.folder.path, HISTORY, HistoryRow):
            run.folder.remove()


def load_resumed(folder: Path) -> RunConfig:
    """Return the config of a run that can go on; raise InputError if there is nothing to do."""
    if not folder.is_dir():
        raise InputError("no such folder", source=folder, field="--resume")
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"holds no {CONFIG}", source=folder, field="--resume", hint="give the folder of a run"
        )
    config = load_config(str(folder / CONFIG))
    if _is_finished(folder):
        raise InputError(
            f"is finished: all {config.training.epochs} epochs are done",
            source=folder,
            field="--resume",
            hint=f"see: mnistbench evaluate {folder}",
        )
    if last_checkpoint(folder) is None:
        raise InputError(
            "holds no checkpoint to go on from",
            source=folder,
            field="--resume",
            hint="train again, with --checkpoint-every N",
        )
    return config


def _is_finished(folder: Path) -> bool:
    metrics = read_table(folder, METRICS, MetricRow)
    return (folder / MODEL).is_file() and any(row.metric == "test_accuracy" for row in metrics)


def _create(plan: TrainPlan) -> Run:
    identity = checked_identity(plan.config)
    run_id = new_run_id(plan.config.name, host.node())
    folder = RunFolder.create(plan.output, run_id, _movable(plan.config).to_yaml())
    return Run(plan.config, run_id, folder, identity, tag=plan.tag)


def _movable(config: RunConfig) -> RunConfig:
    """Return the config as it can be read again from the run's folder."""
    if config.dataset.path is None:
        return config
    dataset = config.dataset.model_copy(update={"path": str(Path(config.dataset.path).absolute())})
    return config.model_copy(update={"dataset": dataset})


def _reopen(path: Path, plan: TrainPlan) -> Run:
    """Return the run of a folder as it was at its last checkpoint."""
    identity = checked_identity(plan.config)
    attributes = {row.attribute: row.value for row in read_table(path, MACHINE, MachineRow)}
    check_schema(str(attributes.get(SCHEMA_FACT, "")), path / MACHINE)
    for name, digest in identity.digests.items():
        if attributes.get(f"dataset_{name}_sha256", digest) != digest:
            raise InputError(
                f"{name} is not what the run was trained on so far",
                source=identity.source,
                hint="resume with the same data",
            )
    checkpoint = last_checkpoint(path)
    folder, run_id = RunFolder(path), path.resolve().name
    epochs = checkpoint_epoch(checkpoint) if checkpoint else 0
    _drop_half_written(folder)
    rows = [row for row in read_table(path, HISTORY, HistoryRow) if row.epoch <= epochs]
    folder.write_table(HISTORY, rows)
    return Run(plan.config, run_id, folder, identity, tag=plan.tag)


def _drop_half_written(folder: RunFolder) -> None:
    """Take out the metrics of a repeat whose process was killed before its times were written."""
    whole = {row.repeat for row in read_table(folder.path, TIMINGS, TimingRow)}
    metrics = read_table(folder.path, METRICS, MetricRow)
    if any(row.repeat not in whole for row in metrics):
        folder.write_table(METRICS, [row for row in metrics if row.repeat in whole])


def _begin(run: Run) -> None:
    """Write what is known before the first step: the network's picture and an empty history."""
    from mnistbench.results import pictures

    config = run.config
    table = layer_table(config.model, config.facts.image_shape, config.facts.classes)
    input_shape = config.model.input_shape(config.facts.image_shape)
    figure = pictures.architecture_figure(config.name, input_shape, table)
    run.folder.write_table(HISTORY, [])
    pictures.save(figure, run.folder.path / ARCHITECTURE)


def _train(
    plan: TrainPlan, run: Run, executor: Executor, checkpoint: Path | None, tell: Listener
) -> RepeatRecord:
    turn = _turn(run)

    def listen(event: Message) -> None:
        if isinstance(event, HistoryRow):
            run.folder.append(HISTORY, [event])
        tell(event)

    job = TrainJob(
        plan.config,
        plan.config.device,
        turn.seed,
        folder=run.folder.path.absolute(),
        checkpoint_every=plan.checkpoint_every,
        resume=checkpoint.absolute() if checkpoint else None,
        tensorboard=plan.tensorboard,
        graphviz=shutil.which("dot") is not None and importlib.util.find_spec("pydot") is not None,
    )
    epochs = run.config.training.epochs
    tell(TurnStarted(run.config.name, turn, turns=1, done=0, epochs=epochs))
    return measure(turn, run, executor, Measurement(train, job, stops_on_interrupt=True), listen)


def _turn(run: Run) -> Turn:
    """Return the next turn of the folder; its seed is that of a benchmark's first repeat."""
    before = [row.repeat for row in read_table(run.folder.path, TIMINGS, TimingRow)]
    number = max(before, default=0) + 1
    return Turn(0, number, derived_seed(run.config.training.seed, 1), number)


def _without_comparison(record: RepeatRecord) -> RepeatRecord:
    """Return the record of a resumed training: its times are those of some epochs only."""

    def marked(phase: PhaseRecord) -> PhaseRecord:
        partial = phase.phase in (TRAIN, TOTAL) and phase.status == STATUS_OK
        return replace(phase, status=STATUS_RESUMED) if partial else phase

    return replace(record, phases=tuple(map(marked, record.phases)))


def _finish(run: Run, record: RepeatRecord) -> TrainResult:
    """Write the rows and the curves, unless no epoch was finished."""
    history = read_table(run.folder.path, HISTORY, HistoryRow)
    if not history and record.status == STATUS_INTERRUPTED:
        return TrainResult(run, record, 0)
    with held_back():
        keep(record, run)
        write_cloudmesh_report(run)
    if history:
        from mnistbench.results import pictures

        figure = pictures.curves_figure(run.config.name, history)
        pictures.save(figure, run.folder.path / CURVES)
    return TrainResult(run, record, history[-1].epoch if history else 0)
