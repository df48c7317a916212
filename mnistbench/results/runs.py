"""Runs as DuckDB finds them in their CSV files: a million rows become a few arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistbench.results.csv import connect, load_table, parts
from mnistbench.results.tables import MACHINE, METRICS, TIMINGS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


Array = npt.NDArray[Any]

_NEEDED = ("run_id", "config", "repeat", "phase", "seconds", "status")
_FACTS = (
    "config", "config_digest", "dataset", "data_digest", "model", "backend", "device",
    "precision", "epochs", "batch_size", "node",
)  # fmt: skip


@dataclass(frozen=True)
class LoadedRuns:
    """Times of several runs, in the order measured, and what is known of each run."""

    facts: tuple[Mapping[str, str], ...]
    """For each run: columns of its timings, attributes of its machine, `run_id` and `file`."""
    run: Array
    """Of each time: index into `facts`."""
    repeat: Array
    """Of each time: the repeat's number in its run, from 1."""
    phase: Array
    seconds: Array
    accuracies: tuple[Sequence[float], ...]
    """Of each run: the test accuracy of every repeat that has one."""
    unfinished: tuple[int, ...]
    """Of each run: repeats that failed or were killed."""
    unreadable_lines: int
    contended: tuple[frozenset[int], ...]
    """Of each run: the numbers of the repeats that something else disturbed, as far as is known."""


def load(paths: Sequence[Path], phases: Sequence[str] | None) -> LoadedRuns:
    """Read timings CSVs, and what lies beside those that are in run folders.

    `phases` are those to keep; None keeps all. Raises InputError, naming the file.
    """
    database = connect()
    try:
        _load_timings(database, paths, phases)
        facts = _facts(database)
        folders = [path.parent for path in paths if path.name == TIMINGS]
        _add_machines(database, facts, _existing(folders, MACHINE))
        accuracies, contended = _add_metrics(database, facts, _existing(folders, METRICS))
        if len(paths) == len(folders):
            _add_files(facts, folders)
        return _loaded(database, facts, accuracies, contended)
    finally:
        database.close()


def _load_timings(
    database: DuckDBPyConnection, paths: Sequence[Path], phases: Sequence[str] | None
) -> None:
    """Make the table `times`: good rows of the phases, unfinished ones, and torn ones."""
    kept = "phase <> 'phase'"
    if phases is not None:
        listed = ", ".join("'" + phase.replace("'", "''") + "'" for phase in phases)
        kept += f" AND phase IN ({listed})"
    with parts(paths, _NEEDED) as joined:
        for part in joined:
            facts = ", ".join(
                f"coalesce({name}, '') AS {name}" if name in part.columns else f"'' AS {name}"
                for name in _FACTS
            )
            start = "start_utc" if "start_utc" in part.columns else "''"
            select = (
                f"coalesce(run_id, '') AS run_id, {facts}, try_cast(repeat AS INTEGER) AS repeat, "
                f"phase, try_cast(seconds AS DOUBLE) AS seconds, {start} AS start, status"
            )
            load_table(database, part, "times", select, f"(status IS NULL OR {kept})")
    database.execute(
        "CREATE TABLE runs AS SELECT row_number() OVER (ORDER BY min(start), run_id, config) - 1 "
        "AS number, run_id, config, config_digest, "
        + ", ".join(f"any_value({name}) AS {name}" for name in _FACTS[2:])
        + ", count(DISTINCT repeat) FILTER (WHERE status NOT IN ('ok', 'inherited')) "
        "AS unfinished FROM times WHERE status IS NOT NULL "
        "GROUP BY run_id, config, config_digest"
    )


def _facts(database: DuckDBPyConnection) -> list[dict[str, str]]:
    names = ("run_id", *_FACTS)
    rows = database.execute(f"SELECT {', '.join(names)} FROM runs ORDER BY number").fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def _existing(folders: Sequence[Path], name: str) -> list[Path]:
    return [folder / name for folder in folders if (folder / name).is_file()]


