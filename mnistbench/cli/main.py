"""The command `mnistbench` and its way out: every error one line, every end its exit code."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

from mnistbench import __version__
from mnistbench.cli.streams import open_streams
from mnistbench.cli.unforeseen import what_happened
from mnistbench.errors import INTERRUPTED, OK, MnistbenchError, RunError, one_line
from mnistbench.machine.limits import refuse_little_memory

COMMANDS = {
    "benchmark": "mnistbench.cli.benchmark",
    "train": "mnistbench.cli.train",
    "evaluate": "mnistbench.cli.evaluate",
    "infer": "mnistbench.cli.infer",
    "compare": "mnistbench.cli.compare",
    "merge": "mnistbench.cli.merge",
    "export": "mnistbench.cli.export",
    "report": "mnistbench.cli.report",
    "plot": "mnistbench.cli.plot",
    "submit": "mnistbench.cli.submit",
    "selfcheck": "mnistbench.cli.selfcheck",
    "explain": "mnistbench.cli.explain",
    "sweep": "mnistbench.cli.sweep",
    "config": "mnistbench.cli.config",
    "data": "mnistbench.cli.data",
    "machine-info": "mnistbench.cli.machine_info",
    "peak": "mnistbench.cli.peak",
    "reproduce": "mnistbench.cli.reproduce",
    "completion": "mnistbench.cli.completion",
}
"""Each subcommand and the module that holds it as `command`; loaded when asked for."""


_TRACEBACK = re.compile(
    r"^Traceback \(most recent call last\):\n([ \t].*\n)*(\S.*\n?)?"
    r"|^(During handling of|The above exception).*\n?",
    re.MULTILINE,
)
"""What Python prints of an exception, and between two of them."""


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
        is_strange = args and args[0] not in COMMANDS and not args[0].startswith("-")
        # Where a shell asks how a line goes on, nothing may be said of a slip in it.
        if is_strange and not ctx.resilient_parsing:
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


_LIGHT = ("config", "completion")
"""Commands that need no NumPy."""
_HELP = {"-h", "--help"}


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mnistbench")
@click.pass_context
def command(context: click.Context) -> None:
    """How fast does this machine train a small neural network?

    Begin with: mnistbench benchmark

    Exit codes: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted (143 by TERM, 129 by HUP),
    70 a mistake of ours, 74 standard output cannot be written; compare has 3 to 5. They are the
    same where the reader of the output leaves early, as in `| head`.
    """
    if context.invoked_subcommand not in _LIGHT and not _HELP & {*sys.argv}:
        refuse_little_memory()


def main() -> None:
    """Run the command line and exit: 0 fine, 1 a run failed, 2 wrong input, 130 interrupted."""
    open_streams()
    code = _exit_code(_called)
    sys.exit(_exit_code(_flushed) or code)


def _called() -> int:
    code = command.main(prog_name="mnistbench", standalone_mode=False)
    return code if isinstance(code, int) else OK


def _flushed() -> int:
    """Bring what was printed to its reader; StreamError is told as any other."""
    sys.stdout.flush()
    sys.stderr.flush()
    return OK


def _exit_code(action: Callable[[], int]) -> int:
    try:
        return action()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return OK
    except click.ClickException as error:
        _tell(_usage(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _tell("interrupted")
        return INTERRUPTED
    except MnistbenchError as error:
        details = error.details if isinstance(error, RunError) else ""
        if not _wants_traceback():
            # Its own error is in the line; what else the framework said may be the cause.
            details = _TRACEBACK.sub("", details)
        if details.strip():
            click.echo(details.strip(), err=True)
        if _wants_traceback():
            raise
        _tell(str(error))
        return error.exit_code
    except Exception as error:
        if _wants_traceback():
            raise
        line, code = what_happened(error)
        _tell(line)
        return code


def _tell(line: str) -> None:
    click.echo(f"mnistbench: {one_line(line)}", err=True)


def _usage(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    message = error.format_message().rstrip(".")
    if context is None:
        return message
    see = f"see: {context.command_path} --help"
    return f"{message} ({see})" if message.endswith("?") else f"{message}; {see}"


def _wants_traceback() -> bool:
    return any(word in ("-v", "--verbose") for word in sys.argv[1:])
