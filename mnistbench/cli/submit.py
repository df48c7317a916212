"""`mnistbench submit`: runs of this machine beside those of others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_paths
from mnistbench.errors import NOT_COMPARABLE, OK, InputError

if TYPE_CHECKING:
    from mnistbench.analysis.submission import Submission
    from mnistbench.session.submit import Entry


@click.command("submit")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, shell_complete=complete_paths)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results") / "machines",
    show_default=True,
    help="Folder that receives MACHINE/DATE/RUN.",
)
@click.option(
    "--name",
    default="",
    metavar="NAME",
    help="The machine's name there.  [default: what computes, as amd-epyc-7b13-2-threads]",
)
@click.option(
    "--anonymous",
    is_flag=True,
    help="Leave out the names of user and host, paths, tags and logs.",
)
@click.option("--check", is_flag=True, help="Say what speaks against it, and write nothing.")
@options.verbose
def command(
    runs: tuple[str, ...], output: Path, name: str, anonymous: bool, check: bool, verbose: bool
) -> int:
    """Check each RUN, and write what to add in a pull request.

    A RUN is the folder that `mnistbench benchmark` left, a folder of such, or a glob in quotes. It
    is accepted if it is whole, of a shipped config as it ships (fit or fused, any backend), on
    the published images, of 5 finished repeats or more, undisturbed for the most part, and has
    learnt what that network learns. If one is not, all that speaks against it is said, nothing is
    written, and the exit code is 5. What is in the output already is never replaced.
    """
    from mnistbench.analysis.submission import examine
    from mnistbench.session.submit import entries_of, write

    submissions = [examine(folder) for folder in _folders(runs)]
    is_refused = any(submission.refused for submission in submissions)
    entries = [] if is_refused else entries_of(submissions, output, name, anonymous)
    for submission in submissions:
        for line in _found(submission):
            click.echo(line)
    if is_refused:
        return NOT_COMPARABLE
    if not check:
        write(entries)
    for line in _written(entries, check, anonymous):
        click.echo(line)
    return OK


def _folders(runs: Sequence[str]) -> list[Path]:
    """Return the run folders that are named, each once; raise InputError."""
    from mnistbench.results.inputs import files_of
    from mnistbench.results.tables import is_of_a_folder

    folders: dict[Path, Path] = {}
    for file in (file for run in runs for file in files_of(run)):
        if not is_of_a_folder(file):
            raise InputError("is no folder of a run", source=file, hint="give the folder itself")
        folders.setdefault(file.parent.resolve(), file.parent)
    return [*folders.values()]


def _found(submission: Submission) -> list[str]:
    from mnistbench.analysis.submission import summary

    verdict = "refused" if submission.refused else "accepted"
    lines = [f"{submission.folder}: {verdict}: {summary(submission)}"]
    lines += [f"  refused: {line}" for line in submission.refused]
    return lines + [f"  remark: {line}" for line in submission.remarks]


def _written(entries: Sequence[Entry], check: bool, anonymous: bool) -> list[str]:
    """Return what was written, or would be, and what to do next."""
    would = "would be written" if check else "written"
    lines = [
        f"{entry.target}: {'there already' if entry.is_there else would}: {', '.join(entry.files)}"
        for entry in entries
    ]
    if check or not entries:
        return lines
    machines = sorted({entry.target.parents[1].name for entry in entries})
    return [
        *lines,
        "Next, in a checkout of mnistbench that has these folders below results/machines:",
        "  make docs                    # makes results/README.md and its chart anew",
        "  git add results",
        f"  git commit -m 'Results of {', '.join(machines)}'",
        "and open a pull request. Look through the files first: they will be public"
        + ("." if anonymous else ", with the names of user and host (else: --anonymous)."),
    ]
