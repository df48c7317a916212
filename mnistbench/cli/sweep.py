"""`mnistbench sweep`: many settings of one config, measured in turn, resumable."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs
from mnistbench.cli.output import progress
from mnistbench.cli.parameters import Count, TimeSpan
from mnistbench.cli.sweep_launch import (
    OPTIONS,
    launch_again,
    launch_of,
    launch_options,
    print_script,
    terms_of,
)
from mnistbench.cli.sweep_points import plan_of
from mnistbench.cli.sweep_search import search_options
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED
from mnistbench.report.exports import export

if TYPE_CHECKING:
    from types import FrameType

    from mnistbench.session.sweep.sweep import SweepResult

_STATUS, _STOP, _COLLECT, _POINT = "status", "stop", "collect", "point"
_OF_EVERY_CALL = ("words", "output_format", "quiet", "verbose")
_OF_A_POINT = (*_OF_EVERY_CALL, "start_method", "no_calibrate")
_OF_A_RESUMED_ONE = (
    *_OF_A_POINT, "resume", "dry_run", "max_time", *OPTIONS,
)  # fmt: skip


@click.command("sweep")
@click.argument(
    "words",
    nargs=-1,
    metavar="[CONFIG | status DIR | collect DIR | stop DIR | point DIR N]",
    shell_complete=complete_configs,
)
@click.option(
    "--grid",
    "grids",
    multiple=True,
    metavar="FIELD=VALUES",
    help="Values of a field, as training.batch_size=4,32,128; every value with every one of the "
    "other --grid. With --random also a range, as training.learning_rate=1e-4..1e-1:log.",
)
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The points themselves: a YAML list, each item fields with values.",
)
@click.option(
    "--random",
    "drawn",
    type=Count(1),
    help="Draw so many different points from the grid, by the config's seed.",
)
@click.option(
    "--repeats",
    type=Count(1),
    help="Of each point, each in a fresh process.  [default: the config's block's, or 1]",
)
@click.option(
    "--select-on",
    type=click.Choice(["test", "validation"]),
    help="The images that the best accuracy is chosen on; validation: a part of the training set, "
    "and the test set is for the chosen point alone.  [default: test; of --trials validation]",
)
@click.option(
    "--max-time",
    type=TimeSpan(),
    help="Begin no round that would end later than this, as 90s, 10m or 1h; of another launcher "
    "no point after it.  [default: no limit]",
)
@click.option("--dry-run", is_flag=True, help="Check every point, show the plan, and stop there.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the sweep in this folder, however it ended.",
)
@search_options
@launch_options
@options.device
@options.until
@options.output
@options.tag
@options.overrides
@options.synthetic
@options.no_calibrate
@options.start_method
@options.format_of("sweep", "What is printed on standard output; csv: the points.")
@options.quiet
@options.verbose
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], **given: Any) -> int:
    """Measure many settings of CONFIG (default mnist-dense) in turn, each in a fresh process.

    The points are those of --grid, of --list, or of the block `sweep` of the config file; all are
    checked before the first begins. `status DIR` tells how far a sweep is, `collect DIR` takes what
    others have measured, `stop DIR` lets it end, and --resume DIR goes on with it. `point DIR N`
    measures one point of it for `collect`, wherever it is called.
    """
    about = {_STATUS: _status, _COLLECT: _collect, _STOP: _stop, _POINT: _point}
    if words and words[0] in about:
        return about[words[0]](ctx, words, given)
    if given["resume"] is not None:
        return _resume(ctx, words, given)
    if len(words) > 1:
        raise click.UsageError(f"{words[1]}: a sweep is of one config; give a command for each")
    launch = launch_of(given)
    plan = plan_of(words[0] if words else None, given)
    from mnistbench.session.sweep.sweep import preview, start_sweep

    if given["dry_run"]:
        return _show_plan(preview(plan, given["output"] / plan.sweep_id), given)
    if given["printed"]:
        return print_script(plan, launch, given)
    with progress(given["quiet"]) as listener:
        result = start_sweep(plan, given["output"], terms_of(given, launch), listener)
    return _conclude(result, given)


def _folder_of(
    ctx: click.Context, words: tuple[str, ...], allowed: tuple[str, ...] = _OF_EVERY_CALL
) -> Path:
    """Return the folder of the sweep that is asked about; raise click.UsageError."""
    if len(words) != (3 if words[0] == _POINT else 2):
        what = " and the number of one point" if words[0] == _POINT else ""
        raise click.UsageError(f"{words[0]}: give the folder of one sweep{what}")
    _refuse_others(ctx, allowed, f"{words[0]} takes no such option")
    return Path(words[1])


def _status(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Tell how far a sweep is."""
    folder = _folder_of(ctx, words)
    from mnistbench.session.sweep.sweep import look_at_sweep

    export("sweep", given["output_format"], look_at_sweep(folder))
    return OK


