"""How unequally others on the machine disturbed the two repeats of each pair."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from mnistbench.analysis.pairing import Array, Design, shared_rounds
from mnistbench.analysis.sides import ConfigRuns, Values
from mnistbench.results.evidence_rows import Numbers, Repeat, numbers_beside
from mnistbench.results.tables import METRICS

_OTHERS, _WALL = "other_cpu_seconds", "repeat_wall_seconds"


class Waiting:
    """What others kept busy beside the repeats of two configs that were measured interleaved."""

    def __init__(self, base: ConfigRuns, new: ConfigRuns, design: Design) -> None:
        """Read it, where the pairs are repeats that did not run at the same time."""
        self._sides = base, new
        tells = design.paired and design.unit == "repeat" and not design.is_at_once
        self._busy: Mapping[Repeat, float] = _busy_beside(base, new) if tells else {}

    def of(self, values: tuple[Values, Values]) -> Array | None:
        """Return by how many CPU threads more others were busy beside NEW, pair by pair.

        None where that is not known of each pair.
        """
        if not self._busy:
            return None
        both = [self._amounts(config, of) for config, of in zip(self._sides, values, strict=True)]
        before, after = shared_rounds(*self._sides, (both[0], both[1]))
        more = after - before
        return more if len(more) and np.isfinite(more).all() else None

    def _amounts(self, config: ConfigRuns, values: Values) -> Values:
        busy = [self._busy.get(repeat, np.nan) for repeat in repeats_of(config, values)]
        amounts = np.array(busy)
        return Values(amounts, values.repeat, values.run)


def _busy_beside(*sides: ConfigRuns) -> Mapping[Repeat, float]:
    """Return the CPU threads that others kept busy beside each repeat, on average."""
    shares = {}
    for repeat, known in numbers_of(sides, (_OTHERS, _WALL)).items():
        if len(known) == 2 and known[_WALL] > 0 <= known[_OTHERS]:
            shares[repeat] = known[_OTHERS] / known[_WALL]
    return shares


def numbers_of(sides: Sequence[ConfigRuns], names: Collection[str]) -> Numbers:
    """Return metrics of the repeats of configs, out of their runs' folders."""
    runs = [run for config in sides for run in config.runs]
    folders: dict[Path, None] = dict.fromkeys(run.folder for run in runs if run.folder is not None)
    files = [folder / METRICS for folder in folders if (folder / METRICS).is_file()]
    return numbers_beside(files, {run.run_id for run in runs}, names)


def repeats_of(config: ConfigRuns, values: Values) -> list[Repeat]:
    """Return the repeat that each value is of."""
    return [
        (config.runs[run].run_id, int(repeat))
        for run, repeat in zip(values.run, values.repeat, strict=True)
    ]
