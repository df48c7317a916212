"""What each command can make of its result: a word for the format, and the function behind it.

A function whose name begins with `print` draws on a console, one with `write` writes to the place
that it is given, and any other returns the text. They are named and not imported, since `--help`
lists the words and must stay light.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mnistbench.errors import OutputError

EXPORTS: Mapping[str, Mapping[str, str]] = {
    "benchmark": {
        "table": "console.print_result",
        "csv": "summary.as_csv",
        "json": "summary.as_json",
    },
    "compare": {
        "table": "comparison.print_table",
        "markdown": "comparison.as_markdown",
        "json": "comparison_exports.as_json",
        "csv": "comparison_exports.as_csv",
    },
    "evaluate": {
        "table": "evaluation.print_evaluation",
        "csv": "evaluation.as_csv",
        "json": "evaluation.as_json",
    },
    "evaluate --images": {
        "table": "evaluation.guesses_as_text",
        "csv": "evaluation.guesses_as_csv",
        "json": "evaluation.guesses_as_json",
    },
    "explain": {
        "table": "explanation.print_explanation",
        "csv": "explanation.as_csv",
        "json": "explanation.as_json",
    },
    "export": {
        "asv": "exporters.asv.write_folder",
        "github-action-benchmark": "exporters.github_action.as_json",
        "hyperfine": "exporters.hyperfine.as_json",
        "mlflow": "exporters.mlflow.write_runs",
        "mlperf": "exporters.mlperf.write_folder",
        "otava": "exporters.otava.write_folder",
        "parquet": "exporters.parquet.write_file",
        "pytest-benchmark": "exporters.pytest_benchmark.as_json",
    },
    "infer": {
        "table": "inference.print_inference",
        "csv": "inference.as_csv",
        "json": "inference.as_json",
    },
    "plot": {
        "terminal": "quick_plot.print_plot",
        "png": "figures.write_figure",
        "svg": "figures.write_figure",
        "pdf": "figures.write_figure",
    },
    "report": {
        "html": "html.page.as_html",
        "markdown": "markdown.as_markdown",
        "png": "figures.write_pngs",
        "svg": "figures.write_svgs",
    },
    "machine-info": {
        "table": "machine.print_machine",
        "csv": "machine.as_csv",
        "json": "machine.as_json",
    },
    "sweep": {
        "table": "sweep.print_sweep",
        "csv": "sweep.as_csv",
        "json": "sweep.as_json",
    },
    "peak": {
        "table": "peak.print_peak",
        "csv": "peak.as_csv",
        "json": "peak.as_json",
    },
    "reproduce": {
        "table": "reproduction.print_reproduction",
        "csv": "reproduction.as_csv",
    },
    "selfcheck": {
        "table": "selfcheck.print_table",
        "csv": "selfcheck.as_csv",
        "json": "selfcheck.as_json",
    },
}
"""Command to format to function in this room; the first format is the default."""

_FILE_COLUMNS = {"compare": 140, "sweep": 140}
"""Width of a command's tables where the output is no terminal; 120 for the others."""


def is_written(command: str, output_format: str) -> bool:
    """Return whether a format is no text, and needs a place to be written to."""
    return EXPORTS[command][output_format].rpartition(".")[2].startswith("write")


def export(
    command: str, output_format: str, *result: object, place: Path | str | None = None
) -> None:
    """Write a command's result in one of its formats, to standard output or to a place.

    Raises OutputError for a place that cannot be written.
    """
    module, _, name = EXPORTS[command][output_format].rpartition(".")
    function = getattr(importlib.import_module(f"mnistbench.report.{module}"), name)
    if name.startswith("print"):
        from mnistbench.report.terminal import output_console

        function(output_console(_FILE_COLUMNS.get(command, 120)), *result)
    elif is_written(command, output_format):
        with _told(place):
            function(*result, place)
    else:
        text = function(*result)
        _deliver(text if text.endswith("\n") else f"{text}\n", place)


def _deliver(text: str, place: Path | str | None) -> None:
    if place is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    from mnistbench.results.whole import write_whole

    path = Path(place)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file with -o, as -o {path / 'FILE'}")
    with _told(path):
        # A name that is no text, as an odd file's, is shown and not refused.
        write_whole(path, text.encode("utf-8", errors="backslashreplace"))


@contextmanager
def _told(place: Path | str | None) -> Iterator[None]:
    """Tell in one line what the system says of a place."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{place}: cannot be written: {error.strerror or error}; choose another place with -o"
        ) from None
