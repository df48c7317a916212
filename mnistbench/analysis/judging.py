"""A phase or a metric of one config, BASE against NEW: its change, the interval, the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mnistbench.analysis import stats
from mnistbench.analysis.normalization import Prediction, Ratio
from mnistbench.analysis.pairing import Array, Design, Sample, interval_of, intervals_of
from mnistbench.results.metrics import Better, MetricKind


@dataclass(frozen=True)
class Rules:
    """What the user asked verdicts to be measured against."""

    margin: float = 0.05
    """Smallest change that matters, as a share of the time, or of a metric."""
    accuracy_margin: float = 0.005
    """Largest loss of test accuracy that "faster" may cost, from 0 to 1; of a metric that is a
    share, the smallest difference that matters."""
    confidence: float = 0.95
    phases: tuple[str, ...] = ()
    """Phases asked for; empty for the default ones, or for none where metrics are."""
    metrics: tuple[str, ...] = ()
    """Metrics asked for."""
    force: bool = False
    """Compare what cannot be compared."""


@dataclass(frozen=True)
class Accuracies:
    """Median test accuracies, from 0 to 1; None where no repeat has one."""

    base: float | None
    new: float | None


@dataclass(frozen=True)
class PhaseComparison:
    """One phase of one config: BASE against NEW."""

    phase: str
    n_base: int
    """Pairs, repeats or machines; see the design."""
    n_new: int
    base_median_seconds: float | None
    new_median_seconds: float | None
    base_typical_seconds: float | None
    """What the ratio is made of; None if there is not one pair, as is the next."""
    new_typical_seconds: float | None
    ratio: float | None
    """NEW / BASE of the typical times: above 1 is slower. None if there is not one pair."""
    low: float | None
    """End of the ratio's interval; None if the repeats cannot tell."""
    high: float | None
    confidence: float
    """Of this interval, which is more than asked for where phases are judged together."""
    verdict: stats.Verdict
    reason: str
    """Why the verdict is not what the interval alone would say; mostly empty."""
    normalized_ratio: float | None = None
    """The ratio over what the machines' calibrations predict, its interval of both errors; None
    on one kind of hardware, and where the prediction is refused."""
    normalized_low: float | None = None
    normalized_high: float | None = None
    raw_ratio: float | None = None
    """As measured, where `ratio` is that of equal disturbance; else None, as are its ends."""
    raw_low: float | None = None
    raw_high: float | None = None


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one config: BASE against NEW."""

    kind: MetricKind
    """Its name; the unit of the four values; its scale. `ratio`: the change is NEW / BASE;
    `points`: it is NEW - BASE, 0.01 for one point."""
    n_base: int
    """Pairs, repeats or machines; see the design."""
    n_new: int
    base_median: float | None
    new_median: float | None
    base_typical: float | None
    """What the change is made of; None if there is not one pair, as is the next."""
    new_typical: float | None
    change: float | None
    low: float | None
    """End of the change's interval; None if the repeats cannot tell."""
    high: float | None
    confidence: float
    """Of this interval, which is more than asked for where several are judged together."""
    verdict: MetricVerdict
    reason: str
    """Why the verdict is not what the interval alone would say; mostly empty."""


MetricVerdict = Literal[
    "faster", "slower", "better", "worse", "more", "less", "same", "inconclusive"
]


@dataclass(frozen=True)
class Samples:
    """The values of a phase or a metric, as its design sets them against each other."""

    phase: str
    """Or the metric's name."""
    base: Array
    """Above 0, so that ratios tell them apart; of points, their exponentials."""
    new: Array
    metric: MetricKind | None = None
    """None for a phase."""
    waiting: Array | None = None
    """By how many CPU threads more others were busy beside NEW, pair by pair; None if unknown."""

    @property
    def is_disturbed(self) -> bool:
        """Return whether the ratio is that of equal disturbance."""
        return self.waiting is not None and bool(stats.disturbed_unequally(self.waiting))

    @property
    def sample(self) -> Sample:
        """Return what an interval is made of."""
        return self.base, self.new, self.waiting

    @property
    def both(self) -> tuple[Array, Array]:
        """Return the two sides."""
        return self.base, self.new


def judge(
    judged: Sequence[Samples],
    design: Design,
    confidence: float,
    accuracies: Accuracies,
    rules: Rules,
) -> tuple[list[PhaseComparison], list[MetricComparison]]:
    """Return the comparison of each phase and of each metric; all of them are judged together."""
    intervals = intervals_of([samples.sample for samples in judged], design, confidence)
    phases, metrics = [], []
    for samples, (interval, each) in zip(judged, intervals, strict=True):
        if samples.metric is None:
            phases.append(_judge(samples, design, interval, each, accuracies, rules))
        else:
            exact = _known_if_counted(interval, samples, samples.metric)
            metrics.append(
                _judge_metric(samples, samples.metric, design, exact, each, accuracies, rules)
            )
    return phases, metrics


def _known_if_counted(
    interval: stats.Interval, samples: Samples, kind: MetricKind
) -> stats.Interval:
    """Return the interval; of equal values that no clock told there is no doubt."""
    counted = not kind.is_pace and min(map(len, samples.both)) > 1
    if counted and not np.isfinite(interval.high):
        return stats.Interval(interval.ratio, interval.ratio, interval.ratio)
    return interval


