"""A database in memory, and names and texts as its SQL has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_BROKEN_OFF = "Query interrupted"
_MOST_THREADS = 4
"""More take more memory, and what is read lies in few blocks."""


@contextmanager
def connected(readers: int = 1) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give an empty database in memory, with its share of the cores where several are read at once.

    Raises KeyboardInterrupt where one, or a signal that is taken for one, breaks off a query:
    DuckDB puts an error of its own in its place. And MemoryError where there is too little.
    """
    import duckdb

    with closing(duckdb.connect()) as database:
        try:
            _settle(database, readers)
            yield database
        except duckdb.OutOfMemoryException as error:
            raise MemoryError(str(error)) from None
        except RuntimeError as error:
            if str(error) != _BROKEN_OFF:
                raise
            raise KeyboardInterrupt from None


def _settle(database: duckdb.DuckDBPyConnection, readers: int) -> None:
    threads = max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // readers))
    database.execute(f"SET threads = {threads}")
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
