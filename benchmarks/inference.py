"""Does `infer` measure what a bare loop in Keras's own words does? And how far is one program?

    python benchmarks/inference.py [--config mnist-dense-512] [--rounds 15] [--seconds 3]
                                   [--how alone|one-core] [--batch-size 1]
                                   [--start-method fork|spawn]
                                   [--output results/inference-benchmark] [--read]

The network is trained once, for one epoch. Each round runs, in an order drawn anew and each in a
fresh process: the bare loop (benchmarks/bare_predict.py), the same again, and `infer`'s `predict`
and `compiled`. A round's figures are the medians of its processes' queries; the ratios over the
rounds are those of `compare`, with its 95 % interval. The bare loop against itself shows what equal
things differ by.

`--how one-core` sets the bare loop again, and `infer`'s `predict`, each beside the bare loop, at
the same time on one and the same core, the other core in the next round, and compares the processor
seconds of a query: whatever the machine does meets both alike. A table of before is gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tables import going_on, rows_with

from mnistbench.analysis import stats
from mnistbench.config.loading import load_config
from mnistbench.machine.shares import cores
from mnistbench.measuring.interpreters import on_cores
from mnistbench.results.inference import COMPILED, PREDICT
from mnistbench.results.phases import INFER, PhaseStarted
from mnistbench.results.tables import CONFIG, MODEL
from mnistbench.session.events import Listener
from mnistbench.session.infer import Inference, InferencePlan, Subject, run_inference
from mnistbench.session.train import TrainPlan, run_training

BARE, AGAIN = "bare", "again"
KINDS = (BARE, AGAIN, PREDICT, COMPILED)
LEAST_ROUNDS = 5
LEAST_CALLS = 20
Calls = npt.NDArray[np.float64]
"""Of each call its end by the wall clock, and the processor time until then."""
ALONE, ONE_CORE = "alone", "one-core"
COLUMNS = ("config", "batch_size", "seconds", "start_method", "round",
           *(f"{kind}_seconds" for kind in KINDS), "contended")  # fmt: skip
SHARED_COLUMNS = ("config", "batch_size", "seconds", "start_method", "round", "kind",
                  "base_cpu_seconds", "new_cpu_seconds")  # fmt: skip
SCRIPT = Path(__file__).with_name("bare_predict.py")


def trained(options: argparse.Namespace) -> Path:
    """Return the model of the config, trained now if it is not there yet."""
    folder = options.output / options.config
    found = sorted(folder.glob(f"*/{MODEL}"))
    if not found:
        config = load_config(options.config, ["training.epochs=1"])
        run_training(TrainPlan(config, folder), lambda event: None)
        found = sorted(folder.glob(f"*/{MODEL}"))
    return found[0]


def bare(model: Path, options: argparse.Namespace) -> tuple[float, bool]:
    # In a session of its own, as mnistbench's processes are: Linux shares the cores out by session.
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(model), str(options.seconds), str(options.batch_size)],
        capture_output=True, text=True, check=True, start_new_session=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"]), False


def ours(way: str, model: Path, options: argparse.Namespace) -> tuple[float, bool]:
    inference = applied(way, model, options)
    (run,) = inference.runs
    (row,) = inference.rows_of(run)
    return row.latency_seconds, run.repeats[0].is_contended


def applied(
    way: str, model: Path, options: argparse.Namespace, tell: Listener = lambda event: None
) -> Inference:
    config = load_config(str(model.parent / CONFIG))
    plan = InferencePlan(
        (Subject(config, model),), (way,), (options.batch_size,), options.seconds, 1,
        options.output / "runs", "benchmark", options.start_method,
    )  # fmt: skip
    inference = run_inference(plan, tell)
    if inference.interrupted or inference.failures:
        raise SystemExit("interrupted, or a process failed")
    return inference


def round_of(number: int, model: Path, options: argparse.Namespace) -> dict[str, object]:
    measures: dict[str, Callable[[], tuple[float, bool]]] = {
        BARE: lambda: bare(model, options),
        AGAIN: lambda: bare(model, options),
        PREDICT: lambda: ours(PREDICT, model, options),
        COMPILED: lambda: ours(COMPILED, model, options),
    }
    order = list(measures)
    random.Random(number).shuffle(order)
    found = {kind: measures[kind]() for kind in order}
    return {
        **_key(options), "round": number,
        **{f"{kind}_seconds": found[kind][0] for kind in KINDS},
        "contended": sum(contended for _, contended in found.values()),
    }  # fmt: skip


def collect(options: argparse.Namespace, done: int) -> None:
    model = trained(options)
    with going_on(options.table, COLUMNS) as add:
        for number in range(done + 1, options.rounds + 1):
            row = round_of(number, model, options)
            add(row)
            told = ", ".join(f"{kind} {1e3 * float(row[f'{kind}_seconds']):.4g} ms"
                             for kind in KINDS)  # fmt: skip
            print(f"round {number} of {options.rounds}: {told}", file=sys.stderr, flush=True)


@contextmanager
def running(model: Path, options: argparse.Namespace) -> Iterator[Bare]:
    """Give a bare loop that is ready to begin, and goes on until this ends."""
    bare = Bare(
        [sys.executable, str(SCRIPT), str(model), str(options.seconds), str(options.batch_size),
         "until-told"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        bare.wait_until_ready()
        yield bare
        assert bare.stdin is not None
        bare.stdin.close()
    finally:
        if bare.stdin is not None and not bare.stdin.closed:
            bare.kill()


class Bare(subprocess.Popen[str]):
    """A bare loop beside something else."""

    def wait_until_ready(self) -> None:
        """Return once it has warmed up."""
        assert self.stdout is not None
        for line in self.stdout:
            if line == "ready\n":
                return

    def begin(self) -> None:
        """Let it begin: a call takes the longer the more were before, so both begin at once."""
        assert self.stdin is not None
        self.stdin.write("\n")
        self.stdin.flush()

    def calls(self) -> Calls:
        """Return each call's end and the processor time until then, once it was told to end."""
        assert self.stdout is not None
        with self.stdout as text:
            lines = text.read().splitlines()
        if self.wait():
            raise SystemExit("a bare loop failed")
        return np.array(json.loads(lines[-1]))


