"""Metrics of a comparison as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.judging import MetricComparison
from mnistbench.report.values import (
    SLOWER_FASTER,
    change_text,
    interval_text,
    seconds_text,
    unit_text,
)
from mnistbench.results.metrics import BYTES, SECONDS, MetricKind

_FIGURES = 4
"""So many, so that two of them show their ratio."""


def row_of(metric: MetricComparison) -> tuple[str, str, str, str]:
    """Return what the typical values are, what NEW is, and the interval."""
    base, new = (
        value_text(value, metric.kind) for value in (metric.base_typical, metric.new_typical)
    )
    return base, new, _change(metric), _interval(metric)


def value_text(value: float | None, kind: MetricKind) -> str:
    """Return a value of a metric with its unit; empty for the unknown."""
    if value is None:
        return ""
    if kind.scale == "points":
        return f"{value:.2%}".replace("%", " %")
    if kind.unit == SECONDS:
        return seconds_text(value)
    if kind.unit.startswith("samples"):
        return f"{value:,.0f} {kind.unit}"
    if has_prefix(kind):
        return unit_text(value, kind.unit, _FIGURES)
    return f"{value:.6g}"


def has_prefix(kind: MetricKind) -> bool:
    """Return whether large values of a metric are told in thousands or millions of its unit."""
    return kind.unit in (BYTES, "J", "Hz", "W") or kind.unit.endswith("/s")


def _change(metric: MetricComparison) -> str:
    if metric.kind.scale == "points":
        return _points(metric.change)
    return change_text(metric.change, _words(metric.kind))


def _interval(metric: MetricComparison) -> str:
    low, high = metric.low, metric.high
    if metric.kind.scale == "points" and low is not None and high is not None:
        return f"{_points(low)} to {_points(high)}"
    return interval_text(low, high, _words(metric.kind))


def _words(kind: MetricKind) -> tuple[str, str]:
    """Return what more of it is called, and less."""
    if kind.is_pace and kind.better != "neither":
        return SLOWER_FASTER if kind.better == "less" else ("faster", "slower")
    return ("more", "less")


def _points(difference: float | None) -> str:
    if difference is None:
        return ""
    text = f"{100 * difference:+.2f}"
    return "unchanged" if float(text) == 0 else f"{text} points"


def has_points(metrics: Sequence[MetricComparison]) -> bool:
    """Return whether any of them is told in points."""
    return any(metric.kind.scale == "points" for metric in metrics)
