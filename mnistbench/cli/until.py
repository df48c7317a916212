"""`--until`: the quality that ends a training, as the config fields it stands for."""

from __future__ import annotations

import re

from mnistbench.errors import InputError

_TARGET = re.compile(r"\s*test_accuracy\s*>=\s*(?P<value>[0-9.eE+-]+)\s*(?P<percent>%?)\s*")


def until_overrides(text: str) -> tuple[str, str]:
    """Return the overrides of `test_accuracy>=X`, X a share or a percentage.

    Raises InputError for any other text.
    """
    matched = _TARGET.fullmatch(text)
    try:
        value = float(matched["value"]) if matched else None
    except ValueError:
        value = None
    if matched is None or value is None:
        raise InputError(
            f"{text!r} is no target",
            source="--until",
            hint="write 'test_accuracy>=0.97' in quotes: the shell takes > for itself",
        )
    share = value / 100 if matched["percent"] else value
    return ("training.validation=test", f"training.target_accuracy={share!r}")
