"""`mnistbench peak`: how fast this machine can compute and move data at all."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.errors import OK


@click.command("peak")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="What to measure.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Keep every sample in a folder of its own under this one.",
)
@options.output_format
@options.verbose
def command(device: str, output: Path | None, output_format: str, verbose: bool) -> int:
    """Measure matrix products, convolutions, memory bandwidth and dispatch on this machine.

    Takes about ten seconds. `benchmark --roofline` measures the same beside a training.
    """
    from mnistbench.report.peak import as_json
    from mnistbench.session.rates import run_peak

    result = run_peak(device, output)
    if output_format == "csv":
        from mnistbench.results.rows import RateRow, to_csv

        click.echo(to_csv(result.rows, RateRow), nl=False)
    elif output_format == "json":
        click.echo(as_json(result))
    else:
        from mnistbench.report.peak import print_peak
        from mnistbench.report.terminal import output_console

        print_peak(output_console(), result)
    return OK
