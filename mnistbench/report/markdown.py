"""A report as Markdown: the tables of its sections, for a pull request or a note."""

from __future__ import annotations

from collections.abc import Iterator

from mnistbench.report.comparison import escaped
from mnistbench.report.document.parts import Cell, Document, Section, Table


def as_markdown(document: Document) -> str:
    """Return all that the page says in words and tables; the charts are tables here."""
    lines = [f"# {escaped(document.answer)}", ""]
    lines += [f"- {escaped(line)}" for line in document.details]
    for section in document.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    yield ""
    for line in section.lines:
        yield from (escaped(line), "")
    for table in section.tables:
        yield from _table(table)
    for figure in section.figures:
        yield from _table(figure.table)
    for note in section.notes:
        yield f"- {escaped(note)}"


def _table(table: Table) -> Iterator[str]:
    yield from (f"**{escaped(table.title)}**", "")
    yield f"| {' | '.join(escaped(column.title) for column in table.columns)} |"
    yield f"| {' | '.join('---:' if column.is_number else '---' for column in table.columns)} |"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""
    if table.more:
        yield from (f"{table.more:,} more rows are in the files, not here.", "")


def _cell(cell: Cell) -> str:
    text = escaped(" ".join(cell.text.split()))
    return f"**{text}**" if cell.marked and text else text
