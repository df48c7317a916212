"""Standard streams that take anything: closed ones, readers that leave, text that is no text."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

from mnistbench.errors import StreamError, visible

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NOBODY_READS = (errno.EPIPE, errno.EIO)
"""A pipe whose reader has left, and a terminal that is gone."""


class VisibleText(io.TextIOWrapper):
    """The one gate for what goes out: control characters in text are shown, not obeyed."""

    def write(self, text: str, /) -> int:
        """Write a text with its control characters made visible."""
        super().write(visible(text))
        return len(text)

    def write_as_it_is(self, text: str) -> int:
        """Write what obeys nothing of the user's: the colours of a table, the bar of a progress."""
        return super().write(text)


class _Output(io.FileIO):
    """A stream whose reader may leave: what nobody reads any more is thrown away.

    So `mnistbench compare A B | head -1` ends in its verdict's exit code, and a benchmark whose
    output is not read to its end is measured to its end.
    """

    def write(self, content: ReadableBuffer, /) -> int:
        """Write to the reader; raise StreamError, once, where standard output's disk is full."""
        try:
            return super().write(content)
        except OSError as error:
            number = self.fileno()
            self._write_to_nowhere()
            # A measurement must not end because nobody can be told how it goes.
            if error.errno in _NOBODY_READS or number != 1:
                return len(memoryview(content).cast("B"))
            raise StreamError(
                f"standard output cannot be written: {error.strerror}; send it elsewhere"
            ) from None

    def _write_to_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


class _Kept(io.RawIOBase):
    """Bytes in memory, which whoever gave them reads when the stream is gone."""

    def __init__(self, content: io.BytesIO) -> None:
        self._content = content

    def writable(self) -> bool:
        return True

    def write(self, content: ReadableBuffer, /) -> int:
        return self._content.write(content)


def open_streams() -> None:
    """Make standard streams that take anything: they may be closed, or their reader may leave."""
    for number in (0, 1, 2):
        if not _is_open(number):  # `>&-`: the next file opened would take its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, VisibleText):
            setattr(sys, name, _gate(stream))


def _gate(stream: io.TextIOWrapper) -> VisibleText:
    stream.flush()
    raw: io.RawIOBase
    if isinstance(stream.buffer, io.BytesIO):
        raw = _Kept(stream.buffer)
    else:
        raw = _Output(stream.fileno(), "w", closefd=False)
    return VisibleText(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",  # a terminal may be unable to show a letter
        line_buffering=stream.line_buffering,
    )


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
