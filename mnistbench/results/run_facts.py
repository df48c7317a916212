"""What lies beside the timings of runs: facts of their machines, and figures of their repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.errors import InputError
from mnistbench.results import left_out
from mnistbench.results.csv import parts
from mnistbench.results.csv_loading import load_table
from mnistbench.results.left_out import LeftOut
from mnistbench.results.tables import METRICS, SCHEMA_FACT, TIMINGS, check_schema

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass
class RunFigures:
    """Figures of one run's repeats, from its metrics.csv."""

    accuracies: dict[int, float] = field(default_factory=dict)
    """Repeat to its test accuracy, from 0 to 1."""
    contended: set[int] = field(default_factory=set)
    """Repeats that something else disturbed."""
    odd_accuracies: dict[int, float] = field(default_factory=dict)
    """Repeat to what is no accuracy."""
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
        if attribute == SCHEMA_FACT:
            check_schema(value, holding(files, run_id))
    return facts


def run_figures(
    database: DuckDBPyConnection, paths: Sequence[Path], resumed: set[str]
) -> dict[str, RunFigures]:
    """Return the figures of each run by its id, from metrics.csv files, of repeats with times.

    Raises InputError for two values of one figure, but of runs that a second process resumed.
    """
    # An accuracy's unit is 1: where it is missing, the line and perhaps the figure are torn.
    wanted = (
        "(metric = 'test_accuracy' AND unit = '1' AND isfinite(try_cast(value AS DOUBLE)) "
        "OR metric = 'jit_compile' AND value IN ('true', 'false') "
        "OR metric = 'contended' AND value IN ('true', 'false'))"
    )
    with parts(paths, ("run_id", "repeat", "metric", "value", "unit"), "value") as joined:
        for part in joined:
            load_table(
                database, part, "metrics",
                "DISTINCT run_id, try_cast(repeat AS INTEGER) AS repeat, "
                f"CASE WHEN {wanted} THEN metric END AS metric, "
                f"CASE WHEN {wanted} THEN value END AS value",
                "try_cast(repeat AS INTEGER) IS NOT NULL",
            )  # fmt: skip
    return _by_run(database, paths, resumed)


def _by_run(
    database: DuckDBPyConnection, paths: Sequence[Path], resumed: set[str]
) -> dict[str, RunFigures]:
    figures: dict[str, RunFigures] = {}
    values: dict[tuple[str, int, str], str] = {}
    rows = database.execute(
        "FROM metrics SEMI JOIN (FROM repeats JOIN runs USING (number)) USING (run_id, repeat) "
        "WHERE metric IS NOT NULL ORDER BY run_id, repeat, metric"
    ).fetchall()
    for run_id, repeat, metric, value in rows:
        if values.setdefault((run_id, repeat, metric), value) != value and run_id not in resumed:
            where = f"{metric} of repeat {repeat}"
            raise two_values(run_id, where, [values[run_id, repeat, metric], value], paths)
        run = figures.setdefault(run_id, RunFigures())
        if metric == "jit_compile":
            run.jit_compile = value
        elif metric == "test_accuracy":
            accuracy = float(value)
            known = run.accuracies if 0 <= accuracy <= 1 else run.odd_accuracies
            known[repeat] = accuracy
        elif value == "true":
            run.contended.add(repeat)
    return figures


def odd_accuracies(
    facts: Sequence[Mapping[str, str]], figures: Sequence[RunFigures]
) -> list[LeftOut]:
    """Return the accuracies that are none, which nothing is made of."""
    found = [
        (Path(run["file"]).with_name(METRICS) if "file" in run else None, repeat, value)
        for run, known in zip(facts, figures, strict=True)
        for repeat, value in known.odd_accuracies.items()
    ]
    if not found:
        return []
    file, repeat, value = found[0]
    return [LeftOut(left_out.ACCURACY, len(found), file, 0, f"repeat {repeat}: {value:g}")]


def leave_out_half(database: DuckDBPyConnection, folders: Mapping[Path, str]) -> list[LeftOut]:
    """Take out the times of repeats whose metrics a crash kept from the disk, of runs with any."""
    database.execute(
        "CREATE TABLE half AS SELECT DISTINCT number, repeat, run_id FROM times "
        "JOIN runs USING (number) SEMI JOIN metrics USING (run_id) "
        "ANTI JOIN metrics USING (run_id, repeat)"
    )
    half = database.execute("SELECT run_id, repeat FROM half ORDER BY ALL").fetchall()
    if not half:
        return []
    database.execute(
        "DELETE FROM times WHERE (number, repeat) IN (SELECT (number, repeat) FROM half)"
    )
    run_id, repeat = half[0]
    file = next((folder / TIMINGS for folder, name in folders.items() if name == run_id), None)
    return [LeftOut(left_out.HALF, len(half), file, 0, f"repeat {repeat}")]


def holding(paths: Sequence[Path], run_id: str) -> Path:
    """Return the file of a run among several, as far as their folders tell."""
    return next((path for path in paths if path.parent.name == run_id), paths[0])


def two_values(run_id: str, what: str, values: list[str], paths: Sequence[Path]) -> InputError:
    """Return the error of a run that has several values where one belongs."""
    return InputError(
        f"run {run_id!r} has two values of {what}: {', '.join(sorted(values))}",
        source=holding(paths, run_id),
        hint="keep the right one",
    )
