"""Repeats until the train time is known well enough, by a rule that allows for its own looking."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.results.phrases import duration, percent

Array = npt.NDArray[Any]

LEAST_REPEATS = 10
"""Fewer can look precise by chance: no rule that stops at them keeps its promise."""
CONFIDENCE = 0.95
"""What the interval is promised to hold after all the looking."""
FAILURES_IN_A_ROW = 3

Ending = Literal["reached", "time-is-up", "failed", "interrupted"]


@dataclass(frozen=True)
class Target:
    """How precise the train time shall be, and how long that may take."""

    half_width: float
    """Largest distance from the typical time to an end of its interval, as a share of it."""
    max_seconds: float
    """No round of repeats begins that would be expected to end later."""


@dataclass(frozen=True)
class Precision:
    """What is known of one train time, or of the ratio of two, after some repeats."""

    what: str
    """For people: `train of mnist-dense`, or `train of mnist-mlp / mnist-dense`."""
    is_ratio: bool
    n: int
    """Finished repeats, or pairs."""
    centre: float | None
    """Typical seconds, or typical ratio; None below two repeats, as is all that follows."""
    low: float | None
    """End of the 95 % interval; None too where all repeats took equally long."""
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Return the distance to the interval's farther end as a share of the centre."""
        if self.centre is None or self.high is None:
            return None
        return self.high / self.centre - 1

    def repeats_for(self, half_width: float) -> int | None:
        """Return the repeats expected to be enough for a half-width; None if unknown."""
        if self.half_width is None:
            return None
        shrink = math.log1p(self.half_width) / math.log1p(half_width)
        return max(LEAST_REPEATS, math.ceil(self.n * shrink**2))


@dataclass(frozen=True)
class TargetOutcome:
    """How the repeats ended, and how precise the times are."""

    target: Target
    ending: Ending
    precisions: tuple[Precision, ...]
    """One for the single config; else one for each config but the first, against the first."""
    repeats_expected: int | None
    """Repeats that would have been enough; None where it was reached or is unknown."""
    seconds_expected: float | None
    """Time the missing ones would have taken."""

    @property
    def widest(self) -> float | None:
        """Return the largest half-width; None if one is unknown."""
        return widest(self.precisions)


def typical_time(seconds: Array) -> stats.Interval:
    """Return the typical time and the interval that stays right if one stops when it is narrow."""
    return stats.typical_time(seconds, stats.after_looking(CONFIDENCE))


def typical_ratio(base: Array, new: Array) -> stats.Interval:
    """Return the typical ratio of pairs, with an interval of the same kind."""
    return stats.paired_ratio(base, new, stats.after_looking(CONFIDENCE))


def facts_before(target: Target) -> Mapping[str, object]:
    """Return what machine.csv tells of the rule before anything is measured."""
    return {"target_ci": target.half_width, "target_ci_max_seconds": target.max_seconds}


def facts_after(outcome: TargetOutcome) -> Mapping[str, object]:
    """Return what machine.csv tells of how the rule ended."""
    return {
        "target_ci_ending": outcome.ending,
        "target_ci_of": "; ".join(precision.what for precision in outcome.precisions),
        "target_ci_half_width": outcome.widest,
        "target_ci_repeats_expected": outcome.repeats_expected,
    }


def outcome_lines(outcome: TargetOutcome) -> list[str]:
    """Return how it ended, and each interval, for people."""
    wanted = percent(outcome.target.half_width)
    lines = [_precision_line(precision) for precision in outcome.precisions]
    if outcome.ending == "reached":
        return [f"Precise enough, within {wanted}:", *lines]
    why = {
        "time-is-up": f"Time is up ({duration(outcome.target.max_seconds)})",
        "failed": f"Given up after {FAILURES_IN_A_ROW} failures in a row",
        "interrupted": "Interrupted",
    }[outcome.ending]
    expected = ""
    if outcome.repeats_expected is not None and outcome.seconds_expected is not None:
        expected = (
            f"; it would have taken about {outcome.repeats_expected} repeats, "
            f"{duration(outcome.seconds_expected)} more"
        )
    return [f"{why} before the train time was known within {wanted}{expected}:", *lines]


def _precision_line(precision: Precision) -> str:
    n = f"n = {precision.n}{' pairs' if precision.is_ratio else ''}"
    if precision.half_width is None or precision.centre is None:
        return f"  {precision.what}: too few or too equal repeats to tell, {n}"
    unit, where = ("", "") if precision.is_ratio else (" s", ", in this session")
    return (
        f"  {precision.what}{where}: {precision.centre:.4g}{unit}, {CONFIDENCE:.0%} interval "
        f"{precision.low:.4g} to {precision.high:.4g}{unit} "
        f"(within {percent(precision.half_width)}), {n}"
    )


def widest(precisions: Sequence[Precision]) -> float | None:
    """Return the largest half-width; None if one is unknown."""
    widths = [precision.half_width for precision in precisions]
    known = [width for width in widths if width is not None]
    return max(known) if len(known) == len(widths) else None


def precision_of_one(what: str, seconds: Sequence[float]) -> Precision:
    """Return how well one train time is known from its repeats."""
    if len(seconds) < 2:
        return Precision(what, False, len(seconds), None, None, None)
    return _precision(what, False, len(seconds), typical_time(np.array(seconds)))


def precision_of_two(what: str, base: Mapping[int, float], new: Mapping[int, float]) -> Precision:
    """Return how well the ratio of two is known, by their rounds."""
    shared = [number for number in base if number in new]
    if len(shared) < 2:
        return Precision(what, True, len(shared), None, None, None)
    times = ([side[number] for number in shared] for side in (base, new))
    return _precision(what, True, len(shared), typical_ratio(*map(np.array, times)))


def _precision(what: str, is_ratio: bool, n: int, interval: stats.Interval) -> Precision:
    is_finite = bool(np.isfinite(interval.high))
    low, high = (float(interval.low), float(interval.high)) if is_finite else (None, None)
    return Precision(what, is_ratio, n, float(interval.ratio), low, high)
