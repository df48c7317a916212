"""Reading cloudmesh logs, in all three dialects its StopWatch has written.

None of them quotes: a header names fewer fields than its rows have, a tuple is printed with its
comma, a tag may be a dict, and the version of Windows holds commas. So fields are taken from the
ends that are safe, and the system's name is the anchor between a tag and a version.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mnistbench.results import left_out
from mnistbench.results.cells import number
from mnistbench.results.implausible import MOST_SECONDS

_CURRENT = "# csv,"
_OLDEST_HEADER = re.compile(r"timer,time,starttag,")
_OLDEST_NODE = re.compile(r"\('([^']*)',\)")
_SYSTEM = "uname.system"
_LAST_OF_CLOUDMESH = "platform.version"
_SYSTEMS = ("Linux", "Darwin", "Windows", "FreeBSD", "Java", "SunOS")
_SAFE = ("timer", "status", "time", "sum", "start")
_LARGEST_REPEAT = 2**31


@dataclass(frozen=True)
class LoggedTime:
    """One timer of a log."""

    timer: str
    seconds: float
    repeat: int
    """From 1: as the log says, or which time the timer comes up in its table on its machine."""
    table: int
    """Which of the log's headers it stands below, from 1."""
    line: int
    """Its number in the log, from 1."""
    text: str
    """The line as it stands."""
    fields: Mapping[str, str]
    """All other columns by name; mnistbench's own are among them if it wrote the log."""


@dataclass(frozen=True)
class OddLine:
    """A line that was not used, or not all of it."""

    reason: str
    """As `results.left_out` names them."""
    timer: str
    """Empty if unknown."""
    line: int
    """Its number in the log, from 1."""
    value: str


@dataclass(frozen=True)
class CloudmeshLog:
    """What was found in a log."""

    times: tuple[LoggedTime, ...]
    odd: tuple[OddLine, ...]


@dataclass(frozen=True)
class _Row:
    line: int
    text: str
    table: int
    fields: Mapping[str, str]
    """Empty for a torn line."""
    unsure: bool = False
    """Whether the fields after the time cannot be told apart."""


def looks_like_log(lines: Iterable[str]) -> bool:
    """Return whether any of the lines is a header that cloudmesh writes."""
    return any(
        line.strip().startswith((f"{_CURRENT}timer,", "timer,time,starttag,")) for line in lines
    )


def read_log(text: str) -> CloudmeshLog:
    """Return the timers of a log; lines of anything else in between are passed over."""
    times: list[LoggedTime] = []
    odd: list[OddLine] = []
    seen: Counter[tuple[object, ...]] = Counter()
    for row in _rows(text):
        timer = row.fields.get("timer", "")
        place = (row.table, *machine_of(row.fields), timer)
        seen[place] += 1
        reason, value = _problem(row)
        if row.unsure and not reason:
            odd.append(OddLine(left_out.COLUMNS_UNSURE, timer, row.line, row.text))
        if reason:
            odd.append(OddLine(reason, timer, row.line, value))
            continue
        number = int(float(row.fields.get("repeat") or seen[place]))
        seconds = float(_time(row.fields))
        times.append(LoggedTime(timer, seconds, number, row.table, row.line, row.text, row.fields))
    return CloudmeshLog(tuple(times), tuple(odd))


def machine_of(fields: Mapping[str, str]) -> tuple[str, str]:
    """Return the node and the user of a line, each empty if unknown."""
    node = fields.get("node") or fields.get("uname.node", "")
    return node, fields.get("user", "")


def _problem(row: _Row) -> tuple[str, str]:
    """Return why a line is not used, and the value; two empty strings if it is."""
    if not row.fields.get("timer"):
        return left_out.TORN, row.text
    text, repeat = _time(row.fields), row.fields.get("repeat") or "1"
    if text in ("None", ""):
        return left_out.UNSTOPPED, row.fields["timer"]
    seconds = number(text)
    if seconds is None:
        return left_out.TORN, row.text
    if not _is_repeat(repeat):
        return left_out.REPEAT, repeat
    if not 0 <= seconds < float("inf"):
        return left_out.TIME, text
    if seconds > MOST_SECONDS:
        return left_out.LONG, text
    return "", ""


def _is_repeat(text: str) -> bool:
    value = number(text)
    return value is not None and 0 <= value < _LARGEST_REPEAT and value.is_integer()


def _time(fields: Mapping[str, str]) -> str:
    """Return the time as text, in our own precision if it is there."""
    return fields.get("seconds") or fields.get("time", "")


def _rows(text: str) -> Iterator[_Row]:
    header: list[str] = []
    in_oldest, table = False, 0
    for place, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith(_CURRENT):
            fields = line.split(",")[1:]
            if fields[0] == "timer":
                header, table = fields, table + 1
            elif header:
                named, unsure = _current_row(header, fields)
                yield _Row(place, line, table, named, unsure)
        elif _OLDEST_HEADER.match(line):
            in_oldest, table = True, table + 1
        elif in_oldest and line:
            yield _Row(place, line, table, _oldest_row(line))
        else:
            in_oldest = False


def _current_row(header: list[str], fields: list[str]) -> tuple[dict[str, str], bool]:
    """Name the fields, and say whether those after the start are unsure and therefore left out.

    Our own are counted from the right; between a tag and a version that both may hold commas
    the system's name is looked for.
    """
    if len(fields) < len(header):
        return {}, False
    last = header.index(_LAST_OF_CLOUDMESH) if _LAST_OF_CLOUDMESH in header else len(header) - 1
    own = header[last + 1 :]
    named = dict(zip(own, fields[len(fields) - len(own) :], strict=True))
    header, fields = header[: last + 1], fields[: len(fields) - len(own)]
    named |= {n: f for n, f in zip(header, fields, strict=False) if n in _SAFE}
    system = header.index(_SYSTEM) if _SYSTEM in header else -1
    more = len(fields) - len(header)
    shifts = [shift for shift in range(more + 1) if fields[system + shift] in _SYSTEMS]
    if more == 0 and not any(field in _SYSTEMS for field in fields):
        shifts = [0]  # a system that nobody here knows
    if system < 0 or len(shifts) != 1:
        return named, True
    first = len([name for name in header if name in _SAFE])
    right = system - 2 if header[system - 2 : system] == ["uname.node", "user"] else system
    shift = shifts[0]
    named |= dict(zip(header[first:right], fields[first:right], strict=True)) if not shift else {}
    named |= dict(zip(header[right:last], fields[right + shift : last + shift], strict=True))
    named[header[last]] = ",".join(fields[last + shift :])
    return named, False


def _oldest_row(line: str) -> dict[str, str]:
    """Name the fields of seed 002's dialect, where the header lacks a comma and rows have more."""
    fields = line.split(",")
    if len(fields) < 9:
        return {}
    node = _OLDEST_NODE.search(line)
    return {
        "timer": fields[0],
        "time": fields[1],
        "uname.node": node[1] if node else fields[3],
        "uname.system": fields[-3],
    }
