"""Metrics of a comparison as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.judging import MetricComparison
from mnistbench.report.values import change_text, interval_text, seconds_text
from mnistbench.results.metrics import BYTES, SECONDS

_THOUSAND = 1000.0
_PREFIXES = ("", "k", "M", "G", "T", "P")


def row_of(metric: MetricComparison) -> tuple[str, str, str, str]:
    """Return what the typical values are, what NEW is, and the interval."""
    values = [_value_text(value, metric) for value in (metric.base_typical, metric.new_typical)]
    return (values[0], values[1], _change(metric), _interval(metric))


def _value_text(value: float | None, metric: MetricComparison) -> str:
    if value is None:
        return ""
    if metric.scale == "points":
        return f"{value:.2%}".replace("%", " %")
    if metric.unit == SECONDS:
        return seconds_text(value)
    if metric.unit in (BYTES, "J", "Hz", "W") or metric.unit.endswith("/s"):
        return _with_prefix(value, metric.unit)
    return f"{value:.6g}"


def _with_prefix(value: float, unit: str) -> str:
    """Return four figures with the unit's prefix of thousands, as in `412.3 Mbytes`."""
    place = 0
    while value >= _THOUSAND and place < len(_PREFIXES) - 1:
        value, place = value / _THOUSAND, place + 1
    short = "B" + unit.removeprefix(BYTES) if unit.startswith(BYTES) else unit
    return f"{value:.4g} {_PREFIXES[place]}{short}"


def _change(metric: MetricComparison) -> str:
    if metric.scale == "points":
        return _points(metric.change)
    words = _words(metric)
    if metric.change is not None and words == ("faster", "slower"):  # a rate: less is slower
        return change_text(1 / metric.change)
    return change_text(metric.change, words)


def _interval(metric: MetricComparison) -> str:
    low, high = metric.low, metric.high
    if low is None or high is None:
        return "unknown"
    if metric.scale == "points":
        return f"{_points(low)} to {_points(high)}"
    words = _words(metric)
    if words == ("faster", "slower"):
        return interval_text(1 / high, 1 / low)
    return interval_text(low, high, words)


def _words(metric: MetricComparison) -> tuple[str, str]:
    """Return what more of it is called, and less."""
    if metric.kind.is_pace and metric.better != "neither":
        return ("slower", "faster") if metric.better == "less" else ("faster", "slower")
    return ("more", "less")


def _points(difference: float | None) -> str:
    if difference is None:
        return ""
    text = f"{100 * difference:+.2f}"
    return "unchanged" if float(text) == 0 else f"{text} points"


def has_points(metrics: Sequence[MetricComparison]) -> bool:
    """Return whether any of them is told in points."""
    return any(metric.scale == "points" for metric in metrics)
