"""What messages hold, whoever wrote them: tables, their ledgers, their rows."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Final

import pyarrow as pa

from stellarrow.core.rows import chosen_columns
from stellarrow.core.tables import schema
from stellarrow.errors import Damaged
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.transactional.ledger_messages import rows_in
from stellarrow.sinks.transactional.windows import WINDOW, Making, Window, Windows

_IN_MEMORY: Final = 64 << 20  # bytes of a thousand ledgers, which may be gigabytes


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message, and what it says of itself: its ledger, and how many rows it holds."""

    ledger: int
    rows: int
    value: bytes

    @classmethod
    def read(cls, headers: object, value: bytes | None, where: str) -> HeldMessage:
        """Take a message as it came; `where` it lies is told of one that is none of ours."""
        told = dict(headers) if isinstance(headers, dict | list) else {}
        try:
            return cls(int(told["ledger"]), int(told["rows"]), value or b"")
        except (KeyError, ValueError, TypeError) as error:
            raise Damaged(
                f"{where} is a message that no stellarrow wrote: let only stellarrow write there"
            ) from error


@dataclass(frozen=True, slots=True)
class HeldMessages(ABC):
    """A table in messages; `network` is a passphrase."""

    name: str
    making: Making
    ledgers: LedgerSet
    log: Windows = field(repr=False, compare=False)

    @property
    @abstractmethod
    def place(self) -> str:
        """Where its messages lie, for people."""

    @abstractmethod
    def messages(self, window: Window) -> Iterator[HeldMessage]:
        """Yield the messages among which those of a window are."""

    @abstractmethod
    def reason(self, window: Window) -> str:
        """Say why rows of a window may lack, and what to do."""

    @property
    def version(self) -> str:
        return self.making.schema_version

    @property
    def network(self) -> str:
        return self.making.network

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows."""
        if (own := self.log.columns.get(self.name)) is not None:
            return own
        where = Filter(**json.loads(self.making.filter or "{}"))
        return schema(f"{self.name}@{self.version}", decoded=bool(self.making.decoded), where=where)

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order."""
        known = self.schema
        wanted = chosen_columns(known, columns, self.name)
        for window in self.log.windows(self.name, ledgers):
            due = window.ledgers & LedgerSet([ledgers])
            for value in self._in_order(window, due):
                for rows in rows_in(value, self.making.encoding, known):
                    yield rows.select(columns).cast(wanted)

    def _in_order(self, window: Window, due: LedgerSet) -> Iterator[bytes]:
        """Yield the messages of these ledgers in their order; on disk meanwhile, where they are many."""
        found: list[tuple[int, int, int]] = []  # ledger, position, size
        with SpooledTemporaryFile(_IN_MEMORY) as held:
            for message in self.messages(window):
                if message.ledger in due:
                    found.append((message.ledger, held.tell(), len(message.value)))
                    held.write(message.value)
            for _, position, size in sorted(found):
                held.seek(position)
                yield held.read(size)

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count by what each message says of itself, and compare with how many rows were written."""
        for part in ledgers:
            for window in self.log.windows(self.name, part):
                covered = LedgerRange(max(window.first, part.first), min(window.first + WINDOW - 1, part.end))
                yield self._counted(window, covered)

    def _counted(self, window: Window, covered: LedgerRange) -> RowCounts:
        rows: Counter[int] = Counter()
        for message in self.messages(window):
            if message.ledger in window.ledgers:
                rows[message.ledger] += message.rows
        counted = sum(rows.values())
        within = {ledger: count for ledger, count in rows.items() if ledger in covered}
        if counted == window.rows:
            return RowCounts(covered, within)
        error = Damaged(
            f"{self.place} has {counted} rows of ledgers {window.ledgers}, and {window.rows} were"
            f" written: {self.reason(window)}"
        )
        return RowCounts(covered, within, error, window.ledgers & LedgerSet([covered]))
