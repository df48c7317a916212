"""The figures of a run that people read: one line a phase over its repeats."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import mean, median, quantiles
from typing import Any

from mnistbench.analysis.learning import not_learnt
from mnistbench.analysis.teardown import LEAST_SHARE
from mnistbench.machine.evidence import worst_signs
from mnistbench.results.phases import (
    DATA_DOWNLOAD,
    ENDED_WHOLE,
    STATUS_NOT_RUN,
    TEST,
    TRAIN,
)
from mnistbench.results.tables import TIMINGS
from mnistbench.session.benchmark import BenchmarkResult
from mnistbench.session.records import RepeatRecord, Run, metric_values

_WAIT = "measure again when the machine is quieter"


@dataclass(frozen=True)
class PhaseSummary:
    """One phase over the repeats that measured it; times in seconds."""

    phase: str
    n: int
    median_seconds: float | None
    iqr_seconds: float | None
    """Interquartile range; None below two repeats."""
    min_seconds: float | None
    max_seconds: float | None


def phase_summaries(run: Run) -> list[PhaseSummary]:
    """Return one line for each phase, in the order they run."""
    phases = (DATA_DOWNLOAD, *run.phases) if run.download else run.phases
    return [_summary(phase, _seconds(run.repeats, phase)) for phase in phases]


def uncontended_summaries(run: Run) -> list[PhaseSummary]:
    """Return one line for each phase over the repeats that nothing else disturbed."""
    calm = [record for record in run.repeats if not record.is_contended]
    return [_summary(phase, _seconds(calm, phase)) for phase in run.phases]


def learning_text(run: Run) -> str:
    """Return how many repeats did not learn, and the first one's reason; empty for none."""
    classes = run.config.facts.classes
    metrics = [{m.name: m.value for m in record.metrics} for record in run.repeats]
    reasons = [reason for each in metrics if (reason := not_learnt(each, classes))]
    if not reasons:
        return ""
    which = (
        f"{len(reasons)} of {len(run.repeats)} repeats" if len(run.repeats) > 1 else "The network"
    )
    if "became" in reasons[0]:
        remedy = "try a smaller training.learning_rate or dataset.normalization=divide_255"
    else:
        remedy = "try more training.epochs or dataset.train_samples, or another learning rate"
    return f"{which} did not learn: {reasons[0]}; {remedy}"


def contention_text(*runs: Run) -> str:
    """Return in one line how many repeats of a session were contended, by what, and the difference.

    Empty for none.
    """
    marked = [record for run in runs for record in run.repeats if record.is_contended]
    if not marked:
        return ""
    signs = "; ".join(worst_signs([record.metrics for record in marked]))
    repeats = sum(len(run.repeats) for run in runs)
    if repeats == 1:
        return f"The repeat was contended: {signs}: {_WAIT}"
    verb, them = ("was", "it") if len(marked) == 1 else ("were", "them")
    text = f"{len(marked)} of {repeats} repeats {verb} contended: {signs}"
    medians = [_without_contended(run, them) for run in runs]
    if len(runs) == 1 and medians[0]:
        return f"{text}; {medians[0].removeprefix(f'{runs[0].config.name} ')}"
    if any(medians):
        return f"{text}; {'; '.join(filter(None, medians))}"
    return f"{text}; none is left to show the time without: {_WAIT}"


def teardown_text(run: Run) -> str:
    """Return what releasing input pipelines took of the train phase; empty for next to nothing."""
    known = [value for value in metric_values(run, "train_teardown_seconds") if value is not None]
    whole = _seconds(run.repeats, TRAIN)
    if not known or not whole or mean(known) < LEAST_SHARE * mean(whole):
        return ""
    spread = f", {min(known):.2g} to {max(known):.2g} s a repeat" if len(known) > 1 else ""
    return (
        f"Of the train phase {mean(known) / mean(whole):.0%} is TensorFlow releasing its input "
        f"pipelines{spread}: train_without_teardown_seconds is what is left"
    )


def _without_contended(run: Run, them: str) -> str:
    """Return the median without the contended repeats and with them; empty for no difference."""
    if not any(record.is_contended for record in run.repeats):
        return ""
    main = TRAIN if TRAIN in run.phases else TEST
    calm = median_of(uncontended_summaries(run), main)
    if calm is None:
        return ""
    whole = median_of(phase_summaries(run), main) or calm
    name = f"{run.config.name} {main} median"
    return f"{name} without {them} {calm:.4g} s (with {them} {whole:.4g} s)"


