"""What a file holds and nobody can use: counted, and the first of it named."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mnistbench.results.csv import TOO_MANY, first_row

TORN = "torn"
STATUS = "status"
REPEAT = "repeat"
ZERO = "zero"
TIME = "time"
TWICE = "twice"
UNSTOPPED = "unstopped"
COLUMNS_UNSURE = "columns"
METRIC = "metric"
PROCESSOR = "processor"
HALF = "half"
LONG = "long"
SAME = "same"
ACCURACY = "accuracy"
METRIC_RESUMED = "metric-resumed"

_WORDS = {
    TORN: ("torn line is left out", "torn lines are left out"),
    STATUS: ("row of an unknown status is left out", "rows of an unknown status are left out"),
    REPEAT: (
        "row without a usable number of its repeat is left out",
        "rows without a usable number of their repeat are left out",
    ),
    ZERO: ("time of 0 s is left out", "times of 0 s are left out"),
    TIME: (
        "time that is no number above 0 is left out",
        "times that are no numbers above 0 are left out",
    ),
    PROCESSOR: (
        "phase on one core without its processor time is left out",
        "phases on one core without their processor times are left out",
    ),
    TWICE: (
        "row that is there twice is counted once",
        "rows that are there twice are counted once",
    ),
    UNSTOPPED: (
        "timer that was never stopped is left out",
        "timers that were never stopped are left out",
    ),
    COLUMNS_UNSURE: (
        "line with commas in its tag tells a time, but not surely its machine",
        "lines with commas in their tags tell a time, but not surely its machine",
    ),
    LONG: (
        "time that is longer than its run lasted is left out",
        "times that are longer than their runs lasted are left out",
    ),
    SAME: (
        "time that is there under the number of another repeat is counted once",
        "times that are there under the numbers of other repeats are counted once",
    ),
    ACCURACY: (
        "test accuracy that is no share from 0 to 1 is left out",
        "test accuracies that are no shares from 0 to 1 are left out",
    ),
    HALF: (
        "repeat without its metrics is left out",
        "repeats without their metrics are left out",
    ),
    METRIC: (
        "value of a metric that is no finite number is left out",
        "values of a metric that are no finite numbers are left out",
    ),
    METRIC_RESUMED: (
        "metric of a resumed training, which has one of each part, is left out",
        "metrics of resumed trainings, which have one of each part, are left out",
    ),
}  # fmt: skip
_LONGEST_VALUE = 40

RowKey = tuple[str | None, ...]
"""The cells `KEY` of a row as they stand; None for those that a torn line lacks."""

KEY = ("run_id", "repeat", "phase", "seconds", "status")


@dataclass(frozen=True)
class LeftOut:
    """Rows that were not used, or not all of them, for one reason."""

    reason: str
    count: int
    file: Path | None
    """Where the first of them is."""
    line: int
    """Its number in the file, from 1; 0 if unknown."""
    value: str
    """What stands there."""

    def __str__(self) -> str:
        """Return the line for people."""
        words = _WORDS[self.reason][self.count != 1]
        first = "" if self.file is None else f", the first: {self.place}"
        return f"{self.count} {words}{first}"

    @property
    def place(self) -> str:
        """Return file, row and value of the first."""
        row = f", row {self.line}" if self.line else ""
        return f"{self.file}{row}: {shortened(self.value)!r}"


def shortened(value: str) -> str:
    """Return a value that fits a line."""
    text = " ".join(value.split())
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def named(
    reason: str, count: int, keys: Collection[RowKey], files: Sequence[Path], column: str
) -> LeftOut:
    """Return rows that were left out, with the place and the value of the first of them."""
    wanted = {_comparable(key) for key in keys}

    def is_one(row: Mapping[str, str]) -> bool:
        return _comparable(tuple(row.get(name) for name in KEY)) in wanted

    value = next(iter(keys), (None,) * len(KEY))
    found = first_row(files, is_one)
    if found is None and reason == TORN:  # the two readers part ways after an open quotation mark
        found = first_row(files, lambda row: "status" not in row or TOO_MANY in row)
    if found is None:
        only = files[0] if len(files) == 1 else None
        return LeftOut(reason, count, only, 0, dict(zip(KEY, value, strict=True)).get(column) or "")
    return LeftOut(reason, count, *found[:2], found[2].get(column, ""))


def _comparable(key: RowKey) -> RowKey:
    """Return a key in which a decimal comma is a point, as a rewritten file has it."""
    return tuple(cell and cell.replace(",", ".") for cell in key)
