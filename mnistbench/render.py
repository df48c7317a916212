"""Tables and progress on the terminal, drawn by rich."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mnistbench.benchmark import BenchmarkResult
from mnistbench.evaluate import Evaluation
from mnistbench.render_peak import roofline_lines
from mnistbench.reproduction import ReproductionRow
from mnistbench.results import HistoryRow
from mnistbench.runs import Gauging, News, Run, TurnEnded, TurnStarted
from mnistbench.summary import (
    contention_text,
    drift_text,
    metric_values,
    phase_summaries,
    time_to_accuracy,
)
from mnistbench.tasks import Downloading, EpochEnded, StopRequested
from mnistbench.timing import STATUS_OK, TEST, TRAIN, PhaseRecord

_MEGABYTE = 1_000_000

SYNTHETIC = "synthetic"
"""What a data identity gives as its source where the images were made from the seed."""

SHORT_MACHINE = (
    "node", "cpu_model", "cpu_cores_physical", "cpu_threads", "cpu_affinity_threads",
    "cgroup_cpu_limit_cores", "memory_total_bytes", "cgroup_memory_limit_bytes", "gpu_count",
    "gpu_0_name", "gpu_driver_version", "PRETTY_NAME", "container", "virtual_machine",
    "python_version", "tensorflow_version", "jax_version", "torch_version", "keras_version",
    "mnistbench_version", "load_1min",
)  # fmt: skip


def output_console() -> Console:
    """Return the console of results: as wide as the terminal, or wide enough for a file."""
    return plain_console(width=None if sys.stdout.isatty() else 120)


def plain_console(width: int | None = None, stderr: bool = False) -> Console:
    """Return a console that prints what it is given: `[b]` in a folder's name is no markup."""
    return Console(width=width, stderr=stderr, markup=False, emoji=False)


def machine_table(facts: Mapping[str, object], names: tuple[str, ...] | None = None) -> Table:
    """Return the machine's attributes; only the named ones that are known, if names are given."""
    table = Table("Machine attribute", "Value", title="Machine", title_justify="left")
    for name in names or tuple(facts):
        value = facts.get(name)
        if value is not None or names is None:
            table.add_row(name, "" if value is None else _readable(name, value))
    return table


def print_result(console: Console, result: BenchmarkResult) -> None:
    """Print the machine, every run's times and accuracy, and the folders written."""
    console.print(machine_table(result.facts, SHORT_MACHINE))
    for run in result.runs:
        print_run(console, run)
    if result.target is not None:
        from mnistbench.target import outcome_lines

        for line in outcome_lines(result.target):
            console.print(line, soft_wrap=True, highlight=False)


def print_run(console: Console, run: Run) -> None:
    """Print a run's times and accuracy, and its folder."""
    console.print(timing_table(run))
    for line in _findings(run):
        console.print(line, highlight=False)
    console.print(f"Files: {run.folder.path}", soft_wrap=True, highlight=False)


def print_evaluation(console: Console, evaluation: Evaluation, split: str) -> None:
    """Print times, loss, accuracy and the figures of each class, and the folder."""
    run = evaluation.run
    console.print(timing_table(run))
    table = Table("Class", title="By class", title_justify="left")
    for name in ("Precision", "Recall", "F1", "Support"):
        table.add_column(name, justify="right")
    for row in evaluation.classes:
        shares = ("" if s is None else f"{s:.4f}" for s in (row.precision, row.recall, row.f1))
        table.add_row(row.name, *shares, str(row.support))
    console.print(table)
    which = "Test" if split == "test" else "Training"
    console.print(f"{which} loss: {evaluation.loss:.4f}", highlight=False)
    console.print(f"{which} accuracy: {evaluation.accuracy:.1%}", highlight=False)
    for line in _remarks(run):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(f"Files: {run.folder.path}", soft_wrap=True, highlight=False)


def timing_table(run: Run) -> Table:
    """Return the phases of a run over its repeats."""
    training = run.config.training
    epochs = f"epochs {training.epochs}, " if TRAIN in run.phases else ""
    title = f"{run.config.name} on {run.device}, {epochs}batch size {training.batch_size}"
    if run.identity.source == SYNTHETIC:
        title += ", synthetic data"
    table = Table(title=title, title_justify="left", caption="seconds", caption_justify="right")
    table.add_column("Phase")
    for name in ("n", "Median", "Spread (IQR)", "Min", "Max"):
        table.add_column(name, justify="right")
    for row in phase_summaries(run):
        times = (row.median_seconds, row.iqr_seconds, row.min_seconds, row.max_seconds)
        table.add_row(row.phase, str(row.n), *map(seconds_text, times))
    return table


