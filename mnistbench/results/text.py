"""What a file of text is written in, or what it is if it is no text."""

from __future__ import annotations

import codecs
from pathlib import Path

from mnistbench.errors import InputError

_HEAD_BYTES = 1 << 16
_MOST_BYTES = 64 << 20
"""Of a text that is read whole: half a million lines of a log."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TABLES = (
    (b"PK\x03\x04", "is a spreadsheet or another archive, not text", "save the table as CSV"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file", "get it: git lfs pull"),
    (b"<!doctype html", "is a web page, not the file", "download the file itself (Raw)"),
    (b"<html", "is a web page, not the file", "download the file itself (Raw)"),
)


def read_head(path: Path) -> bytes:
    """Return the first 64 KiB of a file; raise InputError if it cannot be read."""
    try:
        with path.open("rb") as source:
            return source.read(_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def encoding_of(path: Path, head: bytes, what: str) -> str:
    """Return the encoding of a file that begins with `head`: UTF-8 or UTF-16.

    Raises InputError, saying what the file is instead; `what` is the advice where nobody knows.
    """
    for beginning, problem, hint in _NO_TABLES:
        if head.lstrip()[: len(beginning)].lower() == beginning.lower():
            raise InputError(problem, source=path, hint=hint)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    if len(head) > 1 and (head[0] == 0) != (head[1] == 0):  # UTF-16 without its mark
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    line = head.partition(b"\n")[0]
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = len(line) == len(head) and error.start > len(line) - 4
        if not cut:
            raise InputError("is not text", source=path, hint=what) from None
    return "utf-8"


def read_text(path: Path, what: str) -> str:
    """Return a whole file as text, what is no character of its encoding replaced."""
    encoding = encoding_of(path, read_head(path), what)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None
    if len(content) > _MOST_BYTES:
        raise InputError(f"is longer than {_MOST_BYTES >> 20} MiB", source=path, hint=what)
    return content.decode(encoding, errors="replace")
