"""A figure of boxes in a terminal, drawn by plotext: dots, and below them their box and median."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from mnistbench.errors import in_line
from mnistbench.report.document.parts import Axis, Boxes, Figure
from mnistbench.report.short_names import ShortNames

_NARROWEST = 30
"""Of a drawing, in columns: where there are fewer, the numbers stand alone."""
_WIDEST = 200
_LONGEST_NAME = 28
_LINES_OF_A_BOX = 3
"""Dots, the box, and a space."""
_HEAD = 5
"""Lines for the title, the frame, the numbers of the axis and its name."""
_COLORS = ("blue+", "orange", "green+", "magenta+", "cyan+", "red+")
_ASCII = str.maketrans("─│┌┐└┘├┤┬┴┼┃•…", "-|+++++++++|o.")


def print_plot(console: Console, figure: Figure) -> None:
    """Print a figure of boxes as wide as the terminal, and its numbers below it.

    Where standard output is no terminal, COLUMNS says how wide.
    """
    width = min(_columns(console), _WIDEST)
    if width >= _NARROWEST:
        console.print(Text.from_ansi(_fit(_drawing(figure, width))), soft_wrap=True)
    for of, n, median, least, most in figure.table.rows:
        values = f"median {median.text}, {least.text} to {most.text}, n = {n.text}"
        line = values if n.text != "1" else f"{median.text}, n = 1"
        console.print(f"{in_line(of.text)}: {line}", highlight=False, soft_wrap=True)


def _columns(console: Console) -> int:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and not console.is_terminal else console.width


def _fit(drawing: str) -> str:
    """Return a drawing in the letters that standard output has."""
    try:
        drawing.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return drawing.translate(_ASCII)
    return drawing


def _drawing(figure: Figure, width: int) -> str:
    import plotext

    boxes = [mark for mark in figure.marks if isinstance(mark, Boxes)]
    lines = _LINES_OF_A_BOX * len(boxes)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.limit_size(False, False)
    plotext.plot_size(width, lines + _HEAD)
    for place, box in enumerate(boxes):
        _draw(plotext, box, lines - _LINES_OF_A_BOX * place)
    names = ShortNames(min(_LONGEST_NAME, width // 3))
    heights = [lines - _LINES_OF_A_BOX * place - 1 for place in range(len(boxes))]
    plotext.yticks(heights, [names[in_line(box.name)] for box in boxes])
    plotext.ylim(1, lines)
    low, high = _ends(boxes)
    plotext.xlim(low, high)
    _name_values(plotext, figure.y, _round_places(low, high, max(2, min(7, width // 14))))
    plotext.title(figure.title)
    drawing: str = plotext.build()
    return drawing.rstrip("\n")


def _draw(plotext: Any, box: Boxes, top: int) -> None:
    """Draw the repeats in the line `top`, and from quarter to quarter their box below it."""
    low, middle, high = map(float, np.quantile(box.values, (0.25, 0.5, 0.75)))
    color = _COLORS[box.color % len(_COLORS)]
    plotext.plot([low, high], [top - 1, top - 1], marker="─", color=color)
    plotext.scatter([middle], [top - 1], marker="┃", color=color)
    plotext.scatter(box.values, [top] * len(box.values), marker="•", color=color)


def _ends(boxes: Sequence[Boxes]) -> tuple[float, float]:
    """Return the ends of the axis: a little beyond all values, of equal ones too."""
    values = [value for box in boxes for value in box.values]
    low, high = min(values), max(values)
    aside = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return low - aside, high + aside


def _round_places(low: float, high: float, most: int) -> list[float]:
    """Return round numbers between two, at most so many."""
    rough = (high - low) / most
    tens = 10.0 ** math.floor(math.log10(rough))
    step = tens * next(each for each in (1, 2, 2.5, 5, 10) if tens * each >= rough)
    return [step * place for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _name_values(plotext: Any, axis: Axis, places: Sequence[float]) -> None:
    """Write the numbers below the axis, and its title."""
    if axis.unit == "share":
        texts = [f"{100 * place:.6g} %" for place in places]
    else:
        texts = [f"{place:.6g}" for place in places]
    plotext.xticks(list(places), texts)
    plotext.xlabel(axis.title)
