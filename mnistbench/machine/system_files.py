"""Small files of the system, read leniently: what is not there is None."""

from __future__ import annotations

from pathlib import Path

Facts = dict[str, object]


def whole_number(text: str | None) -> int | None:
    """Return the number a file holds; None for any other text."""
    return int(text) if text and text.isdigit() else None


def read_text(path: str | Path) -> str | None:
    """Return a small file's text without the space around it; None if it has none or is none."""
    try:
        return Path(path).read_text(errors="replace").strip() or None
    except OSError:
        return None
