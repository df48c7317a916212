"""Options that several commands share, each said once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnistbench.cli.parameters import Count, Tag
from mnistbench.cli.until import until_overrides
from mnistbench.config.frameworks import BACKENDS
from mnistbench.report.exports import EXPORTS

if TYPE_CHECKING:
    from mnistbench.config.loading import ConfigFields
    from mnistbench.config.run_config import RunConfig

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

backend = click.option(
    "--backend",
    type=click.Choice([*BACKENDS]),
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
no_calibrate = click.option(
    "--no-calibrate",
    is_flag=True,
    help="Leave out the short measurement of the machine that `compare` normalises by.",
)
output = click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder that receives a folder for each run.",
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
tag = click.option("--tag", type=Tag(), default="", help="A word of yours for every row.")
until = click.option(
    "--until",
    metavar="test_accuracy>=X",
    help="End each training after the epoch that reaches this, and tell how long it took.",
)
verbose = click.option("-v", "--verbose", is_flag=True, help="Tracebacks.")
verbose_framework = click.option(
    "-v", "--verbose", is_flag=True, help="Tracebacks, and what the framework says."
)


def format_of(command: str, help: str = "What is printed on standard output.") -> Decorator:
    """Return the option `--format` of a command: whatever there is an exporter for."""
    formats = [*EXPORTS[command]]
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help=help,
    )


def repeats(default: int, help: str) -> Decorator:
    """Return the option `--repeats` of a command."""
    return click.option("--repeats", type=Count(1), default=default, show_default=True, help=help)


def as_overrides(
    overrides: Sequence[str],
    *,
    synthetic: bool = False,
    execution: str | None = None,
    backend: str | None = None,
    until: str | None = None,
) -> tuple[str, ...]:
    """Return what the user set and what these options stand for, as for `--set`.

    Raises click.UsageError for a field that both give, and InputError for a wrong target.
    """
    target = until_overrides(until) if until is not None else ()
    given = {
        "--synthetic": ("dataset.source=synthetic",) if synthetic else (),
        "--execution": (f"training.execution={execution}",) if execution else (),
        "--backend": (f"backend={backend}",) if backend else (),
        "--until": target,
    }
    for option, fields in given.items():
        refuse_twice(option, fields, overrides)
    return (*overrides, *(field for fields in given.values() for field in fields))


def refuse_twice(option: str, fields: Sequence[str], overrides: Sequence[str]) -> None:
    """Raise click.UsageError if `--set` gives a field that an option gives too."""
    for field in fields:
        name = field.partition("=")[0]
        for override in overrides:
            if override.partition("=")[0].strip() == name:
                raise click.UsageError(
                    f"--set {override}: {option} sets {name} too; give it by {option} alone"
                )


def load(name: str, overrides: Sequence[str], device: str | None = None) -> RunConfig:
    """Return a config by its name or file; say so where a file is passed over for a name."""
    if device is not None:
        refuse_twice("--device", ("device=",), overrides)
    config = read(name, overrides).config()
    return config if device is None else config.model_copy(update={"device": device})


def read(name: str, overrides: Sequence[str]) -> ConfigFields:
    """Return what a config's file says, unchecked; say so where a file is passed over."""
    from mnistbench.config.files import known_configs
    from mnistbench.config.loading import read_fields

    if name in known_configs() and Path(name).is_file():
        click.echo(
            f"mnistbench: {name} is the config that ships with mnistbench; "
            f"the file of that name here is ./{name}",
            err=True,
        )
    return read_fields(name, overrides)
