"""The wall clock, read here alone: time stamps and names of folders are by it, and no duration."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def utc_seconds() -> float:
    """Return the seconds since 1970 in UTC; they can be set at any moment, back too."""
    return time.time()


def utc() -> datetime:
    """Return the moment in UTC."""
    return datetime.fromtimestamp(utc_seconds(), timezone.utc)