def _collect(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Take what others have measured."""
    folder = _folder_of(ctx, words)
    from mnistbench.session.sweep.sweep import collect_sweep

    with progress(given["quiet"]) as listener:
        result = collect_sweep(folder, listener)
    export("sweep", given["output_format"], result)
    return RUN_FAILED if result.failed else OK


def _stop(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Let a sweep end."""
    folder = _folder_of(ctx, words)
    from mnistbench.session.sweep.sweep import stop_sweep

    click.echo(f"{folder}: {stop_sweep(folder)}")
    return OK


def _point(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Measure one point, to be collected."""
    folder = _folder_of(ctx, words, _OF_A_POINT)
    number = Count(1).convert(words[2], None, ctx)
    from mnistbench.session.sweep.sweep import measure_point

    with progress(given["quiet"]) as listener, _ended_as_by_the_user():
        result = measure_point(folder, number, terms_of(given, None), listener)
    if result.ending == "interrupted":
        click.echo(f"mnistbench: interrupted; {result.ended} repeats are kept", err=True)
        return INTERRUPTED
    return RUN_FAILED if result.failed else OK


@contextmanager
def _ended_as_by_the_user() -> Iterator[None]:
    """Take a scheduler's word to end, SIGTERM, for Ctrl-C: what it breaks off is no result."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _resume(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    if words:
        raise click.UsageError(f"{words[0]}: --resume goes on with its own config; leave it out")
    _refuse_others(ctx, _OF_A_RESUMED_ONE, "--resume goes on with a plan as it is written down")
    from mnistbench.session.sweep.sweep import look_at_sweep, resume_sweep

    if given["dry_run"]:
        return _show_plan(look_at_sweep(given["resume"]), given)
    launch = launch_again(given)
    with progress(given["quiet"]) as listener:
        result = resume_sweep(given["resume"], terms_of(given, launch), listener)
    return _conclude(result, given)


def _refuse_others(ctx: click.Context, allowed: tuple[str, ...], why: str) -> None:
    """Raise click.UsageError for an option that was given and means nothing here."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        if name not in allowed and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]}: {why}; leave it out")


def _show_plan(planned: SweepResult, given: dict[str, Any]) -> int:
    from mnistbench.session.sweep.progress import plan_line

    if given["output_format"] == "table":
        click.echo(plan_line(planned.plan, planned.points))
        for point in planned.points:
            click.echo(f"  {point.number}: {point.settings}")
        if planned.plan.search is not None:
            click.echo("\n".join(f"  {line}" for line in planned.plan.search.lines))
        return OK
    export("sweep", given["output_format"], planned)
    return OK


def _conclude(result: SweepResult, given: dict[str, Any]) -> int:
    """Print what was measured; return how it ended."""
    if result.ending == "detached":
        click.echo(
            f"mnistbench: its jobs go on; mnistbench sweep status {result.folder} tells how far "
            f"they are, and mnistbench sweep collect {result.folder} takes what they measured",
            err=True,
        )
        return OK
    interrupted = result.ending in ("interrupted", "stopped")
    if not result.ended:
        why = {"finished": "no point came to its end", "time-is-up": "time was up before the first "
               "repeat"}.get(result.ending, "interrupted")  # fmt: skip
        kept = "" if result.ending == "finished" else "; nothing was written"
        click.echo(f"mnistbench: {why}{kept}", err=True)
        return INTERRUPTED if interrupted else RUN_FAILED if result.ending == "finished" else OK
    export("sweep", given["output_format"], result)
    if interrupted:
        kept = f"{result.ended} of {result.plan.turns} repeats are kept"
        click.echo(f"mnistbench: {result.ending}; {kept}", err=True)
        return INTERRUPTED
    not_whole = result.ending == "finished" and not result.is_whole
    return RUN_FAILED if result.failed or not_whole else OK
