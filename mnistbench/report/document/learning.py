"""What was learnt: test accuracies, and accuracy and loss epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnistbench.report.document.bars import MOST_CHARTS, Bar, Chart, figure_name, titled
from mnistbench.report.document.parts import (
    Axis,
    Cell,
    Column,
    Figure,
    Points,
    Section,
    Style,
    Table,
    named_number,
    number,
    table,
)
from mnistbench.results.curves import (
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VALIDATION_ACCURACY,
    VALIDATION_LOSS,
    EpochFigure,
    load_curves,
)

_KINDS = (
    ("accuracy", "Accuracy", (TRAIN_ACCURACY, VALIDATION_ACCURACY)),
    ("loss", "Loss", (TRAIN_LOSS, VALIDATION_LOSS)),
)
_STYLES: tuple[Style, Style] = ("both", "dashes")
_MOST_EPOCHS = 400
"""Of a line; of more, evenly spaced ones are drawn."""


def learning_section(charts: Sequence[Chart]) -> Section:
    """Return the accuracies on the test set, and the curves of those runs that have them."""
    bars = [bar for chart in charts for bar in chart.bars]
    figures = [figure for chart in charts[:MOST_CHARTS] for figure in _curves(chart)]
    tables = _accuracies(bars)
    return Section("learning", "What was learnt", (), tables, tuple(figures))


def _accuracies(bars: Sequence[Bar]) -> tuple[Table, ...]:
    rows = [
        (Cell(bar.label), Cell(bar.runs.name), number(len(bar.runs.accuracies)),
         *(_percent_cell(float(f(bar.runs.accuracies))) for f in (np.median, np.min, np.max)))
        for bar in bars if len(bar.runs.accuracies)
    ]  # fmt: skip
    columns: tuple[Column | str, ...] = (
        "Of",
        "Config",
        named_number("n"),
        *map(named_number, ("Median", "Lowest", "Highest")),
    )
    return (table("Test accuracy", columns, rows),) if rows else ()


def _percent_cell(share: float) -> Cell:
    return number(share, f"{100 * share:.2f} %")


def _curves(chart: Chart) -> list[Figure]:
    curves = [
        (bar, load_curves([run.folder for run in bar.runs.runs if run.folder is not None]))
        for bar in chart.bars
    ]
    return [
        figure
        for kind, title, figures in _KINDS
        if (figure := _figure(chart, curves, kind, title, figures)) is not None
    ]


def _figure(
    chart: Chart,
    curves: Sequence[tuple[Bar, list[EpochFigure]]],
    kind: str,
    title: str,
    figures: tuple[str, str],
) -> Figure | None:
    marks, rows = list[Points](), list[tuple[Cell, ...]]()
    for color, (bar, points) in zip(_colors(chart), curves, strict=True):
        for figure, style in zip(figures, _STYLES, strict=True):
            own = [point for point in points if point.figure == figure]
            if own:
                where = figure.partition("_")[0]
                marks.append(_line(f"{bar.label}, {where}", own, style, color))
                rows += [_row(bar.label, where, point, kind) for point in own]
    if not any(len(mark.x) > 1 for mark in marks):
        return None
    name = titled(f"{title} by epoch", chart)
    columns: tuple[Column | str, ...] = (
        "Of", "On", named_number("Epoch"), named_number("n"),
        *map(named_number, ("Median", "Lowest", "Highest")),
    )  # fmt: skip
    return Figure(
        figure_name(kind, chart), name,
        f"{title} after each epoch, the median over the repeats; validation is dashed.",
        Axis("Epoch"), Axis(title, unit="share" if kind == "accuracy" else ""),
        tuple(marks), table(name, columns, rows),
    )  # fmt: skip


def _colors(chart: Chart) -> list[int]:
    """Return the color of each bar's lines: of its side, or its own where a side has several."""
    colors = [bar.color for bar in chart.bars]
    return colors if len({*colors}) == len(colors) else [*range(len(colors))]


def _line(name: str, points: Sequence[EpochFigure], style: Style, color: int) -> Points:
    step = max(1, -(-len(points) // _MOST_EPOCHS))
    shown = points[::step]
    return Points(
        name,
        tuple(float(point.epoch) for point in shown),
        tuple(point.median for point in shown),
        (),
        style,
        color,
    )


def _row(label: str, where: str, point: EpochFigure, kind: str) -> tuple[Cell, ...]:
    amounts = (point.median, point.low, point.high)
    cells = [
        _percent_cell(value) if kind == "accuracy" else number(value, f"{value:.4g}")
        for value in amounts
    ]
    return (Cell(label), Cell(where), number(point.epoch), number(point.n), *cells)
