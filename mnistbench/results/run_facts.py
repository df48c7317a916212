"""What lies beside the timings of runs: facts of their machines, and figures of their repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.errors import InputError
from mnistbench.results.csv import load_table, parts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass
class RunFigures:
    """Figures of one run's repeats, from its metrics.csv."""

    accuracies: dict[int, float] = field(default_factory=dict)
    """Repeat to its test accuracy, from 0 to 1."""
    contended: set[int] = field(default_factory=set)
    """Repeats that something else disturbed."""
    jit_compile: str = ""
    """Whether XLA compiled; empty if unknown."""


def machine_facts(
    database: DuckDBPyConnection, files: Sequence[Path], resumed: set[str]
) -> dict[str, dict[str, str]]:
    """Return the facts of each run's machine, from machine.csv files.

    Raises InputError for two values of one fact, but of runs that a second process resumed.
    """
    facts: dict[str, dict[str, str]] = {}
    with parts(files, ("run_id", "attribute", "value")) as joined:
        for part in joined:
            load_table(
                database, part, "machines", "DISTINCT run_id, attribute, value",
                "attribute IS NOT NULL AND value IS NOT NULL AND attribute <> 'attribute'",
            )  # fmt: skip
    for run_id, attribute, value in database.execute("FROM machines ORDER BY ALL").fetchall():
        known = facts.setdefault(run_id, {})
        if known.setdefault(attribute, value) != value and run_id not in resumed:
            raise two_values(run_id, attribute, [known[attribute], value], files)
    return facts


def run_figures(
    database: DuckDBPyConnection, paths: Sequence[Path], resumed: set[str]
) -> dict[str, RunFigures]:
    """Return the figures of each run by its id, from metrics.csv files.

    Raises InputError for two values of one figure, but of runs that a second process resumed.
    """
    # An accuracy's unit is 1: where it is missing, the line and perhaps the figure are torn.
    wanted = (
        "try_cast(repeat AS INTEGER) IS NOT NULL AND ("
        "metric = 'test_accuracy' AND unit = '1' AND isfinite(try_cast(value AS DOUBLE)) "
        "OR metric = 'jit_compile' AND value IN ('true', 'false') "
        "OR metric = 'contended' AND value IN ('true', 'false'))"
    )
    with parts(paths, ("run_id", "repeat", "metric", "value", "unit"), "value") as joined:
        for part in joined:
            load_table(
                database, part, "metrics",
                "DISTINCT run_id, try_cast(repeat AS INTEGER) AS repeat, metric, value", wanted,
            )  # fmt: skip
    figures: dict[str, RunFigures] = {}
    values: dict[tuple[str, int, str], str] = {}
    rows = database.execute("FROM metrics ORDER BY run_id, repeat, metric").fetchall()
    for run_id, repeat, metric, value in rows:
        if values.setdefault((run_id, repeat, metric), value) != value and run_id not in resumed:
            where = f"{metric} of repeat {repeat}"
            raise two_values(run_id, where, [values[run_id, repeat, metric], value], paths)
        run = figures.setdefault(run_id, RunFigures())
        if metric == "jit_compile":
            run.jit_compile = value
        elif metric == "test_accuracy":
            run.accuracies[repeat] = float(value)
        elif value == "true":
            run.contended.add(repeat)
    return figures


def two_values(run_id: str, what: str, values: list[str], paths: Sequence[Path]) -> InputError:
    """Return the error of a run that has several values where one belongs."""
    holding = [path for path in paths if path.parent.name == run_id] or list(paths)
    return InputError(
        f"run {run_id!r} has two values of {what}: {', '.join(sorted(values))}",
        source=holding[0],
        hint="keep the right one",
    )
