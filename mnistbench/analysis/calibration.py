"""Calibrations as `compare` reads them, when two machines differ and not before."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mnistbench.analysis.normalization import Rates
from mnistbench.analysis.sides import SideRun
from mnistbench.errors import InputError
from mnistbench.results.cells import number
from mnistbench.results.tables import CALIBRATION

_NEEDED = ("workload", "moment", "rate", "unit")
_LEAST_RATE, _MOST_RATE = 1e-3, 1e24
"""Of calls, bytes or operations a second: beyond is no machine's, and no ratio is finite."""


def calibration_rates(runs: Iterable[SideRun]) -> Rates:
    """Return the rates measured beside the runs, process by process; empty if there are none.

    Configs of one session hold the same samples: they count once. Raises InputError, naming the
    file, for one that is no calibration.
    """
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    seen: set[str] = set()
    for run in runs:
        session = run.session or run.run_id
        path = None if run.folder is None else run.folder / CALIBRATION
        if path is None or session in seen or not path.is_file():
            continue
        seen.add(session)
        for workload, moment, rate in _samples(path):
            found.setdefault(workload, {}).setdefault((session, moment), []).append(rate)
    return {
        workload: [np.array(rates) for rates in processes.values()]
        for workload, processes in found.items()
    }


def _samples(path: Path) -> Iterator[tuple[str, str, float]]:
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as text:
            reader = csv.DictReader(text)
            missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"the column {missing[0]} is missing", source=path)
            for row in reader:
                rate = _rate(row["rate"])
                if rate is not None and row["unit"]:
                    yield row["workload"], row["moment"], rate
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def _rate(text: str | None) -> float | None:
    """Return a rate; None for what a torn line has in its place, and for what no machine does."""
    rate = number(text or "")
    return rate if rate is not None and _LEAST_RATE < rate < _MOST_RATE else None
