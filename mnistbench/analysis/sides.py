"""What `compare` reads: run folders, merged ones, timings CSVs, globs of them, and cloudmesh logs.

Whatever it was, out comes a Side: the configs measured, and for each its repeats in order.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import drift
from mnistbench.analysis.identity import Identity, identify_runs
from mnistbench.errors import InputError
from mnistbench.results import runs
from mnistbench.results.inputs import files_of, is_log
from mnistbench.results.log_runs import WHAT, load_logs, timers_of
from mnistbench.results.metric_rows import NO_METRICS, LoadedMetrics
from mnistbench.results.phases import PHASES
from mnistbench.results.runs import LoadedRuns
from mnistbench.results.tables import config_file

Array = npt.NDArray[Any]

DEFAULT_PHASES = ("train", "test")
"""What a machine spends its time on; the others last milliseconds, or measure the disk's cache."""

ALL_PHASES = "all"


@dataclass(frozen=True)
class Values:
    """One phase or metric of one config on one side, repeat by repeat in the order measured."""

    amounts: Array
    """Seconds of a phase; of a metric in its unit."""
    repeat: Array
    """The repeat's number in its run, from 1."""
    run: Array
    """Index into `ConfigRuns.runs`."""


@dataclass(frozen=True)
class SideRun:
    """One run of one config."""

    run_id: str
    """Empty in a log that knows no runs."""
    session: str
    """Shared by the runs that were measured interleaved; empty if unknown."""
    node: str
    folder: Path | None = None
    """Where its files lie; None if only its times were given."""
    target: str = ""
    """The half-width at which `--target-ci` ended its repeats; empty where n was fixed."""
    design: str = ""
    """`duet`, `one-core` or `parallel:N` where it was measured beside others, each on its share of
    the cores or of one; else empty."""


@dataclass(frozen=True)
class ConfigRuns:
    """One config on one side: all its runs."""

    name: str
    """Empty where the input does not tell."""
    digest: str
    runs: tuple[SideRun, ...]
    identity: Identity
    phases: Mapping[str, Values]
    accuracies: Array
    """Test accuracy of every repeat that has one, from 0 to 1."""
    unfinished: int
    """Repeats that failed, were killed or were pruned; their times are not used."""
    contended: int
    """Repeats that something else disturbed, as far as is known."""
    repeats: int
    """Those and all others with a time; 0 if none is contended."""
    zeros: frozenset[str]
    """Phases that took 0 s in a repeat, and in no repeat more; no ratio can be made of that."""
    drifts: tuple[float, ...]
    """Of each run whose train phase clearly drifted: how much longer its last repeat took."""
    metrics: Mapping[str, Values] = field(default_factory=dict)
    """Those asked for and known."""
    pruned: int = 0
    """Of the unfinished ones, those that a search ended early."""


@dataclass(frozen=True)
class Side:
    """BASE, or one NEW."""

    name: str
    """As the user gave it."""
    files: tuple[Path, ...]
    configs: tuple[ConfigRuns, ...]
    phases: tuple[str, ...]
    """All that the files name."""
    left_out: tuple[str, ...]
    """What was not used, a line for each reason."""
    without_contended: bool
    """Whether the times of contended repeats were left out."""
    metrics: LoadedMetrics = NO_METRICS
    """What the files say of the metrics asked for."""


@dataclass(frozen=True)
class GivenRuns:
    """The runs that one name on a command line stands for, before configs are told apart."""

    name: str
    """As the user gave it."""
    files: tuple[Path, ...]
    loaded: LoadedRuns
    phases: tuple[str, ...]
    """All that the files name."""


def read_side(
    given: str,
    phases: Sequence[str],
    without_contended: bool = False,
    metrics: Sequence[str] = (),
    readers: int = 1,
) -> Side:
    """Read all that `given` names; without phases, the default ones that are there, or all.

    `readers` names are read at once: each has its share of the cores. Raises
    InputError, naming the file, for what is missing, empty, or neither CSV nor log.
    """
    return side_of(read_runs(given, phases, metrics, readers), without_contended)


