"""What does memory cost that a virtual machine's host must first find? Linux only.

    python benchmarks/cold_memory.py [--pieces 24]

Touches piece after piece of fresh memory, 188 MB each (MNIST's images in float32, which is what a
training copies first), keeping all, so that every piece is another; then the same once more, of what
was just given back. On a machine of its own both cost the same.
"""

from __future__ import annotations

import argparse
import mmap
import time
from statistics import median

PIECE_BYTES = 188_160_000


def touch(pieces: int) -> list[float]:
    """Return the seconds of each piece; all is given back at the end."""
    kept, seconds = [], []
    for _ in range(pieces):
        started = time.perf_counter()
        piece = mmap.mmap(-1, PIECE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        piece.madvise(mmap.MADV_HUGEPAGE)
        for start in range(0, PIECE_BYTES, mmap.PAGESIZE):
            piece[start] = 1
        seconds.append(time.perf_counter() - started)
        kept.append(piece)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pieces", type=int, default=24)
    pieces = parser.parse_args().pieces
    print(f"seconds of a first touch of {PIECE_BYTES / 1e6:.0f} MB, {pieces} times\n")
    print("| | median | least | most |\n|---|---:|---:|---:|")
    for name in ("as it comes", "given back just now"):
        seconds = touch(pieces)
        print(f"| {name} | {median(seconds):.3f} | {min(seconds):.3f} | {max(seconds):.3f} |")


if __name__ == "__main__":
    main()