def _add_machines(
    database: DuckDBPyConnection, facts: list[dict[str, str]], paths: list[Path]
) -> None:
    if not paths:
        return
    with parts(paths, ("run_id", "attribute", "value")) as joined:
        for part in joined:
            load_table(
                database, part, "machines", "run_id, attribute, value", "attribute IS NOT NULL"
            )
    by_run: dict[str, dict[str, str]] = {}
    for run_id, attribute, value in database.execute("FROM machines").fetchall():
        by_run.setdefault(run_id, {})[attribute] = value or ""
    for run in facts:
        # The machine's `node` and the like say the same; what a row of timings says stays.
        run.update({**by_run.get(run["run_id"], {}), **{k: v for k, v in run.items() if v}})


def _add_metrics(
    database: DuckDBPyConnection, facts: list[dict[str, str]], paths: list[Path]
) -> tuple[list[list[float]], list[frozenset[int]]]:
    """Tell each run whether it compiled with XLA; return each one's accuracies and contentions."""
    accuracies: dict[str, list[float]] = {}
    contended: dict[str, set[int]] = {}
    compiled: dict[str, str] = {}
    # An accuracy's unit is 1: where it is missing, the line and perhaps the figure are torn.
    wanted = (
        "metric = 'test_accuracy' AND unit = '1' AND isfinite(try_cast(value AS DOUBLE)) "
        "OR metric = 'jit_compile' AND value IN ('true', 'false') "
        "OR metric = 'contended' AND value = 'true' AND try_cast(repeat AS INTEGER) IS NOT NULL"
    )
    if paths:
        with parts(paths, ("run_id", "repeat", "metric", "value", "unit")) as joined:
            for part in joined:
                load_table(database, part, "metrics", "run_id, repeat, metric, value", wanted)
        for run_id, repeat, metric, value in database.execute("FROM metrics").fetchall():
            if metric == "jit_compile":
                compiled[run_id] = value
            elif metric == "contended":
                contended.setdefault(run_id, set()).add(int(repeat))
            else:
                accuracies.setdefault(run_id, []).append(float(value))
    for run in facts:
        run["jit_compile"] = compiled.get(run["run_id"], "")
    return (
        [accuracies.get(run["run_id"], []) for run in facts],
        [frozenset(contended.get(run["run_id"], ())) for run in facts],
    )


def _add_files(facts: list[dict[str, str]], folders: Sequence[Path]) -> None:
    """Tell each run its file; folders are named by their run."""
    by_name = {folder.resolve().name: folder for folder in folders}
    for run in facts:
        folder = folders[0] if len(folders) == 1 else by_name.get(run["run_id"])
        if folder is not None:
            run["file"] = str(folder / TIMINGS)


def _loaded(
    database: DuckDBPyConnection,
    facts: list[dict[str, str]],
    accuracies: list[list[float]],
    contended: list[frozenset[int]],
) -> LoadedRuns:
    good = "status = 'ok' AND seconds > 0 AND isfinite(seconds)"
    database.execute(
        "CREATE TABLE phases AS SELECT row_number() OVER (ORDER BY phase) - 1 AS code, phase "
        f"FROM (SELECT DISTINCT phase FROM times WHERE {good})"
    )
    # Numbers only: a million strings as Python objects would not fit the memory promised.
    found = database.execute(
        "SELECT number, coalesce(times.repeat, 0) AS repeat, code, seconds FROM times "
        "JOIN runs USING (run_id, config, config_digest) JOIN phases USING (phase) "
        f"WHERE {good} ORDER BY start, number, repeat, code"
    ).fetchnumpy()
    names = [
        name for (name,) in database.execute("SELECT phase FROM phases ORDER BY code").fetchall()
    ]
    unfinished = database.execute("SELECT unfinished FROM runs ORDER BY number").fetchall()
    torn = database.execute("SELECT count(*) FROM times WHERE status IS NULL").fetchall()
    return LoadedRuns(
        facts=tuple(facts),
        run=np.asarray(found["number"], dtype=np.int64),
        repeat=np.asarray(found["repeat"], dtype=np.int64),
        phase=np.array(names, dtype=np.str_)[np.asarray(found["code"], dtype=np.int64)],
        seconds=np.asarray(found["seconds"], dtype=np.float64),
        accuracies=tuple(accuracies),
        unfinished=tuple(count for (count,) in unfinished),
        unreadable_lines=torn[0][0],
        contended=tuple(contended),
    )
