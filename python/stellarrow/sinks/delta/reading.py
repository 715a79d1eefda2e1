"""What a place of Delta tables holds, whoever merged their files: tables, their ledgers, their rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import tables
from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.delta.book import read_coverage
from stellarrow.sinks.delta.log import DeltaLog
from stellarrow.sinks.files.proof import rows_by_ledger
from stellarrow.sinks.files.signed import signed
from stellarrow.sinks.lakehouse.coverage import STRIDE, Coverage, stride_of
from stellarrow.sinks.lakehouse.rows import HeldFile, in_order
from stellarrow.storage.files import FileStore, Gone
from stellarrow.storage.irregular import Irregular

_CHANCES: Final = 5  # to read rows whose files are merged and removed meanwhile
_LEDGER: Final = "ledger_sequence"
_BLOCK: Final = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class HeldDelta:
    """A table that is there; `network` is a passphrase."""

    log: DeltaLog = field(repr=False, compare=False)
    coverage: Coverage

    @property
    def name(self) -> str:
        return self.coverage.making.table

    @property
    def version(self) -> str:
        return self.coverage.making.schema_version

    @property
    def network(self) -> str:
        return self.coverage.making.network

    @property
    def ledgers(self) -> LedgerSet:
        return self.coverage.ledgers

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""
        return self.coverage.making.columns()

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order; none twice, where files are merged meanwhile."""
        known = self.schema
        wanted = pa.schema([known.field(name) for name in columns])
        names = list(dict.fromkeys([*columns, _LEDGER]))
        begin = ledgers.first
        for chance in reversed(range(_CHANCES)):
            try:
                for rows in self._rows(names, LedgerRange(begin, ledgers.end)):
                    last = rows.column(_LEDGER)[-1].as_py()
                    yield rows.select(list(columns)).cast(wanted)
                    begin = last + 1  # pieces are of whole ledgers
                return
            except Gone:
                if not chance or begin > ledgers.end:
                    raise
                self.log.refresh()

    def _rows(self, names: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        return in_order(self.log.snapshot.held(), self._open, signed(self.schema), names, ledgers)

    def _open(self, path: str) -> pa.NativeFile:
        return self.log.store.read(f"{self.log.folder}/{path}")

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count what files hold, and compare with how many rows were written of each hundred thousand."""
        for first in sorted({stride_of(part.first) for part in ledgers.windows(STRIDE)} | _ends(ledgers)):
            yield self._counted(LedgerRange(first, first + STRIDE - 1))

    def _counted(self, part: LedgerRange) -> RowCounts:
        rows: Counter[int] = Counter()
        wrong, why = LedgerSet(), list[SinkError]()
        columns = self.schema.names  # all of them, so that every page's checksum is compared
        for one in self.log.snapshot.held():
            try:
                rows += self._rows_of(one, columns, part)
            except (Damaged, Gone, Irregular) as error:
                why.append(_told(self.log.where, error))
                wrong |= LedgerSet([LedgerRange(one.first, one.last)])
        found, due = sum(rows.values()), self.coverage.rows.get(part.first, 0)
        if not why and (found != due or LedgerSet.of(rows) - self.ledgers):
            wrong = LedgerSet([part])
            why = [Damaged(f"{self.log.where} has {found} rows of ledgers {part}, and {due} were written")]
        return RowCounts(part, rows, why[0] if why else None, wrong & self.ledgers)

    def _rows_of(self, one: HeldFile, columns: Sequence[str], part: LedgerRange) -> Counter[int]:
        rows: Counter[int] = Counter()
        if one.sha256:
            self._compare(one)
        for batch in in_order([one], self._open, signed(self.schema), columns, part):
            rows += rows_by_ledger(batch)
        found = sum(rows.values())
        if one.first in part and one.last in part and found != one.rows:
            raise Damaged(f"{self.log.where}/{one.path} has {found} rows, and its log says {one.rows}")
        return rows

    def _compare(self, one: HeldFile) -> None:
        """Compare a file's bytes with its entry."""
        digest = hashlib.sha256()
        with self._open(one.path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != one.sha256:
            raise Damaged(f"{self.log.where}/{one.path} has not the bytes that were written")


def _ends(ledgers: LedgerSet) -> set[int]:
    return {stride_of(part.end) for part in ledgers.windows(STRIDE)}


def _told(where: str, error: SinkError) -> SinkError:
    if isinstance(error, Gone):
        return Damaged(f"{where} has lost a file ({error})")
    return error


def held_tables(store: FileStore) -> list[HeldDelta]:
    """Return the tables of a place, sorted."""
    found = []
    for name in sorted({one.name for one in tables()}):
        log = DeltaLog(store, name)
        if coverage := read_coverage(log):
            found.append(HeldDelta(log, coverage))
    return found
