"""`mnistbench report`: results as a page that people look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.errors import OK, OutputError

if TYPE_CHECKING:
    from mnistbench.report.document.parts import Document

_PICTURES = ("png", "svg")
_FORMATS = ("html", "markdown", *_PICTURES)
_DEFAULT_OUTPUT = {"html": "report.html", "png": "figures", "svg": "figures"}


@click.command("report")
@click.argument("results", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write; of pictures, the folder.  [default: report.html; figures; Markdown to "
    "standard output]",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(_FORMATS),
    default=_FORMATS[0],
    show_default=True,
    help="html: one file that loads nothing; png, svg: each figure as a file by its name.",
)
@click.option(
    "--figure",
    "figures",
    multiple=True,
    metavar="NAME",
    help="Of pictures, this figure alone; several times for several.  [default: all]",
)
@options.verbose
def command(
    results: tuple[str, ...],
    output: Path | None,
    output_format: str,
    figures: tuple[str, ...],
    verbose: bool,
) -> int:
    """Write a report on RESULTS: what they say in words, then machines, verdicts and charts.

    RESULTS are run folders, folders of them, sweeps, timings.csv files, globs in quotes, or
    cloudmesh logs, in any mix. Results that share a config are set against the first, as `compare`
    does; of one result its machines are, or the configs of its session.
    """
    if figures and output_format not in _PICTURES:
        raise click.UsageError(f"--figure: {output_format} has them all; give --format png or svg")
    from mnistbench.report.document.build import build

    document = build(results)
    default = _DEFAULT_OUTPUT.get(output_format)
    target = output or (Path(default) if default else None)
    if target is not None and output_format in _PICTURES:
        from mnistbench.report.figures import chosen, write_figures

        for path in write_figures(chosen(document.figures, figures), target, output_format):
            click.echo(path)
        return OK
    text = _text(document, output_format)
    if target is None:
        click.echo(text)
        return OK
    _write(target, text)
    click.echo(document.answer)
    click.echo(f"Report: {target}")
    return OK


def _text(document: Document, output_format: str) -> str:
    if output_format == "markdown":
        from mnistbench.report.markdown import as_markdown

        return as_markdown(document)
    from mnistbench.report.html.page import as_html

    return as_html(document)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all; raise OutputError if it cannot be."""
    from mnistbench.results.whole import write_whole

    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file with -o, as -o {path / 'report.html'}")
    try:
        write_whole(path, text.encode("utf-8", errors="backslashreplace"))
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written: {error.strerror or error}; choose another file with -o"
        ) from None
