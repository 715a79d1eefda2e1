"""`stellarrow config`: what is set, and where it was."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from stellarrow.cli.groups import Verbs
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import config_option
from stellarrow.config import SERVICES, Settings, find_file, read
from stellarrow.config.reading import OLDER_COMPONENTS
from stellarrow.config.saved_queries import catalogue
from stellarrow.config.settings import DEFAULT
from stellarrow.config.toml_file import converted, service_of
from stellarrow.errors import ConfigError, nearest
from stellarrow.storage.paths import local_path
from stellarrow.storage.private import private_file

_OLDER = [name for name in OLDER_COMPONENTS if name in SERVICES]
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
    names = [service] if service else list(SERVICES)
    file = find_file(config, service=SERVICES[service] if service else None)
    held = {name: read(SERVICES[name], file=file) for name in names}
    catalogue(file)
    if as_json:
        say(json.dumps({name: _plain(settings) for name, settings in held.items()}))
        return
    console = Page(highlight=False)
    for name, settings in held.items():
        console.print(_drawn(name, settings), markup=False)
        console.print()
    console.print(f"file: {file or 'none'}", markup=False, soft_wrap=True)


@command.command(epilog="\b\nExample:\n  stellarrow config convert processor.yaml --output stellarrow.toml")
@click.argument("old", metavar="OLD.yaml")
@click.option("--service", type=click.Choice(_OLDER), help="Whose file it is.")
@click.option("--output", metavar="FILE", help="Where to; a file that is there is left alone.  [stdout]")
def convert(old: str, service: str | None, output: str | None) -> None:
    """Write an older component's YAML as TOML, with what has no effect here as comments."""
    path = local_path(old)
    text = converted(path, service or service_of(path))
    if output is None:
        say(text, nl=False)
        return
    try:
        with private_file(local_path(output), "x") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{output} is there already: name another file for --output") from error
    except OSError as error:
        raise ConfigError(f"{output} cannot be written ({error.strerror}): name another file") from error


def _plain(settings: Settings) -> dict[str, Any]:
    return {name: {"value": value, "origin": origin} for name, value, origin in settings.shown()}


def _drawn(name: str, settings: Settings) -> Table:
    drawn = Table(title=name, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in ("setting", "value", "origin"):
        drawn.add_column(heading, overflow="fold")
    for key, value, origin in settings.shown():
        drawn.add_row(key, *map(Text, (value or "-", origin)), style="dim" if origin == DEFAULT else None)
    return drawn
