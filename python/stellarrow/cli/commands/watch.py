"""`stellarrow watch`: a running processor, as it goes."""

from __future__ import annotations

import json
import os
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
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from stellarrow.cli.options import Paged
from stellarrow.cli.output import figures_page, sessions_page
from stellarrow.cli.output.page import Page
from stellarrow.cli.setting_flags import options
from stellarrow.config import Client
from stellarrow.errors import StellarrowError, Unavailable
from stellarrow.net.address import Address
from stellarrow.net.connection_reasons import connection_reason
from stellarrow.net.http_request import ask

_TIMEOUT: Final = 5.0  # seconds
_QUIT: Final = "q"
_INTERRUPTED: Final = 130
_UNBOUNDED: Final = 10_000  # columns, where no terminal breaks lines
_PAGES: Final = {"s": "sessions", "a": "analytics"}  # by key
Wait = Callable[[], str]
Draw = Callable[[str], RenderableType]


@click.command(cls=Paged, epilog="\b\nExample:\n  stellarrow watch --at :8089")
@options(Client, {"Options": ("token", "tls", "ca", "certificate", "key")})
@click.option("--at", default=":8089", metavar="ADDRESS", help="The processor's HTTP.  [:8089]")
@click.option("--every", type=click.FloatRange(0.1, 3_600), default=1.0, metavar="SECONDS", help="[1]")
@click.option("--page", type=click.Choice([*_PAGES.values()]), default="sessions", help="[sessions]")
@click.option("--once", is_flag=True, help="Show it once, and end.")
@click.pass_context
def command(
    context: click.Context, settings: Client, *, at: str, every: float, page: str, once: bool
) -> None:
    """Watch a processor: its sessions, how fast they are, their tables, and who reads them.

    The page analytics shows figures over time windows: transactions, transfers, accounts, fees, events, and
    the foremost assets and contracts. On a terminal ids are shortened, s and a change the page, and q quits.
    """
    console = Page()
    if not console.is_terminal:
        console = Page(width=_UNBOUNDED)
    draw = partial(_drawn, Address.parse(at), settings, console)
    try:
        if once or not console.is_terminal:
            _print(console, partial(draw, page), every=None if once else every)
        else:
            _follow(console, draw, page, every)
    except KeyboardInterrupt:  # how one stops watching
        context.exit(_INTERRUPTED)


def _drawn(address: Address, settings: Client, console: Console, page: str) -> RenderableType:
    """Ask for a page, and draw it."""
    whole_ids = not console.is_terminal
    if page == "analytics":
        summary = _answer(address, settings, "analytics", _is_summary)
        return figures_page.drawn(summary, console.width, whole_ids=whole_ids)
    sessions = _answer(address, settings, "sessions", _are_sessions)
    return sessions_page.drawn(sessions, console.width, whole_ids=whole_ids)


def _print(console: Console, draw: Callable[[], RenderableType], *, every: float | None) -> None:
    while True:
        console.print(draw())
        if every is None:
            return
        time.sleep(every)


def _follow(console: Console, draw: Draw, page: str, every: float) -> None:
    with _keys(every) as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            try:
                live.update(draw(page), refresh=True)
            except Unavailable as error:
                live.update(Text(f"{error}: waiting for it", style="yellow"), refresh=True)
            key = pressed()
            if key == _QUIT:
                return
            page = _PAGES.get(key, page)


@contextmanager
def _keys(every: float) -> Iterator[Wait]:
    """Yield what waits so many seconds, or for a key that means something, and returns that, or nothing."""
    if not sys.stdin.isatty():
        yield partial(_sleep, every)
        return
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def pressed() -> str:
        deadline = time.monotonic() + every
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([keyboard], [], [], left)[0]:
                break
            key = os.read(keyboard, 1).decode(errors="replace").lower() or _QUIT  # nobody types any more
            if key == _QUIT or key in _PAGES:
                return key
        return ""

    try:
        tty.setcbreak(keyboard)
        yield pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _are_sessions(shown: Any) -> bool:
    return all("readers" in one for one in shown)


def _is_summary(shown: Any) -> bool:
    return isinstance(shown, dict) and (not shown or "windows" in shown)


def _answer(address: Address, settings: Client, path: str, is_ours: Callable[[Any], bool]) -> Any:
    url = f"{settings.scheme}://{address}"
    try:
        answer = ask("GET", f"{url}/{path}", timeout=_TIMEOUT, credentials=settings.credentials)
    except (OSError, HTTPException) as error:
        why = connection_reason(f"urlopen {error.reason if isinstance(error, URLError) else error}")
        raise Unavailable(f"no processor answers on {url} ({why})") from error
    if answer.status in (401, 403):
        raise StellarrowError(f"{url} does not let us in ({answer.status}): give --token or CLIENT_TOKEN")
    try:
        shown = json.loads(answer.body) if answer.status == 200 else []
        if answer.status == 200 and is_ours(shown):
            return shown
    except (ValueError, TypeError):
        pass
    raise StellarrowError(
        f"{url} is no processor's (/{path} answers {answer.status}): give --at its HTTP address"
    )
