"""Samples of rates from many files: those of a run are kept whole, as two equal ones are two."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mnistbench.errors import InputError
from mnistbench.results import left_out
from mnistbench.results.csv import DECIMAL_COMMA, columns_of, form_of, rows_of
from mnistbench.results.keyed_rows import Gathered, header_line
from mnistbench.results.keyed_tables import number_columns
from mnistbench.results.left_out import LeftOut
from mnistbench.results.rows import RateRow, columns

Sample = tuple[str, ...]
Copies = list[tuple[Counter[Sample], Path]]
"""What files hold of one run, none of them a part of another."""

_NAMES = columns(RateRow)


def gather_samples(paths: Sequence[Path], target: Path) -> Gathered:
    """Write the samples of all files to `target`, those of each run once.

    Raises InputError, naming both files, for two that hold different samples of one run.
    """
    added = sorted({name for path in paths for name in columns_of(path)} - {*_NAMES})
    names = (*_NAMES, *added)
    gathered = Gathered()
    copies: dict[str, Copies] = {}
    count = 0
    for path in paths:
        for run_id, samples in _by_run(path, names, gathered).items():
            count += samples.total()
            copies[run_id] = _largest(copies.get(run_id, []), samples, path)
    with target.open("w", newline="", encoding="utf-8") as sink:
        sink.write(header_line(names).decode())
        writer = csv.writer(sink, lineterminator="\n")
        for run_id, kept in sorted(copies.items()):
            _refuse_two(run_id, kept)
            gathered.rows += kept[0][0].total()
            writer.writerows(sorted(kept[0][0].elements()))
    gathered.again = count - gathered.rows
    return gathered


def _largest(kept: Copies, samples: Counter[Sample], path: Path) -> Copies:
    """Return the copies of a run's samples without those that are a part of another."""
    if any(samples <= other for other, _ in kept):
        return kept
    return [*(copy for copy in kept if not copy[0] <= samples), (samples, path)]


def _refuse_two(run_id: str, kept: Copies) -> None:
    if len(kept) > 1:
        (_, first), (_, second) = kept[:2]
        raise InputError(
            f"the samples of run {run_id!r} are others in {second}",
            source=first,
            hint="keep the right ones",
        )


def _by_run(path: Path, names: Sequence[str], gathered: Gathered) -> dict[str, Counter[Sample]]:
    """Return the samples of each run in a file; torn lines are counted."""
    there = columns_of(path)
    missing = [name for name in _NAMES if name not in there]
    if missing:
        raise InputError(f"the column {missing[0]} is missing", source=path)
    places = [there.index(name) if name in there else None for name in names]
    samples: dict[str, Counter[Sample]] = {}
    for line, row in sample_rows(path):
        if len(row) != len(there):
            _count_torn(gathered, path, line, row)
            continue
        sample = tuple("" if place is None else row[place] for place in places)
        samples.setdefault(sample[0], Counter())[sample] += 1
    return samples


def sample_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the rows of a file, decimal commas as points, without a header that is there again."""
    there = columns_of(path)
    numbers = [there.index(name) for name in number_columns(RateRow) if name in there]
    has_commas = form_of(path).separator != ","
    for line, row in rows_of(path):
        if [cell.lower() for cell in row] == [*there]:
            continue
        for place in numbers:
            if has_commas and place < len(row) and re.fullmatch(DECIMAL_COMMA, row[place]):
                row[place] = row[place].replace(",", ".")
        yield line, row


def _count_torn(gathered: Gathered, path: Path, line: int, row: Sequence[str]) -> None:
    torn = gathered.left_out[0] if gathered.left_out else None
    if torn is None:
        gathered.left_out = [LeftOut(left_out.TORN, 1, path, line, ",".join(row))]
    else:
        gathered.left_out = [LeftOut(torn.reason, torn.count + 1, torn.file, torn.line, torn.value)]
