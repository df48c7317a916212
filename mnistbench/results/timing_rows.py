"""The rows of timings CSVs in a database: the good ones each once, and what others lack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnistbench.errors import InputError
from mnistbench.results import implausible, left_out
from mnistbench.results.csv import DECIMAL_COMMA, columns_of, first_row, parts
from mnistbench.results.csv_loading import load_table
from mnistbench.results.left_out import LeftOut
from mnistbench.results.phases import AT_ONCE, STATUS_ONE_CORE
from mnistbench.results.row_conditions import HEADER, MADE, PROBLEM, SECONDS, is_wanted, problem

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NEEDED = ("run_id", "config", "repeat", "phase", "seconds", "status")
FACTS = (
    "config", "config_digest", "dataset", "data_digest", "model", "backend", "device",
    "precision", "epochs", "batch_size", "node",
)  # fmt: skip
KEY_OF_RUN = ("run_id", "config", "config_digest", "node")

_COLUMN_OF = {
    left_out.TORN: "run_id", left_out.STATUS: "status", left_out.REPEAT: "repeat",
    left_out.ZERO: "seconds", left_out.TIME: "seconds", left_out.TWICE: "seconds",
    left_out.LONG: "seconds", left_out.PROCESSOR: "cpu_seconds",
}  # fmt: skip
_MOST_KEYS = 100_000
LINES = "len(string_split(array_to_string(cells, ''), chr(10)))"
"""SQL: how many lines they are: a quotation mark that nobody closes swallows those after it."""


def load_timings(
    database: DuckDBPyConnection, paths: Sequence[Path], phases: Sequence[str] | None
) -> list[LeftOut]:
    """Make the tables `runs`, `zeros` and `times`: each good or unfinished row of the phases once.

    The seconds of what was measured on one core, beside another run, are those of the processor.

    Raises InputError for two values of one phase of one repeat, and for a decimal comma that
    cannot be told from a separator.
    """
    _load_rows(database, paths, phases)
    refuse_unsure(database, paths)
    problems = rows_left_out(database, paths)
    _make_runs(database)
    problems += implausible.leave_out(database, paths)
    problems += _count_once(database, paths)
    if phases is not None:  # the rows of resumed trainings have served
        database.execute(
            "DELETE FROM times WHERE code NOT IN "
            "(SELECT code FROM phases WHERE list_contains($phases, phase))",
            {"phases": list(phases)},
        )
    return problems


def phases_in(database: DuckDBPyConnection, paths: Sequence[Path]) -> list[str]:
    """Return every phase that the files name, in the order of their names."""
    with parts(paths, NEEDED) as joined:
        for part in joined:
            load_table(
                database, part, "named", "DISTINCT phase", "status IS NOT NULL AND phase <> ''"
            )
    rows = database.execute("SELECT DISTINCT phase FROM named ORDER BY phase").fetchall()
    return [phase for (phase,) in rows if phase.lower() != "phase"]


def _load_rows(
    database: DuckDBPyConnection, paths: Sequence[Path], phases: Sequence[str] | None
) -> None:
    """Make `rows` of all that is asked for, and `problems` of what is wrong."""
    with parts(paths, NEEDED, "seconds") as joined:
        for part in joined:
            load_table(
                database, part, "rows", _selected(part.columns), is_wanted(part.columns, phases),
                {MADE: problem(part.columns)},
            )  # fmt: skip
    database.execute(
        f"CREATE TABLE problems AS SELECT problem, cells, {LINES} AS lines "
        "FROM rows WHERE problem IS NOT NULL"
    )


def _selected(columns: Sequence[str]) -> str:
    facts = ", ".join(
        f"coalesce({name}, '') AS {name}" if name in columns else f"'' AS {name}" for name in FACTS
    )
    start = "start_utc" if "start_utc" in columns else "''"
    processor = "try_cast(cpu_seconds AS DOUBLE)" if "cpu_seconds" in columns else "NULL::DOUBLE"
    on_one_core = f"status = '{STATUS_ONE_CORE}'"
    why = (
        f"coalesce({PROBLEM}, CASE WHEN {on_one_core} AND NOT coalesce({processor} > 0, false) "
        f"THEN '{left_out.PROCESSOR}' END)"
    )
    return (
        f"coalesce(run_id, '') AS run_id, {facts}, phase, "
        # While one side of a shared core sleeps, the other has all of it: wall times tell less of
        # what the two differ by than there is.
        f"CASE WHEN {on_one_core} THEN {processor} ELSE {SECONDS} END AS seconds, "
        f"{start} AS start, status, {why} AS problem, "
        f"try_cast(repeat AS INTEGER) AS number_in_run, {_cells_if(why)}"
    )


def _cells_if(problem: str) -> str:
    """Return the SQL of an odd row's cells as they stand: to find it in its file again."""
    return f"CASE WHEN {problem} IS NOT NULL THEN [{', '.join(left_out.KEY)}] END AS cells"


