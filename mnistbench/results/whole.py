"""Files written whole or not at all: a crash, or a full disk, leaves the old one or the new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name beside `path` to write to; what is there at the end takes the place of `path`.

    If the block raises, `path` is as it was. Raises OSError if it cannot be put in place.
    """
    # The ending stays: what writes may choose its format by it.
    partial = path.with_name(f".partial-{path.name}")
    try:
        yield partial
        with partial.open("rb+") as content:
            os.fsync(content.fileno())
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


def _sync_folder(folder: Path) -> None:
    """Bring the folder's new entry to the disk, where the system can."""
    with suppress(OSError):  # Windows opens no folder; some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
