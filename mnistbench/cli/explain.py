"""`mnistbench explain`: where the time of a config goes, and what would save it."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs
from mnistbench.cli.output import progress
from mnistbench.cli.parameters import Count
from mnistbench.errors import OK
from mnistbench.report.exports import export


@click.command("explain")
@click.argument("config", required=False, metavar="[CONFIG]", shell_complete=complete_configs)
@options.repeats(3, "Repeats of the config, and of each setting that is tried.")
@click.option(
    "--epochs",
    type=Count(1),
    default=1,
    show_default=True,
    help="Epochs of each training, whatever the config says.",
)
@options.device
@options.output
@options.overrides
@options.start_method
@options.format_of("explain", "What is printed on standard output; csv: the parts.")
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
    from mnistbench.config.loading import DEFAULT_CONFIG
    from mnistbench.session.explain import ExplainPlan, explain

    of_epochs = (f"training.epochs={epochs}",)
    options.refuse_twice("--epochs", of_epochs, overrides)
    loaded = options.load(config or DEFAULT_CONFIG, (*overrides, *of_epochs), device)
    plan = ExplainPlan(loaded, repeats, output, start_method)  # type: ignore[arg-type]
    with progress(quiet) as listener:
        explanation = explain(plan, listener)
    export("explain", output_format, explanation)
    return OK
