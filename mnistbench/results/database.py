"""A database in memory, and names and texts as its SQL has them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_BROKEN_OFF = "Query interrupted"
AS_IT_IS = "hive_partitioning = false"
"""Of reading: a folder named `epochs=5` gives no file a column."""
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


@contextmanager
def nameable(path: Path) -> Iterator[str]:
    """Give a name of a file or folder that is there, to tell DuckDB; raise OSError if it is not.

    DuckDB knows UTF-8 alone. Linux takes any bytes for a name, and gives what is open another one.
    """
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield name


@contextmanager
def readable(path: Path) -> Iterator[str]:
    """Give a name of a file for DuckDB to read, to which `run[1]` is a pattern that fits `run1`.

    Raises OSError if it is not there.
    """
    with nameable(path) as name:
        yield glob.escape(name)


def quoted(name: str) -> str:
    """Return a column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text in SQL."""
    return "'" + value.replace("'", "''") + "'"
