"""mnistbench's own folder of data sets: decoded arrays that load as fast as the disk gives them.

A set is a folder: each array's bytes in a file of its own, and a manifest with their shapes and
digests. It is made whole beside its place and then renamed into it, so that no reader, and no
second writer, ever sees half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mnistbench.config.datasets import DatasetFacts
from mnistbench.config.temporary import remove_abandoned, temporary_folder
from mnistbench.data.arrays import ARRAY_NAMES, Arrays, aligned_bytes, digests
from mnistbench.errors import InputError, OutputError

FOLDER_VARIABLE = "MNISTBENCH_DATA"
"""Environment variable: the folder; left out, the platform's folder for caches."""

MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished"
"""In mnistbench's folder: sets being written; what a crash leaves of one is taken away."""


@dataclass(frozen=True)
class StoredArray:
    """What the manifest says of one array; its bytes are uint8 in C order."""

    file: Path
    shape: tuple[int, ...]
    sha256: str


def data_folder() -> Path:
    """Return mnistbench's folder of data sets; it need not exist."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("mnistbench", appauthor=False)


def stored(facts: DatasetFacts) -> Path | None:
    """Return the folder of a stored set; None if it is not there."""
    path = data_folder() / facts.name
    return path if (path / MANIFEST).is_file() else None


def read_store(path: Path) -> Arrays:
    """Read the arrays of a stored set.

    Raises InputError if a file is missing or has another size than the manifest says.
    """
    return {name: _read(array) for name, array in read_manifest(path).items()}


def read_manifest(path: Path) -> dict[str, StoredArray]:
    """Return what the manifest of a stored set says, by array; raise InputError."""
    manifest = path / MANIFEST
    try:
        arrays = json.loads(manifest.read_text(encoding="utf-8"))["arrays"]
        return {name: _stored_array(path / name, arrays[name]) for name in ARRAY_NAMES}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"damaged: {error}", source=manifest, hint=_anew(path)) from None


def put(facts: DatasetFacts, arrays: Arrays, origin: object) -> Path:
    """Store the arrays and return their folder; an intact set that is there already is kept.

    Raises InputError if they are not the published ones (`origin` is where they came from), and
    OutputError if they cannot be written.
    """
    check_published(facts, arrays, origin)
    target = data_folder() / facts.name
    unfinished = data_folder() / _UNFINISHED
    remove_abandoned(unfinished)
    if is_intact(target, facts.digests):
        return target
    remedy = f"choose another folder with {FOLDER_VARIABLE}=DIR"
    with temporary_folder(unfinished, remedy) as temporary:
        try:
            (temporary / facts.name).mkdir()
            _write(temporary / facts.name, facts, arrays)
            _move(temporary / facts.name, target)
        except OSError as error:
            raise OutputError(
                f"{target}: cannot be written: {error.strerror or error}; {remedy}"
            ) from None
    return target


def check_published(facts: DatasetFacts, arrays: Arrays, origin: object) -> None:
    """Raise InputError if the arrays are not the published ones."""
    if digests(arrays) != dict(facts.digests):
        raise InputError(
            f"not the published {facts.title}: its digests differ",
            source=origin,
            hint="a copy of your own trains by --set dataset.path=PATH",
        )


def is_intact(path: Path, expected: Mapping[str, str]) -> bool:
    """Return whether a stored set is whole and has these digests, all its bytes read."""
    try:
        return digests(read_store(path)) == dict(expected)
    except (InputError, OSError):
        return False


def _anew(folder: Path) -> str:
    return f"make it anew with mnistbench data fetch {folder.name}, or data import PATH"


def _stored_array(file: Path, entry: Mapping[str, Any]) -> StoredArray:
    shape = tuple(entry["shape"])
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{file.name} has the shape {shape}")
    return StoredArray(file, shape, str(entry["sha256"]))


def _read(array: StoredArray) -> np.ndarray[Any, Any]:
    try:
        found = array.file.stat().st_size
        if found != prod(array.shape):
            raise InputError(
                f"has {found} bytes, not {prod(array.shape)}: truncated or damaged",
                source=array.file,
                hint=_anew(array.file.parent),
            )
        content = aligned_bytes(found)
        with array.file.open("rb") as file:
            if file.readinto(content.data) != found:
                raise OSError("it became shorter while it was read")
        return content.reshape(array.shape)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}",
            source=array.file,
            hint=_anew(array.file.parent),
        ) from None


def _write(folder: Path, facts: DatasetFacts, arrays: Arrays) -> None:
    entries = {}
    for name in ARRAY_NAMES:
        with (folder / name).open("wb") as file:
            arrays[name].tofile(file)
            file.flush()
            os.fsync(file.fileno())
        entries[name] = {
            "dtype": "uint8", "shape": arrays[name].shape, "sha256": facts.digests[name],
        }  # fmt: skip
    text = json.dumps({"dataset": facts.name, "arrays": entries}, indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _move(temporary: Path, target: Path) -> None:
    """Rename into place; what was there is damaged, or another process's, just as good."""
    old = temporary.with_name(f"{temporary.name}-old")
    try:
        if target.exists():
            target.rename(old)
        temporary.rename(target)
    except FileNotFoundError:
        if not (target / MANIFEST).is_file():
            raise
    except OSError:
        # Two at once: the other's is complete, as everything here is renamed whole.
        if not (target / MANIFEST).is_file():
            raise
