"""The file formats that images come in; each reader returns the four arrays by name."""

from __future__ import annotations

import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mnistbench.data.archives import GZIP_MAGIC, is_archive
from mnistbench.data.arrays import ARRAY_NAMES, Arrays
from mnistbench.data.cifar_files import is_cifar_folder, read_cifar_archive, read_cifar_folder
from mnistbench.data.file_kinds import ZIP, file_kind, instead_of, kind_of
from mnistbench.data.limits import (
    MOST_ARRAY_BYTES,
    TooLargeError,
    Unpacked,
    beyond_memory,
    check_shape,
    open_zip,
)
from mnistbench.errors import InputError

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""The official names, http://yann.lecun.com/exdb/mnist; some copies write a dot for `-idx`."""

_IDX_UINT8 = 8
_MOST_IDX_HEADER = 4 + 4 * 255

_NPZ_FORM = f"give a Keras .npz: np.savez of {', '.join(ARRAY_NAMES)}"
_AGAIN = "fetch the file again"

# What a flipped byte makes of a zip: an unknown compression, a password.
_NPZ_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OverflowError,
    tokenize.TokenError, SyntaxError, TypeError, ValueError, LookupError, struct.error,
)  # fmt: skip


def read_npz(path: Path) -> Arrays:
    """Read x_train, y_train, x_test and y_test from a NumPy archive; pickles are refused."""
    if file_kind(path) != ZIP:
        problem, remedy = instead_of(path, "a NumPy archive (.npz)", _NPZ_FORM)
        raise InputError(problem, source=path, hint=remedy)
    try:
        with open_zip(path) as archive:
            _check_members(path, archive)
            return {name: _member(path, archive, name) for name in ARRAY_NAMES}
    except _NPZ_DAMAGE:
        raise InputError(
            "is a damaged NumPy archive, or was cut short", source=path, hint="fetch the file again"
        ) from None
    except MemoryError:  # a flipped byte makes sizes, too
        raise beyond_memory(path) from None


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    members = archive.namelist()
    missing = [name for name in ARRAY_NAMES if f"{name}.npy" not in members]
    if not missing:
        return
    if not any(member.endswith(".npy") for member in members):
        raise InputError(
            "is a zip archive without a NumPy array",
            source=path,
            hint=f"unpack it and give the folder, or {_NPZ_FORM}",
        )
    held = ", ".join(member.removesuffix(".npy") for member in members[:6])
    raise InputError(
        f"lacks the arrays {', '.join(missing)}; it holds {held}", source=path, hint=_NPZ_FORM
    )


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> npt.NDArray[np.generic]:
    with archive.open(f"{name}.npy") as file:
        shape, dtype = _claimed(file)
    if dtype.hasobject:
        raise InputError(
            f"{name} holds Python objects, not numbers",
            source=path,
            hint="save it from arrays of whole numbers, of dtype uint8",
        )
    check_shape(shape, max(1, dtype.itemsize), name, path)
    with archive.open(f"{name}.npy") as file:
        array: npt.NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _claimed(file: IO[bytes]) -> tuple[Sequence[object], np.dtype[Any]]:
    """Return the shape and the type that an array claims, before any room is made for it."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    return shape, dtype


def read_idx_folder(path: Path) -> Arrays:
    """Read the four IDX files of a folder, each plain or gzipped.

    The format: http://yann.lecun.com/exdb/mnist, "FILE FORMATS FOR THE MNIST DATABASE".
    """
    return {name: _read_idx(_idx_file(path, name)) for name in ARRAY_NAMES}


def _idx_file(folder: Path, name: str) -> Path:
    official = IDX_FILES[name]
    for stem in (official, official.replace("-idx", ".idx")):
        for candidate in (folder / stem, folder / f"{stem}.gz"):
            if candidate.is_file():
                return candidate
    raise InputError(
        f"the file {official} (or {official}.gz) is missing", source=folder, field="dataset.path"
    )


def _read_idx(file: Path) -> npt.NDArray[np.uint8]:
    with file.open("rb") as packed:
        begins_as_gzip = packed.read(2) == GZIP_MAGIC
        packed.seek(0)
        if not begins_as_gzip:
            return _read_idx_stream(packed, file)
        try:
            unpacked = io.BufferedReader(Unpacked(packed, MOST_ARRAY_BYTES + _MOST_IDX_HEADER))
            return _read_idx_stream(unpacked, file)
        except TooLargeError as error:
            raise InputError(f"is no IDX file: {error}", source=file, hint=_AGAIN) from None
        except (EOFError, zlib.error):
            raise InputError(
                "is a damaged gzip file, or was cut short", source=file, hint=_AGAIN
            ) from None


def _read_idx_stream(stream: IO[bytes], file: Path) -> npt.NDArray[np.uint8]:
    """Read the header, and then no more than it says."""
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] != _IDX_UINT8:
        kind = kind_of(head + stream.read(1024))
        what = f"is {kind.name}, not an IDX file" if kind else "is no IDX file of bytes"
        raise InputError(what, source=file, hint=(kind and kind.remedy) or _AGAIN)
    dimensions = head[3]
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise InputError("is cut short, in its header", source=file, hint=_AGAIN)
    shape = struct.unpack(f">{dimensions}I", sizes)
    check_shape(shape, 1, "its header", file)
    content = stream.read(prod(shape) + 1)
    if len(content) != prod(shape):
        found = "more than that" if len(content) > prod(shape) else f"{len(content)}"
        raise InputError(
            f"holds {found} bytes of data where its header {shape} says {prod(shape)}: "
            "truncated or damaged",
            source=file,
            hint=_AGAIN,
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _is_npz(path: Path) -> bool:
    # By its name too: what is called .npz and is none is told so.
    return path.is_file() and (path.suffix.lower() == ".npz" or file_kind(path) == ZIP)


def _is_idx_folder(path: Path) -> bool:
    return path.is_dir() and any(
        "-ubyte" in entry.name and entry.name.startswith(("train", "t10k"))
        for entry in path.iterdir()
    )


READERS: list[tuple[Callable[[Path], bool], Callable[[Path], Arrays]]] = [
    (_is_npz, read_npz),
    (_is_idx_folder, read_idx_folder),
    (is_cifar_folder, read_cifar_folder),
    (is_archive, read_cifar_archive),
]
"""Each format: whether a path is of it, and its reader."""


def read_any(path: Path, accepted: str) -> Arrays:
    """Read a file or folder of any known format; `accepted` says in words what may be given.

    Raises InputError, naming the file, if it is missing, damaged, or of no known format.
    """
    try:
        reader = next((read for fits, read in READERS if fits(path)), None)
        if reader is None:
            problem, remedy = _not_found(path)
            raise InputError(problem, source=path, hint=remedy or f"give {accepted}")
        return reader(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def _not_found(path: Path) -> tuple[str, str]:
    """Return what is wrong with a path that no reader takes, and the remedy if it has its own."""
    if not path.exists():
        return "no such file or folder", ""
    if path.is_dir():
        return "a folder without the files of a data set", ""
    kind = file_kind(path)
    return (f"is {kind.name}, no data set", kind.remedy) if kind else ("of no known format", "")
