"""Is NEW slower than BASE? Ratios of times, their intervals, and verdicts: arrays in, arrays out.

Times are compared as logarithms, so that a ratio is a difference, and along the last axis, so
that a simulation judges thousands of comparisons by the code that judges one. The constants are
set by `benchmarks/verdicts.py`, which measures the error rates of exactly these functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[Any]
Verdict = Literal["faster", "slower", "same", "inconclusive"]

FASTER: Verdict = "faster"
SLOWER: Verdict = "slower"
SAME: Verdict = "same"
INCONCLUSIVE: Verdict = "inconclusive"

_TUNING = 2.0  # Huber's: a repeat further out than so many spreads counts no further
_SMALLEST_SPREAD = 0.2  # of the standard deviation: the MAD of a few repeats can be 0 by chance
_MAD_OF_NORMAL = 0.6744897501960817
_SMALL_SAMPLE = 0.8  # widens by 1 + this / n, so that normal noise is covered at every n
_ITERATIONS = 20
_DRIFT_VARIANCE = 0.15
"""Drift between two neighbouring blocks of repeats, as a share of the variance within one.

Fitted to 60 repeats of one config on a shared 2-core machine: 27 % of its neighbouring blocks of
10 differed by Welch's test at 5 %. No single pair of blocks can tell it from a change.
"""
_LARGEST_AUTOCORRELATION = 0.8


@dataclass(frozen=True)
class Interval:
    """Ratios of times NEW / BASE with their intervals; arrays of one shape, or numbers."""

    ratio: Array
    """Of a typical time: its seconds."""
    low: Array
    """0 where the repeats are too few, or too equal, to say anything."""
    high: Array
    """Infinite where `low` is 0."""


@dataclass(frozen=True)
class _Location:
    centre: Array
    error: Array
    """Standard error of the centre."""
    weight: Array
    """Each repeat's say in the centre, which is their weighted mean."""
    influence: Array
    """Each repeat's deviation in spreads, clipped, in the given order."""


def paired_ratio(base: Array, new: Array, confidence: float, removed: int = 0) -> Interval:
    """Return NEW / BASE from times measured side by side: `base[..., i]` with `new[..., i]`.

    Huber's M-estimate over the log ratios of the pairs, with Student's t: as narrow as a paired
    t on quiet pairs, and two to three times narrower where one repeat in ten takes twice as long.
    `removed` effects were estimated from these pairs and taken out of them before.
    """
    changes = np.log(new) - np.log(base)
    n = changes.shape[-1]
    if n < 2 + removed:
        return _unknown(changes.mean(axis=-1) if n else np.full(changes.shape[:-1], np.nan))
    found = _location(changes)
    freedom = n - 1 - removed
    error = found.error * np.sqrt((n - 1) / freedom)
    width = _quantile(confidence, freedom) * (1 + _SMALL_SAMPLE / n) * error
    return _interval(found.centre, width)


def unpaired_ratio(
    base: Array, new: Array, confidence: float, *, one_machine: bool = True
) -> Interval:
    """Return NEW / BASE from times of two separate runs, each in the order measured.

    Welch's t over Huber's M-estimates of the log times. On one machine the interval is widened by
    the autocorrelation of the repeats and by the drift to expect between two blocks of repeats;
    `one_machine=False` is for values that do not follow one another, as one of each machine.
    """
    sizes = base.shape[-1], new.shape[-1]
    if min(sizes) < 2:
        known = min(sizes) == 1
        change = np.log(new).mean(axis=-1) - np.log(base).mean(axis=-1) if known else np.nan
        return _unknown(np.asarray(change))
    before, after = _location(np.log(base)), _location(np.log(new))
    squares = [before.error**2, after.error**2]
    total = squares[0] + squares[1]
    freedom = _freedom(squares, sizes)
    if one_machine:
        repeats = _inflation(before.influence, after.influence)
        total = sum(
            square * (repeats + _DRIFT_VARIANCE * n)
            for square, n in zip(squares, sizes, strict=True)
        )
    small = 1 + _SMALL_SAMPLE / (sum(sizes) - 1)
    width = _quantile(confidence, freedom) * small * np.sqrt(total)
    return _interval(after.centre - before.centre, width)


def typical_time(seconds: Array, confidence: float) -> Interval:
    """Return the typical time of repeats in the order measured, as they were in this session.

    Huber's M-estimate over the log times with Student's t, widened by the autocorrelation of the
    repeats. Another session of the same machine may differ by more, by the drift between them.
    """
    n = seconds.shape[-1]
    if n < 2:
        return _unknown(np.log(seconds).mean(axis=-1) if n else np.full(seconds.shape[:-1], np.nan))
    found = _location(np.log(seconds))
    inflation = np.sqrt(_inflation(found.influence))
    width = _quantile(confidence, n - 1) * (1 + _SMALL_SAMPLE / n) * inflation * found.error
    return _interval(found.centre, width)


def typical_times(base: Array, new: Array, *, paired: bool) -> tuple[Array, Array]:
    """Return the two times, in seconds, that `paired_ratio` or `unpaired_ratio` are the ratio of.

    Means of the logarithms, in which a far-out pair, or a far-out repeat, weighs less.
    """
    logs = np.log(base), np.log(new)
    if min(side.shape[-1] for side in logs) < 2:
        weights = [np.ones_like(side) for side in logs]
    elif paired:
        weights = [_location(logs[1] - logs[0]).weight] * 2
    else:
        weights = [_location(side).weight for side in logs]
    first, second = (
        np.exp((weight * side).sum(axis=-1) / weight.sum(axis=-1))
        for weight, side in zip(weights, logs, strict=True)
    )
    return first, second


