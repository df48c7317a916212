"""What is left of a ratio of times when the difference of the two machines is taken out.

The machines' own rates, measured beside the runs, predict by what ratio the times should differ.
All is done on the log scale; docs/verdicts.md gives the formulas and their sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

Array = npt.NDArray[Any]
Rates = Mapping[str, Sequence[Array]]
"""Workload to its rates, process by process."""

FEWEST_WORKLOADS = 3
WIDEST = 2.0
"""A calibration that may be off by more than this factor either way, at 95 %, predicts nothing."""

_REFUSAL_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """A ratio of times NEW / BASE and its interval."""

    ratio: float
    low: float | None
    """None, as is `high`, where the runs cannot tell."""
    high: float | None


@dataclass(frozen=True)
class Prediction:
    """By what ratio two machines' times should differ, from their calibrations."""

    ratios: Mapping[str, float]
    """Workload to the ratio of its own times, NEW / BASE; empty if one side has none."""
    measurement: float
    """Standard error, on the log scale, with which their mean is measured."""
    freedom: int
    """Degrees of freedom of `measurement`."""
    refusal: str = ""
    """Why it predicts nothing; empty if it does."""

    @property
    def ratio(self) -> float:
        """Return the predicted ratio: the geometric mean over the workloads."""
        return exp(float(np.mean(self._logs)))

    def factor(self, confidence: float) -> float:
        """Return how far off, as a factor either way, the prediction for a training may be.

        A training is one more workload: it lies about the mean as far as the others do (Student's
        prediction interval for one further value), and the mean is measured with an error.
        """
        return exp(self._width(confidence))

    def normalized(self, raw: Ratio, confidence: float) -> Ratio:
        """Return the ratio over the predicted one; the widths of both intervals add in squares."""
        left = raw.ratio / self.ratio
        if raw.low is None or raw.high is None:
            return Ratio(left, None, None)
        width = self._width(confidence)
        below, above = log(raw.ratio / raw.low), log(raw.high / raw.ratio)
        return Ratio(left, left * exp(-_sum(below, width)), left * exp(_sum(above, width)))

    @property
    def _logs(self) -> Array:
        return np.log(list(self.ratios.values()))

    def _width(self, confidence: float) -> float:
        count = len(self.ratios)
        disagreement = float(self._logs.std(ddof=1)) * sqrt(1 + 1 / count)
        return _sum(
            _quantile(confidence, count - 1) * disagreement,
            _quantile(confidence, self.freedom) * self.measurement,
        )


def predict(base: Rates, new: Rates, base_name: str, new_name: str) -> Prediction:
    """Return what the calibrations of both sides predict, or why they do not."""
    for rates, name in ((base, base_name), (new, new_name)):
        if not rates:
            return _refused(f"{name} holds no calibration")
    shared = [name for name in base if name in new]
    if len(shared) < FEWEST_WORKLOADS:
        return _refused(
            f"the calibrations share {len(shared)} workloads; {FEWEST_WORKLOADS} are needed"
        )
    sides = [[_process_medians(rates[name]) for name in shared] for rates in (base, new)]
    ratios = {
        name: exp(float(before.mean() - after.mean()))
        for name, before, after in zip(shared, *sides, strict=True)
    }
    # What disturbs a busy machine disturbs all workloads together: their mean is taken to be no
    # surer than one of them, and processes are counted, not workloads.
    counts = [min(map(len, side)) for side in sides]
    freedom = sum(counts) - len(counts)
    if freedom == 0:
        return _refused("each calibration was measured once only: its error cannot be told")
    listed = [medians for side in sides for medians in side]
    square = sum(float(((medians - medians.mean()) ** 2).sum()) for medians in listed)
    variance = square / sum(len(medians) - 1 for medians in listed)
    error = sqrt(sum(variance / count for count in counts))
    found = Prediction(ratios, error, freedom)
    return Prediction(ratios, error, freedom, _why_useless(found))


def _why_useless(found: Prediction) -> str:
    factor = found.factor(_REFUSAL_CONFIDENCE)
    if factor <= WIDEST:
        return ""
    return (
        f"the calibration predicts badly, to a factor of {factor:.3g} either way (at most "
        f"{WIDEST:g} is of use): its workloads disagree, or the machines were busy"
    )


def _refused(why: str) -> Prediction:
    return Prediction({}, 0.0, 0, why)


def _process_medians(processes: Sequence[Array]) -> Array:
    """Return the log of the median rate of each process: samples within one are not independent."""
    return np.log([float(np.median(rates)) for rates in processes])


def _sum(*widths: float) -> float:
    return sqrt(sum(width**2 for width in widths))


def _quantile(confidence: float, freedom: int) -> float:
    # scipy.stats.t.ppf is this function, behind an import of half a second.
    return float(special.stdtrit(freedom, (1 + confidence) / 2))
