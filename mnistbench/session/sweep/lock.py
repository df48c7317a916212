"""One sweep at a time in a folder, and the wish that it may end: both files that a crash frees."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnistbench.config.temporary import take
from mnistbench.errors import InputError
from mnistbench.results.folder import output_error

_LOCK = "running"
"""Held as long as the process lives, whatever ends it: its content says nothing."""
_STOP = "stop"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only one who measures in a sweep's folder; raise InputError if somebody does."""
    try:
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise output_error(folder / _LOCK, error) from None
    with file:
        try:
            take(file)
        except OSError:
            raise InputError(
                "a sweep is running in it", source=folder,
                hint=f"wait for it, or end it with mnistbench sweep stop {folder}",
            ) from None  # fmt: skip
        with suppress(FileNotFoundError):  # of somebody who asked the last one
            (folder / _STOP).unlink()
        yield


def is_running(folder: Path) -> bool:
    """Return whether a process measures in a sweep's folder now."""
    try:
        file = (folder / _LOCK).open("rb+")
    except OSError:
        return False
    with file:
        try:
            take(file)
        except OSError:
            return True
    return False


def ask_to_stop(folder: Path) -> None:
    """Let whoever measures in a sweep's folder end after the repeat that runs now."""
    try:
        descriptor = os.open(folder / _STOP, os.O_CREAT | os.O_WRONLY, 0o644)
    except OSError as error:
        raise output_error(folder / _STOP, error) from None
    os.close(descriptor)


def is_asked_to_stop(folder: Path) -> bool:
    """Return whether somebody asked for an end."""
    return (folder / _STOP).exists()
