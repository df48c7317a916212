"""`mnistbench merge`: results of many machines in one place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_paths

if TYPE_CHECKING:
    from mnistbench.results.merge import Merged


@click.command("merge")
@click.argument("results", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE|DIR",
    help="The folder to write; a name in .csv or .parquet is a file of the timings alone.",
)
@click.option("--parquet", is_flag=True, help="Write a folder's tables as Parquet, not CSV.")
@options.verbose
def command(results: tuple[str, ...], output: Path, parquet: bool, verbose: bool) -> None:
    """Bring the RESULTS of many runs and machines into one folder, each row once.

    RESULTS are run folders, folders of them, sweeps, timings CSV or Parquet files, globs in quotes,
    and what was merged before. Two values of one row are an error. The order of RESULTS changes
    nothing, and `mnistbench compare` says of the merged what it says of the parts.
    """
    from mnistbench.results.merge import CSV, merge
    from mnistbench.results.tables import PARQUET

    if parquet and output.suffix.lower() in (CSV, PARQUET):
        raise click.UsageError(f"--parquet is for a folder, and {output} is a file")
    for line in _lines(merge(results, output, parquet)):
        click.echo(line)


def _lines(merged: Merged) -> list[str]:
    """Return what was merged, in a line, and what of it is left out or counted once."""
    machines = f" of {_count(merged.nodes, 'machine')}" if merged.nodes else ""
    rows = ", ".join(f"{name} {_count(count, 'row')}" for name, count in merged.rows.items())
    configs = f", {_count(merged.configs, 'config')}" if merged.configs else ""
    return [
        f"{merged.output}: {_count(merged.runs, 'run')}{machines}: {rows}{configs}",
        *merged.notes,
    ]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
