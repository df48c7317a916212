"""The data-load phase of CIFAR-10 against numpy.fromfile of the same bytes, in turn.

usage: python benchmarks/data_load.py [PAIRS]      (the data must be in mnistbench's folder)
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import numpy as np

from mnistbench import data
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.measuring.clock import PhaseClock
from mnistbench.results.phases import DATA_LOAD

LIMIT = 1.2


def main(pairs: int) -> int:
    config = load_config("cifar10-dense")
    source = data.source_of(config)
    if source.kind != "store" or source.path is None:
        sys.exit("CIFAR-10 is not in mnistbench's folder: mnistbench data import PATH")
    files = [source.path / name for name in ("x_train", "y_train", "x_test", "y_test")]
    phase_seconds(config), fromfile_seconds(files)  # the disk's cache is warm for both
    ratios, ours, bare = [], [], []
    for number in range(pairs):
        if number % 2:
            ours.append(phase_seconds(config))
            bare.append(fromfile_seconds(files))
        else:
            bare.append(fromfile_seconds(files))
            ours.append(phase_seconds(config))
        ratios.append(ours[-1] / bare[-1])
    ratio = statistics.median(ratios)
    print(
        f"data-load {statistics.median(ours):.4f} s, numpy.fromfile {statistics.median(bare):.4f} s"
    )
    print(f"median ratio of {pairs} pairs: {ratio:.3f} (at most {LIMIT})")
    return int(ratio > LIMIT)


def phase_seconds(config: RunConfig) -> float:
    clock = PhaseClock(lambda event: None)
    with clock.phase(DATA_LOAD):
        dataset = data.load(config)
    del dataset
    return clock.records[DATA_LOAD].seconds or 0.0


def fromfile_seconds(files: list[Path]) -> float:
    start = time.perf_counter()
    arrays = [np.fromfile(file, np.uint8) for file in files]
    seconds = time.perf_counter() - start
    del arrays
    return seconds


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
