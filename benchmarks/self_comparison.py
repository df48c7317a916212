"""Real repeats against themselves: false alarms on this machine, and a real slowdown to be found.

    python benchmarks/self_comparison.py                # 100 and 40 pairs; 20 minutes
    python benchmarks/self_comparison.py --pairs 40 --slower-pairs 0

First `mnistbench selfcheck`: one config against itself, in turn, cut into comparisons. Then ten
epochs against twelve, in turn: a slowdown that is really computed, of a size that the times of
the epochs themselves tell. Both are judged as `mnistbench compare --phase train` judges.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import binomtest

from mnistbench.analysis import stats
from mnistbench.analysis.comparison import paired_times
from mnistbench.analysis.selfcheck import RULES, SIZES
from mnistbench.analysis.sides import read_side
from mnistbench.config.loading import load_config
from mnistbench.results.phases import TRAIN
from mnistbench.results.tables import METRICS

CONFIG = "mnist-dense-512"
EPOCHS = 10
MORE_EPOCHS = 12
FEW = ("dataset.train_samples=6000", "dataset.test_samples=1000")


def mnistbench(*arguments: str) -> list[str]:
    # A process of its own: the measuring processes would import this script, and SciPy with it.
    return [sys.executable, "-m", "mnistbench", *arguments]


def check_itself(pairs: int, few: tuple[str, ...], output: Path) -> None:
    overrides = [word for setting in few for word in ("--set", setting)]
    subprocess.run(
        mnistbench("selfcheck", CONFIG, *overrides, "--pairs", str(pairs), "--output", str(output)),
        check=True,
    )


def check_slowdown(pairs: int, output: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"epochs-{epochs}.yaml" for epochs in (EPOCHS, MORE_EPOCHS)]
        for file, epochs in zip(files, (EPOCHS, MORE_EPOCHS), strict=True):
            config = load_config(CONFIG, (*FEW, f"training.epochs={epochs}"))
            file.write_text(config.to_yaml(), encoding="utf-8")
        done = subprocess.run(
            mnistbench(
                "benchmark", *map(str, files), "--repeats", str(pairs), "--warmup", "1",
                "--output", str(output), "--format", "json",
            ),
            check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
    folders = [Path(run["folder"]) for run in json.loads(done.stdout)["runs"]]
    base, new, _ = paired_times(*(read_side(str(folder), (TRAIN,)) for folder in folders), TRAIN)
    print_slowdown(base, new, expected_factor(folders[0], base))


def expected_factor(folder: Path, seconds: np.ndarray) -> float:
    """Return by what factor more epochs must slow the run, by the times of its last epochs."""
    with (folder / METRICS).open(newline="", encoding="utf-8") as text:
        last = [
            float(row["value"])
            for row in csv.DictReader(text)
            if row["metric"] in (f"epoch_{EPOCHS}_seconds", f"epoch_{EPOCHS - 1}_seconds")
        ]
    return 1 + (MORE_EPOCHS - EPOCHS) * median(last) / float(np.median(seconds))


def print_slowdown(base: np.ndarray, new: np.ndarray, factor: float) -> None:
    overall = stats.paired_ratio(base, new, RULES.confidence)
    print(f"\n{MORE_EPOCHS} epochs against {EPOCHS}, {len(base)} pairs: {factor:.3f}x slower by "
          f"the epochs' own times; measured {float(overall.ratio):.3f}x, "
          f"{float(overall.low):.3f} to {float(overall.high):.3f}.")  # fmt: skip
    print("\n| pairs | called slower | 95 % interval |\n|---:|---:|---:|")
    for n in SIZES:
        count = len(base) // n
        if not count:
            continue
        sides = [side[: count * n].reshape(count, n) for side in (base, new)]
        verdicts = stats.verdicts(stats.paired_ratio(*sides, RULES.confidence), RULES.margin)
        found = int((verdicts == stats.SLOWER).sum())
        share = binomtest(found, count).proportion_ci(method="exact")
        print(f"| {n} | {found} of {count} | {share.low:.1%} to {share.high:.1%} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=100, help="of the config against itself")
    parser.add_argument("--slower-pairs", type=int, default=40, help="of 10 epochs against 12")
    parser.add_argument("--output", type=Path, default=Path("results"))
    parser.add_argument("--few", action="store_true", help="6,000 images: a smoke test")
    arguments = parser.parse_args()
    start = time.perf_counter()
    if arguments.pairs:
        check_itself(arguments.pairs, FEW if arguments.few else (), arguments.output)
    if arguments.slower_pairs:
        check_slowdown(arguments.slower_pairs, arguments.output)
    print(f"\n{(time.perf_counter() - start) / 60:.0f} min")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
