"""`mnistbench plot`: one quick picture of one number."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_metrics_and_phases, complete_paths
from mnistbench.cli.parameters import Word
from mnistbench.report.exports import EXPORTS, export

_TERMINAL, *_PICTURES = EXPORTS["plot"]


@click.command("plot")
@click.argument("metric", type=Word(), metavar="METRIC", shell_complete=complete_metrics_and_phases)
@click.argument("results", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The picture to write, as its name ends: .png, .svg or .pdf.  [default: drawn in the "
    "terminal]",
)
@options.verbose
def command(metric: str, results: tuple[str, ...], output: Path | None, verbose: bool) -> None:
    """Draw one number of RESULTS: every repeat a dot over its box, by config and machine.

    METRIC is a phase, as train, whose seconds are drawn, or a number of metrics.csv, as
    peak_rss_bytes: what `compare --metric` takes. RESULTS are what `compare` takes.
    """
    output_format = _format(output)
    from mnistbench.report.document.one_metric import metric_figure

    figure, notes = metric_figure(metric, results)
    for note in notes:
        click.echo(f"mnistbench: {note}", err=True)
    export("plot", output_format, figure, place=output)
    if output is not None:
        click.echo(output)


def _format(output: Path | None) -> str:
    """Return the format that a file's name asks for; raise click.UsageError for another."""
    if output is None:
        return _TERMINAL
    ending = output.suffix.lower().removeprefix(".")
    if ending not in _PICTURES:
        known = ", ".join(f".{each}" for each in _PICTURES)
        raise click.UsageError(f"-o {output}: the name ends in none of {known}")
    return ending
