"""Does `infer` measure what a bare loop in Keras's own words does? And how far is one program?

    python benchmarks/inference.py [--config mnist-dense-512] [--rounds 15] [--seconds 3]
                                   [--batch-size 1] [--start-method fork|spawn]
                                   [--output results/inference-benchmark] [--read]

The network is trained once, for one epoch. Each round runs, in an order drawn anew and each in a
fresh process: the bare loop (benchmarks/bare_predict.py), the same again, and `infer`'s `predict`
and `compiled`. A round's figures are the medians of its processes' queries; the ratios over the
rounds are those of `compare`, with its 95 % interval. The bare loop against itself shows what equal
things differ by. A table of before is gone on with.
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
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tables import rows_with

from mnistbench.analysis import stats
from mnistbench.config.loading import load_config
from mnistbench.results.inference import COMPILED, PREDICT
from mnistbench.results.tables import CONFIG, MODEL
from mnistbench.session.infer import InferencePlan, Subject, run_inference
from mnistbench.session.train import TrainPlan, run_training

BARE, AGAIN = "bare", "again"
KINDS = (BARE, AGAIN, PREDICT, COMPILED)
LEAST_ROUNDS = 5
COLUMNS = ("config", "batch_size", "seconds", "start_method", "round",
           *(f"{kind}_seconds" for kind in KINDS), "contended")  # fmt: skip
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
    config = load_config(str(model.parent / CONFIG))
    plan = InferencePlan(
        (Subject(config, model),), (way,), (options.batch_size,), options.seconds, 1,
        options.output / "runs", "benchmark", options.start_method,
    )  # fmt: skip
    inference = run_inference(plan, lambda event: None)
    if inference.interrupted or inference.failures:
        raise SystemExit("interrupted, or a process failed")
    (run,) = inference.runs
    (row,) = inference.rows_of(run)
    return row.latency_seconds, run.repeats[0].is_contended


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
    with options.table.open("a", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, COLUMNS)
        if not options.table.stat().st_size:
            writer.writeheader()
        for number in range(done + 1, options.rounds + 1):
            row = round_of(number, model, options)
            writer.writerow(row)
            text.flush()
            told = ", ".join(f"{kind} {1e3 * float(row[f'{kind}_seconds']):.4g} ms"
                             for kind in KINDS)  # fmt: skip
            print(f"round {number} of {options.rounds}: {told}", file=sys.stderr, flush=True)


def _key(options: argparse.Namespace) -> dict[str, str]:
    return {
        "config": options.config, "batch_size": str(options.batch_size),
        "seconds": str(options.seconds), "start_method": options.start_method,
    }  # fmt: skip


def report(options: argparse.Namespace) -> Iterator[str]:
    rows = rows_with(options.table, _key(options))
    how = f"batch size {options.batch_size}, {options.seconds:g} s, {options.start_method}"
    yield f"{options.config}, {how}, n = {len(rows)}"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras"))
    yield f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}"
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
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--start-method", choices=("fork", "spawn"), default="fork")
    parser.add_argument("--output", type=Path, default=Path("results/inference-benchmark"))
    parser.add_argument("--read", action="store_true", help="measure nothing: read the table")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    options.table = options.output / "inference.csv"
    if not options.read:
        before = rows_with(options.table, _key(options))
        done = max((int(row["round"]) for row in before), default=0)
        collect(options, done)
    print("\n".join(report(options)))


if __name__ == "__main__":
    main()
