"""A database in memory, and names and texts as its SQL has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_BROKEN_OFF = "Query interrupted"
# Two sides are read at once, and more threads take more memory.
_THREADS = max(1, min(4, (os.cpu_count() or 2) // 2))


@contextmanager
def connected() -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an empty database in memory.

    Raises KeyboardInterrupt where one, or a signal that is taken for one, breaks off a query:
    DuckDB puts an error of its own in its place.
    """
    import duckdb

    with closing(duckdb.connect()) as database:
        _settle(database)
        try:
            yield database
        except RuntimeError as error:
            if str(error) != _BROKEN_OFF:
                raise
            raise KeyboardInterrupt from None


def _settle(database: duckdb.DuckDBPyConnection) -> None:
    database.execute(f"SET threads = {_THREADS}")
    # In a notebook without ipywidgets it is off, and DuckDB refuses even to leave it so.
    if database.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
        database.execute("SET enable_progress_bar = false")
    # Reading is faster without, and memory lower; whoever needs an order sorts.
    database.execute("SET preserve_insertion_order = false")


def quoted(name: str) -> str:
    """Return a column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text in SQL."""
    return "'" + value.replace("'", "''") + "'"
