"""What happens in a session, as whoever shows it is told: one union, and no other event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mnistbench.measuring.jobs import Message
from mnistbench.session.records import RepeatRecord, Turn


@dataclass(frozen=True)
class Gauging:
    """The machine's peak is about to be measured, which takes some seconds."""

    moment: str
    """`before` the first repeat or `after` the last."""


@dataclass(frozen=True)
class TurnStarted:
    """A repeat is about to begin."""

    config: str
    turn: Turn
    turns: int
    """Turns of the whole session, as far as can be told."""
    done: int
    """Those of them that have ended."""
    epochs: int


@dataclass(frozen=True)
class TurnEnded:
    """A repeat has ended and its rows are on the disk."""

    config: str
    record: RepeatRecord
    done: int
    """Turns of the session that have ended, this one included."""


@dataclass(frozen=True)
class News:
    """What a user wants to know while the session goes on."""

    text: str
    """One line."""


Event = Message | Gauging | TurnStarted | TurnEnded | News
"""All that a listener can be told: what measuring processes tell, and what the session does."""

Listener = Callable[[Event], None]
