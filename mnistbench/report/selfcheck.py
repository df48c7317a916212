"""A self-check as people and programs read it: a terminal table, JSON, CSV."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from mnistbench.analysis.selfcheck import (
    CHANGES,
    DISJOINT,
    ENOUGH_TO_DRAW_FROM,
    FALSE_ALARMS,
    PAIRS_NEEDED,
    POWER,
    RESAMPLED,
    RULES,
    SIZES,
    SLOWDOWN_FOUND,
    SLOWDOWNS,
    SMALLEST_CHANGE,
    Selfcheck,
    find,
)
from mnistbench.report.comparison import change_text, interval_text
from mnistbench.results.phrases import percent
from mnistbench.results.rows import SelfcheckRow, to_csv

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def as_csv(checked: Selfcheck) -> str:
    """Return the rows of selfcheck.csv."""
    return to_csv(checked.rows, SelfcheckRow)


def as_json(checked: Selfcheck) -> str:
    """Return everything that was checked."""
    content = {
        "config": checked.config,
        "pairs": checked.pairs,
        "phase": RULES.phases[0],
        "margin": RULES.margin,
        "confidence": RULES.confidence,
        "typical_difference": checked.spread,
        "ratio": float(checked.overall.ratio),
        "low": float(checked.overall.low),
        "high": float(checked.overall.high),
        "verdict": checked.verdict,
        "figures": [asdict(row) for row in checked.rows],
    }
    return json.dumps(content, indent=2, allow_nan=False)


def print_table(console: Console, checked: Selfcheck) -> None:
    """Print the verdict on all pairs, false alarms, what can be seen, and what was drawn."""
    overall = checked.overall
    console.print(
        f"{checked.config} against itself, {checked.pairs} pairs, train phase: two equal repeats "
        f"differ by {percent(checked.spread)} (median). All pairs: "
        f"{change_text(float(overall.ratio))}, {RULES.confidence:.0%} interval "
        f"{interval_text(float(overall.low), float(overall.high))}: {checked.verdict}.",
        soft_wrap=True,
        highlight=False,
    )
    console.print(_false_alarms_table(checked))
    console.print(_slowdown_table(checked))
    for line in (*_needed_lines(checked), *_legend(checked)):
        console.print(line, soft_wrap=True, highlight=False)


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _false_alarms_table(checked: Selfcheck) -> Table:
    table = _table(
        "Equal things called different, and what can be seen",
        "Pairs", "False alarms", "95 % interval", "Resampled", "Smallest change seen",
    )  # fmt: skip
    for n in SIZES:
        smallest = find(checked.rows, SMALLEST_CHANGE, RESAMPLED, n)
        table.add_row(
            str(n),
            *_count_cells(find(checked.rows, FALSE_ALARMS, DISJOINT, n)),
            _share_cell(find(checked.rows, FALSE_ALARMS, RESAMPLED, n)),
            _change_cell(smallest),
        )
    return table


def _slowdown_table(checked: Selfcheck) -> Table:
    table = _table(
        "Slowdowns put in, by scaling one side's measured times, and called slower",
        "Slowdown", "Pairs", "Found", "95 % interval", "Resampled",
    )  # fmt: skip
    for slowdown in SLOWDOWNS:
        for n in SIZES:
            table.add_row(
                percent(slowdown) if n == SIZES[0] else "",
                str(n),
                *_count_cells(find(checked.rows, SLOWDOWN_FOUND, DISJOINT, n, slowdown)),
                _share_cell(find(checked.rows, SLOWDOWN_FOUND, RESAMPLED, n, slowdown)),
            )
    return table


def _count_cells(row: SelfcheckRow | None) -> tuple[str, str]:
    if row is None or row.low is None or row.high is None:
        return "", ""
    return f"{row.count} of {row.comparisons}", f"{row.low:.1%} to {row.high:.1%}"


def _share_cell(row: SelfcheckRow | None) -> str:
    return "" if row is None or row.share is None else f"{row.share:.1%}"


def _change_cell(row: SelfcheckRow | None) -> str:
    if row is None or row.change is None:
        return ""
    return percent(row.change) if row.change < 1 else f"{1 + row.change:.2g}x"


def _needed_lines(checked: Selfcheck) -> list[str]:
    texts = []
    for change in CHANGES:
        row = find(checked.rows, PAIRS_NEEDED, RESAMPLED, change=change)
        pairs = "more than 1,000" if row is None or row.pairs is None else str(row.pairs)
        texts.append(f"{percent(change)}: {pairs}")
    return [f"Pairs needed to see a change of {'; '.join(texts)}"]


def _legend(checked: Selfcheck) -> list[str]:
    rough = []
    if checked.pairs < ENOUGH_TO_DRAW_FROM:
        rough = [f"{checked.pairs} pairs are few to draw from: the resampled figures are rough."]
    return [
        *rough,
        f"False alarms and slowdowns are verdicts of compare --phase train, margin "
        f"{percent(RULES.margin)}. Seen: the interval excludes unchanged, in {POWER:.0%} of cases "
        "(compare calls it slower with a --margin below it).",
        f"Counts: the {checked.pairs} pairs cut, in the order measured, into comparisons "
        "that share none. Resampled: pairs drawn from all of them again and again, with sides "
        "swapped by chance: that says more of the rule on this machine's noise, and is no new "
        "evidence of it.",
    ]
