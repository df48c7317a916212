"""On which machines a sweep was measured, and whether they are alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnistbench.analysis.identity import (
    HARDWARE,
    SYSTEM,
    Difference,
    Identity,
    differences,
    identify_runs,
)
from mnistbench.analysis.sweeps import Point
from mnistbench.results.rows import MachineRow
from mnistbench.results.tables import MACHINE, read_table

_MOST_NAMED = 3


def machines_line(points: Sequence[Point], folder: Path) -> str:
    """Return what is told of a sweep on several machines; empty for one."""
    runs: dict[str, str] = {}
    for point in points:
        for repeat in point.repeats[:1]:  # machine.csv is of where a run began
            runs.setdefault(repeat.node, point.folder)
    if len(runs) < 2:
        return ""
    first, *others = runs
    text = f"Measured on {len(runs):,} machines, {_listed(list(runs))}"
    base = _identity(folder / runs[first])
    for other in others:
        unlike = _unlike(base, _identity(folder / runs[other]))
        if unlike:
            what = ", ".join(
                f"{each.field} {' '.join(each.base)} on {first} and {' '.join(each.new)} on {other}"
                for each in unlike[:_MOST_NAMED]
            )
            more = len(unlike) - _MOST_NAMED
            text += f", which are not alike: {what}{f' and {more} more' if more > 0 else ''}"
            break
    return f"{text}; what a setting does is told within each alone, medians are over all"


def _identity(run: Path) -> Identity:
    rows = read_table(run, MACHINE, MachineRow)
    return identify_runs([{row.attribute: str(row.value) for row in rows}], None)


def _unlike(base: Identity, new: Identity) -> list[Difference]:
    return [each for each in differences(base, new) if each.part in (HARDWARE, SYSTEM)]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
