"""A network applied in several ways, at several batch sizes: each in fresh processes, in turn."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mnistbench import data
from mnistbench.config.devices import on_one_device
from mnistbench.config.frameworks import check_installed
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError
from mnistbench.machine import host
from mnistbench.measuring.executor import Executor, StartMethod
from mnistbench.measuring.jobs import InferenceResult, InferJob
from mnistbench.measuring.tasks import infer
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.inference import InferenceRow
from mnistbench.results.phases import INFERENCE_PHASES, STATUS_OK, UNTRAINED_PHASES
from mnistbench.results.tables import INFERENCE, INFERENCES
from mnistbench.session.crews import crews_of, probe_devices
from mnistbench.session.events import Listener
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.files import (
    add_facts,
    assign_downloads,
    describe,
    kept_if_measured,
    write_cloudmesh_report,
)
from mnistbench.session.records import Measurement, RepeatRecord, Run, Turn, derived_seed
from mnistbench.session.repeat import measure
from mnistbench.session.turns import take_turns

Cell = tuple[str, int]
"""A way to apply a network, and the images of a query."""


@dataclass(frozen=True)
class Subject:
    """A network to be applied."""

    config: RunConfig
    model: Path | None
    """The `.keras` file; None for the config's network, its weights as drawn."""

    @property
    def phases(self) -> tuple[str, ...]:
        """Return what is timed of it."""
        return UNTRAINED_PHASES if self.model is None else INFERENCE_PHASES


@dataclass(frozen=True)
class InferencePlan:
    """What to apply, in which ways, how long and how often."""

    subjects: tuple[Subject, ...]
    executions: tuple[str, ...]
    """Keys of `results.inference.WAYS`."""
    batch_sizes: tuple[int, ...]
    seconds: float
    """Of single queries in each process, and as long again of offline ones."""
    repeats: int
    """Rounds: every way at every batch size is a fresh process in each."""
    output: Path | None = None
    """The folder that receives the runs' folders; None for one beside the model, or results."""
    tag: str = ""
    start_method: StartMethod = "auto"

    @property
    def cells(self) -> list[Cell]:
        """Return every way at every batch size, by size."""
        return [(way, size) for size in self.batch_sizes for way in self.executions]


@dataclass(frozen=True)
class Inference:
    """What was measured."""

    plan: InferencePlan
    runs: tuple[Run, ...]
    """Of each subject that has a repeat."""
    interrupted: bool

    @property
    def failures(self) -> list[RepeatRecord]:
        """Return the repeats that did not finish: a wrong answer ends one too."""
        return [record for run in self.runs for record in run.repeats if record.status != STATUS_OK]

    def subject_of(self, run: Run) -> Subject:
        """Return what a run is of."""
        return next(each for each in self.plan.subjects if each.config is run.config)

    def rows_of(self, run: Run) -> list[InferenceRow]:
        """Return what was measured of a run, in the order of the plan's ways and sizes."""
        cells = self.plan.cells
        rows = [result.row for result in results_of(run)]
        return sorted(
            rows, key=lambda row: (cells.index((row.execution, row.batch_size)), row.round)
        )


def results_of(run: Run) -> list[InferenceResult]:
    """Return what the processes of a run measured, as far as they finished."""
    results = (record.result for record in run.repeats)
    return [result for result in results if isinstance(result, InferenceResult)]


def run_inference(plan: InferencePlan, tell: Listener) -> Inference:
    """Apply every subject in every way, interleaved, each time in a fresh process.

    Raises InputError and OutputError before anything is measured, and leaves nothing behind then.
    A process that fails, or whose network answers wrongly, is recorded, and the others go on.
    """
    check_installed(subject.config.backend for subject in plan.subjects)
    plan = replace(plan, subjects=tuple(map(_as_applied, plan.subjects)))
    environment = dict(os.environ)
    downloads = fetch_missing([subject.config for subject in plan.subjects], tell)
    runs = _create(plan)
    assign_downloads(downloads, runs)
    with kept_if_measured(runs):
        session_id, rounds = secrets.token_hex(6), _Rounds(plan)
        crews = crews_of(runs, plan.start_method)
        for crew in crews:
            facts = {**host.machine_facts(environment), **probe_devices(crew)}
            facts |= {"infer_seconds": plan.seconds, "infer_rounds": plan.repeats}
            describe(crew, plan.repeats * len(plan.cells), 0, facts, session_id)
        for run, subject in zip(runs, plan.subjects, strict=True):
            model = None if subject.model is None else str(subject.model.absolute())
            add_facts(run, {"model": model, "model_trained": model is not None})
        executors = {run.run_id: crew.executor for crew in crews for run in crew.runs}
        try:
            finished = take_turns(rounds, runs, _Processes(plan, rounds, executors), tell)
        finally:
            for run in runs:
                write_cloudmesh_report(run)
    return Inference(plan, tuple(run for run in runs if run.repeats), not finished)


