"""What a place of Delta tables holds, whoever merged their files: tables, their ledgers, their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import folder_of, tables
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.delta import typed_tables
from stellarrow.sinks.delta.book import read_coverage
from stellarrow.sinks.delta.log import DeltaLog
from stellarrow.sinks.lakehouse.counting import Counting
from stellarrow.sinks.lakehouse.coverage import Coverage
from stellarrow.sinks.lakehouse.held import Held
from stellarrow.sinks.lakehouse.rows import in_order
from stellarrow.storage.files import FileStore, Gone

_CHANCES: Final = 5  # to read rows whose files are merged and removed meanwhile
_LEDGER: Final = "ledger_sequence"


@dataclass(frozen=True, slots=True)
class HeldDelta(Held):
    """A table that is there."""

    log: DeltaLog = field(repr=False, compare=False)
    coverage: Coverage

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order; none twice, where files are merged meanwhile."""
        known = self.schema
        chosen_columns(known, columns, self.log.where)
        stored = self.stored
        asked = stored.names(columns)
        names = list(dict.fromkeys([*asked, _LEDGER]))
        begin = ledgers.first
        for chance in reversed(range(_CHANCES)):
            try:
                for rows in self._rows(names, LedgerRange(begin, ledgers.end)):
                    last = rows.column(_LEDGER)[-1].as_py()
                    yield stored.back(rows.select(asked), columns)
                    begin = last + 1  # pieces are of whole ledgers
                return
            except Gone:
                if not chance or begin > ledgers.end:
                    raise
                self.log.refresh()

    def _rows(self, names: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        return in_order(self.log.snapshot.held(), self._open, self.stored.stored, names, ledgers)

    def _open(self, path: str) -> pa.NativeFile:
        return self.log.store.read(f"{self.log.folder}/{path}")

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count what files hold, and compare with how many rows were written of each hundred thousand."""
        files, schema = self.log.snapshot.held(), self.stored.stored
        return Counting(self.log.where, self.coverage, files, self._open, schema).row_counts(ledgers)


def held_tables(store: FileStore) -> list[HeldDelta]:
    """Return the tables of a place, sorted."""
    plain = _held(store, sorted({one.name for one in tables()}))
    return [*plain, *held_typed(store)]


def held_typed(store: FileStore) -> list[HeldDelta]:
    """Return contracts' own tables of a place, sorted."""
    return _held(store, typed_tables.names(store))


def _held(store: FileStore, names: Iterable[str]) -> list[HeldDelta]:
    logs = (DeltaLog(store, folder_of(name)) for name in names)
    return [HeldDelta(log, coverage) for log in logs if (coverage := read_coverage(log))]
