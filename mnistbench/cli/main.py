"""The command `mnistbench` and its way out: every error one line, every end its exit code."""

from __future__ import annotations

import importlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench import __version__
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED, MnistbenchError, OutputError, RunError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

COMMANDS = {
    "benchmark": "mnistbench.cli.benchmark",
    "train": "mnistbench.cli.train",
    "evaluate": "mnistbench.cli.evaluate",
    "compare": "mnistbench.cli.compare",
    "merge": "mnistbench.cli.merge",
    "export": "mnistbench.cli.export",
    "report": "mnistbench.cli.report",
    "selfcheck": "mnistbench.cli.selfcheck",
    "explain": "mnistbench.cli.explain",
    "sweep": "mnistbench.cli.sweep",
    "config": "mnistbench.cli.config",
    "data": "mnistbench.cli.data",
    "machine-info": "mnistbench.cli.machine_info",
    "peak": "mnistbench.cli.peak",
    "reproduce": "mnistbench.cli.reproduce",
}
"""Each subcommand and the module that holds it as `command`; loaded when asked for."""


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        loaded: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return loaded

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}{_meant(args[0])}")
        return super().resolve_command(ctx, args)


def _meant(word: str) -> str:
    """Return what a word that is no command may have been meant for, as the end of a sentence."""
    from mnistbench.config.files import SUFFIXES, known_configs, nearest_names

    if word in known_configs() or Path(word).suffix in SUFFIXES:
        return f", but a config: mnistbench benchmark {word}"
    close = nearest_names(word, COMMANDS)
    return (
        f"; did you mean {' or '.join(close)}?" if close else f"; there are {', '.join(COMMANDS)}"
    )


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mnistbench")
def command() -> None:
    """How fast does this machine train a small neural network?

    Begin with: mnistbench benchmark

    Exit codes: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted; compare has 3 to 5. They are
    the same where the reader of the output leaves early, as in `| head`.
    """


def main() -> None:
    """Run the command line and exit: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted."""
    _open_streams()
    sys.exit(_exit_code())


def _open_streams() -> None:
    """Make standard streams that take anything: they may be closed, or their reader may leave."""
    for number in (0, 1, 2):
        if not _is_open(number):  # `>&-`: the next file opened would take its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if not isinstance(stream.buffer, io.BytesIO):  # and so a file's or a pipe's
            setattr(sys, name, _to_a_reader_that_may_leave(stream))
        else:
            stream.reconfigure(errors="backslashreplace")


class _Output(io.FileIO):
    """A standard stream whose reader may leave: what nobody reads any more is thrown away.

    So `mnistbench compare A B | head -1` ends in its verdict's exit code, and a benchmark whose
    output is not read to its end is measured to its end.
    """

    def write(self, content: ReadableBuffer, /) -> int:
        """Write to the reader; raise OutputError, once, where the disk behind it is full."""
        try:
            return super().write(content)
        except BrokenPipeError:
            self._write_to_nowhere()
            return len(memoryview(content).cast("B"))
        except OSError as error:
            self._write_to_nowhere()
            raise OutputError(f"standard output cannot be written: {error.strerror}") from None

    def _write_to_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def _to_a_reader_that_may_leave(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    raw = _Output(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",  # a terminal may be unable to show a letter
        line_buffering=stream.line_buffering,
    )


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _exit_code() -> int:
    try:
        code = command.main(prog_name="mnistbench", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return OK
    except click.ClickException as error:
        click.echo(f"mnistbench: {_usage(error)}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("mnistbench: interrupted", err=True)
        return INTERRUPTED
    except MnistbenchError as error:
        if _wants_traceback():
            raise
        if isinstance(error, RunError) and error.details:
            click.echo(error.details, err=True)
        click.echo(f"mnistbench: {error}", err=True)
        return error.exit_code
    except Exception as error:
        if _wants_traceback():
            raise
        click.echo(
            f"mnistbench: internal error, {type(error).__name__}: {error}; -v shows where", err=True
        )
        return RUN_FAILED
    return code if isinstance(code, int) else OK


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = error.format_message().rstrip(".")
    if context is None:
        return message
    see = f"see: {context.command_path} --help"
    return f"{message} ({see})" if message.endswith("?") else f"{message}; {see}"


def _wants_traceback() -> bool:
    return any(word in ("-v", "--verbose") for word in sys.argv[1:])
