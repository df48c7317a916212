"""What a file of images or of a model may claim to be: more is refused before it is read."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import IO

from mnistbench.errors import InputError

MOST_ARRAY_BYTES = 256 << 20
"""Of one array; the largest of a known data set has 154 MB."""
MOST_DIMENSIONS = 4
_MOST_DIRECTORY_BYTES = 256 << 10
"""Of the list of members at the end of a zip archive: some thousand."""
_MOST_GZIP_MEMBERS = 100
_CHUNK = 1 << 16

_END_OF_ZIP = struct.Struct("<4s4H2LH")
_END_OF_ZIP_MARK = b"PK\5\6"
_LONGEST_COMMENT = 0xFFFF


class TooLargeError(ValueError):
    """A file unpacks to more than it can hold."""


def check_shape(shape: Sequence[object], item_bytes: int, what: str, source: object) -> None:
    """Raise InputError for an array that no data set has, by what its header claims."""
    sizes = [size for size in shape if type(size) is int and size >= 0]
    if len(sizes) < len(shape):
        raise InputError(f"{what} claims the shape {shape!r}: damaged", source=source)
    if len(shape) > MOST_DIMENSIONS:
        raise InputError(
            f"{what} claims {len(shape)} dimensions; {MOST_DIMENSIONS} is the most", source=source
        )
    size = prod(size or 1 for size in sizes) * item_bytes  # as NumPy reckons, for empty ones too
    if size > MOST_ARRAY_BYTES:
        raise InputError(
            f"{what} claims {size:,} bytes, shape {tuple(shape)}; "
            f"{MOST_ARRAY_BYTES >> 20} MiB is the most",
            source=source,
        )


def beyond_memory(path: Path) -> InputError:
    """Return what to raise where a file's own sizes ask for more memory than there is."""
    return InputError(
        "asks for more memory than there is, or is damaged",
        source=path,
        hint="free some memory, or fetch the file again",
    )


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive whose list of members is of a sane length.

    Raises InputError for another one, BadZipFile for what is none, and OSError.
    """
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - _END_OF_ZIP.size - _LONGEST_COMMENT))
        tail = file.read()
    place = tail.rfind(_END_OF_ZIP_MARK)
    end = tail[place : place + _END_OF_ZIP.size]
    if place < 0 or len(end) < _END_OF_ZIP.size:
        raise zipfile.BadZipFile
    directory_bytes = _END_OF_ZIP.unpack(end)[5]
    if directory_bytes > _MOST_DIRECTORY_BYTES:
        raise InputError(
            f"is a zip archive whose list of members has {directory_bytes:,} bytes; "
            f"{_MOST_DIRECTORY_BYTES >> 10} KiB is the most",
            source=path,
        )
    return zipfile.ZipFile(path)


class Unpacked(io.RawIOBase):
    """The bytes of a gzip file, as they are asked for, up to a limit."""

    def __init__(self, file: IO[bytes], most_bytes: int) -> None:
        """`file` is read from where it is; it is closed by whoever opened it."""
        self._file, self._left = file, most_bytes
        self._most = most_bytes
        self._members = 0
        self._packed = b""
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._is_inside = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer; raise zlib.error, EOFError, or TooLargeError beyond the limit."""
        content = b""
        while not content and self._has_member():
            self._packed = self._packed or self._file.read(_CHUNK)
            is_end = not self._packed
            content = self._unpacker.decompress(self._packed, len(target))
            self._packed = self._unpacker.unconsumed_tail
            if self._unpacker.eof:
                self._packed, self._is_inside = self._unpacker.unused_data, False
            elif is_end and not content:
                raise EOFError("it was cut short")
        self._left -= len(content)
        if self._left < 0:
            raise TooLargeError(f"it unpacks to more than {self._most >> 20} MiB")
        target[: len(content)] = content
        return len(content)

    def _has_member(self) -> bool:
        """Return whether there is something to unpack, the next member begun if one has ended."""
        if self._is_inside:
            return True
        # What tape drives and some tools add.
        while not (packed := self._packed.lstrip(b"\0")):
            self._packed = self._file.read(_CHUNK)
            if not self._packed:
                return False
        self._packed, self._is_inside = packed, True
        self._members += 1
        if self._members > _MOST_GZIP_MEMBERS:
            raise TooLargeError(f"it has more than {_MOST_GZIP_MEMBERS} parts")
        self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return True