def seconds_text(seconds: float | None) -> str:
    """Return seconds with four figures' worth of decimals; empty for the unknown."""
    if seconds is None:
        return ""
    return f"{seconds:.4f}" if seconds < 1 else f"{seconds:.3f}"


def print_reproduction(console: Console, rows: Sequence[ReproductionRow]) -> None:
    """Print the lessons' figures beside those measured here, and where the lessons are unclear."""
    console.print(_learning_table(rows))
    console.print(_duration_table(rows))
    for row in rows:
        for note in row.report.notes:
            console.print(f"{row.report.config}: {note}", highlight=False)


def _learning_table(rows: Sequence[ReproductionRow]) -> Table:
    table = Table(title="What the lessons report, and what was measured here", title_justify="left")
    table.add_column("Config")
    for name in ("Parameters", "here", "Accuracy", "here", "difference"):
        table.add_column(name, justify="right")
    table.add_column("Verdict")
    for row in rows:
        report, difference = row.report, row.accuracy_difference
        table.add_row(
            report.config,
            f"{report.parameters:,}",
            "" if row.parameters is None else f"{row.parameters:,}",
            "" if report.accuracy is None else f"{report.accuracy:.4g}",
            "" if row.accuracy is None else f"{row.accuracy:.4f}",
            "" if difference is None else f"{difference:+.4f}",
            row.verdict,
        )
    return table


def _duration_table(rows: Sequence[ReproductionRow]) -> Table:
    table = Table(title="Seconds, where a lesson prints them", title_justify="left")
    table.add_column("Config")
    table.add_column("What")
    for name in ("Lesson", "here", "n"):
        table.add_column(name, justify="right")
    table.add_column("Here is")
    for row in rows:
        for duration in row.durations:
            lesson, here = duration.lesson_seconds, duration.here_seconds
            cells = (f"{lesson:.4g}", "" if here is None else f"{here:.4g}", str(row.repeats))
            ratio = "" if here is None else _times(lesson / here)
            table.add_row(row.report.config, duration.quantity, *cells, ratio)
    return table


def _times(speedup: float) -> str:
    return f"{speedup:.2f}x faster" if speedup >= 1 else f"{1 / speedup:.2f}x slower"


def _findings(run: Run) -> list[str]:
    lines = []
    accuracies = metric_values(run, "test_accuracy")
    if accuracies:
        middle = statistics.median(accuracies)
        span = f" ({min(accuracies):.4f} to {max(accuracies):.4f})" if len(accuracies) > 1 else ""
        lines.append(f"Test accuracy: {middle:.1%}{span}")
        parameters = metric_values(run, "parameters")[0]
        speed = statistics.median(metric_values(run, "train_samples_per_second"))
        lines.append(f"Parameters: {parameters:,}; training: {speed:,.0f} samples/s")
    return [*lines, *roofline_lines(run), *_target_line(run), *_remarks(run)]


def _target_line(run: Run) -> list[str]:
    told = time_to_accuracy(run)
    if told is None or not told.n:
        return []
    line = (
        f"Test accuracy {told.target_accuracy:g}: reached by {told.n_reached} of {told.n} repeats"
    )
    if told.seconds:
        line += f", in a median of {seconds_text(statistics.median(told.seconds))} s"
    if len(told.seconds) > 1:
        line += f" ({seconds_text(min(told.seconds))} to {seconds_text(max(told.seconds))})"
    return [line]


def _remarks(run: Run) -> list[str]:
    """Return what else must be known of a run's figures: its data, failures, contention, drift."""
    lines = []
    if run.identity.source == SYNTHETIC:
        lines.append(f"Data: synthetic; its accuracy is not that of {run.config.facts.title}")
    elif not run.identity.canonical:
        lines.append(f"Data: {run.identity.source} is not the published {run.config.facts.title}")
    lines += [
        f"Repeat {record.turn.repeat} {record.status}: {record.reason}"
        for record in run.repeats
        if record.status != STATUS_OK
    ]
    return [*lines, *filter(None, (contention_text(run), drift_text(run)))]


def _readable(name: str, value: object) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**10:.0f} KiB"
    return str(value)


class PlainProgress:
    """One line for each repeat, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        """Lines go to `console`."""
        self._console = console
        self._first_start: float | None = None
        self._turns = 0
        self._done = 0

    def __enter__(self) -> PlainProgress:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is left to clear."""

    def __call__(self, event: object) -> None:
        """Receive an event of the benchmark."""
        if isinstance(event, Downloading) and not event.done_bytes:
            self._console.print(_download_text(event), highlight=False)
        elif isinstance(event, TurnStarted):
            self._first_start = self._first_start or time.monotonic()
            self._turns = event.turns
        elif isinstance(event, TurnEnded):
            self._done += 1
            self._console.print(self._line(event), highlight=False, soft_wrap=True)
        elif isinstance(event, HistoryRow | StopRequested | Gauging):
            self._console.print(_event_text(event), highlight=False, soft_wrap=True)
        elif isinstance(event, News):
            self._console.print(event.text, highlight=False, soft_wrap=True)

    def _line(self, event: TurnEnded) -> str:
        elapsed = time.monotonic() - (self._first_start or 0.0)
        left = elapsed / self._done * (self._turns - self._done)
        return f"[{self._done}/{self._turns}] {turn_text(event)}, about {left:.0f} s left"


