"""Several processes that train one model together: what the first one measures is the repeat.

They meet at a port of this machine alone. Who fails, or is killed, ends all: the others would wait
for it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnistbench.measuring.executor import StartMethod, Task
from mnistbench.measuring.fork_servers import make_room
from mnistbench.measuring.interpreters import Interpreter
from mnistbench.measuring.jobs import Answer, Listener, Member, Message, RepeatJob
from mnistbench.measuring.workers import Process, Workers, own_cpu_seconds, result_of

_HOST = "127.0.0.1"


class Team:
    """Runs a repeat in several processes at once; what is asked before it, in each in turn."""

    def __init__(
        self,
        environment: Mapping[str, str],
        start_method: StartMethod,
        size: int,
        interpreter: Interpreter | None = None,
    ) -> None:
        """`size` are the processes; the rest is as for `Workers`."""
        # A fork server has one process at a time: each further member's has an environment of its
        # own, the first's is that of any repeat.
        own = [
            {"KERAS_DISTRIBUTION_PROCESS_ID": str(number)} if number else {}
            for number in range(size)
        ]
        self._members = [
            Workers({**environment, **variables}, start_method, interpreter=interpreter)
            for variables in own
        ]
        make_room(size)

    @property
    def forks(self) -> bool:
        """Return whether its processes share the import of the framework."""
        return self._members[0].forks

    @property
    def startup_text(self) -> str:
        """Return what the framework wrote while the first member's server imported it."""
        return self._members[0].startup_text

    def run(
        self,
        task: Task,
        argument: object,
        log: Path,
        tell: Listener,
        stops_on_interrupt: bool = False,
        answer: Answer | None = None,
    ) -> Any:
        """Run a task, as `Executor` promises; `tell` hears the first process alone.

        What is no repeat, as the probe, runs in each: so none imports its framework in a repeat.
        A repeat gets no answers: the others would wait for theirs.
        """
        if not isinstance(argument, RepeatJob):
            first, *_ = [
                member.run(task, argument, log, tell, stops_on_interrupt, answer)
                for member in self._members
            ]
            return first
        for member in self._members:
            member.prepare()
        jobs = _jobs_of(argument, len(self._members))
        return _Together().run(self._members, task, jobs, log, tell)

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of this process and of all its processes that have ended."""
        servers: dict[int, float] = {}
        for member in self._members:
            of_member = member.server_cpu_seconds()
            if of_member is None:
                return None
            servers |= of_member
        return own_cpu_seconds() + sum(servers.values())


def _jobs_of(job: RepeatJob, size: int) -> list[RepeatJob]:
    coordinator = f"{_HOST}:{_free_port()}"
    return [replace(job, member=Member(number, coordinator)) for number in range(size)]


def _free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return int(listener.getsockname()[1])


class _Together:
    """One repeat's processes, all of which end as soon as one fails."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[Process] = []
        self._is_over = False
        self._first: BaseException | None = None

    def run(
        self,
        members: Sequence[Workers],
        task: Task,
        jobs: Sequence[RepeatJob],
        log: Path,
        tell: Listener,
    ) -> Any:
        def one(number: int) -> Any:
            def hear(message: Message) -> None:
                if number == 0:
                    tell(message)

            try:
                process = members[number].start(task, jobs[number], log)
                self._add(process)
                return result_of(process, hear)
            except BaseException as error:
                self._end_all(error)
                raise

        with ThreadPoolExecutor(len(members)) as pool:
            waiting = [pool.submit(one, number) for number in range(len(members))]
            try:
                return self._first_result(waiting)
            except BaseException as error:
                self._end_all(error)
                raise

    def _first_result(self, waiting: Sequence[Future[Any]]) -> Any:
        """Return what process 0 returned, once all have ended; raise what broke off the others."""
        for each in waiting:
            each.exception()
        if self._first is not None:
            raise self._first
        return waiting[0].result()

    def _add(self, process: Process) -> None:
        with self._lock:
            self._processes.append(process)
            if self._is_over:
                process.kill()

    def _end_all(self, why: BaseException) -> None:
        """End them; the first reason is the one that is told."""
        with self._lock:
            self._first = self._first or why
            self._is_over = True
            for process in self._processes:
                process.kill()
