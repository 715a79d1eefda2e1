"""Which tables a database keeps, and that they are made the way it was asked for.

Contracts' own tables get columns as there are more of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.postgres import typed_tables
from stellarrow.sinks.postgres.ddl import Layout
from stellarrow.sinks.postgres.migrations import LOCK, applied


@dataclass(frozen=True, slots=True)
class Making:
    """What rows are made from, as texts that must stay the same."""

    network: str
    filter: str
    decoded: bool
    transfers: str


def keep(
    connection: psycopg.Connection,
    tables: Sequence[Layout],
    making: Making,
    *,
    size: int,
    profile: str | None = None,
) -> int:
    """Make the tables that are not there, refuse those made otherwise; return the partitions' size."""
    there = _there(connection, tables, making)
    _agreed_profile(connection, profile)
    if any(_is_lacking(connection, one, there) for one in tables):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            there = _there(connection, tables, making)
            agreed = _agreed_profile(connection, profile)
            for one in tables:
                if one.place not in there:
                    _make(connection, one, making, _size(connection) or size)
                    if agreed == "lean":
                        connection.execute("SELECT stellar.make_lean(%s)", [one.place])
                elif one.is_typed:
                    typed_tables.grow(connection, one)
            for one in filter(lambda one: one.is_typed, tables):
                typed_tables.make_state(connection, one)
    return _size(connection) or size


def _is_lacking(connection: psycopg.Connection, one: Layout, there: set[str]) -> bool:
    return one.place not in there or (one.is_typed and typed_tables.lacks(connection, one))


def are_there(connection: psycopg.Connection, tables: Sequence[Layout], making: Making) -> bool:
    """Tell whether the tables were made, without making anything; refuse those made otherwise."""
    return bool(applied(connection)) and {one.place for one in tables} <= _there(connection, tables, making)


def _size(connection: psycopg.Connection) -> int | None:
    """Return the ledgers a partition has, the same for every table: whoever came first has chosen."""
    row = connection.execute("SELECT partition_ledgers FROM stellar.kept_tables LIMIT 1").fetchone()
    return int(row[0]) if row else None


def _agreed_profile(connection: psycopg.Connection, asked: str | None) -> str | None:
    """Return the profile of all tables: whoever came first has chosen."""
    row = connection.execute("SELECT min(profile) FROM stellar.kept_tables").fetchone()
    there = row[0] if row else None
    if there and asked and there != asked:
        raise SchemaMismatch(
            f"the tables have the profile {there}, not {asked}: leave profile={asked} out, or change it first"
            f" by CALL stellar.use_profile('{asked}')"
        )
    return there or asked


def _there(connection: psycopg.Connection, tables: Sequence[Layout], making: Making) -> set[str]:
    found = connection.execute(
        "SELECT table_name, version, network, filter, decoded, transfers FROM stellar.kept_tables"
    ).fetchall()
    versions = {one.place: one.version for one in tables}
    for place, version, network, where, decoded, transfers in found:
        asked = versions.get(place, version)
        _same(place, "network", network, making.network)
        if place in versions:
            _same(place, "version", version, asked)
            _same(place, "filter", where, making.filter)
            _same(place, "decoded", decoded, making.decoded)
            _same(place, "transfers", transfers, making.transfers)
    return {row[0] for row in found}


def _same(place: str, fact: str, there: object, asked: object) -> None:
    if there != asked:
        raise SchemaMismatch(
            f"{place} was written with {fact} {there or 'none'!r}, not {asked or 'none'!r}: ask for the same"
            " again, or choose another database"
        )


def _make(connection: psycopg.Connection, one: Layout, making: Making, size: int) -> None:
    if one.is_typed:
        typed_tables.prepare(connection)
        typed_tables.note(connection, one)
    if not one.is_entries:  # made by a migration, with what is read from it
        for statement in one.ddl():
            connection.execute(statement.encode())
    connection.execute(
        "INSERT INTO stellar.kept_tables VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [one.place, one.version, making.network, making.filter, making.decoded, making.transfers, size],
    )
    connection.execute("INSERT INTO contract_data.ledger_coverage (table_name) VALUES (%s)", [one.place])
