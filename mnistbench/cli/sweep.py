"""`mnistbench sweep`: many settings of one config, measured in turn, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli import options
from mnistbench.cli.output import progress
from mnistbench.cli.parameters import Count, TimeSpan
from mnistbench.errors import INTERRUPTED, OK, RUN_FAILED
from mnistbench.report.exports import export

if TYPE_CHECKING:
    from mnistbench.config.loading import ConfigFields
    from mnistbench.config.sweep_space import Space
    from mnistbench.session.sweep.plan import SweepPlan
    from mnistbench.session.sweep.sweep import SweepResult, Terms

_STATUS, _STOP = "status", "stop"
_OF_EVERY_CALL = ("words", "output_format", "quiet", "verbose")
_OF_A_RESUMED_ONE = (
    *_OF_EVERY_CALL, "resume", "dry_run", "max_time", "start_method", "no_calibrate",
)  # fmt: skip


@click.command("sweep")
@click.argument("words", nargs=-1, metavar="[CONFIG | status DIR | stop DIR]")
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
    default="test",
    show_default=True,
    help="The images that the best accuracy is chosen on; validation: a part of the training set, "
    "and the test set is for the chosen point alone.",
)
@click.option(
    "--max-time",
    type=TimeSpan(),
    help="Begin no round that would end later than this, as 90s, 10m or 1h.  [default: no limit]",
)
@click.option("--dry-run", is_flag=True, help="Check every point, show the plan, and stop there.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Go on with the sweep in this folder, however it ended.",
)
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
    checked before the first begins. `status DIR` tells how far a sweep is, `stop DIR` lets it end
    after its present repeat, and --resume DIR goes on with it.
    """
    if words[:1] in ((_STATUS,), (_STOP,)):
        return _about_a_sweep(ctx, words, given)
    if given["resume"] is not None:
        return _resume(ctx, words, given)
    if len(words) > 1:
        raise click.UsageError(f"{words[1]}: a sweep is of one config; give a command for each")
    plan = _plan(words[0] if words else None, given)
    from mnistbench.session.sweep.sweep import preview, start_sweep

    if given["dry_run"]:
        return _show_plan(preview(plan, given["output"] / plan.sweep_id), given)
    with progress(given["quiet"]) as listener:
        result = start_sweep(plan, given["output"], _terms(given), listener)
    return _conclude(result, given)


def _about_a_sweep(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    """Tell how far a sweep is, or let it end."""
    if len(words) != 2:
        raise click.UsageError(f"{words[0]}: give the folder of one sweep")
    _refuse_others(ctx, _OF_EVERY_CALL, f"{words[0]} takes no such option")
    from mnistbench.session.sweep.sweep import look_at_sweep, stop_sweep

    folder = Path(words[1])
    if words[0] == _STOP:
        stop_sweep(folder)
        click.echo(f"{folder}: the sweep ends after the repeat that runs now")
        return OK
    export("sweep", given["output_format"], look_at_sweep(folder))
    return OK


def _resume(ctx: click.Context, words: tuple[str, ...], given: dict[str, Any]) -> int:
    if words:
        raise click.UsageError(f"{words[0]}: --resume goes on with its own config; leave it out")
    _refuse_others(ctx, _OF_A_RESUMED_ONE, "--resume goes on with a plan as it is written down")
    from mnistbench.session.sweep.sweep import look_at_sweep, resume_sweep

    if given["dry_run"]:
        return _show_plan(look_at_sweep(given["resume"]), given)
    with progress(given["quiet"]) as listener:
        result = resume_sweep(given["resume"], _terms(given), listener)
    return _conclude(result, given)


def _refuse_others(ctx: click.Context, allowed: tuple[str, ...], why: str) -> None:
    """Raise click.UsageError for an option that was given and means nothing here."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        if name not in allowed and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]}: {why}; leave it out")


def _plan(name: str | None, given: dict[str, Any]) -> SweepPlan:
    """Return the plan that the options and the config's block ask for; raise InputError."""
    from mnistbench.config.loading import DEFAULT_CONFIG
    from mnistbench.session.sweep.plan import make_plan

    fields = options.as_overrides(
        given["overrides"], synthetic=given["synthetic"], until=given["until"]
    )
    if given["device"] is not None:
        options.refuse_twice("--device", ("device=",), fields)
        fields = (*fields, f"device={given['device']}")
    base = options.read(name or DEFAULT_CONFIG, fields)
    space, repeats = _space(base, given)
    _refuse_set_twice(space, fields)

    return make_plan(base, space, repeats, given["select_on"], given["tag"])


def _space(base: ConfigFields, given: dict[str, Any]) -> tuple[Space, int]:
    """Return where the points come from, and the repeats of each."""
    from mnistbench.config import sweep_space

    if given["grids"] and given["listed"] is not None:
        raise click.UsageError("--list: --grid gives points too; leave out either")
    if given["grids"]:
        return sweep_space.space_of_grid(given["grids"], given["drawn"]), given["repeats"] or 1
    if given["listed"] is not None:
        return sweep_space.space_of_list(given["listed"], given["drawn"]), given["repeats"] or 1
    block = base.block()
    if block is None:
        raise click.UsageError(
            f"{base.source} has no block `sweep`: say what to try, as "
            "--grid training.batch_size=4,32,128"
        )
    if given["drawn"] is not None:
        block = block.model_copy(update={"random": given["drawn"]})
    space = sweep_space.space_of_block(block, base.source, base.set_by)
    return space, given["repeats"] or block.repeats


def _refuse_set_twice(space: Space, overrides: tuple[str, ...]) -> None:
    """Raise click.UsageError for a field that is set for all points, and tried too."""
    tried = {*space.grid, *(field for point in space.listed or () for field in point)}
    for field in tried:
        options.refuse_twice("the sweep", (f"{field}=",), overrides)


def _terms(given: dict[str, Any]) -> Terms:
    from mnistbench.session.sweep.sweep import Terms

    return Terms(given["start_method"], given["max_time"], not given["no_calibrate"])


def _show_plan(planned: SweepResult, given: dict[str, Any]) -> int:
    from mnistbench.session.sweep.progress import plan_line

    if given["output_format"] == "table":
        click.echo(plan_line(planned.plan, planned.points))
        for point in planned.points:
            click.echo(f"  {point.number}: {point.settings}")
        return OK
    export("sweep", given["output_format"], planned)
    return OK


def _conclude(result: SweepResult, given: dict[str, Any]) -> int:
    """Print what was measured; return how it ended."""
    interrupted = result.ending in ("interrupted", "stopped")
    if not result.ended:
        why = "interrupted" if interrupted else "time was up before the first repeat"
        click.echo(f"mnistbench: {why}; nothing was written", err=True)
        return INTERRUPTED if interrupted else OK
    export("sweep", given["output_format"], result)
    if interrupted:
        kept = f"{result.ended} of {result.plan.turns} repeats are kept"
        click.echo(f"mnistbench: {result.ending}; {kept}", err=True)
        return INTERRUPTED
    return RUN_FAILED if result.failed else OK
