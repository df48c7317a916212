"""Measuring processes: each task in a fresh one, forked from a server with the framework loaded.

Where forking is not safe (macOS, Windows), or not wanted, each process starts from nothing.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

from mnistbench.errors import InputError, RunError
from mnistbench.measuring import interpreters
from mnistbench.measuring.channel import Channel, Finished, Hello, Order, Raised
from mnistbench.measuring.executor import StartMethod, Task, TaskFailure
from mnistbench.measuring.fork_servers import fork_is_safe, server_of
from mnistbench.measuring.interpreters import Surroundings
from mnistbench.measuring.interrupts import passed_on
from mnistbench.measuring.jobs import Answer, Listener
from mnistbench.results.phases import STATUS_FAILED


class Process(Protocol):
    """A measuring process as the command sees it."""

    channel: Channel

    def kill(self) -> None:
        """End it at once, if it has not ended."""

    def exit_code(self) -> int | None:
        """Wait for its end and return its exit code: negative for a signal, None if unknown."""


class Workers:
    """Starts one fresh process for each task, one at a time.

    Nothing is to be closed: a fork server serves the next session of the same surroundings too.
    """

    startup_text = ""

    def __init__(
        self,
        environment: Mapping[str, str],
        start_method: StartMethod,
        cores: Sequence[int] | None = None,
        interpreter: interpreters.Interpreter | None = None,
        place: int = 0,
    ) -> None:
        """`environment` is set in the measuring processes before they import the framework.

        `cores` are the CPU threads they may use, from their first line on; None: those of this one.
        `interpreter` is the Python that they run, where it is not this one. Workers that are alike
        in all of this and run a task at the same time need a `place` each: a server has one
        process.
        """
        self._interpreter, self._place = interpreter, place
        self._cores = None if cores is None else tuple(cores)
        self.forks = start_method != "spawn" and fork_is_safe()
        if start_method == "fork" and not self.forks:
            raise InputError(
                "'fork' is not safe on this system", source="--start-method", hint="use spawn"
            )
        self._own_variables = dict(environment)
        self._server: psutil.Process | None = None

    def run(
        self,
        task: Task,
        argument: object,
        log: Path,
        tell: Listener,
        stops_on_interrupt: bool = False,
        answer: Answer | None = None,
    ) -> Any:
        """Run a task in a fresh process, as `Executor` promises."""
        process = self.start(task, argument, log)
        passing = passed_on(process.channel) if stops_on_interrupt else nullcontext()
        with passing:
            return result_of(process, tell, answer)

    def start(self, task: Task, argument: object, log: Path) -> Process:
        """Start a fresh process on a task; `result_of` waits for what comes of it.

        Raises RunError where no process could be had, and TaskFailure where it was killed at once.
        """
        surroundings = self._surroundings()
        environment = surroundings.environment
        order = Order(pickle.dumps((task, argument)), str(log), _folder(), environment)
        process = self._started(surroundings)
        try:
            self._greet(process)
            process.channel.send(order)
        except (EOFError, OSError):
            end(process)
            raise self._died_before_its_order(process.exit_code()) from None
        except BaseException:
            end(process)
            raise
        return process

    def prepare(self) -> None:
        """Let the fork server be started by this thread, as it ends with the one that did."""
        if self.forks:
            server_of(self._surroundings())

    def _surroundings(self) -> Surroundings:
        environment = {**os.environ, **self._own_variables}
        return Surroundings(environment, self._cores, self._interpreter, self._place)

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of this process and of all measuring processes that have ended.

        None where they are forked and none has been yet, or the server is gone.
        """
        servers = self.server_cpu_seconds()
        return None if servers is None else own_cpu_seconds() + sum(servers.values())

    def server_cpu_seconds(self) -> dict[int, float] | None:
        """Return the CPU time of the fork server and of its ended processes, by its number.

        Empty where there is none: what is spawned counts as this process's own, once it has ended.
        """
        if not self.forks:
            return {}
        try:
            server = self._server
            return {server.pid: sum(server.cpu_times()[:4])} if server else None
        except psutil.Error:
            return None

    def _started(self, surroundings: Surroundings) -> Process:
        if not self.forks:
            return _Spawned(surroundings)
        server = server_of(surroundings)
        try:
            process = server.fork()
        except EOFError:
            raise self._dead(server.startup_text) from None
        self.startup_text = server.startup_text
        self._server = self._server or _known_process(server.process_id)
        return process

    def _greet(self, process: Process) -> None:
        """Wait until the process says who it is; raise RunError if it is not who it must be."""
        process.channel.wait_for_beginning()
        hello = process.channel.receive()
        if not isinstance(hello, Hello) or not interpreters.is_this_package(hello.package):
            raise RunError(
                f"the measuring process loaded another mnistbench, {hello}; "
                "nothing was measured: is an installation of it being changed?"
            )

    def _died_before_its_order(self, exit_code: int | None) -> Exception:
        """Return what to say: a new interpreter was still importing, unless somebody killed it."""
        if self.forks or (exit_code is not None and exit_code < 0):
            return _ended_early(exit_code)
        return self._dead("")

    def _dead(self, said: str) -> RunError:
        python = "python" if self._interpreter is None else self._interpreter.executable
        framework = self._own_variables.get("KERAS_BACKEND", "tensorflow")
        lines = said.strip().splitlines()
        cause = f": {lines[-1].strip()}" if lines else ""
        return RunError(
            f"the measuring process died while it imported {framework}{cause}; "
            f"does {python} -c 'import {framework}' work?",
            details=said,
        )


