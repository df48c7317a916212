"""Tables as Parquet: written for other programs, and read as the CSV files that they were."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.errors import InputError
from mnistbench.results.cells import defused_in_sql, restored_in_sql
from mnistbench.results.database import AS_IT_IS, connected, literal, nameable, quoted, readable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BEGINNING = b"PAR1"
"""Of every such file."""

_ROWS_AT_ONCE = 10_000
_IN_PLACE = "USE_TMP_FILE false"
"""Of COPY: who calls has its own way to write a file whole."""


def columns_in(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns; raise InputError for a damaged one."""
    with _reading(path) as (database, rows):
        described = database.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()
    return tuple(name for name, *_ in described)


def rows_in(path: Path) -> Iterator[list[str]]:
    """Give each row's cells as text, the unknown empty; raise InputError for a damaged file."""
    names = columns_in(path)
    with _reading(path) as (database, rows):
        database.execute("SET preserve_insertion_order = true")
        selected = database.execute(_cells(names, rows))
        while some := selected.fetchmany(_ROWS_AT_ONCE):
            yield from map(list, some)


def write_csv(path: Path, target: Path) -> None:
    """Write the rows of a file as CSV without a header; raise InputError for a damaged one."""
    names = columns_in(path)
    cells = ", ".join(f"{defused_in_sql(quoted(name))} AS {quoted(name)}" for name in names)
    with _reading(path) as (database, rows), _written(target) as place:
        selected = f"SELECT {cells} FROM ({_cells(names, rows)})"
        database.execute(f"COPY ({selected}) TO {place} (FORMAT csv, HEADER false, {_IN_PLACE})")


def write_parquet(source: Path, target: Path, numbers: Mapping[str, type]) -> None:
    """Write a CSV file of ours as Parquet; `numbers` stay text where they hold anything else.

    Raises OSError, or DuckDB's own error, if it cannot be written.
    """
    with source.open(newline="", encoding="utf-8") as text:
        names = next(csv.reader(text))
    wanted = {name: "BIGINT" if kind is int else "DOUBLE" for name, kind in numbers.items()}
    with connected() as database, readable(source) as name, _written(target) as place:
        rows = _rows_of_csv(name, names)
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
            f"COPY (SELECT {selected} FROM {rows}) TO {place} "
            f"(FORMAT parquet, COMPRESSION zstd, {_IN_PLACE})"
        )


@contextmanager
def _reading(path: Path) -> Iterator[tuple[DuckDBPyConnection, str]]:
    """Give a database and the SQL of a file's rows; raise InputError if it cannot be read."""
    import duckdb

    with readable(path) as name, connected() as database:
        try:
            yield database, f"read_parquet({literal(name)}, {AS_IT_IS})"
        except duckdb.Error as error:
            problem = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
            raise InputError(problem, source=path) from None


@contextmanager
def _written(target: Path) -> Iterator[str]:
    """Give the SQL of where to write a file; raise OSError."""
    target.touch()
    with nameable(target) as name:
        yield literal(name)


def _cells(names: Sequence[str], rows: str) -> str:
    """Return the SQL of all rows as text."""
    cells = ", ".join(f"coalesce({quoted(name)}::VARCHAR, '') AS {quoted(name)}" for name in names)
    return f"SELECT {cells} FROM {rows}"


def _rows_of_csv(source: str, names: Sequence[str]) -> str:
    cells = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    return (
        f"read_csv({literal(source)}, auto_detect = false, header = true, delim = ',', "
        f"quote = '\"', escape = '\"', nullstr = '', columns = {{{cells}}}, {AS_IT_IS})"
    )


def _holds_numbers(name: str, kind: str) -> str:
    """Return the SQL of whether every cell of a column is empty or a number of a kind."""
    cell = quoted(name)
    same = f"try_cast({cell} AS {kind})::DOUBLE = try_cast({cell} AS DOUBLE)"
    return f"bool_and({cell} IS NULL OR coalesce({same}, false)) IS NOT FALSE"
