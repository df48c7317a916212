"""Which measurements a chart shows together: a config's sides, or the configs of one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.analysis.groups import measured_configs
from mnistbench.analysis.sides import ConfigRuns, Side
from mnistbench.report.document.parts import Cell, number
from mnistbench.report.values import seconds_text

Array = npt.NDArray[Any]

MOST_CHARTS = 12
"""Of a kind; the tables have all."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Bar:
    """One config as one side measured it."""

    label: str
    runs: ConfigRuns
    color: int
    """Of its side, the same in all charts."""


@dataclass(frozen=True)
class Chart:
    """What is shown together, since it is of one kind."""

    name: str
    """In the names of figures; empty for the only one."""
    title: str
    bars: tuple[Bar, ...]


def charts_of(sides: Sequence[Side]) -> list[Chart]:
    """Return a chart for each config that several sides measured; of other configs one together."""
    alone: list[Bar] = []
    charts = []
    colors = {side.name: place for place, side in enumerate(sides)}
    for name, measured in measured_configs(sides):
        if len({side.name for side, _ in measured}) > 1:
            bars = [Bar(side.name, config, colors[side.name]) for side, config in measured]
            charts.append(Chart(name or "unnamed", name, _told_apart(bars)))
        else:
            alone += [
                Bar(_label(side, config, sides), config, len(alone) if len(sides) == 1 else
                    colors[side.name])
                for side, config in measured
            ]  # fmt: skip
    if alone:
        charts.append(Chart("others" if charts else "", "", _told_apart(alone)))
    # Of an only one the first line says what it is of.
    return [Chart("", "", charts[0].bars)] if len(charts) == 1 else charts


def _told_apart(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """Return bars of which no two have one label: a side may hold a config at several settings."""
    counts = Counter(bar.label for bar in bars)
    found: dict[str, Bar] = {}
    for bar in bars:
        label = bar.label
        if counts[label] > 1:
            label = f"{label} {bar.runs.digest[:8]}".rstrip()
        # Digests may begin alike, and a label may be what another one becomes.
        names = (label, *(f"{label} ({place})" for place in range(2, len(bars) + 2)))
        label = next(name for name in names if name not in found)
        found[label] = replace(bar, label=label)
    return tuple(found.values())


def _label(side: Side, config: ConfigRuns, sides: Sequence[Side]) -> str:
    if len(sides) == 1 or config.name == side.name:
        return config.name or side.name
    return f"{side.name}, {config.name}" if config.name else side.name


def figure_name(kind: str, chart: Chart) -> str:
    """Return the name of a figure of a chart, fit for a file."""
    clean = "".join(c if c.isalnum() or c in "-_" else "-" for c in chart.name).strip("-")
    return f"{kind}-{clean}" if clean else kind


def titled(text: str, chart: Chart) -> str:
    """Return the title of a figure of a chart."""
    return f"{text}: {chart.title}" if chart.title else text


@dataclass(frozen=True)
class Typical:
    """The typical time of repeats."""

    seconds: float
    low: float | None
    """End of its 95 % interval; None where the repeats cannot tell."""
    high: float | None


def typical(seconds: Array) -> Typical:
    """Return the typical time of one phase, as `compare` has it, and its interval."""
    found = stats.typical_time(seconds, CONFIDENCE)
    known = bool(np.isfinite(found.high))
    return Typical(
        float(found.ratio),
        float(found.low) if known else None,
        float(found.high) if known else None,
    )


def seconds_cell(seconds: float | None) -> Cell:
    """Return a cell of a time."""
    return number(seconds, seconds_text(seconds))


def interval_cell(found: Typical) -> Cell:
    """Return a cell of an interval of times."""
    if found.low is None or found.high is None:
        return Cell("")
    return Cell(f"{seconds_text(found.low)} to {seconds_text(found.high)}", found.low)
