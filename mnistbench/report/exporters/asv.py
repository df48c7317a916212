"""A results folder of airspeed velocity (asv): a file for each machine, commit and environment."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnistbench.errors import InputError
from mnistbench.report.exporters.measured import Measured, MeasuredRun
from mnistbench.report.exporters.series import Group, groups, quartiles
from mnistbench.results.whole import write_whole

_COMMIT = "mnistbench_git_commit"
_PACKAGES = ("tensorflow", "jax", "torch", "keras", "numpy")
_MACHINE = {
    "os": ("system", "kernel"),
    "arch": ("cpu_architecture",),
    "cpu": ("cpu_model",),
    "num_cpu": ("cpu_threads",),
    "ram": ("memory_total_bytes",),
}
"""A field of asv's machine, and the facts that say it."""
_COLUMNS = (
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
    "stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples",
)  # fmt: skip
_VERSION = 2
"""Of asv's files of results and of benchmarks; that of machines is 1."""


def write_folder(measured: Measured, folder: Path) -> None:
    """Add to an asv results folder, or begin one; what it has of the same runs is replaced.

    Raises InputError for a run whose commit nobody knows.
    """
    files: dict[Path, list[MeasuredRun]] = {}
    for run in measured.runs:
        files.setdefault(folder / _file_of(run), []).append(run)
    benchmarks: dict[str, Any] = {}
    results: dict[Path, dict[str, Any]] = {}
    for file, runs in sorted(files.items()):
        results[file], described = _results(runs)
        benchmarks |= described
    known = folder / "benchmarks.json"
    before = json.loads(known.read_text(encoding="utf-8")) if known.is_file() else {}
    # Results last: broken off, the folder is one that asv reads, without them.
    _write(known, {**before, **benchmarks, "version": _VERSION})
    for file, content in results.items():
        _write(file.with_name("machine.json"), {**_machine(files[file][0]), "version": 1})
        _write(file, content)


def _file_of(run: MeasuredRun) -> Path:
    commit = run.facts.get(_COMMIT, "")
    if not commit:
        raise InputError(
            f"has no {_COMMIT} in its machine.csv, and asv knows results by their commit",
            source=f"run {run.run_id!r}",
            hint="leave it out",
        )
    return Path(_name(run.node), f"{commit[:8]}-{_environment(run)}.json")


def _name(node: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in node) or "-"


def _packages(run: MeasuredRun) -> dict[str, str]:
    versions = {name: run.facts.get(f"{name}_version", "") for name in _PACKAGES}
    return {name: version for name, version in versions.items() if version}


def _environment(run: MeasuredRun) -> str:
    parts = [f"python{_python(run)}", *(f"{n}{v}" for n, v in _packages(run).items())]
    return _name("-".join(parts))


def _python(run: MeasuredRun) -> str:
    return ".".join(run.facts.get("python_version", "").split(".")[:2])


def _machine(run: MeasuredRun) -> dict[str, str]:
    fields = {
        field: " ".join(filter(None, (run.facts.get(fact, "") for fact in facts)))
        for field, facts in _MACHINE.items()
    }
    return {"machine": _name(run.node), **fields}


def _results(runs: Sequence[MeasuredRun]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a file of results holds, and what its benchmarks are."""
    first, results, benchmarks = runs[0], {}, {}
    for group in groups(runs):
        for phase in group.phases:
            name = f"{group.label}.{phase}"
            benchmarks[name] = _benchmark(name, group)
            results[name] = _cells(group, phase, benchmarks[name]["version"])
    starts = [run.start for run in runs if run.start]
    packages = _packages(first)
    content = {
        "commit_hash": first.facts[_COMMIT],
        "env_name": _environment(first),
        "date": int(min(starts).timestamp() * 1000) if starts else None,
        "params": {**_machine(first), "python": _python(first), **packages},
        "python": _python(first),
        "requirements": packages,
        "env_vars": {},
        "result_columns": [*_COLUMNS],
        "results": results,
        "durations": {},
        "version": _VERSION,
    }
    return content, benchmarks


def _cells(group: Group, phase: str, version: str) -> list[Any]:
    times = group.times(phase)
    seconds = [time.seconds for time in times]
    starts = [time.start for time in times if time.start]
    low, high = quartiles(seconds)
    cells = {
        "result": [statistics.median(seconds)],
        "params": [],
        "version": version,
        "started_at": int(min(starts).timestamp() * 1000) if starts else None,
        "stats_q_25": [low],
        "stats_q_75": [high],
        "stats_number": [1],
        "stats_repeat": [len(seconds)],
        "samples": [seconds],
    }
    return [cells.get(column) for column in _COLUMNS]


def _benchmark(name: str, group: Group) -> dict[str, Any]:
    """Return what asv shows of a benchmark; another config of the name is another version."""
    return {
        "name": name,
        "pretty_name": name,
        "type": "time",
        "unit": "seconds",
        "params": [],
        "param_names": [],
        "code": "",
        "version": hashlib.sha256(group.parts["config_digest"].encode()).hexdigest(),
    }


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(content, indent=1, allow_nan=False).encode())
