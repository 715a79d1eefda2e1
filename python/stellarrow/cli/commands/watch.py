"""`stellarrow watch`: a running processor, as it goes."""

from __future__ import annotations

import json
import time
from http.client import HTTPException
from typing import Any, Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.net.address import Address
from stellarrow.net.http_request import ask

_STYLES: Final = {"RUNNING": "green", "STARTING": "green", "ERROR": "bold red", "STOPPING": "yellow"}
_TIMEOUT: Final = 5.0  # seconds
_ENDED: Final = frozenset({"STOPPED", "ERROR"})
_RECENT: Final = 4  # sessions that have ended, shown
_READERS: Final = 12  # shown, those farthest behind first


@click.command(epilog="\b\nExample:\n  stellarrow watch --at :8089")
@click.option("--at", default=":8089", metavar="ADDRESS", help="The processor's HTTP.  [:8089]")
@click.option("--every", type=click.FloatRange(0.1, 3_600), default=1.0, metavar="SECONDS", help="[1]")
@click.option("--once", is_flag=True, help="Show it once, and end.")
def command(at: str, every: float, once: bool) -> None:
    """Watch a processor: its sessions, how fast they are, their tables, and who reads them."""
    address = Address.parse(at)
    console = Console()
    if once or not console.is_terminal:
        while True:
            console.print(_drawn(_sessions(address)))
            if once:
                return
            time.sleep(max(0.1, every))
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                live.update(_drawn(_sessions(address)), refresh=True)
            except Unavailable as error:
                live.update(Text(f"{error}: waiting for it", style="yellow"), refresh=True)
            time.sleep(max(0.1, every))


def _sessions(address: Address) -> list[dict[str, Any]]:
    try:
        answer = ask("GET", f"http://{address}/sessions", timeout=_TIMEOUT)
    except (OSError, HTTPException) as error:
        raise Unavailable(f"no processor answers on http://{address}") from error
    try:
        answer_shown: list[dict[str, Any]] = json.loads(answer.body) if answer.status == 200 else []
        if answer.status == 200 and all("readers" in one for one in answer_shown):
            return answer_shown
    except (ValueError, TypeError):
        pass
    raise StellarrowError(
        f"http://{address} is no processor's (/sessions answers {answer.status}): give --at its HTTP address"
    )


def _drawn(sessions: list[dict[str, Any]]) -> Group:
    if not sessions:
        return Group(Text("no session yet: StartProcessing, or --start-ledger, starts one"))
    ended = [one for one in sessions if one["status"] in _ENDED]
    older = ended[:-_RECENT]
    shown = [one for one in sessions if one not in older]
    more = (
        [Text(f"and {formatting.many(len(older), 'session')} that ended before", style="dim")]
        if older
        else []
    )
    return Group(_overview(shown), *more, Text(), _tables(shown), Text(), _readers(shown))


def _table(*headings: str, left: int = 2) -> Table:
    """Return a table whose first columns are texts, and the others numbers."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for at, heading in enumerate(headings):
        drawn.add_column(heading, justify="left" if at < left else "right")
    return drawn


def _overview(sessions: list[dict[str, Any]]) -> Table:
    drawn = _table("session", "status", "ledger", "up to", "lag", "entries/s", "entries", "read", "spool")
    for one in sessions:
        drawn.add_row(
            one["id"][:8],
            Text(one["status"], style=_STYLES.get(one["status"], "dim")),
            str(one["current"] or "-"),
            str(one["last"] or "open"),
            "-" if one["lag"] is None else formatting.seconds(one["lag"]),
            formatting.count(one["entries_per_second"]),
            formatting.count(one["entries"]),
            formatting.size(one["bytes"]),
            formatting.size(one["spool_bytes"]),
        )
        if one["message"]:
            drawn.add_row("", Text(one["message"], style="yellow"))
    return drawn


def _tables(sessions: list[dict[str, Any]]) -> Table:
    drawn = _table("rows", *(one["id"][:8] for one in sessions), left=1)
    for name in dict.fromkeys(name for one in sessions for name in one["rows"]):
        drawn.add_row(name, *(formatting.count(one["rows"].get(name, 0)) for one in sessions))
    return drawn


def _readers(sessions: list[dict[str, Any]]) -> Table:
    readers = [(one["id"][:8], reader) for one in sessions for reader in one["readers"]]
    readers.sort(key=lambda pair: -pair[1]["behind"])
    drawn = _table("session", f"{formatting.many(len(readers), 'reader')}", "ledgers behind")
    for session, reader in readers[:_READERS]:
        drawn.add_row(session, reader["name"].rpartition(" ")[0], formatting.count(reader["behind"]))
    return drawn
