"""Whole lines of CSV made by a database: what many rows share is brought into form once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mnistbench.results.cells import defused_in_sql
from mnistbench.results.database import quoted

AS_THEY_ARE = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f'"
"""Of COPY: a column of lines is written as it is."""


_ODD = "[^-A-Za-z0-9_.:/ ]"
"""In a cell: what CSV may quote, or what may make a formula of it. A minus does so as the first."""


def lines(names: Sequence[str], shared: Sequence[str]) -> tuple[str, str]:
    """Return the SQL of a line with these columns in two parts.

    The first, to be selected where the shared cells are, gives each stretch of them a name; the
    second makes a line of these and of a row's own cells.
    """
    selected: list[str] = []
    line: list[str] = []
    for is_shared, stretch in itertools.groupby(names, key=lambda name: name in shared):
        cells = _stretch([*stretch])
        if is_shared:
            line.append(f"_stretch{len(selected)}")
            selected.append(f"{cells} AS {line[-1]}")
        else:
            line.append(cells)
    return ", ".join(selected), " || ',' || ".join(line)


def _stretch(names: Sequence[str]) -> str:
    """Return the SQL of cells beside each other as CSV has them: one look is enough for most."""
    cells = ", ".join(map(quoted, names))
    line = f"concat_ws(',', {cells})"
    careful = " || ',' || ".join(_cell(quoted(name)) for name in names)
    is_plain = (
        f"NOT regexp_matches(concat({cells}), '{_ODD}') "
        f"AND NOT starts_with({line}, '-') AND NOT contains({line}, ',-')"
    )
    return f"CASE WHEN {is_plain} THEN {line} ELSE {careful} END"


def _cell(cell: str) -> str:
    """Return the SQL of a cell as CSV has it: defused, and quoted where it must be."""
    written = defused_in_sql(cell)
    return (
        f"CASE WHEN regexp_matches({cell}, '[,\"\\n\\r]') "
        f"THEN chr(34) || replace({written}, chr(34), chr(34) || chr(34)) || chr(34) "
        f"ELSE {written} END"
    )
