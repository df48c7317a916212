"""Times as charts: the phases of each side, every repeat, and repeats in order where they drift."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistbench.analysis import drift
from mnistbench.analysis.pairing import words_of
from mnistbench.analysis.sides import ConfigRuns, Values, sort_phases
from mnistbench.report.document.bars import (
    MOST_CHARTS,
    Array,
    Bar,
    Chart,
    Typical,
    figure_name,
    interval_cell,
    seconds_cell,
    titled,
    typical,
)
from mnistbench.report.document.parts import (
    Axis,
    Bars,
    Boxes,
    Cell,
    Figure,
    Points,
    Section,
    named_number,
    number,
    table,
)
from mnistbench.results.phases import PHASES, TOTAL, TRAIN

_SMALLEST_SHARE = 0.05
"""Of a bar."""
_MOST_DOTS = 400
_MOST_RUNS = 6
_SECONDS = Axis("Seconds", unit="seconds", from_zero=True)


def phases_section(charts: Sequence[Chart]) -> Section:
    """Return the phases of each side as stacked bars."""
    figures = [figure for chart in charts[:MOST_CHARTS] if (figure := _phases(chart)) is not None]
    says = (*_omitted(charts), *_beside_others(charts))
    return Section("phases", "Where the time goes", says, (), tuple(figures))


def _beside_others(charts: Sequence[Chart]) -> tuple[str, ...]:
    """Say of which sides the times are none of the whole machine, and why."""
    told = {
        (bar.label, run.design): None
        for chart in charts[:MOST_CHARTS] for bar in chart.bars for run in bar.runs.runs
        if run.design
    }  # fmt: skip
    return tuple(
        f"{label} was {words_of(design)}: no times of the machine." for label, design in told
    )


def _omitted(charts: Sequence[Chart]) -> tuple[str, ...]:
    more = len(charts) - MOST_CHARTS
    return (f"{more} more configs have no chart here.",) if more > 0 else ()


def _phases(chart: Chart) -> Figure | None:
    names = sort_phases({name for bar in chart.bars for name in bar.runs.phases if name != TOTAL})
    if not names:
        return None
    times = {
        (bar.label, name): typical(bar.runs.phases[name].amounts)
        for bar in chart.bars
        for name in names
        if name in bar.runs.phases
    }
    marks = tuple(_part(chart, name, times, place) for place, name in enumerate(names))
    rows = [
        (Cell(bar.label), Cell(name), number(len(bar.runs.phases[name].amounts)),
         seconds_cell(found.seconds), interval_cell(found))
        for bar in chart.bars for name in names
        if (found := times.get((bar.label, name))) is not None
    ]  # fmt: skip
    title = titled("Phases", chart)
    columns = ("Of", "Phase", named_number("n"), named_number("Typical"), "95 % interval")
    return Figure(
        figure_name("phases", chart), title, _longest(chart, times), _SECONDS, Axis(""), marks,
        table(title, columns, rows),
    )  # fmt: skip


def _part(chart: Chart, name: str, times: dict[tuple[str, str], Typical], place: int) -> Bars:
    labels = tuple(bar.label for bar in chart.bars)
    found = [times.get((label, name)) for label in labels]
    wholes = {
        label: sum(each.seconds for (of, _), each in times.items() if of == label)
        for label in labels
    }
    drawn = [
        each is not None and _has_mark(each, wholes[label])
        for label, each in zip(labels, found, strict=True)
    ]
    return Bars(
        name,
        labels,
        tuple(None if each is None else each.seconds for each in found),
        tuple(e.low if e and shown else None for e, shown in zip(found, drawn, strict=True)),
        tuple(e.high if e and shown else None for e, shown in zip(found, drawn, strict=True)),
        PHASES.index(name) if name in PHASES else len(PHASES) + place,
    )


def _has_mark(part: Typical, whole: float) -> bool:
    """Return whether a part's interval is drawn: the table has them all.

    That of a small part would only hide it, and one longer than the bar, as two unlike repeats
    give, would leave no room for the bars.
    """
    if part.low is None or part.high is None or part.seconds < _SMALLEST_SHARE * whole:
        return False
    return part.high - part.low <= whole


def _longest(chart: Chart, times: dict[tuple[str, str], Typical]) -> str:
    bar = chart.bars[0]
    own = {name: each.seconds for (label, name), each in times.items() if label == bar.label}
    if not own:
        return "The parts of a bar are the typical times of its phases, with their 95 % intervals."
    longest = max(own, key=lambda name: own[name])
    share = own[longest] / sum(own.values())
    return (
        f"{longest} is {share:.0%} of {bar.label}. The parts of a bar are the typical times of its "
        "phases, one after the other; the marks at their ends are 95 % intervals."
    )


def repeats_section(charts: Sequence[Chart]) -> Section:
    """Return every repeat as a dot over its box, and in order where drift was found."""
    figures = []
    for chart in charts[:MOST_CHARTS]:
        figures += [each for each in (_repeats(chart), _in_order(chart)) if each is not None]
    return Section("repeats", "Every repeat", _omitted(charts), (), tuple(figures))


def main_phase(runs: ConfigRuns) -> str:
    """Return the phase that a config is about: train, or else the longest."""
    if TRAIN in runs.phases or not runs.phases:
        return TRAIN
    names = [name for name in runs.phases if name != TOTAL] or [TOTAL]
    return max(names, key=lambda name: float(np.median(runs.phases[name].amounts)))


def _main_values(bar: Bar) -> Values | None:
    return bar.runs.phases.get(main_phase(bar.runs))


def _repeats(chart: Chart) -> Figure | None:
    values = [(bar, found) for bar in chart.bars if (found := _main_values(bar)) is not None]
    if not any(len(found.amounts) > 1 for _, found in values):
        return None
    phases = {main_phase(bar.runs) for bar, _ in values}
    phase = phases.pop() if len(phases) == 1 else "longest phase"
    boxes = [_box(bar, found) for bar, found in values]
    thinned = any(len(found.amounts) > _MOST_DOTS for _, found in values)
    says = f"A dot is one repeat's {phase}; the box holds the middle half, its line is the median."
    if thinned:
        says += f" Of more than {_MOST_DOTS} repeats, {_MOST_DOTS} evenly spaced ones are drawn."
    title = titled(f"Every repeat, {phase}", chart)
    return Figure(
        figure_name("repeats", chart), title, says, Axis(""),
        Axis(f"Seconds of {phase}", unit="seconds"), tuple(boxes),
        table(title, _REPEAT_COLUMNS, [_repeat_row(bar, found) for bar, found in values]),
    )  # fmt: skip


_REPEAT_COLUMNS = (
    "Of", named_number("n"), named_number("Median"), named_number("Fastest"),
    named_number("Slowest"), named_number("Typical"), "95 % interval",
)  # fmt: skip


def _repeat_row(bar: Bar, values: Values) -> tuple[Cell, ...]:
    amounts, found = values.amounts, typical(values.amounts)
    return (
        Cell(bar.label),
        number(len(amounts)),
        *(seconds_cell(float(f(amounts))) for f in (np.median, np.min, np.max)),
        seconds_cell(found.seconds),
        interval_cell(found),
    )


def _box(bar: Bar, values: Values) -> Boxes:
    amounts = thinned(values.amounts)
    return Boxes(bar.label, (bar.label,) * len(amounts), tuple(map(float, amounts)), bar.color)


def thinned(amounts: Array) -> Array:
    """Return as many amounts as can be drawn as dots, evenly spaced among the sorted ones.

    Their box and its ends stay where they are.
    """
    if len(amounts) <= _MOST_DOTS:
        return amounts
    places = np.linspace(0, len(amounts) - 1, _MOST_DOTS).round().astype(int)
    drawn: Array = np.sort(amounts)[places]
    return drawn


def _in_order(chart: Chart) -> Figure | None:
    """Return the repeats in the order measured, of runs that clearly drifted."""
    runs = [each for bar in chart.bars if bar.runs.drifts for each in _drifted(bar)]
    if not runs:
        return None
    marks = [
        Points(name, tuple(map(float, order)), tuple(seconds), (), "both", color)
        for name, order, seconds, color, _ in runs[:_MOST_RUNS]
    ]
    title = titled("Repeats in the order measured, where they drifted", chart)
    rows = [
        (Cell(name), number(len(order)), number(trend.ratio, f"{trend.ratio:.3f}"),
         Cell(f"{trend.low:.3f} to {trend.high:.3f}"),
         number(trend.p_value, f"{trend.p_value:.2g}"))
        for name, order, _, _, trend in runs
    ]  # fmt: skip
    columns = (
        "Run", named_number("n"), named_number("Last / first repeat"), "95 % interval",
        named_number("By chance"),
    )  # fmt: skip
    return Figure(
        figure_name("order", chart), title,
        "A rise or fall from left to right is drift: the machine changed while it measured.",
        Axis("Repeat, in the order measured"), Axis("Seconds of train", unit="seconds"),
        tuple(marks), table(title, columns, rows),
    )  # fmt: skip


Drifted = tuple[str, list[int], list[float], int, drift.Trend]
"""A run's name, its repeats in order, their seconds, its colour, and the trend."""


def _drifted(bar: Bar) -> list[Drifted]:
    values = bar.runs.phases.get(TRAIN)
    if values is None:
        return []
    found = []
    for number_of_run, run in enumerate(bar.runs.runs):
        own = values.run == number_of_run
        order, seconds = values.repeat[own].tolist(), values.amounts[own].tolist()
        trend = drift.trend(order, seconds)
        if trend is not None and trend.is_clear:
            name = bar.label if len(bar.runs.runs) == 1 else f"{bar.label}, {run.run_id}"
            found.append((name, order, seconds, bar.color, trend))
    return found
