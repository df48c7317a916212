"""Does mnistbench slow down what it times? Its train phase against a bare script's, in pairs.

    python benchmarks/overhead.py [--config mnist-dense-512] [--how one-core|duet|alone]
                                  [--rounds 40] [--train-samples N] [--epochs N]
                                  [--output results/overhead] [--read]

Each round sets, in an order drawn anew, beside the lesson's bare script: the same script again,
mnistbench forked, and mnistbench spawned; and where the lesson's own lines give float64 images,
mnistbench with float32. All are fresh processes; images have the type that the script's have;
standard output is thrown away.

`one-core`: the two of a pair train at the same time on one and the same core, another one in every
round. The kernel gives it to either for some milliseconds at a time, so that whatever the machine
does meanwhile meets both alike, and their processor seconds can be told apart to about one per
cent; wall time says nothing there. `duet`: each on half of the cores, halves swapped every round.
`alone`: each alone on all cores, so that what only shows there (threads, the command's own process)
is not missed.

TensorFlow's release of its input pipelines, up to some seconds asleep at the end of an epoch, falls
on either side by chance; it is timed on both, and the train phase is compared with and without it.
So is a full garbage collection of what the import left, some tenths of a second of the processor:
mnistbench's processes have none, the script has one in this phase or that.

The ratios are those of `compare`, with its 95 % interval; the script against itself shows what
equal things differ by. Slow runs are those of 1.3 times the typical time of their kind. A table of
before is gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from tables import going_on, rows_with

from mnistbench.analysis import stats
from mnistbench.analysis.pairing import without_halves
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.machine.shares import cores, shares
from mnistbench.measuring.executor import StartMethod
from mnistbench.measuring.interpreters import on_cores
from mnistbench.measuring.jobs import Message, RepeatJob
from mnistbench.measuring.partners import Go, Ready
from mnistbench.measuring.startup import measuring_environment
from mnistbench.measuring.tasks import duet
from mnistbench.measuring.workers import Workers, result_of
from mnistbench.results.phases import STATUS_OK, PhaseRecord
from mnistbench.session.benchmark import BenchmarkPlan, run_benchmark
from mnistbench.session.duet import Conductor

SEEDS = Path(__file__).parent / "seeds"
LESSONS = {
    # script, and what its own lines make of the images' bytes
    "mnist-dense": ("mnist_dense.py", "float32"),
    "mnist-dense-512": ("mnist_dense_512.py", "float32"),
    "mnist-dense-relu": ("mnist_dense_relu.py", "float64"),
    "mnist-mlp": ("mnist_mlp.py", "float64"),
    "mnist-cnn": ("mnist_cnn.py", "float32"),
}
TRAIN = "train"
PHASES = ("data-load", "compile", TRAIN, "test")
AGAIN, FORK, SPAWN, FLOAT32 = "the script again", "forked", "spawned", "forked, float32"
ONE_CORE, DUET, ALONE = "one-core", "duet", "alone"
SLOW = 1.3
LEFT, LEFT_CPU = "train_without_teardown_seconds", "train_cpu_without_collection_seconds"
MEASURED = (*(f"{phase}_seconds" for phase in PHASES), "train_cpu_seconds", LEFT, LEFT_CPU)
COLUMNS = ("config", "train_samples", "epochs", "how", "round", "kind",
           *(f"{side}_{name}" for name in MEASURED for side in ("base", "new")))  # fmt: skip

Figures = dict[str, float]
"""By the names in MEASURED."""


def kinds(config: str) -> list[str]:
    """Return what is set beside the script in each round."""
    casts = LESSONS[config][1] == "float64"
    return [AGAIN, FORK, SPAWN, *([FLOAT32] if casts else [])]


def run_config(options: argparse.Namespace, kind: str) -> RunConfig:
    image_dtype = "float32" if kind == FLOAT32 else LESSONS[options.config][1]
    settings = [f"training.epochs={options.epochs}", f"dataset.image_dtype={image_dtype}"]
    if options.train_samples:
        settings.append(f"dataset.train_samples={options.train_samples}")
    return load_config(options.config, settings)


def start_method(kind: str) -> StartMethod:
    return "spawn" if kind == SPAWN else "fork"


class Script:
    """A running bare script, as a side of a duet or alone."""

    def __init__(self, options: argparse.Namespace, variables: dict[str, str]) -> None:
        script = str(SEEDS / LESSONS[options.config][0])
        samples = [str(options.train_samples)] if options.train_samples else []
        self._process = subprocess.Popen(
            [sys.executable, script, str(options.epochs), *samples],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "TIME_TEARDOWN": "yes", **variables},
        )  # fmt: skip
        self.channel = self  # what the conductor sends to

    def send(self, message: object) -> None:
        """Let it begin its training."""
        if message == Go(TRAIN) and self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.write("\n")
            self._process.stdin.close()

    def wait_until_ready(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            if line.strip() == "ready":
                return

    def figures(self) -> Figures:
        assert self._process.stderr
        said = self._process.stderr.read()
        if self._process.wait():
            raise SystemExit(said)
        line = json.loads(said.strip().splitlines()[-1])
        seconds = {f"{phase}_seconds": line["seconds"][phase] for phase in PHASES}
        left = seconds["train_seconds"] - line["teardown_seconds"][TRAIN]
        cpu = line["cpu_seconds"][TRAIN]
        left_cpu = cpu - line["collection_seconds"][TRAIN]
        return {**seconds, "train_cpu_seconds": cpu, LEFT: left, LEFT_CPU: left_cpu}

    def kill(self) -> None:
        self._process.kill()

    def exit_code(self) -> int | None:
        return self._process.wait()


def _figures(phases: dict[str, PhaseRecord]) -> Figures:
    seconds = {f"{phase}_seconds": float(phases[phase].seconds or 0) for phase in PHASES}
    left = seconds["train_seconds"] - float(phases[TRAIN].teardown_seconds or 0)
    cpu = float(phases[TRAIN].cpu_seconds or 0)
    return {**seconds, "train_cpu_seconds": cpu, LEFT: left, LEFT_CPU: cpu}


def alone(kind: str, options: argparse.Namespace) -> Figures:
    if kind in ("", AGAIN):
        return Script(options, {}).figures()
    config = run_config(options, kind)
    with tempfile.TemporaryDirectory() as folder:
        plan = BenchmarkPlan((config,), 1, 0, Path(folder), start_method=start_method(kind))
        result = run_benchmark(plan, lambda event: None)
    if result.interrupted or result.failures:
        raise SystemExit("interrupted, or a repeat failed")
    return _figures({phase.phase: phase for phase in result.runs[0].repeats[0].phases})


@dataclass(frozen=True)
class Side:
    """One of the two that train at the same time."""

    options: argparse.Namespace
    kind: str
    conductor: Conductor
    number: int
    """0, the script; 1, what is set beside it."""
    cores: Sequence[int]


def together(kind: str, number: int, options: argparse.Namespace) -> tuple[Figures, Figures]:
    """Return the script's figures and those of the other, measured at the same time."""
    conductor = Conductor(lambda message: None)
    own = places(number, options.how)
    base, new = (Side(options, kind, conductor, side, own[side]) for side in (0, 1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(script_figures, base)
        second = pool.submit(script_figures if kind == AGAIN else our_figures, new)
        return first.result(), second.result()


def places(number: int, how: str) -> Sequence[Sequence[int]]:
    """Return the cores of either side in a round."""
    if how == ONE_CORE:
        everyone = cores()
        return [everyone[number % len(everyone)].threads[:1]] * 2
    halves = shares(cores(), 2)
    if halves is None:
        raise SystemExit("a duet needs two physical cores")
    return halves if number % 2 else halves[::-1]


def script_figures(side: Side) -> Figures:
    with on_cores(side.cores):
        running = Script(side.options, {"WAIT_BEFORE_TRAIN": "yes"})
    try:
        side.conductor.add(side.number, running)  # type: ignore[arg-type]  has what is used
        running.wait_until_ready()
        side.conductor.hear(side.number, Ready(TRAIN))
        figures = running.figures()
        ended = PhaseRecord(TRAIN, figures["train_seconds"], None, "", STATUS_OK)
        side.conductor.hear(side.number, ended)
        return figures
    finally:
        side.conductor.leave(side.number)


def our_figures(side: Side) -> Figures:
    phases: dict[str, PhaseRecord] = {}

    def hear(message: Message) -> None:
        if isinstance(message, PhaseRecord):
            phases[message.phase] = message
        side.conductor.hear(side.number, message)

    try:
        config = run_config(side.options, side.kind)
        environment = measuring_environment(config.device, config.backend)
        workers = Workers(environment, start_method(side.kind), side.cores)
        job = RepeatJob(config, config.device, config.training.seed)
        with tempfile.TemporaryDirectory() as folder:
            process = workers.start(duet, job, Path(folder) / "log.txt")
            side.conductor.add(side.number, process)
            result_of(process, hear)
    finally:
        side.conductor.leave(side.number)
    return _figures(phases)


def round_of(number: int, options: argparse.Namespace) -> Iterator[tuple[str, Figures, Figures]]:
    chance = random.Random(number)
    order = kinds(options.config)
    if options.how != ALONE:
        chance.shuffle(order)
        for kind in order:
            yield (kind, *together(kind, number, options))
        return
    everyone = ["", *order]
    chance.shuffle(everyone)
    figures = {kind: alone(kind, options) for kind in everyone}
    for kind in order:
        yield kind, figures[""], figures[kind]


def collect(options: argparse.Namespace, done: int) -> None:
    with going_on(options.table, COLUMNS) as add:
        for number in range(done + 1, options.rounds + 1):
            measured = list(round_of(number, options))
            for kind, base, new in measured:  # whole rounds only
                add({
                    **_key(options), "round": number, "kind": kind,
                    **{f"base_{name}": value for name, value in base.items()},
                    **{f"new_{name}": value for name, value in new.items()},
                })  # fmt: skip
            name = next(iter(compared(options.how).values()))
            told = ", ".join(f"{kind} {new[name] / base[name]:.3f}" for kind, base, new in measured)
            print(f"round {number} of {options.rounds}: {told}", file=sys.stderr)


def compared(how: str) -> dict[str, str]:
    """Return the headings of what is compared, and its column without the side."""
    cpu = {
        "train, CPU": "train_cpu_seconds",
        "without the script's full collections": LEFT_CPU,
    }
    if how == ONE_CORE:  # the wall time of either is that of both together
        return cpu
    return {"train": "train_seconds", "without the release of the input": LEFT, **cpu}


def _key(options: argparse.Namespace) -> dict[str, str]:
    return {
        "config": options.config, "train_samples": str(options.train_samples or "all"),
        "epochs": str(options.epochs), "how": options.how,
    }  # fmt: skip


def report(options: argparse.Namespace) -> Iterator[str]:
    rows, others = rows_with(options.table, _key(options)), kinds(options.config)
    epochs = f"{options.epochs} epoch{'s' if options.epochs > 1 else ''}"
    yield f"{options.config}, {epochs} of {options.train_samples or 'all'} images, {options.how}"
    yield _about()
    yield ""
    columns = {
        title: name for title, name in compared(options.how).items()
        if all(row.get(f"new_{name}") for row in rows)  # older tables lack one
    }  # fmt: skip
    yield (f"| over the script | n | {' | '.join(columns)} | slow runs, its | slow, the script's |")
    yield f"|---|---:|{'---:|' * len(columns)}---:|---:|"
    slow_by = next(iter(columns.values()))
    for kind in others:
        own = [row for row in rows if row["kind"] == kind]
        cells = [_ratio(own, name, options) for name in columns.values()]
        slow = [_slow(own, f"{side}_{slow_by}") for side in ("new", "base")]
        yield f"| {kind} | {len(own)} | {' | '.join([*cells, *slow])} |"
    if options.how == ALONE:
        yield ""
        yield "| phase | " + " | ".join(others) + " |"
        yield "|---|" + "---:|" * len(others)
        for phase in PHASES:
            cells = [_ratio([row for row in rows if row["kind"] == kind], f"{phase}_seconds",
                            options) for kind in others]  # fmt: skip
            yield f"| {phase} | {' | '.join(cells)} |"
    yield ""
    steps = 15_000 if options.config == "mnist-dense" else 469
    cost = median(callback_seconds(1, steps) for _ in range(5))
    yield f"The epoch callback alone: {cost * 1e3:.2f} ms for an epoch of {steps} steps"


def _about() -> str:
    names = ("tensorflow", "keras")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}"


def _side(rows: Sequence[dict[str, str]], column: str) -> npt.NDArray[np.float64]:
    return np.array([float(row[column]) for row in rows])


def _ratio(rows: Sequence[dict[str, str]], name: str, options: argparse.Namespace) -> str:
    base, new = _side(rows, f"base_{name}"), _side(rows, f"new_{name}")
    is_duet = options.how == DUET
    if is_duet:
        base, new = without_halves(base, new, _side(rows, "round"))
    found = stats.paired_ratio(base, new, 0.95, removed=int(is_duet))
    return f"{float(found.ratio):.3f} [{float(found.low):.3f}, {float(found.high):.3f}]"


def _slow(rows: Sequence[dict[str, str]], column: str) -> str:
    seconds = _side(rows, column)
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
    parser.add_argument("--how", choices=(ONE_CORE, DUET, ALONE), default=ONE_CORE)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--train-samples", type=int, help="left out: all")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("results/overhead"))
    parser.add_argument("--read", action="store_true", help="measure nothing: read the table")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    options.table = options.output / "overhead.csv"
    if not options.read:
        before = rows_with(options.table, _key(options))
        done = max((int(row["round"]) for row in before), default=0)
        collect(options, done)
    print("\n".join(report(options)))


if __name__ == "__main__":
    main()
