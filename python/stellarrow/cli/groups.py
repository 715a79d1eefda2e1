"""A group of commands whose near misses are answered."""

from __future__ import annotations

from collections import Counter

import click

from stellarrow.cli.output.said import say
from stellarrow.errors import nearest


class Verbs(click.Group):
    """Commands by name; an unknown one is answered with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            remedy = nearest(args[0], known, f"choose among {', '.join(known)}")
            raise click.UsageError(f"there is no command {args[0]!r}: {remedy}", ctx)
        name, command, rest = super().resolve_command(ctx, args)
        if command and not ctx.resilient_parsing:  # as it is where a shell completes
            _tell_repeated(command, name, rest, ctx)
        return name, command, rest


def _tell_repeated(command: click.Command, name: str | None, args: list[str], parent: click.Context) -> None:
    """Warn of a flag whose last value counts: click drops the others without a word."""
    ctx = click.Context(command, parent, name, **command.context_settings)
    try:
        _, _, given = command.make_parser(ctx).parse_args(list(args))
    except click.UsageError:
        return  # which click tells when it parses them
    single = [
        one
        for one in given
        if isinstance(one, click.Option) and not (one.is_flag or one.multiple or one.count)
    ]
    for one, count in Counter(single).items():
        if count > 1:
            flag = max(one.opts, key=len)
            say(f"warning: {flag} is given {count} times: the last one counts", err=True)
