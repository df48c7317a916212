"""A self-check as people and programs read it: a terminal table, JSON, CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from mnistbench.analysis.pairing import INTERLEAVED
from mnistbench.analysis.selfcheck import (
    CHANGES,
    DISJOINT,
    ENOUGH_TO_DRAW_FROM,
    FALSE_ALARMS,
    POWER,
    RESAMPLED,
    RULES,
    SIZES,
    SLOWDOWN_FOUND,
    SLOWDOWNS,
    SMALLEST_CHANGE,
    Selfcheck,
    find,
    pairs_needed,
)
from mnistbench.report.values import change_text, interval_text
from mnistbench.results.phases import STATUS_DUET, STATUS_ONE_CORE
from mnistbench.results.phrases import percent
from mnistbench.results.rows import SelfcheckRow, to_csv

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


_ADVISED_CHANGE = 0.10
_DESIGNS = {
    INTERLEAVED: "This machine needs no more: benchmark A B",
    STATUS_DUET: "This machine needs the duet: benchmark A B --duet",
    STATUS_ONE_CORE: "This machine needs one core for both: benchmark A B --one-core",
}


def advice(checks: Sequence[Selfcheck]) -> str:
    """Return the pairs that each design needs to see a change of 10 %, and which to use."""
    needed = {check.design: pairs_needed(check, _ADVISED_CHANGE) for check in checks}
    texts = [f"{design}: with {_pairs_text(pairs)} pairs" for design, pairs in needed.items()]
    texts[0] = texts[0].replace("with", f"{percent(_ADVISED_CHANGE)} with")
    line = "; ".join(texts)
    if len(needed) == 1:
        return line
    fewest = min(needed, key=lambda design: needed[design] or math.inf)
    return f"{line}. {_DESIGNS[fewest]}"


def _pairs_text(pairs: int | None) -> str:
    return "more than 1,000" if pairs is None else str(pairs)


def as_csv(checks: Sequence[Selfcheck]) -> str:
    """Return the rows of selfcheck.csv, of every design."""
    return to_csv([row for checked in checks for row in checked.rows], SelfcheckRow)


def as_json(checks: Sequence[Selfcheck]) -> str:
    """Return everything that was checked."""
    content = {"checks": [_as_dict(checked) for checked in checks], "advice": advice(checks)}
    return json.dumps(content, indent=2, allow_nan=False)


def _as_dict(checked: Selfcheck) -> dict[str, object]:
    return {
        "config": checked.config,
        "design": checked.design,
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


def print_table(console: Console, checks: Sequence[Selfcheck]) -> None:
    """Print of each design the verdict on all pairs, false alarms, and what can be seen."""
    for checked in checks:
        _print_check(console, checked)
    for line in (*_legend(checks), f"On this machine: {advice(checks)}."):
        console.print(line, soft_wrap=True, highlight=False)


def _print_check(console: Console, checked: Selfcheck) -> None:
    overall = checked.overall
    console.print(
        f"{checked.config} against itself, {checked.design}, {checked.pairs} pairs, train phase: "
        f"two equal repeats differ by {percent(checked.spread)} (median). All pairs: "
        f"{change_text(float(overall.ratio))}, {RULES.confidence:.0%} interval "
        f"{interval_text(float(overall.low), float(overall.high))}: {checked.verdict}.",
        soft_wrap=True,
        highlight=False,
    )
    console.print(_false_alarms_table(checked))
    console.print(_slowdown_table(checked))
    console.print(_needed_line(checked), soft_wrap=True, highlight=False)


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


def _needed_line(checked: Selfcheck) -> str:
    texts = [
        f"{percent(change)}: {_pairs_text(pairs_needed(checked, change))}" for change in CHANGES
    ]
    return f"Pairs needed to see a change of {'; '.join(texts)}"


def _legend(checks: Sequence[Selfcheck]) -> list[str]:
    fewest = min(checked.pairs for checked in checks)
    rough = []
    if fewest < ENOUGH_TO_DRAW_FROM:
        rough = [f"{fewest} pairs are few to draw from: the resampled figures are rough."]
    return [
        *rough,
        f"False alarms and slowdowns are verdicts of compare --phase train, margin "
        f"{percent(RULES.margin)}. Seen: the interval excludes unchanged, in {POWER:.0%} of cases "
        "(compare calls it slower with a --margin below it).",
        "Counts: the pairs cut, in the order measured, into comparisons "
        "that share none. Resampled: pairs drawn from all of them again and again, with sides "
        "swapped by chance: that says more of the rule on this machine's noise, and is no new "
        "evidence of it.",
    ]
