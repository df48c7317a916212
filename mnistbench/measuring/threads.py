"""A thread that begins, or says that it cannot."""

from __future__ import annotations

import weakref
from _thread import start_new_thread
from collections.abc import Callable
from threading import Event

_LOOKED_EVERY_SECONDS = 0.1


class _Token:
    """What a thread holds for as long as there is one."""


def start_thread(work: Callable[[], None]) -> Event:
    """Run this in a thread that ends with the process; return what is set at its end.

    `threading.Thread.start` waits for ever for a thread that died for want of memory before its
    first line; this raises MemoryError then.
    """
    began, ended = Event(), Event()
    token = _Token()
    held = weakref.ref(token)

    def run(token: _Token) -> None:
        began.set()
        try:
            work()
        finally:
            ended.set()

    try:
        start_new_thread(run, (token,))
    except RuntimeError as error:  # "can't start new thread"
        raise MemoryError(str(error)) from None
    del token
    while not began.wait(_LOOKED_EVERY_SECONDS):
        if held() is None and not began.is_set():
            raise MemoryError("no thread can be started")
    return ended
