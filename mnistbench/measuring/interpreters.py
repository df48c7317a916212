"""New interpreters that measure: with the command's own path, without the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import mnistbench

_PACKAGE = Path(mnistbench.__file__).resolve().parent
_LAUNCH = Path(__file__).resolve().with_name("launch.py")


def _current_folder() -> str:
    """Return where this process is; empty where that folder is gone."""
    try:
        return os.path.realpath(os.curdir)
    except OSError:
        return ""


_STARTED_IN = _current_folder()


def search_path() -> list[str]:
    """Return `sys.path` without the current folder, nor the one the command was started in.

    What a user has lying there is no part of what measures. Where Python itself is installed stays.
    """
    pythons_own = {os.path.realpath(folder) for folder in sysconfig.get_paths().values()}
    excluded = {_current_folder(), _STARTED_IN} - pythons_own
    return [entry for entry in sys.path if entry and os.path.realpath(entry) not in excluded]


def start(
    module: str,
    environment: Mapping[str, str],
    stdin: int,
    stdout: int | IO[Any],
    stderr: int | IO[Any],
) -> subprocess.Popen[bytes]:
    """Start an interpreter that calls `main` of a module of this package; raise OSError."""
    path = search_path()
    return subprocess.Popen(
        [sys.executable, str(_LAUNCH), module, str(_PACKAGE), *path],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=_with_safe_path(environment, path),
        # Away from the user's files, and from the terminal's Ctrl-C, which is for the command.
        cwd=_LAUNCH.parent,
        start_new_session=True,
    )


@contextmanager
def on_cores(cores: Sequence[int] | None) -> Iterator[None]:
    """What is started meanwhile may use these CPU threads only; None for those of this process.

    Frameworks count the threads they may use while they are imported: later is too late.
    """
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def is_this_package(file: str) -> bool:
    """Return whether a file that a process loaded `mnistbench` from is the one loaded here."""
    return Path(file).resolve().parent == _PACKAGE


def _with_safe_path(environment: Mapping[str, str], path: list[str]) -> dict[str, str]:
    """Return the environment with the current folder taken out of PYTHONPATH too.

    The interpreter reads it, and `sitecustomize` from it, before anything of ours can run.
    """
    safe = dict(environment)
    entries = [entry for entry in safe.pop("PYTHONPATH", "").split(os.pathsep) if entry]
    kept = [entry for entry in map(os.path.abspath, entries) if entry in path]
    if kept:
        safe["PYTHONPATH"] = os.pathsep.join(kept)
    return safe
