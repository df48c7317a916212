"""`mnistbench benchmark`: measure configs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.parameters import Share, TimeSpan
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED

if TYPE_CHECKING:
    from mnistbench.session.benchmark import BenchmarkPlan, BenchmarkResult
    from mnistbench.session.target import Target

_DEFAULT_MAX_SECONDS = 600.0


@click.command("benchmark")
@click.argument("configs", nargs=-1, metavar="[CONFIG]...")
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Recorded repeats of each config, each in a fresh process; with --target-ci, the "
    "fewest, 10 or more.",
)
@click.option(
    "--target-ci",
    type=Share(0.001, 0.5),
    help="Repeat until the train time is known within this: 3% means that the 95 % interval ends "
    "at most 3 % from the typical time. Of several configs it is the ratio of each to the first.",
)
@click.option(
    "--max-time",
    type=TimeSpan(),
    help="With --target-ci: begin no round of repeats that would end later than this, as 90s, "
    "10m or 1h.  [default: 10m]",
)
@click.option(
    "--warmup",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Repeats of each config that run first and are discarded.",
)
@click.option(
    "--rerun-contended",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Up to N further repeats of each config, in place of those that something else on the "
    "machine disturbed; the disturbed ones stay in the tables.",
)
@options.device
@options.execution
@options.until
@options.backend
@options.output
@options.tag
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Override a field of every config, as in training.batch_size=128.",
)
@options.synthetic
@click.option(
    "--roofline",
    is_flag=True,
    help="Measure the machine's peak before and after, and the share of it that training reaches.",
)
@click.option(
    "--no-calibrate",
    is_flag=True,
    help="Leave out the short measurement of the machine that `compare` normalises by.",
)
@click.option(
    "--start-method",
    type=click.Choice(["auto", "fork", "spawn"]),
    default="auto",
    show_default=True,
    help="How a fresh process is made; spawn imports the framework anew.",
)
@options.output_format
@click.option("-q", "--quiet", is_flag=True, help="No progress and no warnings; log.txt has them.")
@options.verbose_framework
def command(
    configs: tuple[str, ...], repeats: int, target_ci: float | None, max_time: float | None,
    warmup: int, rerun_contended: int, device: str | None, execution: str | None,
    backend: str | None, until: str | None, output: Path, tag: str, overrides: tuple[str, ...],
    synthetic: bool, roofline: bool, no_calibrate: bool, start_method: str, output_format: str,
    quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Time CONFIGs (names or files; default mnist-dense) and write the results.

    Several configs run interleaved, repeat by repeat, so that they can be compared.
    """
    from mnistbench.config.loading import DEFAULT_CONFIG, load_config

    target = _target(target_ci, max_time, repeats, rerun_contended)
    overrides = (*overrides, *options.as_overrides(synthetic, execution, backend, until))
    loaded = [load_config(name, overrides) for name in configs or (DEFAULT_CONFIG,)]
    if device is not None:
        loaded = [config.model_copy(update={"device": device}) for config in loaded]
    from mnistbench.session.benchmark import BenchmarkPlan

    plan = BenchmarkPlan(
        tuple(loaded),
        repeats,
        warmup,
        output,
        tag,
        start_method,  # type: ignore[arg-type]
        rerun_contended=rerun_contended,
        calibrate=not no_calibrate,
        roofline=roofline,
        target=target,
    )
    result = _measure(plan, quiet)
    if verbose:
        _show_logs(result)
    _print_result(result, output_format)
    if result.interrupted:
        click.echo(_interruption(result), err=True)
        return INTERRUPTED
    return RUN_FAILED if result.failures else OK


def _target(
    half_width: float | None, max_seconds: float | None, repeats: int, rerun_contended: int
) -> Target | None:
    """Return what --target-ci asks for; raise click.UsageError for options that contradict it."""
    if half_width is None:
        if max_seconds is not None:
            raise click.UsageError("--max-time: it limits --target-ci, which is not given")
        return None
    if rerun_contended:
        raise click.UsageError("--rerun-contended: --target-ci repeats as it needs; leave it out")
    from mnistbench.session.target import LEAST_REPEATS, Target

    given = click.get_current_context().get_parameter_source("repeats")
    if given is not click.core.ParameterSource.DEFAULT and repeats < LEAST_REPEATS:
        raise click.UsageError(
            f"--repeats {repeats}: with --target-ci it is the fewest, and its rule needs "
            f"{LEAST_REPEATS} or more; leave it out"
        )
    return Target(half_width, _DEFAULT_MAX_SECONDS if max_seconds is None else max_seconds)


def _measure(plan: BenchmarkPlan, quiet: bool) -> BenchmarkResult:
    from mnistbench.session.benchmark import run_benchmark

    if quiet:
        return run_benchmark(plan, lambda event: None)
    from mnistbench.report.progress import progress_on
    from mnistbench.report.terminal import plain_console

    with progress_on(plain_console(stderr=True)) as progress:
        return run_benchmark(plan, progress)


def _print_result(result: BenchmarkResult, output_format: str) -> None:
    if output_format == "csv":
        from mnistbench.results.tables import TIMINGS

        for number, run in enumerate(result.runs):
            text = (run.folder.path / TIMINGS).read_text(encoding="utf-8")
            header, _, rows = text.partition("\n")
            click.echo(rows if number else f"{header}\n{rows}", nl=False)
    elif output_format == "json":
        import json

        from mnistbench.report.summary import as_json

        click.echo(json.dumps(as_json(result), indent=2, default=str, allow_nan=False))
    else:
        from mnistbench.report.console import print_result
        from mnistbench.report.terminal import output_console

        print_result(output_console(), result)


def _show_logs(result: BenchmarkResult) -> None:
    from mnistbench.results.tables import LOG

    for run in result.runs:
        click.echo((run.folder.path / LOG).read_text(errors="replace"), err=True)


def _interruption(result: BenchmarkResult) -> str:
    finished = sum(len(run.repeats) for run in result.runs)
    kept = f"{finished} finished repeats are kept" if finished else "nothing was written"
    return f"mnistbench: interrupted; {kept}"
