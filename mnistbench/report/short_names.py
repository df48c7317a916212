"""Long names as they fit a margin."""

from __future__ import annotations


class ShortNames(dict[str, str]):
    """The names in a figure as they fit its margin, no two alike: the table has them whole."""

    def __init__(self, longest: int = 28) -> None:
        """Names have at most `longest` characters, but for what tells namesakes apart."""
        super().__init__()
        self._longest = longest
        self._taken: set[str] = set()

    def __missing__(self, name: str) -> str:
        """Return a name that was not asked for yet, short and unlike all others."""
        head = (self._longest - 1) * 3 // 5
        tail = self._longest - 1 - head
        short = name if len(name) <= self._longest else f"{name[:head]}…{name[-tail:]}"
        while short in self._taken:
            short += "'"
        self._taken.add(short)
        self[name] = short
        return short
