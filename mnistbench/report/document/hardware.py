"""What the machine could do, what the training used of it, and what disturbed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnistbench.analysis.roofline import (
    TRAIN_BYTES_PER_SECOND,
    TRAIN_FLOPS_PER_SECOND,
    peaks,
)
from mnistbench.machine.evidence import RULES
from mnistbench.machine.workloads import COPY, MATRIX_PRODUCT_OF
from mnistbench.report.document.bars import MOST_CHARTS, Bar, Chart, figure_name, titled
from mnistbench.report.document.parts import (
    Axis,
    Cell,
    Column,
    Figure,
    Points,
    Section,
    named_number,
    number,
    table,
)
from mnistbench.report.values import unit_text
from mnistbench.results.rows import RateRow, Sample
from mnistbench.results.tables import PEAK, read_table

METRICS = (
    TRAIN_FLOPS_PER_SECOND,
    TRAIN_BYTES_PER_SECOND,
    *(rule.metric for rule in RULES),
)
"""What is read of metrics.csv, beside the epochs."""

_GREY = 7

Roof = tuple[str, float, float]
"""Name of a machine, its peak in FLOP/s, and its bandwidth in bytes/s."""


def roofline_section(charts: Sequence[Chart]) -> Section:
    """Return the trainings below their machine's roof, of runs with `--roofline`."""
    figures = [figure for chart in charts[:MOST_CHARTS] if (figure := _roofline(chart)) is not None]
    lines: tuple[str, ...] = ()
    if figures:
        lines = (
            "A training under the sloping part of its roof waits for memory, under the flat part "
            "for arithmetic; far below both, for neither: small steps cost their overhead.",
        )
    return Section("roofline", "How much of the machine is used", lines, (), tuple(figures))


def _roofline(chart: Chart) -> Figure | None:
    placed = [(bar, point) for bar in chart.bars if (point := _point(bar)) is not None]
    roofs = {bar.label: roof for bar, _ in placed if (roof := _roof(bar)) is not None}
    if not roofs:
        return None
    spans = [point[0] for _, point in placed]
    spans += [peak / bandwidth for _, peak, bandwidth in roofs.values()]
    ends = (min(spans) / 4, max(spans) * 4)
    marks = [
        _roof_line(roof, ends, bar.color) for bar, _ in placed if (roof := roofs.get(bar.label))
    ]
    marks += [
        Points(bar.label, (point[0],), (point[1],), (bar.label,), "dots", bar.color)
        for bar, point in placed
    ]
    title = titled("Roofline", chart)
    rows = [_roof_row(bar, point, roofs.get(bar.label)) for bar, point in placed]
    columns: tuple[Column | str, ...] = (
        "Of", named_number("Reached"), named_number("Operations a byte"), named_number("Peak"),
        named_number("Bandwidth"), named_number("Of the roof above"),
    )  # fmt: skip
    return Figure(
        figure_name("roofline", chart), title,
        "Each dot is a training; the line of its colour is the most that its machine reached.",
        Axis("Operations a byte", is_log=True), Axis("FLOP/s", is_log=True),
        tuple(marks), table(title, columns, rows),
    )  # fmt: skip


def _point(bar: Bar) -> tuple[float, float] | None:
    """Return operations a byte, and operations a second: medians over the repeats."""
    rates = [bar.runs.metrics.get(name) for name in METRICS[:2]]
    if rates[0] is None or rates[1] is None:
        return None
    flops, moved = (float(np.median(rate.amounts)) for rate in rates if rate is not None)
    return (flops / moved, flops) if flops > 0 and moved > 0 else None


def _roof(bar: Bar) -> Roof | None:
    """Return the peak of a bar's machine; None without `--roofline`."""
    folders = [run.folder for run in bar.runs.runs if run.folder is not None]
    precision = next(iter(bar.runs.identity.parts["numerics"].get("precision", ())), "float32")
    product = MATRIX_PRODUCT_OF.get(precision)
    for folder in folders:
        found = peaks(_moments(folder))
        if product is not None and product.name in found and COPY.name in found:
            return bar.label, found[product.name].rate, found[COPY.name].rate
    return None


def _moments(folder: Path) -> list[list[Sample]]:
    moments: dict[str, list[Sample]] = {}
    for row in read_table(folder, PEAK, RateRow):
        sample = Sample(row.workload, row.size, row.seconds, row.rate, row.unit)
        moments.setdefault(row.moment, []).append(sample)
    return list(moments.values())


