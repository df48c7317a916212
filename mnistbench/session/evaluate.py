"""A trained model tested: how often it is right, where it is wrong, and how long that takes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistbench import data
from mnistbench.config.datasets import DatasetFacts
from mnistbench.config.devices import on_one_device
from mnistbench.config.frameworks import check_installed
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.data import Split
from mnistbench.data.saved_models import is_model_folder, read_saved_model
from mnistbench.errors import InputError, RunError
from mnistbench.machine import host
from mnistbench.measuring.executor import Executor, StartMethod, TaskFailure
from mnistbench.measuring.jobs import (
    EvaluateJob,
    EvaluationResult,
    Guesses,
    GuessJob,
)
from mnistbench.measuring.tasks import evaluate, guess
from mnistbench.results import wall_clock
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.phases import EVALUATION_PHASES, STATUS_OK
from mnistbench.results.rows import ClassRow, GuessRow
from mnistbench.results.tables import CONFIG, GUESSES, LOG, MODEL, PREDICTIONS_PICTURE
from mnistbench.session.crews import Crew, executor_of, probe_devices
from mnistbench.session.events import Listener, TurnEnded, TurnStarted
from mnistbench.session.fetching import fetch_missing
from mnistbench.session.files import (
    assign_downloads,
    describe,
    keep,
    kept_if_measured,
    write_cloudmesh_report,
)
from mnistbench.session.findings import (
    Findings,
    grid_side,
    guess_text,
    write_findings,
)
from mnistbench.session.records import Measurement, Run, Turn, derived_seed
from mnistbench.session.repeat import measure

if TYPE_CHECKING:
    from mnistbench.data.user_images import PreparedImage


@dataclass(frozen=True)
class EvaluationPlan:
    """Which model to test, on what, how often."""

    model: Path
    """The `.keras` file."""
    config: RunConfig
    """The one it was trained by."""
    output: Path
    """The folder that receives the evaluation's folder."""
    split: Split = "test"
    data_path: Path | None = None
    """Images to test on instead of the config's own."""
    repeats: int = 1
    mistakes: bool = False
    """Whether the picture shows the worst mistakes instead of the first images."""
    start_method: StartMethod = "auto"


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on one set of images."""

    run: Run
    classes: tuple[ClassRow, ...]
    loss: float
    accuracy: float
    remarks: tuple[str, ...]
    """In what the model was judged by terms of its own, a line each."""


def find_model(
    target: Path, config: str | None, overrides: Sequence[str] = ()
) -> tuple[Path, RunConfig]:
    """Return the model file of a run's folder or of a bare path, and the config it goes with.

    `overrides` of that config are as for `--set`. Raises InputError if there is no model, or no
    config beside it and none given.
    """
    model = target / MODEL if target.is_dir() else target
    if not model.is_file():
        if target.is_dir() and is_model_folder(target):
            read_saved_model(target)
        problem = f"holds no {MODEL}" if target.is_dir() else "no such file or folder"
        hint = "give the folder that `mnistbench train` wrote, or a .keras file"
        raise InputError(problem, source=target, hint=hint)
    read_saved_model(model)  # what is none is told before a process is started
    beside = model.parent / CONFIG
    if config is None and not beside.is_file():
        raise InputError(
            f"has no {CONFIG} beside it", source=model, hint="give its config with --config"
        )
    return model, load_config(config if config is not None else str(beside), overrides)


def run_evaluation(plan: EvaluationPlan, tell: Listener) -> Evaluation:
    """Test the model in fresh processes, and write rows, guesses and pictures.

    Raises InputError and OutputError, and leaves nothing behind then.
    """
    check_installed([plan.config.backend])
    # What was learnt on several devices is tested on one.
    plan = replace(plan, config=on_one_device(plan.config))
    environment = dict(os.environ)
    downloads = fetch_missing([_tested_config(plan)], tell)
    run = _create(plan)
    assign_downloads(downloads, [run])
    with kept_if_measured([run]):
        crew = Crew(executor_of(plan.config, plan.start_method), (run,))
        framework_facts = probe_devices(crew)
        model = {"model": str(plan.model.absolute())}
        describe(
            crew, plan.repeats, 0, {**host.machine_facts(environment), **framework_facts, **model}
        )
        try:
            for number in range(1, plan.repeats + 1):
                _repeat(plan, run, crew.executor, number, tell)
        finally:
            write_cloudmesh_report(run)
        return _concluded(plan, run)


@dataclass(frozen=True)
class GuessedImages:
    """What a model takes a user's own pictures for."""

    folder: Path
    rows: tuple[GuessRow, ...]
    problems: tuple[str, ...]
    """Why a picture was passed over, a line for each that was."""
    remarks: tuple[str, ...]
    """In what the model was judged by terms of its own, a line each."""


def guess_images(plan: EvaluationPlan, files: Sequence[Path]) -> GuessedImages:
    """Let the model guess a user's own pictures, passing over those that cannot be read.

    Raises InputError if none can.
    """
    check_installed([plan.config.backend])
    plan = replace(plan, config=on_one_device(plan.config))
    prepared, problems = _prepared(files, plan.config.facts)
    images = np.stack([image.pixels for image in prepared])
    folder = RunFolder.create(plan.output, _folder_name("images"), plan.config.to_yaml())
    guesses = _guesses(plan, images, folder)
    names, probabilities = plan.config.facts.class_names, guesses.probabilities
    if not np.isfinite(probabilities).all():
        folder.remove()
        raise InputError(
            "the model gives no number (NaN) for these pictures: its training diverged",
            source=plan.model,
            hint="train again with a smaller training.learning_rate",
        )
    rows = tuple(
        GuessRow(image.file, names[row.argmax()], float(row.max()), image.steps)
        for image, row in zip(prepared, probabilities, strict=True)
    )
    folder.write_table(GUESSES, rows)
    _draw_guesses(plan.config, images, probabilities, folder)
    return GuessedImages(folder.path, rows, problems, guesses.remarks)


