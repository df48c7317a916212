"""Times that cannot be: longer than their run lasted, or measured once and there several times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.results import left_out
from mnistbench.results.csv import first_row, parts
from mnistbench.results.csv_loading import load_table
from mnistbench.results.left_out import LeftOut
from mnistbench.results.metrics import WALL_CLOCK_CHANGE
from mnistbench.results.phases import ENDED_WHOLE
from mnistbench.results.tables import METRICS, is_of_a_folder, tables_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_SECONDS = 1e8
"""Three years: no phase of a training takes them, and sums of squares stay finite."""
_SLACK_SECONDS = 1.0
_LEAST_OF_LAST, _SPANS_OF_LAST = 3600.0, 10.0
"""What the phase that began last may take, in seconds or in spans of its run: nothing ends it."""

_MEASURED = f"status IN {ENDED_WHOLE}"
_BEGAN = "epoch(try_cast(start AS TIMESTAMP))"


def leave_out(database: DuckDBPyConnection, paths: Sequence[Path]) -> list[LeftOut]:
    """Take such times out of the table `numbered`; return them, by reason."""
    database.execute("CREATE TABLE clock_changes (run_id VARCHAR, seconds DOUBLE)")
    if database.execute(_TOO_LONG).fetchall():  # seldom: metrics are long tables
        _load_clock_changes(database, paths)
    return [
        left
        for reason, which in ((left_out.LONG, _TOO_LONG), (left_out.SAME, _THERE_BEFORE))
        for left in _left_out(database, reason, which, paths)
    ]


def _load_clock_changes(database: DuckDBPyConnection, timings: Sequence[Path]) -> None:
    """Add by how much the wall clock was set in each repeat, as the metrics beside them tell."""
    folders = dict.fromkeys(path.parent for path in timings if is_of_a_folder(path))
    files = tables_in(folders, METRICS)
    if not files:
        return
    with parts(files, ("run_id", "metric", "value"), "value") as joined:
        for part in joined:
            load_table(
                database, part, "clock_changes",
                "DISTINCT run_id, abs(try_cast(value AS DOUBLE)) AS seconds",
                f"metric = '{WALL_CLOCK_CHANGE}' AND isfinite(try_cast(value AS DOUBLE))",
            )  # fmt: skip


# Every phase but the last ended before the last one began. A clock that was set back in the run
# shows in a last phase that is not of the last repeat: it says nothing then. One that was set in
# the last repeat is known by how much.
_TOO_LONG = f"""
    WITH times AS (
        SELECT rowid AS row, number, repeat, seconds, {_BEGAN} AS began
        FROM numbered WHERE {_MEASURED} AND began IS NOT NULL
    ), spans AS (
        SELECT number, min(began) AS first, max(began) AS last, max(repeat) AS last_repeat,
            arg_max(repeat, began) AS repeat_of_last,
            greatest({_LEAST_OF_LAST}, {_SPANS_OF_LAST} * (max(began) - min(began))) AS most
        FROM times GROUP BY number
    ), tails AS (
        SELECT number, least(max(seconds), any_value(most)) AS tail
        FROM times JOIN spans USING (number) WHERE began = last GROUP BY number
    ), changes AS (
        SELECT number, sum(seconds) AS changed FROM clock_changes JOIN runs USING (run_id)
        GROUP BY number
    )
    SELECT row FROM times JOIN spans USING (number) JOIN tails USING (number)
    LEFT JOIN changes USING (number)
    WHERE last_repeat = repeat_of_last AND last > first AND (
        (began < last AND began + seconds > last + tail + {_SLACK_SECONDS} + coalesce(changed, 0))
        OR (began = last AND seconds > most)
    )"""

# Two repeats do not begin in the same microsecond and take the same time to the last digit. Runs of
# one call share the import of their server.
_THERE_BEFORE = f"""
    SELECT row FROM (
        SELECT rowid AS row, row_number() OVER (
            PARTITION BY code, start, seconds ORDER BY number, repeat
        ) AS place
        FROM numbered SEMI JOIN (
            SELECT code, start, seconds FROM numbered JOIN phases USING (code)
            WHERE {_MEASURED} AND phase NOT IN ('import', 'data-download')
            AND start LIKE '%.%' AND start NOT LIKE '%.000000Z'
            GROUP BY ALL HAVING count(DISTINCT (number, repeat)) > 1
        ) USING (code, start, seconds) WHERE {_MEASURED}
    ) WHERE place > 1"""


def _left_out(
    database: DuckDBPyConnection, reason: str, which: str, paths: Sequence[Path]
) -> list[LeftOut]:
    database.execute(f"CREATE OR REPLACE TABLE implausible AS {which}")
    found = database.execute(
        "SELECT run_id, repeat, phase, seconds FROM numbered JOIN runs USING (number) "
        "JOIN phases USING (code) WHERE numbered.rowid IN (SELECT row FROM implausible) "
        "ORDER BY ALL"
    ).fetchall()
    if not found:
        return []
    database.execute("DELETE FROM numbered WHERE rowid IN (SELECT row FROM implausible)")
    run_id, repeat, phase, seconds = found[0]
    first = first_row(
        paths,
        lambda row: (
            (row.get("run_id"), row.get("phase")) == (run_id, phase)
            and _is(row.get("repeat"), repeat)
            and _is(row.get("seconds"), seconds)
        ),
    )
    file, line, _ = first or (None, 0, {})
    value = f"repeat {repeat}, {phase}, {seconds:g} s"
    return [LeftOut(reason, len(found), file, line, value)]


def _is(cell: str | None, number: float) -> bool:
    try:
        return float((cell or "").replace(",", ".")) == number
    except ValueError:
        return False
