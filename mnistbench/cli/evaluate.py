"""`mnistbench evaluate`: test a trained model, and show where it is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs
from mnistbench.cli.output import progress, show_log
from mnistbench.errors import OK, RUN_FAILED, InputError
from mnistbench.report.exports import export

if TYPE_CHECKING:
    from mnistbench.session.evaluate import EvaluationPlan


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
@options.repeats(1, "Times the test is run, each in a fresh process.")
@click.option(
    "--config",
    help="The config of a model that has no config.yaml beside it.",
    shell_complete=complete_configs,
)
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
@options.format_of("evaluate")
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
    from mnistbench.session.evaluate import guess_images

    guessed = guess_images(plan, files)
    for problem in guessed.problems:
        click.echo(f"mnistbench: {problem}; passed over", err=True)
    for remark in guessed.remarks:
        click.echo(f"The model {remark}", err=True)
    for row in guessed.rows:
        click.echo(f"{row.file}: {row.preparation}", err=True)
    export("evaluate --images", output_format, guessed)
    return RUN_FAILED if guessed.problems else OK


def _evaluate(plan: EvaluationPlan, output_format: str, quiet: bool, verbose: bool) -> int:
    from mnistbench.session.evaluate import run_evaluation

    with progress(quiet) as listener:
        evaluation = run_evaluation(plan, listener)
    if verbose:
        show_log(evaluation.run.folder)
    export("evaluate", output_format, evaluation, plan)
    return OK if all(record.result for record in evaluation.run.repeats) else RUN_FAILED
