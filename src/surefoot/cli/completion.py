"""`surefoot completion`: what makes a shell complete commands and options."""

from __future__ import annotations

import sys
from typing import Any, cast

import click
from click.shell_completion import get_completion_class

_WHERE = {
    "bash": 'Put this into ~/.bashrc:  eval "$(surefoot completion bash)"',
    "zsh": 'Put this into ~/.zshrc:  eval "$(surefoot completion zsh)"',
    "fish": "surefoot completion fish > ~/.config/fish/completions/surefoot.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(sorted(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete `surefoot`.

    \b
    bash  eval "$(surefoot completion bash)"    in ~/.bashrc
    zsh   eval "$(surefoot completion zsh)"     in ~/.zshrc
    fish  surefoot completion fish > ~/.config/fish/completions/surefoot.fish
    """
    made = cast(Any, get_completion_class(shell))
    source = made(ctx.find_root().command, {}, "surefoot", "_SUREFOOT_COMPLETE").source()
    click.echo(source)
    if sys.stderr.isatty():
        click.echo(f"# {_WHERE[shell]}", err=True)
