"""Of `mnistbench sweep`: the options that say which points there are, made into a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli import options
from mnistbench.cli.sweep_search import choosing_set, search_of

if TYPE_CHECKING:
    from mnistbench.config.loading import ConfigFields
    from mnistbench.config.sweep_space import Space
    from mnistbench.session.sweep.plan import SweepPlan


def plan_of(name: str | None, given: dict[str, Any]) -> SweepPlan:
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
    search = search_of(given)
    space, repeats = _space(base, given, search is not None)
    _refuse_set_twice(space, fields)
    select_on = given["select_on"] or ("test" if search is None else choosing_set(search, base))
    return make_plan(base, space, repeats, select_on, given["tag"], search)


def _space(base: ConfigFields, given: dict[str, Any], is_searched: bool) -> tuple[Space, int]:
    """Return where the points come from, and the repeats of each."""
    from mnistbench.config import sweep_space

    if given["grids"] and given["listed"] is not None:
        raise click.UsageError("--list: --grid gives points too; leave out either")
    if given["grids"]:
        space = sweep_space.space_of_grid(given["grids"], given["drawn"], is_searched)
        return space, given["repeats"] or 1
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
    if is_searched:
        block = block.model_copy(update={"random": None})
    space = sweep_space.space_of_block(block, base.source, base.set_by, is_searched)
    return space, given["repeats"] or block.repeats


def _refuse_set_twice(space: Space, overrides: tuple[str, ...]) -> None:
    """Raise click.UsageError for a field that is set for all points, and tried too."""
    tried = {*space.grid, *(field for point in space.listed or () for field in point)}
    for field in tried:
        options.refuse_twice("the sweep", (f"{field}=",), overrides)
