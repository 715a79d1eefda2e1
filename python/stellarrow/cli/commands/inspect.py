"""`stellarrow inspect`: what lies in a file, or wherever ledgers come from."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import click
from rich.table import Table
from rich.text import Text

from stellarrow import registry
from stellarrow.cli.options import list_option
from stellarrow.cli.output import formatting
from stellarrow.cli.output.findings import Findings
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.core.framing import framing, split
from stellarrow.errors import ConfigError, LedgerMissing, SourceError
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline import loop
from stellarrow.protocols import Measured, Named, Source
from stellarrow.sinks.files.dataset import is_extracted
from stellarrow.sources.files import FileSource
from stellarrow.sources.stdin import StdinSource
from stellarrow.storage.paths import local_path

_HEAD: Final = 64 << 20  # a file up to this size is read at once to tell its framing
_BLOCK: Final = 1 << 20
_PIECE: Final = 8 << 20
_WHOLE: Final = 64 << 20  # what a source stores up to this size is read whole
_NEWEST: Final = 20  # ledgers that are read of more than that, and of what tells no size


@click.command(
    short_help="Say what a file, a lake or any other source of ledgers holds.",
    epilog="\b\nExamples:\n  stellarrow inspect FCD285FF--53312000.xdr.zstd\n"
    "  stellarrow inspect s3://aws-public-blockchain/v1.1/stellar/ledgers/pubnet --ledgers latest",
)
@click.argument("source", required=False)
@click.option("--rpc", multiple=True, metavar="URL", help="RPC nodes: alone, or from where SOURCE ends.")
@list_option("--ledgers", metavar="RANGES", help="Which to read; all where they are few, else the newest.")
@click.option("--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.")
@click.option("--endpoint", metavar="URL", help="The S3-compatible store SOURCE is in.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    source: str | None,
    rpc: tuple[str, ...],
    ledgers: str | None,
    network: str | None,
    endpoint: str | None,
    as_json: bool,
) -> None:
    """Say what lies in SOURCE: framing, ledgers, transactions, rows a table, a few events in words.

    SOURCE is a file, or whatever extract takes: a folder, a glob, a URL, - for stdin, LAKE,RPC.
    """
    if source:
        _check_holds_ledgers(source)
        path = local_path(source)
        if ledgers is None and path.is_file() and not rpc:
            _tell(str(path), _of_file(path, network), as_json=as_json)
            return
    with closing(registry.open_source(source, rpc=rpc, network=network, endpoint=endpoint)) as opened:
        held = _available(opened, ledgers)
        found = Findings(registry.find_network(opened, network) if network else opened.network())
        wanted = _wanted(opened, held, ledgers)
        if ledgers is not None and not wanted:
            raise LedgerMissing(
                f"the source has no ledger of {ledgers!r}: it has {formatting.ranges(held) or 'none'}"
            )
        if held and isinstance(opened, Measured):
            found.stored = opened.stored_bytes(wanted)
        for part in wanted:
            for chunk in opened.read(part):
                found.add(chunk)
        name = opened.name if isinstance(opened, Named) else source or ""
    _tell(redacted_url(name), found, held, as_json=as_json)


def _tell(place: str, found: Findings, held: LedgerSet | None = None, *, as_json: bool) -> None:
    if as_json:
        there = None if held is None else str(held)
        say(json.dumps({"source": place, "held": there, **found.to_dict()}))
    else:
        _show(place, _facts(found, held))


def _check_holds_ledgers(source: str) -> None:
    """Refuse what keeps tables: another command looks at those."""
    kind = source.partition(":")[0]
    is_place = "://" in source or not local_path(source).exists()
    is_sink = ":" in source and is_place and kind in registry.sinks() and kind not in registry.sources()
    if is_sink or is_extracted(local_path(source)):
        shown = redacted_url(source)
        raise ConfigError(f"{shown} keeps tables, no ledgers: stellarrow coverage {shown} says what it holds")


def _of_file(file: Path, network: str | None) -> Findings:
    """Read one file as it lies, whatever the order of its ledgers."""
    stored = file.stat().st_size
    if not stored:
        raise SourceError(f"{file} is empty: fetch it again")
    named = Network.of(network) if network else FileSource(file).network()
    found = Findings(named, stored=stored, framing=_framing(file, stored))
    for piece, pieces_framing in split(_blocks(file), piece_bytes=_PIECE, place=str(file)):
        found.add(LedgerChunk(piece, pieces_framing, 0, 0, str(file)), is_whole=True)
    return found


def _available(source: Source, ledgers: str | None) -> LedgerSet:
    """Return what a source has; one that cannot tell is asked for what is named."""
    try:
        return source.available()
    except (ConfigError, SourceError):
        if ledgers is None:
            raise
        return LedgerSet()


def _wanted(source: Source, held: LedgerSet, ledgers: str | None) -> LedgerSet:
    """Return what to read: what is named, all that is little, or the newest."""
    if ledgers is not None:
        wanted = loop.wanted_ledgers(source, ledgers)
        if not loop.is_open(wanted):
            return wanted
        newest = held.last if held and not loop.is_open(held) else wanted.ranges[-1].first + _NEWEST - 1
        return wanted & LedgerSet([LedgerRange(0, newest)])
    if loop.is_open(held) and not isinstance(source, StdinSource):
        raise ConfigError("the source does not tell its last ledger: name the ledgers to read with --ledgers")
    if not held or loop.is_open(held):
        return held  # a pipe ends by itself
    if isinstance(source, Measured) and source.stored_bytes(held) <= _WHOLE:
        return held
    return held & LedgerSet([LedgerRange(max(held.first, held.last - _NEWEST + 1), held.last)])


def _framing(file: Path, stored: int) -> str:
    if stored > _HEAD:
        return "stream"
    with file.open("rb") as opened:
        return framing(opened.read(), place=str(file))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as opened:
        while block := opened.read(_BLOCK):
            yield block


def _show(place: str, facts: Iterator[tuple[str, str]]) -> None:
    drawn = Table.grid(padding=(0, 2))
    drawn.add_column(style="bold")
    for name, answer in facts:
        drawn.add_row(name, answer)
    console = Page(width=None if sys.stdout.isatty() else 120)
    console.print(Text(place, style="bold"), soft_wrap=True)
    console.print(drawn, highlight=False)


def _facts(found: Findings, held: LedgerSet | None = None) -> Iterator[tuple[str, str]]:
    stored = [formatting.size(found.stored)] if found.stored else []
    how = [", ".join(filter(None, (*stored, found.framing)))] if stored or found.framing else []
    yield "stored", "; ".join((*how, f"{formatting.size(found.size)} of XDR"))
    first, last = found.first, found.last
    is_part = held is not None and held and not loop.is_open(held) and held.count > found.count
    if held and is_part:
        yield "ledgers", f"{formatting.count(held.count)}, {_span(held)}"
    if not first:
        yield "looked at" if is_part else "ledgers", "none"
        return
    yield "looked at" if is_part else "ledgers", found.span
    yield (
        "closed",
        formatting.instant(first["closed_at"])
        + (f" to {formatting.instant(last['closed_at'])}" if last is not first and last != first else ""),
    )
    if found.network is None:
        yield "network", "none that is known by name: give --network with the passphrase to see more"
        return
    yield "protocol", f"{first['protocol_version']}, meta V{first['meta_version']}"
    yield "last hash", str(last["ledger_hash"])
    yield "network", f"{found.network}" + ("" if found.transactions else " (no transaction proves it)")
    yield (
        "transactions",
        f"{formatting.count(found.transactions)}, {formatting.count(found.successful)} successful",
    )
    yield "rows", formatting.columns(found.rows)
    for number, line in enumerate(found.events):
        yield "" if number else "events", line


def _span(ledgers: LedgerSet) -> str:
    if len(ledgers.ranges) == 1:
        return f"from {ledgers.first} to {ledgers.last}"
    return formatting.ranges(ledgers)
