"""Taking ledgers out of a Delta table, so that the next extract writes them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import folder_of
from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.delta.book import coverage_path, number_of, read_coverage
from stellarrow.sinks.delta.log import DeltaLog, add, removals
from stellarrow.sinks.delta.snapshot import APP, Action, held_file
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.runs import Runs
from stellarrow.sinks.lakehouse.coverage import STRIDE, Coverage, stride_of
from stellarrow.sinks.lakehouse.data_file import DataFile, Written
from stellarrow.sinks.lakehouse.rows import HeldFile, in_order
from stellarrow.storage.files import FileStore, Gone

_TURNS: Final = 20
_LEDGER: Final = pa.schema([("ledger_sequence", pa.int64())])


def forget(store: FileStore, name: str, ledgers: LedgerSet) -> LedgerSet:
    """Take rows of ledgers out of a table, and that they are covered, in one commit; return which.

    Files that cannot be read leave the table whole, and with them all ledgers they may hold rows of.
    """
    log = DeltaLog(store, folder_of(name))
    for _ in range(_TURNS):
        coverage = read_coverage(log)
        if coverage is None:
            return LedgerSet()
        due = ledgers & coverage.ledgers
        if not due or _Forgetting(log, coverage).forget(due):
            return due
    raise SinkError(f"{log.where} changes faster than ledgers can be taken out: stop its writers first")


@dataclass(frozen=True, slots=True)
class _Forgetting:
    log: DeltaLog
    coverage: Coverage

    def forget(self, due: LedgerSet) -> bool:
        touched, due = self._touched(due)
        schema = self.coverage.stored.stored
        sound = [one for one in touched.values() if self._is_sound(one)]
        kept = self._rest(sound, due, schema)
        entries = self.log.snapshot.files
        actions: list[Action] = removals([entries[path] for path in touched], is_new=True)
        placed = []
        try:
            rows = self._counted(due, sound, touched)
            if kept:
                name = f"part-{due.first:010d}-{due.last:010d}-{token_hex(8)}.parquet"
                kept.upload.place(f"{self.log.folder}/{name}")
                placed.append(f"{self.log.folder}/{name}")
                actions.append(add(name, kept))
        finally:
            if kept:
                kept.upload.discard()
        return self._commit(due, rows, actions, placed)

    def _counted(
        self, due: LedgerSet, sound: Sequence[HeldFile], touched: Mapping[str, HeldFile]
    ) -> Counter[int]:
        """Count the rows that stay, in the strides of ledgers out of which some go."""
        strides = {stride_of(ledger) for part in due.windows(STRIDE) for ledger in (part.first, part.end)}
        paths = {one.path for one in touched.values()}
        others = [one for one in self.log.snapshot.held() if one.path not in paths]
        rows = Counter({one: count for one, count in self.coverage.rows.items() if one not in strides})
        for first in strides:
            for part in LedgerSet([LedgerRange(first, first + STRIDE - 1)]) - due:
                for batch in in_order([*sound, *others], self._open, _LEDGER, _LEDGER.names, part):
                    rows[first] += batch.num_rows
        return rows

    def _commit(
        self, due: LedgerSet, rows: Counter[int], actions: Sequence[Action], placed: Sequence[str]
    ) -> bool:
        text = self.coverage.shrunk(due, {stride: count for stride, count in rows.items() if count}).encode()
        number, before = number_of(text), self.log.snapshot.coverage
        self.log.put(coverage_path(self.log.folder, number), text)
        transaction: Action = {"txn": {"appId": APP, "version": number}}
        landed = self.log.commit("DELETE", [transaction, *actions], ledgers=str(due))
        if not landed:
            landed = self.log.refresh().coverage == number
        gone = before if landed else number
        self.log.store.remove([coverage_path(self.log.folder, gone or 0), *([] if landed else placed)])
        return landed

    def _touched(self, due: LedgerSet) -> tuple[dict[str, HeldFile], LedgerSet]:
        """Return the files that hold some of these ledgers, and the ledgers with those of files unread."""
        held = {path: held_file(self.log.where, one) for path, one in self.log.snapshot.files.items()}
        unreadable = {path for path, one in held.items() if _overlaps(one, due) and not self._is_sound(one)}
        lost = LedgerSet(
            part for path in unreadable for part in self.coverage.ledgers & LedgerSet([_span(held[path])])
        )
        due |= lost
        return {path: one for path, one in held.items() if _overlaps(one, due)}, due

    def _is_sound(self, held: HeldFile) -> bool:
        schema = self.coverage.stored.stored
        try:
            for _ in in_order([held], self._open, schema, schema.names, _span(held)):
                pass
        except (Damaged, Gone):
            return False
        return True

    def _open(self, path: str) -> pa.NativeFile:
        return self.log.store.read(f"{self.log.folder}/{path}")

    def _rest(self, sound: Sequence[HeldFile], due: LedgerSet, schema: pa.Schema) -> Written | None:
        """Write what is left of the files that are touched."""
        spans = LedgerSet(_span(one) for one in sound) - due
        if not spans:
            return None
        format = Parquet()
        file = DataFile(self.log.store.create(), schema, format)
        try:
            runs = Runs(schema, sort_by=format.sort_by(schema))
            for part in spans:
                for rows in in_order(sound, self._open, schema, schema.names, part):
                    for run in runs.add(rows):
                        file.write(run)
            file.write(runs.rest())
            made = file.close()
        except BaseException:
            file.discard()
            raise
        if made.footer.num_rows:
            return made
        file.discard()
        return None


def _span(held: HeldFile) -> LedgerRange:
    return LedgerRange(held.first, held.last)


def _overlaps(held: HeldFile, ledgers: LedgerSet) -> bool:
    return bool(ledgers & LedgerSet([_span(held)]))
