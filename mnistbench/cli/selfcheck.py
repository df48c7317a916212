"""`mnistbench selfcheck`: this machine against itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs, complete_paths
from mnistbench.cli.output import progress
from mnistbench.cli.parameters import Count
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED
from mnistbench.report.exports import export

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mnistbench.analysis.selfcheck import Selfcheck
    from mnistbench.config.run_config import RunConfig
    from mnistbench.session.benchmark import BenchmarkResult
    from mnistbench.session.duet import AtOnce

DEFAULT_CONFIG = "mnist-dense-512"
"""The quickest of the lessons' networks: many pairs in little time."""


@click.command("selfcheck")
@click.argument("config", required=False, shell_complete=complete_configs)
@click.option(
    "--pairs",
    type=Count(5),
    default=30,
    show_default=True,
    help="Pairs of repeats to measure: a few minutes with the default config.",
)
@click.option(
    "--from",
    "measured",
    nargs=2,
    multiple=True,
    metavar="RUN RUN",
    shell_complete=complete_paths,
    help="Measure nothing: read the two runs of an earlier selfcheck, or of benchmark A A; twice "
    "or more for pairs measured in several ways.",
)
@click.option(
    "--duet",
    is_flag=True,
    help="Then measure as many pairs at the same time, each side on half of the cores, as "
    "benchmark --duet does, and say which way this machine needs.",
)
@click.option(
    "--one-core",
    is_flag=True,
    help="Then measure as many pairs at the same time on one core, as benchmark --one-core does, "
    "and say which way this machine needs.",
)
@options.overrides
@options.output
@click.option(
    "--seed", type=Count(0, 2**32 - 1), default=42, show_default=True, help="Of the resampling."
)
@options.format_of("selfcheck")
@options.quiet
@options.verbose
def command(
    config: str | None, pairs: int, measured: tuple[tuple[str, str], ...], duet: bool,
    one_core: bool, overrides: tuple[str, ...], output: Path, seed: int, output_format: str,
    quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Measure CONFIG (default mnist-dense-512) against itself, and say what can be told apart.

    How often equal things are called faster or slower on this machine, the smallest change that
    can be seen with 5 to 30 repeats, the repeats needed for 2, 5 and 10 %, and how many slowdowns
    of known size are found. Both runs are kept, with a selfcheck.csv beside the first.
    """
    if measured:
        if config is not None or overrides or duet or one_core:
            raise click.UsageError(
                "--from: measures nothing; leave CONFIG, --duet, --one-core and --set out"
            )
        from mnistbench.analysis.selfcheck import check_folders

        export("selfcheck", output_format, [check_folders(*runs, seed) for runs in measured])
        return OK
    loaded = options.load(config or DEFAULT_CONFIG, overrides)
    results = _measured(loaded, pairs, output, _ways(duet, one_core), quiet)
    checks = [check for result in results if (check := _checked(result, seed)) is not None]
    if checks:
        export("selfcheck", output_format, checks)
    for run in (run for result in results for run in result.runs):
        if checks and output_format == "table":
            click.echo(f"Files: {run.folder.path}")
    if any(result.interrupted for result in results):
        click.echo("mnistbench: interrupted; the finished pairs are kept", err=True)
        return INTERRUPTED
    return RUN_FAILED if any(result.failures for result in results) else OK


def _ways(duet: bool, one_core: bool) -> list[AtOnce | None]:
    """Return the ways to measure; None is in turn."""
    asked: dict[AtOnce, bool] = {"duet": duet, "one-core": one_core}
    return [None, *(way for way, is_asked in asked.items() if is_asked)]


def _measured(
    config: RunConfig, pairs: int, output: Path, ways: Sequence[AtOnce | None], quiet: bool
) -> list[BenchmarkResult]:
    """Measure in each way, None for in turn; after an interrupt the others are left out."""
    from mnistbench.session.duet import check_possible
    from mnistbench.session.selfcheck import measure

    for way in ways:
        if way is not None:
            check_possible((config, config), roofline=False, design=way)
    results: list[BenchmarkResult] = []
    with progress(quiet) as listener:
        for way in ways:
            results.append(measure(config, pairs, output, listener, way))
            if results[-1].interrupted:
                break
    return results


def _checked(result: BenchmarkResult, seed: int) -> Selfcheck | None:
    """Check what was measured and write it down; say so, and return None, if it was too little."""
    from mnistbench.analysis.selfcheck import check_folders
    from mnistbench.results.phases import STATUS_OK
    from mnistbench.results.tables import SELFCHECK

    folders = [run.folder for run in result.runs]
    for failure in result.failures:
        click.echo(f"mnistbench: repeat {failure.turn.repeat}: {failure.reason}", err=True)
    finished = [
        {record.turn.repeat for record in run.repeats if record.status == STATUS_OK}
        for run in result.runs
    ]
    if len(folders) < 2 or len(finished[0] & finished[1]) < 2:
        click.echo("mnistbench: too few pairs finished to check anything", err=True)
        return None
    checked = check_folders(str(folders[0].path), str(folders[1].path), seed)
    folders[0].write_table(SELFCHECK, checked.rows)
    return checked
