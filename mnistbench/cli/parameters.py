"""Values of options that several commands take: shares, and spans of time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

import click

Value = TypeVar("Value")

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.ASCII)
_LONGEST_SECONDS = 7 * 24 * 3600


class Share(click.ParamType):  # type: ignore[type-arg]  # generic only in late Click
    """A share of 1, as `5%` or `0.05`."""

    name = "PERCENT"

    def __init__(self, lowest: float, highest: float) -> None:
        """Both ends are allowed."""
        self._lowest, self._highest = lowest, highest

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the share; fail in one line."""
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = float("nan")
        if not self._lowest <= share <= self._highest:
            lowest, highest = f"{100 * self._lowest:g}%", f"{100 * self._highest:g}%"
            self.fail(
                f"{text!r} is not a share from {lowest} to {highest}; give {self._advice(text)}",
                param,
                ctx,
            )
        return share

    def _advice(self, text: str) -> str:
        """Return what was probably meant, if that is allowed, in both spellings; or an example."""
        try:
            percent = float(text.removesuffix("%").replace(",", "."))
        except ValueError:
            percent = float("nan")
        guesses = (percent, 100 * percent, 5.0, 95.0, 50 * (self._lowest + self._highest))
        allowed = (each for each in guesses if self._lowest <= each / 100 <= self._highest)
        meant = next(allowed)
        return f"{meant:g}% or {meant / 100:g}"


class TimeSpan(click.ParamType):  # type: ignore[type-arg]  # generic only in late Click
    """Seconds, as `90`, `90s`, `1.5m` or `2h`."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds; fail in one line."""
        text = str(value).strip()
        match = _DURATION.fullmatch(text.lower())
        unit = _SECONDS.get(match[2]) if match else None
        seconds = float(match[1]) * unit if match and unit else 0.0
        if not 0 < seconds <= _LONGEST_SECONDS:
            self.fail(
                f"{text!r} is not a time above 0 and up to a week; give 90s, 10m or 1.5h",
                param,
                ctx,
            )
        return seconds


MOST = 10_000
"""Of repeats, pairs and the like: what is above is a slip of the hand, and would not end."""


class Count(click.ParamType):  # type: ignore[type-arg]  # generic only in late Click
    """A whole number within limits, both allowed."""

    name = "N"

    def __init__(self, lowest: int, highest: int = MOST) -> None:
        """Both ends are allowed."""
        self._lowest, self._highest = lowest, highest

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the number; fail in one line."""
        text = str(value).strip()
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text) else None
        if number is None or not self._lowest <= number <= self._highest:
            self.fail(
                f"{text!r} is not a whole number from {self._lowest} to {self._highest}", param, ctx
            )
        return number


class Tag(click.ParamType):  # type: ignore[type-arg]  # generic only in late Click
    """A word for every row: it is in each of them, and in columns of a report."""

    name = "TEXT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the tag; fail in one line."""
        text = str(value)
        if len(text) > _LONGEST_TAG:
            self.fail(f"{len(text):,} characters are more than {_LONGEST_TAG:,}", param, ctx)
        return text


_LONGEST_TAG = 1000


class Word(click.ParamType):  # type: ignore[type-arg]  # generic only in late Click
    """A name in a table: text, not any bytes."""

    name = "NAME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the word; fail in one line."""
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!r} is no text", param, ctx)
        return text


class Counts(Count):
    """Whole numbers within limits, by commas: `1,8,64`."""

    name = "N,..."

    def convert(  # type: ignore[override]  # several of what one Count is
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers; fail in one line."""
        if isinstance(value, tuple):
            return value
        convert = super().convert
        return _each_once(self, [convert(w, param, ctx) for w in str(value).split(",")], param, ctx)


class Words(click.ParamType):  # type: ignore[type-arg]  # generic only in late Click
    """Some words of a list, by commas."""

    name = "LIST"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """`allowed` are all there are."""
        self._allowed = allowed

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the words; fail in one line."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        for word in words:
            if word not in self._allowed:
                self.fail(f"{word!r} is none of {', '.join(self._allowed)}", param, ctx)
        return _each_once(self, words, param, ctx)


def _each_once(
    kind: click.ParamType,  # type: ignore[type-arg]  # generic only in late Click
    values: Sequence[Value],
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> tuple[Value, ...]:
    for value in values:
        if values.count(value) > 1:
            kind.fail(f"{value} is there twice", param, ctx)
    return tuple(values)