class BarProgress:
    """A bar over repeats and one over the epochs of the running one, for a terminal."""

    def __init__(self, console: Console) -> None:
        """Bars are drawn on `console`."""
        # Twice a second: drawing more often would take time from what is measured.
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=False),
            TextColumn("{task.fields[note]}"),
            console=console,
            refresh_per_second=2,
            transient=True,
        )
        self._turns: TaskID | None = None
        self._epochs: TaskID | None = None
        self._download: TaskID | None = None

    def __enter__(self) -> BarProgress:
        """Start drawing."""
        self._progress.start()
        self._progress.print("Loading the framework and the data ...", highlight=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing and clear the bars."""
        self._progress.stop()

    def __call__(self, event: object) -> None:
        """Receive an event of the benchmark."""
        if isinstance(event, Downloading):
            self._show_download(event)
        elif isinstance(event, PhaseRecord) and self._download is not None:
            self._progress.remove_task(self._download)
            self._download = None
        elif isinstance(event, TurnStarted):
            self._start_turn(event)
        elif isinstance(event, EpochEnded) and self._epochs is not None:
            self._progress.update(self._epochs, completed=event.epoch)
        elif isinstance(event, TurnEnded) and self._turns is not None:
            self._progress.advance(self._turns)
            self._progress.print(turn_text(event), highlight=False)
        elif isinstance(event, HistoryRow | StopRequested | Gauging):
            self._progress.print(_event_text(event), highlight=False)
        elif isinstance(event, News):
            self._progress.print(event.text, highlight=False)

    def _show_download(self, event: Downloading) -> None:
        if self._download is None:
            total = event.total_bytes // _MEGABYTE
            self._download = self._progress.add_task("download", total=total, note="")
        self._progress.update(
            self._download, completed=event.done_bytes // _MEGABYTE, note=f"MB of {event.title}"
        )

    def _start_turn(self, event: TurnStarted) -> None:
        if self._turns is None:
            self._turns = self._progress.add_task(
                "repeats", total=event.turns, note="", visible=event.turns > 1
            )
        if self._epochs is not None:
            self._progress.remove_task(self._epochs)
        self._progress.update(self._turns, total=event.turns, note=event.config)
        note = event.config if event.turns == 1 else ""
        self._epochs = self._progress.add_task("epochs", total=event.epochs, note=note)


def progress_on(console: Console) -> BarProgress | PlainProgress:
    """Return bars for a terminal, and lines for everything else."""
    return BarProgress(console) if console.is_terminal else PlainProgress(console)


def _download_text(event: Downloading) -> str:
    return f"Downloading {event.title}, {event.total_bytes // _MEGABYTE} MB ..."


def _event_text(event: HistoryRow | StopRequested | Gauging) -> str:
    if isinstance(event, Gauging):
        return f"Measuring this machine's peak, {event.moment} the repeats ..."
    if isinstance(event, StopRequested):
        return "Stopping; what the finished epochs taught is kept. Ctrl-C again: stop at once."
    text = f"epoch {event.epoch}: loss {event.loss:.4f}, accuracy {event.accuracy:.4f}"
    if event.val_loss is not None and event.val_accuracy is not None:
        text += f", validation loss {event.val_loss:.4f}, accuracy {event.val_accuracy:.4f}"
    return f"{text}, {event.seconds:.1f} s"


def turn_text(event: TurnEnded) -> str:
    """Return what a repeat measured, in one line."""
    turn, record = event.record.turn, event.record
    which = f"warm-up {turn.repeat}" if turn.is_warmup else f"repeat {turn.repeat}"
    if record.status != STATUS_OK:
        return f"{event.config} {which}: {record.status}, {record.reason}"
    main = TRAIN if any(phase.phase == TRAIN for phase in record.phases) else TEST
    seconds = next(phase.seconds for phase in record.phases if phase.phase == main)
    split, accuracy = next(
        (m.name.split("_")[0], m.value)
        for m in record.metrics
        if m.name in ("test_accuracy", "train_accuracy")
    )
    times = f"{main} {seconds_text(seconds)} s"
    mark = ", contended" if record.is_contended else ""
    return f"{event.config} {which}: {times}, {split} accuracy {accuracy:.4f}{mark}"
