"""`--until`: the quality that ends a training, as the config fields it stands for."""

from __future__ import annotations

import re

from mnistbench.errors import InputError

_TARGET = re.compile(r"\s*test_accuracy\s*>=\s*(?P<value>[0-9.eE+-]+)\s*(?P<percent>%?)\s*")


def until_overrides(text: str) -> tuple[str, str]:
    """Return the overrides of `test_accuracy>=X`, X a share or a percentage.

    Raises InputError for any other text.
    """
    target = _TARGET.fullmatch(text)
    value = _number(target["value"]) if target else None
    if target is None or value is None:
        raise InputError(
            f"{text!r} is no target",
            source="--until",
            hint="write 'test_accuracy>=0.97' in quotes: the shell takes > for itself",
        )
    share = value / 100 if target["percent"] else value
    if not 0 < share <= 1:
        raise InputError(
            f"{text!r} is no share of the test images: it must be above 0 and at most 1 or 100 %",
            source="--until",
            hint=f"write '{_meant(value)}'",
        )
    return ("training.validation=test", f"training.target_accuracy={share!r}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _meant(value: float) -> str:
    """Return the target that somebody meant by a percentage without its sign, or an example."""
    if 1 < value <= 100:
        return f"test_accuracy>={value:g}%' or 'test_accuracy>={value / 100:g}"
    return "test_accuracy>=97%' or 'test_accuracy>=0.97"
