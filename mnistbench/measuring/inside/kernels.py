"""The kernels of the workloads, and their clock. Only measuring processes import this module."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from mnistbench.machine.clocks import clock_resolution_seconds
from mnistbench.machine.workloads import IMAGES, KERNEL, SIDE, Kind, Point
from mnistbench.measuring.inside.framework import backend
from mnistbench.measuring.jobs import RatesJob
from mnistbench.results.rows import Sample

_SAMPLE_SECONDS = 0.01  # a call shorter than this is made several times a sample
_SAMPLE_STEPS = 5  # of a clock so coarse that they last longer: one more or less is a fifth
_LONG_CALL_SECONDS = 0.03  # nothing is gained by a larger size: starting a call costs no share
_WARM_UP_CALLS = 2
_RANDOM_VALUES = 1_000_003  # repeated where more are needed

Kernel = Callable[[], object]


@dataclass(frozen=True)
class _Prepared:
    point: Point
    kernel: Kernel
    calls: int
    """In a row, for one sample."""


def run_rates(job: RatesJob) -> tuple[Sample, ...]:
    """Measure every point; raise InputError for a GPU that is not there."""
    device = backend().choose_device(job.device)
    backend().start()
    prepared = _all_prepared(job.points, device)
    return tuple(
        sample
        for _ in range(job.rounds)
        for one in prepared
        for sample in _samples(one, job.samples, job.seconds)
    )


def _all_prepared(points: Sequence[Point], device: str) -> list[_Prepared]:
    """Make every kernel and warm it up, but for sizes beyond one that is large enough."""
    seen_seconds = _SAMPLE_STEPS * clock_resolution_seconds()
    sample_seconds = max(_SAMPLE_SECONDS, seen_seconds)
    prepared: list[_Prepared] = []
    enough: set[str] = set()
    for point in points:
        if point.workload.name in enough:
            continue
        kernel = KERNELS[point.workload.kind](point, device)
        for _ in range(_WARM_UP_CALLS):
            calls, taken = _longer_than(seen_seconds, kernel, calls=1)
            once = taken / calls
        if once > _LONG_CALL_SECONDS:
            enough.add(point.workload.name)
        prepared.append(_Prepared(point, kernel, max(1, round(sample_seconds / once))))
    return prepared


def _longer_than(seconds: float, kernel: Kernel, calls: int) -> tuple[int, float]:
    """Return how many calls in a row, that many or more, take longer, and how long they took."""
    while (taken := _timed(kernel, calls)) <= seconds:
        calls *= 2
    return calls, taken


def _samples(prepared: _Prepared, samples: int, seconds: float) -> list[Sample]:
    """Return at least one sample; fewer than asked for if they take too long."""
    deadline = time.perf_counter() + seconds
    workload, size = prepared.point.workload, prepared.point.size
    prepared.kernel()  # its arrays may have left the caches since the round before
    found: list[Sample] = []
    while not found or (len(found) < samples and time.perf_counter() < deadline):
        calls, taken = _longer_than(0.0, prepared.kernel, prepared.calls)
        rate = calls * workload.amount(size) / taken
        found.append(Sample(workload.name, size, taken, rate, workload.unit))
    return found


def _timed(kernel: Kernel, calls: int) -> float:
    start = time.perf_counter_ns()
    for _ in range(calls):
        kernel()
    tf.test.experimental.sync_devices()
    return (time.perf_counter_ns() - start) / 1e9


def _matmul(point: Point, device: str) -> Kernel:
    left, right = (_random((point.size, point.size), point.workload.dtype) for _ in range(2))
    return lambda: tf.matmul(left, right)


def _convolution(point: Point, device: str) -> Kernel:
    images = _random((IMAGES, SIDE, SIDE, point.size), point.workload.dtype)
    weights = _random((KERNEL, KERNEL, point.size, point.size), point.workload.dtype)
    return lambda: tf.nn.conv2d(images, weights, strides=1, padding="SAME")


def _copy(point: Point, device: str) -> Kernel:
    """Return a copy from one array into another, by every processor this process may use.

    On a CPU not by TensorFlow: it takes a fresh array from the system for each result, and the
    system's work on new pages would be measured instead of the memory.
    """
    if device == "gpu":
        values = tf.ones((point.size // 4,), tf.float32)
        return lambda: tf.negative(values)
    threads = _usable_processors()
    source = np.array_split(np.ones(point.size, np.uint8), threads)
    target = np.array_split(np.zeros(point.size, np.uint8), threads)
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(np.copyto, target, source))


def _dispatch(point: Point, device: str) -> Kernel:
    one = tf.constant(1.0)

    def run() -> None:
        for _ in range(point.size):
            tf.add(one, one)

    return run


KERNELS: dict[Kind, Callable[[Point, str], Kernel]] = {
    "matmul": _matmul,
    "convolution": _convolution,
    "copy": _copy,
    "dispatch": _dispatch,
}
"""Each kind of work: makes its arrays, and returns what does it once."""


def _random(shape: tuple[int, ...], dtype: str) -> Any:
    # Zeros would cost a GPU less power, and so be multiplied faster, than what networks hold.
    values = np.random.default_rng(1).standard_normal(_RANDOM_VALUES, dtype=np.float32)
    return tf.cast(tf.constant(np.resize(values, shape)), dtype)


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
