"""How often `benchmark --target-ci` is wrong, measured: its rule on noise whose truth is known.

    python benchmarks/target_ci.py            # the tables of docs/verdicts.md; some minutes
    python benchmarks/target_ci.py --quick    # a smoke test, in seconds

Thousands of sessions are simulated repeat by repeat, by the very functions that the command
uses, each until its rule stops. Beside it stands the naive rule, which stops at the first plain
95 % interval that is narrow enough. Every figure is seeded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import verdicts
from scipy import special

from mnistbench.analysis import stats
from mnistbench.session import target, until_precise

Array = npt.NDArray[Any]

SEED = 20261122
LONGEST = 1000
"""Repeats, or pairs, after which a session that has not stopped is given up."""
LEAST_COVERAGE = 0.93
MOST_FALSE_ALARMS = 0.05
ALL_HOLD = (
    f"Every interval but that of the long run holds in at least {LEAST_COVERAGE:.0%}, and false "
    f"alarms are at most {MOST_FALSE_ALARMS:.0%}."
)

QUIET_TARGETS = (0.05, 0.03, 0.02, 0.01)
NOISY_TARGETS = (0.20, 0.10, 0.05, 0.03)
QUIET = ("lognormal, 5 %", "outliers, 1 in 10 at 2x")

IN_SESSION = "drift, 17 %"
IN_THE_LONG_RUN = "drift, 17 %, the long run"


@dataclass(frozen=True)
class Sessions:
    """Simulated sessions; all arrays (sessions, repeats)."""

    seconds: Array
    """Of one config alone."""
    ratios: Array
    """Of two equal configs, measured in turn."""
    truth: Array
    """Logarithm of the typical time that the first so many repeats of `seconds` have."""


@dataclass(frozen=True)
class Cell:
    """One noise and target over all simulated sessions; shares from 0 to 1."""

    noise: str
    target: float
    coverage: float
    """How often the interval at the stop held the truth."""
    repeats: float
    """Median number at the stop."""
    many: float
    """Its 95th percentile."""
    reached: float
    """Share of sessions that stopped before LONGEST."""
    naive_coverage: float
    false_alarms: float | None
    """Called faster or slower by `compare`, from the same interval, where both are equal."""


def draw(noise: str, random: np.random.Generator, sessions: int, longest: int) -> Sessions:
    if noise in (IN_SESSION, IN_THE_LONG_RUN):
        slow, fast = verdicts.drift_parts(random, sessions, 2 * longest)
        both = slow + fast
        until = np.arange(1, longest + 1)
        truth = slow[:, :longest].cumsum(axis=1) / until
        if noise == IN_THE_LONG_RUN:
            truth = np.zeros_like(truth)
    else:
        both = verdicts.NOISES[noise](random, sessions, 2 * longest)
        truth = np.full((sessions, longest), centre_of(noise))
    base, new = verdicts.interleaved(both, random)
    return Sessions(np.exp(both[:, :longest]), new / base, truth)


def centre_of(noise: str) -> float:
    """Return the logarithm of the typical time of endless repeats: not 0 with outliers."""
    if not noise.startswith("outliers"):
        return 0.0
    endless = verdicts.NOISES[noise](np.random.default_rng([SEED, 97]), 1, 400_000)
    return float(np.log(stats.typical_time(np.exp(endless[0]), 0.95).ratio))


def looks(longest: int) -> list[int]:
    found = [n for n in range(target.LEAST_REPEATS, longest) if until_precise.is_look(n)]
    return [*found, longest]


def stops(
    interval_at: Callable[[Array, int], stats.Interval], goal: float, numbers: list[int], count: int
) -> tuple[Array, Array, Array]:
    """Return of each session the repeats it stopped at, and both ends of its interval then."""
    at, low, high = (np.zeros(count) for _ in range(3))
    going = np.arange(count)
    for n in numbers:
        found = interval_at(going, n)
        done = (found.high / found.ratio <= 1 + goal) | (n == numbers[-1])
        ended = going[done]
        at[ended], low[ended], high[ended] = n, found.low[done], found.high[done]
        going = going[~done]
        if not len(going):
            break
    return at.astype(int), low, high


def plain_t(values: Array) -> stats.Interval:
    """Return Student's 95 % interval of the mean of logarithms."""
    n, logs = values.shape[-1], np.log(values)
    width = special.stdtrit(n - 1, 0.975) * logs.std(axis=-1, ddof=1) / np.sqrt(n)
    centre = logs.mean(axis=-1)
    return stats.Interval(np.exp(centre), np.exp(centre - width), np.exp(centre + width))


def covered(truth: Array, low: Array, high: Array) -> float:
    return float(((low <= np.exp(truth)) & (np.exp(truth) <= high)).mean())


