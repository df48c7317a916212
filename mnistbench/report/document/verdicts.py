"""The verdicts of a report: the tables of `compare`, word for word."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.comparison import Comparison, Rules
from mnistbench.report.comparison import (
    RIGHT,
    header_of,
    legend_of,
    other_work_in,
    remarks_on,
    rows_of,
    title_of,
)
from mnistbench.report.document.parts import Cell, Column, Section, Table, table


def verdicts_section(comparisons: Sequence[Comparison], rules: Rules) -> Section:
    """Return a table for each NEW, with all that `compare` says beside it."""
    if not comparisons:
        return Section("verdicts", "Verdicts")
    several = len(comparisons) > 1
    notes = [
        f"{comparison.new.name}: {line}" if several else line
        for comparison in comparisons
        for line in (*other_work_in(comparison), *remarks_on(comparison))
    ]
    return Section(
        "verdicts",
        "Verdicts",
        (),
        tuple(_table(comparison) for comparison in comparisons),
        (),
        (*dict.fromkeys(notes), legend_of(comparisons, rules)),
    )


def _table(comparison: Comparison) -> Table:
    header = header_of(comparison)
    columns = [Column(name, name in RIGHT) for name in header]
    rows, config = [], ""
    for texts in rows_of(comparison):
        # A table that sorts names the config in every row.
        config = texts[0] or config
        rows.append((config, *texts[1:]))
    judged = [each for config in comparison.configs for each in (*config.phases, *config.metrics)]
    orders = {name: place for place, name in enumerate(header)}
    ratios = iter(judged)
    cells = []
    for row in rows:
        is_judged = bool(row[orders["n"]])
        ratio = getattr(next(ratios), "ratio", None) if is_judged else None
        cells.append(
            tuple(
                Cell(text, ratio if place == orders["NEW is"] else _order(text))
                for place, text in enumerate(row)
            )
        )
    return table(title_of(comparison), columns, cells)


_SCALES = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}


def _order(text: str) -> float | None:
    """Return what a cell is sorted by: a time in seconds, or a plain number."""
    first, _, unit = text.partition(" ")
    try:
        return float(first.rstrip(",")) * _SCALES.get(unit, 1.0)
    except ValueError:
        return None
