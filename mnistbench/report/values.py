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
