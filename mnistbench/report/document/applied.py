"""Networks applied: the latency and throughput of each way, for every run of `infer`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mnistbench.analysis.inference import AppliedSummary, summaries
from mnistbench.analysis.sides import Side
from mnistbench.report.document.parts import Cell, Column, Section, named_number, number, table
from mnistbench.report.values import seconds_text, times_text
from mnistbench.results.inference import WAYS, InferenceRow
from mnistbench.results.tables import INFERENCE, read_table

_NUMBERS = (
    "Batch size", "n", "Queries", "Median", "p90", "p99", "Images/s offline", "Times predict",
)  # fmt: skip
_ORDER = list(WAYS)


def applied_section(sides: Sequence[Side]) -> Section:
    """Return a table with a row for each network, way and batch size; nothing without `infer`."""
    rows = [
        (side.name, config, *_cells(each))
        for side in sides
        for config, summary in _networks(side)
        for each in summary
    ]
    if not rows:
        return Section("applied", "Networks applied")
    columns: list[Column | str] = ["Result", "Config", "Execution", *map(named_number, _NUMBERS)]
    title = "Latency of single queries, and throughput of offline ones"
    note = (
        "Medians over n fresh processes; a percentile is left out where a process had too few "
        "queries to tell it."
    )
    return Section("applied", "Networks applied", (), (table(title, columns, rows),), (), (note,))


def _networks(side: Side) -> Iterator[tuple[str, list[AppliedSummary]]]:
    for config in side.configs:
        for run in config.runs:
            folder = run.folder
            rows = read_table(folder, INFERENCE, InferenceRow) if folder is not None else []
            rows.sort(key=lambda row: (row.batch_size, _ORDER.index(row.execution), row.round))
            if rows:
                yield config.name, summaries(rows)


def _cells(each: AppliedSummary) -> tuple[str | Cell, ...]:
    times = (each.latency_seconds, each.latency_p90_seconds, each.latency_p99_seconds)
    faster = each.times_faster
    return (
        each.execution,
        number(each.batch_size),
        number(each.n),
        number(each.queries),
        *(number(seconds, seconds_text(seconds)) for seconds in times),
        number(each.samples_per_second, f"{each.samples_per_second:,.0f}"),
        number(faster, None if faster is None else times_text(faster)),
    )
