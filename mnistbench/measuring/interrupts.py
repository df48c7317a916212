"""Ctrl-C, TERM and HUP, all of which ask for an end: passed on to a task, or held back a moment."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from mnistbench.errors import note_signal
from mnistbench.measuring.channel import Channel, Stop

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def passed_on(channel: Channel) -> Iterator[None]:
    """Let the first of them ask the task at the other end to stop; the second is as always."""
    before = _handlers()

    def pass_on(number: int, frame: FrameType | None) -> None:
        _set(before)
        note_signal(number)
        with suppress(OSError):  # it has just ended by itself
            channel.send(Stop())

    _set(dict.fromkeys(before, pass_on))
    try:
        yield
    finally:
        _set(before)


@contextmanager
def held_back() -> Iterator[None]:
    """Let the block, which is short, come to its end before the first of them has its effect.

    The second has it at once.
    """
    before = _handlers()
    came: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        came.append(number)
        _set(before)

    _set(dict.fromkeys(before, wait))
    try:
        yield
    finally:
        _set(before)
    if came:
        before[came[0]](came[0], sys._getframe())


def _handlers() -> dict[int, Callable[..., Any]]:
    """Return what is called at each of them; at an ignored one, or in a thread, nothing is."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {number: handler for number, handler in handlers.items() if callable(handler)}


def _set(handlers: dict[int, Callable[..., Any]]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
