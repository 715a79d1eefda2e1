"""`stellarrow schema NAME`: a table's columns, their types and what they mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import click
import pyarrow as pa
from rich.table import Table
from rich.text import Text

from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.core.tables import keys, schema, table, tables

_EXAMPLE: Final = """\b
Examples:
  stellarrow schema contract_data
  stellarrow schema contract_data@1.0 --json"""


def _names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:  # noqa: ARG001  click gives it
    names = dict.fromkeys(name for one in tables() for name in (one.name, str(one)))
    return [name for name in names if name.startswith(begun)]


@click.command(short_help="Show a table's columns and what they mean.", epilog=_EXAMPLE)
@click.argument("name", shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, as_json: bool) -> None:
    """Show the columns of table NAME, which is `name` or `name@version`: types, nulls and meaning.

    Columns that are made on request, with --decoded, are among them, and so are the columns that together
    make a row unique.
    """
    meant = table(name)
    columns = list(_columns(name))
    if as_json:
        report = {"table": meant.name, "version": meant.version, "description": meant.description}
        say(json.dumps({**report, "keys": keys(name), "columns": columns}))
        return
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("column", "type", "null", "meaning"):
        drawn.add_column(heading, no_wrap=heading != "meaning", overflow="fold")
    for one in columns:
        request = " (with --decoded)" if one["on_request"] else ""
        can_be_null = "yes" if one["nullable"] else "no"
        drawn.add_row(one["name"], one["type"], can_be_null, Text(f"{one['description']}{request}"))
    console = Page(highlight=False)
    console.print(Text(f"{meant}: {meant.description}", style="bold"), soft_wrap=True)
    console.print(drawn)
    console.print(f"\na row is unique by {', '.join(keys(name))}", markup=False, soft_wrap=True)


def _columns(name: str) -> Iterator[dict[str, Any]]:
    always = {*schema(name).names}
    for column in schema(name, decoded=True):
        yield {
            "name": column.name,
            "type": _type(column.type),
            "nullable": column.nullable,
            "on_request": column.name not in always,
            "description": (column.metadata or {}).get(b"description", b"").decode(),
        }


def _type(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)
