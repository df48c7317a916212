"""`mnistbench peak`: how fast this machine can compute and move data at all."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.errors import OK
from mnistbench.report.exports import export


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
@options.format_of("peak")
@options.verbose
def command(device: str, output: Path | None, output_format: str, verbose: bool) -> int:
    """Measure matrix products, convolutions, memory bandwidth and dispatch on this machine.

    Takes about ten seconds. `benchmark --roofline` measures the same beside a training.
    """
    from mnistbench.session.rates import run_peak

    export("peak", output_format, run_peak(device, output))
    return OK
