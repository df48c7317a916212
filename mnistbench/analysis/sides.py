"""What `compare` reads: run folders, timings CSVs, globs of both, and cloudmesh logs.

Whatever it was, out comes a Side: the configs measured, and for each its repeats in order.
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis import drift
from mnistbench.analysis.identity import Identity, identify_runs
from mnistbench.errors import InputError
from mnistbench.results import cloudmesh_log, runs
from mnistbench.results.csv import columns_of
from mnistbench.results.runs import LoadedRuns
from mnistbench.results.tables import CONFIG, TIMINGS

Array = npt.NDArray[Any]

DEFAULT_PHASES = ("train", "test")
"""What a machine spends its time on; the others last milliseconds, or measure the disk's cache."""

ALL_PHASES = "all"

_WHAT = "give a run folder, a timings.csv, a glob in quotes, or a cloudmesh log"


@dataclass(frozen=True)
class Times:
    """One phase of one config on one side, repeat by repeat in the order measured."""

    seconds: Array
    repeat: Array
    """The repeat's number in its run, from 1."""
    run: Array
    """Index into `ConfigRuns.runs`."""


@dataclass(frozen=True)
class Run:
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


@dataclass(frozen=True)
class ConfigRuns:
    """One config on one side: all its runs."""

    name: str
    """Empty where the input does not tell."""
    digest: str
    runs: tuple[Run, ...]
    identity: Identity
    phases: Mapping[str, Times]
    accuracies: Array
    """Test accuracy of every repeat that has one, from 0 to 1."""
    unfinished: int
    """Repeats that failed or were killed; their times are not used."""
    contended: int
    """Repeats that something else disturbed, as far as is known."""
    repeats: int
    """Those and all others with a time; 0 if none is contended."""
    drifts: tuple[float, ...]
    """Of each run whose train phase clearly drifted: how much longer its last repeat took."""


@dataclass(frozen=True)
class Side:
    """BASE, or one NEW."""

    name: str
    """As the user gave it."""
    files: tuple[Path, ...]
    configs: tuple[ConfigRuns, ...]
    unreadable_lines: int
    """Torn or garbled lines that were left out."""
    without_contended: bool
    """Whether the times of contended repeats were left out."""


def read_side(given: str, phases: Sequence[str], without_contended: bool = False) -> Side:
    """Read all that `given` names; without phases, the default ones that are there, or all.

    Raises InputError, naming the file, for what is missing, empty, or neither CSV nor log.
    """
    files = _files(given)
    logs = [path for path in files if _is_log(path)]
    if logs and len(logs) < len(files):
        raise InputError("holds logs and CSV files together; compare them apart", source=given)
    for wanted in _attempts(phases):
        loaded = _read_logs(logs, wanted) if logs else runs.load(files, wanted)
        if len(loaded.seconds):
            break
    else:
        raise InputError("holds no time of a finished repeat", source=given, hint=_WHAT)
    configs = _configs(loaded, without_contended)
    if any(not config.phases for config in configs):
        raise InputError(
            "every repeat was contended",
            source=given,
            hint="compare them without --without-contended, or measure again",
        )
    return Side(given, tuple(files), configs, loaded.unreadable_lines, without_contended)


def _attempts(phases: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Return the phases to look for, in turn; None stands for all there are."""
    if ALL_PHASES in phases:
        return [None]
    return [tuple(phases)] if phases else [DEFAULT_PHASES, None]


def _files(given: str) -> list[Path]:
    path = Path(given).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        return _files_of_folder(path, given)
    found = sorted(Path(match) for match in glob.glob(str(path), recursive=True))  # noqa: PTH207  absolute too
    if not found:
        raise InputError("no such file or folder", source=given, hint=_WHAT)
    return [file for match in found for file in _files_of_match(match, given)]


def _files_of_match(path: Path, given: str) -> list[Path]:
    return _files_of_folder(path, given) if path.is_dir() else [path]


def _files_of_folder(path: Path, given: str) -> list[Path]:
    """Return the timings of a run folder, or of the run folders in it."""
    own = path / TIMINGS
    found = [own] if own.is_file() else sorted(path.glob(f"*/{TIMINGS}"))
    if not found:
        raise InputError(f"no {TIMINGS} in this folder", source=given, hint=_WHAT)
    return found


def _is_log(path: Path) -> bool:
    columns = columns_of(path)
    # A log of ours has our columns too, but never begins with one.
    if ("phase" in columns or "run_id" in columns) and not columns[0].startswith("#"):
        return False
    if cloudmesh_log.looks_like_log(_text(path).splitlines()):
        return True
    problem = "is empty" if columns == ("",) else "is neither a timings CSV nor a cloudmesh log"
    raise InputError(problem, source=path, hint=_WHAT)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _read_logs(paths: Sequence[Path], phases: Sequence[str] | None) -> LoadedRuns:
    facts: dict[tuple[str, str], dict[str, str]] = {}
    rows: list[tuple[int, int, str, float]] = []
    unreadable = 0
    for path in paths:
        log = cloudmesh_log.read_log(_text(path))
        unreadable += log.unreadable_lines
        for time in log.times:
            if phases is not None and time.timer not in phases:
                continue
            key = (str(path), time.fields.get("run_id", ""))
            facts.setdefault(key, _facts_of_log(path, time.fields))
            if time.seconds is not None and 0 < time.seconds < float("inf"):
                rows.append((list(facts).index(key), time.repeat, time.timer, time.seconds))
    return LoadedRuns(
        facts=tuple(facts.values()),
        run=np.array([row[0] for row in rows], dtype=np.int64),
        repeat=np.array([row[1] for row in rows], dtype=np.int64),
        phase=np.array([row[2] for row in rows], dtype=np.str_),
        seconds=np.array([row[3] for row in rows], dtype=np.float64),
        accuracies=((),) * len(facts),
        unfinished=(0,) * len(facts),
        unreadable_lines=unreadable,
        contended=(frozenset(),) * len(facts),
    )


def _facts_of_log(path: Path, fields: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in fields.items() if "." not in name}
    node = own.get("node") or fields.get("uname.node", "")
    return {**own, "node": node, "file": str(path)}


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
            times[phase] = Times(loaded.seconds[chosen], loaded.repeat[chosen], run[chosen])
    return ConfigRuns(
        name=name,
        digest=digest,
        runs=tuple(map(_run, facts)),
        identity=identify_runs(facts, _settings(facts)),
        phases=times,
        accuracies=np.array([a for number in numbers for a in loaded.accuracies[number]]),
        unfinished=sum(loaded.unfinished[number] for number in numbers),
        contended=_count(loaded, contended),
        repeats=repeats,
        drifts=tuple(ratio for run in facts if (ratio := _drift(run)) is not None),
    )


def _run(facts: Mapping[str, str]) -> Run:
    folder = Path(facts["file"]).parent if facts.get("file") else None
    run_id, session, node, target = (
        facts.get(name, "") for name in ("run_id", "session", "node", "target_ci")
    )
    return Run(run_id, session, node, folder, target)


def _contended(loaded: LoadedRuns, numbers: Sequence[int]) -> Array:
    """Return which times belong to contended repeats of the given runs."""
    marked = [(number, repeat) for number in numbers for repeat in loaded.contended[number]]
    if not marked:
        return np.zeros(len(loaded.run), dtype=bool)
    found: Array = np.isin(_keys(loaded.run, loaded.repeat), _keys(*np.array(marked).T))
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
        path = Path(run["file"]).with_name(CONFIG) if run.get("file") else None
        if path is not None and path.is_file():
            return read_mapping(path)
    return None
