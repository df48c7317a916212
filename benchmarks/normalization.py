"""How often the normalised ratio of two machines holds the truth, measured.

    python benchmarks/normalization.py            # the table of docs/verdicts.md; about a minute
    python benchmarks/normalization.py --quick    # a smoke test, in seconds

Thousands of pairs of machines are drawn: NEW is slower than BASE by any ratio, each workload of the
calibration by that ratio times its own deviation, and so is the training. The code is the same on
both, so the normalised ratio is 1 in truth. Judged by the functions that `compare` uses. Seeded.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from mnistbench.analysis import stats
from mnistbench.analysis.normalization import Ratio, predict

SEED = 20261122
WORKLOADS = ("matmul", "convolution", "copy", "dispatch")
DISAGREEMENTS = (0.0, 0.03, 0.06, 0.1, 0.15, 0.25)
NOISES = (0.01, 0.03, 0.1)
REPEATS = 10
SPREAD = 0.05
CONFIDENCE = 0.95


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="few pairs, to see that it runs")
    pairs = 20 if arguments.parse_args().quick else 1000
    start = time.perf_counter()
    random = np.random.default_rng(SEED)
    print("| workloads disagree by | machine noise | holds the truth | width | refused |", end="")
    print(" holds, if not refused |")
    print("|---:|---:|---:|---:|---:|---:|")
    for disagreement in DISAGREEMENTS:
        for noise in NOISES:
            print(cell(random, disagreement, noise, pairs), flush=True)
    print(f"\n{pairs} pairs of machines a row, {time.perf_counter() - start:.0f} s, seed {SEED}")


def cell(random: np.random.Generator, disagreement: float, noise: float, pairs: int) -> str:
    """Return a row of the table; the width is that of the whole interval, as a ratio."""
    drawn = [one_pair(random, disagreement, noise) for _ in range(pairs)]
    holds = np.array([low <= 1 <= high for low, high, _ in drawn])
    refused = np.array([refusal for _, _, refusal in drawn])
    width = np.median([high / low for low, high, _ in drawn])
    kept = f"{100 * holds[~refused].mean():.1f} %" if (~refused).any() else ""
    setting = f"| {100 * disagreement:g} % | {100 * noise:g} % "
    judged = f"| {100 * holds.mean():.1f} % | {width:.2f} | {100 * refused.mean():.0f} % "
    return f"{setting}{judged}| {kept} |"


def one_pair(
    random: np.random.Generator, disagreement: float, noise: float
) -> tuple[float, float, bool]:
    """Return the ends of one normalised interval, and whether it would have been refused."""
    machine = random.normal(0, 0.5)
    own = machine + disagreement * random.standard_normal(len(WORKLOADS))
    training = machine + disagreement * random.standard_normal()
    base, new = np.exp(SPREAD * random.standard_normal((2, REPEATS)))
    raw = stats.unpaired_ratio(base, new * np.exp(training), CONFIDENCE)
    found = predict(rates(random, 0 * own, noise), rates(random, own, noise), "BASE", "NEW")
    left = found.normalized(Ratio(float(raw.ratio), float(raw.low), float(raw.high)), CONFIDENCE)
    assert left.low is not None
    assert left.high is not None
    return left.low, left.high, bool(found.refusal)


def rates(
    random: np.random.Generator, slower: np.ndarray, noise: float
) -> dict[str, list[np.ndarray]]:
    """Return two processes' rates: what disturbs the machine disturbs all its work together."""
    moments = noise * random.standard_normal(2)
    return {
        name: [np.exp(m - shift + 0.02 * random.standard_normal(6)) for m in moments]
        for name, shift in zip(WORKLOADS, slower, strict=True)
    }


if __name__ == "__main__":
    main()