def _as_applied(subject: Subject) -> Subject:
    """Return the same on one device, and without what `fused` sets for the steps of a training.

    So every way has the same threads and kernels, whatever the network was trained by.
    """
    config = on_one_device(subject.config)
    training = config.training.model_copy(update={"execution": "fit"})
    return replace(subject, config=config.model_copy(update={"training": training}))


def _create(plan: InferencePlan) -> list[Run]:
    """Check every subject's data and make every run's folder; on an error, none is left."""
    identities = [_identity(subject, plan) for subject in plan.subjects]
    runs: list[Run] = []
    try:
        for subject, identity in zip(plan.subjects, identities, strict=True):
            run_id = new_run_id(subject.config.name, host.node())
            output = plan.output or _usual_output(subject)
            folder = RunFolder.create(output, run_id, subject.config.to_yaml())
            phases = subject.phases
            runs.append(Run(subject.config, run_id, folder, identity, tag=plan.tag, phases=phases))
            folder.write_table(INFERENCE, [])
    except BaseException:
        for run in runs:
            run.folder.remove()
        raise
    return runs


def _identity(subject: Subject, plan: InferencePlan) -> data.DataIdentity:
    """Return the digests of a subject's data; raise InputError for a batch larger than its test."""
    whole = data.load(subject.config)
    images = len(data.select(whole, subject.config, trains=False).x_test)
    largest = max(plan.batch_sizes)
    if largest > images:
        raise InputError(
            f"a batch of {largest:,} is more than the {images:,} test images of "
            f"{subject.config.name}",
            source="--batch-sizes",
            hint=f"give sizes up to {images}",
        )
    return data.identify(whole, subject.config)


def _usual_output(subject: Subject) -> Path:
    """Return a folder that `compare results` does not read: a process here is no training."""
    beside = Path("results") if subject.model is None else subject.model.parent
    return beside / INFERENCES


class _Rounds:
    """The turns of a session: in every round each way at each size once, in an order drawn anew.

    Each is a repeat of its own number; all subjects have it one after the other, so that runs of
    one call can be compared pair by pair.
    """

    def __init__(self, plan: InferencePlan) -> None:
        self._plan = plan
        self._cells = plan.cells
        self._root = plan.subjects[0].config.training.seed
        self.expected_turns = plan.repeats * len(self._cells) * len(plan.subjects)
        self._turns = self._all_turns()

    def cell(self, repeat: int) -> tuple[int, Cell]:
        """Return the round and the way of a repeat, numbered from 1."""
        before, place = divmod(repeat - 1, len(self._cells))
        cells = list(self._cells)
        random.Random(f"{self._root}:{before + 1}").shuffle(cells)
        return before + 1, cells[place]

    def _all_turns(self) -> Iterator[Turn]:
        order = 0
        for repeat in range(1, self._plan.repeats * len(self._cells) + 1):
            number, _ = self.cell(repeat)
            indices = list(range(len(self._plan.subjects)))
            random.Random(f"{self._root}:{repeat}:subjects").shuffle(indices)
            for index in indices:
                order += 1
                seed = self._plan.subjects[index].config.training.seed
                yield Turn(index, repeat, derived_seed(seed, number), order)

    def next_turn(self) -> Turn | None:
        """Return the next turn; None after the last round."""
        return next(self._turns, None)

    def ended(self, record: RepeatRecord) -> None:
        """Nothing depends on how it ended."""

    def outcome(self) -> None:
        """There is no target."""


@dataclass(frozen=True)
class _Processes:
    """Measures one way after the other, each alone on the machine."""

    plan: InferencePlan
    rounds: _Rounds
    executors: Mapping[str, Executor]
    """By the run."""
    at_once = 1

    def measure(
        self, turns: Sequence[Turn], runs: Sequence[Run], tell: Listener
    ) -> list[RepeatRecord]:
        """Measure the one turn; raise InputError where its subject is what is wrong."""
        return [self._one(turn, run, tell) for turn, run in zip(turns, runs, strict=True)]

    def _one(self, turn: Turn, run: Run, tell: Listener) -> RepeatRecord:
        subject = self.plan.subjects[turn.config_index]
        number, (execution, size) = self.rounds.cell(turn.repeat)
        job = InferJob(
            config=run.config,
            device=run.config.device,
            seed=turn.seed,
            model=None if subject.model is None else subject.model.absolute(),
            round=number,
            repeat=turn.repeat,
            execution=execution,
            batch_size=size,
            seconds=self.plan.seconds,
        )
        run.folder.log(f"round {number}: {execution}, batch size {size}")
        executor = self.executors[run.run_id]
        record = measure(turn, run, executor, Measurement(infer, job, subject.phases), tell)
        if record.wrong_input:
            raise InputError(record.reason)
        return record
