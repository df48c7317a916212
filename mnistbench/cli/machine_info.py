"""`mnistbench machine-info`: what machine this is, as machine.csv has it."""

from __future__ import annotations

import click

from mnistbench.cli import options


@click.command("machine-info")
@options.output_format
@options.verbose
def command(output_format: str, verbose: bool) -> None:
    """Print what is recorded of this machine beside every run."""
    import json

    from mnistbench.report.terminal import machine_table, output_console
    from mnistbench.results.rows import MachineRow, cell, to_csv
    from mnistbench.session.benchmark import describe_machine

    facts = describe_machine()
    if output_format == "table":
        output_console().print(machine_table(facts))
    elif output_format == "json":
        click.echo(json.dumps(facts, indent=2, default=str))
    else:
        rows = [MachineRow("", name, cell(value)) for name, value in facts.items()]
        click.echo(to_csv(rows, MachineRow), nl=False)
