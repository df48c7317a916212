"""`mnistbench completion`: what makes a shell's Tab know the commands."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_MNISTBENCH_COMPLETE"
"""Set by the script where it asks the command; its name is Click's."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), metavar="|".join(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, configs and metrics with Tab.

    bash, in ~/.bashrc: eval "$(mnistbench completion bash)"

    zsh, in ~/.zshrc: eval "$(mnistbench completion zsh)"

    fish: mnistbench completion fish > ~/.config/fish/completions/mnistbench.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, shell
    click.echo(kind(ctx.find_root().command, {}, "mnistbench", _VARIABLE).source())
