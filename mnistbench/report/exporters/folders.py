"""Folders that an exporter writes: new ones, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mnistbench.errors import InputError
from mnistbench.results.whole import whole_folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write to that becomes `folder`; raise InputError if anything is there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("is there already", source=folder, hint="give a new folder: -o DIR")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(folder) as partial:
        yield partial
