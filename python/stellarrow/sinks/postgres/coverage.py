"""Which ledgers a table holds: an int8multirange that moves in the transaction of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg
from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

from stellarrow.ledgers import LedgerRange, LedgerSet


def read(
    connection: psycopg.Connection, places: Iterable[str], *, lock: bool = False
) -> dict[str, LedgerSet]:
    """Return what each table covers; locked, no one else can add to it until the transaction ends.

    Rows are locked in one order, so that writers of several tables wait for each other but never in a ring.
    """
    found = connection.execute(
        "SELECT table_name, ledgers FROM contract_data.ledger_coverage WHERE table_name = ANY(%s)"
        " ORDER BY table_name" + (" FOR UPDATE" if lock else ""),
        [list(places)],
    )
    return {place: from_multirange(ledgers) for place, ledgers in found}


def add(connection: psycopg.Connection, place: str, ledgers: LedgerSet) -> None:
    """Say that a table holds ledgers; the caller has locked its row."""
    connection.execute(
        "UPDATE contract_data.ledger_coverage SET ledgers = ledgers + %s WHERE table_name = %s",
        [to_multirange(ledgers), place],
    )


def from_multirange(stored: Multirange[int]) -> LedgerSet:
    return LedgerSet(_ranges(stored))


def _ranges(stored: Multirange[int]) -> Iterator[LedgerRange]:
    for part in stored:
        if part.lower is not None and part.upper is not None:
            yield LedgerRange(part.lower, part.upper - 1)


def to_multirange(ledgers: LedgerSet) -> Multirange[int]:
    return Multirange([Range(part.first, part.end + 1) for part in ledgers])
