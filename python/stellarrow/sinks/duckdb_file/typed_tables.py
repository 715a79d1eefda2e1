"""Contracts' own tables in a file: which there are, and columns that come with new code."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from stellarrow.core.tables import as_schema, is_typed, written
from stellarrow.core.typed_columns import interfaces_of, united
from stellarrow.core.typed_names import short_name
from stellarrow.errors import SchemaMismatch
from stellarrow.sinks.duckdb_file.file import DuckDbFile
from stellarrow.sinks.transactional.stored_columns import StoredColumns

_SCHEMA: Final = "typed"
_BOOK: Final = "stellarrow_typed_tables"


def place_of(name: str) -> str:
    """Return where a table lies, in SQL: contracts' own ones have a schema of their own."""
    return f'{_SCHEMA}."{short_name(name)}"' if is_typed(name) else f'"{name}"'


def columns_of(connection: Any) -> dict[str, pa.Schema]:
    """Return the columns of every contract's table that is there, by its name."""
    there = connection.execute("SELECT 1 FROM information_schema.tables WHERE table_name = ?", [_BOOK])
    if not there.fetchall():
        return {}
    found = connection.execute(f"SELECT typed_name, columns FROM {_BOOK} ORDER BY typed_name").fetchall()
    return {name: as_schema(name, columns) for name, columns in found}


def grown(file: DuckDbFile, name: str, schema: pa.Schema) -> StoredColumns:
    """Note a contract's table and the columns it has by now, within a transaction; return them."""
    file.do(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
    file.do(
        f"CREATE TABLE IF NOT EXISTS {_BOOK} (place VARCHAR PRIMARY KEY, typed_name VARCHAR NOT NULL,"
        " columns_version UINTEGER NOT NULL, interfaces VARCHAR[] NOT NULL, columns VARCHAR NOT NULL)"
    )
    place = f"{_SCHEMA}.{short_name(name)}"
    held = file.do(f"SELECT typed_name, columns FROM {_BOOK} WHERE place = ?", [place]).fetchall()
    if not held:
        told = [place, name, interfaces_of(schema).split(","), written(schema)]
        file.do(f"INSERT INTO {_BOOK} VALUES (?, ?, 1, ?, ?)", told)
        return StoredColumns.typed(schema)
    ((owner, columns),) = held
    if owner != name:
        raise SchemaMismatch(f"{place} is of {owner} already, and {name} would be it, too: leave one out")
    there = as_schema(name, columns)
    whole = united([there, schema])
    if written(whole) != columns:
        file.do(
            f"UPDATE {_BOOK} SET columns = ?, interfaces = ?, columns_version = columns_version + ?"
            " WHERE place = ?",
            [
                written(whole),
                interfaces_of(whole).split(","),
                int(whole.names != there.names),
                place,
            ],
        )
    return StoredColumns.typed(whole)
