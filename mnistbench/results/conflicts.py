"""Two values of one row in several files: where each is, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.errors import InputError
from mnistbench.results.csv import first_row
from mnistbench.results.left_out import shortened


@dataclass(frozen=True)
class Key:
    """What names a row: its run, its repeat and one more column."""

    run_id: str
    repeat: int | None
    """None in a table without repeats, and where a row does not tell it."""
    column: str
    """`phase`, `metric` or `attribute`."""
    item: str

    def __str__(self) -> str:
        """Return the key for people."""
        repeat = "" if self.repeat is None else f"repeat {self.repeat}, "
        return f"run {self.run_id!r}, {repeat}{self.column} {shortened(self.item)}"

    def is_of(self, row: Mapping[str, str]) -> bool:
        """Return whether a row has this key."""
        same = row.get("run_id") == self.run_id and row.get(self.column) == self.item
        return same and (self.repeat is None or _number(row.get("repeat")) == self.repeat)


def two_values(
    key: Key, column: str, values: Sequence[str], is_number: bool, paths: Sequence[Path]
) -> InputError:
    """Return the error of a row whose `column` has several values, the file and row of two."""
    least = values[0]
    most = next(value for value in values if not _agree(value, least, is_number))
    first, second = sorted(_place(key, column, value, is_number, paths) for value in (least, most))
    return InputError(
        f"{key} has the {column} {shortened(first[2])!r}, and {shortened(second[2])!r} in "
        f"{second[0]}, row {second[1]}",
        source=first[0],
        field=f"row {first[1]}",
        hint="keep the right one",
    )


def second_of(key: Key, paths: Iterable[Path]) -> str:
    """Return file and row of the second row of a key; empty where only a rewritten file has it."""
    seen = False

    def is_second(row: Mapping[str, str]) -> bool:
        nonlocal seen
        again = seen and key.is_of(row)
        seen = seen or key.is_of(row)
        return again

    holding = [path for path in paths if key.run_id.encode() in path.read_bytes()]
    place = first_row(holding, is_second)
    return "" if place is None else f"{place[0]}, row {place[1]}: "


def _place(
    key: Key, column: str, value: str, is_number: bool, paths: Sequence[Path]
) -> tuple[str, int, str]:
    place = first_row(
        paths, lambda row: key.is_of(row) and _agree(row.get(column, ""), value, is_number)
    )
    if place is None:  # as a rewritten file has it
        return str(paths[0]), 0, value
    return str(place[0]), place[1], place[2].get(column, "")


def _agree(cell: str, value: str, is_number: bool) -> bool:
    if cell.replace(",", ".") == value.replace(",", "."):
        return True
    return is_number and (number := _number(cell)) is not None and number == _number(value)


def _number(cell: str | None) -> float | None:
    try:
        return float((cell or "").replace(",", "."))
    except ValueError:
        return None
