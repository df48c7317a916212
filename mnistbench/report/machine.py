"""The machine's attributes as people and programs read them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rich.console import Console

from mnistbench.report.terminal import machine_table
from mnistbench.results.rows import MachineRow, cell, to_csv


def print_machine(console: Console, facts: Mapping[str, object]) -> None:
    """Print every attribute."""
    console.print(machine_table(facts))


def as_csv(facts: Mapping[str, object]) -> str:
    """Return the attributes as machine.csv has them, of no run."""
    return to_csv([MachineRow("", name, cell(value)) for name, value in facts.items()], MachineRow)


def as_json(facts: Mapping[str, object]) -> str:
    """Return the attributes as they are."""
    return json.dumps(facts, indent=2, default=str)
