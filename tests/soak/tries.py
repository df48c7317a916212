"""What comes of one try, and what of it counts as fallen short."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SLOWEST_SECONDS, MOST_MB = 10.0, 700.0
"""Of a try that read what it was given, on a busy machine; a refusal takes a fraction."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass
class Outcome:
    """One try."""

    lost: int = 0
    doubled: int = 0
    halves: int = 0
    """Repeats in one of the two tables alone, and taken from it."""
    orphans: int = 0
    """Processes that lived 3 s longer than the command."""
    left_over: int = 0
    """Temporary files, after the next call."""
    tracebacks: int = 0
    internal_errors: int = 0
    hangs: int = 0
    code_run: int = 0
    wrong_codes: int = 0
    control_codes: int = 0
    """In what was printed."""
    long_lines: int = 0
    seconds: float = 0.0
    mb: float = 0.0
    """Above what the command has before it reads anything."""
    problem: str = ""

    @property
    def survived(self) -> bool:
        """Return whether nothing fell short."""
        return not self.problem

    def sum_up(self, *names: str) -> None:
        """Name what was counted and should be nothing as the try's problem."""
        wrong = [f"{name} {getattr(self, name)}" for name in names if getattr(self, name)]
        if wrong:
            self.problem = "; ".join([*wrong, self.problem])


def judged(
    arguments: Sequence[str],
    code: int,
    output: str,
    error: str,
    seconds: float,
    mb: float,
    codes: Collection[int],
) -> Outcome:
    """Return what a call of the command made of its arguments."""
    outcome = Outcome(
        tracebacks=int("Traceback" in error or (code < 0 and code not in codes)),
        internal_errors=int("internal error" in error or code == 70),
        hangs=int(seconds > SLOWEST_SECONDS),
        wrong_codes=int(code not in codes),
        control_codes=int(bool(_CONTROL.search(output + error))),
        long_lines=int(any(len(line) > 3000 for line in error.splitlines())),
        seconds=seconds,
        mb=mb,
    )
    names = ("tracebacks", "internal_errors", "hangs", "wrong_codes", "control_codes", "long_lines")
    wrong = [name for name in names if getattr(outcome, name)]
    if mb > MOST_MB:
        wrong.append(f"{mb:.0f} MB")
    if wrong:
        shown = " ".join(word[:100] for word in arguments)
        outcome.problem = f"{', '.join(wrong)}: code {code}, {shown!r}: {error[-400:]!r}"
    return outcome
