"""What the speed of a machine is measured by: one registry for `peak` and the calibration.

The kernels themselves are in `workload_kernels.py`, which only measuring processes import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["matmul", "convolution", "copy", "dispatch"]

FLOPS = "FLOP/s"
BYTES = "bytes/s"
CALLS = "calls/s"

IMAGES = 32
"""Images in a convolution's batch."""
SIDE = 28
"""Height and width of a convolution's images, in pixels."""
KERNEL = 3

_SMALLEST_COPY_BYTES = 1 << 26
_GPU_COPY_BYTES = 1 << 30
_CACHES_COPIED = 2


@dataclass(frozen=True)
class Workload:
    """One kind of work whose rate is measured."""

    name: str
    title: str
    kind: Kind
    dtype: str
    unit: str
    """Of its rate."""
    cpu_sizes: tuple[int, ...] = ()
    """Sizes that `peak` tries: side of the square matrices; channels of a convolution, in and out;
    calls in a row. Empty where it is not measured, or the size depends on the machine."""
    gpu_sizes: tuple[int, ...] = ()
    calibration_sizes: Mapping[str, int] | None = None
    """Device to the size of the calibration; None if it is no part of it."""

    def amount(self, size: int) -> int:
        """Return what one call of that size computes or moves, in the rate's unit x seconds."""
        if self.kind == "matmul":
            return 2 * size**3
        if self.kind == "convolution":
            return 2 * IMAGES * SIDE**2 * KERNEL**2 * size**2
        return 2 * size if self.kind == "copy" else size


@dataclass(frozen=True)
class Point:
    """A workload at one size."""

    workload: Workload
    size: int


_CPU_SIDES, _GPU_SIDES = (512, 1024, 2048), (2048, 4096, 8192)
_CPU_CHANNELS, _GPU_CHANNELS = (32, 64, 128), (128, 256, 512)

MATMUL_FLOAT32 = Workload(
    "matmul-float32", "matrix product, float32", "matmul", "float32", FLOPS,
    _CPU_SIDES, _GPU_SIDES, {"cpu": 1024, "gpu": 4096},
)  # fmt: skip
MATMUL_BFLOAT16 = Workload(
    "matmul-bfloat16", "matrix product, bfloat16", "matmul", "bfloat16", FLOPS,
    _CPU_SIDES, _GPU_SIDES,
)  # fmt: skip
# TensorFlow has no quick float16 for CPUs, and nobody trains in it there.
MATMUL_FLOAT16 = Workload(
    "matmul-float16", "matrix product, float16", "matmul", "float16", FLOPS, (), _GPU_SIDES
)
CONVOLUTION_FLOAT32 = Workload(
    "convolution-float32", "convolution, float32", "convolution", "float32", FLOPS,
    _CPU_CHANNELS, _GPU_CHANNELS, {"cpu": 64, "gpu": 256},
)  # fmt: skip
CONVOLUTION_BFLOAT16 = Workload(
    "convolution-bfloat16", "convolution, bfloat16", "convolution", "bfloat16", FLOPS,
    _CPU_CHANNELS, _GPU_CHANNELS,
)  # fmt: skip
COPY = Workload("memory-copy", "memory copy", "copy", "float32", BYTES, calibration_sizes={})
DISPATCH = Workload(
    "dispatch", "small operations from Python", "dispatch", "float32", CALLS,
    (200,), (200,), {"cpu": 200, "gpu": 200},
)  # fmt: skip

WORKLOADS = (
    MATMUL_FLOAT32, MATMUL_BFLOAT16, MATMUL_FLOAT16, CONVOLUTION_FLOAT32, CONVOLUTION_BFLOAT16,
    COPY, DISPATCH,
)  # fmt: skip

MATRIX_PRODUCT_OF = {
    "float32": MATMUL_FLOAT32,
    "mixed_bfloat16": MATMUL_BFLOAT16,
    "mixed_float16": MATMUL_FLOAT16,
}
"""Keras's precision policy to the matrix product that is its peak."""


def peak_points(device: str, cache_bytes: int | None) -> tuple[Point, ...]:
    """Return what `peak` measures on a device; `cache_bytes` is the CPU's last-level cache."""
    points = []
    for workload in WORKLOADS:
        sizes = workload.gpu_sizes if device == "gpu" else workload.cpu_sizes
        if workload is COPY:
            sizes = (copy_size(device, cache_bytes),)
        points += [Point(workload, size) for size in sizes]
    return tuple(points)


def calibration_points(device: str, cache_bytes: int | None) -> tuple[Point, ...]:
    """Return the short ones that every benchmark measures too, a single size of each."""
    points = []
    for workload in WORKLOADS:
        if workload.calibration_sizes is not None:
            size = workload.calibration_sizes.get(device) or copy_size(device, cache_bytes)
            points.append(Point(workload, size))
    return tuple(points)


def copy_size(device: str, cache_bytes: int | None) -> int:
    """Return the bytes to copy: source and target together are four caches, or more."""
    if device == "gpu":
        return _GPU_COPY_BYTES
    return max(_SMALLEST_COPY_BYTES, _CACHES_COPIED * (cache_bytes or 0))
