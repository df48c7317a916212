"""`mnistbench export`: results in the formats of other programs."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_paths
from mnistbench.report.exports import EXPORTS, export, is_written

_MLFLOW = "mlflow"


@click.command("export")
@click.argument("output_format", metavar="FORMAT", type=click.Choice([*EXPORTS["export"]]))
@click.argument("results", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="The file to write, a folder for asv, mlperf and otava.  [default: standard output]",
)
@click.option(
    "--mlflow",
    "uri",
    metavar="URI",
    help="MLflow's tracking server or database, with mlflow alone.  [default: sqlite:///mlflow.db]",
)
@options.verbose
def command(
    output_format: str,
    results: tuple[str, ...],
    output: Path | None,
    uri: str | None,
    verbose: bool,
) -> None:
    """Write RESULTS as another program reads them.

    FORMAT is asv, github-action-benchmark, hyperfine, mlflow, mlperf, otava, parquet,
    pytest-benchmark.

    RESULTS are what `mnistbench merge` reads: run folders, folders of them, sweeps, timings CSV or
    Parquet files, globs in quotes, and what was merged before. Each row counts once; what is left
    out is counted on standard error.
    """
    from mnistbench.report.exporters.measured import measured

    place = _place(output_format, output, uri)
    with measured(results) as found:
        for note in found.notes:
            click.echo(f"mnistbench: {note}", err=True)
        export("export", output_format, found, place=place)


def _place(output_format: str, output: Path | None, uri: str | None) -> Path | str | None:
    """Return where to write; raise click.UsageError for an option that is not the format's."""
    if output_format == _MLFLOW:
        from mnistbench.report.exporters.mlflow import DEFAULT_URI

        if output is not None:
            raise click.UsageError("-o is a file or a folder; MLflow is given by --mlflow URI")
        return uri or DEFAULT_URI
    if uri is not None:
        raise click.UsageError(f"--mlflow goes with mlflow, not with {output_format}")
    if output is None and is_written("export", output_format):
        raise click.UsageError(f"{output_format} is not text to print; say where with -o")
    return output
