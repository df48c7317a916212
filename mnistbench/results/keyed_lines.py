"""Whole lines of CSV made by a database: what many rows share is brought into form once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from mnistbench.results.cells import defused_in_sql
from mnistbench.results.database import quoted

AS_THEY_ARE = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f'"
"""Of COPY: a column of lines is written as it is."""


_ODD = "[^-A-Za-z0-9_.:/ ]"
"""In a cell: what CSV may quote, or what may make a formula of it. A minus does so as the first."""


@dataclass(frozen=True)
class Lines:
    """The SQL of lines of CSV in three parts, the first two to be selected beside other columns."""

    shared: str
    """The cells that many rows share, as CSV has them, made where those are."""
    own: str
    """A row's own cells joined, which are looked at several times, and made once."""
    line: str
    """A whole line, of what the other two select."""


def lines(names: Sequence[str], shared: Sequence[str]) -> Lines:
    """Return the SQL of lines with these columns."""
    of_shared: list[str] = []
    own: list[str] = []
    line: list[str] = []
    for is_shared, stretch in itertools.groupby(names, key=lambda name: name in shared):
        columns = [*stretch]
        cells = ", ".join(map(quoted, columns))
        joined, bare, whole = (f"_{part}{len(line)}" for part in ("joined", "bare", "whole"))
        made = (f"concat_ws(',', {cells})", f"concat({cells})")
        if is_shared:
            of_shared.append(f"{_stretch(columns, *made)} AS {whole}")
            line.append(whole)
        else:
            own += [f"{made[0]} AS {joined}", f"{made[1]} AS {bare}"]
            line.append(_stretch(columns, joined, bare))
    return Lines(", ".join(of_shared), ", ".join(own), " || ',' || ".join(line))


def _stretch(names: Sequence[str], joined: str, bare: str) -> str:
    """Return the SQL of cells beside each other as CSV has them: one look is enough for most.

    `joined` and `bare` are the SQL of them all, with and without commas between.
    """
    careful = " || ',' || ".join(_cell(quoted(name)) for name in names)
    is_plain = (
        f"NOT regexp_matches({bare}, '{_ODD}') "
        f"AND NOT starts_with({joined}, '-') AND NOT contains({joined}, ',-')"
    )
    return f"CASE WHEN {is_plain} THEN {joined} ELSE {careful} END"


def _cell(cell: str) -> str:
    """Return the SQL of a cell as CSV has it: defused, and quoted where it must be."""
    written = defused_in_sql(cell)
    return (
        f"CASE WHEN regexp_matches({cell}, '[,\"\\n\\r]') "
        f"THEN chr(34) || replace({written}, chr(34), chr(34) || chr(34)) || chr(34) "
        f"ELSE {written} END"
    )
