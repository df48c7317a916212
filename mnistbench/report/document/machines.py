"""The sides of a report side by side: what they are, and what differs, marked."""

from __future__ import annotations

from collections.abc import Sequence

from mnistbench.analysis.groups import Groups
from mnistbench.analysis.identity import CODE, HARDWARE, NUMERICS, SYSTEM, Identity
from mnistbench.analysis.sides import Side
from mnistbench.report.comparison import values_text
from mnistbench.report.document.parts import Cell, Column, Section, Table, named_number, table
from mnistbench.report.document.parts import number as number_cell

_OF_A_PART = {
    HARDWARE: "hardware",
    SYSTEM: "system",
    NUMERICS: "framework and settings",
    CODE: "mnistbench itself",
}
"""What a machine brings, in the order shown; what was asked for is told beside the verdicts."""


def machines_section(sides: Sequence[Side]) -> Section:
    """Return a column for each side and a row for each fact; what differs comes first."""
    identities = [_identity(side) for side in sides]
    rows = [
        row
        for part in _OF_A_PART
        for row in _rows(part, [identity.get(part, {}) for identity in identities])
    ]
    if not rows:
        return Section("machines", "Machines")
    differing = sum(any(cell.marked for cell in row) for row in rows)
    # Stable: among those that differ, and among those that do not, the order of the parts.
    rows.sort(key=lambda row: not any(cell.marked for cell in row))
    lines = (_how_many_differ(differing, rows),) if len(sides) > 1 else ()
    columns = ["Fact", "Of", *(side.name for side in sides)]
    title = "Machines side by side" if len(sides) > 1 else "The machine"
    return Section("machines", "Machines", lines, (table(title, columns, rows),))


def _how_many_differ(differing: int, rows: Sequence[tuple[Cell, ...]]) -> str:
    """Return how many facts differ, of those that are known of two sides or more."""
    known = sum(sum(bool(cell.text) for cell in row[_FACTS_FROM:]) > 1 for row in rows)
    alone = f" {len(rows) - known} are known of one side alone." if known < len(rows) else ""
    if not known:
        return f"No fact is known of two sides.{alone}"
    if differing:
        return f"{differing} of {known} facts differ; they stand first, and are marked.{alone}"
    return f"None of {known} facts differs.{alone}"


_FACTS_FROM = 2
"""Column of the first side, after what the fact is and what it is of."""

Facts = dict[str, dict[str, tuple[str, ...]]]
"""Part to fact to its values."""


def _identity(side: Side) -> Facts:
    """Return the facts of a side, of all its configs together."""
    facts: Facts = {}
    for config in side.configs:
        identity: Identity = config.identity
        for part, fields in identity.parts.items():
            for name, values in fields.items():
                known = facts.setdefault(part, {}).get(name, ())
                facts[part][name] = tuple(sorted({*known, *values}))
    return facts


def _rows(part: str, sides: Sequence[dict[str, tuple[str, ...]]]) -> list[tuple[Cell, ...]]:
    rows = []
    for name in sorted({name for facts in sides for name in facts}):
        values = [facts.get(name, ()) for facts in sides]
        known = [each for each in values if each]
        differs = len(set(known)) > 1
        cells = [
            Cell(values_text(each) if each else "", marked=differs and bool(each))
            for each in values
        ]
        rows.append((Cell(name), Cell(_OF_A_PART[part]), *cells))
    return rows


def read_section(groups: Groups) -> Section:
    """Return what was read, and every line of it that was not used."""
    rows = []
    for given in groups.given:
        loaded = given.loaded
        nodes = {run.get("node", "") for run in loaded.facts} - {""}
        configs = {run.get("config", "") for run in loaded.facts}
        rows.append(
            (
                Cell(given.name),
                number_cell(len(given.files)),
                number_cell(len(loaded.facts)),
                number_cell(len(nodes) or None),
                number_cell(len(configs)),
                number_cell(len(loaded.seconds)),
                number_cell(sum(loaded.unfinished)),
            )
        )
    titles = ("Files", "Runs", "Machines", "Configs", "Times", "Repeats that did not finish")
    columns: list[Column | str] = ["Result", *map(named_number, titles)]
    tables: tuple[Table, ...] = (table("What was read", columns, rows),)
    notes = tuple(str(line) for given in groups.given for line in given.loaded.left_out)
    return Section("read", "What was read", (), tables, (), notes)
