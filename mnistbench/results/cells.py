"""Text in a cell of a table: what a spreadsheet would run is written so that it is only shown.

A quotation mark before it does that, and is taken away where the table is read.
"""

from __future__ import annotations

import re

_BEGINS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What makes a formula of a cell, the wide forms of Japanese and Chinese keyboards among them."""
_FORMULA = re.compile(f"'*[{_BEGINS}]")
_DEFUSED = re.compile(f"'+[{_BEGINS}]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def defused(text: str) -> str:
    """Return a text as it is written; a number in it stays one."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def restored(text: str) -> str:
    """Return what a cell said before it was defused."""
    return text[1:] if _DEFUSED.match(text) else text


def restored_in_sql(column: str) -> str:
    """Return the same of a column, as DuckDB has it."""
    pattern = f"^''+[{_BEGINS}]"  # a quotation mark is written twice in SQL
    return (
        f"CASE WHEN starts_with({column}, '''') AND regexp_matches({column}, '{pattern}') "
        f"THEN substr({column}, 2) ELSE {column} END"
    )


def defused_in_sql(cell: str) -> str:
    """Return the SQL of a text as it is written; `cell` is SQL."""
    is_formula = f"regexp_matches({cell}, '^''*[{_BEGINS}]')"
    is_number = f"regexp_full_match({cell}, '{_NUMBER.pattern}')"
    return f"CASE WHEN {is_formula} AND NOT {is_number} THEN chr(39) || {cell} ELSE {cell} END"


def number(text: str) -> float | None:
    """Return the number in a cell; None for none, and for what only Python takes for one."""
    if not text.isascii() or "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None
