"""The fork server from within: it imports the framework once, and forks a process for each order.

It starts nothing of the framework, so that a forked process is ready in a tenth of a second and
begins with the same memory, caches and threads as every other. Linux only: elsewhere forking a
process that has imported a framework is not safe.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import struct

from mnistbench.measuring.child import serve_one

NUMBER = struct.Struct("<q")
"""How it tells a process's number, and its exit code: negative for a signal."""

PRELOAD = "mnistbench.measuring.inside.preload"


def main() -> None:
    """Load the framework, then fork for whoever connects, one after the other, to the end."""
    # Ctrl-C goes to every process of a terminal: the command decides, the others go on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=os.dup(0))
    importlib.import_module(PRELOAD)
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:  # the command is gone
            os._exit(0)
        process_id = os.fork()
        if process_id == 0:
            control.close()
            connection = socket.socket(fileno=descriptors[0])
            serve_one(connection.makefile("rb"), connection.makefile("wb"))
        os.close(descriptors[0])
        try:
            control.sendall(NUMBER.pack(process_id))
            _, status = os.waitpid(process_id, 0)
            control.sendall(NUMBER.pack(os.waitstatus_to_exitcode(status)))
        except OSError:  # the command is gone; what was forked sees that too
            os._exit(0)
