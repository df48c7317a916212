"""What else ran beside each repeat, out of metrics.csv files."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from mnistbench.results.csv import columns_of, rows_of

_OTHERS, _WALL = "other_cpu_seconds", "repeat_wall_seconds"
_NEEDED = ("run_id", "repeat", "metric", "value")

Busy = Mapping[tuple[str, int], float]
"""CPU threads that others kept busy beside a repeat, on average, by its run's id and its number."""


def busy_beside(files: Iterable[Path], run_ids: Collection[str]) -> Busy:
    """Return what others kept busy beside the repeats of some runs, as far as it is known.

    What is no number, or is there with two values, is not known. Raises InputError for a file that
    cannot be read.
    """
    cells: dict[tuple[str, int], dict[str, set[float]]] = {}
    for file in files:
        columns = columns_of(file)
        if not set(_NEEDED) <= set(columns):
            continue
        places = [columns.index(name) for name in _NEEDED]
        for _, row in rows_of(file):
            if len(row) != len(columns):
                continue
            run_id, repeat, metric, value = (row[place] for place in places)
            if metric in (_OTHERS, _WALL) and run_id in run_ids and repeat.isdecimal():
                by_name = cells.setdefault((run_id, int(repeat)), {})
                by_name.setdefault(metric, set()).add(_number(value))
    shares = {key: _share(by_name) for key, by_name in cells.items()}
    return {key: share for key, share in shares.items() if share is not None}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _share(by_name: Mapping[str, set[float]]) -> float | None:
    others, wall = by_name.get(_OTHERS, set()), by_name.get(_WALL, set())
    if len(others) != 1 or len(wall) != 1:
        return None
    (other_seconds,), (wall_seconds,) = others, wall
    known = math.isfinite(other_seconds) and math.isfinite(wall_seconds)
    return other_seconds / wall_seconds if known and wall_seconds > 0 <= other_seconds else None
