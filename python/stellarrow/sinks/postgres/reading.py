"""What a database holds, whoever wrote it: its tables, their ledgers, some columns of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from psycopg import sql

from stellarrow.ledgers import LedgerRange, LedgerSet, RowCounts
from stellarrow.sinks.postgres import choices, coverage, typed_tables, written_rows
from stellarrow.sinks.postgres.ddl import ENTRIES
from stellarrow.sinks.postgres.server import Server

_AT_ONCE = 50_000  # rows
_COUNTED_AT_ONCE = 10_000  # ledgers, so that no transaction stays open for long


@dataclass(frozen=True, slots=True)
class KeptTable:
    """A table in a database; `network` is a passphrase."""

    server: Server
    place: str
    version: str
    network: str
    ledgers: LedgerSet
    typed: str = ""

    @property
    def name(self) -> str:
        if self.typed:
            return self.typed
        return "contract_data" if self.place == ENTRIES else self.place.removeprefix("stellar.")

    def read(self, columns: Sequence[str], ledgers: LedgerRange) -> Iterator[pa.RecordBatch]:
        """Yield columns of a range's rows, in ledger order."""
        query = sql.SQL("SELECT {} FROM {} WHERE ledger_sequence BETWEEN %s AND %s ORDER BY ledger_sequence")
        named = sql.SQL(", ").join(map(sql.Identifier, columns))
        with (
            self.server.translate_errors("read"),
            self.server.connect() as connection,
            connection.transaction(),
            connection.cursor("stellarrow_rows") as cursor,
        ):
            table = sql.Identifier(*self.place.split("."))
            cursor.execute(query.format(named, table), [ledgers.first, ledgers.end])
            while rows := cursor.fetchmany(_AT_ONCE):
                yield pa.RecordBatch.from_pydict(
                    dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
                )

    def row_counts(self, ledgers: LedgerSet) -> Iterator[RowCounts]:
        """Count on the server, range after range."""
        query = sql.SQL(
            "SELECT ledger_sequence, count(*) FROM {} WHERE ledger_sequence BETWEEN %s AND %s GROUP BY 1"
        ).format(sql.Identifier(*self.place.split(".")))
        with self.server.translate_errors("read"), self.server.connect() as connection:
            for part in ledgers.windows(_COUNTED_AT_ONCE):
                with connection.transaction():
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                    rows: dict[int, int] = dict(connection.execute(query, [part.first, part.end]).fetchall())
                    counts = written_rows.compared(connection, self.place, part, rows)
                yield counts


def typed_columns(url: str) -> dict[str, pa.Schema]:
    """Return the columns of the contracts' own tables in a database."""
    server = Server(choices.split(url)[0])
    with server.translate_errors("read"), server.connect() as connection:
        return typed_tables.columns_of(connection)


def forget(url: str, place: str, ledgers: LedgerSet) -> None:
    """Remove ledgers from a table, rows and coverage in one transaction."""
    server = Server(choices.split(url)[0])
    with server.translate_errors("write to"), server.connect() as connection, connection.transaction():
        for part in ledgers:
            connection.execute("SELECT stellar.forget_ledgers(%s, %s, %s)", [place, part.first, part.end])


def kept_tables(url: str) -> list[KeptTable]:
    """Return the tables of a database, none where nothing was written to it."""
    server = Server(choices.split(url)[0])
    with server.translate_errors("read"), server.connect() as connection:
        if connection.execute("SELECT to_regclass('stellar.kept_tables')").fetchone() == (None,):
            return []
        kept = connection.execute("SELECT table_name, version, network FROM stellar.kept_tables").fetchall()
        held = coverage.read(connection, [place for place, _, _ in kept])
        typed = typed_tables.names(connection)
    return [
        KeptTable(server, place, version, network, held.get(place, LedgerSet()), typed.get(place, ""))
        for place, version, network in sorted(kept)
    ]
