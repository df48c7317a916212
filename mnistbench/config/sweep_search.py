"""The space of a search: its ends, its size, and points drawn from what was not tried yet."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Mapping
from typing import Any

from mnistbench.config.sweep_block import MOST_POINTS, SweepBlock
from mnistbench.config.sweep_space import Range, Settings, Space, Values, space_of_block

_MOST_CORNERS = 1000
_TRIES = 1000
_OF_PROCESSES = ("device", "backend")
"""Each pair of these has processes of its own, which must be known before the first trial."""


def corners(space: Space) -> list[Settings]:
    """Return the ends of a space: every end with every other, or where they are many one by one."""
    ends = {field: _ends(values) for field, values in space.grid.items()}
    if math.prod(map(len, ends.values())) <= _MOST_CORNERS:
        return _combined(ends)
    first = {field: values[0] for field, values in ends.items()}
    processes = {field: values for field, values in ends.items() if field in _OF_PROCESSES}
    one_by_one = [{field: value} for field, values in ends.items() for value in values]
    return [{**first, **other} for other in (*one_by_one, *_combined(processes))]


def _ends(values: Values) -> tuple[Any, ...]:
    if not isinstance(values, Range):
        return values
    return tuple(int(end) if values.whole else end for end in (values.low, values.high))


def _combined(values: Mapping[str, tuple[Any, ...]]) -> list[Settings]:
    return [
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    ]


def size(space: Space) -> int | None:
    """Return how many points a space has; None for more than can be counted."""
    counts = 1
    for values in space.grid.values():
        if not isinstance(values, Range):
            counts *= len(values)
        elif values.whole:
            counts *= int(values.high) - int(values.low) + 1
        else:
            return None
    return counts


def drawn_from_rest(
    space: Space, seed: str, is_possible: Callable[[Settings], bool]
) -> Settings | None:
    """Return a point drawn evenly from those that are possible; None if there seems to be none."""
    source = random.Random(seed)
    count = size(space)
    if count is None or count > MOST_POINTS:
        tries = (
            {field: _drawn(values, source) for field, values in space.grid.items()}
            for _ in range(_TRIES)
        )
        return next(filter(is_possible, tries), None)
    every = _combined({field: _all(values) for field, values in space.grid.items()})
    source.shuffle(every)
    return next(filter(is_possible, every), None)


def _drawn(values: Values, source: random.Random) -> Any:
    return values.draw(source) if isinstance(values, Range) else source.choice(values)


def _all(values: Values) -> tuple[Any, ...]:
    if not isinstance(values, Range):
        return values
    return tuple(range(int(values.low), int(values.high) + 1))


def as_written(space: Space) -> dict[str, Any]:
    """Return a space as the block of a config has it."""
    return {
        field: values.text if isinstance(values, Range) else list(values)
        for field, values in space.grid.items()
    }


def read_space(grid: dict[str, Any], file: str) -> Space:
    """Return a space from what `as_written` made of it; raise InputError."""
    return space_of_block(SweepBlock(grid=grid), file, {}, is_searched=True)
