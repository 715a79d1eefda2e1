"""`stellarrow keys`: API keys made, listed, rotated and revoked."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from stellarrow.cli.groups import Verbs
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import state_options
from stellarrow.config import Processor, find_file, read
from stellarrow.errors import ConfigError, UnknownApiKey
from stellarrow.net.redaction import shortened
from stellarrow.security.api_keys import DEFAULT_DAYS, ApiKey, read_span, to_dict
from stellarrow.security.audit_log import Event
from stellarrow.security.key_store import FILE, KeyStore
from stellarrow.security.permissions import ROLES
from stellarrow.services.secured import open_audit

_EXAMPLE: Final = "\b\nExample:\n  stellarrow keys "
_NEVER: Final = "never"


@click.group(
    cls=Verbs,
    short_help="Make, list, rotate and revoke API keys.",
    epilog=_EXAMPLE + "create dashboard --role reader",
)
def command() -> None:
    """Make API keys for those who call our services, list them, rotate and revoke them.

    The keys lie in the state folder. Services that share it know them at once, without a restart.
    """


def _settings(config: str | None, state_dir: str | None) -> Processor:
    return read(Processor, {"state_dir": state_dir}, file=find_file(config))


def _require(settings: Processor, key_id: str) -> None:
    """Refuse to look for a key where none was ever made: opening a store makes its folder."""
    if not (settings.state_dir / FILE).exists():
        raise UnknownApiKey(
            f"there is no API key {shortened(key_id)!r}: none was ever made in the state folder "
            f"{settings.state_dir}; name the folder of the service with --state-dir"
        )


@contextmanager
def _noted(settings: Processor, event: str, key_id: str) -> Iterator[KeyStore]:
    """Open the store for a change, of which the audit log has a line."""
    with (
        closing(open_audit(settings, settings.state_dir)) as audit,
        closing(KeyStore(settings.state_dir / FILE)) as store,
    ):
        result = "ok"
        try:
            yield store
        except Exception as error:
            result = f"{type(error).__name__}: {error}"
            raise
        finally:
            audit.record(
                Event(
                    event=event,
                    principal=_who(),
                    method="stellarrow keys",
                    address="",
                    target=key_id,
                    result=result,
                    request_id="",
                )
            )


def _who() -> str:
    return f"{getpass.getuser()} at the command line"


@command.command(short_help="Make a key.", epilog=_EXAMPLE + "create dashboard --role reader --expires 30d")
@click.argument("key_id")
@click.option(
    "--role", "roles", multiple=True, required=True, metavar="|".join(ROLES), help="May be repeated."
)
@click.option("--description", default="", help="What it is for.")
@click.option(
    "--expires", default=f"{DEFAULT_DAYS}d", metavar="SPAN", help=f"30d, 12h or never.  [{DEFAULT_DAYS}d]"
)
@click.option("--network", "networks", multiple=True, metavar="CIDR", help="From where; may be repeated.")
@state_options
def create(
    *,
    key_id: str,
    roles: Sequence[str],
    description: str,
    expires: str,
    networks: Sequence[str],
    config: str | None,
    state_dir: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it. It is shown once: only a digest is kept."""
    ends = None if expires == _NEVER else time.time() + read_span(expires, "--expires")
    with _noted(_settings(config, state_dir), "key created", key_id) as store:
        key, text = store.create(
            key_id,
            roles,
            created_by=_who(),
            description=description,
            expires_at=ends,
            allowed_networks=networks,
        )
    _show_new(key, text, as_json=as_json)


@command.command("list", short_help="List them.", epilog=_EXAMPLE + "list")
@state_options
def list_(config: str | None, state_dir: str | None, as_json: bool) -> None:
    """List the keys, revoked and expired ones too."""
    settings = _settings(config, state_dir)
    held: Sequence[ApiKey] = ()
    damaged: Sequence[str] = ()
    if (settings.state_dir / FILE).exists():
        with closing(KeyStore(settings.state_dir / FILE)) as store:
            held, damaged = store.entries(), store.damaged
    if as_json:
        say(json.dumps([to_dict(key) for key in held]))
    elif not held:
        say(f"there is no API key in {settings.state_dir}: stellarrow keys create NAME --role reader")
    else:
        _draw(held)
    if damaged:
        names = ", ".join(damaged)
        raise ConfigError(f"these keys are damaged and admit nobody: {names}; make them again")


def _draw(held: Sequence[ApiKey]) -> None:
    drawn = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("key", "roles", "state", "expires", "last used", "description"):
        drawn.add_column(heading, overflow="fold")
    for key in held:
        ends = (
            "never" if key.expires_at is None else f"{datetime.fromtimestamp(key.expires_at, UTC):%Y-%m-%d}"
        )
        cells = (key.key_id, ", ".join(key.roles), key.state(), ends, key.last_used or "-", key.description)
        drawn.add_row(*map(Text, cells))
    Page(highlight=False).print(drawn)


@command.command(short_help="Show all that is known of one.", epilog=_EXAMPLE + "show dashboard")
@click.argument("key_id")
@state_options
def show(key_id: str, config: str | None, state_dir: str | None, as_json: bool) -> None:
    """Show all that is known of a key; its text is known to nobody."""
    settings = _settings(config, state_dir)
    _require(settings, key_id)
    with closing(KeyStore(settings.state_dir / FILE)) as store:
        report = to_dict(store.get(key_id))
    say(json.dumps(report, indent=None if as_json else 2))


@command.command(short_help="Give one a new secret.", epilog=_EXAMPLE + "rotate dashboard --overlap 24h")
@click.argument("key_id")
@click.option("--overlap", default="24h", metavar="SPAN", help="How long the old one still works.  [24h]")
@state_options
def rotate(key_id: str, overlap: str, config: str | None, state_dir: str | None, as_json: bool) -> None:
    """Give a key a new secret and print it; the old one works for a while more."""
    settings = _settings(config, state_dir)
    _require(settings, key_id)
    with _noted(settings, "key rotated", key_id) as store:
        key, text = store.rotate(key_id, overlap=read_span(overlap, "--overlap"))
    _show_new(key, text, as_json=as_json)


@command.command(short_help="End one.", epilog=_EXAMPLE + "revoke dashboard")
@click.argument("key_id")
@state_options
def revoke(key_id: str, config: str | None, state_dir: str | None, as_json: bool) -> None:
    """End a key for good: calls with it are refused, streams with it end within seconds."""
    settings = _settings(config, state_dir)
    _require(settings, key_id)
    with _noted(settings, "key revoked", key_id) as store:
        key = store.revoke(key_id)
    say(json.dumps(to_dict(key)) if as_json else f"{key_id} is revoked")


def _show_new(key: ApiKey, text: str, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps({**to_dict(key), "api_key": text}))
        return
    say(text)
    say("keep it now: it is not shown again", err=True)
