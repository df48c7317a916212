"""`mnistbench reproduce`: run the lessons as they stand and hold them against their own figures."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli import options
from mnistbench.cli.output import progress
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED
from mnistbench.report.exports import export


@click.command("reproduce")
@options.repeats(1, "Repeats of each config.")
@options.output
@click.option(
    "--from",
    "measured",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Measure nothing: read the runs in this folder.",
)
@options.format_of("reproduce")
@options.quiet
@options.verbose
def command(
    repeats: int, output: Path, measured: Path | None, output_format: str,
    quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Run every lesson's network at its own epochs, and compare.

    Prints parameters, accuracy and times as the lessons report them and as measured here.
    Exit code 1 if one is not reproduced. It takes half an hour on two busy cores.
    """
    from mnistbench.analysis.reproduction import REPRODUCED, reproduction, run_folders

    if measured is not None:
        folders, interrupted = run_folders(measured), False
    else:
        folders, interrupted = _measure(repeats, output, quiet)
    rows = reproduction(folders)
    export("reproduce", output_format, rows)
    if interrupted:
        return INTERRUPTED
    return OK if all(row.verdict == REPRODUCED for row in rows) else RUN_FAILED


def _measure(repeats: int, output: Path, quiet: bool) -> tuple[list[Path], bool]:
    from mnistbench.analysis.lessons import LESSONS
    from mnistbench.config.loading import load_config
    from mnistbench.session.benchmark import BenchmarkPlan, run_benchmark

    plan = BenchmarkPlan(tuple(load_config(name) for name in LESSONS), repeats, 0, output)
    with progress(quiet) as listener:
        result = run_benchmark(plan, listener)
    return [run.folder.path for run in result.runs], result.interrupted
