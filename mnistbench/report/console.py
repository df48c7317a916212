"""Tables and progress on the terminal, drawn by rich."""

from __future__ import annotations

import statistics

from rich.console import Console
from rich.table import Table

from mnistbench.report.peak import roofline_lines
from mnistbench.report.summary import (
    contention_text,
    drift_text,
    learning_text,
    phase_summaries,
    teardown_text,
    time_to_accuracy,
)
from mnistbench.report.terminal import SHORT_MACHINE, machine_table, seconds_text
from mnistbench.results.metrics import WALL_CLOCK_CHANGE
from mnistbench.results.phases import STATUS_DUET, STATUS_OK, STATUS_ONE_CORE, TRAIN
from mnistbench.session.benchmark import BenchmarkResult
from mnistbench.session.records import Run, metric_values

SYNTHETIC = "synthetic"
"""What a data identity gives as its source where the images were made from the seed."""
_LEAST_CLOCK_CHANGE_SECONDS = 1.0
_DESIGNS = {
    STATUS_DUET: ("a duet", "A duet: half of the cores, a busy neighbour: no times of the machine"),
    STATUS_ONE_CORE: (
        "on one core",
        "One core in turns with a busy neighbour: no times of the machine",
    ),
}
"""How a run that was measured beside another is titled, and what must be known of its times."""


def print_result(console: Console, result: BenchmarkResult) -> None:
    """Print the machine, every run's times and accuracy, and the folders written."""
    console.print(machine_table(result.facts, SHORT_MACHINE))
    for run in result.runs:
        print_run(console, run, with_contention=len(result.runs) == 1)
    if len(result.runs) > 1 and (line := contention_text(*result.runs)):
        console.print(line, soft_wrap=True, highlight=False)
    if result.target is not None:
        from mnistbench.session.target import outcome_lines

        for line in outcome_lines(result.target):
            console.print(line, soft_wrap=True, highlight=False)


def print_run(console: Console, run: Run, with_contention: bool = True) -> None:
    """Print a run's times and accuracy, and its folder."""
    console.print(timing_table(run))
    contention = contention_text(run) if with_contention else ""
    for line in filter(None, (*_findings(run), contention)):
        console.print(line, highlight=False)
    console.print(f"Files: {run.folder.path}", soft_wrap=True, highlight=False)


def timing_table(run: Run) -> Table:
    """Return the phases of a run over its repeats."""
    training = run.config.training
    epochs = f"epochs {training.epochs}, " if TRAIN in run.phases else ""
    title = f"{run.config.name} on {run.device}, {epochs}batch size {training.batch_size}"
    if run.identity.source == SYNTHETIC:
        title += ", synthetic data"
    if run.design:
        title += f", {_DESIGNS[run.design][0]}"
    table = Table(title=title, title_justify="left", caption="seconds", caption_justify="right")
    table.add_column("Phase")
    for name in ("n", "Median", "Spread (IQR)", "Min", "Max"):
        table.add_column(name, justify="right")
    for row in phase_summaries(run):
        times = (row.median_seconds, row.iqr_seconds, row.min_seconds, row.max_seconds)
        table.add_row(row.phase, str(row.n), *map(seconds_text, times))
    return table


def _findings(run: Run) -> list[str]:
    lines = []
    accuracies = metric_values(run, "test_accuracy")
    if accuracies:
        middle = statistics.median(accuracies)
        span = f" ({min(accuracies):.4f} to {max(accuracies):.4f})" if len(accuracies) > 1 else ""
        lines.append(f"Test accuracy: {middle:.1%}{span}")
        parameters = metric_values(run, "parameters")[0]
        speeds = metric_values(run, "train_samples_per_second")
        speed = f"{statistics.median(speeds):,.0f}" if speeds else "unknown"
        lines.append(f"Parameters: {parameters:,}; training: {speed} samples/s")
    lines += filter(None, [learning_text(run)])
    return [*lines, *roofline_lines(run), *_target_line(run), *remarks_on(run)]


def _target_line(run: Run) -> list[str]:
    reached = time_to_accuracy(run)
    if reached is None or not reached.n:
        return []
    count = f"{reached.n_reached} of {reached.n} repeats"
    line = f"Test accuracy {reached.target_accuracy:g}: reached by {count}"
    if reached.seconds:
        line += f", in a median of {seconds_text(statistics.median(reached.seconds))} s"
    if len(reached.seconds) > 1:
        line += f" ({seconds_text(min(reached.seconds))} to {seconds_text(max(reached.seconds))})"
    return [line]


def remarks_on(run: Run) -> list[str]:
    """Return what else must be known of a run's figures: its data, its failures, its drift."""
    lines = []
    if run.design:
        lines.append(_DESIGNS[run.design][1])
    if run.identity.source == SYNTHETIC:
        lines.append(f"Data: synthetic; its accuracy is not that of {run.config.facts.title}")
    elif not run.identity.canonical:
        lines.append(f"Data: {run.identity.source} is not the published {run.config.facts.title}")
    lines += [
        f"Repeat {record.turn.repeat} {record.status}: {record.reason}"
        for record in run.repeats
        if record.status != STATUS_OK
    ]
    return [*lines, *filter(None, [drift_text(run), teardown_text(run), _clock_text(run)])]


def _clock_text(run: Run) -> str:
    """Return that the wall clock was set meanwhile; empty if it was not."""
    changes = [value for value in metric_values(run, WALL_CLOCK_CHANGE) if value is not None]
    largest = max(changes, key=abs, default=0.0)
    if abs(largest) < _LEAST_CLOCK_CHANGE_SECONDS:
        return ""
    how = f"back by {-largest:,.0f} s" if largest < 0 else f"forward by {largest:,.0f} s"
    return (
        f"The wall clock was set {how} in a repeat: start_utc is wrong by that; the times are by "
        "another clock, and right"
    )
