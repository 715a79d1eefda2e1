"""Rows whose long texts are dictionaries: what repeats row after row is held, moved and written once."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

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


def encoded_schema(schema: pa.Schema) -> pa.Schema:
    """Return a table's schema with what repeats as dictionaries; `decoded` undoes it."""
    fields = [field.with_type(_encoded(field.type)) if field.name in REPEATED else field for field in schema]
    return pa.schema(fields, schema.metadata)


def _encoded(kind: pa.DataType) -> pa.DataType:
    if kind == pa.list_(pa.string()):
        return pa.list_(_DICTIONARY)
    return _DICTIONARY if pa.types.is_string(kind) else kind


def decoded(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return rows if rows.schema.equals(schema) else rows.cast(schema)


def without_dictionaries(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows with the values themselves where they have dictionaries."""
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in rows.schema.types]
    if kinds == rows.schema.types:
        return rows
    fields = [field.with_type(kind) for field, kind in zip(rows.schema, kinds, strict=True)]
    return rows.cast(pa.schema(fields, rows.schema.metadata))
