"""How long a training is by how much of Python's stack lies below it, all else equal.

    python benchmarks/stack_depth.py [--rounds 6] [--train-samples 1200]

The script of `mnist-cnn` as it stands, and called by a function whose frame is so many words large:
CPython 3.11 and later keep frames in chunks of 16 KB, and a loop that calls across the end of one
takes a new one from the kernel, and gives it back, with every call. Both of a pair are fresh
processes that train at the same time on one core, another one in every round, as in overhead.py.
Prints the page faults of `train`, of which each such call has one or two, and the processor seconds
over those of the script as it stands, with their 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import runpy
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mnistbench.analysis import stats
from mnistbench.machine.shares import cores
from mnistbench.measuring.interpreters import on_cores

SCRIPT = Path(__file__).parent / "seeds" / "mnist_cnn.py"
BELOW = "WORDS_BELOW"
WORDS = (0, 500, 1000, 1500)
"""Of 8 bytes. A chunk has 2,045."""


def run_below(words: int) -> None:
    """Run the script with a frame of so many words below it."""

    def call() -> None:
        runpy.run_path(str(SCRIPT), run_name="__main__")

    code = call.__code__
    call.__code__ = code.replace(co_stacksize=code.co_stacksize + words)
    sys.path.insert(0, str(SCRIPT.parent))
    call()


def pair(words: int, number: int, samples: int) -> list[dict[str, Any]]:
    """Return what the script tells of itself as it stands, and below it so many words."""
    everyone = cores()
    with on_cores(everyone[number % len(everyone)].threads[:1]):
        running = [
            subprocess.Popen(
                [sys.executable, file, "1", str(samples)], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env={**os.environ, "WAIT_BEFORE_TRAIN": "yes", BELOW: str(words)},
            )
            for file in (str(SCRIPT), __file__)
        ]  # fmt: skip
    for process in running:
        assert process.stderr
        while process.stderr.readline().strip() != "ready":
            assert process.poll() is None, "the script failed"
    for process in running:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.close()
    return [_told(process) for process in running]


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stderr
    said: dict[str, Any] = json.loads(process.stderr.read().strip().splitlines()[-1])
    process.wait()
    return said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--train-samples", type=int, default=1200)
    options = parser.parse_args()
    chance = random.Random(0)
    found: dict[int, list[list[dict[str, Any]]]] = {words: [] for words in WORDS}
    for number in range(options.rounds):
        for words in chance.sample(WORDS, len(WORDS)):
            found[words].append(pair(words, number, options.train_samples))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    print(f"Python {platform.python_version()}, n = {options.rounds}\n")
    print("| words below | page faults | the script's | processor time over the script's |")
    print("|---:|---:|---:|---:|")
    for words, pairs in found.items():
        its, own = (np.array([each[side]["cpu_seconds"]["train"] for each in pairs])
                    for side in (0, 1))  # fmt: skip
        faults = [median(each[side]["page_faults"]["train"] for each in pairs) for side in (1, 0)]
        over = stats.paired_ratio(its, own, 0.95)
        print(f"| {words:,} | {faults[0]:,.0f} | {faults[1]:,.0f} "
              f"| {over.ratio:.3f} [{over.low:.3f}, {over.high:.3f}] |")  # fmt: skip


if __name__ == "__main__":
    if BELOW in os.environ:
        run_below(int(os.environ[BELOW]))
    else:
        main()
