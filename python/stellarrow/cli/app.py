"""The verbs, each in the module of its name."""

from __future__ import annotations

from importlib import import_module

import click

from stellarrow.cli.groups import Verbs
from stellarrow.cli.output.said import say
from stellarrow.core.version import __version__

_VERBS = (
    "extract",
    "inspect",
    "contract",
    "synth",
    "lake",
    "sql",
    "tables",
    "schema",
    "queries",
    "source",
    "processor",
    "analytics",
    "up",
    "watch",
    "sink",
    "plan",
    "backfill",
    "coverage",
    "check",
    "compact",
    "lifecycle",
    "dlq",
    "keys",
    "audit",
    "config",
    "doctor",
    "completion",
    "demo",
)


class _Lazy(Verbs):
    """The verbs, each imported when it is called."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return --help, not listed: who sees the list has found it, and the list shall fit a screen."""
        option = super().get_help_option(ctx)
        if isinstance(option, click.Option):
            option.hidden = True
        return option

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  the Protocol has it
        if cmd_name not in _VERBS:
            return None
        command: click.Command = import_module(f"stellarrow.cli.commands.{cmd_name}").command
        return command


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExample:\n  stellarrow extract ./lake --tables contract_events --ledgers 58752000:+1000",
)
@click.version_option(__version__, prog_name="stellarrow")
@click.pass_context
def stellarrow(context: click.Context) -> None:
    """Stellar ledgers to Apache Arrow, fast and exactly. --debug shows where an error came from."""
    if context.invoked_subcommand is None:
        say(context.get_help())
