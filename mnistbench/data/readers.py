"""The file formats that images come in; each reader returns the four arrays by name."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistbench.data.archives import GZIP_MAGIC, is_archive
from mnistbench.data.arrays import ARRAY_NAMES, Arrays
from mnistbench.data.cifar_files import is_cifar_folder, read_cifar_archive, read_cifar_folder
from mnistbench.data.file_kinds import ZIP, file_kind, instead_of, kind_of
from mnistbench.errors import InputError

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""The official names, http://yann.lecun.com/exdb/mnist; some copies write a dot for `-idx`."""

_IDX_UINT8 = 8

_NPZ_FORM = f"give a Keras .npz: np.savez of {', '.join(ARRAY_NAMES)}"
_AGAIN = "fetch the file again"

# What a flipped byte makes of a zip: an unknown compression, a password, a size beyond memory.
_NPZ_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OverflowError, MemoryError,
)  # fmt: skip


def read_npz(path: Path) -> Arrays:
    """Read x_train, y_train, x_test and y_test from a NumPy archive; pickles are refused."""
    if file_kind(path) != ZIP:
        problem, remedy = instead_of(path, "a NumPy archive (.npz)", _NPZ_FORM)
        raise InputError(problem, source=path, hint=remedy)
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive)
            return {name: _member(path, archive, name) for name in ARRAY_NAMES}
    except (*_NPZ_DAMAGE, ValueError, KeyError):
        raise InputError(
            "is a damaged NumPy archive, or was cut short", source=path, hint="fetch the file again"
        ) from None


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
        try:
            array: npt.NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
        except ValueError:
            if not _holds_objects(archive, name):
                raise
            raise InputError(
                f"{name} holds Python objects, not numbers",
                source=path,
                hint="save it from arrays of whole numbers, of dtype uint8",
            ) from None
    return array


def _holds_objects(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        return b"'|O'" in file.read(256)


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
    content = file.read_bytes()
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error):
            raise InputError(
                "is a damaged gzip file, or was cut short", source=file, hint=_AGAIN
            ) from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _IDX_UINT8:
        kind = kind_of(content)
        what = f"is {kind.name}, not an IDX file" if kind else "is no IDX file of bytes"
        raise InputError(what, source=file, hint=(kind and kind.remedy) or _AGAIN)
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise InputError("is cut short, in its header", source=file, hint=_AGAIN)
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != prod(shape):
        raise InputError(
            f"holds {len(content) - start} bytes of data where its header {shape} "
            f"says {prod(shape)}: truncated or damaged",
            source=file,
            hint=_AGAIN,
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


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
