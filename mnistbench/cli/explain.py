"""`mnistbench explain`: where the time of a config goes, and what would save it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.errors import OK

if TYPE_CHECKING:
    from mnistbench.session.explain import ExplainPlan, Explanation


@click.command("explain")
@click.argument("config", required=False, metavar="[CONFIG]")
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Repeats of the config, and of each setting that is tried.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Epochs of each training, whatever the config says.",
)
@options.device
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that receives a folder for each setting.",
)
@options.overrides
@click.option(
    "--start-method",
    type=click.Choice(["auto", "fork", "spawn"]),
    default="auto",
    show_default=True,
    help="How a fresh process is made.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="What is printed on standard output; csv: the parts.",
)
@options.quiet
@options.verbose
def command(
    config: str | None, repeats: int, epochs: int, device: str | None, output: Path,
    overrides: tuple[str, ...], start_method: str, output_format: str, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Tell where the time of CONFIG (default mnist-dense) goes on this machine.

    Import, data, tracing and compiling, Python between the steps, the input pipeline and the
    computing itself; then the settings that would save most, each measured against the config
    as it is, repeat by repeat.
    """
    from mnistbench.config.loading import DEFAULT_CONFIG, load_config
    from mnistbench.session.explain import ExplainPlan

    loaded = load_config(config or DEFAULT_CONFIG, (*overrides, f"training.epochs={epochs}"))
    if device is not None:
        loaded = loaded.model_copy(update={"device": device})
    plan = ExplainPlan(loaded, repeats, output, start_method)  # type: ignore[arg-type]
    return _report(_measure(plan, quiet), output_format)


def _measure(plan: ExplainPlan, quiet: bool) -> Explanation:
    from mnistbench.report.progress import progress_on
    from mnistbench.report.terminal import plain_console
    from mnistbench.session.explain import explain

    if quiet:
        return explain(plan, lambda event: None)
    with progress_on(plain_console(stderr=True)) as progress:
        return explain(plan, progress)


def _report(found: Explanation, output_format: str) -> int:
    from mnistbench.report.explanation import as_json, print_explanation

    if output_format == "json":
        import json

        click.echo(json.dumps(as_json(found), indent=2))
    elif output_format == "csv":
        from mnistbench.results.rows import PartRow, to_csv

        click.echo(to_csv(found.parts, PartRow), nl=False)
    else:
        from mnistbench.report.terminal import output_console

        print_explanation(output_console(), found)
    return OK
