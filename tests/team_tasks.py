"""Tasks of processes that train together, in a module that loads nothing else."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from mnistbench.errors import RunError
from mnistbench.measuring.jobs import Member, RepeatJob


def failing(job: RepeatJob, tell: Callable[[object], None]) -> object:
    assert isinstance(job.member, Member)
    if job.member.number == 1:
        raise RunError("the second one fails")
    time.sleep(600)
    return None


def killed(job: RepeatJob, tell: Callable[[object], None]) -> object:
    assert isinstance(job.member, Member)
    if job.member.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)
    return None


def first_alone(job: RepeatJob, tell: Callable[[object], None]) -> object:
    assert isinstance(job.member, Member)
    tell(job.member.number)  # type: ignore[arg-type]
    return job.member
