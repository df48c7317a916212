"""The program `mnistbench`: the command line, and an end at once where a signal comes early."""

from __future__ import annotations

# Not `signal`: its names for the numbers take milliseconds to make, in which Ctrl-C would show a
# traceback; and this one is no file, which another one in the current folder could stand for.
import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


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


if __name__ == "__main__":
    _leave_current_folder_out()

_DEFAULTS = {
    "SIGINT": _signal.default_int_handler,
    "SIGTERM": _signal.SIG_DFL,
    "SIGHUP": _signal.SIG_DFL,  # the terminal is gone; Windows has none
}
"""The signals that ask for an end, and what they are where nobody minds them."""
_SIGNALS = {
    getattr(_signal, name): default for name, default in _DEFAULTS.items() if hasattr(_signal, name)
}
"""The same by their numbers."""


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is begun, nor even imported."""
    try:
        os.write(2, b"mnistbench: interrupted\n")
    finally:  # also where the terminal is gone
        os._exit(128 + number)


# Left alone where they are ignored, as Ctrl-C by a shell's background job and HUP by nohup.
_minded = [number for number in _SIGNALS if _signal.getsignal(number) == _SIGNALS[number]]
for _number in _minded:
    _signal.signal(_number, _end)

from mnistbench.errors import INTERRUPTED, interrupted_code, note_signal  # noqa: E402

_WORKING = ("data", "results", "machine", "measuring", "session", "report")
"""The rooms whose functions may have begun something that wants an orderly end."""


def main() -> None:
    """Run the command line; however early a signal comes, it ends in one line and its own code."""
    from mnistbench.cli import main as command_line

    try:
        command_line()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.exit(interrupted_code())
        raise
    finally:
        # The exit code stands: an interrupt of the interpreter's own end would change it.
        for number in _SIGNALS:
            if _signal.getsignal(number) is interrupt:
                _signal.signal(number, _signal.SIG_IGN)


def interrupt(number: int, frame: FrameType | None) -> None:
    """End at once while nothing is begun, as at an import; else raise KeyboardInterrupt.

    An exception inside another's import may become another one, or be printed and forgotten.
    """
    note_signal(number)
    if _is_working(frame):
        raise KeyboardInterrupt
    _end(interrupted_code() - 128, frame)


def _is_working(frame: FrameType | None) -> bool:
    while frame is not None:
        package, _, name = str(frame.f_globals.get("__name__", "")).partition(".")
        is_import = frame.f_code.co_name == "<module>"
        if package == "mnistbench" and name.split(".")[0] in _WORKING and not is_import:
            return True
        frame = frame.f_back
    return False


for _number in _minded:
    _signal.signal(_number, interrupt)

if __name__ == "__main__":
    main()
