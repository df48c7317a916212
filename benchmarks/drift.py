"""How often `mnistbench benchmark` tells of a drift that is none, and finds one that is there.

    python benchmarks/drift.py            # the tables of docs/contention.md; some minutes
    python benchmarks/drift.py --quick    # a smoke test, in seconds

Runs are drawn from the noises of `verdicts.py`, without a trend and with one, and judged by the
very function that `benchmark` uses. Every figure is seeded.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import numpy.typing as npt
from verdicts import SEED, Noise, autocorrelated, drift, heavy_tails, lognormal, outliers

from mnistbench.analysis.drift import LEVEL, trend

SIZES = (6, 10, 20, 30, 60)
LEVELS = (LEVEL, 0.05)

INDEPENDENT: dict[str, Noise] = {
    "lognormal, 17 %": lognormal(0.17),
    "heavy tails, 17 %": heavy_tails,
    "outliers, 1 in 10 at 2x": outliers,
}
DEPENDENT: dict[str, Noise] = {
    "autocorrelated .28, 17 %": autocorrelated,
    "slow drift without direction, 17 %": drift,
}
TRENDS = ((0.05, 1.10), (0.05, 1.20), (0.17, 1.20), (0.17, 1.50))
"""Spread of the repeats, and how much longer the last one takes than the first."""


def p_values(noise: Noise, n: int, runs: int, ratio: float = 1.0) -> npt.NDArray[np.float64]:
    random = np.random.default_rng([SEED, n])
    rise = np.linspace(0, math.log(ratio), n)
    times = np.exp(noise(random, runs, n) + rise)
    found = (trend(range(n), row) for row in times)
    return np.array([one.p_value for one in found if one is not None])


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def row(name: str, cells: list[str]) -> str:
    return f"| {name} | {' | '.join(cells)} |"


def print_header(first: str) -> None:
    print(f"\n| {first} | " + " | ".join(f"{n} repeats" for n in SIZES) + " |")
    print("|---|" + "---:|" * len(SIZES))


def print_false_alarms(runs: int) -> list[str]:
    """Print the share of runs without a trend that are told, and return the broken promises."""
    missed = []
    slack = 3.5 * math.sqrt(LEVEL * (1 - LEVEL) / runs)
    print_header(" / ".join(f"at p < {level:g}" for level in LEVELS))
    for name, noise in {**INDEPENDENT, **DEPENDENT}.items():
        shares = [
            [float((found < level).mean()) for level in LEVELS]
            for found in (p_values(noise, n, runs) for n in SIZES)
        ]
        print(row(name, [" / ".join(map(percent, cell)) for cell in shares]))
        if name in INDEPENDENT and max(cell[0] for cell in shares) > LEVEL + slack:
            missed.append(f"{name}: more false alarms than {LEVEL:g}")
    return missed


def print_power(runs: int) -> None:
    """Print the share of runs with a steady trend that are told."""
    print_header("trend, told at p < 0.01")
    for spread, ratio in TRENDS:
        noise = lognormal(spread)
        cells = [percent(float((p_values(noise, n, runs, ratio) < LEVEL).mean())) for n in SIZES]
        print(row(f"{ratio:.2f}x slower, spread {spread:.0%}", cells))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few runs, to see that it works")
    runs = 100 if parser.parse_args().quick else 4_000
    start = time.perf_counter()
    print(f"Runs that are told of a drift, in % of {runs:,}; white noise must stay at {LEVEL:.0%}.")
    missed = print_false_alarms(runs)
    print_power(runs // 4)
    print("\n" + ("\n".join(missed) or "The promise holds."))
    print(f"\n{time.perf_counter() - start:.0f} s, seed {SEED}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
