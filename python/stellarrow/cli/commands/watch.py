"""`stellarrow watch`: a running processor, as it goes."""

from __future__ import annotations

import json
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from typing import Any, Final
from urllib.error import URLError

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from stellarrow.cli.options import Paged
from stellarrow.cli.output.sessions_page import drawn
from stellarrow.cli.setting_flags import options
from stellarrow.config import Client
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.net.address import Address
from stellarrow.net.http_request import ask

_TIMEOUT: Final = 5.0  # seconds
_INTERRUPTED: Final = 130
_UNBOUNDED: Final = 10_000  # columns, where no terminal breaks lines
Wait = Callable[[], bool]
Sessions = Callable[[], list[dict[str, Any]]]


@click.command(cls=Paged, epilog="\b\nExample:\n  stellarrow watch --at :8089")
@options(Client, {"Options": ("token", "tls", "ca", "certificate", "key")})
@click.option("--at", default=":8089", metavar="ADDRESS", help="The processor's HTTP.  [:8089]")
@click.option("--every", type=click.FloatRange(0.1, 3_600), default=1.0, metavar="SECONDS", help="[1]")
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.pass_context
def command(context: click.Context, settings: Client, *, at: str, every: float, once: bool) -> None:
    """Watch a processor: its sessions, how fast they are, their tables, and who reads them.

    On a terminal ids are shortened, and q quits.
    """
    ask_sessions = partial(_sessions, Address.parse(at), settings)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNBOUNDED)
    try:
        if once or not console.is_terminal:
            _print(console, ask_sessions, every=None if once else every)
        else:
            _follow(console, ask_sessions, every)
    except KeyboardInterrupt:  # how one stops watching
        context.exit(_INTERRUPTED)


def _print(console: Console, ask_sessions: Sessions, *, every: float | None) -> None:
    while True:
        console.print(drawn(ask_sessions(), console.width, whole_ids=not console.is_terminal))
        if every is None:
            return
        time.sleep(every)


def _follow(console: Console, ask_sessions: Sessions, every: float) -> None:
    with _keys(every) as quits, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                page = drawn(ask_sessions(), console.width, whole_ids=False)
                live.update(page, refresh=True)
            except Unavailable as error:
                live.update(Text(f"{error}: waiting for it", style="yellow"), refresh=True)
            if quits():
                return


@contextmanager
def _keys(every: float) -> Iterator[Wait]:
    """Yield what waits so many seconds, and tells whether q was pressed meanwhile."""
    if not sys.stdin.isatty():
        yield partial(_sleep, every)
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def quits() -> bool:
        deadline = time.monotonic() + every
        while (left := deadline - time.monotonic()) > 0:
            if select.select([keyboard], [], [], left)[0] and sys.stdin.read(1) in ("q", "Q", ""):
                return True
        return False

    try:
        tty.setcbreak(keyboard)
        yield quits
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _sessions(address: Address, settings: Client) -> list[dict[str, Any]]:
    url = f"{settings.scheme}://{address}"
    try:
        answer = ask("GET", f"{url}/sessions", timeout=_TIMEOUT, credentials=settings.credentials)
    except (OSError, HTTPException) as error:
        why = f" ({error.reason})" if isinstance(error, URLError) and settings.scheme == "https" else ""
        raise Unavailable(f"no processor answers on {url}{why}") from error
    if answer.status in (401, 403):
        raise StellarrowError(f"{url} does not let us in ({answer.status}): give --token or CLIENT_TOKEN")
    try:
        answer_shown: list[dict[str, Any]] = json.loads(answer.body) if answer.status == 200 else []
        if answer.status == 200 and all("readers" in one for one in answer_shown):
            return answer_shown
    except (ValueError, TypeError):
        pass
    raise StellarrowError(
        f"{url} is no processor's (/sessions answers {answer.status}): give --at its HTTP address"
    )
