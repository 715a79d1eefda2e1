"""Parquet files in a folder: one file a ledger range per table, whose name is its coverage.

`<folder>/<table>/<first>-<last>.parquet`, cut where a ledger is a multiple of `ledgers_per_file`. A file is
written aside and renamed once complete, so data and coverage appear in one step, and the bytes depend on the
ledgers alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import unpack_from
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from stellarrow.decode import Table, schema, table
from stellarrow.errors import ConfigError, SchemaMismatch, SinkError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network

# A row group ends at the first block that reaches either bound; blocks are counted from the file's first row,
# so that neither the bytes nor the memory depend on how the rows arrived.
_ROWS_A_BLOCK: Final = 4_096
_ROWS_A_GROUP: Final = 131_072
_TEXT_A_GROUP: Final = 32 << 20  # bytes of text, which is nearly all there is

_NAME: Final = re.compile(r"(\d{10})-(\d{10})\.parquet", re.ASCII)
_ASIDE: Final = ".tmp"

# Texts of few values, measured on real ledgers. Elsewhere zstd alone is smaller and faster than a dictionary,
# even for a transaction's hash, which repeats row after row.
_FEW_VALUES: Final = frozenset(
    (
        *("asset_code", "asset_issuer", "asset_type", "change_type", "contract_durability", "contract_id"),
        *("contract_instance_type", "contract_instance_wasm_hash", "contract_key_type", "event_name"),
        *("event_type", "stage"),
    )
)


class ParquetSink:
    """Keep tables as Parquet files in a folder. Files of whole ledger ranges become durable as they fill."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        ledgers_per_file: int = 1_000,
    ) -> None:
        if ledgers_per_file < 1:
            raise ConfigError(f"ledgers_per_file is {ledgers_per_file}: it must be at least 1")
        if not tables:
            raise ConfigError("the Parquet sink has no table: name at least one")
        facts = {
            "network": Network.of(network).passphrase,
            "filter": str(where or ""),
            "decoded": "yes" if decoded else "",
            "transfers": "" if transfers == "derive" else transfers,
        }
        self._tables: dict[str, _TableFolder] = {}
        for asked in tables:
            meant = table(asked)
            clash = next((name for name in self._tables if table(name).name == meant.name), None)
            if clash:
                raise ConfigError(f"{clash} and {asked} share one folder: extract them to two folders")
            columns = schema(str(meant), decoded=decoded, where=where)
            self._tables[asked] = _TableFolder(
                Path(folder, meant.name), meant, columns, facts, ledgers_per_file
            )

    def write(self, batch: LedgerBatch) -> None:
        for asked, folder in self._tables.items():
            if asked not in batch.tables:
                raise ConfigError(f"the Parquet sink keeps {asked}, which is not decoded: name it in tables")
            folder.write(batch.tables[asked], LedgerRange(batch.first, batch.last))

    def commit(self) -> None:
        for folder in self._tables.values():
            folder.finish()

    def coverage(self) -> LedgerSet:
        covered, *others = (folder.covered for folder in self._tables.values())
        for other in others:
            covered &= other
        return covered

    def close(self) -> None:
        for folder in self._tables.values():
            folder.discard()


