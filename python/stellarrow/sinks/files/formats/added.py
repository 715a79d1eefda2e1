"""Columns that tables got after files had been written without them: null in these files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from stellarrow.core.typed_columns import is_declared

# Of those on request, which alone a version of a table may be given later; each is its table's last.
ADDED: Final = frozenset(("event_text", "spec_status"))


def written(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return the schema of a file with columns of these names; ValueError where they are not the table's."""
    there = {*names}
    held = pa.schema([field for field in schema if field.name in there or not _may_lack(field)])
    if held.names != list(names):
        raise ValueError("its columns are not the table's")
    return held.with_metadata(schema.metadata)


def _may_lack(field: pa.Field) -> bool:
    """Tell whether files may have been written before there was such a column: a contract's grow, too."""
    return field.name in ADDED or is_declared(field)


def grows(schema: pa.Schema) -> bool:
    """Tell whether files of a table may lack some of its columns."""
    return any(map(_may_lack, schema))


def completed(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Give rows of a file the columns it lacks."""
    if rows.schema.names == schema.names:
        return rows
    held = set(rows.schema.names)
    columns = [
        rows.column(field.name) if field.name in held else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
