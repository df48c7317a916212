"""Figures as people say them, in lines of progress and of results."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share as percent, with two figures."""
    return f"{float(f'{100 * share:.2g}'):g} %"


def duration(seconds: float) -> str:
    """Return seconds as `45 s`, `12 min`, `1.8 h` or `3.5 days`."""
    for limit, unit_seconds, unit in ((100, 1, "s"), (6000, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_seconds:.{int(unit == 'h')}f} {unit}"
    return f"{seconds / 86_400:.1f} days"