def cpu_seconds(calls: Calls, begin: float, end: float) -> float:
    """Return the processor seconds of a call, of those between two moments."""
    inside = calls[(calls[:, 0] >= begin) & (calls[:, 0] <= end)]
    if len(inside) < LEAST_CALLS:
        raise SystemExit(f"the two were beside each other for {len(inside)} calls only")
    return float((inside[-1, 1] - inside[0, 1]) / (len(inside) - 1))


def beside_itself(model: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Return the processor seconds of a call of two bare loops on one core."""
    with running(model, options) as first, running(model, options) as second:
        begin = time.time()
        first.begin()
        second.begin()
        time.sleep(options.seconds)
    base, new = (
        cpu_seconds(each.calls(), begin, begin + options.seconds) for each in (first, second)
    )
    return base, new


def beside_ours(model: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Return the processor seconds of a call of the bare loop, and of a query of `predict`."""
    with running(model, options) as bare:
        inference = applied(
            PREDICT, model, options,
            lambda event: bare.begin() if event == PhaseStarted(INFER) else None,
        )  # fmt: skip
    (run,) = inference.runs
    (record,) = run.repeats
    begin = next(
        datetime.fromisoformat(phase.start_utc).timestamp()
        for phase in record.phases if phase.phase == INFER
    )  # fmt: skip
    name = f"{PREDICT}_batch_{options.batch_size}_cpu_seconds"
    (ours_seconds,) = (float(str(each.value)) for each in record.metrics if each.name == name)
    return cpu_seconds(bare.calls(), begin, begin + options.seconds), ours_seconds


def collect_shared(options: argparse.Namespace, done: int) -> None:
    model, everyone = trained(options), cores()
    with going_on(options.table, SHARED_COLUMNS) as add:
        for number in range(done + 1, options.rounds + 1):
            for kind, measure in ((AGAIN, beside_itself), (PREDICT, beside_ours)):
                with on_cores(everyone[number % len(everyone)].threads[:1]):
                    base, new = measure(model, options)
                add({
                    **_key(options), "round": number, "kind": kind, "base_cpu_seconds": base,
                    "new_cpu_seconds": new,
                })  # fmt: skip
                print(f"round {number}: {kind} {new / base:.3f}", file=sys.stderr, flush=True)


def report_shared(options: argparse.Namespace) -> Iterator[str]:
    rows = rows_with(options.table, _key(options))
    yield from heading(options, len(rows) // 2)
    yield "| ratio of processor seconds of a query | estimate | 95 % interval |"
    yield "|---|---:|---:|"
    texts = {PREDICT: "infer's predict over the bare loop", AGAIN: "the bare loop over itself"}
    for kind, text in texts.items():
        own = [row for row in rows if row["kind"] == kind]
        sides = (np.array([float(row[f"{side}_cpu_seconds"]) for row in own])
                 for side in ("base", "new"))  # fmt: skip
        ratio, ends = _ratio(*sides)
        yield f"| {text} | {ratio} | {ends} |"


def _key(options: argparse.Namespace) -> dict[str, str]:
    return {
        "config": options.config, "batch_size": str(options.batch_size),
        "seconds": str(options.seconds), "start_method": options.start_method,
    }  # fmt: skip


def heading(options: argparse.Namespace, n: int) -> Iterator[str]:
    how = f"batch size {options.batch_size}, {options.seconds:g} s, {options.start_method}"
    yield f"{options.config}, {how}, n = {n}"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras"))
    yield f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}"
    yield ""


def report(options: argparse.Namespace) -> Iterator[str]:
    rows = rows_with(options.table, _key(options))
    yield from heading(options, len(rows))
    contended = sum(int(row["contended"]) for row in rows)
    yield f"{contended} of {2 * len(rows)} processes of mnistbench contended"
    yield ""
    yield "| ratio of median latencies | estimate | 95 % interval |"
    yield "|---|---:|---:|"
    for text, over, under in (
        ("infer's predict over the bare loop", PREDICT, BARE),
        ("the bare loop over itself", AGAIN, BARE),
        ("infer's predict over its compiled", PREDICT, COMPILED),
    ):
        ratio, ends = _ratio(_side(rows, under), _side(rows, over))
        yield f"| {text} | {ratio} | {ends} |"
    yield ""
    for kind in KINDS:
        yield f"{kind}: median {1e3 * np.median(_side(rows, kind)):.4g} ms"


def _side(rows: list[dict[str, str]], kind: str) -> npt.NDArray[np.float64]:
    return np.array([float(row[f"{kind}_seconds"]) for row in rows])


def _ratio(base: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> tuple[str, str]:
    if len(base) < LEAST_ROUNDS:
        return "", f"n below {LEAST_ROUNDS}"
    found = stats.paired_ratio(base, new, 0.95)
    return f"{float(found.ratio):.3f}", f"{float(found.low):.3f} to {float(found.high):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="mnist-dense-512")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--how", choices=(ALONE, ONE_CORE), default=ALONE)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--start-method", choices=("fork", "spawn"), default="fork")
    parser.add_argument("--output", type=Path, default=Path("results/inference-benchmark"))
    parser.add_argument("--read", action="store_true", help="measure nothing: read the table")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    shared = options.how == ONE_CORE
    options.table = options.output / ("inference-one-core.csv" if shared else "inference.csv")
    if not options.read:
        before = rows_with(options.table, _key(options))
        done = max((int(row["round"]) for row in before), default=0)
        (collect_shared if shared else collect)(options, done)
    print("\n".join((report_shared if shared else report)(options)))


if __name__ == "__main__":
    main()
