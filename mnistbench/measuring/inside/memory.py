"""Memory that the host must first find, asked for before anything is timed.

A virtual machine's host takes free memory back within seconds. A page that it must find again
costs several times what any other first touch costs, and which phase pays for how many of them is
chance: it depends on what ran before, and on what a script happens to free. So a repeat touches as
much as it will need, gives it back, and finds the pages at the top of the kernel's heap.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path

import numpy as np

_CLEAR_REFS = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"
_MOST_LEARNT_FROM_BYTES = 32 * 2**20 - 2**16


def bring_in(size_bytes: int) -> float | None:
    """Touch so much memory, give it back, and return the seconds that it took.

    None where nothing was done: where this process's peak of memory, which is measured, could not
    be forgotten afterwards (Linux alone can), or where there is not so much.
    """
    started = time.perf_counter()
    try:
        _forget_peak()  # tried before: without it nothing may be touched
        # Private, in huge pages where there are any: as arrays are. The kernel keeps the free
        # memory of other kinds in other places.
        with mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(mmap.MADV_HUGEPAGE)
            for start in range(0, size_bytes, mmap.PAGESIZE):
                memory[start] = 1
        _forget_peak()
    except (AttributeError, OSError):  # not Linux, a kernel without huge pages; no such memory
        return None
    return time.perf_counter() - started


def drop_as_a_script_does() -> None:
    """Ask for an array of almost 32 MiB and let go of it, without touching it.

    glibc gives freed memory back to the kernel, and each step of a training asks for it anew, until
    something large has been let go of: then it keeps as much. A script lets go of such an array
    while it normalises its images (31 MB of MNIST's test split in float32, 31 MB of CIFAR-10's
    bytes); here no copy is made that could be dropped. From more than 32 MiB glibc learns nothing.
    """
    np.empty(_MOST_LEARNT_FROM_BYTES, np.uint8)


def _forget_peak() -> None:
    _CLEAR_REFS.write_text(_FORGET_PEAK)
