"""Which points a sweep has: from a grid, a list or ranges to settings, each checked as a value."""

from __future__ import annotations

import functools
import itertools
import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mnistbench.config.files import user_path
from mnistbench.config.problems import as_input_error, set_by_whom
from mnistbench.config.sweep_block import MOST_POINTS, SweepBlock
from mnistbench.config.yaml_text import MOST_BYTES_OF_POINTS, read_limited, read_yaml
from mnistbench.errors import InputError

Settings = Mapping[str, Any]
"""A point: fields, with dots as for `--set`, and their values."""

_FIELD = re.compile(r"\w+(\.\w+)*")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*(:\s*log)?\s*")
_LIKE_A_RANGE = re.compile(r"[\d.]\s*\.\.\s*[-+.\d]")
_FIGURES = 4
"""Of a number drawn from a range: nobody can tell more of them apart."""
_TRIES = 200
"""For each point that is to be drawn: so often the same one may come again."""
_NOT_SETTINGS = ("name", "description", "sweep")


@dataclass(frozen=True)
class Range:
    """Numbers to draw from, both ends included."""

    low: float
    high: float
    log: bool
    """Whether their logarithm is drawn evenly."""
    whole: bool
    """Whether they are whole numbers."""

    @property
    def text(self) -> str:
        """Return it as it is written behind `--grid`."""
        ends = [str(int(end)) if self.whole else repr(end) for end in (self.low, self.high)]
        return "..".join(ends) + (":log" if self.log else "")

    def draw(self, source: random.Random) -> float | int:
        """Return one of them, of four figures."""
        if self.whole and not self.log:
            return source.randint(int(self.low), int(self.high))
        if self.whole:
            drawn = math.floor(
                math.exp(source.uniform(math.log(self.low), math.log(self.high + 1)))
            )
            return int(min(max(drawn, self.low), self.high))
        if self.log:
            drawn_at = math.exp(source.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn_at = source.uniform(self.low, self.high)
        return self.rounded(drawn_at)

    def rounded(self, value: float) -> float:
        """Return a number between the ends to four figures, and not beyond them."""
        return min(max(float(f"{value:.{_FIGURES}g}"), self.low), self.high)


Values = tuple[Any, ...] | Range


@dataclass(frozen=True)
class Space:
    """What a sweep tries: a grid, whole or drawn from, or a list."""

    grid: Mapping[str, Values]
    listed: tuple[Settings, ...] | None
    random: int | None
    """Points to draw from the grid; None for all of it."""
    source: str
    """Who gave it, for messages."""


class _File(BaseModel):
    sweep: SweepBlock


def checked_block(block: object, file: str, set_by: Mapping[str, str]) -> SweepBlock:
    """Return a config's block `sweep`; raise InputError as for any other field of the file."""
    try:
        return _File.model_validate({"sweep": block}).sweep
    except ValidationError as error:
        raise as_input_error(error, file, set_by) from None


def space_of_block(
    block: SweepBlock, file: str, set_by: Mapping[str, str], is_searched: bool = False
) -> Space:
    """Return what a block asks for; raise InputError, naming who gave it and the field.

    In a space that is searched there may be ranges.
    """
    source = f"{set_by_whom('sweep', file, set_by)}: sweep"
    folder = Path(file).parent
    grid = {
        _field(field, f"{source}.grid"): _values(field, values, f"{source}.grid.{field}", folder)
        for field, values in block.grid.items()
    }
    if block.grid and block.listed:
        raise InputError("has a grid and a list", source=source, hint="leave out either")
    listed = _points(block.listed, f"{source}.list", folder) if block.listed else None
    return _complete(Space(grid, listed, block.random, source), is_searched)


def space_of_grid(texts: Sequence[str], drawn: int | None, is_searched: bool = False) -> Space:
    """Return what `--grid FIELD=VALUES` options ask for; raise InputError."""
    grid: dict[str, Values] = {}
    for text in texts:
        field, equals, values = text.partition("=")
        source = f"--grid {text}"
        field = _field(field.strip(), source)
        if not equals or not values.strip():
            raise InputError(
                "is not FIELD=VALUES", source=source, hint="try --grid training.batch_size=4,32,128"
            )
        if field in grid:
            raise InputError(
                f"{field} is given twice", source=source, hint="give all its values in one --grid"
            )
        grid[field] = _values(field, _read_values(values, source), source, Path())
    return _complete(Space(grid, None, drawn, "--grid"), is_searched)


def space_of_list(path: Path, drawn: int | None) -> Space:
    """Return what a file of points asks for: a YAML list, each item fields with values."""
    try:
        text = read_limited(path, MOST_BYTES_OF_POINTS).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=f"--list {path}") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", source=f"--list {path}") from None
    source = f"--list {path}"
    points = read_yaml(text, source, MOST_BYTES_OF_POINTS)
    if not isinstance(points, list) or not points:
        raise InputError("holds no list of points", source=source, hint=_EXAMPLE)
    return _complete(Space({}, _points(points, source, path.parent), drawn, source))


_EXAMPLE = "write a line for each, as - {training.batch_size: 32, training.epochs: 5}"


def points_of(space: Space, seed: int) -> list[Settings]:
    """Return the points in their order; what is drawn is drawn by the seed.

    Raises InputError where there are too many, or fewer different ones than are to be drawn.
    """
    if space.listed is not None:
        return list(space.listed)
    if space.random is not None:
        return _drawn(space, space.random, seed)
    sizes = [len(values) for values in space.grid.values() if not isinstance(values, Range)]
    if math.prod(sizes) > MOST_POINTS:
        raise InputError(
            f"{math.prod(sizes):,} points are more than {MOST_POINTS:,}",
            source=space.source,
            hint="leave values out, or draw from them with --random N",
        )
    values = [tuple(each) for each in space.grid.values() if not isinstance(each, Range)]
    return [dict(zip(space.grid, chosen, strict=True)) for chosen in itertools.product(*values)]


