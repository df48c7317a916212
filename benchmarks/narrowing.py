"""Can the evidence beside each repeat narrow the interval of a comparison? A study, on real pairs.

    python benchmarks/narrowing.py TABLE...        # of benchmarks/duets.py

First the verdict's own rule, with and without what it takes from the evidence: of equal pairs, and
of 10 epochs against 11, comparisons of 5, 10 and 20 are drawn, and it is counted how often the
interval holds the truth, how wide it is, and how often NEW is called slower or faster. Then what
else was looked at: the log ratio of CPU times, and regression of the wall times' on the pair's
difference in one kind of evidence (as ANCOVA and CUPED do), all with Student's t, so that only what
is looked at differs; the width is a share of the raw one's. Sides of equal pairs are swapped by
chance.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from duets import read
from scipy import special

from mnistbench.analysis import stats

SIZES = (5, 10, 20)
DRAWS = 4_000
Array = npt.NDArray[np.float64]
Pairs = Mapping[str, Array]


def pairs_of(table: Path, design: str, pair: str = "equal") -> Pairs:
    """Return the columns of one kind of pairs of a design."""
    with table.open(newline="") as text:
        rows = [row for row in csv.DictReader(text)
                if (row["design"], row["pair"]) == (design, pair)]  # fmt: skip
    return {name: np.array([float(row[name] or "nan") for row in rows])
            for name in rows[0] if name not in ("design", "pair")}  # fmt: skip


def _difference(pairs: Pairs, name: str) -> Array:
    """Return how much more of it NEW had than BASE, by the second."""
    new, base = (pairs[f"{side}_{name}"] / pairs[f"{side}_repeat_wall_seconds"]
                 for side in ("new", "base"))  # fmt: skip
    return new - base


COVARIATES: Mapping[str, Callable[[Pairs], Array]] = {
    "others' CPU time": lambda pairs: _difference(pairs, "other_cpu_seconds"),
    "steal": lambda pairs: _difference(pairs, "steal_seconds"),
    "CPU pressure": lambda pairs: _difference(pairs, "pressure_cpu_some_seconds"),
    "involuntary switches": lambda pairs: _difference(pairs, "context_switches_involuntary"),
}


def raw(changes: Array, _: Array) -> tuple[Array, Array]:
    """Return centre and half-width of each drawn comparison by a paired t."""
    n = changes.shape[-1]
    error = changes.std(axis=-1, ddof=1) / n**0.5
    return changes.mean(axis=-1), special.stdtrit(n - 1, 0.975) * error


def regressed(changes: Array, waiting: Array) -> tuple[Array, Array]:
    """Return the same at equal waiting: the intercept of a line through each comparison's pairs."""
    n = changes.shape[-1]
    mean = waiting.mean(axis=-1, keepdims=True)
    square = ((waiting - mean) ** 2).sum(axis=-1)
    there = square > 0
    safe = np.where(there, square, 1.0)
    centred = changes - changes.mean(axis=-1, keepdims=True)
    slope = np.where(there, (centred * (waiting - mean)).sum(axis=-1) / safe, 0.0)
    centre = changes.mean(axis=-1) - slope * mean[..., 0]
    left = centred - slope[..., None] * (waiting - mean)
    variance = (left**2).sum(axis=-1) / (n - 2)
    error = np.sqrt(variance * (1 / n + np.where(there, mean[..., 0] ** 2 / safe, 0.0)))
    return centre, special.stdtrit(n - 2, 0.975) * error


def verdicts(table: Path, pair: str, truth: float, draw: np.random.Generator) -> None:
    """Print what the verdict's rule gives on interleaved pairs, with and without the evidence."""
    pairs = pairs_of(table, "interleaved", pair)
    changes = np.log(pairs["new_seconds"] / pairs["base_seconds"])
    waiting = _difference(pairs, "other_cpu_seconds")
    for n in SIZES:
        chosen = np.argsort(draw.random((DRAWS, len(changes))), axis=1)[:, :n]
        sign = draw.choice((-1.0, 1.0), (DRAWS, 1)) if pair == "equal" else 1.0
        new, beside = np.exp(changes[chosen] * sign), waiting[chosen] * sign
        for name, evidence in (("without", None), ("with", beside)):
            found = stats.paired_ratio(np.ones_like(new), new, 0.95, waiting=evidence)
            holds = ((found.low <= truth) & (truth <= found.high)).mean()
            width = np.median(np.log(found.high / found.low)) / 2
            slower = (found.low > 1).mean()
            faster = (found.high < 1).mean()
            print(f"| {table.stem} | {pair} | {truth:.3f} | {n} | {name} | {width:.3f} "
                  f"| {holds:.1%} | {slower:.1%} | {faster:.1%} |")  # fmt: skip


def study(table: Path, design: str, draw: np.random.Generator) -> None:
    pairs = pairs_of(table, design)
    wall = np.log(pairs["new_seconds"] / pairs["base_seconds"])
    cpu = np.log(pairs["new_cpu_seconds"] / pairs["base_cpu_seconds"])
    rules = {"raw": (raw, wall, wall), "CPU time": (raw, cpu, cpu)}
    for name, of_pairs in COVARIATES.items():
        waiting = of_pairs(pairs)
        if np.isfinite(waiting).all() and waiting.std() > 0:
            rules[f"regression on {name}"] = (regressed, wall, waiting)
    for n in SIZES:
        chosen = np.argsort(draw.random((DRAWS, len(wall))), axis=1)[:, :n]
        sign = draw.choice((-1.0, 1.0), (DRAWS, 1))
        widths = {}
        for name, (rule, changes, waiting) in rules.items():
            centre, half = rule(changes[chosen] * sign, waiting[chosen] * sign)
            widths[name] = np.median(half)
            holds = (np.abs(centre) <= half).mean()
            print(f"| {table.stem} | {design} | {n} | {name} | {widths[name] / widths['raw']:.2f} "
                  f"| {holds:.1%} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=20_000, help="as benchmarks/duets.py had it")
    arguments, draw = parser.parse_args(), np.random.default_rng(42)
    print("| table | pairs of | truth | n | evidence | half of the interval | holds the truth "
          "| above 1 | below 1 |\n|---|---|---:|---:|---|---:|---:|---:|---:|")  # fmt: skip
    for table in arguments.tables:
        for one in read(table, arguments.images):
            if one.design == "interleaved" and one.pair != "images" and len(one.base):
                verdicts(table, one.pair, one.truth, draw)
    print("\n| table | design | pairs | by | width, of the raw one's | holds the truth |")
    print("|---|---|---:|---|---:|---:|")
    for table in arguments.tables:
        for design in ("interleaved", "duet"):
            study(table, design, draw)


if __name__ == "__main__":
    main()
