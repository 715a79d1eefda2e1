"""Columns of a table as a place has them, which does not take every name and type, and back.

Contracts name columns as they like: what is no plain word in a place, or differs from another in its case
alone, ends with a digest. Lists and structs whose fields have such names are kept as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.core.json_values import value
from stellarrow.core.typed_columns import own_columns
from stellarrow.core.typed_names import digest_of
from stellarrow.sinks.files.formats.jsonl import parsed

_PLAIN: Final = re.compile(r"[A-Za-z0-9_]+")
_ORDER: Final = (
    *("ledger_sequence", "transaction_index", "operation_index", "stage", "event_index"),
    *("change_index", "item_index"),
)

AsKept = Callable[[pa.DataType], pa.DataType]


@dataclass(frozen=True, slots=True)
class StoredColumns:
    """A table's columns, and what each is in a place: as many, in the same order."""

    known: pa.Schema
    stored: pa.Schema

    @classmethod
    def typed(
        cls,
        schema: pa.Schema,
        as_kept: AsKept = lambda kind: kind,
        *,
        hides: str = "",
        has_nested: bool = True,
    ) -> StoredColumns:
        """Return those of a contract's table; `as_kept` is what a place makes of a type it takes.

        Names that begin like what a place `hides` are none there. Where it has no nested columns that may be
        null, a contract's own are kept as JSON.
        """
        own = [field.name for field in own_columns(schema)]
        taken = {name.lower() for name in schema.names if name not in {*own}}
        renamed = {name: _renamed(name, taken, hides) for name in own}

        def kept(field: pa.Field) -> pa.Field:
            is_json = not has_nested and field.name in renamed and pa.types.is_nested(field.type)
            kind = pa.string() if is_json else _kept(field.type, as_kept)
            return field.with_name(renamed.get(field.name, field.name)).with_type(kind)

        return cls(schema, pa.schema([*map(kept, schema)], schema.metadata))

    def names(self, columns: Sequence[str]) -> list[str]:
        """Return what columns are called in the place."""
        return [self.stored.field(self.known.get_field_index(name)).name for name in columns]

    def agrees(self, other: StoredColumns) -> bool:
        """Tell whether the columns that both have are the same in the place."""
        both = [name for name in self.known.names if name in {*other.known.names}]
        return self.names(both) == other.names(both)

    def put(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Make of rows, which may lack columns, what the place takes."""
        at = [self.known.get_field_index(name) for name in rows.schema.names]
        fields = [self.stored.field(one) for one in at]
        made = zip(rows.columns, (self.known.field(one) for one in at), fields, strict=True)
        columns = [_put(column, known, stored.type) for column, known, stored in made]
        is_whole = at == [*range(len(self.stored))]
        schema = self.stored if is_whole else pa.schema(fields, rows.schema.metadata)
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def back(self, rows: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """Make of columns as the place has them what they were."""
        wanted = pa.schema([self.known.field(name) for name in columns], self.known.metadata)
        stored = [self.stored.field(name).type for name in self.names(columns)]
        made = zip(rows.columns, wanted, stored, strict=True)
        return pa.RecordBatch.from_arrays([_back(*one) for one in made], schema=wanted)


def order_of(schema: pa.Schema) -> list[str]:
    """Return the columns that contracts' rows lie in the order of."""
    return [name for name in _ORDER if name in schema.names]


def _renamed(name: str, taken: set[str], hides: str) -> str:
    """Return what a column is called; who comes first keeps a name that differs in its case alone."""
    plain = "_".join(_PLAIN.findall(name))
    is_hidden = bool(hides) and name.startswith(hides)
    if is_hidden:
        plain = f"own{plain}"
    if plain != name or name.lower() in taken:
        plain = f"{plain}_{digest_of(name)}"
    taken.add(plain.lower())
    return plain


def _kept(kind: pa.DataType, as_kept: AsKept) -> pa.DataType:
    if _is_awkward(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_kept(kind.value_type, as_kept)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_kept(field.type, as_kept)) for field in kind])
    return as_kept(kind)


def _is_awkward(kind: pa.DataType) -> bool:
    """Tell whether a type has, at any depth, fields that not every place has names for."""
    if pa.types.is_list(kind):
        return _is_awkward(kind.value_type)
    if not pa.types.is_struct(kind):
        return False
    names = [field.name for field in kind]
    is_plain = all(map(_PLAIN.fullmatch, names)) and len({name.lower() for name in names}) == len(names)
    return not (names and is_plain) or any(_is_awkward(field.type) for field in kind)


def _put(column: pa.Array, known: pa.Field, stored: pa.DataType) -> pa.Array:
    if pa.types.is_nested(known.type) and not pa.types.is_nested(stored):
        return value(column, "")
    return column if column.type == stored else column.cast(stored)


def _back(column: pa.Array, known: pa.Field, stored: pa.DataType) -> pa.Array:
    if pa.types.is_nested(known.type) and not pa.types.is_nested(stored):
        return parsed(column if column.type == stored else column.cast(stored), known.type)
    return column if column.type == known.type else column.cast(known.type)
