"""`mnistbench evaluate`: test a trained model, and show where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli import options
from mnistbench.errors import OK, RUN_FAILED, InputError

if TYPE_CHECKING:
    from mnistbench.session.evaluate import Evaluation, EvaluationPlan


@click.command("evaluate")
@click.argument("target", metavar="RUN|MODEL", type=click.Path(path_type=Path))
@click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    default="test",
    show_default=True,
    help="Which images to test on.",
)
@click.option(
    "--data",
    "data_path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A data set of yours instead of the config's.",
)
@click.option(
    "--images",
    is_flag=True,
    help="Guess pictures of yours (PNG, JPEG, WEBP, GIF, BMP, TIFF): --images FILE...",
)
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--mistakes", is_flag=True, help="Show the worst mistakes in predictions.png.")
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Times the test is run, each in a fresh process.",
)
@click.option("--config", help="The config of a model that has no config.yaml beside it.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder that receives the evaluation's folder; default: evaluations beside the model.",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    help="Where to test; overrides the config.",
)
@options.start_method
@options.output_format
@options.quiet
@options.verbose_framework
def command(
    target: Path, split: str, data_path: Path | None, images: bool, files: tuple[Path, ...],
    mistakes: bool, repeats: int, config: str | None, output: Path | None, device: str | None,
    start_method: str, output_format: str, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Test the model of RUN (a folder that `train` wrote) or MODEL (a .keras file).

    With --images it guesses the pictures in FILEs instead; one that cannot be read is named and
    passed over, and the exit code is then 1.
    """
    from mnistbench.results.tables import EVALUATIONS
    from mnistbench.session.evaluate import EvaluationPlan, find_model

    _check_combination(images, files, split, data_path, mistakes, repeats)
    model, loaded = find_model(target, config)
    if device is not None:
        loaded = loaded.model_copy(update={"device": device})
    plan = EvaluationPlan(
        model,
        loaded,
        output if output is not None else model.parent / EVALUATIONS,
        split,  # type: ignore[arg-type]
        data_path,
        repeats,
        mistakes,
        start_method,  # type: ignore[arg-type]
    )
    if images:
        return _guess(plan, files, output_format)
    return _evaluate(plan, output_format, quiet, verbose)


def _check_combination(
    images: bool, files: tuple[Path, ...], split: str, data_path: Path | None, mistakes: bool,
    repeats: int,
) -> None:  # fmt: skip
    if images and not files:
        raise InputError("needs the pictures to guess", source="--images", hint="--images 7.png")
    if files and not images:
        raise InputError(
            "a second name is taken for a picture", source=files[0], hint="write --images before it"
        )
    others = {
        "--split": split != "test",
        "--data": data_path is not None,
        "--mistakes": mistakes,
        "--repeats": repeats > 1,
    }
    for option, given in others.items():
        if images and given:
            raise InputError("cannot be given with --images", source=option, hint="leave it out")


def _guess(plan: EvaluationPlan, files: tuple[Path, ...], output_format: str) -> int:
    from dataclasses import asdict

    from mnistbench.results.rows import GuessRow, to_csv
    from mnistbench.session.evaluate import guess_images

    guessed = guess_images(plan, files)
    rows = guessed.rows
    for problem in guessed.problems:
        click.echo(f"mnistbench: {problem}; passed over", err=True)
    for remark in guessed.remarks:
        click.echo(f"The model {remark}", err=True)
    if output_format == "csv":
        click.echo(to_csv(rows, GuessRow), nl=False)
    elif output_format == "json":
        _echo_json(
            {
                "folder": str(guessed.folder),
                "guesses": [asdict(row) for row in rows],
                "passed_over": list(guessed.problems),
                "remarks": list(guessed.remarks),
            }
        )
    else:
        for row in rows:
            click.echo(f"{row.file}: {row.preparation}", err=True)
        for row in rows:
            click.echo(f"{row.file}: guess {row.guess}, probability {row.probability:.3f}")
        click.echo(f"Files: {guessed.folder}")
    return RUN_FAILED if guessed.problems else OK


def _evaluate(plan: EvaluationPlan, output_format: str, quiet: bool, verbose: bool) -> int:

    from mnistbench.report.progress import progress_on
    from mnistbench.report.terminal import plain_console
    from mnistbench.session.evaluate import run_evaluation

    if quiet:
        evaluation = run_evaluation(plan, lambda event: None)
    else:
        with progress_on(plain_console(stderr=True)) as progress:
            evaluation = run_evaluation(plan, progress)
    folder = evaluation.run.folder.path
    if verbose:
        from mnistbench.results.tables import LOG

        click.echo((folder / LOG).read_text(errors="replace"), err=True)
    _print(evaluation, plan, output_format)
    return OK if all(record.result for record in evaluation.run.repeats) else RUN_FAILED


def _print(evaluation: Evaluation, plan: EvaluationPlan, output_format: str) -> None:
    from mnistbench.results.rows import ClassRow, to_csv

    if output_format == "csv":
        click.echo(to_csv(evaluation.classes, ClassRow), nl=False)
    elif output_format == "json":
        from dataclasses import asdict

        from mnistbench.report.summary import json_value, phase_summaries

        run = evaluation.run
        _echo_json(
            {
                "folder": str(run.folder.path),
                "model": str(plan.model),
                "split": plan.split,
                "loss": json_value(evaluation.loss),
                "accuracy": evaluation.accuracy,
                "remarks": list(evaluation.remarks),
                "classes": [asdict(row) for row in evaluation.classes],
                "phases": [asdict(summary) for summary in phase_summaries(run)],
            }
        )
    else:
        from mnistbench.report.console import print_evaluation
        from mnistbench.report.terminal import output_console

        print_evaluation(output_console(), evaluation, plan.split)


def _echo_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2))
