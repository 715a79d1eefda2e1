"""Rows of a table, which lie in ledger order."""

from __future__ import annotations

from bisect import bisect_left

import pyarrow as pa

from stellarrow.ledgers import LedgerRange


def between(rows: pa.RecordBatch, ledgers: LedgerRange) -> pa.RecordBatch:
    """Slice the rows of the ledgers, without copying; rows lie in ledger order."""
    numbers = rows.column("ledger_sequence")
    start = bisect_left(range(len(numbers)), ledgers.first, key=lambda row: numbers[row].as_py())
    stop = bisect_left(range(len(numbers)), ledgers.end + 1, lo=start, key=lambda row: numbers[row].as_py())
    return rows.slice(start, stop - start)
