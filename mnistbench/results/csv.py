"""Reading many CSV files at once with DuckDB, torn and concatenated ones too.

Only what the files have in common is assumed: a header line with at least the wanted columns.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.errors import InputError

if TYPE_CHECKING:
    import duckdb


# Two sides are read at once, and more threads take more memory.
_THREADS = max(1, min(4, (os.cpu_count() or 2) // 2))
_LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class CsvPart:
    """Files of one header, as one file that DuckDB can read."""

    path: Path
    columns: tuple[str, ...]
    files: tuple[Path, ...]
    """Where it comes from."""


def connect() -> duckdb.DuckDBPyConnection:
    """Return an empty database in memory."""
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {_THREADS}")
    database.execute("SET enable_progress_bar = false")
    # Reading is faster without, and memory lower; whoever needs an order sorts.
    database.execute("SET preserve_insertion_order = false")
    return database


def first_line(path: Path) -> str:
    """Return the first line of a text file without its end; raise InputError."""
    try:
        with path.open("rb") as source:
            line = source.readline(_LONGEST_LINE)
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(
            "is not text", source=path, hint="give a run folder, a timings.csv or a cloudmesh log"
        ) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the column names in a CSV file's header."""
    return tuple(name.strip().strip('"') for name in first_line(path).split(","))


@contextmanager
def parts(paths: Sequence[Path], needed: Sequence[str]) -> Iterator[list[CsvPart]]:
    """Give the files joined by header; raise InputError for one that lacks a needed column."""
    by_columns: dict[tuple[str, ...], list[Path]] = {}
    for path in paths:
        columns = columns_of(path)
        missing = [name for name in needed if name not in columns]
        if missing:
            raise InputError(f"the column {missing[0]} is missing", source=path)
        by_columns.setdefault(columns, []).append(path)
    with tempfile.TemporaryDirectory(prefix="mnistbench-") as folder:
        joined = []
        for number, (columns, files) in enumerate(by_columns.items()):
            path = files[0]
            if len(files) > 1:
                # One file of 300 MB is read in a third of the time of 2,000 small ones.
                path = Path(folder) / f"{number}.csv"
                _join(files, path)
            joined.append(CsvPart(path, columns, tuple(files)))
        yield joined


def _join(files: Sequence[Path], target: Path) -> None:
    source = target
    try:
        with target.open("wb") as sink:
            for source in files:
                content = source.read_bytes()
                sink.write(content)
                if not content.endswith(b"\n"):
                    sink.write(b"\n")  # a torn last line must not swallow the next file's first
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=source) from None


def load_table(
    database: duckdb.DuckDBPyConnection,
    part: CsvPart,
    table: str,
    select: str,
    where: str,
) -> None:
    """Add the selected rows of a CSV part to a table, made if it is not there.

    Every column is text; lines that are too short have NULL in what they lack.
    """
    import duckdb

    columns = dict.fromkeys(part.columns, "VARCHAR")
    rows = (
        f"SELECT {select} FROM read_csv($path, auto_detect = false, header = true, "
        "delim = ',', quote = '\"', escape = '\"', columns = $columns, "
        f"null_padding = true, strict_mode = false) WHERE {where}"
    )
    known = database.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = $name", {"name": table}
    ).fetchall()[0][0]
    begin = f"INSERT INTO {table}" if known else f"CREATE TABLE {table} AS"
    try:
        database.execute(f"{begin} {rows}", {"path": str(part.path), "columns": columns})
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        more = f" or one of {len(part.files) - 1} more" if len(part.files) > 1 else ""
        source = f"{part.files[0]}{more}"
        raise InputError(f"is no readable CSV: {reason}", source=source) from None
