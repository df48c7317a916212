"""Files and folders written whole or not at all: a crash leaves the old one or the new one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # Linux: paths are relative to the current folder; two change places


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; what is there at the end takes the place of `path`.

    If the block raises, `path` is as it was. Raises OSError if it cannot be put in place.
    """
    # The ending stays: what writes may choose its format by it.
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raise OSError."""
    with whole_file(path) as partial:
        partial.write_bytes(content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`; with what is in it at the end it takes its place.

    If the block raises, `path` is as it was. Raises OSError if it cannot be put in place.
    """
    path = path.resolve()  # a link goes on to point to it
    partial, before = (path.with_name(f".{word}-{path.name}") for word in ("partial", "replaced"))
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    try:
        partial.mkdir()
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                _sync(file)
        _take_place(partial, path, before)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    shutil.rmtree(before, ignore_errors=True)
    _sync_folder(path.parent)


def _take_place(partial: Path, path: Path, before: Path) -> None:
    """Put a folder where another may be, which becomes `partial`, or is kept as `before`."""
    if not path.exists():
        partial.replace(path)
        return
    if _change_places(partial, path):
        shutil.rmtree(partial, ignore_errors=True)
        return
    path.replace(before)
    try:
        partial.replace(path)
    except BaseException:
        before.replace(path)
        raise


def _change_places(one: Path, other: Path) -> bool:
    """Swap two folders at once, so that a crash leaves one or the other; False where none can."""
    if sys.platform != "linux":
        return False
    import ctypes

    try:
        swap = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):  # an older C library
        return False
    return bool(swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _sync(file: Path) -> None:
    with file.open("rb+") as content:
        os.fsync(content.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring the folder's new entry to the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folder; some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
