"""Whole lines of CSV made by a database: what many rows share is brought into form once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from mnistbench.results.cells import defused_in_sql
from mnistbench.results.database import quoted

AS_THEY_ARE = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x1f'"
"""Of COPY: a column of lines is written as it is."""


_PLAIN = "([A-Za-z0-9_.][-A-Za-z0-9_.:/ ]*)?"
"""Most cells: neither a formula nor with anything that CSV quotes. One look at each is enough."""


def lines(names: Sequence[str], shared: Sequence[str]) -> tuple[str, str]:
    """Return the SQL of a line with these columns in two parts.

    The first, to be selected where the shared cells are, gives each stretch of them a name; the
    second makes a line of these and of a row's own cells.
    """
    selected: list[str] = []
    line: list[str] = []
    for is_shared, stretch in itertools.groupby(names, key=lambda name: name in shared):
        cells = " || ',' || ".join(_cell(name) for name in stretch)
        if is_shared:
            line.append(f"_stretch{len(selected)}")
            selected.append(f"{cells} AS {line[-1]}")
        else:
            line.append(cells)
    return ", ".join(selected), " || ',' || ".join(line)


def _cell(name: str) -> str:
    """Return the SQL of a cell as CSV has it: defused, and quoted where it must be."""
    cell = quoted(name)
    written = defused_in_sql(cell)
    return (
        f"CASE WHEN regexp_full_match({cell}, '{_PLAIN}') THEN {cell} "
        f"WHEN regexp_matches({cell}, '[,\"\\n\\r]') "
        f"THEN chr(34) || replace({written}, chr(34), chr(34) || chr(34)) || chr(34) "
        f"ELSE {written} END"
    )
