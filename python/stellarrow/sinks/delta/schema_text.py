"""A table's columns as Delta writes them: JSON.

Source: PROTOCOL.md of delta-io/delta, "Schema Serialization Format".
"""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa

from stellarrow.errors import ConfigError, SchemaMismatch

_NAMES: Final = {
    pa.string(): "string",
    pa.large_string(): "string",
    pa.int64(): "long",
    pa.int32(): "integer",
    pa.int16(): "short",
    pa.int8(): "byte",
    pa.float64(): "double",
    pa.float32(): "float",
    pa.bool_(): "boolean",
    pa.binary(): "binary",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
}


def schema_text(schema: pa.Schema) -> str:
    """Return the columns as Delta's log has them."""
    fields = [_field(field) for field in schema]
    return json.dumps({"type": "struct", "fields": fields}, separators=(",", ":"), ensure_ascii=False)


def grown_text(where: str, held: str, schema: pa.Schema) -> str | None:
    """Return what a table's columns become where some are new; None where none is."""
    told: dict[str, Any] = json.loads(held)
    known = {field["name"]: field for field in told["fields"]}
    added = []
    for field in map(_field, schema):
        there = known.get(field["name"])
        if there is None:
            added.append({**field, "nullable": True})
        elif there["type"] != field["type"]:
            raise SchemaMismatch(
                f"{where} has {field['name']} as {there['type']}, not {field['type']}: another program"
                " changed it; choose another place"
            )
    if not added:
        return None
    told["fields"] += added
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def _field(field: pa.Field) -> dict[str, Any]:
    told = (field.metadata or {}).get(b"description", b"").decode()
    return {
        "name": field.name,
        "type": _kind(field.name, field.type),
        "nullable": field.nullable,
        "metadata": {"comment": told} if told else {},
    }


def _kind(name: str, kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {
            "type": "array",
            "elementType": _kind(name, kind.value_type),
            "containsNull": kind.value_field.nullable,
        }
    if pa.types.is_struct(kind):
        return {"type": "struct", "fields": [_field(field) for field in kind]}
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if kind not in _NAMES:
        raise ConfigError(f"Delta has no type for {name}, which is {kind}: cast it in the filter's select")
    return _NAMES[kind]
