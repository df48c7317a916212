"""What a row of timings must be, as conditions in SQL.

Nearly every row is a phase of ours that went well: one look tells those, and spares them the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mnistbench.results import left_out, phases
from mnistbench.results.csv import TOO_MANY
from mnistbench.results.database import literal, quoted
from mnistbench.results.implausible import MOST_SECONDS
from mnistbench.results.phases import PHASES

MEASURED = f"(status IN {phases.ENDED_WHOLE} OR starts_with(status, 'parallel:'))"
"""Whether a row has a time that can be compared, with its own kind."""

HEADER = "header"
"""Of a row that begins a second table: what its problem is called."""
MADE = " problem"
"""The column of a row's problem, where it is made: no file can have it, as headers are stripped."""
PROBLEM = quoted(MADE)

_MORE = quoted(TOO_MANY)
_STATUSES = (
    *phases.ENDED_WHOLE, "failed", "inherited", "not-run", "interrupted", "pruned", "resumed",
)  # fmt: skip

# DuckDB would read 1_000 as a thousand.
SECONDS = "CASE WHEN NOT contains(seconds, '_') THEN try_cast(seconds AS DOUBLE) END"
_REPEAT = "CASE WHEN NOT contains(repeat, '_') THEN try_cast(repeat AS DOUBLE) END"
_IS_PLAIN_REPEAT = "regexp_full_match(repeat, '[0-9]{1,9}')"
_IS_PLAIN_TIME = (
    f"NOT contains(seconds, '_') AND try_cast(seconds AS DOUBLE) > 0 "
    f"AND try_cast(seconds AS DOUBLE) <= {MOST_SECONDS}"
)
_IS_REPEAT = (
    f"coalesce({_REPEAT} >= 0 AND {_REPEAT} < 2147483648 AND {_REPEAT} = floor({_REPEAT}), false)"
)
NUMBER = (
    f"CASE WHEN {_IS_PLAIN_REPEAT} THEN repeat::INTEGER "
    f"WHEN {_IS_REPEAT} THEN repeat::DOUBLE::INTEGER END"
)
"""SQL: the number of a row's repeat, or NULL."""
NO_NUMBER = f"CASE WHEN {_IS_PLAIN_REPEAT} OR {_IS_REPEAT} THEN '' ELSE coalesce(repeat, '') END"
"""SQL: what stands there where it is none."""
_IS_TORN = f"coalesce(status IS NULL OR phase = '' OR {_MORE} IS NOT NULL, false)"
_PROBLEM = f"""
    WHEN {_IS_TORN} THEN '{left_out.TORN}'
    WHEN status NOT IN {_STATUSES} AND NOT starts_with(status, 'killed:')
        AND NOT regexp_full_match(status, 'parallel:[1-9][0-9]*') THEN '{left_out.STATUS}'
    WHEN NOT {_IS_REPEAT} THEN '{left_out.REPEAT}'
    WHEN {MEASURED} AND {SECONDS} = 0 THEN '{left_out.ZERO}'
    WHEN {MEASURED} AND NOT coalesce(isfinite({SECONDS}) AND {SECONDS} > 0, false)
        THEN '{left_out.TIME}'
    WHEN {MEASURED} AND {SECONDS} > {MOST_SECONDS} THEN '{left_out.LONG}'
    END"""
_IS_FIRST_HEADER_AGAIN = (
    "coalesce(lower(run_id) = 'run_id' AND lower(phase) = 'phase' "
    "AND lower(seconds) = 'seconds', false)"
)


def _is_plain(columns: Iterable[str]) -> str:
    """Return the SQL of whether a row is surely no header and not torn, or NULL."""
    # Columns may be called as all phases are: then no row is.
    phases = ", ".join(literal(phase) for phase in PHASES if phase not in columns) or "NULL"
    return f"status = 'ok' AND phase IN ({phases}) AND {_MORE} IS NULL"


def is_no_header(columns: Sequence[str]) -> str:
    """Return the SQL of whether a row is not the header again, as where files were joined."""
    return f"CASE WHEN {_is_plain(columns)} THEN true ELSE NOT {_IS_FIRST_HEADER_AGAIN} END"


def is_row(columns: Sequence[str]) -> str:
    """Return the SQL of whether a line is a row at all: neither torn nor any header."""
    return (
        f"CASE WHEN {_is_plain(columns)} THEN true ELSE NOT {_IS_FIRST_HEADER_AGAIN} "
        f"AND NOT {_is_another_header(columns)} AND NOT {_IS_TORN} END"
    )


def is_wanted(columns: Sequence[str], phases: Sequence[str] | None) -> str:
    """Return the SQL of whether a row is of the phases (None: any), or is to be told of."""
    if phases is None:
        return is_no_header(columns)
    of_them = f"phase IN ({', '.join(map(literal, phases))})"
    # A resumed training shows in its train phase alone, and spares the others' double rows.
    return (
        f"CASE WHEN {_is_plain(columns)} THEN {of_them} ELSE NOT {_IS_FIRST_HEADER_AGAIN} "
        f"AND (status IS NULL OR {_MORE} IS NOT NULL OR phase = '' OR status = 'resumed' "
        f"OR {of_them} OR {_is_another_header(columns)}) END"
    )


def problem(columns: Sequence[str]) -> str:
    """Return the SQL of the reason for which a row cannot be used, or NULL."""
    plain = f"{_is_plain(columns)} AND {_IS_PLAIN_REPEAT} AND {_IS_PLAIN_TIME}"
    header = _is_another_header(columns)
    return f"CASE WHEN {plain} THEN NULL WHEN {header} THEN '{HEADER}' {_PROBLEM}"


def _is_another_header(columns: Sequence[str]) -> str:
    """Return the SQL of whether a row is a header, be it of other columns than these."""
    names = f"({', '.join(map(literal, columns))})"
    return f"coalesce(lower(run_id) IN {names} AND lower(phase) IN {names}, false)"
