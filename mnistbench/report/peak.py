"""Peaks and rooflines on the terminal, drawn by rich."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import median

from rich.console import Console
from rich.table import Table

from mnistbench.analysis.roofline import (
    TRAIN_BANDWIDTH_SHARE,
    TRAIN_BYTES_PER_SECOND,
    TRAIN_FLOPS_PER_SECOND,
    TRAIN_PEAK_SHARE,
)
from mnistbench.machine.workloads import (
    BYTES,
    COPY,
    FLOPS,
    MATRIX_PRODUCT_OF,
    Workload,
)
from mnistbench.report.values import unit_text
from mnistbench.results.rows import RateRow, to_csv
from mnistbench.session.rates import PeakResult, PeakSummary
from mnistbench.session.records import Run, metric_values

_WHAT = {
    TRAIN_FLOPS_PER_SECOND: "Train phase computes",
    TRAIN_BYTES_PER_SECOND: "Train phase moves at least",
}


def print_peak(console: Console, result: PeakResult) -> None:
    """Print a line for each workload, and the folder if there is one."""
    console.print(peak_table(result))
    if result.folder is not None:
        console.print(f"Files: {result.folder}", soft_wrap=True, highlight=False)


def peak_table(result: PeakResult) -> Table:
    """Return the workloads, each at the size where it is fastest."""
    table = Table(title=f"Measured peak of this machine, {result.device}", title_justify="left")
    table.add_column("Workload")
    for name in ("Size", "n", "Median", "95 % interval", "Best"):
        table.add_column(name, justify="right")
    for row in result.summaries:
        known = row.low is not None and row.high is not None
        interval = f"{unit_text(row.low, '')} to {unit_text(row.high, row.unit)}" if known else ""
        rates = (unit_text(row.median, row.unit), interval, unit_text(row.best, row.unit))
        table.add_row(row.title, _size_text(row), str(row.n), *rates)
    return table


def roofline_lines(run: Run) -> list[str]:
    """Return what training computed a second, what share of the peak that is, and its drift."""
    if not metric_values(run, TRAIN_FLOPS_PER_SECOND):
        return []
    lines = []
    for name, unit, share, workload in (
        (TRAIN_FLOPS_PER_SECOND, FLOPS, TRAIN_PEAK_SHARE, _product(run)),
        (TRAIN_BYTES_PER_SECOND, BYTES, TRAIN_BANDWIDTH_SHARE, COPY),
    ):
        rate = unit_text(median(metric_values(run, name)), unit)
        shares = [value for value in metric_values(run, share) if value is not None]
        peak = run.peaks.get(workload.name) if workload else None
        if shares and peak and workload:
            part = f"{100 * median(shares):.3g} % of the measured {workload.title}"
            moments = ", then ".join(unit_text(rate, unit) for rate in peak.rates)
            lines.append(f"{_WHAT[name]}: {rate}, {part} ({moments})")
        elif name == TRAIN_FLOPS_PER_SECOND or run.peaks:
            unknown = "; the peak of its precision is not measured here" if run.peaks else ""
            lines.append(f"{_WHAT[name]}: {rate}{unknown}")
    return lines


def _product(run: Run) -> Workload | None:
    precision = next(record.result.precision for record in run.repeats if record.result)
    return MATRIX_PRODUCT_OF.get(precision)


def _size_text(row: PeakSummary) -> str:
    return f"{row.size / 2**20:.0f} MiB" if row.unit == BYTES else str(row.size)


def as_csv(result: PeakResult) -> str:
    """Return every sample."""
    return to_csv(result.rows, RateRow)


def as_json(result: PeakResult) -> str:
    """Return the summaries and every sample."""
    content = {
        "run_id": result.run_id,
        "device": result.device,
        "folder": None if result.folder is None else str(result.folder),
        "peaks": [asdict(summary) for summary in result.summaries],
        "samples": [asdict(row) for row in result.rows],
    }
    return json.dumps(content, indent=2, allow_nan=False)
