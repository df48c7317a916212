"""One sweep at a time in a folder, and the wish that it may end: both files that a crash frees."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mnistbench.config.temporary import take
from mnistbench.errors import InputError
from mnistbench.results.folder import output_error

_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
"""What a system says of a lock that another holds; anything else: this disk has no locks."""
_PATIENCE_SECONDS = 0.2

_LOCK = "running"
"""Held as long as the process lives, whatever ends it: its content says nothing."""
_STOP = "stop"


def _take(file: IO[bytes]) -> bool:
    """Take a file's lock; return whether it was free. A disk without locks keeps nobody out."""
    try:
        take(file)
    except OSError as error:
        return error.errno not in _TAKEN
    return True


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only one who measures in a sweep's folder; raise InputError if somebody does."""
    try:
        file = (folder / _LOCK).open("ab")
    except OSError as error:
        raise output_error(folder / _LOCK, error) from None
    with file:
        if not _take(file):
            raise InputError(
                "a sweep is running in it", source=folder,
                hint=f"wait for it, or end it with mnistbench sweep stop {folder}",
            )  # fmt: skip
        with suppress(FileNotFoundError):  # of somebody who asked the last one
            (folder / _STOP).unlink()
        yield


@contextmanager
def turn_of(path: Path) -> Iterator[IO[bytes] | None]:
    """Wait for one's turn, of all who wait for it by the same file; give what holds it.

    None where a process started in it cannot inherit it.
    """
    with path.open("ab") as file:
        while not _take(file):
            time.sleep(_PATIENCE_SECONDS)
        yield None if sys.platform == "win32" else file


def is_running(folder: Path) -> bool:
    """Return whether a process measures in a sweep's folder now."""
    try:
        file = (folder / _LOCK).open("rb+")
    except OSError:
        return False
    with file:
        return not _take(file)


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