def _judge_metric(
    samples: Samples, kind: MetricKind, design: Design, interval: stats.Interval,
    confidence: float, accuracies: Accuracies, rules: Rules,
) -> MetricComparison:  # fmt: skip
    # A difference of d is a ratio of exp(d): one rule judges both.
    undo = np.log if kind.scale == "points" else np.asarray
    verdict, reason = _metric_verdict(interval, kind, accuracies, rules)
    there, known = bool(np.isfinite(interval.ratio)), bool(np.isfinite(interval.high))
    typical = stats.typical_times(*samples.both, paired=design.paired) if there else (None, None)
    return MetricComparison(
        kind=kind,
        n_base=len(samples.base),
        n_new=len(samples.new),
        base_median=median(undo(samples.base)),
        new_median=median(undo(samples.new)),
        base_typical=None if typical[0] is None else float(undo(typical[0])),
        new_typical=None if typical[1] is None else float(undo(typical[1])),
        change=float(undo(interval.ratio)) if there else None,
        low=float(undo(interval.low)) if known else None,
        high=float(undo(interval.high)) if known else None,
        confidence=confidence,
        verdict=verdict,
        reason=reason or _why_unknown(samples, interval, design),
    )


_WORDS: Mapping[tuple[bool, Better], tuple[MetricVerdict, MetricVerdict]] = {
    (True, "less"): ("slower", "faster"),
    (True, "more"): ("faster", "slower"),
    (False, "less"): ("worse", "better"),
    (False, "more"): ("better", "worse"),
    (True, "neither"): ("more", "less"),
    (False, "neither"): ("more", "less"),
}
"""What NEW is called if it has more, and if it has less; by pace or not, and what is better."""


def _metric_verdict(
    interval: stats.Interval, kind: MetricKind, accuracies: Accuracies, rules: Rules
) -> tuple[MetricVerdict, str]:
    margin = np.expm1(rules.accuracy_margin) if kind.scale == "points" else rules.margin
    by_time = stats.verdict(interval, margin)
    more, less = _WORDS[kind.is_pace, kind.better]
    verdict: MetricVerdict = {stats.SLOWER: more, stats.FASTER: less}.get(by_time, by_time)
    reason = _accuracy_lost(accuracies, rules.accuracy_margin) if verdict == "faster" else ""
    return ("inconclusive" if reason else verdict), reason


def _judge(
    samples: Samples, design: Design, interval: stats.Interval, confidence: float,
    accuracies: Accuracies, rules: Rules,
) -> PhaseComparison:  # fmt: skip
    verdict = stats.verdict(interval, rules.margin)
    reason = _why_unknown(samples, interval, design)
    if verdict == stats.FASTER:
        reason = _accuracy_lost(accuracies, rules.accuracy_margin)
        verdict = stats.INCONCLUSIVE if reason else verdict
    there = bool(np.isfinite(interval.ratio))
    known = bool(np.isfinite(interval.high))
    typical = _typical_seconds(samples, design, interval) if there else (None, None)
    return PhaseComparison(
        phase=samples.phase,
        n_base=len(samples.base),
        n_new=len(samples.new),
        base_median_seconds=median(samples.base),
        new_median_seconds=median(samples.new),
        base_typical_seconds=typical[0],
        new_typical_seconds=typical[1],
        ratio=float(interval.ratio) if there else None,
        low=float(interval.low) if known else None,
        high=float(interval.high) if known else None,
        confidence=confidence,
        verdict=verdict,
        reason=reason,
        **_as_measured(samples, design, confidence),
    )


def _typical_seconds(
    samples: Samples, design: Design, interval: stats.Interval
) -> tuple[float, float]:
    """Return a typical time of both sides; their ratio is that of the interval."""
    base, new = stats.typical_times(*samples.both, paired=design.paired)
    return float(base), float(base * interval.ratio if samples.is_disturbed else new)


def _as_measured(samples: Samples, design: Design, confidence: float) -> dict[str, float]:
    """Return ratio and interval before disturbance was taken out; nothing where none was."""
    if not samples.is_disturbed:
        return {}
    raw = interval_of((*samples.both, None), design, confidence)
    ends = (raw.ratio, raw.low, raw.high)
    names = ("raw_ratio", "raw_low", "raw_high")
    return {name: float(end) for name, end in zip(names, ends, strict=True) if np.isfinite(end)}


def _why_unknown(samples: Samples, interval: stats.Interval, design: Design) -> str:
    n, least = min(map(len, samples.both)), 2 + design.removed
    if n < least:
        what = "pair" if design.paired else design.unit
        return f"{n} {what}{'s' * (n > 1)}: {least} or more are needed, 10 advised"
    if not np.isfinite(interval.high):
        if samples.is_disturbed:
            return "others disturbed it in a way that nothing can be told from"
        return "equal times: the clock is too coarse to judge by"
    return ""


def _accuracy_lost(accuracies: Accuracies, margin: float) -> str:
    before, after = accuracies.base, accuracies.new
    if before is None or after is None or before - after <= margin:
        return ""
    return f"faster, but test accuracy fell from {before:.2%} to {after:.2%}"


def normalize(
    phases: Sequence[PhaseComparison], machines: Prediction | None
) -> tuple[PhaseComparison, ...]:
    """Return the phases with what is left of each ratio once the calibrations have explained it."""
    if machines is None or machines.refusal:
        return tuple(phases)
    return tuple(_normalized(phase, machines) for phase in phases)


def _normalized(phase: PhaseComparison, machines: Prediction) -> PhaseComparison:
    if phase.ratio is None:
        return phase
    left = machines.normalized(Ratio(phase.ratio, phase.low, phase.high), phase.confidence)
    return replace(
        phase, normalized_ratio=left.ratio, normalized_low=left.low, normalized_high=left.high
    )


def median(values: Array) -> float | None:
    """Return the median; None of nothing."""
    return float(np.median(values)) if len(values) else None
