"""What a report is made of: sections of lines, tables and figures, whatever they are drawn with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal["dots", "line", "both", "dashes"]

MOST_ROWS = 200
"""Of a table: more are counted, and stay in the files."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    order: float | None = None
    """What it is sorted by; None for text, and for the unknown."""
    marked: bool = False
    """Whether it differs from the first column's."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """A table; each has a title, which a screen reader says first."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more: int = 0
    """Rows that were left out."""


@dataclass(frozen=True)
class Axis:
    """An axis of a figure."""

    title: str
    is_log: bool = False
    unit: Literal["", "seconds", "share"] = ""
    """`share`: from 0 to 1, shown as per cent."""
    from_zero: bool = False


@dataclass(frozen=True)
class Bars:
    """Parts of stacked bars: one part of each bar."""

    name: str
    labels: tuple[str, ...]
    """Of the bars."""
    values: tuple[float | None, ...]
    lows: tuple[float | None, ...]
    """End of each part's interval; None where it is not known, or not to be drawn."""
    highs: tuple[float | None, ...]
    color: int


@dataclass(frozen=True)
class Boxes:
    """Every repeat as a dot over the box of its median and quartiles; one box a label."""

    name: str
    labels: tuple[str, ...]
    """Of each value."""
    values: tuple[float, ...]
    color: int


@dataclass(frozen=True)
class Points:
    """Points, or the line through them."""

    name: str
    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float | None, ...]
    texts: tuple[str, ...] = ()
    """What each point is, where its place does not say it."""
    style: Style = "dots"
    color: int = 0
    is_faint: bool = False


@dataclass(frozen=True)
class Cells:
    """A heat map."""

    name: str
    x: tuple[str, ...]
    y: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    """Row by row."""


Mark = Bars | Boxes | Points | Cells


@dataclass(frozen=True)
class Figure:
    """A figure, and the table that says the same in numbers."""

    name: str
    """Of its file, and for `--figure`."""
    title: str
    says: str
    """What a reader sees in it, in a sentence."""
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    table: Table
    ticks: tuple[str, ...] = ()
    """Names of the places 0, 1, 2... on the x axis; empty for numbers and labels."""


@dataclass(frozen=True)
class Section:
    """A part of a report."""

    name: str
    """In the addresses within the page."""
    title: str
    lines: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    """Small print, below the tables."""

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to show."""
        return not (self.lines or self.tables or self.figures)


@dataclass(frozen=True)
class Document:
    """A report."""

    answer: str
    """The first line: what the results say, in words."""
    details: tuple[str, ...]
    """Further sentences of the answer, below it."""
    sections: tuple[Section, ...]

    @property
    def figures(self) -> list[Figure]:
        """Return all figures."""
        return [figure for section in self.sections for figure in section.figures]


def table(
    title: str, columns: Sequence[Column | str], rows: Sequence[Sequence[Cell | str]]
) -> Table:
    """Return a table of at most MOST_ROWS rows; a text stands for a cell, or a column, of text."""
    return Table(
        title,
        tuple(column if isinstance(column, Column) else Column(column) for column in columns),
        tuple(tuple(map(_cell, row)) for row in rows[:MOST_ROWS]),
        max(0, len(rows) - MOST_ROWS),
    )


def _cell(cell: Cell | str) -> Cell:
    return cell if isinstance(cell, Cell) else Cell(cell)


def number(value: float | None, text: str | None = None) -> Cell:
    """Return a cell of a number, as a text if one is given; empty for the unknown."""
    if value is None:
        return Cell("")
    return Cell(f"{value:,}" if text is None else text, float(value))


def named_number(title: str) -> Column:
    """Return a column of numbers."""
    return Column(title, is_number=True)
