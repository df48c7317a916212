"""Of `mnistbench sweep`: the options that say who measures the points."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli.options import Decorator
from mnistbench.cli.parameters import Count
from mnistbench.errors import OK
from mnistbench.session.sweep.launchers import LAUNCHERS, LOCAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnistbench.session.sweep.launchers.engine import Launch
    from mnistbench.session.sweep.plan import SweepPlan
    from mnistbench.session.sweep.terms import Terms

OPTIONS = ("launcher", "launch", "parallel", "detach")
"""The parameters that a resumed sweep may be given anew."""

_launcher = click.option(
    "--launcher",
    type=click.Choice([*LAUNCHERS]),
    help="Who measures: this process, one point after the other; jobs of Slurm; workers of Dask.  "
    "[default: local; of --resume the one before]",
)
_launch = click.option(
    "--launch",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the launcher, as partition=gpu or scheduler=tcp://host:8786.",
)
_parallel = click.option(
    "--parallel",
    type=Count(1),
    help="So many points at a time: of Slurm's array; or here, each pinned to its share of the "
    "cores, which its rows say: such times are compared with their own kind alone.",
)
_detach = click.option(
    "--detach", is_flag=True, help="Of slurm: end once the jobs are submitted; collect them later."
)
_print = click.option(
    "--print",
    "printed",
    is_flag=True,
    help="Of slurm: write the plan, print a script for sbatch, and submit nothing.",
)


def launch_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command, in this order."""
    decorators: tuple[Decorator, ...] = (_launcher, _launch, _parallel, _detach, _print)
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def launch_of(given: dict[str, Any]) -> Launch | None:
    """Return who else is given the points; None for nobody. Raises InputError, UsageError."""
    return _checked(given, given["launcher"])


def launch_again(given: dict[str, Any]) -> Launch | None:
    """Return who is given the points that are left: as before, where nothing else is said."""
    from mnistbench.session.sweep.launchers.engine import read_launched

    launched = read_launched(given["resume"])
    before = launched.launch if launched else None
    launch = _checked(given, given["launcher"] or (before.name if before else None))
    if launch is None or before is None or before.name != launch.name:
        return launch
    return replace(
        launch, given=launch.given or before.given, parallel=launch.parallel or before.parallel
    )


def _checked(given: dict[str, Any], name: str | None) -> Launch | None:
    for option, is_given in (("--detach", given["detach"]), ("--print", given["printed"])):
        if is_given and name != "slurm":
            raise click.UsageError(f"{option}: of --launcher slurm; add that, or leave it out")
    if name is None or name == LOCAL:
        if given["launch"]:
            raise click.UsageError(
                f"--launch {given['launch'][0]}: this process takes no settings; "
                "add --launcher slurm or dask, or leave it out"
            )
        return None
    if name == "dask" and given["parallel"] is not None:
        raise click.UsageError("--parallel: Dask measures one point a worker; leave it out")
    from mnistbench.session.sweep.launchers import engine

    engine.settings_of(name, given["launch"])
    if not given["printed"] and not given["dry_run"]:
        engine.check_installed(name)
    return engine.Launch(name, given["launch"], given["parallel"], given["detach"])


def terms_of(given: dict[str, Any], launch: Launch | None) -> Terms:
    """Return how a call measures."""
    from mnistbench.session.sweep.terms import Terms

    return Terms(
        given["start_method"],
        given["max_time"],
        not given["no_calibrate"],
        parallel=1 if launch else given["parallel"] or 1,
        launch=launch,
    )


def print_script(plan: SweepPlan, launch: Launch | None, given: dict[str, Any]) -> int:
    """Write the plan, and print what sbatch takes."""
    from mnistbench.session.sweep.launchers import slurm
    from mnistbench.session.sweep.launchers.engine import settings_of
    from mnistbench.session.sweep.sweep import write_plan

    assert launch is not None
    settings = settings_of(launch.name, launch.given)
    folder = (given["output"] / plan.sweep_id).absolute()
    options = terms_of(given, None).options
    text = slurm.script(folder, len(plan.points), settings, launch.parallel, options)
    write_plan(plan, given["output"])
    click.echo(text, nl=False)
    click.echo(
        f"mnistbench: the plan is in {folder}; give the script to sbatch, and later: "
        f"mnistbench sweep collect {folder}",
        err=True,
    )
    return OK
