"""How far streams were read into the tables: one place a stream."""

from __future__ import annotations

import psycopg

from stellarrow.sinks.postgres.partitions import is_there


def read(connection: psycopg.Connection, stream: str) -> str | None:
    """Return the last place kept for a stream."""
    if not is_there(connection, "stellar.positions"):
        return None
    found = connection.execute("SELECT place FROM stellar.positions WHERE stream = %s", [stream])
    row = found.fetchone()
    return str(row[0]) if row else None


def keep(connection: psycopg.Connection, stream: str, place: str, ledger: int) -> None:
    """Keep a place, what came before it having been committed."""
    connection.execute(
        "INSERT INTO stellar.positions (stream, place, ledger) VALUES (%s, %s, %s)"
        " ON CONFLICT (stream) DO UPDATE SET place = excluded.place, ledger = excluded.ledger,"
        " moved_at = now()",
        [stream, place, ledger],
    )
