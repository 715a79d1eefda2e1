"""Which row groups of a range's files may hold an account or an asset, told by a small file beside them.

`<table>/_index/<first>-<last>.index`: filters of the texts in each row group. A file is sorted by contract,
so that its statistics tell nothing about accounts. An index is of the bytes that the manifest names, or of
none: where it is missing, damaged or of other bytes, every row group is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.rows import no_rows
from stellarrow.core.text_filters import TextFilters, may_hold
from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.layout import file_name
from stellarrow.storage.files import FileStore

INDEX: Final = "_index"
SUFFIX: Final = ".index"
LARGEST: Final = 256 << 20  # bytes
# The columns that say whose a row is, in the tables that have them.
ACCOUNTS: Final = ("from", "to", "account", "fee_account", "balance_holder")
# What can be asked of an index, and the columns that a row has it in.
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "accounts": ACCOUNTS,
    "contract_id": ("contract_id",),
    "asset_code": ("asset_code",),
    "asset_issuer": ("asset_issuer",),
}
_MAGIC: Final = b"stellarrow index 1\n"
_LENGTH: Final = 4
_DIGEST: Final = 32
_log: Final = logging.getLogger(__name__)

Wanted = tuple[tuple[str, str], ...]  # texts by section, all of them in one row
# Every term must hold, and a term holds where one of its alternatives does.
Probe = tuple[tuple[Wanted, ...], ...]


def index_path(table: str, ledgers: LedgerRange) -> str:
    """Return where the index of a range lies."""
    return f"{table}/{INDEX}/{file_name(ledgers, SUFFIX)}"


def sections_of(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the columns of each section that a table has."""
    there = {name: [one for one in columns if one in schema.names] for name, columns in SECTIONS.items()}
    return {name: columns for name, columns in there.items() if columns}


@dataclass(frozen=True, slots=True)
class FileIndex:
    """The filters of the file that `sha256` names: of each section one a row group; `rows` are a group's."""

    sha256: str
    rows: tuple[int, ...]
    filters: Mapping[str, tuple[bytes, ...]]

    def groups(self, probe: Probe) -> list[int]:
        """Return the row groups that may hold rows that are asked for."""
        return [at for at in range(len(self.rows)) if all(self._may(at, term) for term in probe)]

    def _may(self, at: int, term: Sequence[Wanted]) -> bool:
        return any(all(self._holds(at, name, text) for name, text in wanted) for wanted in term)

    def _holds(self, at: int, section: str, text: str) -> bool:
        filters = self.filters.get(section)
        return filters is None or may_hold(filters[at], text)

    @property
    def size_bytes(self) -> int:
        return sum(len(one) for filters in self.filters.values() for one in filters)


class IndexBuilder:
    """Takes the rows of one file, a call a row group."""

    def __init__(self, schema: pa.Schema) -> None:
        self._sections = sections_of(schema)
        self._rows: list[int] = []
        self._filters: dict[str, list[bytes]] = {name: [] for name in self._sections}
        self._made = {name: TextFilters() for name in self._sections}

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the rows of the next row group."""
        self._rows.append(rows.num_rows)
        for name in [*self._filters]:
            made = self._made[name].filter(rows.select(self._sections[name]))
            if made is None:
                del self._filters[name]  # nobody asks for it then
            else:
                self._filters[name].append(made)

    def built(self, sha256: str) -> FileIndex:
        """Return the index of the file that these bytes became."""
        filters = {name: tuple(held) for name, held in self._filters.items()}
        return FileIndex(sha256, tuple(self._rows), filters)


def encode(schema: pa.Schema, files: Iterable[FileIndex]) -> bytes:
    """Return the indexes of a range's files as the bytes of one."""
    held = [*files]
    told = {
        "sections": sections_of(schema),
        "files": [
            {
                "sha256": one.sha256,
                "rows": one.rows,
                "bytes": {name: [len(each) for each in filters] for name, filters in one.filters.items()},
            }
            for one in held
        ],
    }
    head = json.dumps(told, separators=(",", ":")).encode()
    filters = [each for one in held for filters in one.filters.values() for each in filters]
    data = b"".join([_MAGIC, len(head).to_bytes(_LENGTH, "little"), head, *filters])
    return data + hashlib.sha256(data).digest()


def decode(data: bytes, schema: pa.Schema) -> dict[str, FileIndex]:
    """Read what may come from anyone: indexes by the digest of their file. ValueError where it is none."""
    body = memoryview(data)[:-_DIGEST]
    if len(data) < len(_MAGIC) + _LENGTH + _DIGEST or not data.startswith(_MAGIC):
        raise ValueError("it is no index of this version")
    if hashlib.sha256(body).digest() != data[-_DIGEST:]:
        raise ValueError("its checksum is another")
    start = len(_MAGIC) + _LENGTH
    size = int.from_bytes(body[len(_MAGIC) : start], "little")
    try:
        told: dict[str, Any] = json.loads(bytes(body[start : start + size]))
        known = {name: told["sections"].get(name) == columns for name, columns in sections_of(schema).items()}
        cut = _Cut(bytes(body[start + size :]))
        found = [_file_index(one, cut, known) for one in told["files"]]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it does not say what an index must ({error!r})") from error
    if not cut.is_empty:
        raise ValueError("it has more bytes than it says")
    return {one.sha256: one for one in found}


def _file_index(told: Mapping[str, Any], cut: _Cut, known: Mapping[str, bool]) -> FileIndex:
    rows = tuple(_count(one) for one in told["rows"])
    filters = {}
    for name, sizes in told["bytes"].items():
        held = tuple(cut.take(_count(size)) for size in sizes)
        if len(held) != len(rows):
            raise ValueError("it has not one filter a row group")
        # Of other columns than are asked now, it would rule out what it does not know.
        if known.get(name):
            filters[name] = held
    return FileIndex(str(told["sha256"]), rows, filters)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} is no count")
    return value


class _Cut:
    """Bytes that are taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        self._at += size
        if self._at > len(self._data):
            raise ValueError("it ends early")
        return self._data[self._at - size : self._at]

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._data)


def write_index(store: FileStore, path: str, schema: pa.Schema, files: Iterable[FileIndex]) -> None:
    """Write a range's index; where that fails it is told and harms nothing, as readers do without."""
    try:
        upload = store.create()
        try:
            upload.write(encode(schema, files))
            upload.place(path)
        finally:
            upload.discard()
    except SinkError as error:
        _log.warning("%s/%s was not written, answers by account take longer: %s", store, path, error)


def rows_of_groups(file: pa.NativeFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield what an index is made of, a batch a row group of a Parquet file. Errors as of its readers."""
    import pyarrow.parquet as pq  # noqa: PLC0415  heavy, and few rebuild an index

    columns = [one for columns in sections_of(schema).values() for one in columns]
    held = pq.ParquetFile(file, page_checksum_verification=True)
    for group in range(held.num_row_groups):
        read = held.read_row_group(group, columns, use_threads=False).combine_chunks()
        yield from read.to_batches() or [no_rows(read.schema)]
