"""`gfmp completion SHELL`, and the answers that the shell then asks gfmp for."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class, shell_complete

# The shell asks by running gfmp with this variable set.
VARIABLE = "_GFMP_COMPLETE"
_PLACES = {
    "bash": 'put `eval "$(gfmp completion bash)"` into ~/.bashrc',
    "zsh": 'put `eval "$(gfmp completion zsh)"` into ~/.zshrc',
    "fish": "gfmp completion fish > ~/.config/fish/completions/gfmp.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(tuple(_PLACES)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options, runs, vocabularies and tasks.

    In bash and zsh, evaluate it when the shell starts; fish reads it from a file.
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that are offered"
    click.echo(f"# {_PLACES[shell]}")
    click.echo(kind(context.find_root().command, {}, "gfmp", VARIABLE).source())


def answer(group: click.Group) -> int | None:
    """Answer the shell when it is the shell that asks, and return the status; else None."""
    asked = os.environ.get(VARIABLE)
    if not asked:
        return None
    return shell_complete(group, {}, "gfmp", VARIABLE, asked)
