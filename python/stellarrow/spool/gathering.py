"""Rows of consecutive ledgers on their way into one piece of a segment."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa


class Gathered:
    """Rows of every table, of ledgers that go on from each other; the last came at `written_at` (unix ms)."""

    def __init__(self) -> None:
        self.first = self.last = self.written_at = self.size_bytes = 0
        self._rows: list[Mapping[str, pa.RecordBatch]] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def takes(self, rows: Mapping[str, pa.RecordBatch], first: int) -> bool:
        """Tell whether rows from a ledger on may be joined: nothing lies between, columns are alike."""
        if not self._rows:
            return True
        before = self._rows[-1]
        return first == self.last + 1 and all(
            rows[name].schema.equals(one.schema) for name, one in before.items()
        )

    def add(self, rows: Mapping[str, pa.RecordBatch], first: int, last: int, *, now: int) -> None:
        self.first = self.first or first
        self.last, self.written_at = last, now
        self.size_bytes += sum(map(pa.RecordBatch.get_total_buffer_size, rows.values()))
        self._rows.append(rows)

    def joined(self, name: str) -> pa.RecordBatch:
        """Return a table's rows as one batch, a copy only where there are several."""
        parts = [rows[name] for rows in self._rows]
        if len(parts) == 1:
            return parts[0]
        # The system keeps the room for the next piece; Arrow's own allocator has its pages cleared each time.
        return pa.concat_batches(parts, memory_pool=pa.system_memory_pool())
