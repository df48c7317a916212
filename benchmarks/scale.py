"""1,000,000 timing rows of 2,000 machines: the time and memory that `mnistbench compare` takes.

    python benchmarks/scale.py              # writes the files to a temporary folder, measures
    python benchmarks/scale.py --quick      # a hundredth of it
    python benchmarks/scale.py --keep DIR   # leaves the files in DIR

The same rows are compared once as 2,000 files, one of each run, and once as two big ones.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mnistbench.results.phases import PHASES, STATUS_OK
from mnistbench.results.rows import TimingRow, to_csv

MACHINES = 2_000
ROWS = 1_000_000
RUNS = 5
SIDES = {"base": 1.0, "new": 1.1}
"""Half of the machines are on each side; those of NEW are a tenth slower."""

MEDIAN_SECONDS = dict(zip(PHASES, (8.0, 0.3, 0.9, 0.05, 0.01, 16.0, 2.2, 27.0), strict=True))


def rows_of(machine: int, side: str, repeats: int, chance: random.Random) -> Iterator[TimingRow]:
    """Make the rows of one machine: its own speed, and 5 % of noise."""
    speed = math.exp(chance.gauss(0, 0.1)) * SIDES[side]
    for repeat in range(1, repeats + 1):
        for phase in PHASES:
            yield TimingRow(
                run_id=f"20261122T{machine:06d}Z-mnist-dense-{side}-{machine}",
                config="mnist-dense",
                config_digest=hashlib.sha256(b"config").hexdigest(),
                dataset="mnist",
                data_digest=hashlib.sha256(b"data").hexdigest(),
                model="dense",
                backend="tensorflow",
                device="cpu",
                precision="float32",
                epochs=1,
                batch_size=4,
                repeat=repeat,
                seed=chance.getrandbits(32),
                phase=phase,
                seconds=MEDIAN_SECONDS[phase] * speed * math.exp(chance.gauss(0, 0.05)),
                cpu_seconds=MEDIAN_SECONDS[phase] * speed,
                start_utc=f"2026-11-22T{repeat // 60:02d}:{repeat % 60:02d}:00.000000Z",
                status=STATUS_OK,
                tag="",
                node=f"node{machine:04d}",
                user="somebody",
            )


def generate(folder: Path, machines: int, rows: int) -> int:
    """Write both sides, each run to its own file and all of a side to one; return the rows."""
    repeats = max(1, round(rows / (machines * len(PHASES))))
    chance = random.Random(1)
    written = 0
    for number, side in enumerate(SIDES):
        (folder / side).mkdir(parents=True, exist_ok=True)
        with (folder / f"{side}.csv").open("w", encoding="utf-8", newline="") as together:
            together.write(to_csv([], TimingRow))
            for machine in range(number, machines, len(SIDES)):
                text = to_csv(rows_of(machine, side, repeats, chance))
                path = folder / side / f"{machine:04d}.csv"
                path.write_text(to_csv([], TimingRow) + text, encoding="utf-8", newline="")
                together.write(text)
                written += repeats * len(PHASES)
    return written


def measure(base: str, new: str) -> tuple[float, float, str]:
    """Run the command as a user would; return seconds, MiB of peak memory, and its verdicts."""
    command = [sys.executable, "-m", "mnistbench", "compare", base, new, "--format", "csv"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    return seconds, usage.ru_maxrss / 1024, output


def report(folder: Path, machines: int, rows: int) -> None:
    start = time.perf_counter()
    written = generate(folder, machines, rows)
    print(f"{written:,} rows of {machines:,} machines, generated in "
          f"{time.perf_counter() - start:.0f} s\n")  # fmt: skip
    print("| input | seconds | MiB |\n|---|---:|---:|")
    for name, suffix in ((f"{machines:,} files", "/*.csv"), ("2 files", ".csv")):
        measured = [measure(f"{folder}/base{suffix}", f"{folder}/new{suffix}") for _ in range(RUNS)]
        seconds, mebibytes, output = sorted(measured)[RUNS // 2]
        print(f"| {name} | {seconds:.2f} | {mebibytes:.0f} |")
    print(f"\nMedian of {RUNS} runs of the whole command. It said:\n\n{output}")


def run(document: str | None, report: Callable[[Path, int, int], None]) -> None:
    """Take the command line, and report on files of so many machines and rows in a folder."""
    parser = argparse.ArgumentParser(description=(document or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a hundredth of the rows")
    parser.add_argument("--keep", type=Path, help="write the files here and leave them")
    options = parser.parse_args()
    share = 100 if options.quick else 1
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        report(options.keep, MACHINES // share, ROWS // share)
        return
    with tempfile.TemporaryDirectory(prefix="mnistbench-scale-") as folder:
        report(Path(folder), MACHINES // share, ROWS // share)


if __name__ == "__main__":
    run(__doc__, report)
