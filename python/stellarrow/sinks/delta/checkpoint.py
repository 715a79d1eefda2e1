"""Checkpoints: a table's state at a version as Parquet, so that nobody reads its log from the beginning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from stellarrow.sinks.delta.snapshot import Action, Snapshot

NAME: Final = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
_TEXTS: Final = pa.map_(pa.string(), pa.string())
_STRINGS: Final = pa.list_(pa.string())
_SCHEMA: Final = pa.schema(
    {
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(),
                "partitionValues": _TEXTS,
                "size": pa.int64(),
                "modificationTime": pa.int64(),
                "dataChange": pa.bool_(),
                "tags": _TEXTS,
                "stats": pa.string(),
            }
        ),
        "remove": pa.struct(
            {
                "path": pa.string(),
                "deletionTimestamp": pa.int64(),
                "dataChange": pa.bool_(),
                "extendedFileMetadata": pa.bool_(),
                "partitionValues": _TEXTS,
                "size": pa.int64(),
            }
        ),
        "metaData": pa.struct(
            {
                "id": pa.string(),
                "name": pa.string(),
                "description": pa.string(),
                "format": pa.struct({"provider": pa.string(), "options": _TEXTS}),
                "schemaString": pa.string(),
                "partitionColumns": _STRINGS,
                "configuration": _TEXTS,
                "createdTime": pa.int64(),
            }
        ),
        "protocol": pa.struct(
            {
                "minReaderVersion": pa.int32(),
                "minWriterVersion": pa.int32(),
                "readerFeatures": _STRINGS,
                "writerFeatures": _STRINGS,
            }
        ),
    }
)
_MAPS: Final = ("partitionValues", "tags", "configuration", "options")
_BLOCK: Final = 4_096  # actions


def written(snapshot: Snapshot) -> tuple[pa.Buffer, int]:
    """Return a state as a checkpoint's bytes, and how many actions it has."""
    out = pa.BufferOutputStream()
    rows = [_row(kind, told) for kind, told in _actions(snapshot)]
    with pq.ParquetWriter(out, _SCHEMA, compression="snappy", store_schema=False) as writer:
        for at in range(0, len(rows), _BLOCK):
            writer.write_table(pa.Table.from_pylist(rows[at : at + _BLOCK], _SCHEMA))
    return out.getvalue(), len(rows)


def _actions(snapshot: Snapshot) -> Iterator[tuple[str, Action]]:
    if snapshot.protocol and snapshot.metadata:
        yield "protocol", snapshot.protocol
        yield "metaData", snapshot.metadata
    for told in snapshot.transactions.values():
        yield "txn", told
    for told in snapshot.removed.values():
        yield "remove", {**told, "dataChange": False}
    for told in snapshot.files.values():
        yield "add", {**told, "dataChange": False}


def _row(kind: str, told: Action) -> dict[str, Any]:
    known = _SCHEMA.field(kind).type
    return {kind: {known.field(at).name: _as_arrow(told, known.field(at)) for at in range(known.num_fields)}}


def _as_arrow(told: Mapping[str, Any], field: pa.Field) -> Any:
    value = told.get(field.name)
    if isinstance(value, Mapping) and pa.types.is_map(field.type):
        return list(value.items())
    if isinstance(value, Mapping):
        return {one: list(held.items()) if isinstance(held, Mapping) else held for one, held in value.items()}
    return value


def read(file: pa.NativeFile) -> Iterator[Action]:
    """Yield the actions of a checkpoint, whoever wrote it."""
    held = pq.ParquetFile(file)
    known = {*held.schema_arrow.names}
    leaves = [held.schema.column(at).path for at in range(len(held.schema.names))]
    wanted = [one for one in leaves if not re.search(r"_parsed(\.|$)", one) and _is_known(one)]
    for batch in held.iter_batches(_BLOCK, columns=wanted):
        for row in batch.to_pylist():
            for kind in _SCHEMA.names:
                if kind in known and (told := row.get(kind)):
                    yield {kind: _plain(told)}


def _is_known(leaf: str) -> bool:
    kind, _, rest = leaf.partition(".")
    if kind not in _SCHEMA.names:
        return False
    held = _SCHEMA.field(kind).type
    return bool(held.get_field_index(rest.partition(".")[0]) >= 0)


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return an action as the log's JSON has it."""
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name in _MAPS and value is not None:
            found[name] = _as_dict(value)
        elif isinstance(value, Mapping):
            found[name] = _plain(value)
        elif value is not None:
            found[name] = value
    return found


def _as_dict(value: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return dict(value)
