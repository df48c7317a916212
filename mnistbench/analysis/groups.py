"""What a report sets against what: the results as they were given, their machines, or their runs.

`compare` is told its sides. A report is given anything, and finds them: results that share a config
are sides as they stand; otherwise all runs are one heap, told apart by machine, or, where one
session measured several configs on one machine, by config.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mnistbench.analysis.comparison import Comparison, Rules, compare_sides
from mnistbench.analysis.pairing import Array
from mnistbench.analysis.sides import (
    ALL_PHASES,
    DEFAULT_PHASES,
    ConfigRuns,
    GivenRuns,
    Side,
    read_runs,
    side_of,
)
from mnistbench.errors import InputError
from mnistbench.results.left_out import LeftOut
from mnistbench.results.metric_rows import LoadedMetrics, MetricValues
from mnistbench.results.runs import LoadedRuns

MOST_SIDES = 12
"""More machines are told as a crowd: nobody reads twenty columns, and of many verdicts at 95 %
some are wrong by chance."""

UNKNOWN = "(unknown machine)"

_MOST_READERS = 2
"""Each is a database and takes memory."""

By = Literal["result", "machine", "config"]


@dataclass(frozen=True)
class Groups:
    """The runs of a report, and the sides they are set against each other as."""

    given: tuple[GivenRuns, ...]
    """As they were read, a name on the command line each."""
    heap: GivenRuns
    """All of them."""
    sides: tuple[Side, ...]
    """BASE first; one if there is nothing to set against; none of a crowd."""
    by: By
    """What a side is."""

    @property
    def machines(self) -> tuple[str, ...]:
        """Return the machines in the order they measured."""
        return tuple(_by_machine(self.heap.loaded))


def read_groups(names: Sequence[str], metrics: Sequence[str]) -> Groups:
    """Read all results that are named, with all their phases, and find what to compare.

    Raises InputError for what cannot be read, and for a run that two names hold.
    """
    readers = min(_MOST_READERS, len(names))
    with ThreadPoolExecutor(readers) as pool:
        read = pool.map(lambda name: read_runs(name, (ALL_PHASES,), metrics, readers), names)
        given = tuple(read)
    _check_apart(given)
    heap = _joined(given)
    machines = _by_machine(heap.loaded)
    if _are_sides(given, machines):
        labels, by = _labels(given)
        named = zip(given, labels, strict=True)
        return Groups(given, heap, tuple(_side(runs, label) for runs, label in named), by)
    if len(machines) > MOST_SIDES:
        return Groups(given, heap, (), "machine")
    if len(machines) > 1:
        parts = [part_of(heap, numbers, name) for name, numbers in machines.items()]
        return Groups(given, heap, tuple(map(side_of, parts)), "machine")
    configs = _configs_of_one_session(heap.loaded)
    if configs:
        parts = [part_of(heap, numbers, name) for name, numbers in configs.items()]
        return Groups(given, heap, tuple(map(side_of, parts)), "config")
    return Groups(given, heap, (_side(heap, heap.name),), "result")


def compare_groups(groups: Groups, rules: Rules) -> tuple[Comparison, ...]:
    """Return every further side against the first, as `compare` judges them."""
    if len(groups.sides) < 2:
        return ()
    base, *others = (_with_default_phases(side) for side in groups.sides)
    return tuple(compare_sides(base, other, rules) for other in others)


def _with_default_phases(side: Side) -> Side:
    """Return a side as `compare` reads it where no phase is asked for: a verdict is for them all
    together, and so is another one where other phases are judged beside.
    """
    if not any(phase in side.phases for phase in DEFAULT_PHASES):
        return side
    configs = tuple(
        replace(
            config,
            phases={name: config.phases[name] for name in DEFAULT_PHASES if name in config.phases},
            zeros=config.zeros & {*DEFAULT_PHASES},
        )
        for config in side.configs
    )
    return replace(side, configs=configs)


def _are_sides(given: Sequence[GivenRuns], machines: Mapping[str, Sequence[int]]) -> bool:
    """Return whether results are sides as they were given."""
    if len(given) < 2 or not all(_belong_together(given[0], other) for other in given[1:]):
        return False
    nodes = [{*_by_machine(runs.loaded)} for runs in given]
    # A shell makes many names of one `results/*`: then several are of one machine, each of one.
    are_scattered = 1 < len(machines) < len(given) and all(len(each) == 1 for each in nodes)
    return not are_scattered and len(given) <= MOST_SIDES


def _belong_together(base: GivenRuns, new: GivenRuns) -> bool:
    """Return whether two results share a config, or were one session's on the same data."""
    for name in ("config", "config_digest"):
        values = [{run.get(name, "") for run in runs.loaded.facts} for runs in (base, new)]
        if (values[0] & values[1]) - {""} or (name == "config" and {""} in values):
            return True
    sessions = [
        {(run.get("session", ""), run.get("data_digest", "")) for run in runs.loaded.facts}
        for runs in (base, new)
    ]
    return any(session for session, _ in sessions[0] & sessions[1])


