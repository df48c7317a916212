"""Rates of this machine: measured by fresh processes, kept as rows, summed up for people."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from mnistbench.config.temporary import temporary_folder
from mnistbench.errors import RunError
from mnistbench.machine import cpu, host
from mnistbench.machine.workloads import WORKLOADS, calibration_points, peak_points
from mnistbench.measuring.executor import Executor, TaskFailure
from mnistbench.measuring.jobs import RatesJob
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import rates
from mnistbench.measuring.workers import Workers
from mnistbench.results.folder import RunFolder, new_run_id
from mnistbench.results.rows import MachineRow, RateRow, Sample, cell, to_csv
from mnistbench.results.tables import LOG, MACHINE, PEAK
from mnistbench.session.crews import probe_device

BEFORE = "before"
AFTER = "after"

_PEAK_ROUNDS, _PEAK_SAMPLES, _PEAK_SECONDS = 3, 4, 0.2
_CALIBRATION_ROUNDS, _CALIBRATION_SAMPLES, _CALIBRATION_SECONDS = 2, 2, 0.05
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class PeakSummary:
    """One workload at the size where its median rate is highest."""

    workload: str
    title: str
    size: int
    n: int
    median: float
    low: float | None
    """Ends of the median's 95 % interval; None where the samples are too few for one."""
    high: float | None
    best: float
    """The highest single sample."""
    unit: str


@dataclass(frozen=True)
class PeakResult:
    """Every sample that `peak` took, and on what."""

    run_id: str
    device: str
    rows: tuple[RateRow, ...]
    summaries: tuple[PeakSummary, ...]
    folder: Path | None
    """Where it is kept; None if nobody asked for that."""


def measure_peak(executor: Executor, device: str, log: Path) -> tuple[Sample, ...]:
    """Measure every workload at every size in a fresh process: some seconds."""
    points = peak_points(device, cpu.last_level_cache_bytes())
    job = RatesJob(device, points, _PEAK_ROUNDS, _PEAK_SAMPLES, _PEAK_SECONDS)
    return _measure(executor, job, log, "")


def measure_calibration(executor: Executor, device: str, log: Path) -> tuple[Sample, ...]:
    """Measure the calibration in a fresh process: about a second."""
    points = calibration_points(device, cpu.last_level_cache_bytes())
    job = RatesJob(device, points, _CALIBRATION_ROUNDS, _CALIBRATION_SAMPLES, _CALIBRATION_SECONDS)
    return _measure(executor, job, log, "; --no-calibrate goes without it")


def rate_rows(samples: Sequence[Sample], run_id: str, moment: str) -> list[RateRow]:
    """Return the samples as rows of a table."""
    return [RateRow(run_id, s.workload, s.size, moment, s.seconds, s.rate, s.unit) for s in samples]


def run_peak(device: str, output: Path | None) -> PeakResult:
    """Measure this machine, and keep the samples under `output` if it is given.

    Raises InputError for a GPU that is not there, OutputError before anything is measured, and
    RunError if the measuring process fails.
    """
    environment = dict(os.environ)
    run_id = new_run_id("peak", host.node())
    folder = None if output is None else RunFolder.make(output, run_id)
    workers = Workers(measuring_environment(device), "auto")
    try:
        with temporary_folder() as scratch:
            log = (folder.path if folder else scratch) / LOG
            told = probe_device(workers, device, log)
            rows = rate_rows(measure_peak(workers, told.device, log), run_id, "")
        if folder is not None:
            facts = {**host.machine_facts(environment), **told.facts}
            listed = [MachineRow(run_id, name, cell(value)) for name, value in facts.items()]
            folder.write(MACHINE, to_csv(listed, MachineRow))
            folder.write(PEAK, to_csv(rows, RateRow))
    except BaseException:
        if folder is not None:
            folder.remove()
        raise
    path = folder.path if folder else None
    return PeakResult(run_id, told.device, tuple(rows), tuple(summarized(rows)), path)


def summarized(rows: Sequence[RateRow]) -> list[PeakSummary]:
    """Return a line for each workload, in the registry's order."""
    found = []
    for workload in WORKLOADS:
        own = [row for row in rows if row.workload == workload.name]
        if own:
            by_size = {row.size: [r.rate for r in own if r.size == row.size] for row in own}
            size = max(by_size, key=lambda size: median(by_size[size]))
            chosen = by_size[size]
            interval = _median_interval(chosen)
            found.append(
                PeakSummary(
                    workload.name, workload.title, size, len(chosen), median(chosen), *interval,
                    max(row.rate for row in own), workload.unit,
                )
            )  # fmt: skip
    return found


def _median_interval(rates: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the interval by order statistics, which assumes nothing of the rates' shape."""
    from scipy import stats

    interval = stats.quantile_test(rates, p=0.5).confidence_interval(_CONFIDENCE)
    ends = float(interval.low), float(interval.high)
    # SciPy says nan where no two of so few samples enclose the median surely enough.
    return ends if ends[0] == ends[0] and ends[1] == ends[1] else (None, None)


def _measure(executor: Executor, job: RatesJob, log: Path, hint: str) -> tuple[Sample, ...]:
    try:
        samples: tuple[Sample, ...] = executor.run(rates, job, log, lambda message: None)
    except TaskFailure as failure:
        said = log.read_text(errors="replace") if log.is_file() else ""
        raise RunError(
            f"the machine's rates could not be measured: {failure.reason}{hint}", details=said
        ) from None
    return samples
