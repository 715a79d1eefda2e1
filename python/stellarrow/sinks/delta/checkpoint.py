"""Checkpoints: a table's state at a version as Parquet, so that nobody reads its log from the beginning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
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
_BLOCK: Final = 4_096  # actions that are read at once
_MINUTE: Final = 60_000  # milliseconds
_KEPT_BLOCK: Final = 1_000  # actions of one kind that are made columns of together


@dataclass(frozen=True, slots=True)
class _Block:
    """Actions of one kind, and what they are as rows of a checkpoint."""

    actions: Sequence[Action]
    rows: pa.RecordBatch


@dataclass(slots=True)
class Checkpoints:
    """Writes a table's checkpoints one after another.

    Between two of them few files come and go: of those that stay, the columns stay, too, so that a checkpoint
    takes as long for thousands of files that were replaced as for none.
    """

    _kept: dict[tuple[int, ...], _Block] = field(default_factory=dict)

    def written(self, snapshot: Snapshot) -> tuple[pa.Buffer, int]:
        """Return a state as a checkpoint's bytes, and how many actions it has."""
        few = [_columns(kind, [told]) for kind, told in _actions(snapshot)]
        kept: dict[tuple[int, ...], _Block] = {}
        for kind, blocks in (("remove", _by_removal(snapshot)), ("add", _in_blocks(snapshot))):
            for told in blocks:
                same = tuple(map(id, told))  # the actions themselves, which a block holds
                kept[same] = self._kept.get(same) or _Block(told, _columns(kind, told))
        self._kept = kept
        state = pa.Table.from_batches([*few, *(one.rows for one in kept.values())], _SCHEMA)
        out = pa.BufferOutputStream()
        pq.write_table(state, out, compression="snappy", store_schema=False)
        return out.getvalue(), state.num_rows


def _actions(snapshot: Snapshot) -> Iterator[tuple[str, Action]]:
    if snapshot.protocol and snapshot.metadata:
        yield "protocol", snapshot.protocol
        yield "metaData", snapshot.metadata
    for told in snapshot.transactions.values():
        yield "txn", told


def _by_removal(snapshot: Snapshot) -> Iterator[Sequence[Action]]:
    """Yield the files that were replaced, those of one minute together: they expire together, too."""
    removed = snapshot.removed.values()
    for _, told in groupby(removed, lambda one: (one.get("deletionTimestamp") or 0) // _MINUTE):
        yield [*told]


def _in_blocks(snapshot: Snapshot) -> Iterator[Sequence[Action]]:
    """Yield the table's files; merging takes the last away, so that the blocks before them stay alike."""
    files = iter(snapshot.files.values())
    while block := [*islice(files, _KEPT_BLOCK)]:
        yield block


def _columns(kind: str, actions: Sequence[Action]) -> pa.RecordBatch:
    """Return actions of one kind as rows of a checkpoint."""
    known = _SCHEMA.field(kind).type
    fields = [known.field(at) for at in range(known.num_fields)]
    parts = [pa.array([_as_arrow(told, one) for told in actions], one.type) for one in fields]
    made = pa.StructArray.from_arrays(parts, fields=fields)
    columns = [made if one.name == kind else pa.nulls(len(actions), one.type) for one in _SCHEMA]
    return pa.record_batch(columns, _SCHEMA)


def _as_arrow(told: Mapping[str, Any], known: pa.Field) -> Any:
    value = told.get(known.name)
    if known.name == "dataChange":
        return False  # what a checkpoint tells is no news
    if isinstance(value, Mapping) and pa.types.is_map(known.type):
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
