"""`mnistbench machine-info`: what machine this is, as machine.csv has it."""

from __future__ import annotations

import click

from mnistbench.cli import options
from mnistbench.report.exports import export


@click.command("machine-info")
@options.format_of("machine-info")
@options.verbose
def command(output_format: str, verbose: bool) -> None:
    """Print what is recorded of this machine beside every run."""
    from mnistbench.session.benchmark import describe_machine

    export("machine-info", output_format, describe_machine())
