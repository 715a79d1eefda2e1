"""`stellarrow doctor`: what is wrong, and how to fix it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Final

import click

from stellarrow import extras
from stellarrow.cli import diagnostics, production_findings, security_findings
from stellarrow.cli.diagnostics import Finding
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import config_option
from stellarrow.cli.shared_findings import shared_records
from stellarrow.config import Consumer, Extract, Processor, find_file, read
from stellarrow.errors import ConfigError
from stellarrow.net.credentials import SourceAccess
from stellarrow.storage.paths import local_path

_EXAMPLE = """\b
Example:
  stellarrow doctor ./lake --rpc https://host --to postgres://user@localhost/stellar"""
_MARKS: Final = {"ok": ("ok", "green"), "warning": ("look", "yellow"), "broken": ("BROKEN", "red")}


@click.command(short_help="Say what is wrong, and how to fix it.", epilog=_EXAMPLE)
@click.argument("sources", nargs=-1)
@click.option("--rpc", multiple=True, metavar="URL", help="RPC nodes; may be repeated.")
@click.option("--to", multiple=True, metavar="SINK", help="A sink; may be repeated.")
@click.option("--network", metavar="NAME", help="What they should be of; by name or passphrase.")
@click.option("--endpoint", metavar="URL", help="Where an S3-compatible store is.")
@click.option("--shared-state", metavar="URL", help="Where replicas are to share their sessions.")
@config_option
@click.option("--production", is_flag=True, help="Also what should be before it serves others all day.")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(
    *,
    sources: Sequence[str],
    rpc: Sequence[str],
    to: Sequence[str],
    network: str | None,
    endpoint: str | None,
    shared_state: str | None,
    config: str | None,
    production: bool,
    as_json: bool,
) -> int:
    """Check settings, reach every source and sink, measure them, and say what is wrong.

    Without any named, those of the settings are looked at. Nothing is changed anywhere; where replicas share
    their sessions, a record is written and removed. The exit code is 1 if something is broken.
    """
    file = find_file(config)
    locations = _locations(sources, rpc)
    sinks = list(to)
    if not locations and not sinks and not shared_state:
        locations, sinks, network = _settled(file, network)
        shared_state = _shared_state(file)
    found: list[Finding] = []
    looks = [_examined(file, locations, sinks, network, endpoint=endpoint, shared_state=shared_state)]
    if production:
        looks.append(production_findings.production(file, [*sinks, *_databases(file)]))
    for finding in chain.from_iterable(looks):
        found.append(finding)
        if not as_json:
            _tell(finding)
    broken = sum(finding.state == "broken" for finding in found)
    if as_json:
        say(json.dumps({"healthy": not broken, "findings": [asdict(finding) for finding in found]}))
    elif not (locations or shared_state):
        say("no source was looked at: name some, such as ./lake or --rpc https://host")
    return 1 if broken else 0


def _examined(
    file: Path | None,
    locations: Sequence[str],
    sinks: Iterable[str],
    network: str | None,
    *,
    endpoint: str | None,
    shared_state: str | None,
) -> Iterator[Finding]:
    yield diagnostics.installation()
    yield from diagnostics.settings(file)
    yield from security_findings.security(file)
    yield from diagnostics.sources(locations, network, endpoint, _access(file))
    for place in sinks:
        yield from diagnostics.sink(place)
    if shared_state:
        yield shared_records(shared_state)


def _databases(file: Path | None) -> list[str]:
    """Return where the consumer writes; wrong settings are told elsewhere."""
    try:
        settings = read(Consumer, file=file)
    except ConfigError:
        return []
    if extras.lacking("postgres") or not {"database_url", "db_host"} & settings.origins.keys():
        return []
    from stellarrow.services.consumer import database_url  # noqa: PLC0415  an extra

    return [database_url(settings)]


def _access(file: Path | None) -> SourceAccess | None:
    """Return what the settings say of credentials; wrong ones are told elsewhere."""
    try:
        return read(Extract, file=file).access
    except ConfigError:
        return None


def _locations(sources: Iterable[str], rpc: Iterable[str]) -> list[str]:
    """Take chains apart: each link is looked at by itself."""
    parts: list[str] = []
    for source in sources:
        parts += [source] if local_path(source).exists() else [*filter(None, source.split(","))]
    return parts + [url if url.startswith("rpc+") else f"rpc+{url}" for url in rpc]


def _settled(file: Path | None, network: str | None) -> tuple[list[str], list[str], str | None]:
    """Return what the settings name; wrong ones are told elsewhere."""
    try:
        settings = read(Extract, file=file)
    except ConfigError:
        return [], [], network
    sinks = list(settings.to) if "to" in settings.origins else []
    return _locations(filter(None, [settings.source]), settings.rpc), sinks, network or settings.network


def _shared_state(file: Path | None) -> str | None:
    try:
        return read(Processor, file=file).shared_state
    except ConfigError:
        return None


def _tell(finding: Finding) -> None:
    mark, colour = _MARKS[finding.state]
    measured = [
        *([f"{finding.latency_ms:.1f} ms"] if finding.latency_ms is not None else []),
        *([f"{finding.mb_per_s:,.0f} MB/s"] if finding.mb_per_s is not None else []),
    ]
    say(f"{mark:>6} ", fg=colour, nl=False)
    subject = "" if finding.message.startswith(finding.subject) else f"{finding.subject}: "
    say(f"{subject}{finding.message}" + (f" ({', '.join(measured)})" if measured else ""))
