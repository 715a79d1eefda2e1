"""The sink: buffers batches, and commits rows and coverage in one transaction."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.rows import no_rows
from stellarrow.core.tables import columns_of, is_typed
from stellarrow.errors import ConfigError, SinkError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerBatch, LedgerRange, LedgerSet, Network
from stellarrow.protocols import Health
from stellarrow.registry import SinkOptions
from stellarrow.sinks.duckdb_file import coverage, typed_tables
from stellarrow.sinks.duckdb_file.coverage import Entry, Making
from stellarrow.sinks.duckdb_file.file import Conflict, DuckDbFile
from stellarrow.sinks.duckdb_file.reading import HeldRows, forget, held_tables, typed_columns
from stellarrow.sinks.transactional.batch_buffer import BatchBuffer
from stellarrow.sinks.transactional.makings import making_texts, meant_tables

_BUFFER_BYTES: Final = 64 << 20  # of Arrow, after which a transaction is made
_TURNS: Final = 100  # that other writers of this process may take


@dataclass(frozen=True, slots=True)
class _Kept:
    """A table: `asked` as in the batches, and how it is written."""

    asked: str
    name: str
    columns: pa.Schema
    making: Making


class DuckDbSink:
    """Keep tables in a DuckDB file. Rows and which ledgers they are of move in one transaction.

    DuckDB lets one process at a time have a file that is written: from the first commit on until it is
    closed this is ours, and another waits half a minute before it says who has it. Opening it asks nothing;
    coverage reads the file, and only write and commit make it.
    """

    def __init__(
        self,
        place: str | DuckDbFile,
        tables: Sequence[str],
        *,
        network: str | Network,
        where: Filter | None = None,
        decoded: bool = False,
        transfers: str = "derive",
        buffer_bytes: int = _BUFFER_BYTES,
    ) -> None:
        self._file = DuckDbFile.parse(place) if isinstance(place, str) else place
        self._tables = _kept(tables, Network.of(network), where, decoded=decoded, transfers=transfers)
        self._buffer = BatchBuffer("the DuckDB sink", [kept.asked for kept in self._tables])
        self._buffer_bytes = buffer_bytes

    options: ClassVar[Mapping[str, str]] = {}

    @property
    def writer_limit(self) -> str:
        return f"DuckDB lets one process at a time write to {self._file}"

    @classmethod
    def open(cls, url: str, tables: Sequence[str], options: SinkOptions) -> DuckDbSink:
        """Open a file, as the registry does."""
        return cls(
            url,
            tables,
            network=options.network,
            where=options.where,
            decoded=options.decoded,
            transfers=options.transfers,
        )

    @classmethod
    def held(cls, url: str) -> list[HeldRows]:
        """Return the tables that a file holds, whoever wrote them."""
        return held_tables(DuckDbFile.parse(url))

    @classmethod
    def typed_columns(cls, url: str) -> dict[str, pa.Schema]:
        """Return the columns that contracts' own tables in a file have."""
        return typed_columns(DuckDbFile.parse(url))

    @classmethod
    def forget(cls, url: str, table: str, ledgers: LedgerSet) -> None:
        """Remove rows of ledgers and that they are covered, in one step."""
        forget(DuckDbFile.parse(url), table, ledgers)

    @classmethod
    def root(cls, url: str) -> str:
        """Return the file's path, however it is written."""
        return str(DuckDbFile.parse(url).path.resolve())

    def health(self) -> Health:
        """Say whether the file can be opened, or made, without changing it."""
        path = self._file.path
        if not path.exists():
            if not path.parent.is_dir():
                return Health("broken", f"there is no folder {path.parent}: make it first")
            return Health("ok", f"no file {path} yet")
        with self._file.reading() as connection:
            count = len(coverage.makings(connection))
        return Health("ok", f"{path.stat().st_size:,} bytes, {count} tables")

    def write(self, batch: LedgerBatch) -> None:
        self._buffer.add(batch)
        if self._buffer.nbytes >= self._buffer_bytes:
            self.commit()

    def commit(self) -> None:
        """Commit what is buffered; what fails stays buffered."""
        if self._buffer:
            self._store()
        self._buffer.clear()

    def coverage(self) -> LedgerSet:
        with self._file.reading() as connection:
            if connection is None:
                return LedgerSet()
            there = coverage.makings(connection)
            self._check(there)
            if any(kept.name not in there for kept in self._tables):
                return LedgerSet()
            first, *others = (coverage.covered(connection, kept.name) for kept in self._tables)
        for other in others:
            first &= other
        return first

    def close(self) -> None:
        self._buffer.clear()
        self._file.close()

    def _store(self) -> None:
        """Commit, again where another writer of this process was first: what it wrote is left out then."""
        for turn in range(_TURNS):
            try:
                with self._file.transaction() as connection:
                    coverage.make(self._file)
                    there = coverage.makings(connection)
                    self._check(there)
                    for kept in self._tables:
                        held = coverage.covered(connection, kept.name)
                        self._add(kept, held, is_new=kept.name not in there)
                return
            except Conflict:
                wait = random.uniform(0, min(0.5, 0.005 * 2**turn))  # noqa: S311  not all at once
                threading.Event().wait(wait)
        raise SinkError(
            f"other writers of this process took {_TURNS} turns at {self._file.path}: use one sink for all"
        )

    def _add(self, kept: _Kept, held: LedgerSet, *, is_new: bool) -> None:
        """Insert the rows of ledgers that are not there, and note these."""
        left = self._buffer.ledgers - held
        if not left and not is_new:
            return
        chosen, written = [pa.Table.from_batches([no_rows(kept.columns)])], list[Entry]()
        for batch, part in self._buffer.parts(left):
            for one in part:
                rows = _within(batch.tables[kept.asked], one)
                chosen.append(pa.Table.from_batches([rows]))
                written.append(Entry(one, rows.num_rows))
        whole = pa.concat_tables(chosen, promote_options="default")
        if is_typed(kept.name):
            (batch,) = whole.combine_chunks().to_batches() or [no_rows(whole.schema)]
            whole = pa.Table.from_batches(
                [typed_tables.grown(self._file, kept.name, kept.columns).put(batch)]
            )
        self._insert(typed_tables.place_of(kept.name), whole)
        coverage.add(self._file, kept.name, kept.making, written)

    def _insert(self, place: str, rows: pa.Table) -> None:
        self._file.register("incoming rows", rows)
        try:
            self._file.do(f'CREATE TABLE IF NOT EXISTS {place} AS SELECT * FROM "incoming rows" LIMIT 0')
            there = {one[0] for one in self._file.do(f"DESCRIBE {place}").fetchall()}
            for name, kind, *_ in self._file.do('DESCRIBE "incoming rows"').fetchall():
                if name not in there:
                    self._file.do(f'ALTER TABLE {place} ADD COLUMN "{name}" {kind}')
            self._file.do(f'INSERT INTO {place} BY NAME SELECT * FROM "incoming rows"')
        finally:
            self._file.unregister("incoming rows")

    def _check(self, there: Mapping[str, Making]) -> None:
        """Refuse tables that were written otherwise."""
        for kept in self._tables:
            if made := there.get(kept.name):
                kept.making.check(kept.name, made)


def _within(rows: pa.RecordBatch, part: LedgerRange) -> pa.RecordBatch:
    ledgers = rows.column("ledger_sequence")
    inside = pc.and_(pc.greater_equal(ledgers, part.first), pc.less_equal(ledgers, part.end))
    return rows.filter(inside)


def _kept(
    tables: Sequence[str], network: Network, where: Filter | None, *, decoded: bool, transfers: str
) -> list[_Kept]:
    found: list[_Kept] = []
    apart = "table: give each a file of its own"
    for asked, meant in meant_tables(tables, "the DuckDB sink", apart=apart):
        columns = columns_of(meant, where or Filter(), decoded=decoded)
        if "ledger_sequence" not in columns.names:
            raise ConfigError(f"the DuckDB sink needs ledger_sequence of {asked}: name it in select, too")
        making = Making(*making_texts(meant, network, where, decoded=decoded, transfers=transfers))
        found.append(_Kept(asked, meant.name, columns, making))
    return found
