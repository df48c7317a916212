"""The arrays that every reader returns, and the digests that identify them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Arrays = dict[str, npt.NDArray[np.generic]]

ARRAY_NAMES = ("x_train", "y_train", "x_test", "y_test")

ALIGNMENT_BYTES = 64
"""An array from such an address can be lent to TensorFlow and JAX, others they copy."""


def can_be_lent(array: npt.NDArray[np.generic]) -> bool:
    """Return whether a framework can use the array where it lies; NumPy lends none read-only."""
    lies_well = array.flags.c_contiguous and array.ctypes.data % ALIGNMENT_BYTES == 0
    return bool(lies_well and array.flags.writeable)


def digests(arrays: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, str]:
    """Return array name to the sha256 of its C-order bytes."""
    return {
        name: hashlib.sha256(np.ascontiguousarray(arrays[name]).data).hexdigest()
        for name in ARRAY_NAMES
    }


def aligned_bytes(count: int) -> Bytes:
    """Return uint8 (count,), not filled, that starts where vector instructions want it."""
    room = np.empty(count + ALIGNMENT_BYTES, np.uint8)
    start = -room.ctypes.data % ALIGNMENT_BYTES
    return room[start : start + count]


def lent(array: Bytes) -> Bytes:
    """Return the array, or a copy of it, as a framework can use it where it lies."""
    if can_be_lent(array):
        return array
    copy = aligned_bytes(array.size).reshape(array.shape)
    copy[...] = array
    return copy
