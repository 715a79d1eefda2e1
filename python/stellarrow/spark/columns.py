"""Columns as Spark has them, which knows no numbers without a sign."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

_WIDER: Final = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}


def signed(schema: pa.Schema) -> pa.Schema:
    """Return a schema that Spark takes: each number with a sign, no dictionaries, and no metadata."""
    return pa.schema([pa.field(one.name, _signed(one.type), one.nullable) for one in schema])


def _signed(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _signed(kind.value_type)
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_signed(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([one.with_type(_signed(one.type)) for one in kind])
    return _WIDER.get(kind, kind)
