"""The repeats of one phase together: what most other programs call a benchmark."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnistbench.analysis.sides import sort_phases
from mnistbench.report.exporters.measured import MeasuredRun, Time

_PARTS = ("node", "backend", "device", "precision", "config_digest")
"""What tells runs of one config apart; a label tells those that differ."""
_DIGITS = 8


@dataclass(frozen=True)
class Group:
    """Runs of one config, of the same settings on the same machine."""

    label: str
    """Of the config, and where several are of its name what they differ in."""
    parts: Mapping[str, str]
    runs: tuple[MeasuredRun, ...]

    @property
    def config(self) -> str:
        """Return the config's name."""
        return self.runs[0].config

    @property
    def phases(self) -> tuple[str, ...]:
        """Return the phases in the order they run."""
        return tuple(sort_phases({phase for run in self.runs for phase in run.times}))

    def times(self, phase: str) -> list[Time]:
        """Return a phase's times, run by run and repeat by repeat."""
        return [
            time
            for run in self.runs
            for _, time in sorted(run.times.get(phase, {}).items())
        ]  # fmt: skip

    def seconds(self, phase: str) -> list[float]:
        """Return a phase's times in seconds."""
        return [time.seconds for time in self.times(phase)]

    def same(self, fact: str) -> str:
        """Return a fact that all runs agree on; empty where they do not, or none tells it."""
        values = {run.facts.get(fact, "") for run in self.runs}
        return values.pop() if len(values) == 1 else ""


def groups(runs: Sequence[MeasuredRun]) -> list[Group]:
    """Return runs by what was measured on what, each group with a label of its own."""
    by_parts: dict[tuple[str, ...], list[MeasuredRun]] = {}
    for run in runs:
        by_parts.setdefault((run.config, *_parts(run).values()), []).append(run)
    labels = _labels(by_parts)
    return [
        Group(labels[key], _parts(members[0]), tuple(members))
        for key, members in sorted(by_parts.items())
    ]


def _parts(run: MeasuredRun) -> dict[str, str]:
    known = {"node": run.node, "config_digest": run.config_digest}
    return {part: known.get(part, run.facts.get(part, "")) for part in _PARTS}


def _labels(keys: Sequence[tuple[str, ...]] | Mapping[tuple[str, ...], object]) -> dict[
    tuple[str, ...], str
]:  # fmt: skip
    labels = {}
    for key in keys:
        namesakes = [other for other in keys if other[0] == key[0]]
        told = [
            key[place][:_DIGITS] if part == "config_digest" else key[place]
            for place, part in enumerate(_PARTS, 1)
            if len({other[place] for other in namesakes}) > 1
        ]
        labels[key] = " ".join([key[0], *filter(None, told)])
    return labels


def file_names(all_groups: Sequence[Group]) -> list[str]:
    """Return a name for a file of each group, none twice."""
    names: list[str] = []
    for group in all_groups:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", group.label).strip("-.") or "config"
        while name in names:
            name += "-"
        names.append(name)
    return names


def quartiles(seconds: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third; of a single time that time."""
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    low, _, high = statistics.quantiles(seconds, method="inclusive")
    return low, high
