"""How much of the machine a training uses: its operations and bytes against the measured peak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from mnistbench.config.run_config import RunConfig
from mnistbench.config.work import train_phase_work
from mnistbench.machine.workloads import COPY, MATRIX_PRODUCT_OF, Workload
from mnistbench.results.rows import Metric, Sample

TRAIN_FLOPS = "train_flops"
TRAIN_FLOPS_PER_SECOND = "train_flops_per_second"
TRAIN_BYTES_PER_SECOND = "train_bytes_per_second"
TRAIN_PEAK_SHARE = "train_peak_share"
TRAIN_BANDWIDTH_SHARE = "train_bandwidth_share"

SHARES = (TRAIN_PEAK_SHARE, TRAIN_BANDWIDTH_SHARE)
"""Metrics of `--roofline` only."""


@dataclass(frozen=True)
class Peak:
    """The best a workload reached over its sizes, one moment beside the other."""

    rates: tuple[float, ...]
    """For each moment at which it was measured, in order: the median of the best size."""

    @property
    def rate(self) -> float:
        """Return the highest: what the machine can do when it is left alone."""
        return max(self.rates)


def work_metrics(
    config: RunConfig, measured: Iterable[Metric], seconds: float | None, precision: str
) -> list[Metric]:
    """Return what the train phase computed and moved, in all and a second.

    Arithmetic over the counts that the repeat has told: nothing is measured for it.
    """
    counts = {metric.name: metric.value for metric in measured}
    steps, per_epoch = int(counts["train_steps"] or 0), int(counts["steps_per_epoch"] or 1)
    epochs = steps // per_epoch
    work = train_phase_work(
        config,
        steps=steps,
        trained=epochs * int(counts["train_samples"] or 0),
        validated=epochs * int(counts["validation_samples"] or 0),
        precision=precision,
    )
    return [
        Metric(TRAIN_FLOPS, work.flops, "FLOP"),
        Metric("train_bytes", work.bytes, "bytes"),
        Metric(TRAIN_FLOPS_PER_SECOND, work.flops / seconds if seconds else None, "FLOP/s"),
        Metric(TRAIN_BYTES_PER_SECOND, work.bytes / seconds if seconds else None, "bytes/s"),
    ]


def peaks(moments: Sequence[Sequence[Sample]]) -> Mapping[str, Peak]:
    """Return the peak of each workload by its name, from the samples of each moment."""
    by_moment = [_best_medians(samples) for samples in moments]
    names = dict.fromkeys(name for found in by_moment for name in found)
    return {
        name: Peak(tuple(found[name] for found in by_moment if name in found)) for name in names
    }


def share_metrics(
    measured: Iterable[Metric], precision: str, found: Mapping[str, Peak]
) -> list[Metric]:
    """Return a repeat's share of the peaks; None where the peak of its precision is not known."""
    rates = {metric.name: metric.value for metric in measured}
    product = MATRIX_PRODUCT_OF.get(precision)
    return [
        _share(TRAIN_PEAK_SHARE, rates[TRAIN_FLOPS_PER_SECOND], product, found),
        _share(TRAIN_BANDWIDTH_SHARE, rates[TRAIN_BYTES_PER_SECOND], COPY, found),
    ]


def _share(name: str, rate: object, workload: Workload | None, found: Mapping[str, Peak]) -> Metric:
    peak = found.get(workload.name) if workload else None
    if peak is None or not isinstance(rate, float):
        return Metric(name, None, "1")
    return Metric(name, rate / peak.rate, "1")


def _best_medians(samples: Sequence[Sample]) -> dict[str, float]:
    """Return for each workload the median rate of the size at which it is highest."""
    rates: dict[tuple[str, int], list[float]] = {}
    for sample in samples:
        rates.setdefault((sample.workload, sample.size), []).append(sample.rate)
    best: dict[str, float] = {}
    for (name, _), listed in rates.items():
        best[name] = max(best.get(name, 0.0), median(listed))
    return best
