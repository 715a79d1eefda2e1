"""What was seen of ledgers that were looked at, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow.compute as pc

from stellarrow.cli.output import events, formatting
from stellarrow.core.close_time import close_time
from stellarrow.core.decode import Decoder, decode
from stellarrow.core.framing import sequences, split
from stellarrow.core.projection import Batches
from stellarrow.core.tables import tables
from stellarrow.errors import NetworkMismatch
from stellarrow.ledgers import KNOWN_NETWORKS, LedgerChunk, Network

_EVENTS: Final = 5
_MARK: Final = 4  # bytes before a record (RFC 5531)


@dataclass(slots=True)
class Findings:
    """What was seen so far; without a network, headers alone are read."""

    network: Network | None
    stored: int = 0
    framing: str = ""
    size: int = 0
    count: int = 0
    transactions: int = 0
    successful: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    is_sorted: bool = True
    _lowest: int = 0
    _highest: int = 0
    _seen: set[tuple[object, object]] = field(default_factory=set)

    @property
    def span(self) -> str:
        """How many ledgers, and which."""
        if self.count == 1:
            return str(self.first["ledger_sequence"])
        if not self.is_sorted:
            return f"{formatting.count(self.count)}, between {self._lowest} and {self._highest}, not in order"
        holes = self._highest - self._lowest + 1 - self.count
        missing = f", {formatting.count(holes)} between them missing" if holes > 0 else ""
        return f"{formatting.count(self.count)}, from {self._lowest} to {self._highest}{missing}"

    def to_dict(self) -> dict[str, Any]:
        """Return what was seen as programs read it."""
        closed = [formatting.instant(one["closed_at"]) if one else None for one in (self.first, self.last)]
        return {
            "stored_bytes": self.stored or None,
            "framing": self.framing or None,
            "xdr_bytes": self.size,
            "ledgers": self.count,
            "first": self._lowest if self.count else None,
            "last": self._highest if self.count else None,
            "sorted": self.is_sorted,
            "closed_at": closed[0],
            "last_closed_at": closed[1],
            "network": self.network.passphrase if self.network else None,
            "protocol": self.first.get("protocol_version"),
            "last_hash": self.last.get("ledger_hash"),
            "transactions": self.transactions,
            "successful_transactions": self.successful,
            "rows": self.rows,
            "events": self.events,
        }

    def add(self, chunk: LedgerChunk, *, is_whole: bool = False) -> None:
        """Look at a chunk: at the ledgers it is of, or at all in it where it `is_whole`."""
        if self.network is None:
            self.network = _proved(chunk)
        if self.network is None:
            self._add_headers(chunk)
        else:
            self._add_rows(_decoded(chunk, self.network, is_whole=is_whole))

    def _add_rows(self, batches: Batches) -> None:
        ledgers = batches["ledgers"]
        if not ledgers.num_rows:
            return
        self.first = self.first or ledgers.slice(0, 1).to_pylist()[0]
        self.last = ledgers.slice(ledgers.num_rows - 1).to_pylist()[0]
        self._count(ledgers.column("ledger_sequence").to_pylist())
        self.size += pc.sum(ledgers.column("size_bytes")).as_py()
        self.transactions += pc.sum(ledgers.column("transaction_count")).as_py()
        self.successful += pc.sum(ledgers.column("successful_transaction_count")).as_py()
        for name, batch in batches.items():
            self.rows[name] = self.rows.get(name, 0) + batch.num_rows
        self.events += events.in_words(batches["contract_events"], _EVENTS, seen=self._seen)

    def _add_headers(self, chunk: LedgerChunk) -> None:
        for piece, framing in split([chunk.data], piece_bytes=1, place=chunk.where):
            number = sequences(piece, framing, place=chunk.where)[0]
            closed = close_time(piece[_MARK:], place=f"ledger {number} in {chunk.where}")
            self.last = {"ledger_sequence": number, "closed_at": datetime.fromtimestamp(closed, UTC)}
            self.first = self.first or self.last
            self.size += len(piece) - _MARK
            self._count([number])

    def _count(self, numbers: list[int]) -> None:
        for number in numbers:
            if self.count and number <= self._highest:
                self.is_sorted = False
            self._lowest = min(self._lowest, number) if self.count else number
            self._highest = max(self._highest, number)
            self.count += 1


def _decoded(chunk: LedgerChunk, network: Network, *, is_whole: bool) -> Batches:
    names = list(dict.fromkeys(table.name for table in tables()))
    if is_whole:
        return decode(chunk.data, names, network=network, framing=chunk.framing, verify_chain=False)
    return Batches(Decoder(names, network=network, verify_chain=False)(chunk).tables)


def _proved(chunk: LedgerChunk) -> Network | None:
    """Find the network whose passphrase the transactions' hashes prove."""
    for network in KNOWN_NETWORKS:
        try:
            decode(chunk.data, ["ledgers"], network=network, framing=chunk.framing, verify_chain=False)
        except NetworkMismatch:
            continue
        return network
    return None
