"""How many rows of each ledger were written, against how many are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import psycopg
import pyarrow as pa

from stellarrow.errors import Damaged
from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.postgres.partitions import is_there

_TABLE: Final = "stellar.written_rows"
_AT_MOST: Final = 1_000  # ledgers a row, as the table's check has it


def add(
    connection: psycopg.Connection, place: str, ledgers: LedgerSet, rows: Sequence[pa.RecordBatch]
) -> None:
    """Note the rows of ledgers, in the transaction that adds them."""
    counts: Counter[int] = Counter()
    for part in rows:
        found = part.column("ledger_sequence").value_counts()
        counts.update(dict(zip(*(column.to_pylist() for column in found.flatten()), strict=True)))
    for part in ledgers.windows(_AT_MOST):
        connection.execute(
            "INSERT INTO stellar.written_rows (table_name, first_ledger, counts) VALUES (%s, %s, %s)",
            [place, part.first, [counts[one] for one in range(part.first, part.end + 1)]],
        )


def compared(
    connection: psycopg.Connection, place: str, part: LedgerRange, rows: Mapping[int, int]
) -> RowCounts:
    """Compare the rows that are there with those that were written, where that is known.

    Partitions that were dropped, as old history is, lack nothing.
    """
    written = _written(connection, place, part)
    wrong = LedgerSet.of(
        one for one, count in written.items() if one in part and rows.get(one, 0) != count
    ) - _dropped(connection, place, part)
    if not wrong:
        return RowCounts(part, rows)
    return RowCounts(part, rows, Damaged(f"{place} {_what(wrong)}", what=_what(wrong)), wrong)


def _what(wrong: LedgerSet) -> str:
    return f"does not have as many rows as were written of ledgers {wrong}: run stellarrow check --repair"


def _written(connection: psycopg.Connection, place: str, part: LedgerRange) -> dict[int, int]:
    if not is_there(connection, _TABLE):  # nothing was written since an earlier release
        return {}
    found = connection.execute(
        "SELECT first_ledger, counts FROM stellar.written_rows"
        " WHERE table_name = %s AND first_ledger BETWEEN %s AND %s",
        [place, part.first - _AT_MOST + 1, part.end],
    )
    return {first + at: count for first, counts in found for at, count in enumerate(counts)}


def _dropped(connection: psycopg.Connection, place: str, part: LedgerRange) -> LedgerSet:
    """Return the ledgers of a range that no partition is for."""
    row = connection.execute(
        "SELECT partition_ledgers FROM stellar.kept_tables WHERE table_name = %s", [place]
    ).fetchone()
    size = int(row[0]) if row else part.count
    firsts = range(part.first // size * size, part.end + 1, size)
    return LedgerSet(
        LedgerRange(first, first + size - 1)
        for first in firsts
        if not is_there(connection, f"{place}_{first}")
    )