class _TableFolder:
    """One table's files: what they cover, and the one being written."""

    def __init__(
        self, path: Path, kept: Table, columns: pa.Schema, facts: dict[str, str], ledgers_per_file: int
    ) -> None:
        self.path = path
        self._schema = columns
        self._facts = {"table": kept.name, "schema_version": kept.version, **facts}
        self._ledgers_per_file = ledgers_per_file
        self._file: _File | None = None
        with _told(path):
            names = sorted(os.listdir(path)) if path.exists() else []
            _remove_leftovers(path, names)
            self.covered = _coverage(path, names)
            finished = [name for name in names if _NAME.fullmatch(name)]
            for name in {*finished[:1], *finished[-1:]}:
                self._check(path / name)

    def _check(self, path: Path) -> None:
        """Refuse a folder whose files hold something else than what is about to be written."""
        try:
            held = pq.read_metadata(path).metadata or {}
        except pa.ArrowException as error:
            raise SinkError(
                f"{path} is no readable Parquet file ({error}): delete it and run again"
            ) from error
        for fact, value in self._facts.items():
            there = held.get(f"stellarrow.{fact}".encode(), b"").decode()
            if there != value:
                raise SchemaMismatch(
                    f"{self.path} was written with {fact.replace('_', ' ')} {there or 'none'!r}, not "
                    f"{value or 'none'!r}: ask for the same again, or choose another folder"
                )

    def write(self, rows: pa.RecordBatch, ledgers: LedgerRange) -> None:
        with _told(self.path):
            for missing in self._missing(ledgers):
                for part in _aligned(missing, self._ledgers_per_file):
                    self._append(rows if part == ledgers else _between(rows, part), part)

    def _missing(self, ledgers: LedgerRange) -> LedgerSet:
        if self._file and self._file.ledgers.end + 1 == ledgers.first and self._reach < ledgers.first:
            return LedgerSet([ledgers])  # most batches, and small ones must not wait for set arithmetic
        return LedgerSet([ledgers]) - self.covered - self._open_range()

    @property
    def _reach(self) -> int:
        return self.covered.last if self.covered else -1

    def _open_range(self) -> LedgerSet:
        return LedgerSet([self._file.ledgers] if self._file else [])

    def _append(self, rows: pa.RecordBatch, ledgers: LedgerRange) -> None:
        if self._file and self._file.ledgers.end + 1 != ledgers.first:
            self.finish()
        if not self._file:
            self.path.mkdir(parents=True, exist_ok=True)
            self._file = _File(self.path, self._schema, self._facts, ledgers)
        self._file.append(rows, ledgers)
        if (ledgers.end + 1) % self._ledgers_per_file == 0:
            self.finish()

    def finish(self) -> None:
        """Make the file being written durable under its name."""
        if self._file:
            with _told(self.path):
                self._file.finish()
            self.covered |= self._open_range()
            self._file = None

    def discard(self) -> None:
        if self._file:
            self._file.discard()
            self._file = None


def _remove_leftovers(path: Path, names: Sequence[str]) -> None:
    """Remove files of writers that died: a living one holds a lock on its file."""
    for name in names:
        if name.startswith(".") and name.endswith(_ASIDE):
            with open(path / name, "rb") as left:
                try:
                    fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                (path / name).unlink(missing_ok=True)


def _coverage(path: Path, names: Sequence[str]) -> LedgerSet:
    covered = []
    for name in names:
        if match := _NAME.fullmatch(name):
            covered.append(LedgerRange(int(match[1]), int(match[2])))
        elif name.endswith(".parquet"):
            raise SchemaMismatch(f"{path / name} was not written by stellarrow: choose another folder")
    return LedgerSet(covered)


