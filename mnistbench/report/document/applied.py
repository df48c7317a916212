"""Networks applied: the latency and throughput of each way, for every run of `infer`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mnistbench.analysis.inference import AppliedSummary, applied_in
from mnistbench.analysis.sides import Side
from mnistbench.report.document.bars import MOST_CHARTS
from mnistbench.report.document.parts import (
    Axis,
    Cell,
    Column,
    Figure,
    Points,
    Section,
    Style,
    named_number,
    number,
    table,
)
from mnistbench.report.values import seconds_text, times_text
from mnistbench.results.inference import WAYS

_NUMBERS = (
    "Batch size", "n", "Queries", "Median", "p90", "p99", "Images/s offline", "Times predict",
)  # fmt: skip
_ORDER = list(WAYS)
_BATCH = Axis("Batch size", is_log=True)


@dataclass(frozen=True)
class _Network:
    """One run of `infer`."""

    side: str
    config: str
    ways: tuple[AppliedSummary, ...]

    @property
    def has_lines(self) -> bool:
        """Return whether there are several batch sizes: two dots say no more than their table."""
        return len({way.batch_size for way in self.ways}) > 1

    def named(self, several: bool) -> str:
        """Return what it is called in a chart, where several are shown."""
        return f": {self.side}, {self.config}" if several else f": {self.config}"


def applied_section(sides: Sequence[Side]) -> Section:
    """Return two charts and a table of every run of `infer`; nothing without any."""
    networks = [network for side in sides for network in _networks(side)]
    if not networks:
        return Section("applied", "Networks applied")
    names = [{"Result": each.side, "Config": each.config} for each in networks]
    told_apart = [kind for kind in names[0] if len({name[kind] for name in names}) > 1]
    rows = [
        (*(name[kind] for kind in told_apart), *_cells(way))
        for name, network in zip(names, networks, strict=True)
        for way in network.ways
    ]
    columns: list[Column | str] = [*told_apart, "Execution", *map(named_number, _NUMBERS)]
    title = "Latency of single queries, and throughput of offline ones"
    note = (
        "Medians over n fresh processes; a percentile is left out where a process had too few "
        "queries to tell it."
    )
    figures = [
        figure
        for network in [each for each in networks if each.has_lines][:MOST_CHARTS]
        for figure in (_latencies(network, networks), _throughputs(network, networks))
    ]
    return Section(
        "applied", "Networks applied", (), (table(title, columns, rows),), tuple(figures), (note,)
    )


def _latencies(network: _Network, networks: Sequence[_Network]) -> Figure:
    shown: tuple[tuple[str, Style, Callable[[AppliedSummary], float | None]], ...] = (
        ("", "both", lambda way: way.latency_seconds),
        (", p99", "dashes", lambda way: way.latency_p99_seconds),
    )
    lines = [
        _line(execution + suffix, execution, own, value, style)
        for suffix, style, value in shown
        for execution, own in _by_execution(network)
    ]
    rows = [(Cell(way.execution), number(way.batch_size), *_times(way)) for way in network.ways]
    title = "Latency of a query" + network.named(len(networks) > 1)
    return Figure(
        "latency", title,
        "The median over the fresh processes; dashed, where the queries are enough to tell it, the "
        "time that one query in a hundred exceeds.",
        _BATCH, Axis("Seconds", is_log=True, unit="seconds"),
        tuple(line for line in lines if _is_seen(line)),
        table(title, ["Execution", *map(named_number, ("Batch size", "Median", "p90", "p99"))],
              rows),
    )  # fmt: skip


def _throughputs(network: _Network, networks: Sequence[_Network]) -> Figure:
    lines = [
        _line(execution, execution, own, lambda way: way.samples_per_second, "both")
        for execution, own in _by_execution(network)
    ]
    rows = [
        (Cell(way.execution), number(way.batch_size), _throughput_cell(way)) for way in network.ways
    ]
    title = "Throughput offline" + network.named(len(networks) > 1)
    return Figure(
        "inference-throughput", title,
        "All images known at once: how many are guessed in a second, the median over the fresh "
        "processes.",
        _BATCH, Axis("Images/s", is_log=True), tuple(lines),
        table(title, ["Execution", *map(named_number, ("Batch size", "Images/s offline"))], rows),
    )  # fmt: skip


def _by_execution(network: _Network) -> Iterator[tuple[str, list[AppliedSummary]]]:
    for execution in _ORDER:
        own = [way for way in network.ways if way.execution == execution]
        if own:
            yield execution, own


def _line(
    name: str,
    execution: str,
    ways: Sequence[AppliedSummary],
    value: Callable[[AppliedSummary], float | None],
    style: Style,
) -> Points:
    return Points(
        name,
        tuple(float(way.batch_size) for way in ways),
        tuple(map(value, ways)),
        tuple(f"{name}, batch size {way.batch_size}" for way in ways),
        style,
        _ORDER.index(execution),
    )


def _is_seen(line: Points) -> bool:
    """Return whether a line shows anything: dashes need two points."""
    known = sum(value is not None for value in line.y)
    return known > (line.style == "dashes")


def _networks(side: Side) -> Iterator[_Network]:
    for config in side.configs:
        for run in config.runs:
            ways = applied_in(run.folder) if run.folder is not None else []
            if ways:
                yield _Network(side.name, config.name, tuple(ways))


def _cells(way: AppliedSummary) -> tuple[str | Cell, ...]:
    faster = way.times_faster
    return (
        way.execution,
        number(way.batch_size),
        number(way.n),
        number(way.queries),
        *_times(way),
        _throughput_cell(way),
        number(faster, None if faster is None else times_text(faster)),
    )


def _times(way: AppliedSummary) -> tuple[Cell, ...]:
    times = (way.latency_seconds, way.latency_p90_seconds, way.latency_p99_seconds)
    return tuple(number(seconds, seconds_text(seconds)) for seconds in times)


def _throughput_cell(way: AppliedSummary) -> Cell:
    return number(way.samples_per_second, f"{way.samples_per_second:,.0f}")
