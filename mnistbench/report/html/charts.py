"""Figures as Plotly draws them: plain data, in which colours are numbers that the page fills in.

Plotly's Python package would build the same dictionaries; the page needs its JavaScript alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mnistbench.report.document.parts import Axis, Bars, Boxes, Cells, Figure, Points
from mnistbench.report.short_names import ShortNames
from mnistbench.report.values import seconds_text

_BAR_PIXELS = 46


def chart(figure: Figure) -> dict[str, Any]:
    """Return a figure as the page's script gives it to Plotly."""
    names = _Names()
    data = [_TRACES[type(mark)](mark, names) for mark in figure.marks]
    bars = next((mark for mark in figure.marks if isinstance(mark, Bars)), None)
    layout: dict[str, Any] = {
        "xaxis": _axis(figure.x),
        "yaxis": _axis(figure.y),
        "showlegend": len(data) > 1,
    }
    if bars is not None:
        layout["barmode"] = "stack"
        layout["height"] = 190 + _BAR_PIXELS * len(bars.labels)
        layout["yaxis"] |= {"automargin": True, "autorange": "reversed", "type": "category"}
        layout["hovermode"] = "closest"
    if any(isinstance(mark, Boxes) for mark in figure.marks):
        layout["showlegend"] = False
        layout["xaxis"] |= {"type": "category", "automargin": True}
    if any(isinstance(mark, Cells) for mark in figure.marks):
        layout["xaxis"] |= {"type": "category"}
        layout["yaxis"] |= {"type": "category", "automargin": True}
    if figure.ticks:
        layout |= _side_by_side(figure)
    return {"name": figure.name, "data": data, "layout": layout}


def _side_by_side(figure: Figure) -> dict[str, Any]:
    """Return the layout of lines across several axes, each with its ends in the table."""
    places = list(range(len(figure.ticks)))
    return {
        "showlegend": False,
        "hovermode": "closest",
        "xaxis": {"tickvals": places, "ticktext": list(map(_plain, figure.ticks)),
                  "automargin": True, "showgrid": True, "ticklabeloverflow": "allow",
                  "range": [-0.2, len(places) - 0.8]},
        "yaxis": {"tickvals": [0, 1], "ticktext": ["least", "most"], "automargin": True},
    }  # fmt: skip


def _axis(axis: Axis) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": {"text": _plain(axis.title)},
        "automargin": True,
        "exponentformat": "SI",
    }
    if axis.is_log:
        found["type"] = "log"
    if axis.unit == "share":
        found["tickformat"] = ".1~%"
    if axis.from_zero:
        found["rangemode"] = "tozero"
    return found


class _Names(ShortNames):
    """The names in a figure as they fit its margins, and as Plotly makes no tag of them."""

    def __missing__(self, name: str) -> str:
        self[name] = _plain(super().__missing__(name))
        return self[name]


def _bars(mark: Bars, names: _Names) -> dict[str, Any]:
    ends = zip(mark.values, mark.lows, mark.highs, strict=True)
    above, below, texts = list[float](), list[float](), list[str]()
    for value, low, high in ends:
        known = value is not None and low is not None and high is not None
        above.append(high - value if known and high is not None and value is not None else 0.0)
        below.append(value - low if known and low is not None and value is not None else 0.0)
        interval = f" ({seconds_text(low)} to {seconds_text(high)})" if known else ""
        texts.append(f"{_plain(mark.name)}: {seconds_text(value)}{interval}")
    return {
        "type": "bar", "orientation": "h", "name": names[mark.name],
        "x": list(mark.values), "y": [names[label] for label in mark.labels],
        "hovertext": texts, "hovertemplate": "%{y}<br>%{hovertext}<extra></extra>",
        "marker": {"color": f"@{mark.color}", "line": {"width": 1, "color": "@paper"}},
        "error_x": {"type": "data", "array": above, "arrayminus": below, "symmetric": False,
                    "color": "@ink", "thickness": 1.5, "width": 5, "visible": any(above)},
    }  # fmt: skip


def _boxes(mark: Boxes, names: _Names) -> dict[str, Any]:
    return {
        "type": "box", "name": names[mark.name], "x": [names[label] for label in mark.labels],
        "y": list(mark.values), "boxpoints": "all", "jitter": 0.5, "pointpos": 0,
        "marker": {"color": f"@{mark.color}", "size": 5, "opacity": 0.65},
        "line": {"color": f"@{mark.color}", "width": 1.5}, "fillcolor": "@veil",
        "hoveron": "points+boxes",
    }  # fmt: skip


_MODES = {"dots": "markers", "line": "lines", "both": "lines+markers", "dashes": "lines"}


def _points(mark: Points, names: _Names) -> dict[str, Any]:
    color = f"@{mark.color}"
    found: dict[str, Any] = {
        "type": "scatter", "mode": _MODES[mark.style], "name": names[mark.name],
        "x": list(mark.x), "y": list(mark.y), "opacity": 0.35 if mark.is_faint else 1,
        "line": {"color": color, "width": 2, "dash": "dash" if mark.style == "dashes" else "solid"},
        "marker": {"color": color, "size": 7},
    }  # fmt: skip
    if mark.texts:
        found["hovertext"] = list(map(_plain, mark.texts))
        found["hovertemplate"] = "%{hovertext}<br>%{x}, %{y}<extra></extra>"
    return found


def _cells(mark: Cells, names: _Names) -> dict[str, Any]:
    return {
        "type": "heatmap", "name": names[mark.name], "x": [names[each] for each in mark.x],
        "y": [names[each] for each in mark.y], "z": [list(row) for row in mark.values],
        "colorscale": "Viridis", "hoverongaps": False,
        "texttemplate": "%{z:.4g}" if len(mark.x) * len(mark.y) <= 120 else "",
        "hovertemplate": "%{x}, %{y}: %{z:.4~g}<extra></extra>",
    }  # fmt: skip


_TRACES: Mapping[type, Callable[[Any, _Names], dict[str, Any]]] = {
    Bars: _bars, Boxes: _boxes, Points: _points, Cells: _cells,
}  # fmt: skip


def _plain(text: str) -> str:
    """Return text of which Plotly, that reads some tags of HTML in its labels, makes no tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
