"""A table as the lifecycle sees it: one listing of its files, and by when its ledgers closed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import between, chosen_columns
from stellarrow.errors import Damaged, LedgerMissing
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.sinks.files.departed import COMPRESSED, Departed, records_folder, suffix
from stellarrow.sinks.files.layout import MANIFEST, named_range, superseded, trusted
from stellarrow.sinks.files.listing import Listing, readable
from stellarrow.sinks.files.manifest import SUFFIX
from stellarrow.sinks.files.proof import held_files, proven_file
from stellarrow.storage.files import Found

_COLUMNS: Final = ("ledger_sequence", "closed_at")


@dataclass(frozen=True, slots=True)
class AgingTable:
    """A table's files by range, its entries, and the ranges that were archived or deleted."""

    listing: Listing
    files: dict[LedgerRange, list[Found]]
    entered: frozenset[LedgerRange]
    departed: Departed
    compressed: frozenset[LedgerRange]
    times: CloseTimes = field(repr=False)
    replaced: frozenset[LedgerRange] = frozenset()  # within a wider one: a merge came to remove them not yet

    @classmethod
    def look(cls, listing: Listing) -> AgingTable:
        """List a table once."""
        shape = listing.shape
        files: dict[LedgerRange, list[Found]] = {}
        entered = set()
        for file in listing.store.list(shape.folder, deep=True):
            folder = file.path.removeprefix(f"{shape.folder}/").rpartition("/")[0]
            if folder == MANIFEST and (ledgers := named_range(file.path, SUFFIX)):
                entered.add(ledgers)
            elif (ledgers := named_range(file.path, *shape.format.suffixes)) and (
                ("=" in folder and "/" not in folder) if shape.partition else not folder
            ):
                files.setdefault(ledgers, []).append(file)
        parts = frozenset(entered if shape.partition else files)
        times = CloseTimes.of_rows(LedgerSet(parts), _Rows(listing, parts).read, name=str(listing))
        replaced = frozenset(superseded({*files, *entered}))
        records = listing.store.list(records_folder(shape.folder))
        found = (named_range(file.path, suffix(COMPRESSED)) for file in records)
        compressed = frozenset(one for one in found if one)
        return cls(listing, files, frozenset(entered), Departed.of(records), compressed, times, replaced)

    @property
    def name(self) -> str:
        return self.listing.shape.folder

    @property
    def parts(self) -> frozenset[LedgerRange]:
        """The ranges that count."""
        return self.entered if self.listing.shape.partition else frozenset(self.files)

    def size(self, ledgers: LedgerRange) -> int:
        """Return how many bytes the files of a range have."""
        return sum(file.bytes for file in self.files.get(ledgers, ()))


class _Rows:
    """Reads when ledgers closed from a listing made once: a look opens the files of one range, or few."""

    def __init__(self, listing: Listing, parts: frozenset[LedgerRange]) -> None:
        self._listing = listing
        self._parts = [*trusted(parts)]
        self._firsts = [due.first for _, due in self._parts]

    def read(self, wanted: LedgerRange) -> Iterator[pa.RecordBatch]:
        at = max(0, bisect_right(self._firsts, wanted.first) - 1)
        while at < len(self._parts) and self._firsts[at] <= wanted.end:
            held, due = self._parts[at]
            for both in LedgerSet([due]) & LedgerSet([wanted]):
                with suppress(Damaged):  # the files beside it tell, and the step that is due tells of it
                    yield from moments(self._listing, held, both)
            at += 1


def moments(listing: Listing, held: LedgerRange, due: LedgerRange) -> Iterator[pa.RecordBatch]:
    """Yield ledger_sequence and closed_at of a range's rows, proven; nothing of a table without these."""
    if not {*_COLUMNS} <= {*listing.shape.schema.names}:
        return
    for kept in held_files(listing, held):
        path = f"{listing.shape.folder}/{kept.path}"
        with readable(listing.store, path), proven_file(listing, held, kept) as file:
            for rows in listing.shape.format.read(file, listing.shape.schema, _COLUMNS):
                yield between(rows, due)


class Ages:
    """Which ledgers had closed by a moment, asked of the table of ledgers first: it has a row of each."""

    def __init__(self, tables: Sequence[AgingTable]) -> None:
        self._clocks = {
            one.listing.shape.facts["network"]: one
            for one in tables
            if one.listing.shape.facts["table"] == "ledgers" and one.parts
        }
        self._known: dict[tuple[str, int], int | None] = {}

    def closed_by(self, table: AgingTable, second: int) -> int | None:
        """Return the last ledger that is known to have closed; None where none is."""
        clock = self._clocks.get(table.listing.shape.facts["network"])
        known = [self._asked(clock, second)] if clock else []
        can_tell = _COLUMNS[1] in table.listing.shape.schema.names
        if clock is None or (can_tell and LedgerSet(table.parts) - LedgerSet(clock.parts)):
            known.append(self._asked(table, second))
        return max((one for one in known if one is not None), default=None)

    def _asked(self, table: AgingTable, second: int) -> int | None:
        key = table.name, second
        if key not in self._known:
            self._known[key] = None
            if table.parts:
                chosen_columns(table.listing.shape.schema, _COLUMNS, table.listing)
                with suppress(LedgerMissing):  # it has no row that tells
                    self._known[key] = table.times.closed_by(second)
        return self._known[key]
