"""Tables whose rows have a key, and the SQL that reads the files of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args, get_type_hints

from mnistbench.results import left_out, row_conditions, timing_rows
from mnistbench.results.csv import TOO_MANY
from mnistbench.results.database import quoted
from mnistbench.results.row_conditions import MADE, PROBLEM
from mnistbench.results.rows import MachineRow, MetricRow, Row, columns
from mnistbench.results.tables import MACHINE, METRICS, TABLES, TIMINGS


@dataclass(frozen=True)
class KeyedTable:
    """A table whose rows have a key: two rows of one key are one row, or a conflict."""

    name: str
    """Of its file."""
    needed: tuple[str, ...]
    """Columns that a file must have."""
    run: tuple[str, ...]
    """Columns that tell runs apart."""
    item: str
    """The column that names a row of a run, after the repeat where there is one."""
    own: tuple[str, ...]
    """Columns that are a row's own; the others say the same in many rows."""
    attempt: tuple[str, ...]
    """Columns that tell apart what two processes did of one repeat that was resumed."""
    decimals: tuple[str, ...] = ()
    """Columns in which a decimal comma is read as a point."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return its own columns, in order."""
        return columns(TABLES[self.name])

    @property
    def shared(self) -> tuple[str, ...]:
        """Return the columns that say the same in many rows."""
        return tuple(name for name in self.columns if name not in (*self.own, "repeat"))

    @property
    def numbers(self) -> Mapping[str, type]:
        """Return the columns that hold numbers alone."""
        return number_columns(TABLES[self.name])

    @property
    def has_repeats(self) -> bool:
        """Return whether a run has a row for each of several repeats."""
        return "repeat" in self.needed


KEYED: Mapping[str, KeyedTable] = {
    table.name: table
    for table in (
        KeyedTable(
            TIMINGS, timing_rows.NEEDED, timing_rows.KEY_OF_RUN, "phase",
            ("seed", "phase", "seconds", "cpu_seconds", "start_utc", "status"),
            ("start_utc", "status", "seconds"), ("seconds", "cpu_seconds"),
        ),
        KeyedTable(
            METRICS, columns(MetricRow), ("run_id",), "metric", ("metric", "value", "unit"),
            ("value", "unit"), ("value",),
        ),
        KeyedTable(
            MACHINE, columns(MachineRow), ("run_id",), "attribute", ("attribute", "value"),
            ("value",),
        ),
    )
}  # fmt: skip
"""Every such table, by its file's name."""


def number_columns(row: type[Row]) -> dict[str, type]:
    """Return the columns that hold numbers alone, with `int` or `float`."""
    kinds = {name: {hint, *get_args(hint)} for name, hint in get_type_hints(row).items()}
    return {
        name: float if float in kind else int
        for name, kind in kinds.items()
        if {int, float} & kind and str not in kind
    }


def combinations(table: KeyedTable, there: Sequence[str]) -> tuple[str, str, Mapping[str, str]]:
    """Return the SQL of each combination of shared cells, and of the rows that are odd.

    What to select of a file with the columns `there`, which of its rows, and what columns to make
    for that: as `load_table` takes them.
    """
    cells = ", ".join(f"{_cell(name, there)} AS {quoted(name)}" for name in table.shared)
    problem, kept = f"CASE WHEN {_is_torn(table)} THEN '{left_out.TORN}' END", "NULL::VARCHAR[]"
    if table.name == TIMINGS:
        problem = row_conditions.problem(there)
        kept = f"CASE WHEN {PROBLEM} IS NOT NULL THEN [{', '.join(left_out.KEY)}] END"
    return (
        f"{_hash(table, there)} AS _shared, {cells}, {PROBLEM} AS _problem, {kept} AS _cells, "
        "count(*) AS _count",
        f"{_is_no_header(table, there)} GROUP BY ALL",
        {MADE: problem},
    )


def own_cells(table: KeyedTable, there: Sequence[str], added: Sequence[str]) -> tuple[str, str]:
    """Return the SQL of each whole row's own cells, and of which rows.

    `added` are columns that others have added, with a space before, as no column of ours has one.
    """
    cells = ", ".join(
        f"{_cell(name.strip(), there)} AS {quoted(name)}" for name in (*table.own, *added)
    )
    number, odd = "0", "''"
    if table.has_repeats:
        number, odd = row_conditions.NUMBER, row_conditions.NO_NUMBER
    return (
        f"{_hash(table, there)} AS _shared, {number} AS _number, {odd} AS _odd, {cells}",
        row_conditions.is_row(there)
        if table.name == TIMINGS
        else f"{_is_no_header(table, there)} AND NOT ({_is_torn(table)})",
    )


def _is_torn(table: KeyedTable) -> str:
    lacking = " OR ".join(f"{name} IS NULL" for name in table.needed)
    return f"{lacking} OR {quoted(TOO_MANY)} IS NOT NULL"


def _is_no_header(table: KeyedTable, there: Sequence[str]) -> str:
    if table.name == TIMINGS:
        return row_conditions.is_no_header(there)
    return f"NOT coalesce(lower(run_id) = 'run_id' AND lower({table.item}) = '{table.item}', false)"


def _hash(table: KeyedTable, there: Sequence[str]) -> str:
    return f"hash({', '.join(_cell(name, there) for name in table.shared)})"


def _cell(name: str, there: Sequence[str]) -> str:
    """Return the SQL of a cell: empty where a file or a line lacks it."""
    return f"coalesce({quoted(name)}, '')" if name in there else "''"


def value_of(name: str, table: KeyedTable) -> str:
    """Return the SQL of what a cell says; NULL for the unknown, which agrees with everything."""
    cell = f"nullif({quoted(name)}, '')"
    if name not in table.numbers:
        return cell
    return f"coalesce(try_cast({cell} AS DOUBLE)::VARCHAR, {cell})"
