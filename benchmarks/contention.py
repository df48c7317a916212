"""What does a busy neighbour cost, and is it seen? Repeats beside one of known appetite.

    python benchmarks/contention.py [--config mnist-dense] [--repeats 8] [--samples 10000]
                                    [--neighbours 1] [--change 5]

A process (with `--neighbours N` that many) works for a known share of one core's time and sleeps
the rest, a share drawn anew for each repeat, round by round; share 0 is the quiet machine. For
each: the share that the evidence saw, how many repeats were marked, and the train phase against
the quiet one of its round, with its 95 % interval. Then the share of others' CPU time at which the
train time has changed by `--change` percent, by Theil and Sen's slope over all repeats: that is
what `OTHERS_LIMIT` of `mnistbench/machine/evidence.py` stands for. Wants a machine that is quiet
otherwise. Last, the cost of a reading.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from scipy import stats

from mnistbench.analysis.stats import paired_ratio
from mnistbench.config.loading import load_config
from mnistbench.machine import readings
from mnistbench.machine.evidence import OTHERS_LIMIT, RULES
from mnistbench.results.phases import STATUS_OK, TRAIN
from mnistbench.session.benchmark import BenchmarkPlan, run_benchmark
from mnistbench.session.events import Event, TurnEnded, TurnStarted
from mnistbench.session.records import RepeatRecord

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
FEWEST_REPEATS = 5
SEED = 20261122

# Works for SHARE of every 20 ms, many times within any repeat.
NEIGHBOUR = """
import sys, time
share, period = float(sys.argv[1]), 0.02
while True:
    start = time.perf_counter()
    while time.perf_counter() - start < share * period:
        pass
    time.sleep(max(0.0, period - (time.perf_counter() - start)))
"""


class Neighbour:
    """Starts busy processes before a repeat and ends them after it: a listener of a benchmark."""

    def __init__(self, shares: list[float], neighbours: int) -> None:
        self._shares, self._neighbours = shares, neighbours
        self._running: list[subprocess.Popen[bytes]] = []
        self.records: dict[float, list[RepeatRecord]] = {share: [] for share in SHARES}

    def __call__(self, event: Event) -> None:
        if isinstance(event, TurnStarted) and not event.turn.is_warmup:
            share = self._shares[event.turn.repeat - 1]
            command = [sys.executable, "-c", NEIGHBOUR, str(share)]
            count = self._neighbours if share else 0
            self._running = [subprocess.Popen(command) for _ in range(count)]
            time.sleep(0.2)
        elif isinstance(event, TurnEnded) and not event.record.turn.is_warmup:
            for process in self._running:
                process.kill()
                process.wait()
            self._running = []
            share = self._shares[event.record.turn.repeat - 1]
            self.records[share].append(event.record)
            print(f"neighbour {share:.0%}: {train_seconds(event.record):.3f} s", file=sys.stderr)


def train_seconds(record: RepeatRecord) -> float:
    phase = next(phase for phase in record.phases if phase.phase == TRAIN)
    if phase.status != STATUS_OK or phase.seconds is None:
        raise SystemExit(f"repeat {record.turn.repeat} {record.status}: {record.reason}")
    return phase.seconds


def metric(record: RepeatRecord, name: str) -> float:
    return next(
        metric.value if isinstance(metric.value, float) else float("nan")
        for metric in record.metrics
        if metric.name == name
    )


def measured(
    config: str, samples: int, repeats: int, neighbours: int
) -> dict[float, list[RepeatRecord]]:
    order = random.Random(SEED)
    shares = [share for _ in range(repeats) for share in order.sample(SHARES, len(SHARES))]
    listener = Neighbour(shares, neighbours)
    fields = (f"dataset.train_samples={samples}", "training.epochs=1")
    with tempfile.TemporaryDirectory() as output:
        plan = BenchmarkPlan((load_config(config, fields),), len(shares), 1, Path(output))
        run_benchmark(plan, listener)
    return listener.records


def print_table(records: dict[float, list[RepeatRecord]]) -> None:
    quiet = np.array([train_seconds(record) for record in records[0.0]])
    limits = ", ".join(f"{rule.metric} {rule.limit:.0%}" for rule in RULES)
    print(f"\nContended from: {limits}. n = {len(quiet)} of each.\n")
    print(
        "| neighbour's share of a core | other_cpu_share seen | marked | train, s | against quiet |"
    )
    print("|---:|---:|---:|---:|---|")
    for share, group in records.items():
        seconds = np.array([train_seconds(record) for record in group])
        interval = paired_ratio(quiet, seconds, 0.95)
        change = f"{interval.ratio:.2f}x ({interval.low:.2f} to {interval.high:.2f})"
        seen = median(metric(record, "other_cpu_share") for record in group)
        marked = sum(record.is_contended for record in group)
        print(
            f"| {share:.0%} | {seen:.1%} | {marked} of {len(group)} | {np.median(seconds):.3f} "
            f"| {change if share else ''} |"
        )


def print_limit(records: dict[float, list[RepeatRecord]], change: float) -> None:
    """Print the share of others' CPU time that changes the train time by so much."""
    everything = [record for group in records.values() for record in group]
    seen = np.array([metric(record, "other_cpu_share") for record in everything])
    seconds = np.log([train_seconds(record) for record in everything])
    slope, _, low, high = stats.theilslopes(seconds, seen, 0.95)
    limit, surest, largest = (
        f"{math.log1p(change) / value:.1%}" if value > 0 else "no share"
        for value in (slope, high, low)
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"\n{change:.0%} slower from an other_cpu_share of {limit} (95 %: {surest} to {largest}), "
        f"n = {len(everything)}, {cores} cores. OTHERS_LIMIT is {OTHERS_LIMIT:.0%}."
    )


def print_cost() -> None:
    readings.take()
    costs = []
    for _ in range(200):
        start = time.perf_counter()
        readings.take()
        costs.append(1e3 * (time.perf_counter() - start))
    print(f"\nA reading takes {median(costs):.2f} ms (median of 200; longest {max(costs):.2f}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="mnist-dense")
    parser.add_argument("--repeats", type=int, default=8, help="of each share")
    parser.add_argument("--samples", type=int, default=10_000, help="training images")
    parser.add_argument("--neighbours", type=int, default=1, help="busy processes at once")
    parser.add_argument("--change", type=float, default=5.0, help="of the train time, percent")
    arguments = parser.parse_args()
    if arguments.repeats < FEWEST_REPEATS:
        parser.error(f"--repeats: {FEWEST_REPEATS} or more, or no interval says anything")
    start = time.perf_counter()
    records = measured(arguments.config, arguments.samples, arguments.repeats, arguments.neighbours)
    print_table(records)
    print_limit(records, arguments.change / 100)
    print_cost()
    print(f"\n{time.perf_counter() - start:.0f} s, {arguments.config}, seed {SEED}")


if __name__ == "__main__":
    main()
