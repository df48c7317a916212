"""Messages between the command and one measuring process, over two streams of bytes."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

BEGINNING = b"\0mnistbench\0"
"""What a process writes first: whatever came before it was said by somebody else."""


@dataclass(frozen=True)
class Hello:
    """The first message of a process: who it is."""

    package: str
    """The file that it loaded `mnistbench` from."""


@dataclass(frozen=True)
class Order:
    """The one thing that a process is asked to do."""

    work: bytes
    """The task and its argument, pickled: unpickled where the current folder is right."""
    log: str
    """The file that receives its standard error."""
    folder: str | None
    """The current folder of the command; None where it is gone."""
    environment: Mapping[str, str]
    """The whole environment: a forked process has that of its server's start."""


@dataclass(frozen=True)
class Finished:
    """The task returned."""

    value: object


@dataclass(frozen=True)
class Raised:
    """The task raised."""

    reason: str
    """One line."""
    is_input: bool
    """Whether what it was given is wrong."""


@dataclass(frozen=True)
class Stop:
    """The user asked for an early end."""


class Channel:
    """One end: whole objects in, whole objects out. Raises EOFError where the other end is gone."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes]) -> None:
        """Both are buffered; they are closed by `close`."""
        self._reader, self._writer = reader, writer

    def begin(self) -> None:
        """Say that what follows are messages."""
        self._writer.write(BEGINNING)

    def wait_for_beginning(self) -> None:
        """Pass over whatever the other end said before its messages."""
        window = b""
        while window != BEGINNING:
            byte = self._reader.read(1)
            if not byte:
                raise EOFError
            window = (window + byte)[-len(BEGINNING) :]

    def send(self, message: object) -> None:
        """Send an object; raise OSError where the other end is gone."""
        pickle.dump(message, self._writer, pickle.HIGHEST_PROTOCOL)
        self._writer.flush()

    def receive(self) -> object:
        """Return the next object; raise EOFError at the end, also in the middle of one."""
        try:
            message: object = pickle.load(self._reader)
        except (pickle.UnpicklingError, ConnectionResetError):  # cut short: its sender was killed
            raise EOFError from None
        return message

    def close(self) -> None:
        """Close both streams; what could not be sent is lost."""
        for stream in (self._writer, self._reader):
            with suppress(OSError):  # the other end is gone
                stream.close()
