"""New interpreters that measure: without the current folder; the command's own, or another one."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import mnistbench
from mnistbench.errors import InputError

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


@dataclass(frozen=True)
class Interpreter:
    """A Python other than the command's own, with packages of its own."""

    executable: str
    """Absolute path."""
    path: tuple[str, ...]
    """Its `sys.path`, without anything of the user's folders or variables."""


def other_interpreter(given: str) -> Interpreter:
    """Return what is known of another Python; raise InputError if it is none, or too old."""
    executable = shutil.which(str(Path(given).expanduser()))
    if executable is None:
        raise InputError(
            "is no program that can be run",
            source=f"--against {given}",
            hint="give the Python of another environment, as other/bin/python",
        )
    try:
        done = subprocess.run(
            [executable, "-I", "-c", _ABOUT], capture_output=True, text=True, timeout=60, check=True
        )
        told = json.loads(done.stdout)
        version, path = tuple(told["version"]), tuple(told["path"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        raise InputError("is no Python", source=f"--against {given}") from None
    if version < _LEAST_VERSION:
        raise InputError(
            f"is Python {'.'.join(map(str, version))}, and 3.10 or later is needed",
            source=f"--against {given}",
        )
    return Interpreter(str(Path(executable).absolute()), path)


def check_packages(interpreter: Interpreter, packages: Sequence[str]) -> None:
    """Raise InputError for a package that another interpreter lacks; none is imported.

    `packages` are what a measuring process needs beside this package, by their modules' names.
    """
    wanted = dict.fromkeys((*packages, *NEEDED))
    done = subprocess.run(
        [interpreter.executable, "-I", "-c", _MISSING, *wanted],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    missing = [NEEDED.get(name, name) for name in done.stdout.split()]
    if missing or done.returncode:
        install = shlex.join([interpreter.executable, "-m", "pip", "install", *missing])
        raise InputError(
            f"has no {', '.join(missing)}" if missing else "cannot look for its packages",
            source=f"--against {interpreter.executable}",
            hint=f"install what measures: {install}" if missing else None,
        )


_LEAST_VERSION = (3, 10)
_ABOUT = "import json, sys; print(json.dumps({'version': sys.version_info[:3], 'path': sys.path}))"
_MISSING = (
    "import sys; from importlib.util import find_spec; "
    "print(*[name for name in sys.argv[1:] if find_spec(name) is None])"
)
NEEDED: Mapping[str, str] = {
    "keras": "keras", "numpy": "numpy", "psutil": "psutil", "pydantic": "pydantic",
    "yaml": "PyYAML",
}  # fmt: skip
"""What a measuring process imports beside its framework: module, and what to give to pip."""


@dataclass(frozen=True)
class Surroundings:
    """What a measuring process is born into: a framework reads it once, while it is imported."""

    environment: Mapping[str, str]
    cores: tuple[int, ...] | None = None
    """The CPU threads that it may use, from its first line on; None for those of this process."""
    interpreter: Interpreter | None = None
    """The Python that it runs, where it is not this one."""
    place: int = 0
    """Which of two that are alike in all else and are needed at the same time."""

    @property
    def path(self) -> list[str]:
        """Return its `sys.path`."""
        return search_path() if self.interpreter is None else [*self.interpreter.path]

    @property
    def executable(self) -> str:
        """Return its Python."""
        return sys.executable if self.interpreter is None else self.interpreter.executable


def start(
    module: str,
    surroundings: Surroundings,
    stdin: int,
    stdout: int | IO[Any],
    stderr: int | IO[Any],
    outlives_its_thread: bool = False,
) -> subprocess.Popen[bytes]:
    """Start an interpreter that calls `main` of a module of this package; raise OSError.

    It ends with this process; where the kernel sees to that, with the thread that started it,
    unless it is said to outlive it.
    """
    path = surroundings.path
    is_main = threading.current_thread() is threading.main_thread()
    parent = 0 if outlives_its_thread and not is_main else os.getpid()
    with on_cores(surroundings.cores):
        return subprocess.Popen(
            [surroundings.executable, str(_LAUNCH), module, str(_PACKAGE), str(parent), *path],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=_with_safe_path(surroundings.environment, path),
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
