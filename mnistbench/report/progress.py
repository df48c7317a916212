"""How far a session is: bars on a terminal, lines everywhere else."""

from __future__ import annotations

import sys
import time
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

from mnistbench.measuring.jobs import Downloading, EpochEnded, EpochLearnt, StopRequested
from mnistbench.measuring.partners import Ready
from mnistbench.report.event_texts import download_text, event_text, turn_text
from mnistbench.report.notebook import NotebookProgress
from mnistbench.results.phases import PhaseRecord, PhaseStarted
from mnistbench.results.phrases import duration
from mnistbench.results.rows import HistoryRow
from mnistbench.session.events import Event, Gauging, News, TurnEnded, TurnStarted

if sys.version_info >= (3, 11):
    from typing import assert_never
else:
    from typing_extensions import assert_never

_MEGABYTE = 1_000_000


class PlainProgress:
    """One line for each repeat, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        """Lines go to `console`."""
        self._console = console
        self._first_start = 0.0
        self._turns = 0

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

    def __call__(self, event: Event) -> None:
        """Print a line for what a log should tell."""
        match event:
            case Downloading():
                if not event.done_bytes:
                    self._print(download_text(event))
            case TurnStarted():
                if not event.done:
                    self._first_start = time.monotonic()
                self._turns = event.turns
            case TurnEnded():
                self._print(self._line(event))
            case HistoryRow() | StopRequested() | Gauging() | News():
                self._print(event_text(event))
            case PhaseStarted() | PhaseRecord() | EpochEnded() | EpochLearnt() | Ready():
                pass
            case _:
                assert_never(event)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)

    def _line(self, event: TurnEnded) -> str:
        elapsed = time.monotonic() - self._first_start
        left = elapsed / event.done * (self._turns - event.done)
        return f"[{event.done}/{self._turns}] {turn_text(event)}, about {duration(left)} left"


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

    def __call__(self, event: Event) -> None:
        """Move the bars, and print above them what a log would tell."""
        match event:
            case Downloading():
                self._show_download(event)
            case PhaseRecord():
                self._end_download()
            case TurnStarted():
                self._start_turn(event)
            case EpochEnded():
                if self._epochs is not None:
                    self._progress.update(self._epochs, completed=event.epoch)
            case TurnEnded():
                if self._turns is not None:
                    self._progress.update(self._turns, completed=event.done)
                self._progress.print(turn_text(event), highlight=False)
            case HistoryRow() | StopRequested() | Gauging() | News():
                self._progress.print(event_text(event), highlight=False)
            case PhaseStarted() | EpochLearnt() | Ready():
                pass
            case _:
                assert_never(event)

    def _show_download(self, event: Downloading) -> None:
        if self._download is None:
            total = event.total_bytes // _MEGABYTE
            self._download = self._progress.add_task("download", total=total, note="")
        self._progress.update(
            self._download, completed=event.done_bytes // _MEGABYTE, note=f"MB of {event.title}"
        )

    def _end_download(self) -> None:
        if self._download is not None:
            self._progress.remove_task(self._download)
            self._download = None

    def _start_turn(self, event: TurnStarted) -> None:
        if self._turns is None:
            self._turns = self._progress.add_task(
                "repeats", total=event.turns, note="", visible=event.turns > 1
            )
        elif not event.done:  # another session, with a time of its own
            self._progress.reset(self._turns, visible=event.turns > 1)
        if self._epochs is not None:
            self._progress.remove_task(self._epochs)
        self._progress.update(self._turns, total=event.turns, note=event.config)
        note = event.config if event.turns == 1 else ""
        self._epochs = self._progress.add_task("epochs", total=event.epochs, note=note)


def progress_on(console: Console) -> BarProgress | PlainProgress | NotebookProgress:
    """Return bars for a terminal or a notebook, and lines for everything else."""
    if console.is_jupyter:
        return NotebookProgress()
    return BarProgress(console) if console.is_terminal else PlainProgress(console)
