"""`mnistbench config`: list, show and check run configs, and their JSON Schema."""

from __future__ import annotations

import click

from mnistbench.cli import options
from mnistbench.cli.completing import complete_configs


@click.group("config")
def command() -> None:
    """List, show and check run configs."""


@command.command("list")
def list_configs() -> None:
    """List the configs that ship with mnistbench."""
    from mnistbench.config.files import known_configs, read_mapping

    for name, path in known_configs().items():
        click.echo(f"{name:<18} {read_mapping(path).get('description', '')}")


@command.command("show")
@click.argument("config", shell_complete=complete_configs)
@options.overrides
def show(config: str, overrides: tuple[str, ...]) -> None:
    """Print CONFIG (a name or a file) with every field filled in, and its digest."""
    click.echo(options.load(config, overrides).to_yaml(), nl=False)


@command.command("validate")
@click.argument("file", shell_complete=complete_configs)
@options.overrides
def validate(file: str, overrides: tuple[str, ...]) -> None:
    """Check FILE as `benchmark` would, without running it."""
    config = options.load(file, overrides)
    click.echo(f"{file}: valid, {config.parameters:,} parameters, digest {config.digest()}")


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of a config file, for editors."""
    import json

    from mnistbench.config.run_config import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
