"""Reading cloudmesh logs, in all three dialects its StopWatch has written.

None of them quotes: a header names fewer fields than its rows have, a tuple is printed with its
comma, and the version of Windows holds commas. So fields are taken from the ends that are safe.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_CURRENT = "# csv,"
_OLDEST_HEADER = re.compile(r"timer,time,starttag,")
_OLDEST_NODE = re.compile(r"\('([^']*)',\)")
_LAST_OF_CLOUDMESH = "platform.version"


@dataclass(frozen=True)
class LoggedTime:
    """One timer of a log."""

    timer: str
    seconds: float | None
    """None for a timer that was never stopped."""
    repeat: int
    """From 1: as the log says, or which time the timer comes up in it."""
    start: str
    fields: Mapping[str, str]
    """All other columns by name; mnistbench's own are among them if it wrote the log."""


@dataclass(frozen=True)
class CloudmeshLog:
    """What was found in a log."""

    times: tuple[LoggedTime, ...]
    unreadable_lines: int
    """Lines that look like a timer's but are torn or shifted."""


def looks_like_log(lines: Iterable[str]) -> bool:
    """Return whether any of the lines is a header that cloudmesh writes."""
    return any(
        line.strip().startswith((f"{_CURRENT}timer,", "timer,time,starttag,")) for line in lines
    )


def read_log(text: str) -> CloudmeshLog:
    """Return the timers of a log; lines of anything else in between are passed over."""
    times: list[LoggedTime] = []
    unreadable = 0
    seen: Counter[str] = Counter()
    for fields in _rows(text):
        timer, seconds = fields.get("timer", ""), _seconds(fields)
        if fields.get("torn") or not timer or isinstance(seconds, str):
            unreadable += 1
            continue
        seen[timer] += 1
        repeat = fields.get("repeat", "")
        number = int(repeat) if repeat.isdigit() else seen[timer]
        start = fields.get("start_utc") or fields.get("start", "")
        times.append(LoggedTime(timer, seconds, number, start, fields))
    return CloudmeshLog(tuple(times), unreadable)


def _rows(text: str) -> Iterator[dict[str, str]]:
    header: list[str] = []
    in_oldest = False
    for line in map(str.strip, text.splitlines()):
        if line.startswith(_CURRENT):
            fields = line.split(",")[1:]
            if fields[0] == "timer":
                header = fields
            elif header:
                yield _current_row(header, fields)
            continue
        if _OLDEST_HEADER.match(line):
            in_oldest = True
        elif in_oldest and line:
            yield _oldest_row(line)
        else:
            in_oldest = False


def _current_row(header: list[str], fields: list[str]) -> dict[str, str]:
    """Name the fields: from the left up to the platform's version, after it from the right."""
    if len(fields) < len(header):
        return {"torn": "yes"}
    last = header.index(_LAST_OF_CLOUDMESH) if _LAST_OF_CLOUDMESH in header else len(header) - 1
    own = header[last + 1 :]
    named = dict(zip(header[:last], fields[:last], strict=True))
    named[header[last]] = ",".join(fields[last : len(fields) - len(own)])
    if own:
        named |= dict(zip(own, fields[-len(own) :], strict=True))
    return named


def _oldest_row(line: str) -> dict[str, str]:
    """Name the fields of seed 002's dialect, where the header lacks a comma and rows have more."""
    fields = line.split(",")
    if len(fields) < 9:
        return {"torn": "yes"}
    node = _OLDEST_NODE.search(line)
    return {
        "timer": fields[0],
        "time": fields[1],
        "uname.node": node[1] if node else fields[3],
        "uname.system": fields[-3],
    }


def _seconds(fields: Mapping[str, str]) -> float | str | None:
    """Return the time, in our own precision if it is there; the text if it is no number."""
    text = fields.get("seconds") or fields.get("time", "")
    if text in ("None", ""):
        return None
    try:
        return float(text)
    except ValueError:
        return text
