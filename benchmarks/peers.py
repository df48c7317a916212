"""mnistbench beside what else its users could run: the same trainings, side by side in one run.

    pip install torch jax optax scikit-learn         # what is missing is told, and left out
    python benchmarks/peers.py --output DIR [--configs mnist-dense] [--peers seed,jax] \\
        [--rounds 10] [--epochs 1]

In each round every peer trains every config once, each in a fresh process, in an order drawn anew,
on the CPU. Prints a table of each config, and leaves peers.csv (a row for each process, written as
it ends) and peers.md. docs/peers.md tells who the peers are, and what makes the comparison fair.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import platform
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import psutil
from cpuinfo import get_cpu_info
from peers.contenders import CONTENDERS, NOT_AVAILABLE, Order, Outcome
from peers.report import COLUMNS, CONFIDENCE, FEWEST, Entry, markdown, rows_of
from rich.console import Console
from rich.table import Table

from mnistbench.config.files import known_configs
from mnistbench.config.loading import load_config
from mnistbench.machine.evidence import CONTENDED, repeat_metrics
from mnistbench.machine.readings import take
from mnistbench.measuring.workers import own_cpu_seconds

PACKAGES = (
    "mnistbench", "tensorflow", "keras", "torch", "jax", "optax", "scikit-learn", "numpy",
)  # fmt: skip
CSV_COLUMNS = (
    "config", "peer", "round", "place", "epochs", "train_samples", "seed", "status", "reason",
    "preprocess_seconds", "train_seconds", "compile_seconds", "train_without_compile_seconds",
    "accuracy", "steps", "peak_rss_bytes", "other_cpu_share", "contended",
)  # fmt: skip


def main() -> None:
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    about = _about(options)
    print(about)
    entries: list[Entry] = []
    with (options.output / "peers.csv").open("w", newline="", encoding="utf-8") as text:
        table = csv.DictWriter(text, CSV_COLUMNS)
        table.writeheader()
        for order, entry in measured(options):
            entries.append(entry)
            table.writerow(_cells(order, entry))
            text.flush()
            _tell(entry)
    configs = [name for name in options.configs if any(e.config == name for e in entries)]
    text = about + "\n" + "\n".join(markdown(config, entries) for config in configs)
    (options.output / "peers.md").write_text(text, encoding="utf-8")
    for config in configs:
        _print_table(config, entries)


def measured(options: argparse.Namespace) -> Iterator[tuple[Order, Entry]]:
    """Run round after round; a peer that is not available is asked once for each config."""
    chance = random.Random(options.seed)
    pairs = [(config, peer) for config in options.configs for peer in options.peers]
    for config, peer in pairs:
        if CONTENDERS[peer].caches_on_disk:
            CONTENDERS[peer].run(replace(_order(config, options, options.seed), epochs=1))
    for number in range(1, options.rounds + 1):
        chance.shuffle(pairs)
        seed = chance.getrandbits(31)
        for place, (config, peer) in enumerate(list(pairs), start=1):
            order = _order(config, options, seed)
            entry = _measured(order, peer, number, place)
            yield order, entry
            if entry.outcome.status == NOT_AVAILABLE:
                pairs.remove((config, peer))


def _measured(order: Order, peer: str, number: int, place: int) -> Entry:
    """Run a peer once, and see what else used the machine meanwhile, as beside every repeat."""
    before = take(own_cpu_seconds())
    outcome = CONTENDERS[peer].run(order)
    evidence = {m.name: m.value for m in repeat_metrics(before, take(own_cpu_seconds()))}
    share, contended = evidence.get("other_cpu_share"), evidence.get(CONTENDED)
    return Entry(order.config, peer, number, place, outcome, share, contended)


def _order(config: str, options: argparse.Namespace, seed: int) -> Order:
    epochs = options.epochs or load_config(config).training.epochs
    return Order(config, epochs, options.train_samples, seed)


def _cells(order: Order, entry: Entry) -> dict[str, object]:
    outcome = entry.outcome
    cells = {**asdict(order), **asdict(entry), **asdict(outcome)}
    cells["train_without_compile_seconds"] = outcome.compiled_seconds
    cells["contended"] = "" if entry.contended is None else str(entry.contended).lower()
    return {column: cells[column] for column in CSV_COLUMNS}


def _tell(entry: Entry) -> None:
    outcome: Outcome = entry.outcome
    seconds = outcome.train_seconds
    told = outcome.reason if seconds is None else f"train {seconds:.2f} s, {outcome.accuracy:.4f}"
    print(f"round {entry.round}, {entry.config}, {entry.peer}: {told}", file=sys.stderr)


def _print_table(config: str, entries: Sequence[Entry]) -> None:
    table = Table(title=config, title_justify="left")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if number in (0, len(COLUMNS) - 1) else "right")
    for row in rows_of(config, entries):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _about(options: argparse.Namespace) -> str:
    """Return the machine, the versions and the plan, as Markdown."""
    memory = psutil.virtual_memory().total / 2**30
    epochs = options.epochs or "the lessons' own"
    samples = options.train_samples or "all"
    return (
        f"Machine: {get_cpu_info().get('brand_raw', platform.processor())}, "
        f"{psutil.cpu_count()} CPUs, {memory:.0f} GiB, {platform.platform()}, "
        f"Python {platform.python_version()}\n\n"
        f"Versions: {', '.join(_versions())}\n\n"
        f"Rounds: {options.rounds}; epochs: {epochs}; training images: {samples}; "
        f"seed {options.seed}. Medians with {CONFIDENCE:.0%} intervals; ratios are of the rounds' "
        f"pairs; in brackets, and no claim, those of fewer than {FEWEST} rounds. An interval is "
        "left out where the rounds are too few for one. Contended: processes during which others "
        "used a tenth of the processor or more, or the host kept it.\n"
    )


def _versions() -> Iterator[str]:
    for package in PACKAGES:
        yield f"{package} {_version(package)}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    configs, peers = [*known_configs()], [*CONTENDERS]
    parser.add_argument("--configs", type=_some_of(configs), default=configs,
                        help=f"comma-separated; all of them: {', '.join(configs)}")  # fmt: skip
    parser.add_argument("--peers", type=_some_of(peers), default=peers,
                        help=f"comma-separated; all of them: {', '.join(peers)}")  # fmt: skip
    parser.add_argument("--rounds", type=_positive, default=10)
    parser.add_argument("--epochs", type=_positive, help="left out: each lesson's own")
    parser.add_argument("--train-samples", type=_positive,
                        help="train on the first so many images; left out: all")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="draws the orders and the seeds")
    parser.add_argument("--output", type=Path, default=Path("peers"), help="folder of the files")
    return parser.parse_args()


def _some_of(known: list[str]):  # type: ignore[no-untyped-def]
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"{unknown[0]}: unknown; choose from {', '.join(known)}"
            )
        return chosen

    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number from 1")
    return int(text)


if __name__ == "__main__":
    main()
