"""A group of commands whose near misses are answered."""

from __future__ import annotations

import click

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
            _refuse_repeated(command, name, rest, ctx)
        return name, command, rest


def _refuse_repeated(
    command: click.Command, name: str | None, args: list[str], parent: click.Context
) -> None:
    """Refuse a flag whose value would be the last one given; click itself keeps that without a word."""
    ctx = click.Context(command, parent, name, **command.context_settings)
    try:
        _, _, given = command.make_parser(ctx).parse_args(list(args))
    except click.UsageError:
        return  # which click tells when it parses them
    seen: set[int] = set()
    for one in given:
        if not isinstance(one, click.Option) or one.is_flag or one.multiple or one.count:
            continue
        if id(one) in seen:
            flag = max(one.opts, key=len)
            raise click.UsageError(f"{flag} is given twice and is no list: give it once", ctx)
        seen.add(id(one))
