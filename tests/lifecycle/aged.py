"""A place of forty ledgers whose clock a test sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.ledgers import LedgerRange
from stellarrow.lifecycle.archive import Archive
from stellarrow.lifecycle.policies import Policy
from stellarrow.lifecycle.run import Lifecycle, Report
from stellarrow.sinks.files.compaction import compact
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.reading import format_of, listings, rows_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.sinks.files.verify import Fault, Foreign, check
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles

TABLES = ("ledgers", "contract_data")
DAY = 86_400
OPENED: list[FileStore] = []  # by runs, also those that died; conftest.py closes them after each test


class Aged:
    """Ledgers 100 to 139 in files of ten, a clock, and a folder for what ages."""

    def __init__(self, folder: Path, ledgers: tuple[bytes, ...], **choices: Any) -> None:
        self.folder = folder
        self.ledgers = ledgers
        self.format = choices.pop("format", "parquet")
        self.tables = choices.pop("tables", TABLES)
        self.policy = Policy(archive=10 * DAY, delete=20 * DAY)
        self.days = 0.0  # since ledger 119 closed
        self.batch = self._batch(100, choices.pop("last", 139))
        self.choices = {"network": "synthetic", "ledgers_per_file": 10, **choices}
        rows = self.batch.tables["ledgers"].to_pylist()
        self.closed = {row["ledger_sequence"]: int(row["closed_at"].timestamp()) for row in rows}
        sink = self.sink()
        sink.write(self.batch)
        sink.commit()
        sink.close()

    def _batch(self, first: int, last: int) -> sa.LedgerBatch:
        data = frame(self.ledgers[first - 100 : last - 99], "record-marked")
        chunk = sa.LedgerChunk(data, "record-marked", first, last, "memory")
        return sa.Decoder(TABLES, network="synthetic")(chunk)

    @property
    def place(self) -> Path:
        return self.folder / "place"

    @property
    def old(self) -> Path:
        return self.folder / "old"

    def sink(self) -> FileSink:
        return FileSink(LocalFiles(self.place), self.tables, format=format_of(self.format), **self.choices)

    def lifecycle(
        self, store: FileStore | None = None, old: FileStore | None = None, **more: Any
    ) -> Lifecycle:
        store, old = store or LocalFiles(self.place), old or LocalFiles(self.old)
        OPENED.extend((store, old))
        return Lifecycle(
            store=store,
            policies=dict.fromkeys(("parquet", "jsonl", "csv"), self.policy),
            archive=more.pop("archive", Archive(old, str(self.old))),
            now=lambda: self.closed[119] + self.days * DAY,
            **more,
        )

    def merge(self) -> None:
        """Merge ledgers 100 to 119 of contract_data and leave the old files, as who dies there does."""
        listing = self.listing(self.place)
        with listing.store.reading(listing.entries_folder):
            compact(listing, LedgerRange(100, 119))
        listing.store.close()
        assert {LedgerRange(100, 109), LedgerRange(100, 119)} <= set(self.listing(self.place).parts())

    def run(self, **more: Any) -> Report:
        return self.lifecycle(**more).run()

    def covered(self) -> str:
        sink = self.sink()
        try:
            return str(sink.coverage())
        finally:
            sink.close()

    def here(self) -> str:
        return str(self.listing(self.place).ranges())

    def listing(self, place: Path, table: str = "contract_data") -> Listing:
        return next(one for one in listings(LocalFiles(place)) if one.shape.folder == table)

    def faults(self) -> list[Fault | Foreign]:
        found = []
        for place in (self.place, self.old):
            for listing in listings(LocalFiles(place)) if place.exists() else ():
                found += [one for one in check(listing) if isinstance(one, Fault | Foreign)]
        return found

    def rows(self) -> list[dict[str, Any]]:
        """Every row of contract_data, here or archived, each ledger once."""
        found: dict[int, list[dict[str, Any]]] = {}
        for place in (self.old, self.place):
            for listing in listings(LocalFiles(place)) if place.exists() else ():
                if listing.shape.folder == "contract_data":
                    here: dict[int, list[dict[str, Any]]] = {}
                    for batch in rows_of(listing):
                        for row in batch.to_pylist():
                            here.setdefault(row["ledger_sequence"], []).append(row)
                    found |= here
        return [row for ledger in sorted(found) for row in sorted(found[ledger], key=str)]

    def expected(self) -> list[dict[str, Any]]:
        rows = self.batch.tables["contract_data"].to_pylist()
        return sorted(rows, key=lambda row: (row["ledger_sequence"], str(row)))
