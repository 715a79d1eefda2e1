"""What DuckDB reads of each table that was extracted: only files that count, with the table's own types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.formats.added import ADDED
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.local import LocalFiles
from stellarrow.sinks.files.reading import listings

_TYPES: Final = {
    pa.uint32(): "uinteger",
    pa.uint64(): "ubigint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.float64(): "double",
}


def views(data: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield (schema, table) and a query; the schema is the path between, empty right below the data."""
    known = {data / one.shape.folder: one for one in listings(LocalFiles(data))}
    for folder, listing in known.items():
        yield _named(data, folder), _query(folder, listing)
    for folder in sorted({path.parent for path in data.rglob("*.parquet")}):
        if not known.keys() & {folder, *folder.parents}:
            yield _named(data, folder), f"select * from read_parquet({_text(str(folder / '*.parquet'))})"


def _named(data: Path, folder: Path) -> tuple[str, str]:
    return "_".join(folder.relative_to(data).parts[:-1]), folder.name


def _query(folder: Path, listing: Listing) -> str:
    parts = [(held, part, paths) for held, part, paths in listing.trusted() if paths]
    whole = [f"{listing.store}/{path}" for held, part, paths in parts if held == part for path in paths]
    cut = [(part, paths) for held, part, paths in parts if held != part]
    plain = listing.shape.format.name == "parquet" and listing.shape.partition is None
    if plain and len(whole) == len(listing.parts()):
        return f"select * from {_read(listing, [str(folder / '*.parquet')])}"
    queries = [f"select * from {_read(listing, whole)}"] if whole else []
    for part, paths in cut:
        read = _read(listing, [f"{listing.store}/{path}" for path in paths])
        queries.append(f"select * from {read} where {_within(part)}")
    return " union all ".join(queries) if queries else _empty(listing)


def _within(part: LedgerRange) -> str:
    return f"ledger_sequence between {part.first} and {part.end}"


def _read(listing: Listing, paths: Sequence[str]) -> str:
    files = f"[{', '.join(map(_text, paths))}]"
    if listing.shape.format.name == "parquet":
        by_name = ", union_by_name = true" if ADDED.intersection(listing.shape.schema.names) else ""
        return f"read_parquet({files}, hive_partitioning = false{by_name})"
    columns = ", ".join(f"{_text(one.name)}: {_text(_type(one.type))}" for one in listing.shape.schema)
    text = f"columns = {{{columns}}}, hive_partitioning = false"
    if listing.shape.format.name == "jsonl":
        return f"read_json({files}, format = 'newline_delimited', {text})"
    # In quotes an empty text, without them null. Files older than a column end their rows before it.
    text += ", allow_quoted_nulls = false"
    if ADDED.intersection(listing.shape.schema.names):
        text += ", null_padding = true, parallel = false"
    return f"read_csv({files}, header = true, delim = ',', quote = '\"', escape = '\"', {text})"


def _empty(listing: Listing) -> str:
    columns = ", ".join(f'null::{_type(one.type)} as "{one.name}"' for one in listing.shape.schema)
    return f"select {columns} where false"


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_type(kind.value_type)}[]"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    return "timestamptz" if pa.types.is_timestamp(kind) else _TYPES.get(kind, "varchar")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
