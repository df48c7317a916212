"""The errors a user can cause, each one line long, and the exit codes they end in."""

from __future__ import annotations

OK = 0
RUN_FAILED = 1
WRONG_INPUT = 2
SLOWER = 3
INCONCLUSIVE = 4
NOT_COMPARABLE = 5
INTERRUPTED = 130


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
        super().__init__(_one_line(f"{line}; {hint}" if hint else line))


class OutputError(MnistbenchError):
    """The results cannot be written: no permission, a read-only or a full disk."""

    exit_code = WRONG_INPUT


class RunError(MnistbenchError):
    """Something in a measuring process failed that no other input would have prevented."""

    def __init__(self, problem: str, details: str = "") -> None:
        """`details` is what the process wrote, shown above the one line."""
        super().__init__(_one_line(problem))
        self.details = details


def _one_line(text: str) -> str:
    return " ".join(text.split())
