"""How small a change a duet sees on this machine, beside plain interleaving, and how often it errs.

    python benchmarks/duets.py [--rounds 60] [--load none|training|bursts] [--epochs 10 11]
                               [--output results/duets]

Measures a config against itself and against a longer training, each as a duet and interleaved, all
four in turn, a fifth of the rounds at a time, so that what the machine does meanwhile falls on all
alike. The truth of the longer one is known: so many epochs more, each as long as a later one of the
equal pairs. Then comparisons of 5, 10 and 20 pairs are drawn
from each series and judged as `compare --phase train` judges: how often equal things are called
different, how often the interval holds the truth, and how often the slowdown is called one.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import stats
from mnistbench.analysis.comparison import Rules
from mnistbench.analysis.pairing import without_halves
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.session.benchmark import BenchmarkPlan, BenchmarkResult, run_benchmark

SIZES = (5, 10, 20)
DRAWS = 4_000
PARTS = 5
FIELDS = ("design", "pair", "round", "base_seconds", "new_seconds", "base_cpu_seconds",
          "new_cpu_seconds", "base_epoch_seconds", "new_epoch_seconds", "steal_share",
          "other_cpu_share")  # fmt: skip

TRAINS = (
    "import os, subprocess, sys\n"
    "parent = os.getppid()\n"
    "while os.getppid() == parent:\n"
    "    subprocess.run([sys.executable, '-m', 'mnistbench', 'benchmark', 'mnist-dense-512',\n"
    "        '--set', 'training.epochs=10', '--no-calibrate', '-q', '--output', sys.argv[1]],\n"
    "        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
)
BURSTS = (
    "import os, random, time\n"
    "parent = os.getppid()\n"
    "draw = random.Random(7)\n"
    "while os.getppid() == parent:\n"  # whatever ends the benchmark ends its load
    "    end = time.monotonic() + draw.uniform(0.1, 2.0)\n"
    "    while time.monotonic() < end:\n"
    "        pass\n"
    "    time.sleep(draw.uniform(0.1, 3.0))\n"
)


@dataclass(frozen=True)
class Series:
    """Pairs of one design: seconds of the train phase, in the order measured."""

    design: str
    """`duet` or `interleaved`."""
    pair: str
    """`equal` or `longer`."""
    truth: float
    """The ratio NEW / BASE that the interval should hold."""
    rounds: npt.NDArray[np.int64]
    base: npt.NDArray[np.float64]
    new: npt.NDArray[np.float64]


@contextmanager
def load_of(kind: str, scratch: Path) -> Iterator[None]:
    """Keep something else busy on the machine meanwhile."""
    if kind == "none":
        yield
        return
    script = {"training": TRAINS, "bursts": BURSTS}[kind]
    process = subprocess.Popen([sys.executable, "-c", script, str(scratch)], start_new_session=True)
    try:
        time.sleep(5)
        yield
    finally:
        process.kill()
        process.wait()


def measured(
    configs: tuple[RunConfig, RunConfig], rounds: int, duet: bool, output: Path
) -> BenchmarkResult:
    plan = BenchmarkPlan(configs, rounds, 1, output, calibrate=False, duet=duet)
    result = run_benchmark(plan, lambda event: None)
    if result.interrupted or result.failures:
        raise SystemExit("interrupted, or a repeat failed")
    return result


def rows_of(result: BenchmarkResult, design: str, pair: str, first: int) -> Iterator[list[object]]:
    for before, after in zip(result.runs[0].repeats, result.runs[1].repeats, strict=True):
        phases = [{p.phase: p for p in record.phases}["train"] for record in (before, after)]
        metrics = [{m.name: m.value for m in record.metrics} for record in (before, after)]
        epochs = [_steady_epoch_seconds(each) for each in metrics]
        yield [
            design, pair, first + before.turn.repeat, *(p.seconds for p in phases),
            *(p.cpu_seconds for p in phases), *epochs, metrics[0].get("steal_share"),
            metrics[0].get("other_cpu_share"),
        ]  # fmt: skip


def _steady_epoch_seconds(metrics: dict[str, object]) -> float:
    """Return the median epoch after the first, which costs more."""
    later = [
        float(str(value))
        for name, value in metrics.items()
        if (match := re.fullmatch(r"epoch_(\d+)_seconds", name)) and int(match[1]) > 1
    ]
    return float(np.median(later))


def collect(arguments: argparse.Namespace) -> None:
    settings = [*arguments.set, "training.execution=fused"]
    short, long = (
        load_config(arguments.config, [*settings, f"training.epochs={epochs}"])
        for epochs in arguments.epochs
    )
    scratch = arguments.output / "runs"
    with arguments.table.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(FIELDS)
        each = math.ceil(arguments.rounds / PARTS)
        with load_of(arguments.load, arguments.output / "load"):
            for part in range(PARTS):
                series = [(d, p) for d in ("duet", "interleaved") for p in ("equal", "longer")]
                random.Random(part).shuffle(series)
                for design, pair in series:
                    configs = (short, long if pair == "longer" else short)
                    result = measured(configs, each, design == "duet", scratch)
                    writer.writerows(rows_of(result, design, pair, part * each))
                    text.flush()
                    print(f"part {part + 1} of {PARTS}: {design}, {pair}", file=sys.stderr)


def read(table: Path, epochs: Sequence[int]) -> list[Series]:
    with table.open(newline="") as text:
        rows = list(csv.DictReader(text))
    series = []
    for design in ("duet", "interleaved"):
        for pair in ("equal", "longer"):
            own = [row for row in rows if (row["design"], row["pair"]) == (design, pair)]
            truth = 1.0 if pair == "equal" else _truth(rows, design, epochs)
            columns = ([float(row[f"{side}_seconds"]) for row in own] for side in ("base", "new"))
            numbers = np.array([int(row["round"]) for row in own])
            series.append(Series(design, pair, truth, numbers, *map(np.array, columns)))
    return series


def _truth(rows: Sequence[dict[str, str]], design: str, epochs: Sequence[int]) -> float:
    """Return the ratio of the longer training: a later epoch as often more as it has more of them.

    From the equal pairs of the design, so that what is judged has no say in its own truth; of each
    design apart, as half of the cores compile for longer than all of them.
    """
    own = [row for row in rows if (row["pair"], row["design"]) == ("equal", design)]
    more = epochs[1] - epochs[0]
    added = [
        more * float(row[f"{side}_epoch_seconds"]) / float(row[f"{side}_seconds"])
        for row in own
        for side in ("base", "new")
    ]
    return 1 + float(np.mean(added))


def judged(series: Series, n: int, draw: np.random.Generator) -> tuple[float, float, float]:
    """Return the shares of drawn comparisons that call it different, hold the truth, find it."""
    is_duet = series.design == "duet"
    pairs = [_drawn(series, n, draw) for _ in range(DRAWS)]
    base, new = (np.array(side) for side in zip(*pairs, strict=True))
    intervals = stats.paired_ratio(base, new, 0.95, removed=int(is_duet))
    verdicts = stats.verdicts(intervals, Rules().margin)
    different = np.isin(verdicts, (stats.FASTER, stats.SLOWER)).mean()
    holds = ((intervals.low <= series.truth) & (series.truth <= intervals.high)).mean()
    return float(different), float(holds), float((verdicts == stats.SLOWER).mean())


def _drawn(
    series: Series, n: int, draw: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return n pairs as one comparison would have them: of a duet, as many of either half."""
    if series.design == "duet":
        odd, even = (np.flatnonzero(series.rounds % 2 == parity) for parity in (1, 0))
        halves = (odd, (n + 1) // 2), (even, n // 2)
        chosen = np.concatenate([draw.choice(side, k, replace=False) for side, k in halves])
    else:
        chosen = draw.choice(len(series.base), n, replace=False)
    base, new = series.base[chosen], series.new[chosen]
    if draw.random() < 0.5 and series.pair == "equal":
        base, new = new, base  # nobody can say which of two equal things is BASE
    if series.design == "duet":
        base, new = without_halves(base, new, series.rounds[chosen])
    return base, new


def report(table: Path, epochs: Sequence[int], load: str) -> None:
    draw = np.random.default_rng(42)
    series = read(table, epochs)
    print(f"{os.cpu_count()} cores, load: {load}; {len(series[0].base)} pairs of each\n")
    print("| design | pair | truth | sd of log ratio | n | called different | holds the truth | "
          "slowdown found |")  # fmt: skip
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for one in series:
        changes = np.log(one.new / one.base)
        if one.design == "duet":
            changes = np.log(np.divide(*reversed(without_halves(one.base, one.new, one.rounds))))
        for n in SIZES:
            if n > len(one.base) - 1:
                continue
            different, holds, slower = judged(one, n, draw)
            found = f"{slower:.1%}" if one.pair == "longer" else ""
            alarms = f"{different:.1%}" if one.pair == "equal" else ""
            print(f"| {one.design} | {one.pair} | {one.truth:.3f} | {changes.std(ddof=1):.3f} | "
                  f"{n} | {alarms} | {holds:.1%} | {found} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="mnist-dense-relu")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--epochs", type=int, nargs=2, default=(10, 11))
    parser.add_argument("--load", choices=("none", "training", "bursts"), default="none")
    parser.add_argument("--output", type=Path, default=Path("results/duets"))
    parser.add_argument("--read", type=Path, help="measure nothing: judge this table")
    arguments = parser.parse_args()
    if arguments.read:
        report(arguments.read, arguments.epochs, arguments.load)
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    arguments.table = arguments.output / f"duets-{arguments.load}.csv"
    collect(arguments)
    report(arguments.table, arguments.epochs, arguments.load)


if __name__ == "__main__":
    main()
