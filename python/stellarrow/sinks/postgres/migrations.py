"""The schema's versions: numbered SQL files, applied once each, in order, by whoever comes first."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Final

import psycopg

from stellarrow.errors import SchemaMismatch, SinkError
from stellarrow.sinks.postgres.partitions import is_there

OLDEST: Final = 150_000  # PostgreSQL 15 has UNIQUE … NULLS NOT DISTINCT, 14 multiranges
LOCK: Final = 0x5354_454C_4C41_5252  # "STELLARR", the advisory lock of whoever changes the schema


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    sql: str


def known() -> list[Migration]:
    """Return every step, in order."""
    folder = files("stellarrow.sinks.postgres") / "migrations"
    found = []
    for file in folder.iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def applied(connection: psycopg.Connection) -> int:
    """Return the schema's version, 0 where there is none; refuse a server or a schema that is not for us."""
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10_000
        raise SinkError(f"the server is PostgreSQL {version}: use {OLDEST // 10_000} or newer")
    if not is_there(connection, "stellar.migrations"):
        return 0
    row = connection.execute("SELECT coalesce(max(version), 0) FROM stellar.migrations").fetchone()
    version, newest = int(row[0]) if row else 0, known()[-1].version
    if version > newest:
        raise SchemaMismatch(
            f"the database has schema version {version}, and this stellarrow knows {newest}:"
            " use the newer stellarrow that made it"
        )
    return version


def migrate(connection: psycopg.Connection) -> None:
    """Bring the schema up to date; several may try at once, and one that needs nothing needs no rights."""
    steps = known()
    if applied(connection) == steps[-1].version:
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for step in steps[applied(connection) :]:
            if step.version == 1:
                connection.execute(_LEDGER_OF_STEPS)
            connection.execute(step.sql.encode())
            connection.execute(
                "INSERT INTO stellar.migrations (version, name) VALUES (%s, %s)", [step.version, step.name]
            )


_LEDGER_OF_STEPS: Final = """
CREATE SCHEMA IF NOT EXISTS stellar;
CREATE TABLE stellar.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""
