"""The command `mnistbench` and its way out: every error one line, every end its exit code."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

from mnistbench import __version__
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED, MnistbenchError, RunError

COMMANDS = {
    "benchmark": "mnistbench.cli.benchmark",
    "train": "mnistbench.cli.train",
    "evaluate": "mnistbench.cli.evaluate",
    "compare": "mnistbench.cli.compare",
    "selfcheck": "mnistbench.cli.selfcheck",
    "explain": "mnistbench.cli.explain",
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


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mnistbench")
def command() -> None:
    """How fast does this machine train a small neural network?

    Begin with: mnistbench benchmark
    """


def main() -> None:
    """Run the command line and exit: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted."""
    _open_streams()
    sys.exit(_exit_code())


def _open_streams() -> None:
    """Make standard streams that take anything: they may be closed, or unable to show a letter."""
    for number in (0, 1, 2):
        if not _is_open(number):  # `>&-`: the next file opened would take its number
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


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
    except BrokenPipeError:
        # The reader of our output is gone (`| head`): nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return RUN_FAILED
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
    hint = f"; see: {context.command_path} --help" if context else ""
    return f"{error.format_message().rstrip('.')}{hint}"


def _wants_traceback() -> bool:
    return any(word in ("-v", "--verbose") for word in sys.argv[1:])
