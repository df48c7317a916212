"""The public Python API: what the command does, as functions; results as records and frames.

    from mnistbench import compare_results, load_config, read_results, run_benchmark

    config = load_config("mnist-dense", ["training.epochs=2"])
    results = run_benchmark(config, repeats=5)
    results.frame("timings").groupby("phase")["seconds"].median()

Nothing here imports a framework: every measurement runs in processes of its own, so that one
interpreter can measure with several backends, one after the other.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnistbench.analysis.comparison import Comparison, ConfigComparison, Rules, compare_sides
from mnistbench.analysis.inference import usual_metrics
from mnistbench.analysis.sides import read_side
from mnistbench.config.loading import load_config
from mnistbench.config.run_config import RunConfig
from mnistbench.errors import InputError, MnistbenchError, RunError
from mnistbench.measuring.executor import StartMethod
from mnistbench.report.comparison import as_markdown
from mnistbench.report.metrics import row_of
from mnistbench.report.values import change_text, interval_text
from mnistbench.results.inputs import files_of
from mnistbench.results.phases import STATUS_OK, TOTAL
from mnistbench.results.rows import MachineRow, MetricRow, Row, TimingRow
from mnistbench.results.tables import MACHINE, METRICS, TIMINGS, read_table
from mnistbench.session import benchmark
from mnistbench.session.duet import way_at_once
from mnistbench.session.events import Event

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Compared", "InputError", "MnistbenchError", "Results", "RunConfig", "RunError",
    "compare_results", "load_config", "read_results", "run_benchmark",
]  # fmt: skip

Progress = Callable[[Event], None]
"""Receives an event of `mnistbench.session.events` for each repeat, phase and epoch."""

_TABLES: Mapping[str, type[Row]] = {"timings": TimingRow, "metrics": MetricRow,
                                    "machine": MachineRow}  # fmt: skip


@dataclass(frozen=True)
class Results:
    """Runs that were measured, as their folders hold them."""

    folders: tuple[Path, ...]
    """One for each run, with every file that the command writes."""
    timings: tuple[TimingRow, ...]
    """A row for each phase of each repeat, in the order measured; times in seconds."""
    metrics: tuple[MetricRow, ...]
    """A row for each other number of each repeat, with its unit."""
    machine: tuple[MachineRow, ...]
    """What is known of the machine and of the framework, an attribute a row."""

    @property
    def failures(self) -> tuple[TimingRow, ...]:
        """Return the rows of repeats that did not come to their end; their `status` says how."""
        return tuple(row for row in self.timings if row.phase == TOTAL and row.status != STATUS_OK)

    def seconds(self, phase: str = "train", config: str | None = None) -> list[float]:
        """Return a phase's times of the finished repeats, of one config or of all, in order."""
        return [
            row.seconds
            for row in self.timings
            if row.phase == phase and row.status == STATUS_OK and row.seconds is not None
            and config in (None, row.config)
        ]  # fmt: skip

    def frame(self, table: str = "timings") -> pd.DataFrame:
        """Return `timings`, `metrics` or `machine` as a pandas frame, a column for each field.

        Raises InputError where pandas is not installed, and for another table.
        """
        if table not in _TABLES:
            raise InputError(f"no table {table!r}", hint=f"known are {', '.join(_TABLES)}")
        names = list(_TABLES[table].__dataclass_fields__)
        return _frame([asdict(row) for row in getattr(self, table)], names)

    def _repr_html_(self) -> str:
        rows = [(config, phase, str(len(seconds)), f"{_median(seconds):.4g}",
                 f"{min(seconds):.4g}", f"{max(seconds):.4g}")
                for config, phase, seconds in self._by_phase()]  # fmt: skip
        return _html(("config", "phase", "n", "median s", "min s", "max s"), rows)

    def _by_phase(self) -> list[tuple[str, str, list[float]]]:
        keys = dict.fromkeys((row.config, row.phase) for row in self.timings)
        found = [(config, phase, self.seconds(phase, config)) for config, phase in keys]
        return [(config, phase, seconds) for config, phase, seconds in found if seconds]


@dataclass(frozen=True)
class Compared:
    """What `mnistbench compare` says of BASE and one NEW."""

    comparison: Comparison
    rules: Rules

    @property
    def configs(self) -> tuple[ConfigComparison, ...]:
        """Return every config that both have, with the comparison of its phases and metrics."""
        return self.comparison.configs

    @property
    def verdicts(self) -> dict[tuple[str, str], str]:
        """Return each verdict by config and by phase or metric: `slower`, `same`, ..."""
        return {(config, name): verdict for config, name, *_, verdict in self._rows()}

    def frame(self) -> pd.DataFrame:
        """Return a row for each phase and metric; raise InputError where pandas is missing."""
        return _frame([dict(zip(_COLUMNS, row, strict=True)) for row in self._rows()], _COLUMNS)

    def markdown(self) -> str:
        """Return the tables and remarks of `compare --format markdown`."""
        return as_markdown([self.comparison], self.rules)

    def _rows(self) -> list[tuple[str, str, float | None, float | None, float | None, str]]:
        rows = []
        for config in self.configs:
            for phase in config.phases:
                ratio = (phase.ratio, phase.low, phase.high)
                rows.append((config.name, phase.phase, *ratio, str(phase.verdict)))
            for metric in config.metrics:
                change = (metric.change, metric.low, metric.high)
                rows.append((config.name, metric.kind.name, *change, str(metric.verdict)))
        return rows

    def _repr_html_(self) -> str:
        rows = list[Sequence[str]]()
        for config in self.configs:
            for phase in config.phases:
                change = (change_text(phase.ratio), interval_text(phase.low, phase.high))
                rows.append((config.name, phase.phase, *change, str(phase.verdict)))
            for metric in config.metrics:
                _, _, *words = row_of(metric)
                rows.append((config.name, metric.kind.name, *words, str(metric.verdict)))
        return _html(("config", "phase or metric", "NEW is", "interval", "verdict"), rows)


