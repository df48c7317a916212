"""What is told of an error that nobody saw coming: of the machine, by its cause; or of ours."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
import traceback
from pathlib import Path

from mnistbench.errors import INTERNAL_ERROR, RUN_FAILED, WRONG_INPUT

_REMEDIES = {
    errno.EMFILE: "allow more open files: ulimit -n 1024",
    errno.ENFILE: "the whole system has too many files open",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or ask for a larger quota",
    errno.ENOMEM: "free some memory, or measure something smaller",
    errno.EAGAIN: "end other processes, or allow more: ulimit -u",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose a place that you may read and write",
    errno.EPERM: "choose a place that you may read and write",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOENT: "is it there?",
    errno.ENOTDIR: "give a folder",
    errno.EISDIR: "give a file",
}
"""What can be done about an error of the system."""
_OF_INPUT = (
    errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR,
    errno.EISDIR,
)  # fmt: skip


def what_happened(error: Exception) -> tuple[str, int]:
    """Return the line that tells of an error, and the exit code."""
    if not _has_current_folder():
        return "the current folder is gone: it was deleted; change to another one", RUN_FAILED
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return f"no thread can be started; {_REMEDIES[errno.EAGAIN]}, or more memory", RUN_FAILED
    if isinstance(error, MemoryError):
        return f"not enough memory; {_REMEDIES[errno.ENOMEM]}", RUN_FAILED
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        remedy = _REMEDIES.get(error.errno or 0)
        code = WRONG_INPUT if error.errno in _OF_INPUT else RUN_FAILED
        return f"{place}{error.strerror}{f'; {remedy}' if remedy else ''}", code
    said = f"internal error, {type(error).__name__}: {error}"
    log = _log()
    where = f"please report it with {log}" if log else "-v shows where"
    return f"{said[:300]}; {where}", INTERNAL_ERROR


def _has_current_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  for its error alone
    except OSError:
        return False
    return True


def _log() -> Path | None:
    """Write the traceback of the error being handled to a file; return it if there is one."""
    import tempfile

    with contextlib.suppress(OSError):
        name = f"mnistbench-error-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
        log = Path(tempfile.gettempdir()) / name
        with log.open("x", encoding="utf-8", errors="backslashreplace") as text:
            text.write(f"{sys.argv}\n{sys.version}\n")
            traceback.print_exc(file=text)
        return log
    return None
