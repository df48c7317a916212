"""Runs as DuckDB finds them in their CSV files: a million rows become a few arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistbench.results.csv import columns_of, parts, rows_of
from mnistbench.results.csv_loading import load_table
from mnistbench.results.database import connected
from mnistbench.results.left_out import LeftOut
from mnistbench.results.metric_rows import NO_METRICS, LoadedMetrics, load_metrics
from mnistbench.results.phases import STATUS_PRUNED
from mnistbench.results.row_conditions import MEASURED
from mnistbench.results.run_facts import (
    RunFigures,
    leave_out_half,
    machine_facts,
    odd_accuracies,
    run_figures,
)
from mnistbench.results.tables import (
    MACHINE,
    METRICS,
    TIMINGS,
    is_merged,
    is_of_a_folder,
    tables_in,
)
from mnistbench.results.timing_rows import FACTS, load_timings, phases_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


Array = npt.NDArray[Any]


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
    """By the wall clock; of the processor for what was measured on one core, beside another run."""
    accuracies: tuple[Sequence[float], ...]
    """Of each run: the test accuracy of every repeat that has one."""
    unfinished: tuple[int, ...]
    """Of each run: repeats that failed, were killed or were pruned."""
    pruned: tuple[int, ...]
    """Of each run: those of them that a search ended early."""
    zeros: tuple[frozenset[str], ...]
    """Of each run: the phases that took 0 s in a repeat; no ratio can be made of that."""
    left_out: tuple[LeftOut, ...]
    """Rows that were not used, by reason."""
    contended: tuple[frozenset[int], ...]
    """Of each run: the numbers of the repeats that something else disturbed, as far as is known."""
    metrics: LoadedMetrics = NO_METRICS
    """Those asked for."""


def load(
    paths: Sequence[Path],
    phases: Sequence[str] | None,
    metrics: Sequence[str] = (),
    readers: int = 1,
) -> LoadedRuns:
    """Read tables of timings, and what lies beside those that are in run folders.

    `phases` are those to keep; None keeps all. `readers` results are read at once. Raises
    InputError, naming the file.
    """
    with connected(readers) as database:
        left_out = load_timings(database, paths, phases)
        names = ("run_id", *FACTS, "design")
        rows = database.execute(f"SELECT {', '.join(names)} FROM runs ORDER BY number").fetchall()
        facts = [dict(zip(names, row, strict=True)) for row in rows]
        folders = run_folders(paths, {run["run_id"] for run in facts})
        resumed = _resumed(database)
        figures = _add_neighbours(database, facts, folders, resumed)
        files = tables_in(folders, METRICS)
        loaded, problems = NO_METRICS, list[LeftOut]()
        left_out += odd_accuracies(facts, figures)
        if files:
            left_out += leave_out_half(database, folders)
        if metrics and files:
            loaded, problems = load_metrics(database, files, metrics, resumed)
        return _loaded(database, facts, figures, [*left_out, *problems], loaded)


def phases_of(paths: Sequence[Path]) -> list[str]:
    """Return every phase that timings CSVs name."""
    with connected() as database:
        return phases_in(database, paths)


def run_folders(paths: Iterable[Path], run_ids: set[str]) -> dict[Path, str]:
    """Return the run folders, each with the id of its run: its name, or what its first row says."""
    folders = {}
    for path in paths:
        if is_of_a_folder(path):
            name = path.parent.resolve().name
            folders[path.parent] = name if name in run_ids else _first_run(path)
    return folders


def _files_of_runs(
    database: DuckDBPyConnection, folders: Mapping[Path, str], run_ids: Sequence[str]
) -> dict[str, str]:
    """Return the timings beside which the other files of each run lie."""
    files: dict[str, str] = {}
    merged = [folder for folder in folders if is_merged(folder)]
    for folder, run_id in folders.items():
        if folder not in merged:
            files.setdefault(run_id, str(folder / TIMINGS))
    for file in tables_in(merged, TIMINGS):
        held = run_ids if len(merged) == 1 else _run_ids(database, file)
        for run_id in held:
            files.setdefault(run_id, str(file))
    return files


def _run_ids(database: DuckDBPyConnection, file: Path) -> list[str]:
    """Return the ids of all runs in a merged table of timings."""
    with parts([file], ("run_id",)) as joined:
        for part in joined:
            load_table(database, part, "named", "DISTINCT run_id", "run_id IS NOT NULL")
    ids = database.execute("FROM named ORDER BY ALL").fetchall()
    database.execute("DROP TABLE named")
    return [run_id for (run_id,) in ids]


def _first_run(path: Path) -> str:
    place = columns_of(path).index("run_id")
    return next((row[place] for _, row in rows_of(path) if len(row) > place), "")


def _resumed(database: DuckDBPyConnection) -> set[str]:
    """Return the runs in which a second process went on with a training."""
    rows = database.execute("SELECT DISTINCT run_id FROM resumed JOIN runs USING (number)")
    return {run_id for (run_id,) in rows.fetchall()}


def _add_neighbours(
    database: DuckDBPyConnection,
    facts: list[dict[str, str]],
    folders: Mapping[Path, str],
    resumed: set[str],
) -> list[RunFigures]:
    """Tell each run its machine, its file and whether XLA compiled it; return its figures."""
    machines, metrics = (tables_in(folders, table) for table in (MACHINE, METRICS))
    by_run = machine_facts(database, machines, resumed) if machines else {}
    figures = run_figures(database, metrics, resumed) if metrics else {}
    files = _files_of_runs(database, folders, [run["run_id"] for run in facts])
    for run in facts:
        run_id = run["run_id"]
        # The machine's `node` and the like say the same; what a row of timings says stays.
        run.update({**by_run.get(run_id, {}), **{k: v for k, v in run.items() if v}})
        run["jit_compile"] = figures.get(run_id, RunFigures()).jit_compile
        if run_id in files:
            run["file"] = files[run_id]
    return [figures.get(run["run_id"], RunFigures()) for run in facts]


def _loaded(
    database: DuckDBPyConnection,
    facts: list[dict[str, str]],
    figures: list[RunFigures],
    left_out: list[LeftOut],
    metrics: LoadedMetrics,
) -> LoadedRuns:
    times = database.execute(
        f"SELECT number, repeat, code, seconds FROM times WHERE {MEASURED} "
        "ORDER BY start, number, repeat, code"
    ).fetchnumpy()
    names = [
        name for (name,) in database.execute("SELECT phase FROM phases ORDER BY code").fetchall()
    ]
    unfinished = _repeats_with(database, f"NOT ({MEASURED} OR status = 'inherited')")
    pruned = _repeats_with(database, f"status = '{STATUS_PRUNED}'")
    zeros: dict[int, set[str]] = {}
    for number, phase in database.execute("FROM zeros").fetchall():
        zeros.setdefault(number, set()).add(phase)
    return LoadedRuns(
        facts=tuple(facts),
        run=np.asarray(times["number"], dtype=np.int64),
        repeat=np.asarray(times["repeat"], dtype=np.int64),
        phase=np.array(names, dtype=np.str_)[np.asarray(times["code"], dtype=np.int64)],
        seconds=np.asarray(times["seconds"], dtype=np.float64),
        accuracies=tuple(tuple(run.accuracies.values()) for run in figures),
        unfinished=tuple(unfinished.get(number, 0) for number in range(len(facts))),
        pruned=tuple(pruned.get(number, 0) for number in range(len(facts))),
        zeros=tuple(frozenset(zeros.get(number, ())) for number in range(len(facts))),
        left_out=tuple(left_out),
        contended=tuple(frozenset(run.contended) for run in figures),
        metrics=metrics,
    )


def _repeats_with(database: DuckDBPyConnection, condition: str) -> dict[int, int]:
    """Return of each run how many repeats have such a row; nothing of those that have none."""
    return dict(
        database.execute(
            f"SELECT number, count(DISTINCT repeat) FROM times WHERE {condition} GROUP BY number"
        ).fetchall()
    )