class _Spawned:
    """A process that started from nothing."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._process = interpreters.start(
            "mnistbench.measuring.child",
            surroundings,
            subprocess.PIPE,
            subprocess.PIPE,
            subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self.channel = Channel(self._process.stdout, self._process.stdin)

    def kill(self) -> None:
        self._process.kill()

    def exit_code(self) -> int | None:
        return self._process.wait()


def own_cpu_seconds() -> float:
    """Return the CPU time of this process, and of those it started that have ended."""
    return sum(os.times()[:4])


def end(process: Process) -> None:
    """End a process at once, and let go of what leads to it."""
    process.kill()
    process.exit_code()
    process.channel.close()


def result_of(process: Process, tell: Listener, answer: Answer | None = None) -> Any:
    """Return what a started task returns, as `Executor.run` promises; its process has ended."""
    try:
        return _result(process, tell, answer)
    except BaseException:
        process.kill()
        raise
    finally:
        process.exit_code()
        process.channel.close()


def _result(process: Process, tell: Listener, answer: Answer | None) -> Any:
    while True:
        try:
            message: Any = process.channel.receive()
        except EOFError:
            raise _ended_early(process.exit_code()) from None
        if isinstance(message, Finished):
            return message.value
        if isinstance(message, Raised):
            if message.is_input:
                raise InputError(message.reason)
            raise TaskFailure(STATUS_FAILED, message.reason)
        tell(message)
        if answer is not None and (said := answer(message)) is not None:
            with suppress(OSError):  # it has just ended
                process.channel.send(said)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  as text, for another process
    except OSError:
        return None


def _known_process(process_id: int) -> psutil.Process | None:
    with suppress(psutil.Error):  # it has ended already; the next one tells
        return psutil.Process(process_id)
    return None


def _ended_early(exit_code: int | None) -> TaskFailure:
    if exit_code is not None and exit_code < 0:
        name = _signal_name(-exit_code)
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return TaskFailure(f"killed:{name}", f"the process was killed by {name}{hint}")
    if exit_code is None:
        reason = "the process that it was forked from was ended, and so was it; out of memory?"
        return TaskFailure(STATUS_FAILED, reason)
    return TaskFailure(STATUS_FAILED, f"the process ended with exit code {exit_code}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
