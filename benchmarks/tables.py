"""Tables that scripts go on with."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


def rows_with(table: Path, key: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file that have these cells; none where there is no file yet."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as text:
        return [row for row in csv.DictReader(text) if key.items() <= row.items()]
