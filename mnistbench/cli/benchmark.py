"""`mnistbench benchmark`: measure configs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs, complete_paths
from mnistbench.cli.output import progress, show_log
from mnistbench.cli.parameters import Count, Share, TimeSpan
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED
from mnistbench.report.exports import export

if TYPE_CHECKING:
    from mnistbench.config.run_config import RunConfig
    from mnistbench.measuring.interpreters import Interpreter
    from mnistbench.session.benchmark import BenchmarkResult
    from mnistbench.session.target import Target

_DEFAULT_MAX_SECONDS = 600.0


@click.command("benchmark")
@click.argument("configs", nargs=-1, metavar="[CONFIG]...", shell_complete=complete_configs)
@options.repeats(
    1,
    "Recorded repeats of each config, each in a fresh process; with --target-ci, the fewest, 10 "
    "or more.",
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
    type=Count(0),
    default=0,
    show_default=True,
    help="Repeats of each config that run first and are discarded.",
)
@click.option(
    "--rerun-contended",
    type=Count(0),
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
@options.overrides
@options.synthetic
@click.option(
    "--roofline",
    is_flag=True,
    help="Measure the machine's peak before and after, and the share of it that training reaches.",
)
@options.no_calibrate
@click.option(
    "--duet",
    is_flag=True,
    help="Measure two configs at the same time, each on half of the cores, halves swapped every "
    "round: tells small differences apart on a noisy machine, and gives no times of the machine.",
)
@click.option(
    "--one-core",
    is_flag=True,
    help="Measure two configs at the same time on one core, which either has for milliseconds at a "
    "time: what disturbs the machine meets both alike, and no times of the machine are given.",
)
@click.option(
    "--against",
    metavar="PYTHON",
    shell_complete=complete_paths,
    help="Measure the config by this mnistbench's Python and by another one, as other/bin/python: "
    "are its versions faster? The rows of the second run are the other's.",
)
@options.start_method
@options.format_of("benchmark")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no warnings; log.txt has them.")
@options.verbose_framework
def command(
    configs: tuple[str, ...], repeats: int, target_ci: float | None, max_time: float | None,
    warmup: int, rerun_contended: int, device: str | None, execution: str | None,
    backend: str | None, until: str | None, output: Path, tag: str, overrides: tuple[str, ...],
    synthetic: bool, roofline: bool, no_calibrate: bool, duet: bool, one_core: bool,
    against: str | None, start_method: str, output_format: str, quiet: bool, verbose: bool,
) -> int:  # fmt: skip
    """Time CONFIGs (names or files; default mnist-dense) and write the results.

    Several configs run interleaved, repeat by repeat, so that they can be compared.
    """
    from mnistbench.config.loading import DEFAULT_CONFIG

    target = _target(target_ci, max_time, repeats, rerun_contended)
    fields = options.as_overrides(
        overrides, synthetic=synthetic, execution=execution, backend=backend, until=until
    )
    loaded = [options.load(name, fields, device) for name in configs or (DEFAULT_CONFIG,)]
    if not duet and not one_core:  # whose processes have cores of their own
        _import_early(loaded[0], start_method)
    from mnistbench.session.benchmark import BenchmarkPlan, run_benchmark
    from mnistbench.session.duet import way_at_once

    plan = BenchmarkPlan(
        _for_each_python(loaded, against),
        repeats,
        warmup,
        output,
        tag,
        start_method,  # type: ignore[arg-type]
        rerun_contended=rerun_contended,
        calibrate=not no_calibrate,
        roofline=roofline,
        at_once=way_at_once(duet, one_core),
        against=_other_interpreter(against),
        target=target,
    )
    with progress(quiet) as listener:
        result = run_benchmark(plan, listener)
    return _told(result, output_format, verbose)


def _import_early(config: RunConfig, start_method: str) -> None:
    from mnistbench.measuring.early import import_early

    import_early(config, start_method)


def _for_each_python(configs: list[RunConfig], against: str | None) -> tuple[RunConfig, ...]:
    """Return the configs; where another Python measures too, the one config for either."""
    if against is None:
        return tuple(configs)
    if len(configs) != 1:
        raise click.UsageError(
            f"--against: measures one config by two Pythons, and {len(configs)} were given"
        )
    config = configs[0]
    return config, config.model_copy(update={"name": f"{config.name[:56]}-against"})


def _other_interpreter(given: str | None) -> Interpreter | None:
    """Return the other Python, if one is given."""
    if given is None:
        return None
    from mnistbench.measuring.interpreters import other_interpreter

    return other_interpreter(given)


def _told(result: BenchmarkResult, output_format: str, verbose: bool) -> int:
    """Print what was measured; return how the session ended, and say so if the user ended it."""
    for run in result.runs if verbose else ():
        show_log(run.folder)
    export("benchmark", output_format, result)
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


def _interruption(result: BenchmarkResult) -> str:
    finished = sum(len(run.repeats) for run in result.runs)
    kept = f"{finished} finished repeats are kept" if finished else "nothing was written"
    return f"mnistbench: interrupted; {kept}"
