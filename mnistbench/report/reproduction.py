"""The lessons' figures beside those measured here, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mnistbench.analysis.reproduction import ReproductionRow, to_csv


def print_reproduction(console: Console, rows: Sequence[ReproductionRow]) -> None:
    """Print the lessons' figures beside those measured here, and where the lessons are unclear."""
    console.print(_learning_table(rows))
    console.print(_duration_table(rows))
    for row in rows:
        for note in row.report.notes:
            console.print(f"{row.report.config}: {note}", highlight=False)


def as_csv(rows: Sequence[ReproductionRow]) -> str:
    """Return one row for each config."""
    return to_csv(rows)


def _learning_table(rows: Sequence[ReproductionRow]) -> Table:
    table = Table(title="What the lessons report, and what was measured here", title_justify="left")
    table.add_column("Config")
    for name in ("Parameters", "here", "Accuracy", "here", "difference"):
        table.add_column(name, justify="right")
    table.add_column("Verdict")
    for row in rows:
        report, difference = row.report, row.accuracy_difference
        table.add_row(
            report.config,
            f"{report.parameters:,}",
            "" if row.parameters is None else f"{row.parameters:,}",
            "" if report.accuracy is None else f"{report.accuracy:.4g}",
            "" if row.accuracy is None else f"{row.accuracy:.4f}",
            "" if difference is None else f"{difference:+.4f}",
            row.verdict,
        )
    return table


def _duration_table(rows: Sequence[ReproductionRow]) -> Table:
    table = Table(title="Seconds, where a lesson prints them", title_justify="left")
    table.add_column("Config")
    table.add_column("What")
    for name in ("Lesson", "here", "n"):
        table.add_column(name, justify="right")
    table.add_column("Here is")
    for row in rows:
        for duration in row.durations:
            lesson, here = duration.lesson_seconds, duration.here_seconds
            cells = (f"{lesson:.4g}", "" if here is None else f"{here:.4g}", str(row.repeats))
            ratio = "" if here is None else _times(lesson / here)
            table.add_row(row.report.config, duration.quantity, *cells, ratio)
    return table


def _times(speedup: float) -> str:
    return f"{speedup:.2f}x faster" if speedup >= 1 else f"{1 / speedup:.2f}x slower"