def value_text(value: object) -> str:
    """Return a value as `--set` takes it, without a blank."""
    if isinstance(value, str) and _is_plain(value):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


@functools.lru_cache(maxsize=1024)
def _is_plain(text: str) -> bool:
    """Return whether YAML, and a shell, read a text as it is written."""
    return bool(re.fullmatch(r"[A-Za-z_./~][\w./~-]*", text)) and read_yaml(text, "") == text


def settings_text(settings: Settings) -> str:
    """Return a point as what `--set` takes, a blank between two; `as it is` for no setting."""
    texts = [f"{field}={value_text(value)}" for field, value in settings.items()]
    return " ".join(texts) or "as it is"


def _complete(space: Space, is_searched: bool = False) -> Space:
    """Return the space if points can be made of it; raise InputError."""
    if not space.grid and space.listed is None:
        raise InputError("names no points", source=space.source, hint="give it a grid or a list")
    if space.listed is not None and space.random is not None:
        raise InputError(
            "--random draws from a grid, and a list is given", source=space.source,
            hint="leave out either",
        )  # fmt: skip
    ranges = [field for field, values in space.grid.items() if isinstance(values, Range)]
    if ranges and space.random is None and not is_searched:
        raise InputError(
            f"{ranges[0]} is a range, from which points are drawn", source=space.source,
            hint="say how many with --random N (in a file random: N) or --trials N, or list its "
            "values",
        )  # fmt: skip
    if is_searched and space.listed is not None:
        raise InputError(
            "--trials searches a grid, and a list is given", source=space.source,
            hint="leave out either",
        )  # fmt: skip
    return space


def _drawn(space: Space, count: int, seed: int) -> list[Settings]:
    source = random.Random(f"mnistbench sweep:{seed}")
    points: dict[str, Settings] = {}
    for _ in range(_TRIES * count):
        point = {
            field: values.draw(source) if isinstance(values, Range) else source.choice(values)
            for field, values in space.grid.items()
        }
        points.setdefault(json.dumps(point, default=str), point)
        if len(points) == count:
            return list(points.values())
    raise InputError(
        f"only {len(points)} different points were drawn, and {count} are asked for",
        source=space.source,
        hint="ask for fewer, or leave out --random for all of a grid",
    )


def _field(field: str, source: str) -> str:
    if not isinstance(field, str) or not _FIELD.fullmatch(field):
        raise InputError(
            f"{field!r} is no field", source=source, hint="as in training.batch_size, with dots"
        )
    if field.split(".")[0] in _NOT_SETTINGS:
        raise InputError(
            f"{field} is no setting: it changes nothing of a training", source=source,
            hint="leave it out; each point has a name of its own",
        )  # fmt: skip
    return field


def _read_values(text: str, source: str) -> object:
    """Return the values of an option: a range as it is written, or a list."""
    if _RANGE.fullmatch(text) or _LIKE_A_RANGE.search(text):
        return text
    if text.rstrip().endswith(",") or text.lstrip().startswith(","):
        raise InputError("an item is empty", source=source, hint="leave out the comma at its end")
    return read_yaml(f"[{text}]", source)


def _values(field: str, values: object, source: str, folder: Path) -> Values:
    if isinstance(values, str):
        return _range(values, source)
    if not isinstance(values, list) or not values:
        raise InputError(
            f"{values!r} is no list of values", source=source,
            hint="write them in brackets, as [4, 32], also where it is one",
        )  # fmt: skip
    texts = [json.dumps(value, default=str) for value in values]
    twice = next((text for text, count in Counter(texts).items() if count > 1), None)
    if twice is not None:
        raise InputError(
            f"{twice} is there twice", source=source,
            hint="leave one out; repeats say how often each point is measured",
        )  # fmt: skip
    return tuple(_with_path(field, value, folder, source) for value in values)


def _range(text: str, source: str) -> Range:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise InputError(
            f"{text!r} is no list of values, and no range", source=source,
            hint="write [4, 32] in a file and 4,32 behind --grid, or 1e-4..1e-1:log for a range",
        )  # fmt: skip
    low, high = float(match[1]), float(match[2])
    whole = all(re.fullmatch(r"[-+]?\d+", end) for end in (match[1], match[2]))
    log = match[3] is not None
    if not (low < high < math.inf) or (log and low <= 0):
        above = "above 0 and below" if log else "below"
        raise InputError(f"{text!r}: the first number must be {above} the second", source=source)
    return Range(low, high, log, whole)


def _points(items: Sequence[object], source: str, folder: Path) -> tuple[Settings, ...]:
    if len(items) > MOST_POINTS:
        raise InputError(f"{len(items):,} points are more than {MOST_POINTS:,}", source=source)
    return tuple(
        dict(_settings(item, f"{source}: item {number}", folder))
        for number, item in enumerate(items, start=1)
    )


def _settings(item: object, source: str, folder: Path) -> Iterator[tuple[str, Any]]:
    if not isinstance(item, dict):
        raise InputError(f"{item!r} must be fields with values", source=source, hint=_EXAMPLE)
    for field, value in item.items():
        yield _field(field, source), _with_path(field, value, folder, source)


def _with_path(field: str, value: Any, folder: Path, source: str) -> Any:
    """Return a value; a path of data in it is taken from where it was written."""
    if field == "dataset.path" and isinstance(value, str):
        return str((folder / user_path(value, source)).absolute())
    if field == "dataset" and isinstance(value, dict) and isinstance(value.get("path"), str):
        return {**value, "path": _with_path("dataset.path", value["path"], folder, source)}
    return value
