"""What `--launch KEY=VALUE` gives a launcher: checked before anything is started."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from mnistbench.errors import InputError

OPTION = "--launch"

_SECONDS = {"": 60, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_SPAN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+)-)?(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)

Word = Annotated[str, Field(pattern=r"^[^\s\"'`$\\;]+$")]
"""What stands in a line of a script and must not end it."""
Line = Annotated[str, Field(pattern=r"^[^\r\n]+$")]
Number = Annotated[int, Field(ge=0, le=10_000)]


def _minutes(value: object) -> int:
    text = str(value).strip().lower()
    if clock := _CLOCK.fullmatch(text):
        days, *rest = (int(part or 0) for part in clock.groups())
        # As Slurm has it: without days, two parts are minutes and seconds.
        if clock[4] is None and clock[1] is None:
            rest = [0, *rest[:2]]
        seconds = 86400 * days + 3600 * rest[0] + 60 * rest[1] + rest[2]
    else:
        span = _SPAN.fullmatch(text)
        unit = _SECONDS.get(span[2]) if span else None
        seconds = math.ceil(float(span[1]) * unit) if span and unit else 0
    if not 0 < seconds <= 366 * 86400:
        raise ValueError("not a time; give 30m, 2h or 1-12:00:00")
    return math.ceil(seconds / 60)


Minutes = Annotated[int, BeforeValidator(_minutes)]
"""Whole minutes, rounded up, from `90s`, `30m`, `2h`, `1d`, or Slurm's own `1-12:00:00`."""


def checked(launcher: str, settings: type[BaseModel], given: Sequence[str]) -> BaseModel:
    """Return settings from `KEY=VALUE`s; raise InputError, naming the one that is wrong."""
    values: dict[str, Any] = {}
    for text in given:
        key, value = _split(text, launcher, settings)
        if _is_list(settings, key):
            values.setdefault(key, []).append(value)
        elif key in values:
            raise InputError(
                f"{key} is given twice", source=f"{OPTION} {text}", hint="leave one out"
            )
        else:
            values[key] = value
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise _refusal(error, values) from None


def _split(text: str, launcher: str, settings: type[BaseModel]) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    known = ", ".join(settings.model_fields)
    if not equals or not value:
        raise InputError(
            "is not KEY=VALUE", source=f"{OPTION} {text}", hint=f"the keys of {launcher}: {known}"
        )
    if key not in settings.model_fields:
        close = difflib.get_close_matches(key, settings.model_fields, 1)
        raise InputError(
            f"{key!r} is no setting of {launcher}; allowed: {known}",
            source=f"{OPTION} {text}",
            hint=f"did you mean {close[0]}?" if close else None,
        )
    return key, value


def _is_list(settings: type[BaseModel], key: str) -> bool:
    return bool(settings.model_fields[key].default == ())


def _refusal(error: ValidationError, values: Mapping[str, Any]) -> InputError:
    first = error.errors(include_url=False)[0]
    key = str(first["loc"][0]) if first["loc"] else ""
    value = first["input"] if key else ""
    source = f"{OPTION} {key}={value}" if key else OPTION
    reason = str(first["msg"]).removeprefix("Value error, ")
    return InputError(f"{value!r} is not allowed: {reason}", source=source)
