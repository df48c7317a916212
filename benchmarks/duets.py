"""How small a change a duet sees on this machine, beside plain interleaving, and how often it errs.

    python benchmarks/duets.py [--rounds 60] [--known-rounds 40] [--load none|training|bursts]
                               [--longer epochs|images] [--design one-core|duet|interleaved]
                               [--output results/duets] [--read TABLE]

Measures a config against itself, against a training of 11 epochs instead of 10, and of 2 % more
images, each on one core, as a duet and interleaved, all nine in turn, a fifth of the rounds at a
time, so that what the machine does meanwhile falls on all alike; `--longer` and `--design` leave
out the others. Their truth is known from the length of a later epoch of the equal pairs; that of
2 % more images from what twice the images take, measured in half as many pairs. Comparisons of 5,
10 and 20 pairs are drawn from each series and judged as `compare --phase train` judges: how often
equal things are called different, how often the interval holds the truth, and how often a slowdown
is called one; slowdowns of 2, 5 and 10 % are also made of the equal pairs, by scaling one side. The
table keeps the evidence beside every repeat: benchmarks/narrowing.py asks what of it explains the
pairs' differences.
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
from mnistbench.analysis.pairing import removed_of, without_halves
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.session.benchmark import BenchmarkPlan, BenchmarkResult, run_benchmark
from mnistbench.session.duet import way_at_once
from mnistbench.session.records import RepeatRecord

SIZES = (5, 10, 20)
DRAWS = 4_000
PARTS = 5
DESIGNS = ("one-core", "duet", "interleaved")
LONGER = ("epochs", "images")
EVIDENCE = (
    "repeat_wall_seconds", "other_cpu_seconds", "steal_seconds", "pressure_cpu_some_seconds",
    "context_switches_involuntary", "context_switches_voluntary", "page_faults_minor",
)  # fmt: skip
MEASURED = ("seconds", "cpu_seconds", "epoch_seconds", *EVIDENCE)
FIELDS = ("design", "pair", "round", *(f"{side}_{name}" for name in MEASURED
                                       for side in ("base", "new")))  # fmt: skip
EPOCHS = (10, 11)
MORE_IMAGES = 1.02
TWICE = "twice the images"
"""What tells what an image takes: an epoch has a part that does not grow with them."""
BATCH = 32
SCALED = (1.02, 1.05, 1.10)
MOST_PAIRS = 200

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
    "draw = random.Random(bool(os.fork()))\n"  # two of them, one for each core of a small machine
    "parent = os.getppid()\n"
    "while os.getppid() == parent:\n"  # whatever ends the benchmark ends its load
    "    end = time.monotonic() + draw.uniform(0.1, 2.0)\n"
    "    while time.monotonic() < end:\n"
    "        pass\n"
    "    time.sleep(draw.uniform(0.1, 3.0))\n"
)


@dataclass(frozen=True)
class Series:
    """Pairs of one design: seconds of the train phase (on one core of its processor), in the order
    measured."""

    design: str
    """`one-core`, `duet` or `interleaved`."""
    pair: str
    """`equal`, `epochs` or `images`."""
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
    configs: tuple[RunConfig, RunConfig], rounds: int, design: str, output: Path
) -> BenchmarkResult:
    at_once = way_at_once(design == "duet", design == "one-core")
    plan = BenchmarkPlan(configs, rounds, 1, output, calibrate=False, at_once=at_once)
    result = run_benchmark(plan, lambda event: None)
    if result.interrupted or result.failures:
        raise SystemExit("interrupted, or a repeat failed")
    return result


def rows_of(result: BenchmarkResult, design: str, pair: str, first: int) -> Iterator[list[object]]:
    for before, after in zip(result.runs[0].repeats, result.runs[1].repeats, strict=True):
        sides = [_measured(record) for record in (before, after)]
        cells = [side[name] for name in MEASURED for side in sides]
        yield [design, pair, first + before.turn.repeat, *cells]


def _measured(record: RepeatRecord) -> dict[str, object]:
    phase = next(phase for phase in record.phases if phase.phase == "train")
    metrics = {metric.name: metric.value for metric in record.metrics}
    return {
        "seconds": phase.seconds,
        "cpu_seconds": phase.cpu_seconds,
        "epoch_seconds": _steady_epoch_seconds(metrics),
        **{name: metrics[name] for name in EVIDENCE},
    }


def _steady_epoch_seconds(metrics: dict[str, object]) -> float:
    """Return the median epoch after the first, which costs more."""
    later = [
        float(str(value))
        for name, value in metrics.items()
        if (match := re.fullmatch(r"epoch_(\d+)_seconds", name)) and int(match[1]) > 1
    ]
    return float(np.median(later))


def collect(arguments: argparse.Namespace) -> None:
    configs = configs_of(arguments)
    scratch = arguments.output / "runs"
    with arguments.table.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(FIELDS)
        with load_of(arguments.load, arguments.output / "load"):
            for part in range(PARTS):
                rounds = rounds_of(arguments)
                series = [(design, pair) for design in arguments.design for pair in rounds]
                random.Random(part).shuffle(series)
                for design, pair in series:
                    each = math.ceil(rounds[pair] / PARTS)
                    result = measured(configs[pair], each, design, scratch)
                    writer.writerows(rows_of(result, design, pair, part * each))
                    text.flush()
                    print(f"part {part + 1} of {PARTS}: {design}, {pair}", file=sys.stderr)


def rounds_of(arguments: argparse.Namespace) -> dict[str, int]:
    """Return how many pairs of each kind to measure."""
    known = arguments.known_rounds
    rounds = {"equal": arguments.rounds, **dict.fromkeys(arguments.longer, known)}
    return {**rounds, TWICE: known // 2} if "images" in arguments.longer else rounds


def configs_of(arguments: argparse.Namespace) -> dict[str, tuple[RunConfig, RunConfig]]:
    """Return BASE and NEW of each pair."""

    def config(epochs: int, images: int) -> RunConfig:
        training = ["training.execution=fused", f"training.epochs={epochs}"]
        data = [f"dataset.train_samples={images}"]
        return load_config(arguments.config, [*arguments.set, *training, *data])

    base = config(EPOCHS[0], arguments.images)
    return {
        "equal": (base, base),
        "epochs": (base, config(EPOCHS[1], arguments.images)),
        "images": (base, config(EPOCHS[0], more_images(arguments.images))),
        TWICE: (base, config(EPOCHS[0], 2 * arguments.images)),
    }


def more_images(images: int) -> int:
    """Return 2 % more, in whole batches: a smaller last one is a program of its own to compile."""
    return round(images * MORE_IMAGES / BATCH) * BATCH


def read(table: Path, images: int) -> list[Series]:
    with table.open(newline="") as text:
        rows = list(csv.DictReader(text))
    series = []
    for design in DESIGNS:
        for pair in ("equal", *LONGER):
            own = _of(rows, design, pair)
            if not own:
                continue
            columns = (
                [float(row[f"{side}_{time_of(design)}"]) for row in own] for side in ("base", "new")
            )
            numbers = np.array([int(row["round"]) for row in own])
            truth = _truth(rows, design, pair, images)
            series.append(Series(design, pair, truth, numbers, *map(np.array, columns)))
    return series


def _truth(rows: Sequence[dict[str, str]], design: str, pair: str, images: int) -> float:
    """Return the ratio of the longer training: what it has more of, at the pace of a later epoch.

    From the equal pairs of the design, or those of twice the images, so that what is judged has no
    say in its own truth; of each design apart, as half of the cores compile for longer than all of
    them.
    """
    more = more_images(images) / images - 1
    twice = _of(rows, design, TWICE)
    if pair == "images" and twice:
        time = time_of(design)
        ratios = [float(row[f"new_{time}"]) / float(row[f"base_{time}"]) for row in twice]
        return 1 + more * (float(np.median(ratios)) - 1)
    epochs = {"equal": 0.0, "epochs": EPOCHS[1] - EPOCHS[0], "images": more * EPOCHS[0]}[pair]
    added = [
        epochs * float(row[f"{side}_epoch_seconds"]) / float(row[f"{side}_seconds"])
        for row in _of(rows, design, "equal")
        for side in ("base", "new")
    ]
    return 1 + float(np.median(added))


def _of(rows: Sequence[dict[str, str]], design: str, pair: str) -> list[dict[str, str]]:
    return [row for row in rows if (row["design"], row["pair"]) == (design, pair)]


def time_of(design: str) -> str:
    """Return the column that `compare` judges."""
    return "cpu_seconds" if design == "one-core" else "seconds"


def judged(
    series: Series, n: int, draw: np.random.Generator, scale: float = 1.0
) -> tuple[float, float, float]:
    """Return the shares of drawn comparisons that call it different, hold the truth, find it.

    `scale` makes a slowdown of known size, by as much longer times of one side.
    """
    pairs = [_drawn(series, n, draw) for _ in range(DRAWS)]
    base, new = (np.array(side) for side in zip(*pairs, strict=True))
    intervals = stats.paired_ratio(base, new * scale, 0.95, removed=removed_of(series.design))
    verdicts = stats.verdicts(intervals, Rules().margin)
    different = np.isin(verdicts, (stats.FASTER, stats.SLOWER)).mean()
    truth = series.truth * scale
    holds = ((intervals.low <= truth) & (truth <= intervals.high)).mean()
    return float(different), float(holds), float((verdicts == stats.SLOWER).mean())


def _drawn(
    series: Series, n: int, draw: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return n pairs as one comparison would have them: of a duet, as many of either half."""
    if removed_of(series.design):
        odd, even = (np.flatnonzero(series.rounds % 2 == parity) for parity in (1, 0))
        halves = (odd, (n + 1) // 2), (even, n // 2)
        chosen = np.concatenate([draw.choice(side, k, replace=False) for side, k in halves])
    else:
        chosen = draw.choice(len(series.base), n, replace=False)
    base, new = series.base[chosen], series.new[chosen]
    if draw.random() < 0.5 and series.pair == "equal":
        base, new = new, base  # nobody can say which of two equal things is BASE
    if removed_of(series.design):
        base, new = without_halves(base, new, series.rounds[chosen])
    return base, new


def report(table: Path, images: int, load: str) -> None:
    draw = np.random.default_rng(42)
    series = read(table, images)
    print(f"{os.cpu_count()} cores, load: {load}\n")
    print("| design | pair | pairs | truth | typical ratio | sd of log ratio | n | "
          "called different | holds the truth | slowdown found |")  # fmt: skip
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for one in series:
        changes = _changes(one)
        for n in (size for size in SIZES if size <= len(changes)):
            different, holds, slower = judged(one, n, draw)
            alarms = f"{different:.1%}" if one.pair == "equal" else ""
            slower_text = "" if one.pair == "equal" else f"{slower:.1%}"
            print(f"| {one.design} | {one.pair} | {len(one.base)} | {one.truth:.3f} | "
                  f"{np.exp(np.median(changes)):.3f} | {changes.std(ddof=1):.3f} | {n} | {alarms} "
                  f"| {holds:.1%} | {slower_text} |")  # fmt: skip
    print("\nSlowdowns made of the equal pairs: share found, margin 5 %; pairs that find 90 %, "
          "with a margin of half the slowdown\n")  # fmt: skip
    print("| design | slowdown | " + " | ".join(f"n = {n}" for n in SIZES) + " | pairs for 90 % |")
    print("|---|---:|" + "---:|" * len(SIZES) + "---:|")
    for one in (series for series in series if series.pair == "equal"):
        for scale in SCALED:
            shares = [
                f"{judged(one, n, draw, scale)[2]:.1%}" if n <= len(one.base) else "" for n in SIZES
            ]
            needed = pairs_needed(one, scale, draw)
            print(f"| {one.design} | {scale - 1:.0%} | {' | '.join(shares)} | {needed} |")


def _changes(series: Series) -> npt.NDArray[np.float64]:
    base, new = series.base, series.new
    if removed_of(series.design):
        base, new = without_halves(base, new, series.rounds)
    return np.log(new / base)


def pairs_needed(series: Series, scale: float, draw: np.random.Generator) -> str:
    """Return the fewest pairs of which 90 % of comparisons call the slowdown one.

    More pairs than were measured are drawn with replacement: an outlook, and no measurement.
    """
    margin = (scale - 1) / 2
    changes = _changes(series)
    for n in (4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, MOST_PAIRS):
        drawn = np.exp(draw.choice(changes, (DRAWS // 4, n)))
        signs = draw.choice((-1.0, 1.0), (DRAWS // 4, 1))
        new = drawn**signs * scale
        intervals = stats.paired_ratio(
            np.ones_like(new), new, 0.95, removed=removed_of(series.design)
        )
        if (stats.verdicts(intervals, margin) == stats.SLOWER).mean() >= 0.9:
            return str(n)
    return f"more than {MOST_PAIRS}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="mnist-dense-relu")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=60, help="of the equal pairs")
    parser.add_argument("--known-rounds", type=int, default=40, help="of the others")
    parser.add_argument("--longer", choices=LONGER, action="append", help="left out: both")
    parser.add_argument("--design", choices=DESIGNS, action="append", help="left out: all")
    parser.add_argument("--load", choices=("none", "training", "bursts"), default="none")
    parser.add_argument("--output", type=Path, default=Path("results/duets"))
    parser.add_argument("--read", type=Path, help="measure nothing: judge this table")
    arguments = parser.parse_args()
    arguments.longer, arguments.design = arguments.longer or LONGER, arguments.design or DESIGNS
    if arguments.read:
        report(arguments.read, arguments.images, arguments.load)
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    arguments.table = arguments.output / f"duets-{arguments.load}.csv"
    collect(arguments)
    report(arguments.table, arguments.images, arguments.load)


if __name__ == "__main__":
    main()
