"""Figures of a report as files for a paper: PNG or SVG, by matplotlib, which comes with us."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from mnistbench.report.document.parts import Bars, Boxes, Cells, Document, Figure, Points
from mnistbench.results.pictures import save

_COLORS = (
    "#1f6fb4", "#c75b00", "#2a8a4a", "#a23b8f", "#8a6d1f", "#0e8a9a", "#b8322c", "#5b6470",
    "#6a51c2", "#7a5230",
)  # fmt: skip
_WIDTH, _HEIGHT, _BAR_HEIGHT = 8.0, 4.6, 0.55
_STYLES = {
    "dots": ("o", "none"),
    "line": ("none", "-"),
    "both": ("o", "-"),
    "dashes": ("none", "--"),
}
_MOST_IN_LEGEND = 14
_MOST_LETTERS = 70
"""Of the names side by side below boxes."""
_BOX_WIDTH = 0.4


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as its path ends, .png, .svg or .pdf; raise OutputError if it cannot be."""
    save(canvas_of(figure), path)


def write_pngs(document: Document, folder: Path) -> None:
    """Write each figure of a report as `NAME.png`; raise OutputError if one cannot be."""
    _write_each(document, folder, "png")


def write_svgs(document: Document, folder: Path) -> None:
    """Write each figure of a report as `NAME.svg`; raise OutputError if one cannot be."""
    _write_each(document, folder, "svg")


def _write_each(document: Document, folder: Path, ending: str) -> None:
    for figure in document.figures:
        write_figure(figure, folder / f"{figure.name}.{ending}")


def canvas_of(figure: Figure) -> Canvas:
    """Return a figure as matplotlib draws it."""
    bars = [mark for mark in figure.marks if isinstance(mark, Bars)]
    boxes = [mark for mark in figure.marks if isinstance(mark, Boxes)]
    width = max(_WIDTH, _BOX_WIDTH * len(boxes))
    height = 2.2 + _BAR_HEIGHT * len(bars[0].labels) if bars else _HEIGHT
    canvas = Canvas(figsize=(width, height), layout="constrained")
    axes = canvas.add_subplot()
    _draw_bars(axes, bars)
    _draw_boxes(axes, boxes)
    for mark in figure.marks:
        if isinstance(mark, Points):
            _draw_points(axes, mark)
        elif isinstance(mark, Cells):
            _draw_cells(canvas, axes, mark)
    _dress(axes, figure)
    return canvas


def _dress(axes: Axes, figure: Figure) -> None:
    axes.set_title(_literal(figure.title), fontsize=12, loc="left")
    axes.set_xlabel(_literal(figure.x.title))
    axes.set_ylabel(_literal(figure.y.title))
    for axis, set_scale, shown in (
        (figure.x, axes.set_xscale, axes.xaxis),
        (figure.y, axes.set_yscale, axes.yaxis),
    ):
        if axis.is_log:
            set_scale("log")
        if axis.unit == "share":
            shown.set_major_formatter(PercentFormatter(1.0))
    if figure.ticks:
        axes.set_xticks(range(len(figure.ticks)), [*map(_literal, figure.ticks)], rotation=20)
        axes.set_yticks([0, 1], ["least", "most"])
    axes.spines[["top", "right"]].set_visible(False)
    named = sum(isinstance(mark, Bars | Points) for mark in figure.marks)
    if 1 < named <= _MOST_IN_LEGEND:
        axes.legend(frameon=False, fontsize=8)


def _draw_bars(axes: Axes, marks: Sequence[Bars]) -> None:
    if not marks:
        return
    places = np.arange(len(marks[0].labels))
    lefts = np.zeros(len(places))
    for mark in marks:
        values = np.array([value or 0.0 for value in mark.values])
        axes.barh(places, values, 0.6, lefts, color=_color(mark.color), label=_literal(mark.name))
        lefts += values
        for place, ends in enumerate(zip(mark.values, mark.lows, mark.highs, strict=True)):
            value, low, high = ends
            if value is not None and low is not None and high is not None:
                errors = [[value - low], [high - value]]
                axes.errorbar(lefts[place], place, xerr=errors, color="black", capsize=3, lw=1)
    axes.set_yticks(places, [*map(_literal, marks[0].labels)])
    axes.invert_yaxis()


def _draw_boxes(axes: Axes, marks: Sequence[Boxes]) -> None:
    if not marks:
        return
    aside = np.random.default_rng(0)
    for place, mark in enumerate(marks):
        axes.boxplot([mark.values], positions=[place], widths=0.5, showfliers=False)
        spread = place + aside.uniform(-0.15, 0.15, len(mark.values))
        axes.scatter(spread, mark.values, s=12, alpha=0.6, color=_color(mark.color))
    names = [_literal(mark.name) for mark in marks]
    is_full = sum(map(len, names)) > _MOST_LETTERS
    turned: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(marks)), names, **(turned if is_full else {}))


def _draw_points(axes: Axes, mark: Points) -> None:
    symbol, line = _STYLES[mark.style]
    axes.plot(
        mark.x, [np.nan if value is None else value for value in mark.y], marker=symbol,
        linestyle=line, color=_color(mark.color), alpha=0.3 if mark.is_faint else 1.0,
        label=_literal(mark.name), markersize=4, linewidth=1.4,
    )  # fmt: skip


def _draw_cells(canvas: Canvas, axes: Axes, mark: Cells) -> None:
    rows = [[np.nan if value is None else value for value in row] for row in mark.values]
    image = axes.imshow(np.array(rows), origin="lower", aspect="auto", cmap="viridis")
    axes.set_xticks(range(len(mark.x)), [*map(_literal, mark.x)])
    axes.set_yticks(range(len(mark.y)), [*map(_literal, mark.y)])
    canvas.colorbar(image, ax=axes, label=_literal(mark.name))


def _color(place: int) -> str:
    return _COLORS[place % len(_COLORS)]


def _literal(text: str) -> str:
    """Return text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")