def median_of(summaries: Sequence[PhaseSummary], phase: str) -> float | None:
    """Return the median of one phase, in seconds; None if no repeat finished it."""
    return next(summary.median_seconds for summary in summaries if summary.phase == phase)


def drift_text(run: Run) -> str:
    """Return by how much the train phase drifted, and the remedy; empty if chance explains it."""
    trend = run.trend
    if trend is None or not trend.is_clear:
        return ""
    from mnistbench.report.values import change_text, interval_text

    remedy = (
        "heat, or a neighbour? compare it only with what the same call measures in turn: "
        "mnistbench benchmark A B"
        if trend.ratio > 1
        else "does the machine warm up? use --warmup"
    )
    return (
        f"Drift: {TRAIN} got {change_text(trend.ratio)} from the first to the last of "
        f"{trend.repeats} repeats ({interval_text(trend.low, trend.high)}, "
        f"p = {trend.p_value:.2g}): {remedy}"
    )


@dataclass(frozen=True)
class TimeToAccuracy:
    """How the repeats of a run came to the accuracy they aimed at."""

    target_accuracy: float
    n: int
    """Repeats that ended, at the target or short of it."""
    n_reached: int
    seconds: tuple[float, ...]
    """From the first touch of the data, of those that reached it, in their order."""


def time_to_accuracy(run: Run) -> TimeToAccuracy | None:
    """Return how the repeats came to the run's target; None where there is none."""
    target = run.config.training.target_accuracy
    if target is None:
        return None
    reached = metric_values(run, "target_reached")
    seconds = [s for s in metric_values(run, "time_to_accuracy_seconds") if s is not None]
    return TimeToAccuracy(target, len(reached), sum(reached), tuple(seconds))


def as_csv(result: BenchmarkResult) -> str:
    """Return the timings of every run, under one header."""
    tables = [(run.folder.path / TIMINGS).read_text(encoding="utf-8") for run in result.runs]
    return "".join([*tables[:1], *(table.partition("\n")[2] for table in tables[1:])])


def as_json(result: BenchmarkResult) -> str:
    """Return everything known of the session."""
    content = {
        "interrupted": result.interrupted,
        "warnings": list(result.warnings),
        "machine": dict(result.facts),
        "runs": [_run_as_json(run) for run in result.runs],
        "target": None if result.target is None else asdict(result.target),
    }
    return json.dumps(content, indent=2, default=str, allow_nan=False)


def json_value(value: Any) -> Any:
    """Return the value, or None for what JSON has no word for: the loss of a diverged training."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _run_as_json(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "folder": str(run.folder.path),
        "config": run.config.model_dump(mode="json"),
        "config_digest": run.config.digest(),
        "dataset": run.config.dataset_label,
        "data_digest": run.identity.digest,
        "data_canonical": run.identity.canonical,
        "phases": [asdict(summary) for summary in phase_summaries(run)],
        "time_to_accuracy": _target_as_json(run),
        "peaks": {
            name: {"rate": peak.rate, "rates": peak.rates} for name, peak in run.peaks.items()
        },
        "contended_repeats": [r.turn.repeat for r in run.repeats if r.is_contended],
        "phases_without_contended": [asdict(summary) for summary in uncontended_summaries(run)],
        "drift": asdict(run.trend) if run.trend else None,
        "repeats": [
            {
                "repeat": record.turn.repeat,
                "seed": record.turn.seed,
                "order": record.turn.order,
                "status": record.status,
                "reason": record.reason,
                "phases": {
                    phase.phase: {"seconds": phase.seconds, "status": phase.status}
                    for phase in record.phases
                    if phase.status != STATUS_NOT_RUN
                },
                "metrics": {metric.name: json_value(metric.value) for metric in record.metrics},
            }
            for record in run.repeats
        ],
    }


def _target_as_json(run: Run) -> dict[str, Any] | None:
    reached = time_to_accuracy(run)
    if reached is None:
        return None
    return {
        **asdict(reached),
        "median_seconds": median(reached.seconds) if reached.seconds else None,
    }


def _seconds(repeats: Sequence[RepeatRecord], phase: str) -> list[float]:
    return [
        record.seconds
        for repeat in repeats
        for record in repeat.phases
        if record.phase == phase and record.seconds is not None and record.status in ENDED_WHOLE
    ]


def _summary(phase: str, seconds: Sequence[float]) -> PhaseSummary:
    if not seconds:
        return PhaseSummary(phase, 0, None, None, None, None)
    spread = None
    if len(seconds) > 1:
        lower, _, upper = quantiles(seconds, n=4, method="inclusive")
        spread = upper - lower
    return PhaseSummary(phase, len(seconds), median(seconds), spread, min(seconds), max(seconds))
