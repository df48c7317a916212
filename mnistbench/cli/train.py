"""`mnistbench train`: train once and keep the model, its history and its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs
from mnistbench.cli.output import progress, show_log
from mnistbench.cli.parameters import Count
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED, InputError

if TYPE_CHECKING:
    from mnistbench.config.run_config import RunConfig
    from mnistbench.session.train import TrainResult


@click.command("train")
@click.argument("config", required=False, metavar="[CONFIG]", shell_complete=complete_configs)
@options.overrides
@options.device
@options.execution
@options.until
@options.backend
@options.output
@options.tag
@options.synthetic
@click.option("--tensorboard", is_flag=True, help="Write logs for TensorBoard.")
@click.option(
    "--checkpoint-every",
    type=Count(1),
    metavar="N",
    help="Write a checkpoint every N epochs.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the run in this folder, from its last checkpoint.",
)
@options.start_method
@options.quiet
@options.verbose_framework
def command(
    config: str | None, overrides: tuple[str, ...], device: str | None, execution: str | None,
    backend: str | None, until: str | None, output: Path, tag: str,
    synthetic: bool, tensorboard: bool, checkpoint_every: int | None, resume: Path | None,
    start_method: str, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Train CONFIG (a name or a file; default mnist-dense) once, and keep the model.

    Ctrl-C keeps the model as of the last finished epoch; --resume goes on from there.
    """
    from mnistbench.measuring.early import import_early

    fields = options.as_overrides(
        overrides, synthetic=synthetic, execution=execution, backend=backend, until=until
    )
    loaded = _config(config, fields, resume, device)
    import_early(loaded, start_method)
    from mnistbench.session.train import TrainPlan, run_training

    plan = TrainPlan(
        loaded,
        output,
        resume,
        tag,
        start_method,  # type: ignore[arg-type]
        checkpoint_every,
        tensorboard,
    )
    with progress(quiet) as listener:
        result = run_training(plan, listener)
    if verbose:
        show_log(result.run.folder)
    return _report(result)


def _config(
    name: str | None, overrides: tuple[str, ...], resume: Path | None, device: str | None
) -> RunConfig:
    from mnistbench.config.loading import DEFAULT_CONFIG

    if resume is None:
        return options.load(name or DEFAULT_CONFIG, overrides, device)
    given = name or (f"--set {overrides[0]}" if overrides else None)
    if given is not None:
        raise InputError(
            f"goes on with the run's own config; {given!r} cannot be given with it",
            source="--resume",
            hint="leave it out",
        )
    from mnistbench.session.train import load_resumed

    config = load_resumed(resume)
    return config if device is None else config.model_copy(update={"device": device})


def _report(result: TrainResult) -> int:
    folder = result.run.folder.path
    epochs = result.run.config.training.epochs
    if result.interrupted and not result.epochs:
        click.echo(
            "mnistbench: interrupted before an epoch was finished; nothing is kept", err=True
        )
        return INTERRUPTED
    from mnistbench.report.console import print_run
    from mnistbench.report.terminal import output_console

    print_run(output_console(), result.run)
    if result.interrupted:
        click.echo(
            f"mnistbench: interrupted; {folder} holds the model after {result.epochs} of {epochs} "
            f"epochs; go on with: mnistbench train --resume {folder}",
            err=True,
        )
        return INTERRUPTED
    return OK if result.record.result is not None else RUN_FAILED
