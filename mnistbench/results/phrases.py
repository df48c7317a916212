"""Figures as people say them, in lines of progress and of results."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share as percent, with two figures."""
    return f"{float(f'{100 * share:.2g}'):g} %"


def duration(seconds: float) -> str:
    """Return seconds as `45 s`, `12 min` or `1.8 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
