"""Does mnistbench slow down what it times? Its phases against a bare script of the same lesson.

    python benchmarks/overhead.py [--config mnist-dense-512] [--rounds 40] [--train-samples N]
                                  [--output results/overhead] [--read]

In each round, in an order drawn anew: the bare script, the bare script again, `mnistbench` with a
forked process and with a spawned one, each a fresh process for one epoch, on all cores, with its
standard output thrown away. Images have the type that the lesson's own lines give them. A table of
before is gone on with. The figures are ratios of the rounds' pairs with the 95 % interval that
`compare` uses; the script against itself shows what equal things differ by on this machine. Slow
runs, those that took 1.3 times the typical time of their kind, are counted beside. Then the one
thing of ours that runs inside `model.fit`, the epoch callback, is timed alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import psutil

from mnistbench.analysis import stats
from mnistbench.config.loading import load_config
from mnistbench.measuring.executor import StartMethod
from mnistbench.session.benchmark import BenchmarkPlan, run_benchmark

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Lesson:
    """A bare script, and what it trains on."""

    script: str
    image_dtype: str
    """What the script's own lines make of the bytes."""


LESSONS = {
    "mnist-dense": Lesson("mnist_dense.py", "float32"),
    "mnist-dense-512": Lesson("mnist_dense_512.py", "float32"),
    "mnist-dense-relu": Lesson("mnist_dense_relu.py", "float64"),
    "mnist-mlp": Lesson("mnist_mlp.py", "float64"),
    "mnist-cnn": Lesson("mnist_cnn.py", "float32"),
}
PHASES = ("data-load", "compile", "train", "test")
BARE, AGAIN, FORK, SPAWN, FLOAT32 = "bare", "bare again", "fork", "spawn", "fork, float32"
COLUMNS = (
    "config", "train_samples", "round", "place", "kind",
    *(f"{phase}_seconds" for phase in PHASES), "train_cpu_seconds", "steal_seconds",
)  # fmt: skip
SLOW = 1.3
"""A run that took so many times the typical time of its kind is a slow one."""

Row = dict[str, object]


def bare(options: argparse.Namespace) -> Row:
    script = str(HERE / "seeds" / LESSONS[options.config].script)
    command = [sys.executable, script, "1", *map(str, options.train_samples)]
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
    )
    told = json.loads(done.stderr.strip().splitlines()[-1])
    return _row(told["seconds"], told["cpu_seconds"]["train"])


def ours(options: argparse.Namespace, start_method: StartMethod, image_dtype: str) -> Row:
    settings = ["training.epochs=1", f"dataset.image_dtype={image_dtype}"]
    settings += [f"dataset.train_samples={count}" for count in options.train_samples]
    config = load_config(options.config, settings)
    with tempfile.TemporaryDirectory() as folder:
        plan = BenchmarkPlan((config,), 1, 0, Path(folder), start_method=start_method)
        result = run_benchmark(plan, lambda event: None)
    if result.interrupted or result.failures:
        raise SystemExit("interrupted, or a repeat failed")
    phases = {phase.phase: phase for phase in result.runs[0].repeats[0].phases}
    seconds = {name: phase.seconds for name, phase in phases.items()}
    return _row(seconds, phases["train"].cpu_seconds)


def _row(seconds: dict[str, object], train_cpu_seconds: object) -> Row:
    phases = {f"{phase}_seconds": seconds[phase] for phase in PHASES}
    return {**phases, "train_cpu_seconds": train_cpu_seconds}


def kinds(config: str) -> tuple[str, ...]:
    """Return what is measured in each round: where the lesson has float64, float32 beside it."""
    casts = LESSONS[config].image_dtype == "float64"
    return (BARE, AGAIN, FORK, SPAWN, *([FLOAT32] if casts else []))


def measured(kind: str, options: argparse.Namespace) -> Row:
    stolen = getattr(psutil.cpu_times(), "steal", 0.0)
    if kind in (BARE, AGAIN):
        row = bare(options)
    elif kind == FLOAT32:
        row = ours(options, "fork", "float32")
    else:
        image_dtype = LESSONS[options.config].image_dtype
        row = ours(options, "fork" if kind == FORK else "spawn", image_dtype)
    row["steal_seconds"] = getattr(psutil.cpu_times(), "steal", 0.0) - stolen
    return row


