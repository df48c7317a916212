"""Options that several commands share, each said once."""

from __future__ import annotations

from pathlib import Path

import click

from mnistbench.cli.until import until_overrides

backend = click.option(
    "--backend",
    type=click.Choice(["tensorflow", "jax", "torch"]),
    help="The framework that Keras trains with; overrides the config.",
)
device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    help="Where to train; overrides the config.",
)
execution = click.option(
    "--execution",
    type=click.Choice(["fit", "fused"]),
    help="Keras's loop, or an epoch as one compiled program; overrides the config.",
)
output = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that receives a folder for each run.",
)
output_format = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="What is printed on standard output.",
)
overrides = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Override a field of the config, as in training.batch_size=128.",
)
quiet = click.option("-q", "--quiet", is_flag=True, help="No progress.")
start_method = click.option(
    "--start-method",
    type=click.Choice(["auto", "fork", "spawn"]),
    default="auto",
    show_default=True,
    help="How the measuring process is made.",
)
synthetic = click.option(
    "--synthetic", is_flag=True, help="Images made from the seed, as many, not the real ones."
)
tag = click.option("--tag", default="", help="A word of yours for every row.")
until = click.option(
    "--until",
    metavar="test_accuracy>=X",
    help="End each training after the epoch that reaches this, and tell how long it took.",
)
verbose = click.option("-v", "--verbose", is_flag=True, help="Tracebacks.")
verbose_framework = click.option(
    "-v", "--verbose", is_flag=True, help="Tracebacks, and what the framework says."
)


def as_overrides(
    synthetic: bool, execution: str | None, backend: str | None, until: str | None
) -> tuple[str, ...]:
    """Return what these options stand for, as for `--set`; raise InputError for a wrong target."""
    fields = [
        ("dataset.source", "synthetic" if synthetic else None),
        ("training.execution", execution),
        ("backend", backend),
    ]
    chosen = [f"{field}={value}" for field, value in fields if value is not None]
    return (*chosen, *(until_overrides(until) if until is not None else ()))
