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
        return super().resolve_command(ctx, args)
