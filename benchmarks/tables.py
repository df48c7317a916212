"""Tables that scripts go on with."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def rows_with(table: Path, key: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows of a CSV file that have these cells; none where there is no file yet."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as text:
        return [row for row in csv.DictReader(text) if key.items() <= row.items()]


@contextmanager
def going_on(
    table: Path, columns: Sequence[str]
) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Give what adds a row to a CSV file at once; end the script where its columns are others."""
    with table.open("a+", newline="", encoding="utf-8") as text:
        text.seek(0)
        there = next(csv.reader(text), None)
        if there not in (None, list(columns)):
            raise SystemExit(f"{table}: is an older script's; give another --output")
        writer = csv.DictWriter(text, columns)
        if there is None:
            writer.writeheader()

        def add(row: Mapping[str, object]) -> None:
            writer.writerow(row)
            text.flush()

        yield add
