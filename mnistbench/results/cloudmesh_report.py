"""cloudmesh.log: seed 002's report in cloudmesh's current dialect, with our columns after theirs.

cloudmesh's StopWatch prints it, from times that our own clock measured: its state belongs to the
whole process, its clock can be set back, and its CSV knows no quoting.
"""

from __future__ import annotations

import contextlib
import io
import platform
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from mnistbench.results.cells import defused
from mnistbench.results.folder import RunFolder
from mnistbench.results.rows import TimingRow, columns
from mnistbench.results.tables import CLOUDMESH

OWN_COLUMNS = tuple(
    name for name in columns(TimingRow) if name not in ("phase", "status", "tag", "node", "user")
)
_CSV = "# csv,"


def write_report(folder: RunFolder, rows: Sequence[TimingRow]) -> None:
    """Write the report of a run's timing rows into its folder."""
    tables: list[str] = []
    lines: list[str] = []
    for _, repeat_rows in groupby(rows, key=lambda row: row.repeat):
        printed = _printed([row for row in repeat_rows if row.seconds is not None], first=not lines)
        tables.append("\n".join(line for line in printed if not line.startswith(_CSV)))
        lines += [line for line in printed if line.startswith(_CSV)][1 if lines else 0 :]
    folder.write(CLOUDMESH, "\n".join([*tables, *lines, ""]))


def _printed(rows: Sequence[TimingRow], first: bool) -> list[str]:
    if not rows:
        return []
    # Imported here: it takes 0.2 s and changes PyYAML for the whole process.
    from cloudmesh.common.StopWatch import StopWatch

    StopWatch.clear()
    for row in rows:
        _enter(StopWatch, row)
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        StopWatch.benchmark(
            sysinfo=first,
            tag=defused(_word(rows[0].tag)),
            node=_word(rows[0].node),
            user=_word(rows[0].user),
            version=_word(platform.version()),
        )
    StopWatch.clear()
    return _with_own_columns(text.getvalue().splitlines(), rows)


def _enter(stopwatch: Any, row: TimingRow) -> None:
    start = datetime.fromisoformat(row.start_utc.replace("Z", "+00:00")).timestamp()
    seconds = row.seconds or 0.0
    stopwatch.timer_start[row.phase] = start
    stopwatch.timer_end[row.phase] = start + seconds
    stopwatch.timer_sum[row.phase] = seconds
    stopwatch.timer_status[row.phase] = True
    stopwatch.timer_msg[row.phase] = None


def _with_own_columns(lines: Sequence[str], rows: Sequence[TimingRow]) -> list[str]:
    by_phase = {row.phase: row for row in rows}
    extended = []
    for line in lines:
        if line.startswith(_CSV):
            row = by_phase.get(line.split(",")[1])
            own = [_word(str(getattr(row, name))) for name in OWN_COLUMNS] if row else OWN_COLUMNS
            line = ",".join([line, *own])
        extended.append(line)
    return extended


def _word(text: str) -> str:
    """Return the text without what cloudmesh's unquoted CSV would take for a border."""
    return re.sub(r"[,\s{}\"']+", " ", text).strip()
