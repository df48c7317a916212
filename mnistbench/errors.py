"""The errors a user can cause, each one line long, and the exit codes they end in."""

from __future__ import annotations

import re

OK = 0
RUN_FAILED = 1
WRONG_INPUT = 2
SLOWER = 3
INCONCLUSIVE = 4
NOT_COMPARABLE = 5
INTERNAL_ERROR = 70
"""A mistake of ours; sysexits.h calls it EX_SOFTWARE, and the next one EX_IOERR."""
OUTPUT_FULL = 74
"""Standard output cannot be written; what was measured is in its files."""
INTERRUPTED = 130
"""By Ctrl-C; by another signal it is 128 and its number: `interrupted_code`."""

_LONGEST_LINE = 1000
_LEFT, _RIGHT = 700, 260
"""Of a longer line: what is shown of its beginning and of its end, where the remedy stands."""

# What a terminal obeys, what turns the order of letters around, and what nobody sees. A line's own
# ends and tabs stay.
_UNSEEN = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb]"
)

_signals: list[int] = []


class MnistbenchError(Exception):
    """A failure that the user is told in one line; `exit_code` is the process's answer."""

    exit_code = RUN_FAILED


class InputError(MnistbenchError):
    """Wrong input: says where it is, what it is, what is allowed, and what to do next."""

    exit_code = WRONG_INPUT

    def __init__(
        self,
        problem: str,
        *,
        source: object = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Join the parts into one line: `source: field: problem; hint`."""
        where = [str(part) for part in (source, field) if part not in (None, "")]
        line = ": ".join([*where, problem])
        super().__init__(one_line(f"{line}; {hint}" if hint else line))


class OutputError(MnistbenchError):
    """The results cannot be written: no permission, a read-only or a full disk."""

    exit_code = WRONG_INPUT

    def __init__(self, problem: str) -> None:
        """`problem` names the file, the cause and the remedy."""
        super().__init__(one_line(problem))


class StreamError(OutputError):
    """Standard output cannot be written."""

    exit_code = OUTPUT_FULL


class RunError(MnistbenchError):
    """Something in a measuring process failed that no other input would have prevented."""

    def __init__(self, problem: str, details: str = "") -> None:
        """`details` is what the process wrote, shown above the one line."""
        super().__init__(one_line(problem))
        self.details = details


def one_line(text: str) -> str:
    """Return a text as one line that fits a terminal's page and obeys nothing in it."""
    if len(text) > _LONGEST_LINE:
        text = f"{text[:_LEFT]} ... {text[-_RIGHT:]}"
    return " ".join(re.split(r"[ \t\r\n]+", visible(text).strip(" \t\r\n")))


def visible(text: str) -> str:
    r"""Return a text with its control characters shown as `\x1b`; ends of lines and tabs stay."""
    return _UNSEEN.sub(_shown, text)


def in_line(text: str) -> str:
    r"""Return the same with ends of lines and tabs shown too, for a cell or a part of a line."""
    for character, name in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(character, name)
    return visible(text)


def _shown(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def note_signal(number: int) -> None:
    """Remember the signal that asked for the end: the exit code tells the first."""
    _signals.append(number)


def interrupted_code() -> int:
    """Return the exit code of a command that was asked to end: 130, 143 or 129."""
    return 128 + _signals[0] if _signals else INTERRUPTED
