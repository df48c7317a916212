"""What two processes measured at the same time say to each other, by way of the command."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ready:
    """From a process: it waits before a phase for the other one."""

    phase: str


@dataclass(frozen=True)
class Go:
    """To a process: both are before the phase."""

    phase: str


@dataclass(frozen=True)
class PartnerEnded:
    """To a process: the other one has ended its phase, or is gone."""

    phase: str