def times_cell(noise: str, goal: float, sessions: int) -> Cell:
    """Simulate one config until its typical time is known."""
    drawn = draw(noise, generator(noise, goal), sessions, LONGEST)
    seconds = drawn.seconds
    at, low, high = stops(
        lambda going, n: target.typical_time(seconds[going, :n]), goal, looks(LONGEST), sessions
    )
    naive = stops(lambda going, n: plain_t(seconds[going, :n]), goal, naive_looks(), sessions)
    truth = drawn.truth[np.arange(sessions), at - 1]
    naive_truth = drawn.truth[np.arange(sessions), naive[0] - 1]
    if noise.startswith("outliers"):  # of means of logarithms, the truth is another
        naive_truth = np.full(sessions, 0.1 * np.log(2))
    return Cell(
        noise, goal, covered(truth, low, high), *sizes(at), covered(naive_truth, *naive[1:]),
        None,
    )  # fmt: skip


def ratio_cell(noise: str, goal: float, sessions: int) -> Cell:
    """Simulate two equal configs in turn until their ratio is known."""
    ratios = draw(noise, generator(noise, goal), sessions, LONGEST).ratios
    ones = np.ones(LONGEST)
    at, low, high = stops(
        lambda going, n: target.typical_ratio(ones[:n], ratios[going, :n]),
        goal, looks(LONGEST), sessions,
    )  # fmt: skip
    naive = stops(lambda going, n: plain_t(ratios[going, :n]), goal, naive_looks(), sessions)
    found = stats.verdicts(stats.Interval(np.sqrt(low * high), low, high), verdicts.MARGIN)
    alarms = np.isin(found, [stats.FASTER, stats.SLOWER]).mean()
    truth = np.zeros(sessions)
    return Cell(
        noise, goal, covered(truth, low, high), *sizes(at), covered(truth, *naive[1:]),
        float(alarms),
    )  # fmt: skip


def naive_looks() -> list[int]:
    return [n for n in range(2, LONGEST) if until_precise.is_look(n)] + [LONGEST]


def sizes(at: Array) -> tuple[float, float, float]:
    return float(np.median(at)), float(np.quantile(at, 0.95)), float((at < LONGEST).mean())


def generator(noise: str, goal: float) -> np.random.Generator:
    number = [*verdicts.NOISES, IN_THE_LONG_RUN].index(noise)
    return np.random.default_rng([SEED, number, int(1000 * goal)])


def cells_of(
    cell: Callable[[str, float, int], Cell], noises: list[str], sessions: int
) -> Iterator[Cell]:
    for noise in noises:
        for goal in QUIET_TARGETS if noise in QUIET else NOISY_TARGETS:
            yield cell(noise, goal, sessions)


def print_times(cells: list[Cell]) -> None:
    print("\n### One config: its typical time\n")
    print("| noise | target | 95 % interval holds the truth, % | naive stopping, % "
          "| repeats: median, 95th percentile |\n|---|---:|---:|---:|---:|")  # fmt: skip
    for c in cells:
        print(f"| {c.noise} | {c.target:.0%} | {percent(c.coverage)} | "
              f"{percent(c.naive_coverage)} | {repeats_text(c)} |")  # fmt: skip


def print_ratios(cells: list[Cell]) -> None:
    print("\n### Two configs: their ratio\n")
    print("| noise | target | 95 % interval holds the truth, % | naive stopping, % "
          "| false alarms of `compare`, % | pairs: median, 95th percentile |\n"
          "|---|---:|---:|---:|---:|---:|")  # fmt: skip
    for c in cells:
        shares = " | ".join(map(percent, (c.coverage, c.naive_coverage, c.false_alarms)))
        print(f"| {c.noise} | {c.target:.0%} | {shares} | {repeats_text(c)} |")


def percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def repeats_text(c: Cell) -> str:
    missed = f"; {1 - c.reached:.0%} not by {LONGEST}" if c.reached < 0.995 else ""
    return f"{c.repeats:.0f}, {c.many:.0f}{missed}"


def misses(cells: list[Cell]) -> list[str]:
    """Return which promises do not hold, if any; the long run is no promise."""
    found = []
    for c in cells:
        where = f"{c.noise}, {c.target:.0%}"
        if c.noise != IN_THE_LONG_RUN and c.coverage < LEAST_COVERAGE:
            found.append(f"{where}: coverage {c.coverage:.1%} is below {LEAST_COVERAGE:.0%}")
        if c.false_alarms is not None and c.false_alarms > MOST_FALSE_ALARMS:
            found.append(f"{where}: false alarms {c.false_alarms:.1%}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="50 sessions a cell")
    sessions = 50 if parser.parse_args().quick else 2_000
    start = time.perf_counter()
    print(f"{sessions:,} sessions a cell; standard error of 95 %: "
          f"{verdicts.error(0.95, sessions):.2f}")  # fmt: skip
    noises = list(verdicts.NOISES)
    times = list(cells_of(times_cell, [*noises, IN_THE_LONG_RUN], sessions))
    print_times(times)
    ratios = list(cells_of(ratio_cell, noises, sessions))
    print_ratios(ratios)
    missed = misses([*times, *ratios])
    print()
    print("\n".join(missed) or ALL_HOLD)
    print(f"\n{time.perf_counter() - start:.0f} s, seed {SEED}")
    return 1 if missed and sessions > 50 else 0


if __name__ == "__main__":
    raise SystemExit(main())
