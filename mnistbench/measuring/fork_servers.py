"""Fork servers from without: one for each surroundings that a framework can have been imported in.

A framework reads its environment, the cores it may use and Python's path while it is imported, and
never again: a process forked later has what was true then. So a server serves only orders from the
same surroundings; a call in others, another backend or device among them, gets a server of its own.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import IO

from mnistbench.errors import RunError
from mnistbench.machine.cpu import affinity
from mnistbench.measuring.channel import Channel
from mnistbench.measuring.interpreters import Surroundings, start
from mnistbench.measuring.server import NUMBER

MOST_SERVERS = 4
"""An idle server holds a framework's memory: the one longest unused makes place for a fifth. A duet
of two environments has four: each in either place."""

_most_servers = MOST_SERVERS

_FOR_EACH_ORDER = frozenset(
    {"PWD", "OLDPWD", "SHLVL", "_", "COLUMNS", "LINES", "MNISTBENCH_DATA", "PYTEST_CURRENT_TEST"}
)
"""Variables that no import reads: each order brings its own."""

_PATIENCE_SECONDS = 1.0

_Key = tuple[object, ...]


def fork_is_safe() -> bool:
    """Return whether a process that has imported a framework can be forked on this system."""
    return sys.platform == "linux"


class ForkServer:
    """A process with the framework loaded, and the way to it."""

    def __init__(self, surroundings: Surroundings) -> None:
        """Start it; it imports while this goes on."""
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  lives with the server
        self._control, others = socket.socketpair()
        with others:
            self._process = start(
                "mnistbench.measuring.server",
                surroundings,
                others.fileno(),
                subprocess.DEVNULL,
                self._said,
                outlives_its_thread=True,
            )
        self.process_id = self._process.pid
        self._has_forked = False
        self._is_ended = False
        self._startup_text = ""

    @property
    def is_usable(self) -> bool:
        """Return whether it can fork: it is there, and nobody waits for an answer of it."""
        return not self._is_ended and self._process.poll() is None

    @property
    def startup_text(self) -> str:
        """Return what was written to standard error while the framework was imported."""
        if not self._said.closed:
            size = os.fstat(self._said.fileno()).st_size
            self._startup_text = os.pread(self._said.fileno(), size, 0).decode(errors="replace")
        return self._startup_text

    def fork(self) -> ForkedProcess:
        """Return a fresh process, once the framework is imported; raise EOFError if it died.

        Whatever ends the waiting, Ctrl-C too, is the server's end.
        """
        mine, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
            process_id = self.next_number()
            self._has_forked = True
        except OSError:
            mine.close()
            self.end()
            raise EOFError from None
        except BaseException:
            mine.close()
            raise
        return ForkedProcess(self, process_id, mine)

    def next_number(self) -> int:
        """Return the next number it tells; raise EOFError if it has died.

        An answer that nobody waited for would be taken for the next one: whatever ends the waiting
        ends the server.
        """
        try:
            received = b""
            while len(received) < NUMBER.size:
                part = self._control.recv(NUMBER.size - len(received))
                if not part:
                    raise EOFError
                received += part
        except BaseException:
            self.end()
            raise
        (value,) = NUMBER.unpack(received)
        return int(value)

    def end(self, patience_seconds: float = 0.0) -> None:
        """End it: by itself, if it is idle and does so in time; while it imports, it cannot."""
        self._is_ended = True
        self._control.close()
        try:
            self._process.wait(patience_seconds if self._has_forked else 0.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._startup_text = self.startup_text
        self._said.close()


class ForkedProcess:
    """A process that was forked from a server."""

    def __init__(self, server: ForkServer, process_id: int, connection: socket.socket) -> None:
        """`connection` leads to the process `process_id`; it is closed with the channel."""
        self._server, self._process_id = server, process_id
        self._exit_code: int | None = None
        self._has_ended = False
        with connection:  # the streams keep it open
            self.channel = Channel(connection.makefile("rb"), connection.makefile("wb"))

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        if not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self._process_id, signal.SIGKILL)

    def exit_code(self) -> int | None:
        """Wait for its end and return its exit code; None where the server died before it."""
        if not self._has_ended:
            self._has_ended = True
            with suppress(EOFError, OSError):
                self._exit_code = self._server.next_number()
        return self._exit_code


_servers: dict[_Key, ForkServer] = {}
"""By what they were started in, the one longest unused first."""


def make_room(servers: int) -> None:
    """Let so many stay side by side: they are used at the same time, and none may end another."""
    global _most_servers
    _most_servers = max(MOST_SERVERS, servers)


def server_of(surroundings: Surroundings) -> ForkServer:
    """Return the server for these surroundings, as they are at this moment; start it if new.

    Raises RunError if no process can be started.
    """
    key = _key(surroundings)
    server = _servers.pop(key, None)
    if server is not None and not server.is_usable:
        server.end()
        server = None
    if server is None:
        while len(_servers) >= _most_servers:
            _servers.pop(next(iter(_servers))).end(_PATIENCE_SECONDS)
        try:
            server = ForkServer(surroundings)
        except OSError as error:
            raise RunError(f"no measuring process can be started: {error}") from None
    _servers[key] = server
    return server


def _key(surroundings: Surroundings) -> _Key:
    variables = frozenset(
        (name, value)
        for name, value in surroundings.environment.items()
        if name not in _FOR_EACH_ORDER
    )
    cores = affinity() if surroundings.cores is None else surroundings.cores
    # A process forked from this one must not speak to its parent's servers.
    return (
        variables, tuple(cores), surroundings.executable, tuple(surroundings.path),
        surroundings.place, os.getpid(),
    )  # fmt: skip


@atexit.register
def _end_all() -> None:
    for key, server in _servers.items():
        if key[-1] == os.getpid():
            server.end(_PATIENCE_SECONDS)
