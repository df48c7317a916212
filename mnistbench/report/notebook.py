"""How far a session is, in a notebook: a bar that stays in the cell's output, and what was said."""

from __future__ import annotations

import html
import sys
import time
from types import TracebackType
from typing import Any

from mnistbench.measuring.jobs import Downloading, EpochEnded, EpochLearnt, StopRequested
from mnistbench.measuring.partners import Ready
from mnistbench.report.event_texts import event_text, turn_text
from mnistbench.results.phases import PhaseRecord, PhaseStarted
from mnistbench.results.rows import HistoryRow
from mnistbench.session.events import Event, Gauging, News, TurnEnded, TurnStarted

if sys.version_info >= (3, 11):
    from typing import assert_never
else:
    from typing_extensions import assert_never

_SECONDS_BETWEEN = 0.5
"""Of two epochs that are shown."""


class NotebookProgress:
    """A bar over the repeats and the epochs of each; what a log would tell stands below it.

    IPython shows it: rich's own bar needs ipywidgets, which not every notebook has.
    """

    def __init__(self) -> None:
        """Nothing is shown before it is entered."""
        self._handle: Any = None
        self._done = 0.0
        self._turns = 1
        self._epochs = 1
        self._note = "Loading the framework and the data ..."
        self._lines: list[str] = []
        self._shown = 0.0

    def __enter__(self) -> NotebookProgress:
        """Show the bar."""
        from IPython.display import display

        self._handle = display(self, display_id=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is, with what was said."""
        self._note = f"{int(self._done)} of {self._turns}" if self._lines else ""
        self._show()

    def __call__(self, event: Event) -> None:
        """Move the bar, and tell what a log would tell."""
        match event:
            case Downloading():
                megabytes = event.done_bytes // 1_000_000, event.total_bytes // 1_000_000
                self._note = f"Downloading {event.title}, {megabytes[0]} of {megabytes[1]} MB"
            case TurnStarted():
                self._turns, self._epochs = event.turns, event.epochs
                self._done, self._note = event.done, event.config
            case EpochEnded():
                self._note = f"epoch {event.epoch} of {self._epochs}"
                self._done = int(self._done) + min(event.epoch / self._epochs, 0.99)
                # Drawing more often would take time from what is measured.
                if time.monotonic() - self._shown < _SECONDS_BETWEEN:
                    return
            case TurnEnded():
                self._done = event.done
                self._lines.append(turn_text(event))
            case HistoryRow() | StopRequested() | Gauging() | News():
                self._lines.append(event_text(event))
            case PhaseStarted() | PhaseRecord() | EpochLearnt() | Ready():
                return
            case _:
                assert_never(event)
        self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        if self._handle is not None:
            self._handle.update(self)

    def _repr_html_(self) -> str:
        lines = html.escape("\n".join(self._lines))
        return (
            f'<progress max="{self._turns}" value="{self._done:.2f}"></progress> '
            f"{html.escape(self._note)}<pre>{lines}</pre>"
        )

    def __repr__(self) -> str:
        """Return the same as text, for what shows no HTML."""
        return "\n".join([f"{self._done:g} of {self._turns}: {self._note}", *self._lines])
