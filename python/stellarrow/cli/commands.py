"""The verbs and their common manners: help that ends with an example, a near miss that is answered."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

import click

from stellarrow import __version__

_VERBS = ("extract", "inspect", "contract", "synth", "sql", "demo")


class _Verbs(click.Group):
    """The verbs, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        command: click.Command = import_module(f"stellarrow.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            close = get_close_matches(args[0], _VERBS, n=1)
            remedy = f"did you mean {close[0]}?" if close else f"choose among {', '.join(_VERBS)}"
            raise click.UsageError(f"there is no command {args[0]!r}: {remedy}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  stellarrow extract ./lake --tables contract_events --ledgers 58752000:+1000",
)
@click.version_option(__version__, prog_name="stellarrow")
@click.pass_context
def stellarrow(context: click.Context) -> None:
    """Stellar ledgers to Apache Arrow, fast and exactly.

    Every command takes --debug, which shows where an error came from.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