def collect(options: argparse.Namespace, table: Path, done: int) -> None:
    chance = random.Random(done)
    with table.open("a", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, COLUMNS)
        if not table.stat().st_size:
            writer.writeheader()
        for number in range(done + 1, options.rounds + 1):
            order = [*kinds(options.config)]
            chance.shuffle(order)
            rows = []
            for place, kind in enumerate(order, start=1):
                row = {"config": options.config, "train_samples": options.samples,
                       "round": number, "place": place, "kind": kind}  # fmt: skip
                rows.append({**row, **measured(kind, options)})
            writer.writerows(rows)  # whole rounds only
            text.flush()
            told = ", ".join(f"{row['kind']} {row['train_seconds']:.2f} s" for row in rows)
            print(f"round {number} of {options.rounds}: {told}", file=sys.stderr)


def read(table: Path, options: argparse.Namespace) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as text:
        return [row for row in csv.DictReader(text)
                if row["config"] == options.config and row["train_samples"] == options.samples]  # fmt: skip


def of_kind(rows: Sequence[dict[str, str]], kind: str, column: str) -> np.ndarray:
    own = sorted((int(row["round"]), float(row[column])) for row in rows if row["kind"] == kind)
    return np.array([seconds for _, seconds in own])


def report(rows: Sequence[dict[str, str]], options: argparse.Namespace) -> Iterator[str]:
    others = [kind for kind in kinds(options.config) if kind != BARE]
    yield f"{options.config}, 1 epoch of {options.samples} images, {os.cpu_count()} CPUs, {_about()}"
    yield ""
    yield "| over the bare script | n | train, wall [95 %] | train, CPU [95 %] | slow runs, theirs | slow runs, the script's |"
    yield "|---|---:|---:|---:|---:|---:|"
    base = of_kind(rows, BARE, "train_seconds")
    for kind in others:
        own = of_kind(rows, kind, "train_seconds")
        yield (
            f"| {kind} | {len(own)} | {_ratio(rows, kind, 'train_seconds')} "
            f"| {_ratio(rows, kind, 'train_cpu_seconds')} | {_slow(own)} | {_slow(base)} |"
        )
    yield ""
    yield "| phase | " + " | ".join(others) + " |"
    yield "|---|" + "---:|" * len(others)
    for phase in PHASES:
        yield (
            f"| {phase} | "
            + " | ".join(_ratio(rows, kind, f"{phase}_seconds") for kind in others)
            + " |"
        )
    yield ""
    steps = 15_000 if options.config == "mnist-dense" else 469
    cost = median(callback_seconds(1, steps) for _ in range(5))
    yield f"The epoch callback alone: {cost * 1e3:.2f} ms an epoch, {cost / median(base):.3%} of the train phase"


def _about() -> str:
    import keras
    import tensorflow

    versions = f"TensorFlow {tensorflow.__version__}, Keras {keras.__version__}"
    return f"{versions}, Python {platform.python_version()}"


def _ratio(rows: Sequence[dict[str, str]], kind: str, column: str) -> str:
    base, own = of_kind(rows, BARE, column), of_kind(rows, kind, column)
    interval = stats.paired_ratio(base, own, 0.95)
    return f"{float(interval.ratio):.3f} [{float(interval.low):.3f}, {float(interval.high):.3f}]"


def _slow(seconds: np.ndarray) -> str:
    return f"{(seconds > SLOW * np.median(seconds)).sum()} of {len(seconds)}"


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", choices=LESSONS, default="mnist-dense-512")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--train-samples", type=int, nargs=1, default=[])
    parser.add_argument("--output", type=Path, default=Path("results/overhead"))
    parser.add_argument("--read", action="store_true", help="measure nothing: read the table")
    options = parser.parse_args()
    options.samples = str(*options.train_samples) if options.train_samples else "all"
    options.output.mkdir(parents=True, exist_ok=True)
    table = options.output / "overhead.csv"
    if not options.read:
        done = max((int(row["round"]) for row in read(table, options)), default=0)
        collect(options, table, done)
    print("\n".join(report(read(table, options), options)))


if __name__ == "__main__":
    main()
