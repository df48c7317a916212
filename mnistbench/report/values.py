"""Ratios, their intervals and times in words."""

from __future__ import annotations

SLOWER_FASTER = ("slower", "faster")
"""What more time is called, and less."""


def change_text(ratio: float | None, words: tuple[str, str] = SLOWER_FASTER) -> str:
    """Return a ratio NEW / BASE in words: `1.33x slower`, `1.10x faster`, `unchanged`.

    `words` are for more and for less.
    """
    if ratio is None:
        return ""
    times = max(ratio, 1 / ratio)
    number = f"{times:.2f}" if times < 10 else f"{times:.3g}"
    if number == "1.00":
        return "unchanged"
    return f"{number}x {words[ratio < 1]}"


def interval_text(
    low: float | None, high: float | None, words: tuple[str, str] = SLOWER_FASTER
) -> str:
    """Return an interval of ratios in words: `1.28x to 1.38x slower`."""
    if low is None or high is None:
        return "unknown"
    # The end nearer to no change comes first, as in "1.10x to 1.25x faster".
    ends = (high, low) if high < 1 else (low, high)
    first, last = (change_text(end, words) for end in ends)
    if first == last:
        return first
    if first.split(" ")[1:] == last.split(" ")[1:]:
        first = first.split(" ")[0]
    return f"{first} to {last}"


def seconds_text(seconds: float | None) -> str:
    """Return a time with four figures or more, so that two of them show their ratio."""
    if seconds is None:
        return ""
    if seconds >= 1:
        return f"{seconds:.3f} s"
    if seconds >= 0.1:
        return f"{seconds:.4f} s"
    return f"{1e3 * seconds:#.4g} ms" if seconds >= 1e-4 else f"{1e6 * seconds:#.4g} µs"


def times_text(ratio: float) -> str:
    """Return how many times as much something is: `1.25`, `340`."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


_SHORT = {"bytes": "B", "bytes/s": "B/s", "calls/s": "/s"}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def unit_text(amount: float | None, unit: str, figures: int = 3) -> str:
    """Return an amount or a rate, as `432 GFLOP/s`, `12.5 GB/s`; empty for the unknown."""
    if amount is None:
        return ""
    scale, prefix = prefix_of(amount)
    number = amount / scale
    digits = max(0, figures - len(str(int(number))))
    return f"{number:.{digits}f} {prefix}{short_unit(unit)}".rstrip()


def short_unit(unit: str) -> str:
    """Return a unit as it stands behind a number: `B` for bytes."""
    return _SHORT.get(unit, unit)


def prefix_of(amount: float) -> tuple[float, str]:
    """Return what an amount is told in units of, as (1e6, "M")."""
    return next(((scale, prefix) for scale, prefix in _PREFIXES if abs(amount) >= scale), (1.0, ""))
