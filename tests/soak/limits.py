"""Machines smaller than this one: a share of a core, little memory, another user.

Each is a context manager that gives the words before a command; it raises `Unavailable`, with the
reason, where this system or this user cannot make such a machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

NOBODY = 54_321
"""A user whom no system knows by name."""
_PERIOD_MICROSECONDS = 100_000


class Unavailable(Exception):  # noqa: N818  a reason to skip
    """Such a machine cannot be made here."""


@contextmanager
def cpu_quota(cores: float) -> Iterator[Sequence[str]]:
    """Give what begins a command that gets so many cores' time, all its processes together."""
    group = _make_group(round(cores * _PERIOD_MICROSECONDS))
    try:
        join = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
        yield ["bash", "-c", join, "bash"]
    finally:
        _remove(group)


@contextmanager
def memory(size_bytes: int) -> Iterator[Sequence[str]]:
    """Give what begins a command whose processes get so much memory each."""
    if shutil.which("prlimit") is None:
        raise Unavailable("there is no prlimit")
    yield ["prlimit", f"--data={size_bytes}"]


@contextmanager
def one_core() -> Iterator[Sequence[str]]:
    """Give what begins a command on the first core that this process may use."""
    if shutil.which("taskset") is None:
        raise Unavailable("there is no taskset")
    yield ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]


@contextmanager
def other_user() -> Iterator[Sequence[str]]:
    """Give what begins a command as a user without a name and a home, who may read all files."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Unavailable("only root can be another user, with setpriv")
    rights = "-all,+dac_read_search"  # else what root has installed could not even be started
    yield [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        f"--inh-caps={rights}", f"--ambient-caps={rights}", "env", "HOME=/nonexistent",
        "PYTHONDONTWRITEBYTECODE=1",
    ]  # fmt: skip


def _make_group(quota: int) -> Path:
    """Make a control group below this process's own, with a quota in microseconds of a period."""
    version, parent = _own_group()
    settings: Mapping[str, object] = {"cpu.max": f"{quota} {_PERIOD_MICROSECONDS}"}
    if version == 1:
        settings = {"cpu.cfs_period_us": _PERIOD_MICROSECONDS, "cpu.cfs_quota_us": quota}
    group = parent / f"mnistbench-{secrets.token_hex(4)}"
    try:
        group.mkdir()
        for name, value in settings.items():
            (group / name).write_text(str(value))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        raise Unavailable(f"no control group can be made: {error}") from None
    return group


def _own_group() -> tuple[int, Path]:
    """Return the version of the system's control groups, and the folder of this process's own."""
    root = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        raise Unavailable("this system has no control groups") from None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            return 1, root / "cpu" / path.lstrip("/")
    return 2, root / lines[-1].split(":", 2)[2].lstrip("/")


def _remove(group: Path) -> None:
    for _ in range(100):
        for number in (group / "cgroup.procs").read_text().split():  # what the command left
            with suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        with suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.05)
