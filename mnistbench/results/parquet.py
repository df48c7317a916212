"""Tables as Parquet: written for other programs, and read as the CSV files that they were."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.errors import InputError
from mnistbench.results.cells import defused_in_sql, restored_in_sql
from mnistbench.results.database import connected, literal, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BEGINNING = b"PAR1"
"""Of every such file."""

_ROWS_AT_ONCE = 10_000


def columns_in(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns; raise InputError for a damaged one."""
    with _reading(path) as database:
        described = database.execute(f"DESCRIBE SELECT * FROM {_rows_of(path)}").fetchall()
    return tuple(name for name, *_ in described)


def rows_in(path: Path) -> Iterator[list[str]]:
    """Give each row's cells as text, the unknown empty; raise InputError for a damaged file."""
    names = columns_in(path)
    with _reading(path) as database:
        database.execute("SET preserve_insertion_order = true")
        selected = database.execute(_cells(names, path))
        while rows := selected.fetchmany(_ROWS_AT_ONCE):
            yield from map(list, rows)


def write_csv(path: Path, target: Path) -> None:
    """Write the rows of a file as CSV without a header; raise InputError for a damaged one."""
    names = columns_in(path)
    cells = ", ".join(f"{defused_in_sql(quoted(name))} AS {quoted(name)}" for name in names)
    rows = f"SELECT {cells} FROM ({_cells(names, path)})"
    with _reading(path) as database:
        database.execute(f"COPY ({rows}) TO {literal(str(target))} (FORMAT csv, HEADER false)")


def write_parquet(source: Path, target: Path, numbers: Mapping[str, type]) -> None:
    """Write a CSV file of ours as Parquet; `numbers` stay text where they hold anything else."""
    with source.open(newline="", encoding="utf-8") as text:
        names = next(csv.reader(text))
    rows = _rows_of_csv(source, names)
    wanted = {name: "BIGINT" if kind is int else "DOUBLE" for name, kind in numbers.items()}
    with connected() as database:
        # One thread, so that equal rows give equal bytes.
        database.execute("SET threads = 1")
        database.execute("SET preserve_insertion_order = true")
        tests = ", ".join(_holds_numbers(name, kind) for name, kind in wanted.items())
        fits = database.execute(f"SELECT {tests or 'true'} FROM {rows}").fetchall()[0]
        kinds = {name: kind for (name, kind), fit in zip(wanted.items(), fits, strict=False) if fit}
        selected = ", ".join(
            f"{quoted(name)}::{kinds[name]} AS {quoted(name)}"
            if name in kinds
            else f"{restored_in_sql(quoted(name))} AS {quoted(name)}"
            for name in names
        )
        database.execute(
            f"COPY (SELECT {selected} FROM {rows}) TO {literal(str(target))} "
            "(FORMAT parquet, COMPRESSION zstd)"
        )


@contextmanager
def _reading(path: Path) -> Iterator[DuckDBPyConnection]:
    """Give a database to read a file with; raise InputError if it cannot be read."""
    import duckdb

    with connected() as database:
        try:
            yield database
        except duckdb.Error as error:
            problem = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            raise InputError(problem, source=path) from None


def _rows_of(path: Path) -> str:
    return f"read_parquet({literal(str(path))})"


def _cells(names: Sequence[str], path: Path) -> str:
    """Return the SQL of all rows as text."""
    cells = ", ".join(f"coalesce({quoted(name)}::VARCHAR, '') AS {quoted(name)}" for name in names)
    return f"SELECT {cells} FROM {_rows_of(path)}"


def _rows_of_csv(source: Path, names: Sequence[str]) -> str:
    cells = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({literal(str(source))}, auto_detect = false, header = true, delim = ',', "
        f"quote = '\"', escape = '\"', nullstr = '', columns = {{{cells}}})"
    )


def _holds_numbers(name: str, kind: str) -> str:
    """Return the SQL of whether every cell of a column is empty or a number of a kind."""
    cell = quoted(name)
    same = f"try_cast({cell} AS {kind})::DOUBLE = try_cast({cell} AS DOUBLE)"
    return f"bool_and({cell} IS NULL OR coalesce({same}, false)) IS NOT FALSE"
