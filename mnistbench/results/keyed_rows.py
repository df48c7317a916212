"""Rows of many CSV files as one table: each once, and in one order, however the files came.

What many rows share (the run, its config, its machine) is held once, and rows are sorted and
written a few runs at a time: a million of them fit a few hundred megabytes.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.config.temporary import temporary_folder
from mnistbench.results import left_out, timing_rows
from mnistbench.results.conflicts import Key, two_values
from mnistbench.results.csv import TOO_MANY, first_row, parts
from mnistbench.results.csv_loading import load_table
from mnistbench.results.database import connected, literal, nameable, quoted
from mnistbench.results.keyed_lines import AS_THEY_ARE, lines
from mnistbench.results.keyed_tables import KeyedTable, combinations, own_cells, value_of
from mnistbench.results.left_out import LeftOut
from mnistbench.results.phases import PHASES
from mnistbench.results.tables import TIMINGS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_THREADS = 2
_MEMORY = "300MB"
"""What DuckDB holds before it writes to the disk."""
_BATCH_ROWS = 200_000
_PIECE = "piece.csv"


@dataclass
class Gathered:
    """What came of the files of one table."""

    rows: int = 0
    """That were written."""
    run_ids: frozenset[str] = frozenset()
    nodes: int = 0
    """Machines that timings name."""
    resumed: frozenset[str] = frozenset()
    """Runs that a second process resumed: a repeat may have two rows of one phase."""
    again: int = 0
    """Rows that were there already."""
    first_again: Key | None = None
    left_out: list[LeftOut] = field(default_factory=list)


def gather(
    table: KeyedTable, paths: Sequence[Path], target: Path, resumed: frozenset[str] = frozenset()
) -> Gathered:
    """Write the rows of all files to `target`, each once.

    Raises InputError, naming both files, for two values of one row.
    """
    with temporary_folder() as folder, nameable(folder) as name, connected() as database:
        database.execute(f"SET threads = {_THREADS}")
        database.execute(f"SET memory_limit = '{_MEMORY}'")
        database.execute(f"SET temp_directory = {literal(name)}")
        names, gathered = _load(database, table, paths)
        _number_runs(database, table, gathered, resumed)
        with target.open("wb") as sink:
            sink.write(header_line([name.strip() for name in names]))
            for runs in _batches(database):
                _make_batch(database, table, names, runs)
                _keep_once(database, table, names, paths, gathered)
                gathered.rows += _write_batch(database, table, names, f"{name}/{_PIECE}")
                with (folder / _PIECE).open("rb") as source:
                    shutil.copyfileobj(source, sink, 1 << 20)
    return gathered


def header_line(names: Sequence[str]) -> bytes:
    """Return the first line of a CSV file."""
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(names)
    return line.getvalue().encode()


def _load(
    database: DuckDBPyConnection, table: KeyedTable, paths: Sequence[Path]
) -> tuple[list[str], Gathered]:
    """Make `combined` of what rows share, and `own` of the rest; return the columns."""
    with parts(paths, table.needed, *table.decimals) as joined:
        others = sorted({name for part in joined for name in part.columns} - {*table.columns})
        added = [f" {name}" for name in others]  # else it could have the name of one made here
        for part in joined:
            load_table(database, part, "combined", *combinations(table, part.columns))
        lines = timing_rows.LINES.replace("cells", "_cells")
        database.execute(
            "CREATE TABLE problems AS SELECT _problem AS problem, _cells AS cells, "
            f"_count * coalesce({lines}, 1) AS lines FROM combined WHERE _problem IS NOT NULL"
        )
        torn = _torn(database, table, paths)
        for part in joined:
            load_table(database, part, "own", *own_cells(table, part.columns, added))
    return [*table.columns, *added], Gathered(left_out=torn)


def _torn(database: DuckDBPyConnection, table: KeyedTable, paths: Sequence[Path]) -> list[LeftOut]:
    """Return the torn lines, counted; raise InputError for what nobody can read surely."""
    if table.name == TIMINGS:
        timing_rows.refuse_unsure(database, paths)
        return timing_rows.rows_left_out(database, paths, left_out.TORN)
    count = database.execute("SELECT sum(lines)::BIGINT FROM problems").fetchall()[0][0]
    if not count:
        return []
    place = first_row(
        paths, lambda row: TOO_MANY in row or any(name not in row for name in table.needed)
    )
    path, line, cells = place or (None, 0, {})
    return [LeftOut(left_out.TORN, count, path, line, ",".join(cells.values()))]


def _number_runs(
    database: DuckDBPyConnection, table: KeyedTable, gathered: Gathered, resumed: frozenset[str]
) -> None:
    """Make `shared`, the combinations with their runs numbered by name, and `resumed`."""
    keys, names = (", ".join(map(quoted, which)) for which in (table.run, table.shared))
    database.execute(
        f"CREATE TABLE shared AS SELECT *, dense_rank() OVER (ORDER BY {keys}) AS _run FROM "
        f"(SELECT DISTINCT _shared, {names} FROM combined SEMI JOIN own USING (_shared))"
    )
    same = database.execute("SELECT count(*) - count(DISTINCT _shared) FROM shared").fetchall()
    assert same == [(0,)], "two combinations of cells have one hash"
    gathered.run_ids = _column(database, "SELECT DISTINCT run_id FROM shared")
    if table.name == TIMINGS:
        gathered.nodes = len(_column(database, "SELECT DISTINCT node FROM shared") - {""})
        resumed = _column(
            database,
            "SELECT DISTINCT run_id FROM shared JOIN own USING (_shared) WHERE status = 'resumed'",
        )
    gathered.resumed = resumed
    database.execute("CREATE TABLE resumed (run_id VARCHAR)")
    if resumed:
        database.executemany("INSERT INTO resumed VALUES (?)", [[name] for name in sorted(resumed)])


def _column(database: DuckDBPyConnection, query: str) -> frozenset[str]:
    return frozenset(value for (value,) in database.execute(query).fetchall())


def _batches(database: DuckDBPyConnection) -> Iterator[tuple[int, int]]:
    """Give ranges of runs, the first and the one after the last, of some 100,000 rows each."""
    counts = database.execute(
        "SELECT _run, count(*) FROM own JOIN shared USING (_shared) GROUP BY _run ORDER BY _run"
    ).fetchall()
    first, rows = 1, 0
    for run, count in counts:
        if rows and rows + count > _BATCH_ROWS:
            yield first, run
            first, rows = run, 0
        rows += count
    if counts:
        yield first, counts[-1][0] + 1


def _make_batch(
    database: DuckDBPyConnection, table: KeyedTable, names: Sequence[str], runs: tuple[int, int]
) -> None:
    """Make `batch`, the rows of some runs with their own cells alone."""
    cells = _own_cells(table, names)
    # A row without a key is the same as another only if all its cells are.
    attempt = (
        f"CASE WHEN _number IS NULL THEN concat_ws(chr(31), _shared, {', '.join(cells.values())}) "
        "WHEN run_id IN (SELECT run_id FROM resumed) "
        f"THEN concat_ws(chr(31), {', '.join(table.attempt)}) ELSE '' END"
    )
    selected = ", ".join(f"{cell} AS {quoted(name)}" for name, cell in cells.items())
    database.execute(
        f"CREATE OR REPLACE TABLE batch AS SELECT _run, _number, {attempt} AS _attempt, _shared, "
        f"{selected} FROM own JOIN shared USING (_shared) "
        f"WHERE _run >= {runs[0]} AND _run < {runs[1]}"
    )


def _own_cells(table: KeyedTable, names: Sequence[str]) -> dict[str, str]:
    """Return the columns that rows of one run do not share, with the SQL of each in `own`."""
    cells = {name: quoted(name) for name in names if name not in table.shared}
    if table.has_repeats:
        cells["repeat"] = "coalesce(_number::VARCHAR, _odd)"
    return cells


def _keep_once(
    database: DuckDBPyConnection,
    table: KeyedTable,
    names: Sequence[str],
    paths: Sequence[Path],
    gathered: Gathered,
) -> None:
    """Leave each row of `batch` once; raise InputError where two of one key do not agree."""
    keys = f"_run, _number, {table.item}, _attempt"
    again = f"FROM batch GROUP BY {keys} HAVING count(*) > 1"
    if not database.execute(f"SELECT 1 {again} LIMIT 1").fetchall():
        return
    same = " AND ".join(
        f"batch.{name} IS NOT DISTINCT FROM again.{name}" for name in keys.split(", ")
    )
    database.execute(
        "CREATE OR REPLACE TABLE several AS SELECT batch.*, shared.* EXCLUDE (_shared, _run) "
        f"FROM batch JOIN shared USING (_shared) JOIN (SELECT {keys} {again}) again ON {same}"
    )
    _tell_of_several(database, table, names, keys, paths, gathered)
    shared = ", ".join(f"max({quoted(name)}) AS {quoted(name)}" for name in table.shared)
    own = [name for name in _own_cells(table, names) if name != table.item]
    others = ", ".join(f"max({quoted(name)}) AS {quoted(name)}" for name in own)
    combined = ", ".join(map(quoted, table.shared))
    database.execute(
        f"CREATE OR REPLACE TABLE once AS SELECT *, hash({combined}) AS _shared FROM "
        f"(SELECT {keys}, {shared}, {others} FROM several GROUP BY {keys})"
    )
    database.execute(
        f"INSERT INTO shared BY NAME SELECT DISTINCT _shared, {combined}, _run "
        "FROM once ANTI JOIN shared USING (_shared)"
    )
    database.execute(f"DELETE FROM batch USING once again WHERE {same}")
    cells = ", ".join(map(quoted, _own_cells(table, names)))
    database.execute(
        f"INSERT INTO batch BY NAME SELECT _run, _number, _attempt, _shared, {cells} FROM once"
    )


def _tell_of_several(
    database: DuckDBPyConnection,
    table: KeyedTable,
    names: Sequence[str],
    keys: str,
    paths: Sequence[Path],
    gathered: Gathered,
) -> None:
    """Count the rows of `several`; raise InputError where two of one key do not agree."""
    rest = [name for name in names if name not in (*table.run, "repeat", table.item)]
    rest.sort(key=lambda name: name not in ("seconds", "value"))  # the first is told of
    differing = " ".join(
        f"WHEN min({value_of(name, table)}) <> max({value_of(name, table)}) THEN {literal(name)}"
        for name in rest
    )
    database.execute(
        f"CREATE OR REPLACE TABLE twice AS SELECT {keys}, min(run_id) AS run_id, "
        f"count(*) - 1 AS again, CASE {differing} END AS differing FROM several GROUP BY {keys}"
    )
    _refuse_conflict(database, table, keys, paths)
    rows = database.execute(
        f"SELECT run_id, _number, {table.item}, sum(again) OVER ()::BIGINT FROM twice "
        f"ORDER BY {keys} LIMIT 1"
    )
    run_id, number, item, count = rows.fetchall()[0]
    gathered.again += count
    gathered.first_again = gathered.first_again or _key(table, run_id, number, item)


def _refuse_conflict(
    database: DuckDBPyConnection, table: KeyedTable, keys: str, paths: Sequence[Path]
) -> None:
    conflict = database.execute(
        f"SELECT run_id, _number, {table.item}, differing, _run, _attempt FROM twice "
        f"WHERE differing IS NOT NULL ORDER BY {keys} LIMIT 1"
    ).fetchall()
    if not conflict:
        return
    run_id, number, item, column, run, attempt = conflict[0]
    values = database.execute(
        f"SELECT DISTINCT {quoted(column)} FROM several WHERE _run = $run AND _number = $number "
        f"AND {table.item} = $item AND _attempt = $attempt AND {quoted(column)} <> '' ORDER BY 1",
        {"run": run, "number": number, "item": item, "attempt": attempt},
    ).fetchall()
    key = _key(table, run_id, number, item)
    cells = [value for (value,) in values]
    raise two_values(key, column.strip(), cells, column in table.numbers, paths)


def _key(table: KeyedTable, run_id: str, number: int | None, item: str) -> Key:
    return Key(run_id, number if table.has_repeats else None, table.item, item)


def _write_batch(
    database: DuckDBPyConnection, table: KeyedTable, names: Sequence[str], piece: str
) -> int:
    """Write the batch in its order, phases as they run; return the number of rows."""
    phases = ", ".join(map(literal, PHASES))
    place = f"coalesce(list_position([{phases}], phase), 99), " if table.name == TIMINGS else ""
    parts_of = lines(names, table.shared)
    written: int = database.execute(
        f"COPY (SELECT {parts_of.line} FROM (SELECT *, {parts_of.own} FROM batch) batch "
        f"JOIN (SELECT _shared, {parts_of.shared} FROM shared "
        "SEMI JOIN batch USING (_shared)) USING (_shared) "
        f"ORDER BY _run, _number NULLS LAST, {place}batch.{table.item}, _attempt) "
        f"TO {literal(piece)} ({AS_THEY_ARE})"
    ).fetchall()[0][0]
    return written
