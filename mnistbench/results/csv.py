"""Many CSV files as one that DuckDB can read, torn and concatenated ones too; and Parquet as CSV.

Only what the files have in common is assumed: a header line with at least the wanted columns.
What a spreadsheet made of them (another separator, UTF-16, a line `sep=;`, decimal commas) is
written anew as plain CSV before DuckDB sees it.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mnistbench.config.temporary import no_room, temporary_folder
from mnistbench.errors import InputError
from mnistbench.results import parquet
from mnistbench.results.cells import restored
from mnistbench.results.text import encoding_of, read_head

_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
csv.field_size_limit(1 << 30)  # a quotation mark that nobody closes makes one field of the rest
_PARQUET = "parquet"
_START_BYTES = 4096  # where a header ends, but for very wide tables
_WHAT = "give a run folder, a timings.csv or a cloudmesh log"

DECIMAL_COMMA = r"\s*[-+]?[0-9]*,[0-9]+([eE][-+]?[0-9]+)?\s*"
"""A number as half of Europe writes it."""
TOO_MANY = " more"
"""A column that is only filled where a line has more cells than the header names. Headers are
stripped, so that no file can have it."""


@dataclass(frozen=True)
class CsvForm:
    """How a CSV file is written, or that it is Parquet."""

    encoding: str
    """Or `parquet`."""
    separator: str
    first_line: int
    """Number of the header's line, from 1: a spreadsheet's `sep=;` may stand before it."""
    columns: tuple[str, ...]
    """In lower case."""
    plain: bool
    """Whether DuckDB reads it as it is."""


@dataclass(frozen=True)
class CsvPart:
    """Files of one header, as one file that DuckDB can read."""

    path: Path
    columns: tuple[str, ...]
    files: tuple[Path, ...]
    """Where it comes from."""
    may_be_defused: bool
    """Whether any cell may begin with an apostrophe: the file holds one."""


def form_of(path: Path) -> CsvForm:
    """Return how a file is written, from its first lines; raise InputError if it is no text."""
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None
    return _form(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=8192)
def _form(path: Path, mtime_ns: int, size: int) -> CsvForm:
    head = read_head(path)
    if head.startswith(parquet.BEGINNING):
        return CsvForm(_PARQUET, "", 0, _names(parquet.columns_in(path)), plain=False)
    encoding = encoding_of(path, head, _WHAT)
    start = head[:_START_BYTES] if head.count(b"\n", 0, _START_BYTES) > 1 else head
    lines = start.decode(encoding, errors="replace").splitlines() or [""]
    declared = _SEPARATOR_LINE.fullmatch(lines[0])
    header = lines[1] if declared and len(lines) > 1 else lines[0]
    separator = declared[1] if declared else max(_SEPARATORS, key=header.count)
    cells = next(csv.reader([header], delimiter=separator), [])
    plain = separator == "," and not declared and encoding.startswith("utf-8")
    plain = plain and b"\r" not in start.replace(b"\r\n", b"\n").rstrip(b"\r")
    return CsvForm(encoding, separator, 2 if declared else 1, _names(cells), plain)


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.strip().lower() or f"_unnamed{number}" for number, cell in enumerate(cells))


def is_parquet(path: Path) -> bool:
    """Return whether a file is Parquet, whatever its name; raise InputError as `form_of` does."""
    return form_of(path).encoding == _PARQUET


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the column names in a CSV file's header, in lower case."""
    return form_of(path).columns


