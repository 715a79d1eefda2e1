"""`stellarrow tables`: the tables there are."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.core.tables import tables

_EXAMPLE: Final = "\b\nExample:\n  stellarrow tables"


@click.command(short_help="List the tables that ledgers become.", epilog=_EXAMPLE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List every table: its name, its versions, and what a row of it is.

    Commands take `name` for the newest version, or `name@version`.
    """
    known = tables()
    if as_json:
        say(json.dumps([asdict(one) for one in known]))
        return
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("table", "versions", "a row is"):
        drawn.add_column(heading, no_wrap=heading != "a row is", overflow="fold")
    for name in dict.fromkeys(one.name for one in known):
        versions = [one for one in known if one.name == name]
        drawn.add_row(Text(name), ", ".join(one.version for one in versions), Text(versions[-1].description))
    console = Page(highlight=False)
    console.print(drawn)
    console.print("\nstellarrow schema NAME shows a table's columns", markup=False, soft_wrap=True)
