"""What rounds of fresh processes tell of the ways to apply a network: medians, and their ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mnistbench.results.inference import PREDICT, WAYS, InferenceRow, main_metrics
from mnistbench.results.inputs import files_of
from mnistbench.results.tables import INFERENCE, is_of_a_folder, read_table

LEAST_ROUNDS = 3
"""Fewer give no interval that is worth its name."""


@dataclass(frozen=True)
class AppliedSummary:
    """One way at one batch size, over its processes; each figure is the median of theirs."""

    execution: str
    batch_size: int
    n: int
    """Fresh processes, one in each round."""
    queries: int
    """Of the process that had fewest."""
    latency_seconds: float
    latency_p90_seconds: float | None
    """None where a process had too few queries to tell it, as is the next one."""
    latency_p99_seconds: float | None
    samples_per_second: float
    times_faster: float | None
    """The latency of `predict` over this one, round by round; None of itself, or without it."""
    low: float | None
    """Of the ratio's 95 % interval; None where the rounds are too few to say."""
    high: float | None


def applied_in(folder: Path) -> list[AppliedSummary]:
    """Return what a run of `infer` found, by batch size; nothing of another run's folder.

    Raises InputError, naming the file, for a damaged table.
    """
    order = list(WAYS)
    rows = read_table(folder, INFERENCE, InferenceRow)
    rows.sort(key=lambda row: (row.batch_size, order.index(row.execution), row.round))
    return summaries(rows)


def summaries(rows: Sequence[InferenceRow]) -> list[AppliedSummary]:
    """Return a line for each way and batch size, in the order of `rows`' first of each size."""
    cells: dict[tuple[str, int], list[InferenceRow]] = {}
    for row in rows:
        cells.setdefault((row.execution, row.batch_size), []).append(row)
    return [_summary(own, cells.get((PREDICT, size), [])) for (_, size), own in cells.items()]


def _summary(rows: Sequence[InferenceRow], predicts: Sequence[InferenceRow]) -> AppliedSummary:
    first = rows[0]
    ratio = None if first.execution == PREDICT else _ratio(rows, predicts)
    return AppliedSummary(
        first.execution,
        first.batch_size,
        len(rows),
        min(row.queries for row in rows),
        median(row.latency_seconds for row in rows),
        _median_of_all(row.latency_p90_seconds for row in rows),
        _median_of_all(row.latency_p99_seconds for row in rows),
        median(row.samples_per_second for row in rows),
        *(ratio or (None, None, None)),
    )


def _median_of_all(values: Iterable[float | None]) -> float | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return median(known) if len(known) == len(listed) else None


def _ratio(
    rows: Sequence[InferenceRow], predicts: Sequence[InferenceRow]
) -> tuple[float, float | None, float | None] | None:
    import numpy as np

    # Imported here: SciPy takes a third of a second.
    from mnistbench.analysis import stats

    pairs = [
        (own[number].latency_seconds, other[number].latency_seconds)
        for own, other in [(_by_round(rows), _by_round(predicts))]
        for number in sorted(own.keys() & other.keys())
    ]
    if not pairs:
        return None
    own_seconds, predict_seconds = np.array(pairs).T
    interval = stats.paired_ratio(own_seconds, predict_seconds, 0.95)
    if len(pairs) < LEAST_ROUNDS or not np.isfinite(interval.high):
        return float(interval.ratio), None, None
    return float(interval.ratio), float(interval.low), float(interval.high)


def _by_round(rows: Sequence[InferenceRow]) -> Mapping[int, InferenceRow]:
    return {row.round: row for row in rows}


def usual_metrics(given: Sequence[str]) -> tuple[str, ...]:
    """Return what names of runs of `infer` are compared by; nothing where there is another run.

    Their phases last as long as they were told to, and would always be the same. Raises InputError
    for what cannot be read.
    """
    ways: list[dict[tuple[str, int], None]] = []
    for name in given:
        ways.append({})
        for file in files_of(name):
            rows = read_table(file.parent, INFERENCE, InferenceRow) if is_of_a_folder(file) else []
            if not rows:
                return ()
            ways[-1] |= dict.fromkeys((row.execution, row.batch_size) for row in rows)
    shared = [way for way in ways[0] if all(way in each for each in ways)]
    return main_metrics(shared or [way for each in ways for way in each])