def _prepared(
    files: Sequence[Path], facts: DatasetFacts
) -> tuple[list[PreparedImage], tuple[str, ...]]:
    from mnistbench.data.user_images import prepare_image

    def outcome(file: Path) -> PreparedImage | InputError:
        try:
            return prepare_image(file, facts)
        except InputError as error:
            return error

    outcomes = [outcome(file) for file in files]
    problems = [each for each in outcomes if isinstance(each, InputError)]
    prepared = [each for each in outcomes if not isinstance(each, InputError)]
    if not prepared:
        raise problems[0]
    return prepared, tuple(map(str, problems))


def _guesses(plan: EvaluationPlan, images: npt.NDArray[Any], folder: RunFolder) -> Guesses:
    """Return what the model takes the images for; if that fails, nothing is left of the folder."""
    executor = executor_of(plan.config, plan.start_method)
    try:
        job = GuessJob(plan.config, plan.config.device, plan.model.absolute(), images)
        guesses: Guesses = executor.run(guess, job, folder.path / LOG, lambda message: None)
        return guesses
    except BaseException as error:
        log = folder.path / LOG
        said = log.read_text(errors="replace") if log.is_file() else ""
        folder.remove()
        if isinstance(error, TaskFailure):
            raise RunError(error.reason, details=said) from None
        raise


def _draw_guesses(
    config: RunConfig, images: npt.NDArray[Any], probabilities: npt.NDArray[Any], folder: RunFolder
) -> None:
    from mnistbench.results import pictures

    facts = config.facts
    captions = [
        f"{guess_text(facts, int(row.argmax()))}, {float(row.max()):.0%}" for row in probabilities
    ]
    wrong = [False] * len(captions)
    title = f"{config.name}: your images as it sees them"
    figure = pictures.grid_figure(title, images, captions, wrong, grid_side(facts))
    pictures.save(figure, folder.path / PREDICTIONS_PICTURE)


def _create(plan: EvaluationPlan) -> Run:
    config = _tested_config(plan)
    identity = _identity(config)
    folder = RunFolder.create(plan.output, _folder_name(plan.split), config.to_yaml())
    run_id = new_run_id(config.name, host.node())
    return Run(config, run_id, folder, identity, phases=EVALUATION_PHASES)


def _identity(config: RunConfig) -> data.DataIdentity:
    whole = data.load(config)
    data.select(whole, config, trains=False)
    return data.identify(whole, config)


def _tested_config(plan: EvaluationPlan) -> RunConfig:
    if plan.data_path is None:
        return plan.config
    place = {
        "path": str(plan.data_path.absolute()),
        "source": "auto",
        "train_samples": None,
        "test_samples": None,
    }
    dataset = plan.config.dataset.model_copy(update=place)
    return plan.config.model_copy(update={"dataset": dataset})


def _folder_name(what: str) -> str:
    now = wall_clock.utc().strftime("%Y%m%dT%H%M%SZ")
    return f"{now}-{what}-{secrets.token_hex(3)}"


def _repeat(
    plan: EvaluationPlan, run: Run, executor: Executor, number: int, tell: Listener
) -> None:
    turn = Turn(0, number, derived_seed(run.config.training.seed, number), number)
    job = EvaluateJob(
        config=run.config,
        trained_by=plan.config,
        device=run.config.device,
        seed=turn.seed,
        model=plan.model.absolute(),
        split=plan.split,
        with_guesses=number == 1,
    )
    tell(TurnStarted(run.config.name, turn, plan.repeats, done=number - 1, epochs=1))
    record = measure(turn, run, executor, Measurement(evaluate, job, EVALUATION_PHASES), tell)
    if number == 1 and record.status != STATUS_OK:
        raise InputError(record.reason) if record.wrong_input else RunError(record.reason)
    keep(record, run)
    tell(TurnEnded(run.config.name, record, number))


def _concluded(plan: EvaluationPlan, run: Run) -> Evaluation:
    result: EvaluationResult = run.repeats[0].result  # type: ignore[assignment]
    assert result.probabilities is not None  # asked for of the first repeat
    found = _findings(plan, run, result.probabilities)
    classes = write_findings(found, run.folder, plan.mistakes)
    values: dict[str, Any] = {metric.name: metric.value for metric in result.metrics}
    return Evaluation(
        run,
        tuple(classes),
        values[f"{plan.split}_loss"],
        values[f"{plan.split}_accuracy"],
        (*result.remarks, *_without_number(found)),
    )


def _without_number(found: Findings) -> list[str]:
    count = found.without_number
    if not count:
        return []
    first = found.facts.class_names[0]
    return [
        f"gives no number (NaN) for {count:,} of {len(found.images):,} images: its training "
        f"diverged; each counts as a guess of {first}, as Keras counts it"
    ]


def _findings(plan: EvaluationPlan, run: Run, probabilities: npt.NDArray[Any]) -> Findings:
    dataset = data.select(data.load(run.config), run.config, trains=False)
    is_test = plan.split == "test"
    where = "" if plan.data_path is None else f" of {plan.data_path.name}"
    made = "synthetic " if run.config.dataset.source == "synthetic" else ""
    return Findings(
        f"{run.config.name} on the {made}{plan.split} images{where}",
        run.config.facts,
        dataset.x_test if is_test else dataset.x_train,
        dataset.y_test if is_test else dataset.y_train,
        probabilities,
    )