def _aligned(ledgers: LedgerRange, size: int) -> Iterator[LedgerRange]:
    first = ledgers.first
    while first <= ledgers.end:
        last = min(ledgers.end, first // size * size + size - 1)
        yield LedgerRange(first, last)
        first = last + 1


def _between(rows: pa.RecordBatch, ledgers: LedgerRange) -> pa.RecordBatch:
    """Slice the rows of the ledgers, without copying; rows lie in ledger order."""
    numbers = rows.column("ledger_sequence")
    start = bisect_left(range(len(numbers)), ledgers.first, key=lambda row: numbers[row].as_py())
    stop = bisect_left(range(len(numbers)), ledgers.end + 1, lo=start, key=lambda row: numbers[row].as_py())
    return rows.slice(start, stop - start)


class _File:
    """One Parquet file on its way: rows in, blocks of exact size out, a name in the end."""

    def __init__(self, folder: Path, schema: pa.Schema, facts: dict[str, str], ledgers: LedgerRange) -> None:
        self.ledgers = ledgers
        self._folder = folder
        self._facts = facts
        self._schema = schema
        self._loose: list[pa.RecordBatch] = []
        self._loose_rows = 0
        self._blocks: list[pa.RecordBatch] = []
        self._text = 0
        self._aside, self._lock = _locked_file(folder, ledgers.first)
        few_values = [name for name in schema.names if name in _FEW_VALUES]
        plain = [field.name for field in schema if not field.name.endswith("_xdr")]
        self._writer = pq.ParquetWriter(
            self._aside,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=few_values,
            write_statistics=plain,
        )

    def append(self, rows: pa.RecordBatch, ledgers: LedgerRange) -> None:
        self.ledgers = LedgerRange(self.ledgers.first, ledgers.last)
        start = 0
        while start < rows.num_rows:
            part = rows.slice(start, _ROWS_A_BLOCK - self._loose_rows)
            start += part.num_rows
            self._loose.append(part)
            self._loose_rows += part.num_rows
            if self._loose_rows == _ROWS_A_BLOCK:
                self._close_block()

    def _close_block(self) -> None:
        """Copy the loose rows into one block, which frees the batches they came in."""
        if not self._loose:
            return
        block = pa.Table.from_batches(self._loose, self._schema).combine_chunks().to_batches()
        self._loose, self._loose_rows = [], 0
        self._blocks += block
        self._text += sum(map(_text_size, block))
        if len(self._blocks) * _ROWS_A_BLOCK >= _ROWS_A_GROUP or self._text >= _TEXT_A_GROUP:
            self._close_group()

    def _close_group(self) -> None:
        group = pa.Table.from_batches(self._blocks, self._schema)
        self._blocks, self._text = [], 0
        if group.num_rows:
            self._writer.write_table(group, row_group_size=group.num_rows)
            del group
            # Otherwise Arrow's pool keeps what a group needed, for every thread that ever held one.
            pa.default_memory_pool().release_unused()

    def finish(self) -> None:
        self._close_block()
        self._close_group()
        facts = {
            **self._facts,
            "first_ledger": str(self.ledgers.first),
            "last_ledger": str(self.ledgers.end),
        }
        self._writer.add_key_value_metadata({f"stellarrow.{fact}": value for fact, value in facts.items()})
        self._writer.close()
        os.fsync(self._lock)
        self._aside.replace(self._folder / f"{self.ledgers.first:010d}-{self.ledgers.end:010d}.parquet")
        os.close(self._lock)
        _sync_folder(self._folder)

    def discard(self) -> None:
        with suppress(OSError, pa.ArrowException):  # a full disk, which was told already
            self._writer.close()
        self._aside.unlink(missing_ok=True)
        os.close(self._lock)


def _text_size(block: pa.RecordBatch) -> int:
    size = 0
    for column in block.columns:
        texts = column.flatten() if pa.types.is_list(column.type) else column
        if pa.types.is_string(texts.type) and len(texts):
            # The offsets' ends tell the same as adding up every length.
            offsets = texts.buffers()[1]
            first, last = (unpack_from("=i", offsets, 4 * (texts.offset + at))[0] for at in (0, len(texts)))
            size += last - first
    return size


def _locked_file(folder: Path, first: int) -> tuple[Path, int]:
    """Make a file nobody else writes, and hold a lock on it for as long as we live."""
    while True:
        path = folder / f".{first:010d}-{os.getpid()}-{secrets.token_hex(4)}{_ASIDE}"
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return path, descriptor
        except BlockingIOError:
            pass  # another writer, just opening the folder, takes it for a leftover and removes it
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Translate what the file system or Arrow refuses."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        remedy = (
            "make room or choose another folder" if _is_full(error) else "choose a folder you may write to"
        )
        raise SinkError(f"cannot write to {path} ({reason}): {remedy}, then run the same again") from error


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
