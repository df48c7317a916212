"""What every command that measures shows meanwhile and afterwards, each said once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mnistbench.results.folder import RunFolder
    from mnistbench.session.events import Listener


@contextmanager
def progress(quiet: bool) -> Iterator[Listener]:
    """Give what shows a session's progress on standard error, or with `quiet` shows nothing."""
    if quiet:
        yield lambda event: None
        return
    from mnistbench.report.progress import progress_on
    from mnistbench.report.terminal import plain_console

    with progress_on(plain_console(stderr=True)) as listener:
        yield listener


def show_log(folder: RunFolder) -> None:
    """Print what the framework said, on standard error."""
    from mnistbench.results.tables import LOG

    log = folder.path / LOG
    click.echo(log.read_text(errors="replace") if log.is_file() else "", err=True)
