"""`stellarrow config`: what is set, and where it was."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stellarrow.cli.groups import Verbs
from stellarrow.cli.setting_flags import config_option
from stellarrow.config import SERVICES, Settings, find_file, read
from stellarrow.config.settings import DEFAULT
from stellarrow.errors import nearest

_EXAMPLE = "\b\nExample:\n  stellarrow config show processor"


@click.group(cls=Verbs, epilog=_EXAMPLE)
def command() -> None:
    """Say what is set, and where it was."""


@command.command(epilog=_EXAMPLE)
@click.argument("service", required=False)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: service, setting, value and origin.")
def show(service: str | None, config: str | None, as_json: bool) -> None:
    """Show every setting of SERVICE, its value and where that came from.

    Flags win over the environment, the environment over the file, and the file over the defaults.
    Passwords are masked.
    """
    if service and service not in SERVICES:
        remedy = nearest(service, SERVICES, f"choose among {', '.join(SERVICES)}")
        raise click.UsageError(f"there is no service {service!r}: {remedy}")
    file = find_file(config)
    held = {name: read(SERVICES[name], file=file) for name in ([service] if service else SERVICES)}
    if as_json:
        click.echo(json.dumps({name: _plain(settings) for name, settings in held.items()}))
        return
    console = Console(highlight=False)
    for name, settings in held.items():
        console.print(_drawn(name, settings), markup=False)
        console.print()
    console.print(f"file: {file or 'none'}", markup=False, soft_wrap=True)


def _plain(settings: Settings) -> dict[str, Any]:
    return {name: {"value": value, "origin": origin} for name, value, origin in settings.shown()}


def _drawn(name: str, settings: Settings) -> Table:
    drawn = Table(title=name, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("setting", "value", "origin"):
        drawn.add_column(heading, overflow="fold")
    for key, value, origin in settings.shown():
        drawn.add_row(key, *map(Text, (value or "-", origin)), style="dim" if origin == DEFAULT else None)
    return drawn
