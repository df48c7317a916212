"""Metrics of many runs out of their metrics.csv files: the numbers asked for, repeat by repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnistbench.errors import InputError
from mnistbench.results import left_out
from mnistbench.results.csv import parts
from mnistbench.results.csv_loading import load_table
from mnistbench.results.left_out import LeftOut
from mnistbench.results.metrics import known_kind
from mnistbench.results.row_conditions import MEASURED
from mnistbench.results.run_facts import two_values

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Array = npt.NDArray[Any]

_NEEDED = ("run_id", "repeat", "metric", "value", "unit")


@dataclass(frozen=True)
class MetricValues:
    """One metric of several runs, in the order of the runs and their repeats."""

    unit: str
    """As the files have it."""
    run: Array
    """Of each value: index into the runs' facts."""
    repeat: Array
    """Of each value: the repeat's number in its run, from 1."""
    values: Array
    """Finite numbers."""


@dataclass(frozen=True)
class LoadedMetrics:
    """The metrics asked for, as far as the files have them."""

    by_name: Mapping[str, MetricValues]
    """Those that have a number."""
    texts: Mapping[str, str]
    """Those that are in the files and are text: an example of each."""
    names: tuple[str, ...]
    """Of all metrics in the files; empty where mnistbench knows each that was asked for."""


NO_METRICS = LoadedMetrics({}, {}, ())


def load_metrics(
    database: DuckDBPyConnection, paths: Sequence[Path], wanted: Sequence[str], resumed: set[str]
) -> tuple[LoadedMetrics, list[LeftOut]]:
    """Return metrics of the finished repeats in `times`, and what of them cannot be used.

    An empty value is an unknown one, and counts as none. Raises InputError for two values of one
    metric of one repeat; of a resumed run, whose parts have one each, neither is used.
    """
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in wanted)
    with parts(paths, _NEEDED, "value") as joined:
        for part in joined:
            load_table(
                database, part, "metrics_asked",
                "DISTINCT run_id, try_cast(repeat AS INTEGER) AS repeat, metric, "
                "trim(value) AS value, coalesce(unit, '') AS unit",
                f"metric IN ({listed}) AND value IS NOT NULL",
            )  # fmt: skip
    database.execute(
        "CREATE TABLE asked AS SELECT DISTINCT number, repeat, metric, value, unit, run_id, "
        "CASE WHEN NOT contains(value, '_') AND isfinite(try_cast(value AS DOUBLE)) "
        "THEN try_cast(value AS DOUBLE) END "
        "AS amount "
        "FROM metrics_asked JOIN runs USING (run_id) "
        f"SEMI JOIN (SELECT DISTINCT number, repeat FROM times WHERE {MEASURED}) "
        "USING (number, repeat) WHERE value <> ''"
    )
    problems = _once(database, paths, resumed)
    texts = {name: _text_of(database, name) for name in wanted}
    values = {name: _values_of(database, name) for name in wanted if texts[name] is None}
    problems += _no_numbers(database, [*values], paths)
    return LoadedMetrics(
        {name: found for name, found in values.items() if len(found.values)},
        {name: text for name, text in texts.items() if text is not None},
        _names_in(database, paths) if any(known_kind(name) is None for name in wanted) else (),
    ), problems


def _names_in(database: DuckDBPyConnection, paths: Sequence[Path]) -> tuple[str, ...]:
    with parts(paths, _NEEDED) as joined:
        for part in joined:
            load_table(database, part, "metric_names", "DISTINCT metric", "value IS NOT NULL")
    rows = database.execute("SELECT DISTINCT metric FROM metric_names ORDER BY 1").fetchall()
    return tuple(name for (name,) in rows if name != "metric")


def _once(database: DuckDBPyConnection, paths: Sequence[Path], resumed: set[str]) -> list[LeftOut]:
    """Take out what resumed runs have twice; raise InputError where another run has."""
    twice = database.execute(
        "SELECT run_id, repeat, metric, list(value ORDER BY value) FROM asked "
        "GROUP BY ALL HAVING count(DISTINCT value) > 1 ORDER BY ALL"
    ).fetchall()
    for run_id, repeat, metric, values in twice:
        if run_id not in resumed:
            raise two_values(run_id, f"{metric} of repeat {repeat}", values[:2], paths)
    if not twice:
        return []
    database.execute(
        "DELETE FROM asked WHERE (run_id, repeat, metric) IN (SELECT (run_id, repeat, metric) "
        "FROM asked GROUP BY run_id, repeat, metric HAVING count(DISTINCT value) > 1)"
    )
    run_id, repeat, metric, values = twice[0]
    path = next((path for path in paths if path.parent.name == run_id), paths[0])
    value = f"{metric} of repeat {repeat}: {', '.join(values[:3])}"
    return [LeftOut(left_out.METRIC_RESUMED, len(twice), path, 0, value)]


def _text_of(database: DuckDBPyConnection, name: str) -> str | None:
    """Return a value of a metric that has no number at all; None of one that has, or is absent."""
    row = database.execute(
        "SELECT min(value), count(amount) FROM asked WHERE metric = $name", {"name": name}
    ).fetchall()[0]
    return None if row[1] or known_kind(name) else row[0]


def _values_of(database: DuckDBPyConnection, name: str) -> MetricValues:
    rows = database.execute(
        "SELECT number, repeat, amount FROM asked WHERE metric = $name AND amount IS NOT NULL "
        "ORDER BY number, repeat",
        {"name": name},
    ).fetchnumpy()
    units = database.execute(
        "SELECT DISTINCT unit FROM asked WHERE metric = $name AND amount IS NOT NULL "
        "AND unit <> '' ORDER BY 1",
        {"name": name},
    ).fetchall()
    if len(units) > 1:
        listed = ", ".join(unit for (unit,) in units)
        raise InputError(f"{name} is there in several units: {listed}", source="--metric")
    return MetricValues(
        units[0][0] if units else "",
        np.asarray(rows["number"], dtype=np.int64),
        np.asarray(rows["repeat"], dtype=np.int64),
        np.asarray(rows["amount"], dtype=np.float64),
    )


def _no_numbers(
    database: DuckDBPyConnection, names: Sequence[str], paths: Sequence[Path]
) -> list[LeftOut]:
    """Return what stands where a number belongs."""
    rows = database.execute(
        "SELECT run_id, metric, repeat, value FROM asked WHERE amount IS NULL "
        "AND list_contains($names, metric) ORDER BY ALL",
        {"names": [*names]},
    ).fetchall()
    if not rows:
        return []
    run_id, metric, repeat, value = rows[0]
    path = next((path for path in paths if path.parent.name == run_id), paths[0])
    return [LeftOut(left_out.METRIC, len(rows), path, 0, f"{metric} of repeat {repeat}: {value}")]
