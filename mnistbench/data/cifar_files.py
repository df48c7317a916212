"""CIFAR-10 as its authors publish it: the Python and the binary layout, as a folder or .tar.gz.

The layouts: https://www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout". Five training batches
and one test batch; an image is three planes (red, green, blue) of 32 rows of 32 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistbench.data.archives import archive_files, folder_files
from mnistbench.data.arrays import Arrays, Bytes
from mnistbench.data.file_kinds import PICKLE, kind_of
from mnistbench.data.pickles import PickledArray, PickleError, read_pickle
from mnistbench.errors import InputError

_SIDE = 32
_CHANNELS = 3
_IMAGE_BYTES = _CHANNELS * _SIDE * _SIDE
_CLASSES = 10

Batch = tuple[Bytes, npt.NDArray[np.generic]]
"""Images (n, 32, 32, 3), not contiguous, and labels (n,)."""


class _BatchError(ValueError):
    pass


@dataclass(frozen=True)
class Layout:
    """One of the two official layouts."""

    folder: str
    """The folder that the official archive unpacks to."""
    suffix: str
    """What the names of the six files end in."""
    decode: Callable[[bytes], Batch]
    """One file to its batch; raises ValueError."""

    @property
    def train_files(self) -> tuple[str, ...]:
        """Return the names of the training batches, in order."""
        return tuple(f"data_batch_{number}{self.suffix}" for number in range(1, 6))

    @property
    def test_file(self) -> str:
        """Return the name of the test batch."""
        return f"test_batch{self.suffix}"

    @property
    def files(self) -> tuple[str, ...]:
        """Return the names of all six."""
        return (*self.train_files, self.test_file)


def _decode_pickle(content: bytes) -> Batch:
    batch = read_pickle(content)
    if not isinstance(batch, dict):
        raise PickleError("no dictionary")
    images, labels = batch.get(b"data"), batch.get(b"labels")
    if not isinstance(images, PickledArray):
        raise PickleError("no array 'data'")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise PickleError("no list of whole numbers 'labels'")
    planes = images.array()
    if planes.ndim != 2 or planes.shape[1] != _IMAGE_BYTES:
        raise PickleError(f"'data' has shape {planes.shape}, not (n, {_IMAGE_BYTES})")
    if len(labels) != len(planes):
        raise PickleError(f"{len(labels)} labels for {len(planes)} images")
    return _images(planes), np.array(labels, np.int64)


def _decode_binary(content: bytes) -> Batch:
    record_bytes = 1 + _IMAGE_BYTES
    if len(content) % record_bytes:
        raise _BatchError(f"its {len(content)} bytes are no whole number of {record_bytes}")
    records = np.frombuffer(content, np.uint8).reshape(-1, record_bytes)
    return _images(records[:, 1:]), records[:, 0]


def _images(planes: Bytes) -> Bytes:
    images: Bytes = planes.reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return images


LAYOUTS = (
    Layout("cifar-10-batches-py", "", _decode_pickle),
    Layout("cifar-10-batches-bin", ".bin", _decode_binary),
)


def is_cifar_folder(path: Path) -> bool:
    """Return whether the folder, or an official one right inside it, holds a batch."""
    return path.is_dir() and _layout_of(path) is not None


def read_cifar_folder(path: Path) -> Arrays:
    """Read the six files of a folder in either layout; raise InputError, naming the file."""
    found = _layout_of(path)
    if found is None:
        raise InputError("a folder without the files of CIFAR-10", source=path)
    layout, folder = found
    return _read(folder, layout, folder_files(folder, layout.files))


def read_cifar_archive(path: Path) -> Arrays:
    """Read the six files of an archive in either layout; raise InputError, naming the file."""
    names = {name: layout for layout in LAYOUTS for name in layout.files}
    files = archive_files(path, names)
    first = next(files, None)
    if first is None:
        raise InputError(
            f"an archive without {LAYOUTS[0].files[0]} or {LAYOUTS[1].files[0]}", source=path
        )
    return _read(path, names[first[0]], _chained(first, files))


def _chained(
    first: tuple[str, bytes], rest: Iterable[tuple[str, bytes]]
) -> Iterable[tuple[str, bytes]]:
    yield first
    yield from rest


def _layout_of(path: Path) -> tuple[Layout, Path] | None:
    for layout in LAYOUTS:
        for folder in (path, path / layout.folder):
            if any((folder / name).is_file() for name in layout.files):
                return layout, folder
    return None


def _read(path: Path, layout: Layout, files: Iterable[tuple[str, bytes]]) -> Arrays:
    batches: dict[str, Batch] = {}
    for name, content in files:
        if name in layout.files:
            batches[name] = _decoded(path / name, layout, content)
    for name in layout.files:
        if name not in batches:
            raise InputError(f"the file {name} is missing", source=path)
    first = len(batches[layout.train_files[0]][0])
    for name in layout.train_files:
        if len(batches[name][0]) != first:
            raise InputError(
                f"holds {len(batches[name][0])} images, data_batch_1 {first}: truncated?",
                source=path / name,
            )
    train = [batches[name] for name in layout.train_files]
    x_test, y_test = batches[layout.test_file]
    return {
        "x_train": np.concatenate([images for images, _ in train]),
        "y_train": np.concatenate([labels for _, labels in train]),
        "x_test": np.ascontiguousarray(x_test),
        "y_test": y_test,
    }


def _decoded(file: Path, layout: Layout, content: bytes) -> Batch:
    try:
        images, labels = layout.decode(content)
        if not len(images):
            raise _BatchError("it holds no image")
        if labels.min() < 0 or labels.max() >= _CLASSES:
            raise _BatchError(f"labels from {labels.min()} to {labels.max()}")
    except ValueError as error:
        kind = kind_of(content[:1024])
        problem = f"truncated, damaged or no CIFAR-10 batch: {error}"
        if kind is not None and kind != PICKLE:
            problem = f"is {kind.name}, no CIFAR-10 batch"
        remedy = (kind and kind.remedy) or "fetch the file again"
        raise InputError(problem, source=file, hint=remedy) from None
    return images, labels