def refuse_unsure(database: DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Raise InputError for a second header, and for a decimal comma that may be a separator."""
    headers = database.execute(f"SELECT 1 FROM problems WHERE problem = '{HEADER}' LIMIT 1")
    if headers.fetchall():
        raise _second_header(paths)
    _check_decimal_commas(database, paths)


def rows_left_out(
    database: DuckDBPyConnection, paths: Sequence[Path], reason: str | None = None
) -> list[LeftOut]:
    """Return how many rows cannot be used and the first of them, for each reason or for one."""
    counts = database.execute(
        "SELECT problem, sum(lines)::BIGINT FROM problems "
        "WHERE $reason IS NULL OR problem = $reason GROUP BY problem ORDER BY problem",
        {"reason": reason},
    ).fetchall()
    return [_problem(database, why, count, paths) for why, count in counts]


def _problem(
    database: DuckDBPyConnection, reason: str, count: int, paths: Sequence[Path]
) -> LeftOut:
    keys = _cells(database, "problem = $reason", {"reason": reason})
    return left_out.named(reason, count, keys, paths, _COLUMN_OF[reason])


def _cells(
    database: DuckDBPyConnection, which: str, values: Mapping[str, str]
) -> list[left_out.RowKey]:
    rows = database.execute(
        f"SELECT DISTINCT cells FROM problems WHERE {which} LIMIT {_MOST_KEYS}", dict(values)
    ).fetchall()
    return [tuple(cells) for (cells,) in rows]


def _check_decimal_commas(database: DuckDBPyConnection, paths: Sequence[Path]) -> None:
    place = left_out.KEY.index("seconds") + 1
    keys = _cells(
        database,
        f"problem = '{left_out.TIME}' AND regexp_full_match(cells[{place}], $comma)",
        {"comma": DECIMAL_COMMA},
    )
    if keys:
        first = left_out.named(left_out.TIME, len(keys), keys, paths, "seconds")
        raise InputError(
            f"seconds {first.value!r} has a decimal comma, and commas separate the columns",
            source=first.file,
            field=f"row {first.line}" if first.line else None,
            hint="write the times with a point, or separate the columns by ;",
        )


def _second_header(paths: Sequence[Path]) -> InputError:
    names = {name for path in paths for name in columns_of(path)}
    place = first_row(
        paths,
        lambda row: (
            {row.get("run_id", "").lower(), row.get("phase", "").lower()} <= names
            and [cell.lower() for cell in row.values()] != [*row]
        ),
    )
    path, line, _ = place or (paths[0], 0, {})
    return InputError(
        "a second header, of other columns, begins a second table",
        source=path,
        field=f"row {line}",
        hint="give the tables as two files",
    )


def _make_runs(database: DuckDBPyConnection) -> None:
    """Make `runs`, in the order they began, `repeats`, and `numbered`, rows by numbers alone."""
    facts = ", ".join(f"max({name}) AS {name}" for name in FACTS if name not in KEY_OF_RUN)
    keys = ", ".join(KEY_OF_RUN)
    database.execute(
        f"CREATE TABLE runs AS SELECT row_number() OVER (ORDER BY min(start), {keys}) - 1 "
        f"AS number, {keys}, {facts}, "
        f"max(CASE WHEN status IN {AT_ONCE} OR starts_with(status, 'parallel:') THEN status "
        "ELSE '' END) AS design FROM rows "
        f"WHERE coalesce(problem, '{left_out.ZERO}') = '{left_out.ZERO}' GROUP BY {keys}"
    )
    database.execute(
        "CREATE TABLE phases AS SELECT row_number() OVER (ORDER BY phase) - 1 AS code, phase "
        "FROM (SELECT DISTINCT phase FROM rows WHERE problem IS NULL)"
    )
    # Numbers only: a million strings would not fit the memory promised.
    database.execute(
        f"CREATE TABLE numbered AS SELECT number, number_in_run AS repeat, code, seconds, start, "
        f"status FROM rows JOIN runs USING ({keys}) JOIN phases USING (phase) "
        "WHERE problem IS NULL"
    )
    database.execute(
        f"CREATE TABLE zeros AS SELECT DISTINCT number, phase FROM rows JOIN runs USING ({keys}) "
        f"WHERE problem = '{left_out.ZERO}'"
    )
    database.execute(
        "CREATE TABLE repeats AS SELECT DISTINCT number, number_in_run AS repeat FROM rows "
        f"JOIN runs USING ({keys}) WHERE number_in_run IS NOT NULL AND status IS NOT NULL"
    )
    database.execute("DROP TABLE rows")


def _count_once(database: DuckDBPyConnection, paths: Sequence[Path]) -> list[LeftOut]:
    """Make `times` of `numbered`, each phase of each repeat once; raise where it has two values."""
    # What an interrupted training did before its end, the process that resumed it did again.
    database.execute(
        "CREATE TABLE resumed AS SELECT DISTINCT number, repeat FROM numbered "
        "WHERE status = 'resumed'"
    )
    database.execute(
        "CREATE TABLE twice AS SELECT number, repeat, code, count(*) AS count, "
        "min(seconds) <> max(seconds) OR min(status) <> max(status) AS differs "
        "FROM numbered GROUP BY number, repeat, code HAVING count(*) > 1"
    )
    if not database.execute("SELECT count(*) FROM twice").fetchall()[0][0]:
        database.execute("ALTER TABLE numbered RENAME TO times")
        return []
    _check_equal(database, paths)
    database.execute(
        "CREATE TABLE times AS SELECT DISTINCT ON (number, repeat, code) * FROM numbered "
        "ORDER BY number, repeat, code, start"
    )
    return _told_once(database, paths)


def _check_equal(database: DuckDBPyConnection, paths: Sequence[Path]) -> None:
    differing = database.execute(
        "SELECT run_id, repeat, phase, list(coalesce(seconds::VARCHAR || ' s', status)) "
        "FROM twice JOIN numbered USING (number, repeat, code) JOIN runs USING (number) "
        "JOIN phases USING (code) ANTI JOIN resumed USING (number, repeat) "
        "WHERE differs GROUP BY ALL ORDER BY ALL LIMIT 1"
    ).fetchall()
    if not differing:
        return
    run_id, repeat, phase, values = differing[0]
    place = first_row(paths, lambda row: row.get("run_id") == run_id and row.get("phase") == phase
                      and _is_number(row.get("repeat"), repeat))  # fmt: skip
    raise InputError(
        f"run {run_id!r}, repeat {repeat}, phase {phase} is there {len(values)} times with "
        f"different values: {', '.join(values[:3])}",
        source=paths[0] if place is None else place[0],
        field=None if place is None else f"row {place[1]}",
        hint="keep the right one",
    )


def _is_number(cell: str | None, number: int) -> bool:
    try:
        return float(cell or "") == number
    except ValueError:
        return False


def _told_once(database: DuckDBPyConnection, paths: Sequence[Path]) -> list[LeftOut]:
    counted = database.execute(
        "SELECT sum(count - 1)::BIGINT, first(run_id ORDER BY number, repeat, phase), "
        "first(repeat ORDER BY number, repeat, phase), first(phase ORDER BY number, repeat, phase) "
        "FROM twice JOIN runs USING (number) JOIN phases USING (code) "
        "ANTI JOIN resumed USING (number, repeat)"
    ).fetchall()
    count, run_id, repeat, phase = counted[0]
    if not count:
        return []
    seen = False

    def is_second(row: Mapping[str, str]) -> bool:
        nonlocal seen
        same = row.get("run_id") == run_id and row.get("phase") == phase
        again = same and seen and _is_number(row.get("repeat"), repeat)
        seen = seen or (same and _is_number(row.get("repeat"), repeat))
        return again

    place = first_row(paths, is_second)
    path, line, row = place or (None, 0, {})
    value = f"repeat {repeat}, {phase}, {row.get('seconds') or 'no time'}"
    return [LeftOut(left_out.TWICE, count, path, line, value)]
