"""Write a lake (SEP-54): the same ledgers make the same bytes, and only what it lacks is written."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from stellarrow.core.decode import Decoder
from stellarrow.core.framing import frame, sequences, split
from stellarrow.core.version import __version__
from stellarrow.errors import LedgerMissing, SinkError
from stellarrow.lake.layout import MANIFEST, Layout, manifest
from stellarrow.lake.reader import CHAIN_BEGINS, Lake
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.resilience import Guard
from stellarrow.pipeline.hash_chain import check_link
from stellarrow.pipeline.parallel import ordered
from stellarrow.protocols import Source
from stellarrow.storage.store import Store

_LEVEL: Final = 3  # of zstd; another level makes other bytes
_STORED: Final = 32 << 20  # bytes of stored ledgers on their way in
_PLAIN: Final = 256 << 20  # bytes of XDR on their way out
_UPLOADS: Final = 8  # at once: they wait for the store more than they work
_MARK: Final = 4  # bytes of a record mark (RFC 5531)


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the lake; `stored` is how many bytes were written, 0 where another writer was first."""

    ledgers: LedgerRange
    stored: int


@dataclass(frozen=True, slots=True)
class _Ledger:
    """One ledger's XDR, and what its header says."""

    sequence: int
    xdr: bytes
    closed_at: int
    protocol: int
    hash: str
    previous_hash: str


def packed(ledgers: Sequence[bytes]) -> bytes:
    """Return the bytes of a lake's file."""
    return frame(ledgers, "batch", compression_level=_LEVEL)


