"""What a session needs of whoever runs its tasks: real processes, a cluster's, or a test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from mnistbench.measuring.jobs import Answer, Listener

StartMethod = Literal["auto", "fork", "spawn"]
Task = Callable[[Any, Listener], Any]


class TaskFailure(Exception):  # noqa: N818  an outcome to record, not the command's error
    """A measuring process did not finish its task."""

    def __init__(self, status: str, reason: str) -> None:
        """`status` is `failed` or `killed:SIGNAL`; `reason` is one line for the user."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Executor(Protocol):
    """Runs one task after the other, each in a fresh process."""

    @property
    def forks(self) -> bool:
        """Return whether its processes share the import of the framework."""

    @property
    def startup_text(self) -> str:
        """Return what the framework wrote where that import is shared; empty before it."""

    def run(
        self,
        task: Task,
        argument: object,
        log: Path,
        tell: Listener,
        stops_on_interrupt: bool = False,
        answer: Answer | None = None,
    ) -> Any:
        """Run `task(argument, tell)` and return its value.

        Its standard error is appended to `log`. What it tells is told here; `answer` says what
        is sent back to it. With
        `stops_on_interrupt`, the first Ctrl-C is passed on to the task, which asks for it with
        `stop_requested`; the second, as any without it, raises KeyboardInterrupt.
        Raises TaskFailure if it fails or is killed, InputError where what it was given is wrong,
        and RunError where no process could be had.
        """

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of this process and of all its processes that have ended.

        None where that is not known.
        """
