"""Rows of each ledger of a table, counted in its files and compared with what was written."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.files.proof import rows_by_ledger
from stellarrow.sinks.lakehouse.coverage import STRIDE, Coverage, stride_of
from stellarrow.sinks.lakehouse.rows import HeldFile, Opener, in_order
from stellarrow.storage.files import Gone
from stellarrow.storage.irregular import Irregular

_BLOCK: Final = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Counting:
    """A table to count: what people call it, its files, how one is opened, and its columns in them."""

    where: str
    coverage: Coverage
    files: Sequence[HeldFile]
    open_file: Opener
    schema: pa.Schema

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Yield counts of each hundred thousand ledgers that has any of these, and what is wrong there."""
        strides = {stride_of(end) for part in ledgers.windows(STRIDE) for end in (part.first, part.end)}
        for first in sorted(strides):
            yield self._counted(LedgerRange(first, first + STRIDE - 1))

    def _counted(self, part: LedgerRange) -> RowCounts:
        rows: Counter[int] = Counter()
        wrong, why = LedgerSet(), list[SinkError]()
        for one in self.files:
            if one.first > part.end or part.first > one.last:
                continue
            try:
                rows += self._rows_of(one, part)
            except (Damaged, Gone, Irregular) as error:
                why.append(error)
                wrong |= LedgerSet([LedgerRange(one.first, one.last)])
        found, due = sum(rows.values()), self.coverage.rows.get(part.first, 0)
        if not why and (found != due or LedgerSet.of(rows) - self.coverage.ledgers):
            wrong = LedgerSet([part])
            why = [Damaged(f"{self.where} has {found} rows of ledgers {part}, and {due} were written")]
        return RowCounts(part, rows, why[0] if why else None, wrong & self.coverage.ledgers)

    def _rows_of(self, one: HeldFile, part: LedgerRange) -> Counter[int]:
        """Count a file's rows; all columns are read, so that every page's checksum is compared."""
        if one.sha256:
            self._compare(one)
        rows: Counter[int] = Counter()
        for batch in in_order([one], self.open_file, self.schema, self.schema.names, part):
            rows += rows_by_ledger(batch)
        found = sum(rows.values())
        if one.first in part and one.last in part and found != one.rows:
            raise Damaged(f"{one.path} of {self.where} has {found} rows, and its entry says {one.rows}")
        return rows

    def _compare(self, one: HeldFile) -> None:
        """Compare a file's bytes with its entry."""
        digest = hashlib.sha256()
        with self.open_file(one.path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        if digest.hexdigest() != one.sha256:
            raise Damaged(f"{one.path} of {self.where} has not the bytes that were written")
