"""What there is, as Flight SQL tells it; schemas are the protocol's (Apache Arrow, FlightSql.proto)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import pyarrow as pa

from stellarrow.core.rows import no_rows
from stellarrow.extras import needing
from stellarrow.sql.sandbox_rules import CATALOG, SCHEMA

with needing("Flight SQL", "grpc"):
    from stellarrow.proto import flight_sql_pb2 as messages

Schemas: TypeAlias = Mapping[str, Callable[[], pa.Schema]]
_TABLE: Final = "TABLE"


def _fields(**kinds: tuple[pa.DataType, bool]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=nullable) for name, (kind, nullable) in kinds.items()])


_TEXT: Final = (pa.string(), False)
_SOME_TEXT: Final = (pa.string(), True)
_NUMBER: Final = (pa.int32(), False)
_SMALL: Final = (pa.uint8(), False)
CATALOGS: Final = _fields(catalog_name=_TEXT)
SCHEMAS: Final = _fields(catalog_name=_SOME_TEXT, db_schema_name=_TEXT)
TABLES: Final = _fields(
    catalog_name=_SOME_TEXT, db_schema_name=_SOME_TEXT, table_name=_TEXT, table_type=_TEXT
)
TABLES_WITH_SCHEMAS: Final = TABLES.append(pa.field("table_schema", pa.binary(), nullable=False))
TABLE_TYPES: Final = _fields(table_type=_TEXT)
PRIMARY_KEYS: Final = _fields(
    catalog_name=_SOME_TEXT,
    db_schema_name=_SOME_TEXT,
    table_name=_TEXT,
    column_name=_TEXT,
    key_sequence=_NUMBER,
    key_name=_SOME_TEXT,
)
FOREIGN_KEYS: Final = _fields(
    pk_catalog_name=_SOME_TEXT,
    pk_db_schema_name=_SOME_TEXT,
    pk_table_name=_TEXT,
    pk_column_name=_TEXT,
    fk_catalog_name=_SOME_TEXT,
    fk_db_schema_name=_SOME_TEXT,
    fk_table_name=_TEXT,
    fk_column_name=_TEXT,
    key_sequence=_NUMBER,
    fk_key_name=_SOME_TEXT,
    pk_key_name=_SOME_TEXT,
    update_rule=_SMALL,
    delete_rule=_SMALL,
)


def answer(message: Any, tables: Schemas) -> pa.Table | None:
    """Return what a message asks of the catalog; None where it asks something else."""
    if isinstance(message, messages.CommandGetCatalogs):
        return _rows(CATALOGS, [{"catalog_name": CATALOG}])
    if isinstance(message, messages.CommandGetDbSchemas):
        is_asked = _is_of(message, "catalog", CATALOG) and _is_like(
            message, "db_schema_filter_pattern", SCHEMA
        )
        return _rows(SCHEMAS, [{"catalog_name": CATALOG, "db_schema_name": SCHEMA}] if is_asked else [])
    if isinstance(message, messages.CommandGetTables):
        return _tables(message, tables)
    if isinstance(message, messages.CommandGetTableTypes):
        return _rows(TABLE_TYPES, [{"table_type": _TABLE}])
    if isinstance(message, messages.CommandGetPrimaryKeys):
        # Rows are unique by their place, which is no constraint.
        return pa.Table.from_batches([no_rows(PRIMARY_KEYS)])
    if isinstance(
        message,
        messages.CommandGetExportedKeys | messages.CommandGetImportedKeys | messages.CommandGetCrossReference,
    ):
        return pa.Table.from_batches([no_rows(FOREIGN_KEYS)])
    return None


def _tables(message: Any, tables: Schemas) -> pa.Table:
    schema = TABLES_WITH_SCHEMAS if message.include_schema else TABLES
    is_asked = (
        _is_of(message, "catalog", CATALOG)
        and _is_like(message, "db_schema_filter_pattern", SCHEMA)
        and (not message.table_types or _TABLE in message.table_types)
    )
    return _rows(
        schema,
        [
            {
                "catalog_name": CATALOG,
                "db_schema_name": SCHEMA,
                "table_name": name,
                "table_type": _TABLE,
                **({"table_schema": made().serialize().to_pybytes()} if message.include_schema else {}),
            }
            for name, made in sorted(tables.items())
            if is_asked and _is_like(message, "table_name_filter_pattern", name)
        ],
    )


def _rows(schema: pa.Schema, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema)


def _is_of(message: Any, field: str, value: str) -> bool:
    return not message.HasField(field) or getattr(message, field) == value


def _is_like(message: Any, field: str, value: str) -> bool:
    """Tell whether a value is as a pattern has it: % is any text, _ any character."""
    if not message.HasField(field):
        return True
    words = {"%": ".*", "_": "."}
    pattern = "".join(words.get(one, re.escape(one)) for one in getattr(message, field))
    return re.fullmatch(pattern, value, re.DOTALL) is not None
