"""Calibrations as `compare` reads them, when two machines differ and not before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mnistbench.analysis.normalization import Rates
from mnistbench.analysis.sides import SideRun
from mnistbench.errors import InputError
from mnistbench.results.cells import number
from mnistbench.results.csv import columns_of
from mnistbench.results.samples import sample_rows
from mnistbench.results.tables import CALIBRATION, is_merged, table_in

_NEEDED = ("workload", "moment", "rate", "unit")
_LEAST_RATE, _MOST_RATE = 1e-3, 1e24
"""Of calls, bytes or operations a second: beyond is no machine's, and no ratio is finite."""

_Sample = tuple[str, str, float]
"""Workload, moment and rate."""


def calibration_rates(runs: Iterable[SideRun]) -> Rates:
    """Return the rates measured beside the runs, process by process; empty if there are none.

    Configs of one session hold the same samples: they count once. Raises InputError, naming the
    file, for one that is no calibration.
    """
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    seen: set[str] = set()
    files: dict[Path, Mapping[str | None, list[_Sample]]] = {}
    for run in runs:
        session = run.session or run.run_id
        path = None if run.folder is None else table_in(run.folder, CALIBRATION)
        if path is None or session in seen:
            continue
        if path not in files:
            files[path] = _samples(path)
        samples = files[path].get(run.run_id if is_merged(path.parent) else None, [])
        seen |= {session} if samples else set()
        for workload, moment, rate in samples:
            found.setdefault(workload, {}).setdefault((session, moment), []).append(rate)
    # Sorted: which file a rate came from must not show in the last digit of a mean.
    return {
        workload: [np.array(rates) for _, rates in sorted(processes.items())]
        for workload, processes in sorted(found.items())
    }


def _samples(path: Path) -> Mapping[str | None, list[_Sample]]:
    """Return the samples of each run in a file, and under None all of them."""
    samples: dict[str | None, list[_Sample]] = {}
    names = columns_of(path)
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(f"the column {missing[0]} is missing", source=path)
    for _, cells in sample_rows(path):
        row = dict(zip(names, cells, strict=False))
        rate = _rate(row.get("rate"))
        if rate is not None and row.get("unit"):
            for run_id in (None, row.get("run_id", "")):
                sample = row.get("workload", ""), row.get("moment", ""), rate
                samples.setdefault(run_id, []).append(sample)
    return samples


def _rate(text: str | None) -> float | None:
    """Return a rate; None for what a torn line has in its place, and for what no machine does."""
    rate = number(text or "")
    return rate if rate is not None and _LEAST_RATE < rate < _MOST_RATE else None
