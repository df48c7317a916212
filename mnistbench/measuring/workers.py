"""Measuring processes: each task in a fresh one, forked from a server with the framework loaded.

A fork server imports the framework once and starts nothing of it, so a fresh process is ready in a
tenth of a second and starts with the same memory, caches and threads as every other. Where
forking is not safe (macOS, Windows) each process starts from nothing.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import psutil

from mnistbench.errors import InputError, MnistbenchError, RunError
from mnistbench.measuring.jobs import Listener
from mnistbench.measuring.startup import STARTUP_LOG
from mnistbench.results.phases import STATUS_FAILED

StartMethod = Literal["auto", "fork", "spawn"]
Task = Callable[[Any, Listener], Any]


_parent: multiprocessing.connection.Connection[Any, Any] | None = None
"""In a measuring process: the way to the one that asked for it."""


class TaskFailure(Exception):  # noqa: N818  an outcome to record, not the command's error
    """A measuring process did not finish its task."""

    def __init__(self, status: str, reason: str) -> None:
        """`status` is `failed` or `killed:SIGNAL`; `reason` is one line for the user."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class _Finished:
    value: object


@dataclass(frozen=True)
class _Raised:
    reason: str
    is_input: bool


class Workers:
    """Starts one fresh process for each task, one at a time."""

    def __init__(self, environment: Mapping[str, str], start_method: StartMethod) -> None:
        """`environment` is set in the measuring processes before they import the framework."""
        self.forks = start_method != "spawn" and fork_is_safe()
        if start_method == "fork" and not self.forks:
            raise InputError(
                "'fork' is not safe on this system", source="--start-method", hint="use spawn"
            )
        self._context: Any = multiprocessing.get_context("forkserver" if self.forks else "spawn")
        if isinstance(self._context, multiprocessing.context.ForkServerContext):
            self._context.set_forkserver_preload(["mnistbench.measuring.inside.preload"])
        handle, startup_log = tempfile.mkstemp(prefix="mnistbench-", suffix=".log")
        os.close(handle)
        self.startup_log = Path(startup_log)
        """What the framework wrote while it was imported."""
        self._server: psutil.Process | None = None
        self._environment = {**environment, STARTUP_LOG: startup_log}

    def run(
        self,
        task: Task,
        argument: object,
        log: Path,
        tell: Listener,
        stops_on_interrupt: bool = False,
    ) -> Any:
        """Run `task(argument, tell)` in a fresh process and return its value.

        Its standard output and error are appended to `log`. What it tells is told here.
        With `stops_on_interrupt`, the first Ctrl-C is passed on to the task, which asks for it
        with `stop_requested`; the second, as any without it, raises KeyboardInterrupt.
        Raises TaskFailure if it fails or is killed, and InputError where that is the reason.
        """
        reader, writer = self._context.Pipe(duplex=True)
        process = self._context.Process(
            target=_child, args=(task, argument, str(log), writer), daemon=True
        )
        try:
            with _environment_with(self._environment):
                process.start()
        except (EOFError, ConnectionError, BrokenPipeError) as error:
            framework = self._environment.get("KERAS_BACKEND", "tensorflow")
            raise RunError(
                f"the measuring process died while it imported {framework} "
                f"({type(error).__name__}); does python -c 'import {framework}' work?"
            ) from error
        writer.close()
        if self.forks and self._server is None:
            with suppress(psutil.Error):  # it has ended already; the next one tells
                self._server = psutil.Process(process.pid).parent()
        try:
            with _interrupt_passed_on(reader) if stops_on_interrupt else nullcontext():
                return self._result(reader, process, tell)
        finally:
            if process.is_alive():
                process.kill()
            process.join()
            reader.close()

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of this process and of all measuring processes that have ended.

        None where they are forked and none has been yet, or the server is gone.
        """
        own = sum(os.times()[:4])
        if not self.forks:
            return own
        try:
            return own + sum(self._server.cpu_times()[:4]) if self._server else None
        except psutil.Error:
            return None

    def close(self) -> None:
        """Remove what was kept for the processes."""
        self.startup_log.unlink(missing_ok=True)

    def _result(
        self,
        reader: multiprocessing.connection.Connection[Any, Any],
        process: multiprocessing.process.BaseProcess,
        tell: Listener,
    ) -> Any:
        while True:
            try:
                message = reader.recv()
            except (EOFError, ConnectionResetError):
                process.join()
                raise _ended_early(process.exitcode) from None
            if isinstance(message, _Finished):
                process.join()
                return message.value
            if isinstance(message, _Raised):
                process.join()
                if message.is_input:
                    raise InputError(message.reason)
                raise TaskFailure(STATUS_FAILED, message.reason)
            tell(message)


@contextmanager
def _environment_with(variables: Mapping[str, str]) -> Iterator[None]:
    """What is started meanwhile inherits the variables."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupt_passed_on(
    child: multiprocessing.connection.Connection[Any, Any],
) -> Iterator[None]:
    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        with suppress(OSError):  # it has just ended by itself
            child.send(None)

    before = signal.signal(signal.SIGINT, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop_requested() -> bool:
    """Return, in a measuring process, whether the user asked for an early end."""
    return _parent is not None and _parent.poll()


def fork_is_safe() -> bool:
    """Return whether a process that has imported a framework can be forked on this system."""
    return sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()


def _ended_early(exit_code: int | None) -> TaskFailure:
    if exit_code is not None and exit_code < 0:
        name = _signal_name(-exit_code)
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return TaskFailure(f"killed:{name}", f"the process was killed by {name}{hint}")
    return TaskFailure(STATUS_FAILED, f"the process ended with exit code {exit_code}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _child(
    task: Task, argument: object, log: str, writer: multiprocessing.connection.Connection[Any, Any]
) -> None:
    global _parent
    _parent = writer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    try:
        _redirect_output(log)
    except OSError:  # the parent was interrupted while this started, and has removed the folder
        os._exit(1)
    try:
        value = task(argument, writer.send)
    except MnistbenchError as error:
        writer.send(_Raised(str(error), isinstance(error, InputError)))
    except Exception as error:  # noqa: BLE001  reported to the parent, and whole in the log
        traceback.print_exc()
        first_line = (str(error).strip().splitlines() or [""])[0]
        writer.send(_Raised(f"{type(error).__name__}: {first_line}", is_input=False))
    else:
        writer.send(_Finished(value))
    finally:
        writer.close()
        sys.stdout.flush()
        sys.stderr.flush()


def _redirect_output(log: str) -> None:
    # Descriptors, not sys.stdout: the frameworks' C++ writes too.
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(target, 2)
    os.close(target)
    # Keras's progress bar is part of what the seeds time; nobody reads it here.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _end_with_parent() -> None:
    """End this process when the one that asked for it is gone; costs a sleeping thread."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