def _roof_line(roof: Roof, ends: tuple[float, float], color: int) -> Points:
    name, peak, bandwidth = roof
    x = tuple(sorted({ends[0], peak / bandwidth, ends[1]}))
    y = tuple(min(peak, bandwidth * each) for each in x)
    return Points(f"{name}, at most", x, y, (), "line", color)


def _roof_row(bar: Bar, point: tuple[float, float], roof: Roof | None) -> tuple[Cell, ...]:
    intensity, rate = point
    cells = (
        Cell(bar.label),
        number(rate, unit_text(rate, "FLOP/s")),
        number(intensity, f"{intensity:.3g}"),
    )
    if roof is None:
        return (*cells, Cell(""), Cell(""), Cell(""))
    _, peak, bandwidth = roof
    share = rate / min(peak, bandwidth * intensity)
    return (
        *cells,
        number(peak, unit_text(peak, "FLOP/s")),
        number(bandwidth, unit_text(bandwidth, "bytes/s")),
        number(share, f"{share:.1%}"),
    )


def contention_section(charts: Sequence[Chart]) -> Section:
    """Return what else the machines did meanwhile, by the evidence beside every repeat."""
    bars = [bar for chart in charts for bar in chart.bars]
    rows = [row for bar in bars if (row := _contention_row(bar)) is not None]
    if not rows:
        return Section("contention", "What disturbed it")
    contended = sum(bar.runs.contended for bar in bars)
    line = (
        f"{contended} repeats were contended: something else on the machine disturbed them."
        if contended
        else "No repeat was contended, as far as the evidence beside it tells."
    )
    columns: tuple[Column | str, ...] = (
        "Of", "Config", named_number("Contended"),
        *(named_number(f"{_WORDS[rule.metric]}, at most") for rule in RULES),
    )  # fmt: skip
    tables = (table("Evidence of contention", columns, rows),)
    notes = tuple(
        f"{_WORDS[rule.metric]}: from {rule.limit:.0%} on a repeat counts as contended."
        for rule in RULES
    )
    figures = [figure for chart in charts[:MOST_CHARTS] if (figure := _shares(chart)) is not None]
    return Section("contention", "What disturbed it", (line,), tables, tuple(figures), notes)


_WORDS = {
    "other_cpu_share": "CPU time used by others",
    "steal_share": "CPU time kept by the host",
    "cpu_throttled_share": "CPU time withheld by a quota",
    "pressure_memory_some_share": "Time waiting for memory",
}


def _contention_row(bar: Bar) -> tuple[Cell, ...] | None:
    shares = [bar.runs.metrics.get(rule.metric) for rule in RULES]
    if not any(share is not None for share in shares) and not bar.runs.contended:
        return None
    worst = [None if share is None else float(share.amounts.max()) for share in shares]
    contended = bar.runs.contended
    text = f"{contended} of {bar.runs.repeats}" if contended else "0"
    return (
        Cell(bar.label),
        Cell(bar.runs.name),
        number(contended, text),
        *(
            Cell("" if share is None else f"{share:.1%}", share,
                 marked=share is not None and share >= rule.limit)
            for share, rule in zip(worst, RULES, strict=True)
        ),
    )  # fmt: skip


def _shares(chart: Chart) -> Figure | None:
    """Return the CPU time of others repeat by repeat, where a repeat was contended."""
    rule = RULES[0]
    known = [
        (bar, bar.runs.metrics[rule.metric])
        for bar in chart.bars
        if rule.metric in bar.runs.metrics and bar.runs.contended
    ]
    if not known:
        return None
    marks = [
        Points(bar.label, tuple(map(float, range(1, len(values.amounts) + 1))),
               tuple(map(float, values.amounts)), (), "dots", bar.color)
        for bar, values in known
    ]  # fmt: skip
    longest = max(len(values.amounts) for _, values in known)
    marks.append(
        Points(
            "counts as contended", (1.0, float(max(2, longest))), (rule.limit,) * 2, (), "dashes",
            _GREY, is_faint=True,
        )
    )  # fmt: skip
    title = titled("CPU time used by others, repeat by repeat", chart)
    rows = [
        (Cell(bar.label), number(place), number(float(value), f"{value:.1%}"))
        for bar, values in known
        for place, value in enumerate(values.amounts, start=1)
    ]
    return Figure(
        figure_name("contention", chart), title,
        "Dots above the dashed line are repeats that something else disturbed.",
        Axis("Repeat"), Axis(_WORDS[rule.metric], unit="share", from_zero=True),
        tuple(marks), table(title, ("Of", named_number("Repeat"), named_number("Share")), rows),
    )  # fmt: skip
