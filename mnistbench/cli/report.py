"""`mnistbench report`: results as a page that people look at."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_paths
from mnistbench.report.exports import export, is_written

_DEFAULT_OUTPUT = {"html": "report.html", "png": "figures", "svg": "figures"}


@click.command("report")
@click.argument("results", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write; of pictures, the folder.  [default: report.html; figures; Markdown to "
    "standard output]",
)
@options.format_of(
    "report",
    "html: one file that loads nothing; png, svg: each figure as a file by its name.",
)
@click.option(
    "--figure",
    "figures",
    multiple=True,
    metavar="NAME",
    help="Of pictures, this figure alone; several times for several.  [default: all]",
)
@options.verbose
def command(
    results: tuple[str, ...],
    output: Path | None,
    output_format: str,
    figures: tuple[str, ...],
    verbose: bool,
) -> None:
    """Write a report on RESULTS: what they say in words, then machines, verdicts and charts.

    RESULTS are run folders, folders of them, sweeps, timings.csv files, globs in quotes, or
    cloudmesh logs, in any mix. Results that share a config are set against the first, as `compare`
    does; of one result its machines are, or the configs of its session.
    """
    are_pictures = is_written("report", output_format)
    if figures and not are_pictures:
        raise click.UsageError(f"--figure: {output_format} has them all; give --format png or svg")
    from mnistbench.report.document.build import build, with_figures

    document = with_figures(build(results), figures)
    default = _DEFAULT_OUTPUT.get(output_format)
    target = output or (Path(default) if default else None)
    export("report", output_format, document, place=target)
    if are_pictures and target is not None:
        for figure in document.figures:
            click.echo(target / f"{figure.name}.{output_format}")
    elif target is not None:
        click.echo(document.answer)
        click.echo(f"Report: {target}")
