"""Rows whose long texts are dictionaries: what repeats row after row is held, moved and written once."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

# Measured on real ledgers: texts long enough, and repeating often enough within a few ledgers. Holding them
# plainly costs more than the encoding, as fresh memory has to be cleared.
REPEATED: Final = frozenset(
    (
        *("asset_issuer", "asset_type", "balance_holder", "contract_durability", "contract_id"),
        *("contract_key_type", "from", "key_xdr", "operation_type", "to", "topics_xdr", "transaction_hash"),
        "val_xdr",
    )
)
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())


def encoded(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Replace what repeats by dictionaries that hold nothing else; `decoded` undoes it."""
    columns = [
        _encoded(column) if name in REPEATED else column
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=encoded_schema(rows.schema))


def encoded_schema(schema: pa.Schema) -> pa.Schema:
    """Return what a table's schema is of rows that are encoded."""
    fields = [
        field.with_type(pa.list_(_DICTIONARY) if pa.types.is_list(field.type) else _DICTIONARY)
        if field.name in REPEATED
        else field
        for field in schema
    ]
    return pa.schema(fields, schema.metadata)


def decoded(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return rows if rows.schema.equals(schema) else rows.cast(schema)


def without_dictionaries(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with the values themselves where they have dictionaries."""
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in rows.schema.types]
    if kinds == rows.schema.types:
        return rows
    fields = [field.with_type(kind) for field, kind in zip(rows.schema, kinds, strict=True)]
    return rows.cast(pa.schema(fields, rows.schema.metadata))


def _encoded(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        offsets = pc.subtract(column.offsets, column.offsets[0])
        nulls = column.is_null() if column.null_count else None
        return pa.ListArray.from_arrays(offsets, _encoded(column.flatten()), mask=nulls)
    if pa.types.is_dictionary(column.type):
        used = column.indices.dictionary_encode()
        return pa.DictionaryArray.from_arrays(used.indices, column.dictionary.take(used.dictionary))
    return column.dictionary_encode()


def ranks(texts: pa.Array) -> pa.Array:
    """Replace texts by their place among the different ones, which sorts five times as fast."""
    held = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
    return pc.sort_indices(pc.sort_indices(held.dictionary)).take(held.indices)
