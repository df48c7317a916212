"""A database in memory, and names and texts as its SQL has them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# Two sides are read at once, and more threads take more memory.
_THREADS = max(1, min(4, (os.cpu_count() or 2) // 2))


def connect() -> duckdb.DuckDBPyConnection:
    """Return an empty database in memory."""
    import duckdb

    database = duckdb.connect()
    database.execute(f"SET threads = {_THREADS}")
    # In a notebook without ipywidgets it is off, and DuckDB refuses even to leave it so.
    if database.execute("SELECT current_setting('enable_progress_bar')").fetchall()[0][0]:
        database.execute("SET enable_progress_bar = false")
    # Reading is faster without, and memory lower; whoever needs an order sorts.
    database.execute("SET preserve_insertion_order = false")
    return database


def quoted(name: str) -> str:
    """Return a column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """Return a text in SQL."""
    return "'" + value.replace("'", "''") + "'"
