"""What a sweep needs of whoever measures its points elsewhere: Slurm, Dask, or a test's own."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from mnistbench.config.frameworks import install_command
from mnistbench.errors import InputError
from mnistbench.results.folder import RunFolder
from mnistbench.results.tables import LAUNCHED
from mnistbench.session.sweep.launchers import LAUNCHERS, Launcher


@dataclass(frozen=True)
class Launch:
    """What the user wants of a launcher."""

    name: str
    """An entry of `LAUNCHERS` that is not this process."""
    given: tuple[str, ...] = ()
    """`KEY=VALUE`s, checked."""
    parallel: int | None = None
    """Points that may be measured at a time; None for as many as there is room for."""
    detach: bool = False
    """Whether the command ends as soon as the points are given away."""


@dataclass(frozen=True)
class TaskState:
    """A task that has not ended."""

    job: str
    """The engine's own name for it."""
    state: Literal["waits", "runs"]
    details: str = ""
    """Where it runs, or what it waits for, in the engine's words."""


class Engine(Protocol):
    """Starts tasks elsewhere, each a fresh process of mnistbench that measures one point."""

    poll_seconds: float
    """How often it may be asked."""

    def submit(self, numbers: Sequence[int]) -> str:
        """Begin a task for each of these points; return one line that says what was begun.

        Raises InputError or RunError where the engine refuses.
        """

    def states(self) -> dict[int, TaskState]:
        """Return the tasks that have not ended, by their point's number."""

    def endings(self) -> dict[int, str]:
        """Return how tasks have ended that left nothing whole, as far as is known, by point."""

    def cancel(self, *, waiting_only: bool) -> None:
        """End the tasks, or those that have not begun."""

    def close(self) -> None:
        """Let go of the engine."""


@dataclass
class Launched:
    """What of a sweep was given away, kept in its folder."""

    launch: Launch
    jobs: dict[str, int] = field(default_factory=dict)
    """The engine's name of each task, and the number of its point."""

    def write(self, folder: Path) -> None:
        """Keep it; raise OutputError if it cannot be."""
        content = {
            "launcher": self.launch.name,
            "launch": self.launch.given,
            "parallel": self.launch.parallel,
            "jobs": self.jobs,
        }
        RunFolder(folder).write(LAUNCHED, json.dumps(content, indent=1) + "\n")


EngineOf = Callable[[Launched], Engine]
"""What gives the points of a sweep away; tests give their own."""


def read_launched(folder: Path) -> Launched | None:
    """Return what of a sweep was given away; None where nothing was. Raises InputError."""
    file = folder / LAUNCHED
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        launch = Launch(content["launcher"], tuple(content["launch"]), content["parallel"])
        jobs = {str(job): int(number) for job, number in content["jobs"].items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            "is damaged", source=file, hint="delete it: its jobs are forgotten"
        ) from None
    return Launched(launch, jobs)


def open_engine(folder: Path, launched: Launched, options: Sequence[str] = ()) -> Engine:
    """Return the engine of a sweep's folder; raise InputError where it cannot be used here.

    `options` are for the processes that measure.
    """
    module = _module(launched.launch.name)
    settings = settings_of(launched.launch.name, launched.launch.given)
    engine: Engine = module.Engine(folder.absolute(), launched, settings, tuple(options))
    return engine


def check_installed(name: str) -> None:
    """Raise InputError for a launcher whose package Python does not find."""
    launcher = _entry(name)
    if importlib.util.find_spec(launcher.package) is None:
        raise InputError(
            f"{name} needs {launcher.package}, which is not installed",
            source="--launcher",
            hint=f"install it with: {install_command(launcher.requirement)}",
        )


def detaches(name: str) -> bool:
    """Return whether a launcher's tasks go on when the command ends."""
    return _entry(name).detaches


def settings_of(name: str, given: Sequence[str]) -> Any:
    """Return the settings of a launcher from `KEY=VALUE`s; raise InputError."""
    from mnistbench.session.sweep.launchers.settings import checked

    settings: type[BaseModel] = _module(name).Settings
    return checked(name, settings, given)


def point_command(folder: Path, number: str, options: Sequence[str]) -> list[str]:
    """Return the command that measures one point of a sweep."""
    words = ["-m", "mnistbench", "sweep", "point", str(folder), number, "-q", *options]
    return [sys.executable, *words]


def _entry(name: str) -> Launcher:
    launcher = LAUNCHERS.get(name)
    if launcher is None:
        raise InputError(
            f"{name!r} is no launcher; allowed: {', '.join(LAUNCHERS)}", source="--launcher"
        )
    return launcher


def _module(name: str) -> Any:
    return importlib.import_module(f"{__package__}.{_entry(name).module}")
