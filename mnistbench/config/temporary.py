"""Temporary files: all in one folder, and taken away by the next call where their owner is gone.

Each owner has a folder and holds a lock beside it, which whatever ends its process sets free.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mnistbench.errors import OutputError

if sys.platform == "win32":
    import msvcrt

    def take(file: IO[bytes]) -> None:
        """Lock a file as long as this process has it open; raise OSError where another has."""
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def take(file: IO[bytes]) -> None:
        """Lock a file as long as this process has it open; raise OSError where another has."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


_LOCK = ".lock"
_ELSEWHERE = "name another folder for temporary files: TMPDIR=DIR"
_ATTEMPTS = 10
"""Of making what another call, that removes its own at this moment, takes away again."""


@contextmanager
def temporary_folder(root: Path | None = None, remedy: str = _ELSEWHERE) -> Iterator[Path]:
    """Give an empty folder that is removed at the end; after a crash, by the next call.

    `root` holds it; None for a folder of this user's in the system's. Raises OutputError, which
    ends in the remedy.
    """
    try:
        root = root or _root()
        remove_abandoned(root)
        lock, folder = _own(root)
    except OSError as error:
        raise no_room(root, error, remedy) from None
    try:
        yield folder
    finally:
        _remove(lock, folder)


def remove_abandoned(root: Path | None = None) -> None:
    """Take away what calls left in `root`, as above, that were ended before they could."""
    with suppress(OSError):  # nothing is there, or it is no business of this user
        for name in (root or _root()).glob(f"*{_LOCK}"):
            lock = name.open("rb+")
            try:
                take(lock)
            except OSError:  # its owner lives
                lock.close()
            else:
                _remove(lock, name.with_suffix(""))
        (root or _root()).rmdir()


def no_room(folder: Path | None, error: OSError, remedy: str = _ELSEWHERE) -> OutputError:
    """Return what a user is told where a temporary file cannot be written."""
    place = folder or "temporary files"
    return OutputError(f"{place}: cannot be written: {error.strerror or error}; {remedy}")


def _root() -> Path:
    """Return this user's folder in the system's one for temporary files; raise OSError."""
    import tempfile  # 10 ms, and few calls need it

    base = Path(tempfile.gettempdir())
    user = os.getuid() if sys.platform != "win32" else os.environ.get("USERNAME", "")
    for ending in ("", *(f"-{number}" for number in range(1, _ATTEMPTS))):
        # Whoever made a folder of this name before us must not have our files in it.
        if _is_ours(root := base / f"mnistbench-{user}{ending}"):
            return root
    raise FileExistsError(None, "its folders are other users'", str(base))


def _is_ours(root: Path) -> bool:
    try:
        facts = root.lstat()
    except FileNotFoundError:
        return True
    mine = sys.platform == "win32" or facts.st_uid == os.getuid()
    return stat.S_ISDIR(facts.st_mode) and mine


def _own(root: Path) -> tuple[IO[bytes], Path]:
    """Make a folder in `root` with its lock; again where another call's end takes them away."""
    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError, BlockingIOError):
            return _made(root)
    return _made(root)


def _made(root: Path) -> tuple[IO[bytes], Path]:
    """Make the lock first: what has one that nobody holds is taken away by others."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / f"{os.getpid()}-{secrets.token_hex(6)}"
    lock = folder.with_suffix(_LOCK).open("xb")
    try:
        take(lock)
        folder.mkdir(mode=0o700)
    except BaseException:
        _remove(lock, folder)
        raise
    return lock, folder


def _remove(lock: IO[bytes], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()
    with suppress(OSError):
        folder.with_suffix(_LOCK).unlink()
    with suppress(OSError):  # others' are in it
        folder.parent.rmdir()
