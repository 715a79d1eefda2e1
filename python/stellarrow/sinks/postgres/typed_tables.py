"""Contracts' own tables in PostgreSQL: which there are, and columns that come with new code."""

from __future__ import annotations

from typing import Final

import psycopg
import pyarrow as pa

from stellarrow.core.tables import as_schema, written
from stellarrow.core.typed_columns import interfaces_of, united
from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.postgres.ddl import Layout
from stellarrow.sinks.postgres.partitions import is_there
from stellarrow.sinks.postgres.typed_names import SCHEMA, column_name, place_of, sql_type

_BOOK: Final = "stellar.typed_tables"

_MAKE: Final = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {_BOOK} (
    table_name text PRIMARY KEY,
    typed_name text NOT NULL UNIQUE,
    columns_version integer NOT NULL DEFAULT 1,
    interfaces text[] NOT NULL,
    columns text NOT NULL
);
"""

# What holds now: the last of each key, but for what was removed, and what an instance keeps no more since it
# was written last.
_STATE: Final = """
CREATE OR REPLACE VIEW {place}_state AS
SELECT * FROM (
    SELECT DISTINCT ON (contract_id, ledger_key_hash, key_xdr) * FROM {place}
    ORDER BY contract_id, ledger_key_hash, key_xdr, ledger_sequence DESC, transaction_index DESC,
        change_index DESC, item_index DESC
) AS latest WHERE NOT deleted{instances}
"""
_INSTANCES: Final = """ AND (item_index IS NULL OR NOT EXISTS (
    SELECT FROM {other} AS instance
    WHERE instance.contract_id = latest.contract_id AND instance.durability = 'instance'
        AND instance.item_index IS NULL
        AND (instance.ledger_sequence, instance.transaction_index, instance.change_index)
            > (latest.ledger_sequence, latest.transaction_index, latest.change_index)
))"""


def note(connection: psycopg.Connection, one: Layout) -> None:
    """Write down a table that is made just now."""
    connection.execute(
        f"INSERT INTO {_BOOK} VALUES (%s, %s, 1, %s, %s)".encode(),
        [one.place, one.name, interfaces_of(one.schema).split(","), written(one.schema)],
    )


def prepare(connection: psycopg.Connection) -> None:
    """Make what notes of contracts' tables."""
    connection.execute(_MAKE.encode())


def grow(connection: psycopg.Connection, one: Layout) -> None:
    """Give a table that is there the columns it lacks, also where it is being loaded; no row is touched."""
    held = _held(connection, one)
    whole = united([held, one.schema])
    if written(whole) == written(held):
        return
    added = [field for field in whole if field.name not in held.names]
    parts = ", ".join(
        f'ADD COLUMN IF NOT EXISTS "{_quoted(column_name(one.name))}" {sql_type(one)}' for one in added
    )
    for place in [one.place, *_loading(connection, one)] if added else []:
        connection.execute(f"ALTER TABLE {place} {parts}".encode())
    connection.execute(
        f"UPDATE {_BOOK} SET columns = %s, interfaces = %s, columns_version = columns_version + %s"
        " WHERE table_name = %s".encode(),
        [written(whole), interfaces_of(whole).split(","), int(bool(added)), one.place],
    )


def lacks(connection: psycopg.Connection, one: Layout) -> bool:
    """Tell whether a table that is there has not all columns."""
    return not {*one.schema.names} <= {*_held(connection, one).names}


def _held(connection: psycopg.Connection, one: Layout) -> pa.Schema:
    row = connection.execute(
        f"SELECT typed_name, columns FROM {_BOOK} WHERE table_name = %s".encode(), [one.place]
    ).fetchone()
    if row is None or row[0] != one.name:
        held = row[0] if row else "something else"
        raise SchemaMismatch(
            f"{one.place} is of {held} already, and {one.name} would be it, too: leave one out"
        )
    return as_schema(one.name, row[1])


def _loading(connection: psycopg.Connection, one: Layout) -> list[str]:
    found = connection.execute(
        "SELECT partition_name FROM stellar.loading WHERE table_name = %s ORDER BY first_ledger", [one.place]
    )
    return [row[0] for row in found]


def make_state(connection: psycopg.Connection, one: Layout) -> None:
    """Make the view of what holds now; what instances keep no more needs the table of other keys."""
    if "/storage/" not in one.name:
        return
    other = place_of(f"{one.name.rpartition('/')[0]}/_other")
    instances = _INSTANCES.format(other=other) if is_there(connection, other) else ""
    connection.execute(_STATE.format(place=one.place, instances=instances).encode())


def columns_of(connection: psycopg.Connection) -> dict[str, pa.Schema]:
    """Return the columns of every contract's table that is there, by its name."""
    return {name: as_schema(name, text) for name, text in _book(connection, "typed_name, columns")}


def names(connection: psycopg.Connection) -> dict[str, str]:
    """Return what each contract's table is, by where it lies."""
    return dict(_book(connection, "table_name, typed_name"))


def _book(connection: psycopg.Connection, columns: str) -> list[tuple[str, str]]:
    if not is_there(connection, _BOOK):
        return []
    found: list[tuple[str, str]] = connection.execute(f"SELECT {columns} FROM {_BOOK}".encode()).fetchall()
    return found


def _quoted(name: str) -> str:
    return name.replace('"', '""')
