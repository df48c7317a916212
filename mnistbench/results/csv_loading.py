"""Rows of CSV files in a database, every cell as the text that it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from mnistbench.errors import InputError
from mnistbench.results.cells import restored_in_sql
from mnistbench.results.csv import TOO_MANY, CsvPart, form_of
from mnistbench.results.database import AS_IT_IS, quoted, readable

if TYPE_CHECKING:
    import duckdb


def load_table(
    database: duckdb.DuckDBPyConnection,
    part: CsvPart,
    table: str,
    select: str,
    where: str,
    made: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add the selected rows of a CSV part to a table, made if it is not there.

    Every column is text; lines that are too short have NULL in what they lack, and only those
    that are too long have anything in `TOO_MANY`. `made` is the SQL of columns beside the file's,
    by name, to select from.
    """
    import duckdb

    columns = dict.fromkeys((*part.columns, TOO_MANY), "VARCHAR")
    lines = _lines_of(part, [*columns])
    if made:
        more = ", ".join(f"{cell} AS {quoted(name)}" for name, cell in made.items())
        lines = f"SELECT *, {more} FROM ({lines})"
    rows = f"SELECT {select} FROM ({lines}) WHERE {where}"
    known = database.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = $name", {"name": table}
    ).fetchall()[0][0]
    begin = f"INSERT INTO {table}" if known else f"CREATE TABLE {table} AS"
    try:
        with readable(part.path) as path:
            _execute(database, f"{begin} {rows}", {"path": path, "columns": columns})
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from None
    except duckdb.Error as error:
        raise _unreadable(part, error) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=part.path) from None


def _execute(database: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, object]) -> None:
    """Load a file by several threads; by one where that fails: quoted ends of lines need it."""
    import duckdb

    try:
        database.execute(query, {**values, "parallel": True})
    except duckdb.Error:
        database.execute(query, {**values, "parallel": False})


def _lines_of(part: CsvPart, columns: Sequence[str]) -> str:
    """Return the SQL of all lines of a file; `$path`, `$columns`, `$parallel` are to be given."""
    cells = "*"
    if part.may_be_defused:
        cells = ", ".join(f"{restored_in_sql(quoted(name))} AS {quoted(name)}" for name in columns)
    return (
        f"SELECT {cells} FROM read_csv($path, auto_detect = false, header = true, "
        "delim = ',', quote = '\"', escape = '\"', columns = $columns, null_padding = true, "
        f"nullstr = '\x01', strict_mode = false, parallel = $parallel, {AS_IT_IS})"
    )


def _unreadable(part: CsvPart, error: Exception) -> InputError:
    """Return the cause in our words where it can be seen: a line in another encoding."""
    for path in part.files:
        content = path.read_bytes() if form_of(path).encoding.startswith("utf-8") else b""
        wrong = _first_wrong_byte(content)
        if wrong is not None:
            return InputError(
                f"the byte 0x{content[wrong]:02x} is no UTF-8 text",
                source=path,
                field=f"row {content.count(10, 0, wrong) + 1}",
                hint="save the file as UTF-8",
            )
    more = f" or one of {len(part.files) - 1} more" if len(part.files) > 1 else ""
    line = re.search(r"Line: (\d+)", str(error))
    row = f"row {line[1]}" if line and not more else None
    problem = f"is no readable CSV: {str(error).splitlines()[0]}"
    if "line size" in str(error):
        problem = "a quotation mark is not closed, or the line is longer than 2 MB"
    return InputError(problem, source=f"{part.files[0]}{more}", field=row)


def _first_wrong_byte(content: bytes) -> int | None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None