def rows_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give each row after the header with the number of its first line; raise InputError."""
    form = form_of(path)
    if is_parquet(path):
        yield from enumerate(parquet.rows_in(path), 1)
        return
    try:
        with path.open(newline="", encoding=form.encoding, errors="replace") as text:
            lines = (line for number, line in enumerate(text, 1) if number > form.first_line)
            reader = csv.reader(lines, delimiter=form.separator)
            line = form.first_line + 1
            for row in reader:
                if row:
                    yield line, row
                line = form.first_line + reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"is no readable CSV: {error}", source=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def first_row(
    files: Sequence[Path], wanted: Callable[[Mapping[str, str]], bool]
) -> tuple[Path, int, Mapping[str, str]] | None:
    """Return file, line and cells of the first row that is wanted; a whole reading, so rare.

    Cells that a row lacks are left out of the mapping, and `TOO_MANY` stands for those beyond.
    """
    for path in files:
        names = (*columns_of(path), TOO_MANY)
        for line, cells in rows_of(path):
            row = dict(zip(names, map(restored, cells), strict=False))
            if wanted(row):
                return path, line, row
    return None


@contextmanager
def parts(paths: Sequence[Path], needed: Sequence[str], *numbers: str) -> Iterator[list[CsvPart]]:
    """Give the files joined by header; raise InputError for one that lacks a needed column.

    `numbers` are the columns whose decimal commas are read as points, where they are there.
    """
    by_columns: dict[tuple[str, ...], list[Path]] = {}
    for path in paths:
        columns = columns_of(path)
        _check_columns(columns, needed, path)
        by_columns.setdefault(columns, []).append(path)
    with ExitStack() as stack:
        joined = []
        for number, (columns, files) in enumerate(by_columns.items()):
            path = files[0]
            if len(files) > 1 or not form_of(path).plain:
                # One file of 300 MB is read in a third of the time of 2,000 small ones.
                folder = stack.enter_context(temporary_folder())
                path = folder / f"{number}.csv"
                _join(files, path, numbers)
            joined.append(CsvPart(path, columns, tuple(files), _has_apostrophe(path)))
        yield joined


def _has_apostrophe(path: Path) -> bool:
    """Return whether a byte of a file is one; raise InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return any(b"'" in block for block in iter(lambda: file.read(1 << 20), b""))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=path) from None


def _check_columns(columns: Sequence[str], needed: Sequence[str], path: Path) -> None:
    missing = [name for name in needed if name not in columns]
    if missing:
        raise InputError(f"the column {missing[0]} is missing", source=path)
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise InputError(
            f"the column {twice[0]} is there twice", source=path, hint="leave out one of them"
        )


def _join(files: Sequence[Path], target: Path, numbers: Sequence[str]) -> None:
    try:
        with target.open("wb") as sink:
            for source in files:
                if form_of(source).plain:
                    _copy(source, sink)
                else:
                    sink.write((",".join(columns_of(source)) + "\n").encode())
                    _copy(_plain(source, target.with_suffix(".rows"), numbers), sink)
    except OSError as error:  # of a source it is an InputError
        raise no_room(target.parent, error) from None


def _plain(source: Path, target: Path, numbers: Sequence[str]) -> Path:
    """Write the rows of a file that is no plain CSV as one; return it."""
    if is_parquet(source):
        parquet.write_csv(source, target)
    else:
        _rewrite(source, target, numbers)
    return target


def _copy(source: Path, sink: IO[bytes]) -> None:
    try:
        content = source.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", source=source) from None
    sink.write(content.removeprefix(b"\xef\xbb\xbf"))
    if not content.endswith(b"\n"):
        sink.write(b"\n")  # a torn last line must not swallow the next file's first


def _rewrite(source: Path, target: Path, numbers: Sequence[str]) -> None:
    """Write the rows of a file as plain CSV, the decimal commas of some columns as points."""
    columns = columns_of(source)
    places = [columns.index(name) for name in numbers if name in columns]
    commas = [place for place in places if _has_decimal_commas(source, place)]
    with target.open("w", newline="", encoding="utf-8") as text:
        writer = csv.writer(text, lineterminator="\n")
        for _, row in rows_of(source):
            for place in commas:
                if place < len(row):
                    row[place] = row[place].replace(",", ".")
            writer.writerow(row)


def _has_decimal_commas(source: Path, place: int) -> bool:
    """Return whether a column's numbers have commas; raise InputError where others have points.

    A comma that separates columns as well is left alone: whoever reads the number refuses it.
    """
    if form_of(source).separator == ",":
        return False
    found: dict[str, tuple[int, str]] = {}
    for line, row in rows_of(source):
        cell = row[place] if place < len(row) else ""
        for kind, pattern in (
            ("comma", DECIMAL_COMMA),
            ("point", DECIMAL_COMMA.replace(",", r"\.")),
        ):
            if kind not in found and re.fullmatch(pattern, cell):
                found[kind] = (line, cell)
        if len(found) == 2:
            (line, comma), (other, point) = found["comma"], found["point"]
            raise InputError(
                f"{comma!r} has a decimal comma and {point!r} in row {other} a point",
                source=source,
                field=f"row {line}",
                hint="write all with a point",
            )
    return "comma" in found
