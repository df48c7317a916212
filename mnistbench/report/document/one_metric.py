"""One figure of one metric or phase: every repeat of each config on each machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnistbench.analysis.groups import MOST_SIDES, UNKNOWN, Groups, read_groups
from mnistbench.analysis.metrics import unknown_quantity
from mnistbench.analysis.pairing import machine_medians
from mnistbench.analysis.sides import ConfigRuns, Values, side_of
from mnistbench.errors import InputError
from mnistbench.report.document.bars import charts_of
from mnistbench.report.document.parts import (
    Axis,
    Boxes,
    Cell,
    Column,
    Figure,
    named_number,
    number,
    table,
)
from mnistbench.report.document.times import thinned
from mnistbench.report.metrics import has_prefix, value_text
from mnistbench.report.values import prefix_of, short_unit
from mnistbench.results.metrics import SECONDS, MetricKind, kind_of, known_kind
from mnistbench.results.phases import PHASES

Array = npt.NDArray[Any]

MOST_BOXES = 40
"""More are counted; nobody reads them."""


@dataclass(frozen=True)
class _Row:
    """What one box is of."""

    label: str
    amounts: Array
    """In the unit of its kind, in the order measured."""
    color: int
    is_of_machines: bool
    """Whether a value is a machine's median, and not a repeat's."""


def metric_figure(name: str, results: Sequence[str]) -> tuple[Figure, tuple[str, ...]]:
    """Read results and return the figure of a metric or a phase, and what is not in it.

    Raises InputError for what cannot be read, for a name that nobody knows, and where no repeat
    has a value.
    """
    groups = read_groups(results, (name,))
    kind = _kind(name, groups, " ".join(results))
    rows = [row for config in _configs(groups) for row in _rows(name, *config)]
    notes = [str(line) for given in groups.given for line in given.loaded.left_out]
    if len(rows) > MOST_BOXES:
        notes.append(f"{len(rows) - MOST_BOXES} more of {len(rows)} are not drawn")
    return _figure(kind, rows[:MOST_BOXES], name in groups.heap.phases), tuple(notes)


def _kind(name: str, groups: Groups, given: str) -> MetricKind:
    """Return what is known of a name; raise InputError if there is nothing to draw of it."""
    loaded = groups.heap.loaded
    if name in groups.heap.phases:
        return MetricKind(name, SECONDS, "less")
    if name in loaded.metrics.by_name:
        return kind_of(name, loaded.metrics.by_name[name].unit)
    metrics = [each.loaded.metrics for each in groups.given]
    texts = [each.texts[name] for each in metrics if name in each.texts]
    if texts:
        raise InputError(f"{name} is no number: {texts[0]!r}", source=given)
    if name in PHASES or known_kind(name) is not None:
        hint = f"there are the phases {', '.join(groups.heap.phases)}, and what metrics.csv holds"
        raise InputError(f"no finished repeat has a value of {name}", source=given, hint=hint)
    names = {other for each in metrics for other in each.names}
    raise unknown_quantity(name, {*names, *PHASES, *groups.heap.phases})


def _configs(groups: Groups) -> Iterator[tuple[str, int, ConfigRuns]]:
    """Give each config of each side, with its label and the colour of its side."""
    sides = groups.sides or (side_of(groups.heap),)
    charts = charts_of(sides)
    for chart in charts:
        for bar in chart.bars:
            of = f", {chart.title}" if chart.title and len(charts) > 1 else ""
            yield f"{bar.label}{of}", bar.color, bar.runs


def _rows(name: str, label: str, color: int, runs: ConfigRuns) -> Iterator[_Row]:
    """Give a row for each machine that measured a config, and for a crowd one together."""
    values = runs.phases.get(name) or runs.metrics.get(name)
    if values is None:
        return
    nodes = np.array([run.node for run in runs.runs])[values.run]
    names = list(dict.fromkeys(nodes.tolist()))
    if len(names) == 1:
        yield _Row(label, values.amounts, color, is_of_machines=False)
    elif len(names) > MOST_SIDES:
        yield _crowd(label, color, runs, values)
    else:
        for place, node in enumerate(names):
            of = f"{label}, {node or UNKNOWN}"
            yield _Row(of, values.amounts[nodes == node], color + place, is_of_machines=False)


def _crowd(label: str, color: int, runs: ConfigRuns, values: Values) -> _Row:
    medians = np.array([*machine_medians(runs, values).values()])
    return _Row(f"{label}, {len(medians):,} machines", medians, color, is_of_machines=True)


def _figure(kind: MetricKind, rows: Sequence[_Row], is_phase: bool) -> Figure:
    is_share = kind.scale == "points"
    largest = max(float(np.abs(row.amounts).max()) for row in rows)
    scale, prefix = prefix_of(largest) if has_prefix(kind) else (1.0, "")
    unit = "" if is_share or kind.unit == "1" else f"{prefix}{short_unit(kind.unit)}"
    axis = f"{kind.name} ({unit})" if unit else kind.name
    boxes = tuple(
        Boxes(row.label, (row.label,) * len(drawn), tuple(map(float, drawn)), row.color)
        for row in rows
        for drawn in [thinned(row.amounts / scale)]
    )
    title = f"Every repeat, {kind.name}"
    if all(row.is_of_machines for row in rows):
        title = f"Median {kind.name} of each machine"
    names = ("n", "Median", "Least", "Most")
    columns: list[Column | str] = ["Of", *map(named_number, names)]
    return Figure(
        kind.name, title, _says(rows), Axis(""),
        Axis(f"Seconds of {kind.name}" if is_phase else axis, unit="share" if is_share else ""),
        boxes, table(title, columns, [_cells(row, kind) for row in rows]),
    )  # fmt: skip


def _says(rows: Sequence[_Row]) -> str:
    what = {row.is_of_machines for row in rows}
    dots = {True: "one machine's median", False: "one repeat"}
    dot = " or ".join(dots[each] for each in sorted(what))
    return f"A dot is {dot}; the box holds the middle half, its line is the median."


def _cells(row: _Row, kind: MetricKind) -> tuple[Cell, ...]:
    middle, least, most = (float(f(row.amounts)) for f in (np.median, np.min, np.max))
    texts = [number(each, value_text(each, kind)) for each in (middle, least, most)]
    return (Cell(row.label), number(len(row.amounts)), *texts)