def _side(runs: GivenRuns, label: str) -> Side:
    return replace(side_of(runs), name=label)


def _labels(given: Sequence[GivenRuns]) -> tuple[list[str], By]:
    """Return a short name for each result, and what it is the name of.

    That is its machine or its config, where they tell the results apart; else the end of its path.
    """
    kinds: tuple[tuple[By, str], ...] = (("machine", "node"), ("config", "config"))
    for by, fact in kinds:
        values = [{run.get(fact, "") for run in runs.loaded.facts} for runs in given]
        names = [min(each) for each in values]
        if all(len(each) == 1 for each in values) and all(names) and len(set(names)) == len(names):
            return names, by
    paths = [Path(runs.name).parts for runs in given]
    for parts in range(1, max(map(len, paths)) + 1):
        names = [str(Path(*path[-parts:])) for path in paths]
        if len(set(names)) == len(names):
            return names, "result"
    return [runs.name for runs in given], "result"


def _by_machine(loaded: LoadedRuns) -> dict[str, list[int]]:
    """Return the numbers of the runs of each machine."""
    machines: dict[str, list[int]] = {}
    for number, run in enumerate(loaded.facts):
        machines.setdefault(run.get("node") or UNKNOWN, []).append(number)
    return machines


def _configs_of_one_session(loaded: LoadedRuns) -> dict[str, list[int]]:
    """Return the runs of each config where one session measured several, on the same data, side by
    side; else nothing.
    """
    kinds = {
        (run.get("session", ""), run.get("data_digest", ""), run.get("dataset", ""))
        for run in loaded.facts
    }
    configs: dict[str, list[int]] = {}
    for number, run in enumerate(loaded.facts):
        configs.setdefault(run.get("config", ""), []).append(number)
    several = 1 < len(configs) == len(loaded.facts) <= MOST_SIDES
    repeats = loaded.repeat.max(initial=0) > 1
    return configs if several and repeats and len(kinds) == 1 and "" not in min(kinds)[:1] else {}


def _check_apart(given: Sequence[GivenRuns]) -> None:
    """Raise InputError for a run that two names hold: it would count twice."""
    owners: dict[str, str] = {}
    for runs in given:
        own = {str(path.absolute()) for path in runs.files}
        own |= {run["run_id"] for run in runs.loaded.facts if run.get("run_id")}
        for key in sorted(own):
            if key in owners:
                raise InputError(
                    f"{key} is part of {owners[key]} too", source=runs.name, hint="give it once"
                )
        owners |= dict.fromkeys(own, runs.name)