_COLUMNS = ("config", "phase_or_metric", "change", "low", "high", "verdict")


def run_benchmark(
    configs: RunConfig | Sequence[RunConfig],
    *,
    repeats: int = 5,
    warmup: int = 1,
    output: str | Path = "results",
    tag: str = "",
    duet: bool = False,
    one_core: bool = False,
    calibrate: bool = True,
    start_method: StartMethod = "auto",
    progress: Progress | None = None,
) -> Results:
    """Measure one or several configs, interleaved, each repeat in a fresh process.

    `repeats` are recorded, `warmup` run before and discarded; each run's folder lies in `output`.
    `duet` and `one_core` measure two configs at the same time, as the command's options do.
    Without `progress` a bar is shown on a terminal and in a notebook, and lines elsewhere.

    Raises InputError for what cannot be measured, RunError if nothing was, OutputError for a folder
    that cannot be written, and KeyboardInterrupt if the user stopped it; what had ended is kept in
    its folder. A repeat that fails is recorded: see `Results.failures`.
    """
    chosen = (configs,) if isinstance(configs, RunConfig) else tuple(configs)
    if not chosen:
        raise InputError("no config to measure", hint="give one of load_config")
    at_once = way_at_once(duet, one_core)
    plan = benchmark.BenchmarkPlan(
        chosen, repeats, warmup, Path(output), tag, start_method, calibrate, at_once=at_once
    )
    result = _measured(plan, progress)
    if result.interrupted:
        raise KeyboardInterrupt
    if not result.runs:
        raise RunError("no repeat came to its end")
    return read_results(*(run.folder.path for run in result.runs))


def _measured(
    plan: benchmark.BenchmarkPlan, progress: Progress | None
) -> benchmark.BenchmarkResult:
    """Measure the plan, telling `progress` of it, or the terminal."""
    if progress is not None:
        return benchmark.run_benchmark(plan, progress)
    from mnistbench.report.progress import progress_on
    from mnistbench.report.terminal import plain_console

    with progress_on(plain_console(stderr=True)) as listener:
        return benchmark.run_benchmark(plan, listener)


def read_results(*paths: str | Path) -> Results:
    """Return what run folders hold, or folders of them, merged ones and globs among them.

    Raises InputError for a folder without results, and for a damaged table.
    """
    folders = tuple(dict.fromkeys(folder for path in paths for folder in _folders(path)))
    if not folders:
        raise InputError("no results were named", hint="give run folders, or a folder of them")

    def rows(table: str, kind: type[Any]) -> tuple[Any, ...]:
        return tuple(row for folder in folders for row in read_table(folder, table, kind))

    return Results(
        folders, rows(TIMINGS, TimingRow), rows(METRICS, MetricRow), rows(MACHINE, MachineRow)
    )


def compare_results(
    base: str | Path | Results,
    new: str | Path | Results,
    *,
    phases: Sequence[str] = (),
    metrics: Sequence[str] = (),
    margin: float = 0.05,
    confidence: float = 0.95,
) -> Compared:
    """Say whether NEW is faster or slower than BASE, the same, or not to be told.

    Both are what `mnistbench compare` takes: a run folder, a folder of them, a timings CSV, a glob,
    a cloudmesh log; or Results of a single run. `margin` is the change that counts, .05 for 5 %;
    `confidence` that of the intervals, of all phases of a config together. Without `phases` train
    and test are compared, of runs of `infer` latency and throughput. Raises InputError.
    """
    names = _name(base), _name(new)
    asked = tuple(metrics) if phases or metrics else usual_metrics(names)
    rules = Rules(phases=tuple(phases), metrics=asked, margin=margin, confidence=confidence)
    sides = [read_side(name, rules.phases, metrics=rules.metrics) for name in names]
    return Compared(compare_sides(sides[0], sides[1], rules), rules)


def _name(side: str | Path | Results) -> str:
    if not isinstance(side, Results):
        return str(side)
    if len(side.folders) != 1:
        raise InputError(f"holds {len(side.folders)} runs", hint="give one: results.folders[0]")
    return str(side.folders[0])


def _folders(path: str | Path) -> list[Path]:
    files = files_of(str(path))
    other = [file for file in files if file.name != TIMINGS]
    if other:
        raise InputError("is no run folder", source=other[0], hint="compare_results reads it")
    return [file.parent for file in files]


def _frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError:
        raise InputError("pandas is not installed", hint="python -m pip install pandas") from None
    return pd.DataFrame(rows, columns=list(columns))


def _median(values: Sequence[float]) -> float:
    from statistics import median

    return median(values)


def _html(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; whatever stands in a cell is text."""

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f"<table><thead>{row(header, 'th')}</thead><tbody>{body}</tbody></table>"
