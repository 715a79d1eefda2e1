"""`stellarrow completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import get_completion_class

from stellarrow.cli.output.said import say

_EXAMPLE: Final = """\b
Examples:
  stellarrow completion bash > ~/.local/share/bash-completion/completions/stellarrow
  stellarrow completion zsh > ~/.zfunc/_stellarrow
  stellarrow completion fish > ~/.config/fish/completions/stellarrow.fish"""


@click.command(short_help="Let a shell complete commands and options.", epilog=_EXAMPLE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete commands, options and their values."""
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = context.find_root()
    say(made(root.command, {}, "stellarrow", "_STELLARROW_COMPLETE").source())
