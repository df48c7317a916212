"""What a shell's Tab offers where Click alone knows nothing: configs, metrics, and files.

Each is a `shell_complete` of Click's arguments and options. A shell that is offered nothing falls
back to nothing, so that what is a path says so.
"""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def complete_paths(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer files and folders."""
    return [CompletionItem(incomplete, type="file")]


def complete_configs(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the configs that ship, and files where none of them begins so."""
    from mnistbench.config.files import known_configs

    return _beginning(known_configs(), incomplete) or complete_paths(ctx, param, incomplete)


def complete_metrics(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the numbers of metrics.csv."""
    return _beginning(_metrics(), incomplete)


def complete_metrics_and_phases(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the numbers of metrics.csv, and the phases."""
    from mnistbench.results.phases import PHASES

    return _beginning([*PHASES, *_metrics()], incomplete)


def complete_phases(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the phases."""
    from mnistbench.results.phases import PHASES

    return _beginning(PHASES, incomplete)


def complete_data(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the data sets."""
    from mnistbench.config.datasets import DATASETS

    return _beginning(DATASETS, incomplete)


def _metrics() -> list[str]:
    from mnistbench.results.metrics import KINDS

    # One name stands for many where it has an N, and none of them is known here.
    return [name for name in KINDS if name == name.lower()]


def _beginning(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
