"""Versions of the config file: which fields each one added, and what was done before them.

Plain data, as `compare` reads config files without pydantic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mnistbench.errors import InputError

ADDED: Mapping[int, Mapping[str, Any]] = MappingProxyType(
    {
        2: {"dataset.source": "auto"},
        3: {"training.execution": "fit", "training.jit": "auto", "training.precision": "float32"},
        4: {"training.target_accuracy": None},
        5: {"backend": "tensorflow"},
        6: {"dataset.image_dtype": "float32"},
        7: {"training.devices": 1, "training.processes": 1},
        8: {"training.onednn": "auto", "training.threads": "auto"},
    }
)
"""Version to its new fields, each with what was done before it existed. Whoever adds a field to
RunConfig adds a version here: a test holds it."""

CURRENT = max(ADDED)

BEFORE: Mapping[str, Any] = MappingProxyType(
    {field: value for fields in ADDED.values() for field, value in fields.items()}
)
"""Every field that an older file may lack, and the value it stands for there."""

_ALWAYS_IN_DIGEST = ("dataset.source",)  # digests were made anew with it; later ones were kept

_VERSION_LINE = re.compile(r"^# schema: (\d+)\s*$", re.MULTILINE | re.ASCII)


def version_line() -> str:
    """Return the comment that says the version: one that programs older than it read over."""
    return f"# schema: {CURRENT}\n"


def check_version(text: str, source: str) -> None:
    """Raise InputError for a config file of a version that this mnistbench does not know yet."""
    line = _VERSION_LINE.search(text)
    if line and int(line[1][:9]) > CURRENT:
        raise InputError(
            f"was written by a newer mnistbench: its schema is {line[1][:9]}, known here are 1 to "
            f"{CURRENT}",
            source=source,
            hint="update mnistbench, or leave out the line `# schema:` to try it as it is",
        )


def left_out_of_digest(field: str, value: object) -> bool:
    """Return whether a digest says nothing of a field: it has the value from before it existed.

    So the digests of older files stay what they were.
    """
    return field in BEFORE and field not in _ALWAYS_IN_DIGEST and value == BEFORE[field]
