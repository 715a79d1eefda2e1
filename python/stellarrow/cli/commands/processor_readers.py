"""`stellarrow processor readers` and `remove-reader`: those whose place a running processor keeps."""

from __future__ import annotations

import json
import time
from http.client import HTTPException
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import quote

import click
from rich.table import Table

from stellarrow.cli.options import Paged
from stellarrow.cli.output import formatting
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import options
from stellarrow.config import Client
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.net.address import Address
from stellarrow.net.connection_reasons import connection_reason
from stellarrow.net.http_request import Answer, ask

_TIMEOUT: Final = 10.0  # seconds
_PAGE: Final = {"Options": ("token", "tls", "ca", "certificate", "key")}
_AT: Final = click.option("--at", default=":8089", metavar="ADDRESS", help="The processor's HTTP.  [:8089]")


@click.command(cls=Paged, epilog="\b\nExample:\n  stellarrow processor readers --at :8089")
@options(Client, _PAGE)
@_AT
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def readers(settings: Client, *, at: str, as_json: bool) -> None:
    """List the readers that have a name, and how many ledgers each has still to acknowledge.

    What they have not acknowledged is kept for them, also while they are away.
    """
    found = _decoded(_asked("GET", at, settings, "readers"), at)
    if as_json:
        say(json.dumps(found, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("reader", "table"):
        table.add_column(heading)
    for heading in ("behind", "last heard of"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for one in found:
        ago = formatting.seconds(max(0.0, time.time() - one["seen_at"]))
        lost = "some of what it needs is gone" if one["lost"] else ""
        table.add_row(one["name"], one["table"], f"{one['behind']:,}", f"{ago} ago", lost)
    Page().print(table if found else "no reader has a name")


@click.command(
    name="remove-reader",
    cls=Paged,
    epilog="\b\nExample:\n  stellarrow processor remove-reader warehouse",
)
@click.argument("name")
@options(Client, _PAGE)
@_AT
@click.option("--table", default="", metavar="TABLE", help="Of this table alone, such as ledgers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def remove_reader(settings: Client, *, name: str, at: str, table: str, as_json: bool) -> None:
    """Keep nothing for a reader any more; should it come back, it begins anew."""
    query = f"?table={quote(table, errors='replace')}" if table else ""
    answer = _asked("DELETE", at, settings, f"readers/{quote(name, safe='', errors='replace')}{query}")
    if answer.status == 404:
        of_table = f" of {table}" if table else ""
        raise StellarrowError(f"no reader{of_table} is called {name!r}: see stellarrow processor readers")
    if answer.status != 204:
        raise StellarrowError(f"the processor at {at} refuses ({answer.status}): its log says why")
    say(json.dumps({"removed": name}) if as_json else f"removed {name}")


def _asked(method: str, at: str, settings: Client, path: str) -> Answer:
    url = f"{settings.scheme}://{Address.parse(at)}"
    try:
        answer = ask(method, f"{url}/{path}", timeout=_TIMEOUT, credentials=settings.credentials)
    except (OSError, HTTPException) as error:
        why = connection_reason(f"urlopen {error.reason if isinstance(error, URLError) else error}")
        raise Unavailable(f"no processor answers on {url} ({why}): start it, or give --at") from error
    if answer.status in (401, 403):
        raise StellarrowError(f"{url} does not let us in ({answer.status}): give --token or CLIENT_TOKEN")
    return answer


def _decoded(answer: Answer, at: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise StellarrowError(
            f"{at} is no processor's (/readers answers {answer.status}): give --at its HTTP address"
        )
    return found
