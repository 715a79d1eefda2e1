"""Which ledgers a table has, and how many rows of them were written: two tables beside the rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.duckdb_file.file import DuckDbFile
from stellarrow.sinks.transactional.makings import check_made_alike

_TABLES: Final = "stellarrow_tables"
_LEDGERS: Final = "stellarrow_ledgers"
_LONGEST: Final = 10_000  # ledgers of one entry, so that what is wrong is found near


@dataclass(frozen=True, slots=True)
class Making:
    """What a table's rows are made from: texts that must stay the same."""

    schema_version: str
    network: str
    filter: str
    decoded: str
    transfers: str

    def check(self, table: str, there: Making) -> None:
        """Refuse a table that was written otherwise."""
        check_made_alike(self.__slots__, self, there, place=f"table {table}", remedy="write to another file")


@dataclass(frozen=True, slots=True)
class Entry:
    """Ledgers that were written, and how many rows they have."""

    ledgers: LedgerRange
    rows: int


def makings(connection: Any) -> dict[str, Making]:
    """Return the tables that are there, and what each was made from."""
    if not connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_name = ?", [_TABLES]
    ).fetchone():
        return {}
    found = connection.execute(f"SELECT table_name, making FROM {_TABLES} ORDER BY table_name").fetchall()
    return {name: Making(**json.loads(made)) for name, made in found}


def entries(connection: Any, table: str) -> list[Entry]:
    """Return what was written of a table, in ledger order."""
    query = f'SELECT "first", "last", "rows" FROM {_LEDGERS} WHERE table_name = ? ORDER BY "first"'
    found = connection.execute(query, [table]).fetchall()
    return [Entry(LedgerRange(first, last), rows) for first, last, rows in found]


def covered(connection: Any, table: str) -> LedgerSet:
    """Return the ledgers that a table has."""
    return LedgerSet(one.ledgers for one in entries(connection, table))


def make(file: DuckDbFile) -> None:
    """Make the tables, where they are not there."""
    file.do(
        f"CREATE TABLE IF NOT EXISTS {_TABLES}"
        " (table_name VARCHAR PRIMARY KEY, making VARCHAR NOT NULL, commits UBIGINT NOT NULL)"
    )
    file.do(
        f"CREATE TABLE IF NOT EXISTS {_LEDGERS}"
        ' (table_name VARCHAR NOT NULL, "first" UINTEGER NOT NULL, "last" UINTEGER NOT NULL,'
        ' "rows" UBIGINT NOT NULL)'
    )


def add(file: DuckDbFile, table: str, making: Making, written: Iterable[Entry]) -> None:
    """Note what is written. Of two transactions that do so for one table the second is refused."""
    text = json.dumps(asdict(making))
    file.do(
        f"INSERT INTO {_TABLES} VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET commits = commits + 1",
        [table, text],
    )
    for one in written:
        first, last = one.ledgers.first, one.ledgers.end
        longer = file.do(
            f'UPDATE {_LEDGERS} SET "last" = ?, "rows" = "rows" + ?'
            f' WHERE table_name = ? AND "last" = ? AND "first" > ? RETURNING 1',
            [last, one.rows, table, first - 1, max(last - _LONGEST, -1)],
        ).fetchall()
        if not longer:
            file.do(f"INSERT INTO {_LEDGERS} VALUES (?, ?, ?, ?)", [table, first, last, one.rows])


def remove(
    file: DuckDbFile, connection: Any, table: str, ledgers: LedgerSet, rows: Mapping[int, int]
) -> None:
    """Forget ledgers: of entries that reach further the rest stays, with the rows that these ledgers have."""
    for one in entries(connection, table):
        if not (gone := LedgerSet([one.ledgers]) & ledgers):
            continue
        first, last = one.ledgers.first, one.ledgers.end
        file.do(f'DELETE FROM {_LEDGERS} WHERE table_name = ? AND "first" = ?', [table, first])
        for left in LedgerSet([LedgerRange(first, last)]) - gone:
            count = sum(rows.get(ledger, 0) for ledger in range(left.first, left.end + 1))
            file.do(f"INSERT INTO {_LEDGERS} VALUES (?, ?, ?, ?)", [table, left.first, left.end, count])