def part_of(given: GivenRuns, numbers: Sequence[int], name: str) -> GivenRuns:
    """Return some of the runs, under a name; what was left out is told of the whole alone."""
    loaded = given.loaded
    place = np.full(len(loaded.facts), -1)
    place[list(numbers)] = np.arange(len(numbers))
    own = place[loaded.run] >= 0
    part = LoadedRuns(
        facts=tuple(loaded.facts[number] for number in numbers),
        run=place[loaded.run[own]],
        repeat=loaded.repeat[own],
        phase=loaded.phase[own],
        seconds=loaded.seconds[own],
        accuracies=tuple(loaded.accuracies[number] for number in numbers),
        unfinished=tuple(loaded.unfinished[number] for number in numbers),
        pruned=tuple(loaded.pruned[number] for number in numbers),
        zeros=tuple(loaded.zeros[number] for number in numbers),
        left_out=(),
        contended=tuple(loaded.contended[number] for number in numbers),
        metrics=_part_of_metrics(loaded.metrics, place),
    )
    phases = tuple(dict.fromkeys(part.phase.tolist()))
    return GivenRuns(name, (), part, phases)


def _part_of_metrics(metrics: LoadedMetrics, place: Array) -> LoadedMetrics:
    parts = {}
    for name, values in metrics.by_name.items():
        own = place[values.run] >= 0
        if own.any():
            parts[name] = MetricValues(
                values.unit, place[values.run[own]], values.repeat[own], values.values[own]
            )
    return replace(metrics, by_name=parts)


def _joined(given: Sequence[GivenRuns]) -> GivenRuns:
    """Return all runs as one heap."""
    if len(given) == 1:
        return given[0]
    loaded = [runs.loaded for runs in given]
    starts = np.cumsum([0, *(len(each.facts) for each in loaded)])
    heap = LoadedRuns(
        facts=tuple(run for each in loaded for run in each.facts),
        run=_one([each.run + start for each, start in zip(loaded, starts, strict=False)]),
        repeat=_one([each.repeat for each in loaded]),
        phase=_one([each.phase for each in loaded]),
        seconds=_one([each.seconds for each in loaded]),
        accuracies=tuple(each for some in loaded for each in some.accuracies),
        unfinished=tuple(each for some in loaded for each in some.unfinished),
        pruned=tuple(each for some in loaded for each in some.pruned),
        zeros=tuple(each for some in loaded for each in some.zeros),
        left_out=_all_left_out(loaded),
        contended=tuple(each for some in loaded for each in some.contended),
        metrics=_joined_metrics([each.metrics for each in loaded], starts),
    )
    files = tuple(path for runs in given for path in runs.files)
    phases = tuple(dict.fromkeys(phase for runs in given for phase in runs.phases))
    return GivenRuns(", ".join(runs.name for runs in given), files, heap, phases)


def _one(arrays: Sequence[Array]) -> Array:
    joined: Array = np.concatenate(arrays)
    return joined


def _all_left_out(loaded: Iterable[LoadedRuns]) -> tuple[LeftOut, ...]:
    return tuple(line for each in loaded for line in each.left_out)


def _joined_metrics(metrics: Sequence[LoadedMetrics], starts: Array) -> LoadedMetrics:
    by_name: dict[str, list[MetricValues]] = {}
    for each, start in zip(metrics, starts, strict=False):
        for name, values in each.by_name.items():
            shifted = replace(values, run=values.run + start)
            units = {other.unit for other in by_name.get(name, [])}
            if units - {shifted.unit}:
                raise InputError(
                    f"{name} is there in several units: {', '.join(sorted({*units, values.unit}))}",
                    source="metrics.csv",
                    hint="write all of it in one unit",
                )
            by_name.setdefault(name, []).append(shifted)
    joined = {
        name: MetricValues(
            parts[0].unit,
            _one([part.run for part in parts]),
            _one([part.repeat for part in parts]),
            _one([part.values for part in parts]),
        )
        for name, parts in by_name.items()
    }
    return replace(metrics[0], by_name=joined)


def measured_configs(sides: Sequence[Side]) -> list[tuple[str, list[tuple[Side, ConfigRuns]]]]:
    """Return each config with the sides that measured it, in the order they come."""
    configs: dict[str, list[tuple[Side, ConfigRuns]]] = {}
    for side in sides:
        for config in side.configs:
            configs.setdefault(config.name, []).append((side, config))
    return list(configs.items())
