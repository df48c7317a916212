"""How fast a network is applied: the ways to, the row of inference.csv, the metrics by their names.

The rules are MLPerf Inference's as far as they fit: `single-stream` queries come one after the
other, each when the last one is answered, and are told by percentiles; an `offline` query holds all
images at once, and is told by its throughput.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

PREDICT, CALL, COMPILED = "predict", "call", "compiled"

WAYS: Mapping[str, str] = {
    PREDICT: "Keras's own `model.predict`, as a user calls it",
    CALL: "the model itself: `model(images, training=False)`",
    COMPILED: "the model as one program of the framework",
}
"""Each way to apply a network; a new one is an entry here and in `inside.applying.WAYS`."""

BATCH_SIZES = (1, 8, 64, 512)
OFFLINE_BATCHES = 1000
"""An offline query holds the test set, or so many batches of it: one can last no longer."""

_CONFIDENCE = 0.99
"""Of a percentile, as MLPerf's early stopping has it."""


@cache
def queries_needed(percentile: int) -> int:
    """Return how many queries tell a percentile: 11 for the median, 64 for p90, 662 for p99.

    MLPerf Inference's early stopping: so many that with 99 % confidence the true percentile is not
    above the last but one of the sorted latencies.
    """
    share = percentile / 100
    queries = 2
    while share**queries + queries * (1 - share) * share ** (queries - 1) > 1 - _CONFIDENCE:
        queries += 1
    return queries


@dataclass(frozen=True)
class InferenceRow:
    """What one fresh process measured, of one way at one batch size: a row of inference.csv."""

    repeat: int
    """As in timings.csv and metrics.csv: each process is one."""
    round: int
    """From 1; every way at every batch size is once in each."""
    execution: str
    """`predict`, `call` or `compiled`."""
    batch_size: int
    """Images of a query."""
    warm_up_seconds: float
    """Of the first queries, which are not counted: tracing and compiling."""
    queries: int
    """Single ones, one after the other."""
    latency_seconds: float
    """Median of the queries, each from NumPy array to NumPy array."""
    latency_p90_seconds: float | None
    """None where the queries were too few to tell it, as is the next one."""
    latency_p99_seconds: float | None
    teardown_seconds: float | None
    """Of a query, on average, what the framework took to release the input pipeline that `predict`
    made for it; None where that is not known."""
    offline_images: int
    """Of one offline query."""
    offline_queries: int
    samples_per_second: float
    """Images over seconds of the offline queries."""
    checked_images: int
    """Whose outputs were held against those of `evaluate`."""
    largest_difference: float
    """Of a probability from that of `evaluate`, from 0 to 1."""


def metric_names(execution: str, batch_size: int) -> dict[str, str]:
    """Return the names in metrics.csv of a row's figures, by their column."""
    stem = f"{execution}_batch_{batch_size}"
    return {
        "latency_seconds": f"{stem}_latency_seconds",
        "latency_p90_seconds": f"{stem}_latency_p90_seconds",
        "latency_p99_seconds": f"{stem}_latency_p99_seconds",
        "teardown_seconds": f"{stem}_teardown_seconds",
        "samples_per_second": f"{stem}_samples_per_second",
    }


def main_metrics(ways: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Return the metrics that are compared where none is asked for, of executions and sizes."""
    names = [metric_names(*way) for way in ways]
    return tuple(each[column] for column in ("latency_seconds", "samples_per_second")
                 for each in names)  # fmt: skip


def percentile_seconds(ordered: Any, percentile: int) -> float | None:
    """Return the latency that a share of the queries stays within; None where they are too few.

    `ordered` are the latencies in seconds, the shortest first: a list or an array.
    """
    if len(ordered) < queries_needed(percentile):
        return None
    return float(ordered[math.ceil(percentile * len(ordered) / 100) - 1])