def after_looking(confidence: float) -> float:
    """Return the confidence to compute with where repeats went on until an interval was narrow.

    Such an interval looks narrow partly by chance. To halve what may go wrong is enough: see the
    simulation in `benchmarks/target_ci.py`.
    """
    return 1 - (1 - confidence) / 2


def step_down(
    count: int, confidence: float, interval_of: Callable[[int, float], Interval]
) -> list[tuple[Interval, float]]:
    """Return an interval and its confidence for each of several phases, by Holm's steps.

    `interval_of(number, confidence)` gives that of one phase. All begin with an equal share of
    what may go wrong. Those found different keep their interval, and the others share it anew:
    a false alarm anywhere stays as rare as with a single phase, and every interval reads as its
    verdict says, which one correction for all or p-values beside plain intervals would not give.
    """
    found: dict[int, tuple[Interval, float]] = {}
    left = list(range(count))
    while left:
        each = 1 - (1 - confidence) / len(left)
        found |= {number: (interval_of(number, each), each) for number in left}
        still = [n for n in left if found[n][0].low <= 1 <= found[n][0].high]
        if len(still) == len(left):
            break
        left = still
    return [found[number] for number in range(count)]


def verdicts(interval: Interval, margin: float) -> npt.NDArray[np.str_]:
    """Return the verdict of each interval against a margin, 0.05 for 5 %.

    Same: the whole interval lies inside the margin. Faster or slower: the interval excludes "no
    change", and the ratio lies outside the margin. Anything else is inconclusive. (To ask that
    the whole interval be outside the margin would miss most true changes of twice the margin.)
    """
    inside = (interval.low > 1 / (1 + margin)) & (interval.high < 1 + margin)
    slower = (interval.low > 1) & (interval.ratio > 1 + margin)
    faster = (interval.high < 1) & (interval.ratio < 1 / (1 + margin))
    return np.select([inside, slower, faster], [SAME, SLOWER, FASTER], INCONCLUSIVE)


def verdict(interval: Interval, margin: float) -> Verdict:
    """Return the verdict of one interval; see `verdicts`."""
    found = str(verdicts(interval, margin))
    return next(known for known in (FASTER, SLOWER, SAME, INCONCLUSIVE) if known == found)


def _location(values: Array) -> _Location:
    """Return Huber's M-estimate of location along the last axis, by reweighting."""
    n = values.shape[-1]
    centre = np.median(values, axis=-1, keepdims=True)
    mad = np.median(np.abs(values - centre), axis=-1, keepdims=True) / _MAD_OF_NORMAL
    deviation = values.std(axis=-1, ddof=1, keepdims=True)
    # Equal values have no spread; 1 stands in, and the error still comes out as 0.
    spread = np.maximum(mad, _SMALLEST_SPREAD * deviation)
    spread = np.where(spread > 0, spread, 1.0)
    for _ in range(_ITERATIONS):
        weight = _TUNING / np.maximum(np.abs(values - centre) / spread, _TUNING)
        centre = (weight * values).sum(axis=-1, keepdims=True) / weight.sum(axis=-1, keepdims=True)
    residual = (values - centre) / spread
    influence = np.clip(residual, -_TUNING, _TUNING)
    unclipped = np.maximum((np.abs(residual) <= _TUNING).mean(axis=-1), 0.5)
    variance = (influence**2).sum(axis=-1) / (n - 1) / unclipped**2 / n
    correction = 1 + (1 - unclipped) / unclipped / n
    error = correction * spread[..., 0] * np.sqrt(variance)
    # What rounding leaves of equal values is no spread.
    tiny = 1e-12 * (1 + np.abs(values).max(axis=-1))
    return _Location(centre[..., 0], np.where(error > tiny, error, 0.0), weight, influence)


def _inflation(*runs: Array) -> Array:
    """Return by what factor autocorrelation raises the variance of a mean of repeats.

    From the lag-1 correlation of all runs together, less the bias of a short series.
    """
    repeats = sum(run.shape[-1] for run in runs)
    pooled = sum(_lag_1(run) * run.shape[-1] + 1 for run in runs) / repeats
    correlation = np.clip(pooled, 0.0, _LARGEST_AUTOCORRELATION)
    factor: Array = (1 + correlation) / (1 - correlation)
    return factor


def _lag_1(influence: Array) -> Array:
    centred = influence - influence.mean(axis=-1, keepdims=True)
    square = (centred**2).sum(axis=-1)
    product: Array = (centred[..., 1:] * centred[..., :-1]).sum(axis=-1)
    correlation: Array = product / np.where(square > 0, square, 1.0)
    return correlation


def _freedom(squares: list[Array], sizes: tuple[int, int]) -> Array:
    """Return Welch's degrees of freedom; where there is no spread at all, those of the pool."""
    total = squares[0] + squares[1]
    parts = squares[0] ** 2 / (sizes[0] - 1) + squares[1] ** 2 / (sizes[1] - 1)
    known = parts > 0
    freedom: Array = np.where(known, total**2 / np.where(known, parts, 1.0), sum(sizes) - 2)
    return freedom


def _quantile(confidence: float, freedom: Array | int) -> Array:
    # scipy.stats.t.ppf is this function, behind an import of half a second.
    quantile: Array = special.stdtrit(freedom, (1 + confidence) / 2)
    return quantile


def _interval(change: Array, width: Array) -> Interval:
    known = width > 0  # equal repeats come from a clock too coarse to judge by
    low = np.where(known, np.exp(change - width), 0.0)
    high = np.where(known, np.exp(change + width), np.inf)
    return Interval(np.exp(change), low, high)


def _unknown(change: Array) -> Interval:
    shape = np.shape(change)
    return Interval(np.exp(change), np.zeros(shape), np.full(shape, np.inf))
