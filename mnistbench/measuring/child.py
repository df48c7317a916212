"""A measuring process from within: one order in, messages out, then its end."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from typing import IO

import mnistbench
from mnistbench.errors import InputError, MnistbenchError
from mnistbench.measuring.channel import Channel, Finished, Hello, Order, Raised, Stop
from mnistbench.measuring.threads import start_thread

_heard: set[object] = set()
_hearing = threading.Condition()


def stop_requested() -> bool:
    """Return whether the user asked the task of this process for an early end."""
    return has_heard(Stop())


def has_heard(message: object) -> bool:
    """Return whether the command has sent this message since the order."""
    return message in _heard


def wait_for(*messages: object) -> object:
    """Return the first of these messages that the command sends."""
    with _hearing:
        return _hearing.wait_for(lambda: next((each for each in messages if each in _heard), None))


def main() -> None:
    """Be a process of its own for one order, which comes on standard input."""
    reader, writer = os.dup(0), os.dup(1)
    for number, mode in ((0, os.O_RDONLY), (1, os.O_WRONLY)):
        _point(number, os.devnull, mode)
    serve_one(os.fdopen(reader, "rb"), os.fdopen(writer, "wb"))


def serve_one(reader: IO[bytes], writer: IO[bytes]) -> None:
    """Take one order, run it, answer, and end this process."""
    # Ctrl-C is for the command, which decides what becomes of this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(reader, writer)
    code = 1
    try:
        channel.begin()
        channel.send(Hello(str(mnistbench.__file__)))
        order = channel.receive()
        if isinstance(order, Order):
            _enter(order)
            channel.send(_answer(order, channel))
            code = 0
    except (EOFError, OSError):  # the command is gone, or has removed the log's folder
        pass
    finally:
        sys.stderr.flush()
        # Not by returning: frameworks take seconds to tear down what nobody needs any more.
        os._exit(code)


def _enter(order: Order) -> None:
    """Make this process's surroundings those of the command at this moment."""
    os.environ.clear()
    os.environ.update(order.environment)
    if order.folder is not None:
        os.chdir(order.folder)
    # Descriptors, not sys.stderr: the frameworks' C++ writes too. Keras's progress bar, on
    # standard output, is part of what the seeds time; nobody reads it here.
    _point(1, os.devnull, os.O_WRONLY)
    _point(2, order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def _point(number: int, file: str, mode: int) -> None:
    descriptor = os.open(file, mode, 0o644)
    os.dup2(descriptor, number)
    os.close(descriptor)


def _watch(channel: Channel) -> None:
    """Hear what the command says, and end with it; costs a sleeping thread."""

    def listen() -> None:
        try:
            while True:
                message = channel.receive()
                with _hearing:
                    _heard.add(message)
                    _hearing.notify_all()
        except EOFError:
            os._exit(1)

    start_thread(listen)


def _answer(order: Order, channel: Channel) -> Finished | Raised:
    try:
        _watch(channel)
        task, argument = pickle.loads(order.work)
        return Finished(task(argument, channel.send))
    except MnistbenchError as error:
        return Raised(str(error), isinstance(error, InputError))
    except Exception as error:  # noqa: BLE001  reported to the command, and whole in the log
        traceback.print_exc()
        first_line = (str(error).strip().splitlines() or [""])[0]
        if isinstance(error, MemoryError):
            said = f"not enough memory: {first_line}" if first_line else "not enough memory"
            return Raised(f"{said}; free some, or measure something smaller", is_input=False)
        return Raised(f"{type(error).__name__}: {first_line}", is_input=False)
