"""One training that leaves a folder: the model, how it was learnt, pictures, and its times."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mnistbench.config.frameworks import BACKENDS, TENSORBOARD, check_installed, install_command
from mnistbench.config.loading import load_config
from mnistbench.config.network import layer_table
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.machine import host
from mnistbench.measuring.jobs import Message, TrainJob
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import train
from mnistbench.measuring.workers import StartMethod, Workers
from mnistbench.results import training_files
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.phases import (
    STATUS_INTERRUPTED,
    STATUS_OK,
    STATUS_RESUMED,
    TOTAL,
    TRAIN,
    PhaseRecord,
)
from mnistbench.results.rows import HistoryRow, to_csv
from mnistbench.results.tables import CONFIG, MACHINE, METRICS, TIMINGS
from mnistbench.session.crews import probe_devices
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
    if plan.tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "needs the package tensorboard",
            source="--tensorboard",
            hint=install_command(TENSORBOARD),
        )
    check_installed([plan.config.backend])
    if plan.tensorboard and not BACKENDS[plan.config.backend].writes_tensorboard:
        raise InputError(
            f"Keras writes these logs by TensorFlow, and the backend is {plan.config.backend}",
            source="--tensorboard",
            hint="leave it out; history.csv has the same figures",
        )
    environment = dict(os.environ)
    downloads = fetch_missing([plan.config], tell)
    run = _create(plan) if plan.resume is None else _reopen(plan.resume, plan)
    assign_downloads(downloads, [run])
    finished, checkpoint = training_files.last_checkpoint(run.folder.path) or (0, None)
    workers = Workers(
        measuring_environment(plan.config.device, plan.config.backend), plan.start_method
    )
    try:
        told = probe_devices([run], workers)
        if checkpoint is None:
            describe([run], 1, 0, {**host.machine_facts(environment), **told}, workers)
            _begin(run)
        else:
            run.folder.log(f"resumed from {checkpoint.name}, on {host.node()}, {run.device}")
        record = _train(plan, run, workers, checkpoint, tell)
        return _finish(run, _without_comparison(record) if finished else record, checkpoint)
    finally:
        workers.close()
        if not run.repeats and not _has_epoch(run):
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
    if training_files.last_checkpoint(folder) is None:
        raise InputError(
            "holds no checkpoint to go on from",
            source=folder,
            field="--resume",
            hint="train again, with --checkpoint-every N",
        )
    return config


def _is_finished(folder: Path) -> bool:
    if not (folder / METRICS).is_file() or not (folder / training_files.MODEL).is_file():
        return False
    with (folder / METRICS).open(encoding="utf-8", newline="") as text:
        return any(row["metric"] == "test_accuracy" for row in csv.DictReader(text))


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
    attributes = _read_machine(path)
    for name, digest in identity.digests.items():
        if attributes.get(f"dataset_{name}_sha256", digest) != digest:
            raise InputError(
                f"{name} is not what the run was trained on so far",
                source=identity.source,
                hint="resume with the same data",
            )
    kept = training_files.last_checkpoint(path)
    folder, run_id = RunFolder(path), path.resolve().name
    rows = [row for row in training_files.read_history(path) if kept and row.epoch <= kept[0]]
    folder.write(training_files.HISTORY, to_csv(rows, HistoryRow))
    return Run(plan.config, run_id, folder, identity, tag=plan.tag)


def _read_machine(path: Path) -> Mapping[str, str]:
    with contextlib.suppress(OSError), (path / MACHINE).open(encoding="utf-8", newline="") as text:
        return {row["attribute"]: row["value"] for row in csv.DictReader(text)}
    return {}


def _begin(run: Run) -> None:
    """Write what is known before the first step: the network's picture and an empty history."""
    from mnistbench.results import pictures

    config = run.config
    table = layer_table(config.model, config.facts.image_shape, config.facts.classes)
    input_shape = config.model.input_shape(config.facts.image_shape)
    figure = pictures.architecture_figure(config.name, input_shape, table)
    run.folder.write(training_files.HISTORY, to_csv([], HistoryRow))
    pictures.save(figure, run.folder.path / training_files.ARCHITECTURE)


def _train(
    plan: TrainPlan, run: Run, workers: Workers, checkpoint: Path | None, tell: Listener
) -> RepeatRecord:
    turn = _turn(run)

    def listen(event: Message) -> None:
        if isinstance(event, HistoryRow):
            run.folder.append(training_files.HISTORY, [event])
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
    tell(TurnStarted(run.config.name, turn, 1, run.config.training.epochs))
    return measure(turn, run, workers, Measurement(train, job, stops_on_interrupt=True), listen)


def _turn(run: Run) -> Turn:
    """Return the next turn of the folder; its seed is that of a benchmark's first repeat."""
    with (run.folder.path / TIMINGS).open(encoding="utf-8", newline="") as text:
        before = [int(row["repeat"]) for row in csv.DictReader(text)]
    number = max(before, default=0) + 1
    return Turn(0, number, derived_seed(run.config.training.seed, 1), number)


def _without_comparison(record: RepeatRecord) -> RepeatRecord:
    """Return the record of a resumed training: its times are those of some epochs only."""

    def marked(phase: PhaseRecord) -> PhaseRecord:
        partial = phase.phase in (TRAIN, TOTAL) and phase.status == STATUS_OK
        return replace(phase, status=STATUS_RESUMED) if partial else phase

    return replace(record, phases=tuple(map(marked, record.phases)))


def _finish(run: Run, record: RepeatRecord, checkpoint: Path | None) -> TrainResult:
    """Write the rows and the curves, unless no epoch was finished."""
    history = training_files.read_history(run.folder.path)
    if not history and record.status == STATUS_INTERRUPTED:
        return TrainResult(run, record, 0)
    keep(record, run)
    write_cloudmesh_report(run)
    if history:
        from mnistbench.results import pictures

        figure = pictures.curves_figure(run.config.name, history)
        pictures.save(figure, run.folder.path / training_files.CURVES)
    return TrainResult(run, record, history[-1].epoch if history else 0)


def _has_epoch(run: Run) -> bool:
    history = run.folder.path / training_files.HISTORY
    return history.is_file() and bool(training_files.read_history(run.folder.path))
