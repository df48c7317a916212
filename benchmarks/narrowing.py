"""Can the evidence beside each repeat narrow the interval of a comparison? A study, on real pairs.

    python benchmarks/narrowing.py TABLE...        # of benchmarks/duets.py

Of the pairs of equal things, comparisons of 5, 10 and 20 are drawn and judged by the log ratio of
wall times as they are, by that of CPU times, and by regression of the wall times' on the pair's
difference in one kind of evidence (as ANCOVA and CUPED do): the weight is estimated within each
comparison, and its uncertainty is in the interval. All with Student's t, so that only what is
looked at differs: not quite the rule of `compare`. Printed are the width of the 95 % interval, as
a share of the raw one's, and how often it holds the truth. Sides are swapped by chance.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import special

SIZES = (5, 10, 20)
DRAWS = 4_000
Array = npt.NDArray[np.float64]
Pairs = Mapping[str, Array]


def pairs_of(table: Path, design: str) -> Pairs:
    """Return the columns of the equal pairs of a design."""
    with table.open(newline="") as text:
        rows = [row for row in csv.DictReader(text)
                if (row["design"], row["pair"]) == (design, "equal")]  # fmt: skip
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
    draw = np.random.default_rng(42)
    print("| table | design | pairs | by | width, of the raw one's | holds the truth |")
    print("|---|---|---:|---|---:|---:|")
    for table in parser.parse_args().tables:
        for design in ("interleaved", "duet"):
            study(table, design, draw)


if __name__ == "__main__":
    main()