class LakeWriter:
    """Writes a lake laid out as the one that is there; where none is, as `layout` says.

    A new lake says whose it is once its first file is proven: before that, nothing is written.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        *,
        network: Network,
        layout: Layout | None = None,
        verify_chain: bool = True,
    ) -> None:
        self._store = store
        self._guard = guard
        self._network = network
        self._verify_chain = verify_chain
        self._lake = Lake(store, guard)
        self._beginning = threading.Lock()
        self._has_begun = False
        self.layout = self._agreed(layout)
        self._decode = Decoder(["ledgers"], network=network, verify_chain=verify_chain)

    def whole(self, ledgers: LedgerSet) -> LedgerSet:
        """Return those ledgers that make whole files."""
        return LedgerSet(filter(None, map(self._whole, ledgers)))

    def lacking(self, ledgers: LedgerSet) -> LedgerSet:
        """Return those ledgers that are not in the lake."""
        tip = self._lake.tip()
        held = LedgerSet()
        for part in ledgers:
            if tip is not None and tip >= part.first:
                held |= self._lake.held(LedgerRange(part.first, min(part.end, tip)))
        return ledgers - held

    def write(self, source: Source, ledgers: LedgerRange) -> Iterator[Written]:
        """Bring a range of whole files out of a source, and yield each as it is in the lake."""
        opened = ordered(
            source.read(ledgers),
            self._opened,
            workers=os.cpu_count() or 1,
            budget=_STORED,
            cost=lambda chunk: len(chunk.data),
        )
        with closing(opened):
            files = ordered(
                self._grouped(self._linked(opened, ledgers)),
                self._place,
                workers=_UPLOADS,
                budget=_PLAIN,
                cost=lambda file: sum(len(ledger.xdr) for ledger in file),
            )
            with closing(files):
                yield from files

    def _agreed(self, layout: Layout | None) -> Layout:
        """Return the layout of the lake that is there; where there is none, of the one to be made."""
        if self._lake.manifest() is None and (not self._lake.lists or self._lake.shown() is None):
            self._lake.begin(layout or Layout())
            return self._lake.layout()
        return self._checked(layout)

    def _checked(self, layout: Layout | None) -> Layout:
        """Return the layout of the lake that is there, which must be of this network and layout."""
        there, found = self._lake.network(), self._lake.layout()
        if there and there.passphrase != self._network.passphrase:
            raise SinkError(
                f"{self._store.where} is a lake of {there}, not of {self._network}: choose another place"
            )
        if layout and str(layout) != str(found):
            raise SinkError(
                f"{self._store.where} is a lake of {found}, not of {layout}: choose another place, or leave"
                " the layout to it"
            )
        return found

    def _begin(self) -> None:
        """Say whose lake this is; where another writer came first, it must be of the same."""
        with self._beginning:
            if self._has_begun:
                return
            if self._lake.manifest() is None:
                content = manifest(self.layout, self._network)
                self._guard.call("lake put", lambda: self._store.put(MANIFEST, content, {}))
                self._lake.begun()
                self._checked(self.layout)
            self._has_begun = True

    def _whole(self, part: LedgerRange) -> LedgerRange | None:
        """Return the whole files within a range."""
        first = self.layout.file(part.first)
        whole = part.first == first.first or (first.first == 0 and part.first <= CHAIN_BEGINS)
        start = part.first if whole else first.end + 1
        if part.last is None:
            return LedgerRange(start)
        last = self.layout.file(part.last)
        end = part.last if part.last == last.end else last.first - 1
        return LedgerRange(start, end) if end >= start else None

    def _opened(self, chunk: LedgerChunk) -> list[_Ledger]:
        """Take the wanted ledgers out of a chunk, proven."""
        batch = self._decode(chunk).tables["ledgers"]
        facts = {row["ledger_sequence"]: row for row in batch.to_pylist()}
        found = []
        for piece, framing in split([chunk.data], piece_bytes=1, place=chunk.where):
            sequence = sequences(piece, framing, place=chunk.where)[0]
            if row := facts.get(sequence):
                found.append(
                    _Ledger(
                        sequence,
                        piece[_MARK:],
                        int(row["closed_at"].timestamp()),
                        row["protocol_version"],
                        row["ledger_hash"],
                        row["previous_ledger_hash"],
                    )
                )
        return found

    def _linked(self, opened: Iterable[list[_Ledger]], wanted: LedgerRange) -> Iterator[_Ledger]:
        """Yield every ledger wanted; each must go on where the one before it ended."""
        due, before = wanted.first, self._hash_before(wanted.first)
        for ledger in (one for chunk in opened for one in chunk):
            if ledger.sequence != due:
                raise LedgerMissing(f"ledger {due} was due, but the source went on with {ledger.sequence}")
            if self._verify_chain and before:
                check_link(due, ledger.previous_hash, due - 1, before)
            due, before = due + 1, ledger.hash
            yield ledger

    def _hash_before(self, ledger: int) -> str | None:
        """Return the hash of the ledger before, where the lake has it."""
        data = self._lake.file(ledger - 1) if ledger and self._verify_chain else None
        if not data:
            return None
        chunk = LedgerChunk(data, "auto", ledger - 1, ledger - 1, self.layout.key(ledger - 1))
        return self._decode(chunk).run.last_hash

    def _grouped(self, ledgers: Iterable[_Ledger]) -> Iterator[list[_Ledger]]:
        group: list[_Ledger] = []
        for ledger in ledgers:
            group.append(ledger)
            if ledger.sequence == self.layout.file(ledger.sequence).end:
                yield group
                group = []

    def _place(self, ledgers: list[_Ledger]) -> Written:
        self._begin()
        first, last = ledgers[0], ledgers[-1]
        data = packed([ledger.xdr for ledger in ledgers])
        answer = self._metadata(first, last)
        key = self.layout.key(first.sequence)
        is_new = self._guard.call("lake put", lambda: self._store.put(key, data, answer))
        return Written(LedgerRange(first.sequence, last.sequence), len(data) if is_new else 0)

    def _metadata(self, first: _Ledger, last: _Ledger) -> dict[str, str]:
        """Return what is told of a file beside its bytes; what no header can carry is left out."""
        report = {
            "start-ledger": str(first.sequence),
            "end-ledger": str(last.sequence),
            "start-ledger-close-time": str(first.closed_at),
            "end-ledger-close-time": str(last.closed_at),
            "protocol-version": str(last.protocol),
            "network-passphrase": self._network.passphrase,
            "compression-type": "zstd",
            "version": f"stellarrow {__version__}",
        }
        return {name: value for name, value in report.items() if value.isascii() and value.isprintable()}
