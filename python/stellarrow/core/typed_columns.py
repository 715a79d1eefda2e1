"""The columns that contracts declare: told from those of every table, and united over upgrades."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import in_order
from stellarrow.errors import SchemaMismatch

_NAME: Final = b"declared_name"
_TYPE: Final = b"declared_type"
_PART: Final = b"declared_part"
INTERFACES: Final = b"interfaces"  # of a schema: whose declarations its columns are, by hash of code
_RAW: Final = ("topics_xdr", "key_json")  # the first of the columns behind those of the contract
_TOLD: Final = ", as the contract declares it."
_OF_LATER_CODE: Final = re.compile(r"_(?:[0-9a-f]{8}|asset)$")


@dataclass(frozen=True, slots=True)
class FixedColumns:
    """The columns that all tables of events, or of storage, have: one object each, however many tables."""

    before: tuple[pa.Field, ...]
    behind: tuple[pa.Field, ...]

    @classmethod
    def of(cls, schema: pa.Schema, own: Sequence[str]) -> FixedColumns:
        """Take a table's columns apart; `own` are the names of those that the contract declares."""
        fields = [*map(in_order, schema)]
        at = next(place for place, field in enumerate(fields) if field.name in {*own, *_RAW})
        return cls(tuple(fields[:at]), tuple(fields[at + len(own) :]))

    def around(self, own: pa.Schema) -> pa.Schema:
        """Return a table's columns, with its own among them."""
        metadata = dict(sorted((own.metadata or {}).items()))
        return pa.schema([*self.before, *map(in_order, own), *self.behind], metadata)


@lru_cache(maxsize=256)
def _empty(kind: pa.DataType) -> pa.Array:
    return pa.array([], kind)


def no_rows(columns: pa.Schema) -> pa.RecordBatch:
    """Return a batch without rows; its columns are shared by type, as there may be thousands of tables."""
    return pa.RecordBatch.from_arrays([_empty(one.type) for one in columns], schema=columns)


def is_declared(field: pa.Field) -> bool:
    """Tell whether a column is one that a contract declares."""
    return bool(field.metadata) and _NAME in field.metadata


def own_columns(schema: pa.Schema) -> list[pa.Field]:
    """Return the columns that a contract declares, each with what it was declared as.

    An earlier version wrote that into descriptions alone.
    """
    found: list[pa.Field] = []
    for field in schema:
        if is_declared(field):
            found.append(field)
        elif (words := _words(field)) is not None:
            found.append(_declared(field, words, found, schema.names))
    return found


def _words(field: pa.Field) -> str | None:
    description = (field.metadata or {}).get(b"description", b"").decode()
    return description.removesuffix(_TOLD) if description.endswith(_TOLD) else None


def _declared(field: pa.Field, words: str, before: Sequence[pa.Field], names: Sequence[str]) -> pa.Field:
    """Say of a column what it was declared as: a further part where it is named behind the one before."""
    metadata = {**(field.metadata or {}), _TYPE: words.encode()}
    last = before[-1].metadata if before else {}
    if last.get(_TYPE) == metadata[_TYPE] and field.name.startswith(f"{before[-1].name}_"):
        part = int(last[_PART]) + 1
        return field.with_metadata({**metadata, _NAME: last[_NAME], _PART: str(part).encode()})
    name = _OF_LATER_CODE.sub("", field.name)
    base = name if name in names else field.name
    return field.with_metadata({**metadata, _NAME: base.encode(), _PART: b"0"})


def united(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return a table's schema with the columns of all of these, in the order they came.

    A SchemaMismatch where one name has two types: who wrote them did not know of each other.
    """
    first, *others = schemas
    for other in others:
        first = _both(first, other)
    return first


def _both(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    for field in other:
        if field.name in one.names and one.field(field.name).type != field.type:
            name = (one.metadata or {}).get(b"schema_type", b"the table").decode()
            raise SchemaMismatch(
                f"{name} has the column {field.name} as {one.field(field.name).type} and as {field.type},"
                " written by two that did not know of each other: extract one of them to another place"
            )
    own = [*own_columns(one)]
    own += [field for field in own_columns(other) if field.name not in one.names]
    return with_own(one, own, _interfaces([one, other]))


def with_own(schema: pa.Schema, own: Sequence[pa.Field], interfaces: bytes) -> pa.Schema:
    """Return a table's schema with these columns of the contract's own."""
    names = {field.name for field in own_columns(schema)}
    fixed = [field for field in schema if field.name not in names]
    at = next((place for place, field in enumerate(schema) if field.name in names), None)
    at = next(place for place, field in enumerate(fixed) if field.name in _RAW) if at is None else at
    metadata = {**(schema.metadata or {}), INTERFACES: interfaces}
    return pa.schema([*fixed[:at], *own, *fixed[at:]], dict(sorted(metadata.items())))


def _interfaces(schemas: Iterable[pa.Schema]) -> bytes:
    told = (one for schema in schemas for one in interfaces_of(schema).split(","))
    return ",".join(sorted({*filter(None, told)})).encode()


def interfaces_of(schema: pa.Schema) -> str:
    """Return whose declarations a table's columns are: hashes of code, in a comma list."""
    told: bytes = (schema.metadata or {}).get(INTERFACES, b"")
    return told.decode()


def holds(schema: pa.Schema, other: pa.Schema) -> bool:
    """Tell whether a schema has all columns of another, of the same types."""
    return all(field.name in schema.names and schema.field(field.name).type == field.type for field in other)