def read_runs(
    given: str, phases: Sequence[str], metrics: Sequence[str] = (), readers: int = 1
) -> GivenRuns:
    """Read the runs that `given` names; see `read_side`."""
    files = files_of(given)
    logs = [path for path in files if is_log(path)]
    if logs and len(logs) < len(files):
        raise InputError("holds logs and CSV files together; compare them apart", source=given)
    loaded = _load(logs or files, bool(logs), phases, given, metrics, readers)
    names = tuple(dict.fromkeys(loaded.phase.tolist()))
    if any(phase not in names and phase != ALL_PHASES for phase in phases):
        names = tuple(_phases_in(files, bool(logs)))
    return GivenRuns(given, tuple(files), loaded, names)


def side_of(given: GivenRuns, without_contended: bool = False) -> Side:
    """Return runs as a side of a comparison, config by config."""
    configs = _configs(given.loaded, without_contended)
    if without_contended and any(config.contended and not config.phases for config in configs):
        raise InputError(
            "every repeat was contended",
            source=given.name,
            hint="compare them without --without-contended, or measure again",
        )
    left_out = tuple(map(str, given.loaded.left_out))
    metrics = given.loaded.metrics
    return Side(
        given.name, given.files, configs, given.phases, left_out, without_contended, metrics
    )


def _load(
    files: Sequence[Path],
    logs: bool,
    phases: Sequence[str],
    given: str,
    metrics: Sequence[str],
    readers: int,
) -> LoadedRuns:
    """Return the times of the phases asked for; raise InputError, saying why there are none."""
    for wanted in _attempts(phases):
        loaded = load_logs(files, wanted) if logs else runs.load(files, wanted, metrics, readers)
        if len(loaded.seconds) or any(loaded.zeros):
            return loaded
    names = _phases_in(files, logs)
    absent = [phase for phase in phases if phase not in names and phase != ALL_PHASES]
    if absent and names:
        raise unknown_phase(absent[0], names, given)
    reasons = [str(reason) for reason in loaded.left_out]
    if any(loaded.unfinished):
        reasons.append(unfinished_text(sum(loaded.unfinished), sum(loaded.pruned)))
    raise InputError(
        "; ".join(["holds no time of a finished repeat", *reasons]),
        source=given,
        hint="measure again, or mend the file" if reasons else WHAT,
    )


def unfinished_text(unfinished: int, pruned: int) -> str:
    """Return how many repeats have no time of a whole training, and how many by a search."""
    text = f"{unfinished} repeats did not finish"
    return f"{text}, {pruned} of them pruned by a search" if pruned else text


def _phases_in(files: Sequence[Path], logs: bool) -> list[str]:
    return sort_phases(timers_of(files) if logs else runs.phases_of(files))


def unknown_phase(phase: str, names: Sequence[str], where: str) -> InputError:
    """Return the error of a phase that files do not have, with those that they do."""
    close = difflib.get_close_matches(phase, [*names, ALL_PHASES], n=1, cutoff=0.6)
    return InputError(
        f"no {phase!r} in {where}; the files have {', '.join(names)}",
        source="--phase",
        hint=f"did you mean {close[0]}?" if close else f"give one of them, or {ALL_PHASES}",
    )


def sort_phases(names: Iterable[str]) -> list[str]:
    """Return phases in the order they run; others after them."""
    return sorted(names, key=lambda name: (PHASES.index(name) if name in PHASES else 99, name))


