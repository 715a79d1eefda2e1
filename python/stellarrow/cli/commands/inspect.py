"""`stellarrow inspect`: what lies in a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click
import pyarrow.compute as pc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stellarrow.cli.options import LocalPath
from stellarrow.cli.output import events, formatting
from stellarrow.core.decode import decode
from stellarrow.core.framing import framing, split
from stellarrow.core.projection import Batches
from stellarrow.core.tables import tables
from stellarrow.errors import ConfigError, NetworkMismatch, SourceError
from stellarrow.ledgers import KNOWN_NETWORKS, Network
from stellarrow.sources.files import FileSource

_HEAD: Final = 64 << 20  # a file up to this size is read at once to tell its framing
_BLOCK: Final = 1 << 20
_PIECE: Final = 8 << 20
_EVENTS: Final = 5


@dataclass(slots=True)
class _Found:
    """What was seen so far."""

    stored: int
    framing: str
    network: Network | None
    size: int = 0
    transactions: int = 0
    successful: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    first: dict[str, object] = field(default_factory=dict)
    last: dict[str, object] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    seen: set[tuple[object, object]] = field(default_factory=set)

    def add(self, batches: Batches) -> None:
        ledgers = batches["ledgers"]
        if not ledgers.num_rows:
            return
        self.first = self.first or ledgers.slice(0, 1).to_pylist()[0]
        self.last = ledgers.slice(ledgers.num_rows - 1).to_pylist()[0]
        self.size += pc.sum(ledgers.column("size_bytes")).as_py()
        self.transactions += pc.sum(ledgers.column("transaction_count")).as_py()
        self.successful += pc.sum(ledgers.column("successful_transaction_count")).as_py()
        for name, batch in batches.items():
            self.rows[name] = self.rows.get(name, 0) + batch.num_rows
        self.events += events.in_words(batches["contract_events"], _EVENTS, seen=self.seen)


@click.command(
    short_help="Say what a file of ledgers holds.",
    epilog="\b\nExample:\n  stellarrow inspect FCD285FF--53312000.xdr.zstd",
)
@click.argument("file", type=LocalPath(exists=True, dir_okay=False))
@click.option("--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.")
def command(file: Path, network: str | None) -> None:
    """Say what lies in FILE: framing, ledgers, transactions, rows a table, a few events in words."""
    stored = file.stat().st_size
    if not stored:
        raise SourceError(f"{file} is empty: fetch it again")
    named = Network.of(network) if network else FileSource(file).network()
    found = _Found(stored, _framing(file, stored), named)
    names = list(dict.fromkeys(table.name for table in tables()))
    for piece, pieces_framing in split(_blocks(file), piece_bytes=_PIECE, place=str(file)):
        if found.network is None:
            found.network = _proved(piece, pieces_framing)
        found.add(decode(piece, names, network=found.network, framing=pieces_framing, verify_chain=False))
    _show(file, found)


def _framing(file: Path, stored: int) -> str:
    if stored > _HEAD:
        return "stream"
    with file.open("rb") as opened:
        return framing(opened.read(), place=str(file))


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb", buffering=0) as opened:
        while block := opened.read(_BLOCK):
            yield block


def _proved(piece: bytes, pieces_framing: str) -> Network:
    """Find the network whose passphrase the transactions' hashes prove."""
    for network in KNOWN_NETWORKS:
        try:
            decode(piece, ["ledgers"], network=network, framing=pieces_framing, verify_chain=False)
        except NetworkMismatch:
            continue
        return network
    raise ConfigError("the ledgers are of no network known by name: give --network with the passphrase")


def _show(file: Path, found: _Found) -> None:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    for name, answer in _facts(found):
        facts.add_row(name, answer)
    console = Console()
    console.print(Text(str(file), style="bold"), soft_wrap=True)
    console.print(facts, highlight=False)


def _facts(found: _Found) -> Iterator[tuple[str, str]]:
    first, last = found.first, found.last
    yield "stored", f"{formatting.size(found.stored)}, {found.framing}; {formatting.size(found.size)} of XDR"
    if not first:
        yield "ledgers", "none"
        return
    span = str(first["ledger_sequence"])
    if found.rows["ledgers"] > 1:
        span = f"{formatting.count(found.rows['ledgers'])}, from {span} to {last['ledger_sequence']}"
    yield "ledgers", span
    yield (
        "closed",
        f"{first['closed_at']:%Y-%m-%d %H:%M:%S} UTC"
        + (f" to {last['closed_at']:%Y-%m-%d %H:%M:%S} UTC" if last is not first and last != first else ""),
    )
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
