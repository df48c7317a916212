"""The program `mnistbench`: the command line, and an end at once where Ctrl-C comes early."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_WORKING = ("data", "results", "machine", "measuring", "session", "report")
"""The rooms whose functions may have begun something that wants an orderly end."""


def main() -> None:
    """Run the command line; however early Ctrl-C comes, it ends in one line and 130."""
    from mnistbench.cli import main as command_line

    try:
        command_line()
    finally:
        # The exit code stands: an interrupt of the interpreter's own end would change it.
        if _is_ours():
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End at once while nothing is begun, as at an import; else raise KeyboardInterrupt.

    An exception inside another's import may become another one, or be printed and forgotten.
    """
    if _is_working(frame):
        raise KeyboardInterrupt
    os.write(2, b"mnistbench: interrupted\n")
    os._exit(130)


def _is_working(frame: FrameType | None) -> bool:
    while frame is not None:
        package, _, name = str(frame.f_globals.get("__name__", "")).partition(".")
        is_import = frame.f_code.co_name == "<module>"
        if package == "mnistbench" and name.split(".")[0] in _WORKING and not is_import:
            return True
        frame = frame.f_back
    return False


def _is_ours() -> bool:
    return signal.getsignal(signal.SIGINT) is interrupt


def _leave_current_folder_out() -> None:
    """Undo what `python -m` did: the current folder first in the path.

    A `json.py` lying there would be run in place of Python's own. Where this package itself lies
    there, in a checkout that is not installed, it comes last.
    """
    if getattr(sys.flags, "safe_path", False):
        return
    first = sys.path.pop(0)
    if first == __file__.removesuffix(os.path.join("", "mnistbench", "__main__.py")):  # noqa: PTH118
        sys.path.append(first)


# Left alone where Ctrl-C is ignored, as by a shell's background job.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, interrupt)

if __name__ == "__main__":
    _leave_current_folder_out()
    main()
