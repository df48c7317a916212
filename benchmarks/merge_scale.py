"""1,000,000 timing rows of 2,000 machines: the time and memory that `mnistbench merge` takes.

    python benchmarks/merge_scale.py              # writes the files to a temporary folder, measures
    python benchmarks/merge_scale.py --quick      # a hundredth of it
    python benchmarks/merge_scale.py --keep DIR   # leaves the files in DIR

The same rows are merged as 2,000 files, one of each run, as two big ones, and as 2,000 run folders
with ten metrics and ten facts of the machine each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from scale import SIDES, generate, run

from mnistbench.results.rows import MachineRow, MetricRow, to_csv

RUNS = 5
FEW = 10


def run_folders(folder: Path) -> Path:
    """Lay each run's file into a folder of its own, with metrics, facts and a config."""
    parts = folder / "runs"
    for side in SIDES:
        for file in (folder / side).glob("*.csv"):
            run = parts / f"{side}-{file.stem}"
            run.mkdir(parents=True)
            shutil.copy(file, run / "timings.csv")
            run_id = file.read_text(encoding="utf-8").splitlines()[1].partition(",")[0]
            metrics = [MetricRow(run_id, 1, f"metric_{n}", n / 7, "1") for n in range(FEW)]
            facts = [MachineRow(run_id, f"fact_{n}", run.name) for n in range(FEW)]
            (run / "metrics.csv").write_text(to_csv(metrics, MetricRow), encoding="utf-8")
            (run / "machine.csv").write_text(to_csv(facts, MachineRow), encoding="utf-8")
            (run / "config.yaml").write_text("name: mnist-dense\n", encoding="utf-8")
    return parts


def measure(output: Path, *given: str) -> tuple[float, float, str]:
    """Run the command as a user would; return seconds, MiB of peak memory, and its first line."""
    if output.is_dir():
        shutil.rmtree(output)
    output.unlink(missing_ok=True)
    command = [sys.executable, "-m", "mnistbench", "merge", *given, "-o", str(output)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.read().partition("\n")[0]
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, line
    return time.perf_counter() - start, usage.ru_maxrss / 1024, line


def report(folder: Path, machines: int, rows: int) -> None:
    generate(folder, machines, rows)
    parts = run_folders(folder)
    inputs = {
        f"{machines:,} files": (folder / "all", [f"{folder}/{side}/*.csv" for side in SIDES]),
        "2 files": (folder / "all", [f"{folder}/{side}.csv" for side in SIDES]),
        f"{machines:,} run folders": (folder / "all", [str(parts)]),
        "2 files, to Parquet": (
            folder / "all.parquet",
            [f"{folder}/{side}.csv" for side in SIDES],
        ),
    }
    print("| input | seconds | MiB | it said |\n|---|---:|---:|---|")
    for name, (output, given) in inputs.items():
        measured = [measure(output, *given) for _ in range(RUNS)]
        seconds, mebibytes, line = sorted(measured)[RUNS // 2]
        print(f"| {name} | {seconds:.2f} | {mebibytes:.0f} | {line.partition(': ')[2]} |")
    print(f"\nMedian of {RUNS} runs of the whole command.")


if __name__ == "__main__":
    run(__doc__, report)
