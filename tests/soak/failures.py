"""Writes that fail: the n-th call that changes the disk is an error, or the end of the process."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from pathlib import Path

from commands import FEW, QUICK, Writer, is_hidden, left_in, unlike
from kills import EXIT_CODES, call, count_rows, unbroken
from tries import Outcome, judged

_ERRORS = ("ENOSPC", "ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES", "KILL")
_MOST_CALLS = 40
MEASURING = [
    Writer((*command, "mnist-dense", *FEW, "--output", "{out}"), measures=True)
    for command in (("benchmark", "--repeats", "2"), ("train", "--checkpoint-every", "1"))
]

_SITE = """
import errno, os, signal, sys

_name, _at = os.environ["FAULT"].split(":")
_left = int(_at)
_command = os.getpid()

class _Failing:
    # No function: pathlib has some in a class, before Python 3.11, and would give it one more.
    def __init__(self, real):
        self.real = real

    def __call__(self, *arguments, **options):
        global _left
        if os.getpid() != _command:
            return self.real(*arguments, **options)
        _left -= 1
        if _left == 0 and _name == "KILL":
            os.kill(_command, signal.SIGKILL)
        if _left == 0:
            number = getattr(errno, _name)
            raise OSError(number, os.strerror(number), arguments[0])
        return self.real(*arguments, **options)

if sys.orig_argv[1:2] == ["-m"] or sys.orig_argv[-1:] and "importing.py" in " ".join(sys.orig_argv):
    for _call in ("fsync", "replace", "rename", "mkdir", "truncate", "ftruncate"):
        setattr(os, _call, _Failing(getattr(os, _call)))
"""


def variables(fault: str, folder: Path) -> Mapping[str, str]:
    """Return the variables of a command in which one call fails."""
    site = folder / "fault"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE)
    before = os.environ.get("PYTHONPATH")
    return {"FAULT": fault, "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [before])])}


def failing(seed: int, folder: Path) -> Outcome:
    """Let a call fail in a command that writes; then call it again, with nothing failing."""
    draw = random.Random(f"failing:{seed}")
    writer = draw.choice(MEASURING if draw.random() < 0.1 else QUICK)
    out, scratch = folder / "out", folder / "scratch"
    for each in (out, scratch):
        each.mkdir()
    whole = None if writer.measures else unbroken(writer)
    fault = f"{draw.choice(_ERRORS)}:{draw.randint(1, _MOST_CALLS if writer.measures else 15)}"
    done = call(writer, out, scratch, variables(fault, folder))
    words = [fault, *writer.program, *writer.arguments]
    outcome = judged(words, done.returncode, done.stdout, done.stderr, 0.0, 0.0, EXIT_CODES)
    was_killed = done.returncode < 0
    if whole is None:
        count_rows(outcome, out)
    else:
        found = left_in(out)
        outcome.lost += len([*unlike(found, whole)])
        if not was_killed:
            outcome.left_over += sum(is_hidden(name) for name in found)
    if not was_killed:
        outcome.left_over += len([*scratch.iterdir()])
    outcome.sum_up("lost", "doubled", "halves", "left_over")
    return outcome
