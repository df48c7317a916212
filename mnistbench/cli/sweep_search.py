"""Of `mnistbench sweep`: the options that let each point be chosen by those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli.options import Decorator
from mnistbench.cli.parameters import Count

if TYPE_CHECKING:
    from mnistbench.analysis.sweeps import SelectOn
    from mnistbench.config.loading import ConfigFields
    from mnistbench.session.sweep.search import SearchOptions

SAMPLERS, PRUNERS, AIMS = ("tpe", "random", "gp"), ("none", "median", "hyperband"), (
    "accuracy", "time",
)  # fmt: skip

_trials = click.option(
    "--trials",
    type=Count(1),
    help="Search: choose so many points, each by what came of those before it. Needs Optuna.",
)
_sampler = click.option(
    "--sampler",
    type=click.Choice(SAMPLERS),
    help="Of --trials: what chooses; gp needs PyTorch too.  [default: tpe]",
)
_pruner = click.option(
    "--pruner",
    type=click.Choice(PRUNERS),
    help="Of --trials: what ends a training after an epoch whose accuracy promises too little; "
    "its time is then in no figure.  [default: none]",
)
_optimize = click.option(
    "--optimize",
    type=click.Choice(AIMS),
    help="Of --trials: what is looked for, the highest accuracy or the shortest training; with "
    "--until the shortest time to it.  [default: accuracy]",
)


def search_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command, in this order."""
    decorators: tuple[Decorator, ...] = (_trials, _sampler, _pruner, _optimize)
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def search_of(given: dict[str, Any]) -> SearchOptions | None:
    """Return how points are chosen; None where they are planned. Raises click.UsageError."""
    chosen = {name: given[name] for name in ("sampler", "pruner", "optimize") if given[name]}
    if given["trials"] is None:
        if chosen:
            raise click.UsageError(f"--{next(iter(chosen))}: of a search; add --trials 30")
        return None
    others = {
        "--random": given["drawn"] is not None,
        "--launcher": given["launcher"] not in (None, "local"),
        "--parallel": (given["parallel"] or 1) > 1,
    }
    for option, is_given in others.items():
        if is_given:
            raise click.UsageError(
                f"{option}: with --trials each point is chosen by those before it, and measured "
                "here, one after the other; leave it out"
            )
    from mnistbench.session.sweep.search import SearchOptions

    return SearchOptions(given["trials"], **chosen)


def choosing_set(search: SearchOptions, base: ConfigFields) -> SelectOn:
    """Return the images that a search chooses on where nobody says: such as nobody tests on.

    Where it looks for time, or for a target on the test set, nothing is held out.
    """
    training = base.fields.get("training")
    target = training.get("target_accuracy") if isinstance(training, dict) else None
    return "validation" if search.optimize == "accuracy" and target is None else "test"