def _attempts(phases: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Return the phases to look for, in turn; None stands for all there are."""
    if ALL_PHASES in phases:
        return [None]
    return [tuple(phases)] if phases else [DEFAULT_PHASES, None]


def _configs(loaded: LoadedRuns, without_contended: bool) -> tuple[ConfigRuns, ...]:
    by_config: dict[tuple[str, str], list[int]] = {}
    for number, facts in enumerate(loaded.facts):
        key = (facts.get("config", ""), facts.get("config_digest", ""))
        by_config.setdefault(key, []).append(number)
    phases = dict.fromkeys(loaded.phase.tolist())
    return tuple(
        _config(loaded, name, digest, numbers, list(phases), without_contended)
        for (name, digest), numbers in sorted(by_config.items())
    )


def _config(
    loaded: LoadedRuns,
    name: str,
    digest: str,
    numbers: list[int],
    phases: list[str],
    without_contended: bool,
) -> ConfigRuns:
    facts = [loaded.facts[number] for number in numbers]
    own_number = np.full(len(loaded.facts), -1)
    own_number[numbers] = np.arange(len(numbers))
    run = own_number[loaded.run]
    contended = _contended(loaded, numbers)
    repeats = _count(loaded, run >= 0) if contended.any() else 0
    left_out = contended if without_contended else np.zeros_like(contended)
    times = {}
    for phase in phases:
        chosen = (run >= 0) & (loaded.phase == phase) & ~left_out
        if chosen.any():
            times[phase] = Values(loaded.seconds[chosen], loaded.repeat[chosen], run[chosen])
    return ConfigRuns(
        name=name,
        digest=digest,
        runs=tuple(map(_run, facts)),
        identity=identify_runs(facts, _settings(facts)),
        phases=times,
        accuracies=np.array([a for number in numbers for a in loaded.accuracies[number]]),
        unfinished=sum(loaded.unfinished[number] for number in numbers),
        pruned=sum(loaded.pruned[number] for number in numbers),
        contended=_count(loaded, contended),
        repeats=repeats,
        zeros=frozenset().union(*(loaded.zeros[number] for number in numbers)) - {*times},
        drifts=tuple(ratio for run in facts if (ratio := _drift(run)) is not None),
        metrics=_metrics(loaded, numbers, own_number, without_contended),
    )


def _metrics(
    loaded: LoadedRuns, numbers: Sequence[int], own_number: Array, without_contended: bool
) -> dict[str, Values]:
    """Return the metrics asked for, of the given runs."""
    metrics = {}
    for name, found in loaded.metrics.by_name.items():
        run = own_number[found.run]
        chosen = run >= 0
        if without_contended:
            chosen &= ~_marked(found.run, found.repeat, loaded, numbers)
        if chosen.any():
            metrics[name] = Values(found.values[chosen], found.repeat[chosen], run[chosen])
    return metrics


def _run(facts: Mapping[str, str]) -> SideRun:
    folder = Path(facts["file"]).parent if facts.get("file") else None
    run_id, session, node, target, design = (
        facts.get(name, "") for name in ("run_id", "session", "node", "target_ci", "design")
    )
    return SideRun(run_id, session, node, folder, target, design)


def _contended(loaded: LoadedRuns, numbers: Sequence[int]) -> Array:
    """Return which times belong to contended repeats of the given runs."""
    return _marked(loaded.run, loaded.repeat, loaded, numbers)


def _marked(run: Array, repeat: Array, loaded: LoadedRuns, numbers: Sequence[int]) -> Array:
    marked = [(number, again) for number in numbers for again in loaded.contended[number]]
    if not marked:
        return np.zeros(len(run), dtype=bool)
    found: Array = np.isin(_keys(run, repeat), _keys(*np.array(marked).T))
    return found


def _keys(run: Array, repeat: Array) -> Array:
    """Return one number for each run and repeat: a million pairs as objects would take seconds."""
    keys: Array = run * (1 << 32) + repeat
    return keys


def _count(loaded: LoadedRuns, chosen: Array) -> int:
    """Return how many repeats the chosen times are of."""
    return len(np.unique(_keys(loaded.run[chosen], loaded.repeat[chosen])))


def _drift(facts: Mapping[str, str]) -> float | None:
    """Return how much longer a run's last repeat took than its first, if more than by chance."""
    try:
        p_value, ratio = (float(facts[f"drift_train_{name}"]) for name in ("p_value", "ratio"))
    except (KeyError, ValueError):  # not told, or torn
        return None
    return ratio if p_value < drift.LEVEL else None


def _settings(facts: Sequence[Mapping[str, str]]) -> Mapping[str, object] | None:
    """Return the fields of the config, from the first run that has its config.yaml."""
    from mnistbench.config.files import read_mapping

    for run in facts:
        if not run.get("file"):
            continue
        path = config_file(Path(run["file"]).parent, run.get("run_id", ""))
        if path.is_file():
            return read_mapping(path)
    return None
