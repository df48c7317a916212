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
from mnistbench.errors import InputError

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""The official names, http://yann.lecun.com/exdb/mnist; some copies write a dot for `-idx`."""

_IDX_UINT8 = 8

# What a flipped byte makes of a zip: an unknown compression, a password, a size beyond memory.
_NPZ_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OverflowError, MemoryError,
)  # fmt: skip


def read_npz(path: Path) -> Arrays:
    """Read x_train, y_train, x_test and y_test from a NumPy archive; pickles are refused."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds a single array")
        with loaded as archive:
            missing = [name for name in ARRAY_NAMES if name not in archive]
            if missing:
                raise InputError(
                    f"lacks the arrays {', '.join(missing)}",
                    source=path,
                    hint=f"a Keras .npz holds {', '.join(ARRAY_NAMES)}",
                )
            return {name: archive[name] for name in ARRAY_NAMES}
    except (*_NPZ_DAMAGE, ValueError, KeyError) as error:
        raise InputError(
            f"damaged or no NumPy archive: {error}", source=path, hint="fetch the file again"
        ) from None


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
        except (EOFError, OSError, zlib.error) as error:
            raise InputError(f"damaged gzip: {error}", source=file) from None
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _IDX_UINT8:
        raise InputError("not an IDX file of bytes", source=file)
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise InputError("truncated in its header", source=file)
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != prod(shape):
        raise InputError(
            f"holds {len(content) - start} bytes of data where its header {shape} "
            f"says {prod(shape)}: truncated or damaged",
            source=file,
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _is_npz(path: Path) -> bool:
    return path.is_file() and path.suffix == ".npz"


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
            raise InputError(_not_found(path), source=path, hint=f"give {accepted}")
        return reader(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def _not_found(path: Path) -> str:
    if not path.exists():
        return "no such file or folder"
    return "a folder without the files of a data set" if path.is_dir() else "of no known format"
