"""`stellarrow queries`: the named filters, aggregates and projections there are."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

import click
from rich.text import Text

from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import config_option
from stellarrow.config import find_file
from stellarrow.config.saved_queries import catalogue

_EXAMPLE: Final = """\b
Examples:
  stellarrow queries
  stellarrow extract ./lake --tables token_transfers --filter large_amounts
  stellarrow sql @volume_by_asset --window 24h"""


@click.command(short_help="List named filters, aggregates and projections.", epilog=_EXAMPLE)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(config: str | None, as_json: bool) -> None:
    """List every named query: what it is of, what it says, and whether it is ready-made or saved.

    Section [queries] of the settings file saves more; each is checked here.
    """
    known = list(catalogue(find_file(config)))
    if as_json:
        say(json.dumps([asdict(one) for one in known]))
        return
    console = Page(highlight=False)
    for one in known:
        console.print(Text(one.name, style="bold"), Text(f"{one.kind} of {one.table}, {one.origin}"))
        for line in (one.description, one.expression):
            if line:
                console.print(Text(f"  {line}"), soft_wrap=True)
    console.print(
        "\nextract --filter NAME, sql @NAME, and Flight commands take them; sql @ lists whole questions",
        markup=False,
        soft_wrap=True,
    )
