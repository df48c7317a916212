"""Merged tables as Parquet, for other programs."""

from __future__ import annotations

from pathlib import Path

from mnistbench.results.csv import columns_of, connect
from mnistbench.results.keyed_tables import literal, number_columns, quoted
from mnistbench.results.tables import TABLES


def to_parquet(source: Path, target: Path, table: str) -> None:
    """Write a CSV file of ours as Parquet; a column of numbers as numbers where it has no others."""
    names = columns_of(source)
    cells = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
    rows = (
        f"read_csv({literal(str(source))}, auto_detect = false, header = true, delim = ',', "
        f"quote = '\"', escape = '\"', nullstr = '', columns = {{{cells}}})"
    )
    database = connect()
    try:
        # One thread, so that equal rows give equal bytes.
        database.execute("SET threads = 1")
        database.execute("SET preserve_insertion_order = true")
        wanted = {
            name: ("BIGINT" if kind is int else "DOUBLE")
            for name, kind in number_columns(TABLES[table]).items()
        }
        fit = ", ".join(
            f"bool_and({quoted(name)} IS NULL OR coalesce(try_cast({quoted(name)} AS {kind})::DOUBLE "
            f"= try_cast({quoted(name)} AS DOUBLE), false)) IS NOT FALSE"
            for name, kind in wanted.items()
        )
        fits = database.execute(f"SELECT {fit or 'true'} FROM {rows}").fetchall()[0]
        kinds = {name: kind for (name, kind), fit in zip(wanted.items(), fits, strict=False) if fit}
        selected = ", ".join(
            f"{quoted(name)}::{kinds.get(name, 'VARCHAR')} AS {quoted(name)}" for name in names
        )
        database.execute(
            f"COPY (SELECT {selected} FROM {rows}) TO {literal(str(target))} "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    finally:
        database.close()
