"""Does mnistbench slow down what it times? Its phases against bare scripts, in pairs.

    python benchmarks/overhead.py [--config mnist-dense-512] [--pairs 10]

Each pair is one fresh process of either kind, in an order that alternates; the figure is the
median of the pairs' ratios with its 95 % interval. Then the one thing of ours that runs inside
`model.fit`, the epoch callback, is timed alone, and told as a share of the train phase.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from scipy.stats import quantile_test

HERE = Path(__file__).parent
SCRIPTS = {
    "mnist-dense": "mnist_dense.py",
    "mnist-dense-512": "mnist_dense_512.py",
    "mnist-dense-relu": "mnist_dense_relu.py",
}
PHASES = ("data-load", "compile", "train", "test")


def bare_seconds(config: str) -> dict[str, float]:
    command = [sys.executable, str(HERE / "seeds" / SCRIPTS[config]), "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds: dict[str, float] = json.loads(done.stderr.strip().splitlines()[-1])["seconds"]
    return seconds


def our_seconds(config: str, output: str) -> dict[str, float]:
    command = [sys.executable, "-m", "mnistbench", "benchmark", config, "--quiet",
               "--format", "csv", "--output", output, "--set", "training.epochs=1"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    table = csv.DictReader(done.stdout.splitlines())
    return {row["phase"]: float(row["seconds"]) for row in table if row["seconds"]}


def measured_pairs(config: str, pairs: int) -> list[tuple[dict[str, float], dict[str, float]]]:
    measured = []
    with tempfile.TemporaryDirectory() as output:
        for number in range(pairs):
            if number % 2:
                ours, bare = our_seconds(config, output), bare_seconds(config)
            else:
                bare, ours = bare_seconds(config), our_seconds(config, output)
            measured.append((ours, bare))
            print(f"pair {number + 1}: train {ours['train']:.3f} s, bare {bare['train']:.3f} s")
    return measured


def ratio_line(name: str, ratios: Sequence[float]) -> str:
    low, high = quantile_test(ratios, q=1, p=0.5).confidence_interval(0.95)
    return f"{name:<10} median ratio {median(ratios):.3f}, 95 % interval {low:.3f} to {high:.3f}"


def callback_seconds(epochs: int, steps: int) -> float:
    """Return what the callback takes in a training of so many epochs and steps."""
    from mnistbench.measuring.inside.measures import EpochClock

    clock = EpochClock(lambda event: None)
    start = time.perf_counter()
    for epoch in range(epochs):
        clock.on_epoch_begin(epoch)
        for step in range(steps):
            clock.on_train_batch_begin(step)
            clock.on_train_batch_end(step)
        clock.on_epoch_end(epoch)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", choices=SCRIPTS, default="mnist-dense-512")
    parser.add_argument("--pairs", type=int, default=10)
    options = parser.parse_args()
    measured = measured_pairs(options.config, options.pairs)
    for phase in PHASES:
        print(ratio_line(phase, [ours[phase] / bare[phase] for ours, bare in measured]))
    steps = 15_000 if options.config == "mnist-dense" else 469
    train = median(ours["train"] for ours, _ in measured)
    cost = median(callback_seconds(1, steps) for _ in range(5))
    print(f"callback   {cost * 1e3:.2f} ms an epoch, {cost / train:.3%} of the train phase")


if __name__ == "__main__":
    main()
