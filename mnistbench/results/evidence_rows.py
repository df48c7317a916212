"""What stands beside each repeat, out of metrics.csv files."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from mnistbench.results.csv import columns_of, rows_of

_NEEDED = ("run_id", "repeat", "metric", "value")

Repeat = tuple[str, int]
"""A run's id, and the number of a repeat in it."""
Numbers = Mapping[Repeat, Mapping[str, float]]
"""Metrics of repeats by their names, as far as they are known."""


def numbers_beside(
    files: Iterable[Path], run_ids: Collection[str], names: Collection[str]
) -> Numbers:
    """Return the metrics of some names of the repeats of some runs.

    What is no finite number, or is there with two values, is not known. Raises InputError for a
    file that cannot be read.
    """
    cells: dict[Repeat, dict[str, set[float]]] = {}
    for file in files:
        columns = columns_of(file)
        if not set(_NEEDED) <= set(columns):
            continue
        places = [columns.index(name) for name in _NEEDED]
        for _, row in rows_of(file):
            if len(row) != len(columns):
                continue
            run_id, repeat, metric, value = (row[place] for place in places)
            if metric in names and run_id in run_ids and repeat.isdecimal():
                by_name = cells.setdefault((run_id, int(repeat)), {})
                by_name.setdefault(metric, set()).add(_number(value))
    return {key: _known(by_name) for key, by_name in cells.items()}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _known(by_name: Mapping[str, set[float]]) -> dict[str, float]:
    single = {name: values.pop() for name, values in by_name.items() if len(values) == 1}
    return {name: value for name, value in single.items() if math.isfinite(value)}
